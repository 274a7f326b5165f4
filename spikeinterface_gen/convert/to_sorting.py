"""SpikeCounts to a SpikeInterface sorting: one segment per trial, or all trials end to end."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from spikeinterface.core import BaseSorting, BaseSortingSegment
from spikeinterface.core.base import minimum_spike_dtype

from spikeinterface_gen.convert.from_sorting import TRIALS_KEY
from spikeinterface_gen.convert.metadata import plain_entries
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.observation.spike_times import place_spikes
from spikeinterface_gen.randomness import resolve_seed

__all__ = ["PlacedSegment", "PlacedSorting", "to_sorting"]


def to_sorting(
    counts: SpikeCounts,
    *,
    sampling_frequency: float = 30000.0,
    seed: int | None = 0,
    layout: Literal["trials", "session"] = "trials",
    gap_s: float = 0.0,
    watermark_key: str | bytes | None = None,
) -> PlacedSorting:
    """Place the spikes and return them as a sorting; see :meth:`SpikeCounts.to_sorting`."""
    if layout not in ("trials", "session"):
        raise ValueError(f"layout must be 'trials' or 'session'; got {layout!r}.")
    seed = resolve_seed(seed)
    placed = place_spikes(
        counts, sampling_frequency=sampling_frequency, seed=seed, gap_s=gap_s, watermark_key=watermark_key
    )
    spikes = np.zeros(len(placed), dtype=minimum_spike_dtype)
    spikes["unit_index"] = placed.unit
    annotations = {
        **plain_entries(counts.annotations),
        "bin_size_ms": counts.bin_size_ms,
        "spike_times_placed": True,
        "placement_seed": seed,
        "watermarked": watermark_key is not None,
    }
    t_starts_s: np.ndarray | None = None
    if layout == "trials":
        spikes["segment_index"] = placed.trial
        spikes["sample_index"] = placed.frame
        num_samples = placed.trial_frames
        t_starts_s = counts.t_starts_s
    else:
        spikes["sample_index"] = placed.session_frame
        # Spikes of one frame stand in the order of their units, as SpikeInterface has them.
        spikes = spikes[np.lexsort((spikes["unit_index"], spikes["sample_index"]))]
        ends = placed.start_frames + placed.trial_frames
        num_samples = ends[-1:]
        windows_s = np.column_stack([placed.start_frames, ends]) / placed.sampling_frequency
        annotations[TRIALS_KEY] = windows_s.tolist()
    return PlacedSorting(
        spikes,
        placed.sampling_frequency,
        counts.unit_ids,
        num_samples=num_samples,
        t_starts_s=t_starts_s,
        unit_properties=counts.unit_properties,
        annotations=annotations,
    )


class PlacedSorting(BaseSorting):
    """A sorting in memory that knows how long its segments are, and survives pickling.

    Trials without spikes keep their segment, also at the end. Write it to disk with ``save``.

    Parameters
    ----------
    spikes : structured array, shape (spikes,)
        SpikeInterface's spike vector, sorted by segment, sample and unit.
    sampling_frequency : float
        Frames per second, in Hz.
    unit_ids : array of int or str, shape (units,)
        Names of the units.
    num_samples : array of int, shape (segments,)
        Length of each segment in frames.
    t_starts_s : array of float, shape (segments,), optional
        Start of each segment in s.
    unit_properties : dict of arrays, optional
        Known about units.
    annotations : dict, optional
        Known about the whole.
    """

    def __init__(
        self,
        spikes: np.ndarray,
        sampling_frequency: float,
        unit_ids: np.ndarray,
        num_samples: np.ndarray,
        t_starts_s: np.ndarray | None = None,
        unit_properties: dict[str, np.ndarray] | None = None,
        annotations: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(sampling_frequency, unit_ids)
        self._serializability["json"] = False  # arrays; `save` writes them
        bounds = np.searchsorted(spikes["segment_index"], np.arange(len(num_samples) + 1))
        for k, length in enumerate(num_samples):
            t_start = None if t_starts_s is None else float(t_starts_s[k])
            self.add_sorting_segment(
                PlacedSegment(spikes[bounds[k] : bounds[k + 1]], self.unit_ids, int(length), t_start)
            )
        self._cached_spike_vector = spikes
        # Set here, because copies made in other processes keep only what the constructor is given.
        for name, values in (unit_properties or {}).items():
            self.set_property(name, values)
        self.annotate(**(annotations or {}))
        self._kwargs = {
            "spikes": spikes,
            "sampling_frequency": sampling_frequency,
            "unit_ids": unit_ids,
            "num_samples": num_samples,
            "t_starts_s": t_starts_s,
            "unit_properties": unit_properties,
            "annotations": annotations,
        }


class PlacedSegment(BaseSortingSegment):
    """The spikes of one segment, sorted by frame, and its length ``num_samples`` in frames."""

    def __init__(self, spikes: np.ndarray, unit_ids: np.ndarray, num_samples: int, t_start: float | None) -> None:
        super().__init__(t_start=t_start)
        self.num_samples = num_samples
        self._spikes = spikes
        self._positions = {unit_id: k for k, unit_id in enumerate(unit_ids)}

    def get_unit_spike_train(
        self, unit_id: int | str, start_frame: int | None = None, end_frame: int | None = None
    ) -> np.ndarray:
        frames = self._spikes["sample_index"]
        first = 0 if start_frame is None else np.searchsorted(frames, start_frame)
        last = len(frames) if end_frame is None else np.searchsorted(frames, end_frame)
        part = self._spikes[first:last]
        return part["sample_index"][part["unit_index"] == self._positions[unit_id]]
