"""Counts from expected counts and uniforms, by inversion of the distribution function.

A count is a function of its own uniform alone. The same uniforms therefore give the same counts
whatever else is drawn beside them, and counts rise with their expectation.
"""

from __future__ import annotations

import numpy as np

__all__ = ["MAX_EXPECTED_COUNTS", "draw_bernoulli", "draw_poisson"]

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
    cumulative = probability.copy()
    counts = np.zeros(expected.size, np.uint16)
    # Rounding may hold the sum below a uniform next to 1. No count lies 12 s.d. above its expectation.
    for k in range(1, int(largest + 12 * np.sqrt(largest)) + 40):
        if not left.size:
            break
        counts[left] = k
        probability *= mean / k
        cumulative += probability
        above = u > cumulative
        left, mean, u = left[above], mean[above], u[above]
        probability, cumulative = probability[above], cumulative[above]
    if counts.max(initial=0) <= np.iinfo(np.uint8).max:
        counts = counts.astype(np.uint8)
    return counts.reshape(expected.shape)


def draw_bernoulli(expected_counts: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Draw binary counts: 1 with probability ``1 − exp(−expected_counts)``, as uint8, of the same shape.

    It is the Poisson count of the same uniform, clipped at 1. Parameters and errors are those of
    :func:`draw_poisson`; an expectation may be of any size.
    """
    expected = _checked(expected_counts, uniforms)
    return (uniforms > np.exp(-expected)).astype(np.uint8)


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
