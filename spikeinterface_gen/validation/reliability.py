"""How much of a measured vector of statistics is signal, and how well two populations agree in it.

A vector of estimates, one per unit or pair, is signal plus sampling noise. Its reliability is the share of
its variance that is signal. It follows from how well random halves of the trials correlate (Spearman 1910,
Brown 1910)::

    reliability = 2 r / (1 + r),    r = corr(one half, other half)

The agreement of two populations is their correlation, corrected for attenuation (Spearman 1904)::

    agreement = corr(real, synthetic) / √(reliability of real · reliability of synthetic)

It reaches 1 for equal signals however few the trials, where the plain correlation stays below.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from spikeinterface_gen.randomness import uniforms

__all__ = ["agreement", "correlation", "excess", "reliability"]

_NUM_HALVINGS = 5


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Pearson correlation over the elements that are defined on both sides; NaN where one is constant."""
    defined = np.isfinite(a) & np.isfinite(b)
    if not defined.any():
        return float("nan")
    x, y = a[defined].astype(np.float64), b[defined].astype(np.float64)
    x -= x.mean()
    y -= y.mean()
    scale = np.sqrt(np.sum(x * x) * np.sum(y * y))
    return float(np.sum(x * y) / scale) if scale > 0 else float("nan")


def reliability(statistic: Callable[[np.ndarray], np.ndarray], num_trials: int, *, seed: int = 0) -> float:
    """Return the share of signal in the variance of a statistic over units or pairs.

    Parameters
    ----------
    statistic : callable
        Positions of trials → array of any shape, NaN where undefined.
    num_trials : int
        Number of trials to halve.
    seed : int
        Of the halvings, over which the correlation is averaged.

    Returns
    -------
    float
        NaN with fewer than two trials, or where a half is constant. May be negative where noise covers
        everything.
    """
    half = num_trials // 2
    if half < 1:
        return float("nan")
    correlations = []
    for k in range(_NUM_HALVINGS):
        order = np.argsort(uniforms(seed, "validation/halves", k, (num_trials,)))
        correlations.append(correlation(statistic(order[:half]), statistic(order[half : 2 * half])))
    r = float(np.mean(correlations))
    return 2 * r / (1 + r) if r > -1 else float("nan")


def agreement(plain: float, real_reliability: float, synthetic_reliability: float) -> float:
    """Return a correlation of real and synthetic values, ``plain``, corrected for the reliability of both.

    NaN where noise covers the signal of the real side; 0 where the synthetic side has no signal to agree
    with. Sampling may take it slightly above 1.
    """
    if not real_reliability > 0 or np.isnan(plain):
        return float("nan")
    if not synthetic_reliability > 0:
        return 0.0
    return plain / float(np.sqrt(real_reliability * synthetic_reliability))


def excess(value: float, floor: float, signal_variance: float) -> float:
    """Return ``√(value² − floor²)`` relative to the s.d. of the real signal, 0 for a value below its floor.

    What is left of a root mean squared difference once the sampling noise of both sides, which the floor
    holds too, is taken away. NaN where there is no signal.
    """
    if not signal_variance > 0:
        return float("nan")
    return float(np.sqrt(max(value**2 - floor**2, 0.0) / signal_variance))
