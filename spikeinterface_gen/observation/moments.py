"""Means, variances and correlations of counts per bin, recorded or of free runs, in groups of trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikeinterface_gen.observation.calibration import spike_pairs
from spikeinterface_gen.observation.dispersion import Dispersion
from spikeinterface_gen.randomness import uniforms

__all__ = ["LATER", "Control", "CountMoments", "count_moments", "free_moments"]

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


@dataclass(frozen=True)
class Control:
    """Expected counts without history, which follow from latents at once, of few trials and of many (control variate).

    Few trials can be run bin by bin. What their moments are off by chance, those of their λ are off as well, and of λ
    the moments of many trials are known.

    Attributes
    ----------
    few : array, shape (trials, bins, units)
        Of the trials that are run.
    many : array, shape (more trials, bins, units)
    valid : array of bool, shape (more trials, bins)
    """

    few: np.ndarray
    many: np.ndarray
    valid: np.ndarray

    def of_units(self, units: slice) -> Control:
        """That of some of the units."""
        return Control(self.few[..., units], self.many[..., units], self.valid)

    def mean_ratio(self, valid: np.ndarray) -> np.ndarray:
        """Means over the ``valid`` bins of few trials, relative to those of many, shape (units,)."""
        few, many = (
            x.mean(axis=(0, 1), dtype=np.float64, where=where[..., None])
            for x, where in ((self.few, valid), (self.many, self.valid))
        )
        return few / np.maximum(many, 1e-12)

    def missing_excess(self, valid: np.ndarray, num_lags: int) -> np.ndarray:
        """By how much less few trials have than many of the excess of pairs of spikes, shape (units, lags)."""
        few, many = (
            spike_pairs(x, x, where, num_lags).excess for x, where in ((self.few, valid), (self.many, self.valid))
        )
        return many - few


class _Covariances(NamedTuple):
    """Of groups of trials: their share of the bins, and covariances at lags of 0 and LATER about the mean of all."""

    mean: np.ndarray
    of_groups: np.ndarray
    weights: np.ndarray
    num_bins: int


def count_moments(x: np.ndarray, valid: np.ndarray, seed: int) -> CountMoments:
    """Moments of counts, shape (trials, bins, units), over ``valid`` bins, in random groups of trials."""
    return _relative(_covariances(x, valid, seed), 0.0)


def free_moments(
    expected: np.ndarray, valid: np.ndarray, dispersion: Dispersion, seed: int, control: Control | None = None
) -> CountMoments:
    """Moments of the counts of free runs, of which r is ``expected``, shape (trials, bins, units)."""
    mean, variance = dispersion.mean_and_variance(expected)
    found = _covariances(mean, valid, seed)
    if control is not None:
        few, many = _covariances(control.few, valid, seed), _covariances(control.many, control.valid, seed)
        if len(few.of_groups) == len(many.of_groups):
            found = found._replace(of_groups=found.of_groups - few.of_groups + many.of_groups)
    return _relative(found, variance.mean(axis=(0, 1), dtype=np.float64, where=valid[..., None]))


def _covariances(x: np.ndarray, valid: np.ndarray, seed: int) -> _Covariances:
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
    products /= np.maximum(terms, 1)[:, :, None, None].astype(np.float32)
    products[1] = (products[1] + products[1].swapaxes(1, 2)) / 2
    return _Covariances(mean, products.swapaxes(0, 1), terms[0] / num_bins, num_bins)


def _relative(found: _Covariances, noise_variance: np.ndarray | float) -> CountMoments:
    """Correlations: relative to the s.d. of counts, which vary by ``noise_variance``, shape (units,), more."""
    variance = np.einsum("g,gii->i", found.weights, found.of_groups[:, 0], dtype=np.float64) + noise_variance
    sd = np.sqrt(np.maximum(variance, 1e-12))
    correlations = found.of_groups / np.outer(sd, sd).astype(np.float32)
    return CountMoments(found.mean, sd, correlations.swapaxes(0, 1), found.weights, found.num_bins)
