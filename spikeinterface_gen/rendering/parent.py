"""A real recording that spikes are added to: checked when a session is made, loaded again when it is opened."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from probeinterface import Probe
    from spikeinterface.core import BaseRecording

__all__ = ["ParentTraces", "check_parent", "foreign_classes", "load_parent", "parent_as_dict", "parent_probe"]

# Only what these packages define is built from a file: a session folder must not be able to run anything else.
_TRUSTED = ("spikeinterface.", "spikeinterface_gen.")


def check_parent(parent: Any, sampling_frequency: float) -> None:
    """Raise if spikes cannot be added to a recording.

    Raises
    ------
    TypeError, ValueError
        If it is no recording, has another sampling frequency, several segments, or no gains, or could not be
        loaded again from what it says about itself.
    """
    from spikeinterface.core import BaseRecording

    if not isinstance(parent, BaseRecording):
        raise TypeError(f"parent_recording must be a SpikeInterface recording; got {type(parent).__name__}.")
    if not np.isclose(parent.sampling_frequency, sampling_frequency, rtol=1e-6):
        raise ValueError(
            f"parent_recording is sampled at {parent.sampling_frequency:g} Hz and the spikes at "
            f"{sampling_frequency:g} Hz; pass sampling_frequency={parent.sampling_frequency:g}."
        )
    if parent.get_num_segments() != 1:
        raise ValueError(
            f"parent_recording must have one segment; got {parent.get_num_segments()}. Use "
            "parent_recording.select_segments([0]) or spikeinterface.concatenate_recordings."
        )
    if not parent.has_scaleable_traces():
        raise ValueError(
            "parent_recording does not say how many µV a step of its traces is; call set_channel_gains and "
            "set_channel_offsets on it."
        )
    if not parent.check_serializability("json"):
        raise ValueError(
            "parent_recording exists in memory only and could not be found again; save it first: "
            "parent_recording = parent_recording.save(folder=…)."
        )


def check_length(parent: BaseRecording, num_frames: int) -> None:
    """Raise a ValueError if the parent is shorter than a session."""
    if parent.get_num_samples() < num_frames:
        frequency = parent.sampling_frequency
        raise ValueError(
            f"parent_recording lasts {parent.get_num_samples() / frequency:.1f} s and the session "
            f"{num_frames / frequency:.1f} s; take fewer trials or a longer recording."
        )


def parent_probe(parent: BaseRecording, name: str = "parent_recording") -> Probe:
    """Return the probe of a recording.

    Raises
    ------
    ValueError
        If it has none, or several.
    """
    try:
        probe = parent.get_probe()
    except ValueError as error:
        raise ValueError(f"{name} must have one probe ({error}); pass probe=.") from error
    probe = probe.copy()
    # A recording has its contacts in the order of its channels.
    probe.set_device_channel_indices(np.arange(probe.get_contact_count()))
    return probe


def parent_as_dict(parent: BaseRecording) -> dict[str, Any]:
    """Return what the parent is built from, JSON-able."""
    from spikeinterface.core.core_tools import check_json

    return check_json(parent.to_dict(include_annotations=True, include_properties=True, recursive=True))


def load_parent(description: dict[str, Any]) -> BaseRecording:
    """Build the parent again.

    Raises
    ------
    ValueError
        If it names anything but recordings and sortings of SpikeInterface and of ours, or cannot be loaded.
    """
    import spikeinterface

    foreign = foreign_classes(description)
    if foreign:
        raise ValueError(
            f"the parent recording is described by {foreign[0]!r}, which is no recording of SpikeInterface"
        )
    try:
        return spikeinterface.load(description)
    except Exception as error:
        # Whatever a reader of some format raises when its files have moved.
        raise ValueError(f"the parent recording could not be loaded: {type(error).__name__}: {error}") from error


def foreign_classes(description: Any) -> list[str]:
    """Names in a description that SpikeInterface would call to build it, and that are no recording or sorting."""
    return [name for name in _classes(description) if not _is_extractor(name)]


def read_parent(path: Path) -> dict[str, Any]:
    """Read what :func:`parent_as_dict` gave."""
    return json.loads(path.read_text(encoding="utf-8"))


class ParentTraces:
    """The traces of a parent, with the templates' µV in its steps.

    Parameters
    ----------
    parent : BaseRecording
        One segment.
    order : array of int, shape (channels,)
        The order of channels in which spikes come.
    """

    def __init__(self, parent: BaseRecording, order: np.ndarray) -> None:
        self._parent = parent
        self.dtype = np.dtype(parent.get_dtype())
        self.gains_uv = np.asarray(parent.get_channel_gains(), dtype=np.float64)[order]
        self._position = np.argsort(order)

    def with_spikes(self, start: int, stop: int, steps: np.ndarray) -> np.ndarray:
        """Traces plus spikes given in their steps, float32, (frames, channels in order), in the parent's type."""
        traces = self._parent.get_traces(0, start, stop)
        steps = steps[:, self._position]
        if self.dtype.kind == "f":
            return (traces + steps).astype(self.dtype)
        # The parent's own values stay as they are, to the bit, where there is no spike.
        limits = np.iinfo(self.dtype)
        total = traces.astype(np.int64) + np.rint(steps).astype(np.int64)
        return np.clip(total, limits.min, limits.max).astype(self.dtype)


def _is_extractor(name: str) -> bool:
    """Whether a dotted name is that of a class of recordings or sortings, by SpikeInterface or by us."""
    from spikeinterface.core.base import BaseExtractor

    if not name.startswith(_TRUSTED):
        return False
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    # SpikeInterface calls whatever it is: its own functions load pickles.
    return isinstance(found, type) and issubclass(found, BaseExtractor)


def _classes(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if {"class", "kwargs"} <= set(value):
            yield str(value["class"])
        for item in value.values():
            yield from _classes(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _classes(item)
