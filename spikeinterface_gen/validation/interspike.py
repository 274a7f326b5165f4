"""Inter-spike intervals of binned spikes.

Where only counts are known, the ``c`` spikes of a bin are put at its interior points ``j / (c + 1)``,
``j = 1 … c``, as in the LDNS paper. Intervals are taken within trials and pooled over them; none crosses
from one trial to the next. Times are in bins from the start of the trial.
"""

from __future__ import annotations

import numpy as np

__all__ = ["interior_times", "interval_edges", "interval_sums", "times_of_trains"]

_EXACT_LENGTHS = 64
_NUM_EDGES = 96


def interior_times(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put the spikes of every bin at its interior points.

    Parameters
    ----------
    counts : array of unsigned int, shape (trials, bins, units)

    Returns
    -------
    train : array of int64, shape (spikes,)
        ``trial · units + unit`` of each spike, ascending.
    times : array of float64, shape (spikes,)
        In bins from the start of the trial, ascending within each train.
    """
    num_bins = counts.shape[1]
    by_train = np.ascontiguousarray(counts.transpose(0, 2, 1)).reshape(-1)
    occupied = np.flatnonzero(by_train)
    train, bin_ = np.divmod(occupied, num_bins)
    return _spread(train, bin_, by_train[occupied].astype(np.int64))


def times_of_trains(train: np.ndarray, bin_: np.ndarray, spikes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as :func:`interior_times` of occupied bins, each train's in the order of time."""
    order = np.argsort(train, kind="stable")
    return _spread(train[order], bin_[order], spikes[order])


def _spread(train: np.ndarray, bin_: np.ndarray, spikes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first = np.cumsum(spikes) - spikes
    order_in_bin = np.arange(spikes.sum()) - np.repeat(first, spikes) + 1
    return np.repeat(train, spikes), np.repeat(bin_, spikes) + order_in_bin / np.repeat(spikes + 1.0, spikes)


def interval_edges(max_bins: int) -> np.ndarray:
    """Lengths in bins, int64, at which distributions of intervals are compared: all up to 64, then ever fewer."""
    if max_bins <= _EXACT_LENGTHS:
        return np.arange(max_bins + 1)
    tail = np.geomspace(_EXACT_LENGTHS, max_bins, _NUM_EDGES - _EXACT_LENGTHS).round().astype(np.int64)
    return np.unique(np.concatenate([np.arange(_EXACT_LENGTHS), tail]))


def interval_sums(train: np.ndarray, times: np.ndarray, num_units: int, edges: np.ndarray) -> dict[str, np.ndarray]:
    """Sums over the intervals of each unit.

    Parameters
    ----------
    train, times : array, shape (spikes,)
        From :func:`interior_times`.
    num_units : int
    edges : array of int
        From :func:`interval_edges`.

    Returns
    -------
    dict from str to array of float64, shape (units,)
        ``interval_number``, ``interval_total`` (bins), ``interval_squares`` (bins²); ``pair_number`` of pairs
        of successive intervals, ``cv2_total`` of ``2 |I₁ − I₂| / (I₁ + I₂)`` (Holt et al. 1996) and
        ``lv_total`` of ``3 (I₁ − I₂)² / (I₁ + I₂)²`` (Shinomoto et al. 2003) over these pairs; and
        ``interval_histogram``, (lengths, units): intervals of more than the edge before and up to each edge.
    """
    within = train[1:] == train[:-1]
    interval = np.diff(times)[within]
    owner = train[1:][within]
    unit = owner % num_units

    successive = owner[1:] == owner[:-1]
    before, after = interval[:-1][successive], interval[1:][successive]
    relative = np.abs(after - before) / (after + before)
    pair_unit = unit[1:][successive]

    def summed(units: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(units, weights=weights, minlength=num_units).astype(np.float64)

    # Half a bin rounds up; the margin keeps 1/3 + 2/3 on the same side everywhere.
    rounded = np.floor(interval + 0.5 + 1e-9).astype(np.int64)
    place = np.searchsorted(edges, np.arange(edges[-1] + 1))[np.minimum(rounded, edges[-1])]
    histogram = np.bincount(place * num_units + unit, minlength=len(edges) * num_units)
    return {
        "interval_number": summed(unit),
        "interval_total": summed(unit, interval),
        "interval_squares": summed(unit, interval**2),
        "pair_number": summed(pair_unit),
        "cv2_total": summed(pair_unit, 2.0 * relative),
        "lv_total": summed(pair_unit, 3.0 * relative**2),
        "interval_histogram": histogram.reshape(len(edges), num_units).astype(np.float64),
    }
