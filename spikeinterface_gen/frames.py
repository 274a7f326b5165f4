"""Seconds to frames to bins: the only place that rounds.

Spike times are held as integer frames counted from the start of their trial. Bin *k* of a trial covers
the frames ``edges[k] <= f < edges[k + 1]`` with ``edges[k] = round(k · bin_size · sampling_frequency)``.
Whoever turns spikes into counts, or counts into spikes, asks this module, so that a round trip is exact
also where a bin is no whole number of frames (1 ms at 24 414.0625 Hz, say).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["bin_edge_frames", "count_spikes", "num_whole_bins", "seconds_to_frames"]


def bin_edge_frames(num_bins: int, bin_size_ms: float, sampling_frequency: float) -> np.ndarray:
    """Frames at which the bins of a trial begin, and at which the last one ends.

    Parameters
    ----------
    num_bins : int
        Number of bins, at least 0.
    bin_size_ms : float
        Width of a bin in ms.
    sampling_frequency : float
        Frames per second, in Hz.

    Returns
    -------
    array of int64, shape (num_bins + 1,)
        ``round(k · bin_size_ms / 1000 · sampling_frequency)``, strictly increasing from 0.

    Raises
    ------
    ValueError
        If a value is not positive, or a bin is shorter than one frame.

    Examples
    --------
    >>> bin_edge_frames(3, bin_size_ms=10.0, sampling_frequency=30000.0)
    array([  0, 300, 600, 900])
    """
    if num_bins < 0:
        raise ValueError(f"num_bins must not be negative; got {num_bins}.")
    for name, value in (("bin_size_ms", bin_size_ms), ("sampling_frequency", sampling_frequency)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a positive number; got {value}.")
    if bin_size_ms * sampling_frequency < 1000.0:
        raise ValueError(
            f"a bin of {bin_size_ms:g} ms is shorter than one frame at sampling_frequency={sampling_frequency:g} Hz; "
            f"use at least {1000.0 / bin_size_ms:g} Hz."
        )
    return np.rint(np.arange(num_bins + 1) * bin_size_ms * sampling_frequency / 1000.0).astype(np.int64)


def seconds_to_frames(times_s: npt.ArrayLike, sampling_frequency: float) -> np.ndarray:
    """Nearest frame of each time in s, int64, of the same shape."""
    return np.rint(np.asarray(times_s, dtype=np.float64) * sampling_frequency).astype(np.int64)


def num_whole_bins(num_frames: int, bin_size_ms: float, sampling_frequency: float) -> int:
    """Number of bins that end within ``num_frames`` frames."""
    guess = int(num_frames * 1000.0 / (bin_size_ms * sampling_frequency)) + 2
    edges = bin_edge_frames(guess, bin_size_ms, sampling_frequency)
    return int(np.searchsorted(edges, num_frames, side="right")) - 1


def count_spikes(
    trials: npt.ArrayLike,
    units: npt.ArrayLike,
    frames: npt.ArrayLike,
    edges: np.ndarray,
    *,
    num_trials: int,
    num_units: int,
) -> np.ndarray:
    """Counts of a population from a flat list of spikes, unsigned, shape (num_trials, bins, num_units).

    Parameters
    ----------
    trials, units : array of int, shape (spikes,)
        Positions of the trial and of the unit of each spike.
    frames : array of int, shape (spikes,)
        Frame of each spike, counted from the start of its trial; those outside the bins are left out.
    edges : array of int, shape (bins + 1,)
        From :func:`bin_edge_frames`.
    num_trials, num_units : int
        Size of the result.
    """
    num_bins = len(edges) - 1
    bins = _bins_of(np.asarray(frames, dtype=np.int64), edges)
    inside = (bins >= 0) & (bins < num_bins)
    flat = np.ravel_multi_index(
        (
            np.asarray(trials, dtype=np.int64)[inside],
            bins[inside],
            np.asarray(units, dtype=np.int64)[inside],
        ),
        (num_trials, num_bins, num_units),
    )
    occupied, spikes = np.unique(flat, return_counts=True)
    # Sorted and small beats a 64-bit histogram of every bin, which would be eight times the result.
    counts = np.zeros(num_trials * num_bins * num_units, dtype=np.min_scalar_type(int(spikes.max(initial=0))))
    counts[occupied] = spikes
    return counts.reshape(num_trials, num_bins, num_units)


def _bins_of(frames: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Bin of each frame; -1 before the first, ``len(edges) - 1`` after the last."""
    return np.searchsorted(edges, frames, side="right") - 1
