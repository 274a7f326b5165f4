"""How much of a measured vector of statistics is signal, and how well two populations agree in it.

A vector of estimates, one per unit or pair, is signal plus sampling noise. Its reliability is the share of
its variance that is signal. It follows from how well random halves of the trials correlate (Spearman 1910,
Brown 1910)::

    reliability = 2 r / (1 + r),    r = corr(one half, other half)

The agreement of two populations is their correlation, corrected for attenuation (Spearman 1904)::

    agreement = corr(real, synthetic) / √(reliability of real · reliability of synthetic)

It reaches 1 for equal signals however few the trials, where the plain correlation stays below. Where noise covers the
signal, the correction divides by what may as well be zero: of n elements that share nothing, correlations spread with
a standard deviation of 1/√n, and what is below twice that counts as none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["agreement", "correlation", "excess", "more_than_chance", "spearman_brown"]


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


def more_than_chance(r: float, num_elements: int) -> float:
    """Return a correlation over so many elements, NaN where it is within two standard deviations of none."""
    return r if r > 2.0 / np.sqrt(num_elements) else float("nan")


def spearman_brown(correlations: Sequence[float], num_elements: int) -> float:
    """Return the share of signal in the variance of a statistic, from how halves of the trials correlate in it.

    Parameters
    ----------
    correlations : sequence of float
        Of the statistic on two disjoint halves, for several halvings.
    num_elements : int
        Units or pairs that they are over.

    Returns
    -------
    float
        NaN where a half is constant, or noise covers everything.
    """
    r = more_than_chance(float(np.mean(correlations)), num_elements)
    return 2 * r / (1 + r)


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
