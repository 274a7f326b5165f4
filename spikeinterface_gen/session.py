"""The saved synthetic session: a folder with everything that a recording is rendered from::

    session.json          settings, provenance, sha256 of every other file and of itself
    spike_frames.npy      frame of each spike in the session, int64, non-decreasing
    spike_units.npy       position of its unit, int32
    spike_amplitudes.npy  its amplitude relative to the template, float32
    trials.npz            start frame and number of bins of each trial; covariates
    units.npz             ids, properties and locations (µm), refractory periods, forced violations
    templates.npz         which channels each unit is on, and the displacements of its templates
    waveforms.npy         the templates in µV on these channels, float32
    probe.json            probeinterface
    rendered_block.npy    a few rendered frames: whoever opens the session must get the same

and, where there are such::

    motion.npz            displacement of the tissue (µm) by time and depth
    noise.npz             level, correlation and spectrum of measured noise
    parent_recording.json what the recording that the spikes are added to is built from

Nothing in it is code: arrays are read without pickle, the rest is JSON. It is written to a temporary
sibling and renamed, so that a folder of this name is always whole.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.frames import bin_edge_frames, count_spikes
from spikeinterface_gen.observation.spike_times import PlacedSpikes
from spikeinterface_gen.rendering.noise_model import NoiseModel
from spikeinterface_gen.rendering.parameters import OF_OWN_NOISE, RenderingParameters
from spikeinterface_gen.rendering.parent import load_parent, read_parent
from spikeinterface_gen.rendering.renderer import Renderer
from spikeinterface_gen.rendering.scene import Scene
from spikeinterface_gen.rendering.templates import Templates
from spikeinterface_gen.session_files import SETTINGS_FILE, SessionError, read_arrays, read_settings
from spikeinterface_gen.session_writing import ALWAYS, MOTION, NOISE, PARENT, SOMETIMES, checked_frames

if TYPE_CHECKING:
    from probeinterface import Probe
    from spikeinterface.core import BaseRecording, Motion

__all__ = ["Session", "SessionError", "cache_folder", "unused_folder"]


# Read from disk as traces are asked for.
_MAPPED = ("spike_frames.npy", "spike_units.npy", "spike_amplitudes.npy", "waveforms.npy")


def cache_folder() -> Path:
    """Return where sessions go for which no folder is named.

    ``$SPIKEINTERFACE_GEN_CACHE`` if that is set, else ``spikeinterface_gen`` in ``$XDG_CACHE_HOME`` or
    ``~/.cache``.
    """
    chosen = os.environ.get("SPIKEINTERFACE_GEN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikeinterface_gen"


def unused_folder(stem: str) -> Path:
    """Return a folder in the cache that nothing has used yet; its name begins with ``stem``."""
    base = cache_folder()
    candidates = (base / (stem if k == 0 else f"{stem}-{k}") for k in range(10**6))
    return next(candidate for candidate in candidates if not candidate.exists())


class Session:
    """A saved session, read-only.

    Parameters
    ----------
    folder_path : str or path
        Folder written by :func:`spikeinterface_gen.session_writing.write_session`.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    SessionError
        If it is no session, a file is missing, or any byte has changed since it was written.
    """

    def __init__(self, folder_path: str | Path) -> None:
        self.folder = Path(folder_path).expanduser()
        self.settings = read_settings(self.folder, ALWAYS, SOMETIMES)
        self.frames = read_arrays(self.folder / "spike_frames.npy")
        self.units = read_arrays(self.folder / "spike_units.npy")
        self.amplitudes = read_arrays(self.folder / "spike_amplitudes.npy")
        self._rendered = read_arrays(self.folder / "rendered_block.npy")
        self._trials = read_arrays(self.folder / "trials.npz")
        self._units = read_arrays(self.folder / "units.npz")
        self._state = self._state_on_disk()

    def check_unchanged(self) -> None:
        """Raise a SessionError if a file that is read while traces are rendered has changed since this was opened."""
        if self._state_on_disk() != self._state:
            raise SessionError(
                f"{self.folder} has changed since it was opened, so that traces and ground truth may no longer belong "
                "together. Open it again."
            )

    def _state_on_disk(self) -> list[tuple[int, int, int] | None]:
        return [_state(self.folder / name) for name in (SETTINGS_FILE, *_MAPPED)]

    # ---- what it holds -----------------------------------------------------------------------

    @property
    def sampling_frequency(self) -> float:
        """Frames per second, in Hz."""
        return float(self.settings["sampling_frequency"])

    @property
    def num_frames(self) -> int:
        """Length of the session in frames."""
        return int(self.start_frames[-1] + self.trial_frames[-1])

    @property
    def unit_ids(self) -> np.ndarray:
        """Names of the units, shape (units,)."""
        return self._units["unit_ids"]

    @property
    def unit_locations_um(self) -> np.ndarray:
        """Positions x, y and distance from the probe of each unit in µm, shape (units, 3)."""
        return self._units["locations_um"]

    @property
    def unit_properties(self) -> dict[str, np.ndarray]:
        """What is known about units, by name."""
        return _named(self._units, "property:")

    @property
    def forced_violations(self) -> np.ndarray:
        """Intervals of each unit that the counts forced below its refractory period, shape (units,)."""
        return self._units["forced_violations"]

    @property
    def start_frames(self) -> np.ndarray:
        """First frame of each trial, int64, shape (trials,)."""
        return self._trials["start_frames"]

    @property
    def num_bins(self) -> np.ndarray:
        """Bins of each trial, int64, shape (trials,)."""
        return self._trials["num_bins"]

    @property
    def bin_edges(self) -> np.ndarray:
        """Frames, from the start of a trial, at which the bins of the longest trial begin and end."""
        return bin_edge_frames(int(self.num_bins.max()), self.settings["bin_size_ms"], self.sampling_frequency)

    @property
    def trial_frames(self) -> np.ndarray:
        """Length of each trial in frames, int64, shape (trials,)."""
        return self.bin_edges[self.num_bins]

    @property
    def covariates(self) -> dict[str, np.ndarray]:
        """What is known about trials, by name."""
        return _named(self._trials, "covariate:")

    @property
    def annotations(self) -> dict[str, Any]:
        """Provenance and other facts about the whole; ``synthetic`` is True."""
        return dict(self.settings["annotations"])

    @property
    def parameters(self) -> RenderingParameters:
        """How spikes become traces."""
        return RenderingParameters(**self.settings["rendering"])

    @property
    def probe(self) -> Probe:
        """The probe."""
        from probeinterface import read_probeinterface

        return read_probeinterface(self.folder / "probe.json").probes[0]

    @property
    def templates(self) -> Templates:
        """Waveforms of the units."""
        return self.scene.templates

    @property
    def motion(self) -> Motion | None:
        """Displacement of the tissue over the session, of one segment, or None where it does not move."""
        return self.scene.motion

    @cached_property
    def scene(self) -> Scene:
        """All that the spikes are rendered with."""
        from spikeinterface.core import Motion

        arrays = read_arrays(self.folder / "templates.npz")
        templates = Templates(
            order=arrays["order"],
            first=arrays["first"],
            waveforms_uv=read_arrays(self.folder / "waveforms.npy"),
            num_before=int(arrays["num_before"]),
            displacements_um=arrays["displacements_um"],
        )
        motion = noise = parent = None
        if (self.folder / MOTION).exists():
            moved = read_arrays(self.folder / MOTION)
            motion = Motion(
                moved["displacement_um"],
                moved["temporal_bins_s"],
                moved["spatial_bins_um"],
                direction=str(moved["direction"]),
            )
        if (self.folder / NOISE).exists():
            noise = NoiseModel(**read_arrays(self.folder / NOISE))
        if (self.folder / PARENT).exists():
            parent = read_parent(self.folder / PARENT)
        return Scene(self.probe, self.unit_locations_um, templates, self.parameters, motion, noise, parent)

    @cached_property
    def parent_recording(self) -> BaseRecording | None:
        """The recording that the spikes are added to, or None.

        Raises
        ------
        SessionError
            If it can no longer be loaded.
        """
        if self.scene.parent is None:
            return None
        try:
            return load_parent(self.scene.parent)
        except ValueError as error:
            raise SessionError(f"{self.folder}: {error}.") from error

    @property
    def placed_spikes(self) -> PlacedSpikes:
        """The spikes by trial, as :func:`place_spikes` drew them."""
        frames = np.asarray(self.frames)
        trial = np.searchsorted(self.start_frames, frames, side="right") - 1
        return PlacedSpikes(
            trial=trial,
            unit=np.asarray(self.units).astype(np.int64),
            frame=frames - self.start_frames[trial],
            sampling_frequency=self.sampling_frequency,
            trial_frames=self.trial_frames,
            gap_frames=int(self.settings["gap_frames"]),
            refractory_period_ms=self._units["refractory_period_ms"],
            forced_violations=self.forced_violations,
        )

    @property
    def counts(self) -> SpikeCounts:
        """The counts that the session was made from."""
        return self._counts(self._trials.get("t_starts_s"))

    @property
    def counts_on_session_clock(self) -> SpikeCounts:
        """The same, with trials starting where they lie in this session rather than in a recorded one."""
        return self._counts(self.start_frames / self.sampling_frequency)

    def _counts(self, t_starts_s: np.ndarray | None) -> SpikeCounts:
        placed = self.placed_spikes
        binned = count_spikes(
            placed.trial,
            placed.unit,
            placed.frame,
            self.bin_edges,
            num_trials=len(self.num_bins),
            num_units=len(self.unit_ids),
        )
        return SpikeCounts(
            binned,
            self.settings["bin_size_ms"],
            unit_ids=self.unit_ids,
            num_bins=self.num_bins,
            covariates=self.covariates,
            unit_properties=self.unit_properties,
            t_starts_s=t_starts_s,
            trial_locked=self.settings["trial_locked"],
            annotations=self.annotations,
        )

    def renderer(self, **changes: Any) -> Renderer:
        """Return what renders the traces, checked against the frames that were rendered at saving.

        Parameters
        ----------
        **changes
            Rendering parameters other than the saved ones; see :meth:`RenderingParameters.changed`. The
            check is left out when there are any.
        """
        parameters = self.changed_parameters(**changes)
        renderer = self.scene.renderer(
            self.frames,
            self.units,
            self.amplitudes,
            self.sampling_frequency,
            self.settings["seed"],
            parameters,
            self.parent_recording,
        )
        if parameters == self.parameters:
            again = checked_frames(renderer, self.frames, self.num_frames).astype(np.float64)
            # Another processor may round the last bit of a sum differently: one step is no change.
            step = 1.0 if renderer.dtype.kind in "iu" else 1e-4 * np.abs(again).max(initial=0.0)
            if again.shape != self._rendered.shape or np.abs(again - self._rendered).max(initial=0) > step:
                reason = (
                    "it was written by a version of spikeinterface_gen that renders differently. Save the recording "
                    "to binary or zarr with that version, or generate the session anew"
                    if self.parent_recording is None
                    else "the recording that its spikes are added to has changed. Generate the session anew"
                )
                raise SessionError(f"{self.folder} renders to other traces than when it was saved: {reason}.")
        return renderer

    def changed_parameters(self, **changes: Any) -> RenderingParameters:
        """Return the parameters with some changed; see :meth:`RenderingParameters.changed`.

        Raises
        ------
        TypeError
            If one is unknown, fixed by the session, or without effect in it.
        """
        parameters = self.parameters.changed(**changes)
        if self.scene.parent is not None and changes:
            raise TypeError(f"{next(iter(changes))!r} does not apply: the spikes are added to a recording.")
        unfit = [name for name in changes if name in OF_OWN_NOISE]
        if self.scene.noise is not None and unfit:
            raise TypeError(f"{unfit[0]!r} does not apply: the noise of this session is that of a recording.")
        return parameters


def _state(path: Path) -> tuple[int, int, int] | None:
    """What tells whether a file is still the same one, without reading it."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_ino, told.st_size, told.st_mtime_ns


def _named(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
