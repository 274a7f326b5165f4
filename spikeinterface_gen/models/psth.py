"""Poisson models without correlations: what any generator of population activity has to beat.

Generative process: every unit fires independently, ``s[trial, bin, unit] ~ Poisson(λ[bin, unit])``.
:class:`PSTHPoisson` has a rate per unit and bin, :class:`HomogeneousPoisson` one per unit. They hold no
torch and fit in seconds.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.models.base import NotFittedError
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.observation.draw import draw_poisson
from spikeinterface_gen.provenance import provenance
from spikeinterface_gen.randomness import resolve_seed, uniforms

__all__ = ["HomogeneousPoisson", "PSTHPoisson"]

_WIDTHS_BINS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, np.inf)
_NUM_FOLDS = 5

# exp(-x²/2) is zero in double precision beyond.
_REACH_WIDTHS = 38.7
# Of a block of weights; 32 MB.
_BLOCK_ENTRIES = 4_000_000


class PSTHPoisson:
    """Independent Poisson units that follow their peri-stimulus time histogram (PSTH).

    Parameters
    ----------
    smoothing_bins : float, optional
        S.d. of the Gaussian that smooths the PSTH over time, in bins; 0 for none, infinity for a
        constant rate. Default: the width with the best held-out likelihood in five-fold
        cross-validation over trials, one for all units.

    Attributes
    ----------
    expected_counts_ : array of float64, shape (bins, units)
        Expected spikes per bin.
    smoothing_bins_ : float
        The width used.
    population_ : Population
        Units, bins and trial lengths of the data.

    Examples
    --------
    >>> counts = SpikeCounts(np.ones((20, 10, 3), dtype=np.uint8), bin_size_ms=20.0)
    >>> model = PSTHPoisson().fit(counts)
    >>> model
    PSTHPoisson of 3 units, 10 bins of 20 ms, not smoothed
    >>> model.sample(5, durations=0.1, seed=1).counts.shape
    (5, 5, 3)
    """

    def __init__(self, smoothing_bins: float | None = None) -> None:
        self.smoothing_bins = smoothing_bins

    def __repr__(self) -> str:
        name = type(self).__name__
        if not hasattr(self, "population_"):
            given = f"smoothing_bins={self.smoothing_bins!r}" if name == "PSTHPoisson" else ""
            return f"{name}({given}), not fitted"
        population, width = self.population_, self.smoothing_bins_
        told = {0.0: "not smoothed", np.inf: "constant rates"}.get(width, f"smoothed by {width:g} bins")
        return (
            f"{name} of {len(population.unit_ids)} units, {population.max_bins} bins of "
            f"{population.bin_size_ms:g} ms, {told}"
        )

    def _repr_html_(self) -> str:
        from spikeinterface_gen.html_repr import model_html

        return model_html(self)

    def fit(self, counts: SpikeCounts) -> Self:
        """Learn the expected counts of these trials; return self.

        Raises
        ------
        ValueError
            If ``smoothing_bins`` is negative.
        """
        width = self.smoothing_bins
        if width is not None and not width >= 0:
            raise ValueError(f"smoothing_bins must not be negative; got {width}.")
        self.smoothing_bins_ = _best_width(counts) if width is None else float(width)
        spikes, trials = counts.counts.sum(axis=0, dtype=np.float64), counts.mask.sum(axis=0)
        self.expected_counts_ = _smoothed(spikes, trials, self.smoothing_bins_)
        self.population_ = Population.of(counts, counts.max_bins)
        return self

    def sample(self, num_trials: int, *, durations: Any = None, seed: int | None = None) -> SpikeCounts:
        """Draw trials.

        Parameters
        ----------
        num_trials : int
            How many.
        durations : float or array of float, shape (num_trials,), optional
            Length of the trials in s. Default: lengths as in the data. Where these are no trials with a time origin,
            trials may be longer; beyond the longest recorded one, rates are their means.
        seed : int, optional
            Trial *i* of a seed is the same whatever ``num_trials``. None takes a fresh one, which
            ``annotations["seed"]`` holds.

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        ValueError
            If there is no trial, or a duration is too short or, for trials with a time origin, too long.
        """
        if not hasattr(self, "population_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit(counts) first.")
        seed = resolve_seed(seed)
        population = self.population_
        num_bins = population.draw_lengths(num_trials, durations, seed)
        expected = self.expected_counts_
        beyond = max(0, int(num_bins.max()) - len(expected))
        if beyond:
            expected = np.concatenate([expected, np.broadcast_to(expected.mean(axis=0), (beyond, expected.shape[1]))])
        trials = []
        for trial, length in enumerate(num_bins):
            u = uniforms(seed, "counts", trial, (length, expected.shape[1]))
            trials.append(draw_poisson(expected[:length], u))
        return SpikeCounts(
            trials,
            population.bin_size_ms,
            unit_ids=population.unit_ids,
            unit_properties=population.unit_properties,
            trial_locked=population.trial_locked,
            annotations=provenance(type(self).__name__, _sha256(self.expected_counts_), seed),
        )


class HomogeneousPoisson(PSTHPoisson):
    """Independent Poisson units of constant rate."""

    def __init__(self) -> None:
        super().__init__(smoothing_bins=np.inf)


def _best_width(counts: SpikeCounts) -> float:
    """Width in bins of the best Poisson likelihood of trials left out, every fifth one in turn."""
    folds = min(_NUM_FOLDS, counts.num_trials)
    if folds < 2:
        return float(_WIDTHS_BINS[-1])
    fold = np.arange(counts.num_trials) % folds
    spikes = np.stack([counts.counts[fold == k].sum(axis=0, dtype=np.float64) for k in range(folds)])
    trials = np.stack([counts.mask[fold == k].sum(axis=0) for k in range(folds)])
    gains = []
    for width in _WIDTHS_BINS:
        gain = 0.0
        for k in range(folds):
            others = np.arange(folds) != k
            expected = _smoothed(spikes[others].sum(axis=0), trials[others].sum(axis=0), width)
            # Half a spike over a whole session keeps the logarithm finite where none was seen.
            expected = np.maximum(expected, 0.5 / trials.sum())
            gain += float(np.sum(spikes[k] * np.log(expected) - trials[k][:, None] * expected))
        gains.append(gain)
    return float(_WIDTHS_BINS[int(np.argmax(gains))])


def _smoothed(spikes: np.ndarray, trials: np.ndarray, width_bins: float) -> np.ndarray:
    """Expected counts (bins, units): spikes over trials, both smoothed, so that sparse late bins weigh little."""
    sums = np.column_stack([trials, spikes])
    if np.isinf(width_bins):
        sums = np.broadcast_to(sums.sum(axis=0), sums.shape)
    elif width_bins > 0:
        sums = _gaussian_sums(sums, width_bins)
    seen = sums[:, :1]
    smoothed = sums[:, 1:] / np.maximum(seen, np.finfo(float).tiny)
    # A bin that no trial reaches has the mean of all.
    return np.where(seen > 0, smoothed, spikes.sum(axis=0) / trials.sum())


def _gaussian_sums(values: np.ndarray, width_bins: float) -> np.ndarray:
    """Sums over all bins with Gaussian weights, 1 at the bin itself; shape of ``values``, (bins, columns).

    Further than ``reach`` bins a weight is zero in double precision: a band of the matrix of weights is all of it. One
    block of the band serves all bins, so that time and memory grow with their number, not with its square.
    """
    num_bins = len(values)
    reach = min(int(np.ceil(_REACH_WIDTHS * width_bins)), num_bins - 1)
    block = min(max(1, _BLOCK_ENTRIES // (2 * reach + 1)), reach + 1, num_bins)
    ahead = np.arange(block + 2 * reach)[None, :] - np.arange(block)[:, None] - reach
    weights = np.where(np.abs(ahead) <= reach, np.exp(-0.5 * np.square(ahead / width_bins)), 0.0)
    padded = np.zeros((reach + num_bins + block + reach, values.shape[1]))
    padded[reach : reach + num_bins] = values
    sums = np.concatenate([weights @ padded[k : k + block + 2 * reach] for k in range(0, num_bins, block)])
    return sums[:num_bins]


def _sha256(array: np.ndarray) -> str:
    import hashlib

    return hashlib.sha256(array.tobytes()).hexdigest()
