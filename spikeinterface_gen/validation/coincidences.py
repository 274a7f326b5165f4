"""Coincidences of spikes at a lag, between all pairs of units at once.

``C_l[i, j] = Σ_trials Σ_t  s_i(t) · s_j(t + l)`` over the bins of a trial in which both ``t`` and ``t + l``
are valid: matrix products of the counts with themselves or, where few bins are occupied, all pairs of spikes
at that lag. Trials are padded with empty bins, so that no product reaches from one trial into the next. Products
of counts are whole numbers, and exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeinterface_gen.validation.events import Events

__all__ = ["coincidences", "lagged_bins", "tilings"]

# Below this share of occupied bins pairs of spikes are faster than matrix products.
_SPARSE_DENSITY = 0.04
_EXACT_FLOAT32 = 2**24


def coincidences(events: Events, lags: Sequence[int], units: np.ndarray) -> np.ndarray:
    """Coincidences of all ordered pairs of units.

    Parameters
    ----------
    events : Events
    lags : sequence of int, ≥ 0
        In bins. A negative lag is the transpose of the positive one.
    units : array of int
        Positions of the units, ascending.

    Returns
    -------
    array of float64, shape (lags, units, units)
    """
    if events.density < _SPARSE_DENSITY:
        return _of_pairs_of_events(events, lags, units)
    rows = _dense(events, units, max(lags, default=0))
    result = np.zeros((len(lags), len(units), len(units)))
    for k, lag in enumerate(lags):
        result[k] = rows[: len(rows) - lag].T @ rows[lag:]
    return result


def _of_pairs_of_events(events: Events, lags: Sequence[int], units: np.ndarray) -> np.ndarray:
    """Every event beside every event a lag later: few where bins are nearly all empty."""
    width = events.max_bins + max(lags, default=0)
    row, unit, spikes = _chosen(events, units, width)
    pointers = np.searchsorted(row, np.arange(events.num_trials * width + 1))
    single = bool(np.all(spikes == 1))
    result = np.empty((len(lags), len(units) ** 2))
    for k, lag in enumerate(lags):
        later = np.minimum(row + lag, len(pointers) - 2)
        start, number = pointers[later], pointers[later + 1] - pointers[later]
        first = np.repeat(np.arange(len(row)), number)
        second = np.arange(len(first)) + np.repeat(start - (np.cumsum(number) - number), number)
        weights = None if single else (spikes[first] * spikes[second]).astype(np.float64)
        result[k] = np.bincount(unit[first] * len(units) + unit[second], weights, minlength=len(units) ** 2)
    return result.reshape(len(lags), len(units), len(units))


def lagged_bins(num_bins: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Pairs of valid bins at each lag, over trials with ``num_bins`` valid bins, int64, shape (lags,)."""
    return np.maximum(np.asarray(num_bins)[None, :] - np.asarray(lags)[:, None], 0).sum(axis=1)


def tilings(events: Events, reach: int, units: np.ndarray) -> dict[str, np.ndarray]:
    """What the spike time tiling coefficient (Cutts and Eglen 2014) is made of.

    Parameters
    ----------
    events : Events
    reach : int
        A spike covers its own bin and ``reach`` bins on either side, within its trial.
    units : array of int
        Positions of the units, ascending.

    Returns
    -------
    dict from str to array of float64
        ``tile_near`` (units, units): spikes of the first unit in bins that the second one covers;
        ``tile_spikes`` (units,): spikes; ``tile_covered`` (units,): covered bins.
    """
    from scipy.sparse import csr_matrix

    row, unit, spikes = _chosen(events, units, events.max_bins)
    occupied = np.zeros((events.num_trials * events.max_bins, len(units)), bool)
    occupied[row, unit] = True
    covered = _dilated(occupied.reshape(events.num_trials, events.max_bins, len(units)), reach)
    if np.any(events.num_bins < events.max_bins):
        covered &= (np.arange(events.max_bins) < events.num_bins[:, None])[:, :, None]
    covered = covered.reshape(-1, len(units)).astype(np.float32)
    by_unit = csr_matrix((spikes.astype(np.float32), (unit, row)), shape=(len(units), len(covered)))
    return {
        "tile_near": np.asarray(by_unit @ covered, np.float64),
        "tile_spikes": np.bincount(unit, weights=spikes, minlength=len(units)),
        "tile_covered": covered.sum(axis=0, dtype=np.float64),
    }


def _dilated(occupied: np.ndarray, reach: int) -> np.ndarray:
    """Bins within ``reach`` of an occupied one, (trials, bins, units), in steps that double."""
    covered = occupied.copy()
    done = 0
    while done < reach:
        step = min(done + 1, reach - done)
        previous = covered.copy()
        covered[:, step:] |= previous[:, :-step]
        covered[:, :-step] |= previous[:, step:]
        done += step
    return covered


def _dense(events: Events, units: np.ndarray, padding: int) -> np.ndarray:
    """Counts of these units, each trial with ``padding`` empty bins at its end, (trials · bins, units)."""
    width = events.max_bins + padding
    row, unit, spikes = _chosen(events, units, width)
    # By Cauchy and Schwarz no sum of products exceeds the largest sum of squares; below 2²⁴ float32 is exact.
    largest = np.bincount(unit, weights=np.square(spikes.astype(np.float64)), minlength=1).max()
    dense = np.zeros((events.num_trials * width, len(units)), np.float32 if largest < _EXACT_FLOAT32 else np.float64)
    dense[row, unit] = spikes
    return dense


def _chosen(events: Events, units: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row ``trial · width + bin``, position among ``units`` and spikes of the events of these units."""
    row = events.trial * width + events.bin
    if len(units) == events.num_units:
        return row, events.unit, events.spikes
    place = np.full(events.num_units, -1)
    place[units] = np.arange(len(units))
    unit = place[events.unit]
    keep = unit >= 0
    return row[keep], unit[keep], events.spikes[keep]
