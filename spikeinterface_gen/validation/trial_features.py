"""A trial as a point: the features on which whole trials are compared.

Three blocks, each scaled to the same total variance, so that none drowns the others:

=============  ==================================================================================
``units``      √ of the spike count of each unit in each quarter of the trial, standardised
``modes``      the 16 leading principal components of the first block: what units share
``timing``     of the population: coincidences of units with themselves at lags of 1 to 10 bins over
               those expected by chance, index of dispersion of the population count in windows of
               1, 2, 4, … bins (log), its asymmetry under reversal of time, and the length of the trial
=============  ==================================================================================

Scales and components are those of all trials together, whichever side they are on: labels of trials can be
exchanged without changing a feature, which keeps permutation tests exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["root_window_counts", "trial_features"]

_NUM_WINDOWS = 4
_NUM_MODES = 16
_NUM_LAGS = 10
_LEAST = 1e-3
_BLOCK_ELEMENTS = 1 << 22


def trial_features(parts: Sequence[SpikeCounts]) -> list[np.ndarray]:
    """Features of the trials of several sets, on one scale.

    Parameters
    ----------
    parts : sequence of SpikeCounts
        The same units and bin size.

    Returns
    -------
    list of array of float64, shape (trials, features)
        One per part. Features that are the same in all trials are left out.

    Raises
    ------
    ValueError
        If no feature differs between any two trials.
    """
    windows = np.concatenate([root_window_counts(part) for part in parts]).astype(np.float64)
    units = _standardised(windows)
    if units.shape[1] == 0:
        raise ValueError("all trials hold the same spike counts (or no spikes): there is nothing to compare.")
    left, singular_values, _ = np.linalg.svd(units, full_matrices=False)
    modes = (left * singular_values)[:, :_NUM_MODES]
    shortest = min(int(part.num_bins.min()) for part in parts)
    timing = _standardised(np.concatenate([_timing(part, shortest) for part in parts]))
    blocks = [block / np.sqrt(block.var(axis=0).sum()) for block in (units, modes, timing) if block.shape[1]]
    borders = np.cumsum([part.num_trials for part in parts])[:-1]
    return np.split(np.concatenate(blocks, axis=1), borders)


def root_window_counts(counts: SpikeCounts) -> np.ndarray:
    """Square roots of the counts per unit and quarter of each trial, float32, (trials, windows · units)."""
    num_trials, max_bins, num_units = counts.counts.shape
    windows = np.minimum(
        np.arange(max_bins) * _NUM_WINDOWS // counts.num_bins[:, None],
        _NUM_WINDOWS - 1,  # bins of padding, which hold no spike
    )
    result = np.empty((num_trials, _NUM_WINDOWS, num_units), np.float32)
    for window in range(_NUM_WINDOWS):
        inside = (windows == window).astype(np.float32)
        result[:, window] = np.einsum("tb,tbu->tu", inside, counts.counts)
    return np.sqrt(result).reshape(num_trials, -1)


def _timing(counts: SpikeCounts, shortest: int) -> np.ndarray:
    """Timing of the population's spikes within each trial, at scales that the ``shortest`` has, (trials, features)."""
    population = counts.counts.sum(axis=2, dtype=np.float64)
    num_bins = counts.num_bins[:, None]
    columns = [num_bins, _own_coincidences(counts, shortest)]

    width = 1
    while shortest // width >= _NUM_WINDOWS:
        whole = counts.max_bins // width * width
        windows = population[:, :whole].reshape(len(population), -1, width).sum(axis=2)
        valid = np.arange(windows.shape[1]) < num_bins // width
        mean = np.mean(windows, axis=1, where=valid, keepdims=True)
        variance = np.var(windows, axis=1, where=valid, keepdims=True)
        columns.append(np.log(np.maximum(variance, _LEAST) / np.maximum(mean, _LEAST)))
        width *= 2

    mean = population.sum(axis=1, keepdims=True) / num_bins
    deviation = np.where(counts.mask, population - mean, 0.0)
    lag = 1
    while shortest // lag >= _NUM_WINDOWS:
        early, late = deviation[:, :-lag], deviation[:, lag:]
        # Third order: what is the same forwards and backwards cancels.
        asymmetry = np.sum(early**2 * late - early * late**2, axis=1, keepdims=True) / num_bins
        columns.append(asymmetry / np.maximum(mean, _LEAST) ** 1.5)
        lag *= 2
    return np.concatenate(columns, axis=1)


def _own_coincidences(counts: SpikeCounts, shortest: int) -> np.ndarray:
    """Coincidences of units with themselves at lags of 1, 2, … bins, over those expected by chance, (trials, lags)."""
    lags = np.arange(1, min(_NUM_LAGS, shortest - 1) + 1)
    observed = np.zeros((counts.num_trials, len(lags)))
    step = max(1, _BLOCK_ELEMENTS // (counts.max_bins * counts.num_units))
    for start in range(0, counts.num_trials, step):
        block = counts.counts[start : start + step].astype(np.float32)
        for lag in lags:
            observed[start : start + step, lag - 1] = np.einsum("tbu,tbu->t", block[:, :-lag], block[:, lag:])
    squares = np.square(counts.counts.sum(axis=1, dtype=np.float64)).sum(axis=1)[:, None]
    num_bins = counts.num_bins[:, None]
    expected = squares * (num_bins - lags) / num_bins**2
    # A trial without spikes has no more and no fewer coincidences than chance.
    return np.divide(observed, expected, out=np.ones_like(observed), where=expected > 0)


def _standardised(columns: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and variance 1; constant ones are left out."""
    centred = columns - columns.mean(axis=0)
    sd = centred.std(axis=0)
    # Rounding leaves constants with a variance of about 1e-16 of their square.
    varies = sd > 1e-9 * (1.0 + np.abs(columns).max(axis=0, initial=0.0))
    return centred[:, varies] / sd[varies]
