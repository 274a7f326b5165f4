"""How much of a measured vector of statistics is signal, and how well two populations agree in it.

A vector of estimates, one per unit or pair, is signal plus sampling noise. The noise of two random
halves of the trials is independent, so the covariance of the halves' vectors is the variance of the
signal, without any assumption about the noise. With it, the agreement of two populations is their
correlation corrected for attenuation (Spearman 1904): it reaches 1 for equal signals however few the
trials, where the plain correlation stays below.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikeinterface_gen.randomness import uniforms

__all__ = ["agreement", "excess", "signal_variance"]

_NUM_HALVINGS = 5


def signal_variance(
    statistic: Callable[[np.ndarray], np.ndarray],
    num_trials: int,
    *,
    seed: int = 0,
) -> float:
    """Return the variance of a statistic over units or pairs, freed of sampling noise.

    Parameters
    ----------
    statistic : callable
        Positions of trials → array of shape (…, units), NaN where undefined.
    num_trials : int
        Number of trials to halve.
    seed : int
        Of the halvings, over which the result is averaged.

    Returns
    -------
    float
        NaN with fewer than two trials, or where fewer than two elements are defined. May be negative
        where noise covers everything.
    """
    half = num_trials // 2
    if half < 1:
        return float("nan")
    covariances = []
    for k in range(_NUM_HALVINGS):
        order = np.argsort(uniforms(seed, "validation/halves", k, (num_trials,)))
        covariances.append(_covariance(statistic(order[:half]), statistic(order[half : 2 * half])))
    return float(np.mean(covariances))


def agreement(
    real: np.ndarray,
    synthetic: np.ndarray,
    real_signal_variance: float,
    synthetic_signal_variance: float,
) -> float:
    """Return the correlation of two vectors of statistics, corrected for the reliability of both.

    NaN where noise covers the signal of either side. Sampling may take it slightly above 1.
    """
    if not (real_signal_variance > 0 and synthetic_signal_variance > 0):
        return float("nan")
    return _covariance(real, synthetic) / float(np.sqrt(real_signal_variance * synthetic_signal_variance))


def excess(value: float, floor: float, real_signal_variance: float) -> float:
    """Return ``√(value² − floor²)`` relative to the s.d. of the real signal, 0 for a value below its floor.

    What is left of a root mean squared difference once the sampling noise of both sides, which the floor
    holds too, is taken away.
    """
    if not real_signal_variance > 0:
        return float("nan")
    return float(np.sqrt(max(value**2 - floor**2, 0.0) / real_signal_variance))


def _covariance(a: np.ndarray, b: np.ndarray) -> float:
    defined = np.isfinite(a) & np.isfinite(b)
    if defined.sum() < 2:
        return float("nan")
    x, y = a[defined].astype(np.float64), b[defined].astype(np.float64)
    return float(np.mean((x - x.mean()) * (y - y.mean())))
