"""Spikes of uninterrupted stretches of a recording, in frames, to trials of counts.

Neo segments and segments of a sorting differ in how they hold spikes; once these are frames since the
start of their segment, both go through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.convert.intervals import interval_properties
from spikeinterface_gen.frames import bin_edge_frames, count_spikes, num_whole_bins

__all__ = ["Stretch", "Trials", "cut_into_trials", "intervals_of_stretches", "whole_window_bins"]


@dataclass(frozen=True, eq=False)
class Stretch:
    """Spikes between two moments of a recording.

    Attributes
    ----------
    units : array of int, shape (spikes,)
        Position of the unit of each spike.
    frames : array of int, shape (spikes,)
        Frame of each spike, counted from the start of the stretch; others than 0 … ``num_frames`` − 1
        are left out of the counts.
    num_frames : int
        Length.
    name : str
        What to call it in an error.
    """

    units: np.ndarray
    frames: np.ndarray
    num_frames: int
    name: str


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials cut from stretches.

    Attributes
    ----------
    counts : list of arrays of int, each of shape (bins, units)
        One a trial.
    stretch : array of int, shape (trials,)
        Position of the stretch of each trial.
    offset_s : array of float, shape (trials,)
        Where in its stretch each trial starts, in s.
    """

    counts: list[np.ndarray]
    stretch: np.ndarray
    offset_s: np.ndarray


def cut_into_trials(
    stretches: Sequence[Stretch],
    bin_size_ms: float,
    sampling_frequency: float,
    *,
    num_units: int,
    window_s: float | None = None,
) -> Trials:
    """Count the spikes of each stretch: as one trial, or in windows of ``window_s``.

    A bin that the stretch does not fill is left out, and so is what remains after the last whole window.

    Raises
    ------
    ValueError
        If a stretch is shorter than a bin, if ``window_s`` is no whole number of bins, or if no stretch
        is as long as a window.
    """
    lengths = [num_whole_bins(stretch.num_frames, bin_size_ms, sampling_frequency) for stretch in stretches]
    edges = bin_edge_frames(max(lengths, default=0), bin_size_ms, sampling_frequency)
    window_bins = None if window_s is None else whole_window_bins(window_s, bin_size_ms)
    counts: list[np.ndarray] = []
    origin: list[int] = []
    first_bins: list[int] = []
    for k, (stretch, num_bins) in enumerate(zip(stretches, lengths, strict=True)):
        if num_bins == 0 and window_bins is None:
            raise ValueError(
                f"{stretch.name} lasts {1000 * stretch.num_frames / sampling_frequency:g} ms, less than one bin of "
                f"{bin_size_ms:g} ms; leave it out or choose smaller bins."
            )
        size = num_bins if window_bins is None else window_bins
        num_trials = num_bins // size
        whole = count_spikes(
            np.zeros(len(stretch.frames), dtype=np.int64),
            stretch.units,
            stretch.frames,
            edges[: num_trials * size + 1],
            num_trials=1,
            num_units=num_units,
        )
        counts.extend(whole.reshape(num_trials, size, num_units))
        origin.extend([k] * num_trials)
        first_bins.extend(range(0, num_trials * size, size))
    if not counts:
        raise ValueError(
            f"window_s={window_s:g} s is longer than the recording: the longest of {len(stretches)} "
            f"segments lasts {max(lengths, default=0) * bin_size_ms / 1000:g} s. Choose shorter windows."
        )
    return Trials(
        counts=counts,
        stretch=np.array(origin, dtype=np.int64),
        offset_s=np.array(first_bins) * bin_size_ms / 1000.0,
    )


def intervals_of_stretches(
    stretches: Sequence[Stretch], *, num_units: int, sampling_frequency: float
) -> dict[str, np.ndarray]:
    """Short intervals and refractory period of each unit, over all stretches."""
    return interval_properties(
        np.repeat(np.arange(len(stretches)), [len(stretch.frames) for stretch in stretches]),
        np.concatenate([stretch.units for stretch in stretches]),
        np.concatenate([stretch.frames for stretch in stretches]),
        num_units=num_units,
        duration_s=sum(stretch.num_frames for stretch in stretches) / sampling_frequency,
        sampling_frequency=sampling_frequency,
    )


def whole_window_bins(window_s: float, bin_size_ms: float) -> int:
    """Bins of a window; a ValueError says where they are no whole number, or none."""
    bins = window_s * 1000.0 / bin_size_ms
    if not (np.isfinite(bins) and round(bins) >= 1 and abs(bins - round(bins)) < 1e-6 * bins):
        raise ValueError(
            f"window_s must be a whole number of bins of {bin_size_ms:g} ms, at least one; got {window_s:g} s."
        )
    return round(bins)
