"""Inter-spike intervals of binned spikes.

Where only counts are known, the ``c`` spikes of a bin are put at its interior points ``j / (c + 1)``,
``j = 1 … c``, as in the LDNS paper. Intervals are taken within trials and pooled over them; none crosses
from one trial to the next. Times are in bins from the start of the trial.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Intervals", "interior_times", "intervals"]

_BLOCK_BINS = 1 << 24  # bins × units handled at once: bounds the working memory to some 100 MB


@dataclass(frozen=True)
class Intervals:
    """Every interval of a population.

    Attributes
    ----------
    trial, unit : array of int32, shape (intervals,)
        Positions of the trial and the unit of each interval, sorted by trial, then unit, then time.
    bins : array of float64, shape (intervals,)
        Length of each interval in bins.
    number, total, squares : array of float64, shape (trials, units)
        How many there are, their sum in bins and the sum of their squares.
    cv2_number, cv2_total : array of float64, shape (trials, units)
        Pairs of successive intervals, and the sum of ``2 |I₁ − I₂| / (I₁ + I₂)`` over them (Holt et al. 1996).
    """

    trial: np.ndarray
    unit: np.ndarray
    bins: np.ndarray
    number: np.ndarray
    total: np.ndarray
    squares: np.ndarray
    cv2_number: np.ndarray
    cv2_total: np.ndarray


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
    spikes = by_train[occupied].astype(np.int64)
    first = np.cumsum(spikes) - spikes
    order_in_bin = np.arange(spikes.sum()) - np.repeat(first, spikes) + 1
    train, bin_index = np.divmod(occupied, num_bins)
    return np.repeat(train, spikes), np.repeat(bin_index, spikes) + order_in_bin / np.repeat(spikes + 1.0, spikes)


def intervals(counts: np.ndarray) -> Intervals:
    """Return the inter-spike intervals of counts of shape (trials, bins, units)."""
    num_trials, num_bins, num_units = counts.shape
    step = max(1, _BLOCK_BINS // (num_bins * num_units))
    blocks = [_of_block(counts[start : start + step], start) for start in range(0, num_trials, step)]
    flat = (np.concatenate([block[k] for block in blocks]) for k in range(3))
    sums = (np.concatenate([block[k] for block in blocks]) for k in range(3, 8))
    return Intervals(*flat, *sums)


def _of_block(counts: np.ndarray, first_trial: int) -> tuple[np.ndarray, ...]:
    num_trials, _, num_units = counts.shape
    num_trains = num_trials * num_units
    train, times = interior_times(counts)
    within = train[1:] == train[:-1]
    interval = np.diff(times)[within]
    owner = train[1:][within]

    successive = owner[1:] == owner[:-1]
    before, after = interval[:-1][successive], interval[1:][successive]
    cv2 = 2.0 * np.abs(after - before) / (after + before)
    cv2_owner = owner[1:][successive]

    def summed(owners: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        sums = np.bincount(owners, weights=weights, minlength=num_trains)
        return sums.astype(np.float64).reshape(num_trials, num_units)

    trial, unit = np.divmod(owner, num_units)
    return (
        (trial + first_trial).astype(np.int32),
        unit.astype(np.int32),
        interval,
        summed(owner),
        summed(owner, interval),
        summed(owner, interval**2),
        summed(cv2_owner),
        summed(cv2_owner, cv2),
    )
