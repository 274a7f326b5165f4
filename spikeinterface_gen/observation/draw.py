"""Counts from expected counts and uniforms, by inversion of the distribution function.

A count is a function of its own uniform alone. The same uniforms therefore give the same counts
whatever else is drawn beside them, and counts rise with their expectation.
"""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.observation.dispersion import NUM_GAINS, Dispersion, further

__all__ = ["MAX_EXPECTED_COUNTS", "draw_counts", "draw_poisson"]

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
    return draw_counts(expected_counts, uniforms)


def draw_counts(expected_counts: np.ndarray, uniforms: np.ndarray, dispersion: Dispersion | None = None) -> np.ndarray:
    """Draw counts of bins; see :mod:`spikeinterface_gen.observation.dispersion`.

    Parameters
    ----------
    expected_counts : array of float, shape (…, units)
        r, between 0 and ``MAX_EXPECTED_COUNTS``; the expectation of Poisson counts.
    uniforms : array of float, of the same shape
    dispersion : Dispersion, optional
        Of the units. Default: Poisson.

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
    # Most bins are empty: only the others are looked at again. A count of k or more has u > 1 − P(s ≥ k).
    left = np.flatnonzero(uniforms.reshape(-1) > np.exp(-expected).reshape(-1))
    r, v = expected.reshape(-1)[left], 1.0 - np.asarray(uniforms, np.float64).reshape(-1)[left]
    slots, gains = np.inf, None
    if dispersion is not None:
        unit = left % expected.shape[-1]
        slots = dispersion.slots[unit] if np.isfinite(dispersion.slots).any() else np.inf
        gains = dispersion.gains[unit] if dispersion.gained.any() else None
    counts = np.zeros(expected.size, np.uint16)
    counts[left] = 1
    above, tail = -np.expm1(-r), further(r, slots)
    remaining = next(tail)
    # Rounding may hold the probability above zero. No count lies 12 s.d. above its expectation.
    for k in range(1, int(largest + 12 * np.sqrt(largest)) + 40):
        above = above * (1 - (remaining if gains is None else remaining ** gains[:, min(k, NUM_GAINS) - 1]))
        holds = v < above
        left, v, above = left[holds], v[holds], above[holds]
        if not len(left):
            break
        counts[left] = k + 1
        gains = None if gains is None else gains[holds]
        remaining = tail.send(holds)
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
