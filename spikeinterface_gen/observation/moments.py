"""Means, variances and correlations of counts per bin, recorded or of free runs, in groups of trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.observation.dispersion import Dispersion
from spikeinterface_gen.randomness import uniforms

__all__ = ["LATER", "CountMoments", "count_moments", "free_moments"]

NUM_GROUPS, NUM_HALVINGS = 8, 6
LATER = 3
"""Bins after which what is left of a correlation is that of the latents: in recorded data, the rest is gone by then."""
# A unit with fewer spikes says nothing about pairs.
MIN_SPIKES = 20


@dataclass(frozen=True)
class CountMoments:
    """Moments of counts per bin, in groups of trials.

    Attributes
    ----------
    mean, sd : array of float64, shape (units,)
    correlations : array of float32, shape (2, groups, units, units)
        Of each group, about the mean and relative to the s.d. of all trials: within a bin, and between bins that are
        :data:`LATER` bins apart, symmetrised.
    weights : array of float64, shape (groups,)
        Share of the bins.
    num_bins : int
        Bins in all groups.
    """

    mean: np.ndarray
    sd: np.ndarray
    correlations: np.ndarray
    weights: np.ndarray
    num_bins: int

    def over(self, lag: int, groups: np.ndarray | None = None) -> np.ndarray:
        """Correlations within a bin (``lag`` 0) or later (1), over all groups or some, shape (units, units)."""
        groups = np.arange(len(self.weights)) if groups is None else groups
        weights = self.weights[groups] / self.weights[groups].sum()
        return np.einsum("g,gij->ij", weights, self.correlations[lag, groups])

    def noises(self, lag: int, seed: int) -> Iterator[np.ndarray]:
        """Sampling noise of :meth:`over` all groups, shape (units, units): half of what random halves differ by."""
        num_groups = len(self.weights)
        for k in range(NUM_HALVINGS):
            half = np.argsort(uniforms(seed, "synchrony halves", k, (num_groups,))) < num_groups // 2
            yield (self.over(lag, np.flatnonzero(half)) - self.over(lag, np.flatnonzero(~half))) / 2

    @property
    def known_pairs(self) -> np.ndarray:
        """Pairs of different units with spikes enough, bool of shape (units, units)."""
        known = self.mean * self.num_bins >= MIN_SPIKES
        return np.outer(known, known) & ~np.eye(len(known), dtype=bool)


def count_moments(
    x: np.ndarray, valid: np.ndarray, seed: int, noise_variance: np.ndarray | float = 0.0
) -> CountMoments:
    """Moments of counts, shape (trials, bins, units), over ``valid`` bins, in random groups of trials.

    x may also be their expectations: ``noise_variance``, shape (units,), is by how much counts vary more.
    """
    num_trials, _, num_units = x.shape
    num_bins = int(valid.sum())
    mean = x.sum(axis=(0, 1), dtype=np.float64, where=valid[..., None]) / num_bins
    num_groups = min(NUM_GROUPS, num_trials)
    group = np.empty(num_trials, np.int64)
    group[np.argsort(uniforms(seed, "synchrony groups", 0, (num_trials,)))] = np.arange(num_trials) % num_groups
    products = np.zeros((2, num_groups, num_units, num_units), np.float32)
    terms = np.zeros((2, num_groups))
    for trial in range(num_trials):
        deviation = (x[trial, valid[trial]] - mean).astype(np.float32)
        for k, lag in enumerate((0, LATER)):
            products[k, group[trial]] += deviation[lag:].T @ deviation[: max(0, len(deviation) - lag)]
            terms[k, group[trial]] += max(0, len(deviation) - lag)
    variance = np.einsum("gii->i", products[0]) / num_bins + noise_variance
    sd = np.sqrt(np.maximum(variance, 1e-12))
    products /= (np.maximum(terms, 1)[:, :, None, None] * np.outer(sd, sd)).astype(np.float32)
    products[1] = (products[1] + products[1].swapaxes(1, 2)) / 2
    return CountMoments(mean, sd, products, terms[0] / num_bins, num_bins)


def free_moments(expected: np.ndarray, valid: np.ndarray, dispersion: Dispersion, seed: int) -> CountMoments:
    """Moments of the counts of free runs, of which r is ``expected``, shape (trials, bins, units)."""
    mean, variance = dispersion.mean_and_variance(expected)
    return count_moments(mean, valid, seed, variance.mean(axis=(0, 1), dtype=np.float64, where=valid[..., None]))
