"""Counts from expected counts and uniforms, by inversion of the distribution function.

A count is a function of its own uniform alone. The same uniforms therefore give the same counts
whatever else is drawn beside them, and counts rise with their expectation.
"""

from __future__ import annotations

import numpy as np

__all__ = ["MAX_EXPECTED_COUNTS", "draw_binomial", "draw_poisson"]

MAX_EXPECTED_COUNTS = 500.0
"""Largest expectation that :func:`draw_poisson` takes: beyond it, exp(−expectation) nears underflow."""


def draw_poisson(expected_counts: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Draw Poisson counts: the smallest ``k`` with ``P(count ≤ k) ≥ u``.

    Parameters
    ----------
    expected_counts : array of float
        Expected spikes per bin, between 0 and ``MAX_EXPECTED_COUNTS``.
    uniforms : array of float, of the same shape
        Between 0 and 1.

    Returns
    -------
    array of uint8, or of uint16 where a count exceeds 255, of the same shape

    Raises
    ------
    ValueError
        If the shapes differ, or an expectation is negative, not finite or too large.
    """
    return draw_binomial(expected_counts, np.inf, uniforms)


def draw_binomial(expected_counts: np.ndarray, slots: np.ndarray | float, uniforms: np.ndarray) -> np.ndarray:
    """Draw counts of bins with so many slots; see :mod:`spikeinterface_gen.observation.dispersion`.

    Parameters
    ----------
    expected_counts : array of float
        r, between 0 and ``MAX_EXPECTED_COUNTS``; the expectation where slots are infinite.
    slots : array of float or float
        m, whole or infinite; broadcasts against ``expected_counts``.
    uniforms : array of float, of the shape of ``expected_counts``

    Returns, Raises
    ---------------
    As :func:`draw_poisson`.
    """
    expected = _checked(expected_counts, uniforms)
    largest = float(expected.max(initial=0.0))
    if largest > MAX_EXPECTED_COUNTS:
        raise ValueError(
            f"expected_counts holds {largest:.4g} spikes in a bin; at most {MAX_EXPECTED_COUNTS:g} are drawn. "
            "No neuron fires so much in a bin: bound the rates, or take shorter bins."
        )
    probability = np.exp(-expected)
    # Most bins are empty: only the others are looked at again.
    left = np.flatnonzero(uniforms.reshape(-1) > probability.reshape(-1))
    mean, u = expected.reshape(-1)[left], np.asarray(uniforms, np.float64).reshape(-1)[left]
    probability = probability.reshape(-1)[left]
    m = np.broadcast_to(np.asarray(slots, np.float64), expected.shape).reshape(-1)[left]
    finite = np.isfinite(m)
    # P(k) / P(k - 1) = odds · (m - k + 1) / (m k), with odds = m p / (1 - p); for infinite m, r / k.
    odds = np.where(finite, np.where(finite, m, 1.0) * np.expm1(mean / m), mean)
    cumulative = probability.copy()
    counts = np.zeros(expected.size, np.uint16)
    # Rounding may hold the sum below a uniform next to 1. No count lies 12 s.d. above its expectation.
    for k in range(1, int(largest + 12 * np.sqrt(largest)) + 40):
        if not left.size:
            break
        counts[left] = k
        probability *= odds / k * (1 - (k - 1) / m)
        cumulative += probability
        above = (u > cumulative) & (k < m)
        left, odds, m, u = left[above], odds[above], m[above], u[above]
        probability, cumulative = probability[above], cumulative[above]
    if counts.max(initial=0) <= np.iinfo(np.uint8).max:
        counts = counts.astype(np.uint8)
    return counts.reshape(expected.shape)


def _checked(expected_counts: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    expected = np.asarray(expected_counts, np.float64)
    if expected.shape != np.shape(uniforms):
        raise ValueError(
            f"uniforms must have the shape of expected_counts, {expected.shape}; got {np.shape(uniforms)}."
        )
    # Also false for NaN.
    if expected.size and not (expected.min() >= 0 and expected.max() < np.inf):
        raise ValueError("expected_counts must be finite and not negative.")
    return expected
