"""Statistics of a population's spikes, of any set of its trials.

A :class:`TrialStatistics` goes over the counts once and keeps sums per trial. The statistics of a set of
trials follow from the sums over it, so that the dozens of random splits behind a floor cost little.
Where a statistic is not defined for a unit (no spike, too few intervals) it is NaN there; whoever
compares two populations leaves such units out on both sides.

Elephant is the reference for each of them: :mod:`spikeinterface_gen.validation.elephant`.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.validation.coincidences import autocoincidences, coincidences, lagged_bins
from spikeinterface_gen.validation.interspike import Intervals, intervals

__all__ = ["TrialStatistics", "default_num_lags"]

_MAX_LAGS = 10


def default_num_lags(num_bins: int) -> int:
    """Lags of correlograms in bins: 10, and no more than half of a trial, at least 1."""
    return max(1, min(_MAX_LAGS, num_bins // 2))


class TrialStatistics:
    """Spike statistics of a population, for all trials or any set of them.

    Every method takes ``trials``, positions of shape (n,) (default: all of them), and returns float64
    arrays unless said otherwise.

    Parameters
    ----------
    counts : SpikeCounts
        The population.
    window_bins : int, optional
        The Fano factor counts spikes in the first ``window_bins`` bins of every trial. Default: the
        length of the shortest trial.
    num_lags : int, optional
        Lags of the correlograms, in bins. Default: :func:`default_num_lags` of the longest trial.

    Examples
    --------
    >>> counts = SpikeCounts(np.ones((4, 10, 3), dtype=np.uint8), bin_size_ms=20.0)
    >>> TrialStatistics(counts).rates_hz()
    array([50., 50., 50.])
    """

    def __init__(self, counts: SpikeCounts, *, window_bins: int | None = None, num_lags: int | None = None) -> None:
        shortest = int(counts.num_bins.min())
        if window_bins is not None and not 1 <= window_bins <= shortest:
            raise ValueError(f"window_bins must lie between 1 and the {shortest} bins of the shortest trial.")
        if num_lags is not None and num_lags < 1:
            raise ValueError(f"num_lags must be at least 1; got {num_lags}.")
        self.counts = counts
        self.bin_size_s = counts.bin_size_ms / 1000.0
        self.window_bins = shortest if window_bins is None else int(window_bins)
        self.num_lags = default_num_lags(counts.max_bins) if num_lags is None else int(num_lags)

    # ---- sums per trial ----------------------------------------------------------------------

    @cached_property
    def unit_counts(self) -> np.ndarray:
        """Spikes of each unit in each trial, shape (trials, units)."""
        return self.counts.counts.sum(axis=1, dtype=np.float64)

    @cached_property
    def unit_squares(self) -> np.ndarray:
        """Sum of squared bin counts of each unit in each trial, shape (trials, units)."""
        counts = self.counts.counts
        return np.einsum("tbu,tbu->tu", counts, counts, dtype=np.float64)

    @cached_property
    def window_counts(self) -> np.ndarray:
        """Spikes of each unit in the first ``window_bins`` bins of each trial, shape (trials, units)."""
        return self.counts.counts[:, : self.window_bins].sum(axis=1, dtype=np.float64)

    @cached_property
    def population_counts(self) -> np.ndarray:
        """Spikes over all units in each bin, int64, shape (trials, bins), zero beyond the valid bins."""
        return self.counts.counts.sum(axis=2, dtype=np.int64)

    @cached_property
    def intervals(self) -> Intervals:
        """Every inter-spike interval."""
        return intervals(self.counts.counts)

    @cached_property
    def _interval_keys(self) -> np.ndarray:
        # Half a bin rounds up; the margin keeps 1/3 + 2/3 on the same side everywhere.
        rounded = np.floor(self.intervals.bins + 0.5 + 1e-9).astype(np.int64)
        return self.intervals.unit.astype(np.int64) * (self.counts.max_bins + 1) + rounded

    @cached_property
    def _autocoincidences(self) -> np.ndarray:
        return autocoincidences(self.counts.counts, self.num_lags)

    # ---- statistics of a set of trials -------------------------------------------------------

    def num_bins(self, trials: np.ndarray | None = None) -> int:
        """Number of valid bins."""
        return int(self._of(self.counts.num_bins, trials).sum())

    def num_spikes(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Number of spikes of each unit, shape (units,)."""
        return self._of(self.unit_counts, trials).sum(axis=0)

    def rates_hz(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Mean firing rate of each unit in Hz, shape (units,)."""
        return self.num_spikes(trials) / (self.num_bins(trials) * self.bin_size_s)

    def population_histogram(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Bins by the number of spikes that all units together fire in them, int64, shape (largest + 1,)."""
        valid = self._of(self.counts.mask, trials)
        return np.bincount(self._of(self.population_counts, trials)[valid])

    def fano_factors(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Variance over mean (ddof 0) of the spikes in a trial's window, shape (units,); NaN for silent units."""
        window_counts = self._of(self.window_counts, trials)
        if len(window_counts) < 2:
            return np.full(window_counts.shape[1], np.nan)
        return _ratio(window_counts.var(axis=0), window_counts.mean(axis=0))

    def num_intervals(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Number of inter-spike intervals of each unit, shape (units,)."""
        return self._of(self.intervals.number, trials).sum(axis=0)

    def isi_mean_s(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Mean interval of each unit in s, pooled over trials, shape (units,); NaN without an interval."""
        return _ratio(self._of(self.intervals.total, trials).sum(axis=0), self.num_intervals(trials)) * self.bin_size_s

    def isi_sd_s(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Standard deviation (ddof 0) of the intervals of each unit in s, shape (units,); NaN without one."""
        number = self.num_intervals(trials)
        mean = _ratio(self._of(self.intervals.total, trials).sum(axis=0), number)
        square = _ratio(self._of(self.intervals.squares, trials).sum(axis=0), number)
        return np.sqrt(np.maximum(square - mean**2, 0.0)) * self.bin_size_s

    def cv2(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Mean CV2 over pairs of successive intervals of each unit, shape (units,); NaN without a pair."""
        return _ratio(self._of(self.intervals.cv2_total, trials).sum(axis=0), self.num_interval_pairs(trials))

    def num_interval_pairs(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Number of pairs of successive intervals of each unit, shape (units,)."""
        return self._of(self.intervals.cv2_number, trials).sum(axis=0)

    def isi_distributions(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Share of each unit's intervals that are no longer than 0, 1, 2, … bins, after rounding to whole bins.

        Returns
        -------
        array, shape (longest trial + 1, units)
            Cumulative; NaN for units without an interval.
        """
        num_units, width = self.counts.num_units, self.counts.max_bins + 1
        keys = self._interval_keys
        if trials is not None:
            times_chosen = np.bincount(trials, minlength=self.counts.num_trials)
            keys = np.repeat(keys, times_chosen[self.intervals.trial])
        histograms = np.bincount(keys, minlength=num_units * width).reshape(num_units, width).T
        return _ratio(np.cumsum(histograms, axis=0), histograms.sum(axis=0))

    def correlations(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Pearson correlation of the counts of each pair of units over all valid bins.

        Returns
        -------
        array, shape (units · (units − 1) / 2,)
            In the order of ``np.triu_indices(units, 1)``; NaN where a unit's count never changes.
        """
        num_bins = self.num_bins(trials)
        total = self.num_spikes(trials)
        together = coincidences(self._of(self.counts.counts, trials), [0])[0]
        # In whole numbers, exact in float64: a constant unit has a variance of exactly 0.
        covariance = num_bins * together - np.outer(total, total)
        sd = np.sqrt(np.diagonal(covariance))
        return _ratio(covariance, np.outer(sd, sd))[np.triu_indices(len(sd), 1)]

    def autocorrelograms(self, trials: np.ndarray | None = None) -> np.ndarray:
        """Autocorrelation coefficient of each unit's counts at lags 1 … ``num_lags`` bins, within trials.

        ``(⟨s(t) s(t + l)⟩ − ⟨s⟩²) / Var s`` with averages over the valid bins.

        Returns
        -------
        array, shape (num_lags, units)
            NaN where a unit's count never changes, or no trial is longer than the lag.
        """
        mean, variance = self._moments(trials)
        lags = range(1, self.num_lags + 1)
        products = self._of(self._autocoincidences, trials).sum(axis=0, dtype=np.float64)
        bins = lagged_bins(self._of(self.counts.num_bins, trials), lags)[:, None]
        return _ratio(_ratio(products, bins) - mean**2, variance)

    def cross_correlograms(self, trials: np.ndarray | None = None, units: np.ndarray | None = None) -> np.ndarray:
        """Cross-correlation coefficient of all ordered pairs of units at lags 1 … ``num_lags`` bins, within trials.

        ``[l − 1, i, j]`` is positive where unit j tends to fire ``l`` bins after unit i. Lag 0 is in
        :meth:`correlations`, negative lags are transposes. ``units`` holds positions of units (default: all).

        Returns
        -------
        array of float32, shape (num_lags, units, units)
            NaN on the diagonal, and where a unit's count never changes or no trial is longer than the lag.
        """
        mean, variance = self._moments(trials)
        chosen = self._of(self.counts.counts, trials)
        if units is not None:
            mean, variance, chosen = mean[units], variance[units], chosen[:, :, units]
        sd = np.sqrt(np.where(variance > 0, variance, np.nan))
        lags = range(1, self.num_lags + 1)
        bins = lagged_bins(self._of(self.counts.num_bins, trials), lags)
        products = coincidences(chosen, lags)
        result = np.full(products.shape, np.nan, np.float32)
        chance, scale = np.outer(mean, mean), 1.0 / np.outer(sd, sd)
        np.fill_diagonal(scale, np.nan)
        for k in np.flatnonzero(bins):
            result[k] = (products[k] / bins[k] - chance) * scale
        return result

    def _moments(self, trials: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each unit's counts over all valid bins."""
        num_bins = self.num_bins(trials)
        total = self.num_spikes(trials)
        squares = self._of(self.unit_squares, trials).sum(axis=0)
        return total / num_bins, (num_bins * squares - total**2) / num_bins**2

    @staticmethod
    def _of(array: np.ndarray, trials: np.ndarray | None) -> np.ndarray:
        return array if trials is None else array[trials]


def _ratio(numerator: np.ndarray, denominator: np.ndarray | float) -> np.ndarray:
    """Quotient, NaN where the denominator is zero."""
    denominator = np.asarray(denominator, np.float64)
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    return np.divide(numerator, denominator, out=np.full(shape, np.nan), where=denominator != 0)
