"""Coincidences of spikes at a lag, between all pairs of units at once.

``C_l[i, j] = Σ_trials Σ_t  s_i(t) · s_j(t + l)`` over the bins of a trial in which both ``t`` and ``t + l``
are valid: matrix products of the counts with themselves. Trials are padded with empty bins, so that no
product reaches from one trial into the next. Products of counts are whole numbers and their sums are
exact in float32 below 2²⁴, which the blocks respect.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["autocoincidences", "coincidences", "lagged_bins"]

_BLOCK_ELEMENTS = 1 << 24
_EXACT_FLOAT32 = 2**24


def coincidences(counts: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Coincidences of all ordered pairs of units.

    Parameters
    ----------
    counts : array of unsigned int, shape (trials, bins, units)
        Zero beyond the valid bins.
    lags : sequence of int, ≥ 0
        In bins. A negative lag is the transpose of the positive one.

    Returns
    -------
    array of float64, shape (lags, units, units)
    """
    num_trials, num_bins, num_units = counts.shape
    padding = max(lags, default=0)
    result = np.zeros((len(lags), num_units, num_units))
    step = max(1, _BLOCK_ELEMENTS // ((num_bins + padding) * num_units))
    for start in range(0, num_trials, step):
        block = counts[start : start + step]
        # By Cauchy and Schwarz no sum exceeds the largest sum of squares.
        largest = np.einsum("nbu,nbu->u", block, block, dtype=np.float64).max()
        padded = np.zeros(
            (len(block), num_bins + padding, num_units), np.float32 if largest < _EXACT_FLOAT32 else np.float64
        )
        padded[:, :num_bins] = block
        rows = padded.reshape(-1, num_units)
        for k, lag in enumerate(lags):
            result[k] += rows[: len(rows) - lag].T @ rows[lag:]
    return result


def autocoincidences(counts: np.ndarray, num_lags: int) -> np.ndarray:
    """Coincidences of each unit with itself at lags 1 … ``num_lags`` bins, float32, (trials, num_lags, units)."""
    num_trials, num_bins, num_units = counts.shape
    result = np.zeros((num_trials, num_lags, num_units), np.float32)
    step = max(1, _BLOCK_ELEMENTS // (num_bins * num_units))
    for start in range(0, num_trials, step):
        block = counts[start : start + step].astype(np.float32)
        for lag in range(1, min(num_lags, num_bins - 1) + 1):
            result[start : start + step, lag - 1] = np.einsum("nbu,nbu->nu", block[:, :-lag], block[:, lag:])
    return result


def lagged_bins(num_bins: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Pairs of valid bins at each lag, over trials with ``num_bins`` valid bins, int64, shape (lags,)."""
    return np.maximum(np.asarray(num_bins)[None, :] - np.asarray(lags)[:, None], 0).sum(axis=1)
