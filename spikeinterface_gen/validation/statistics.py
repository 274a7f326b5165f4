"""Statistics of a population's spikes, of any set of its trials.

All follow from sums over spikes that add up over trials (:mod:`spikeinterface_gen.validation.sums`). Where a
statistic is not defined for a unit (no spike, too few intervals) it is NaN there; whoever compares two populations
leaves such units out on both sides.

Elephant is the reference for whatever it has: :mod:`spikeinterface_gen.validation.elephant`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Self

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.validation.layout import COARSE_BINS, Layout, default_num_lags
from spikeinterface_gen.validation.sums import SpikeSums, SumsOfGroups

__all__ = ["TrialStatistics", "default_num_lags"]

_SPECTRAL_BANDS = 8


class TrialStatistics:
    """Spike statistics of a population over all its trials; of some of them with ``counts[trials]``.

    Every method returns float64 arrays unless said otherwise.

    Parameters
    ----------
    counts : SpikeCounts
        The population.
    window_bins : int, optional
        Fano factor and spectra are of the first ``window_bins`` bins of every trial. Default: the length of the
        shortest trial.
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
        self.layout = Layout.of(counts, window_bins=window_bins, num_lags=num_lags, all_pairs=True)
        self._sums: SpikeSums | SumsOfGroups = SpikeSums(counts, self.layout)

    @classmethod
    def of_sums(cls, sums: SpikeSums | SumsOfGroups) -> Self:
        """Return the statistics that follow from these sums."""
        self = cls.__new__(cls)
        self.layout = sums.layout
        self._sums = sums
        return self

    # ---- rates -------------------------------------------------------------------------------

    def num_trials(self) -> int:
        """Number of trials."""
        return int(self._sums["num_trials"])

    def num_bins(self) -> int:
        """Number of valid bins."""
        return int(self._sums["num_bins"])

    def num_spikes(self) -> np.ndarray:
        """Number of spikes of each unit, shape (units,)."""
        return self._sums["unit_total"]

    def rates_hz(self) -> np.ndarray:
        """Mean firing rate of each unit in Hz, shape (units,)."""
        return _ratio(self.num_spikes(), self.num_bins() * self.layout.bin_size_s)

    def psth_hz(self) -> np.ndarray:
        """Rate of each unit over the time of a trial in Hz, in at most 50 bins, shape (psth bins, units).

        NaN where no trial lasts so long, and throughout where trials have no common time origin.
        """
        total = self._sums["psth_total"]
        if not self.layout.trial_locked:
            return np.full_like(total, np.nan)
        seconds = self._sums["psth_trials"] * (self.layout.psth_factor * self.layout.bin_size_s)
        return _ratio(total, seconds[:, None])

    def drifts_hz(self) -> np.ndarray:
        """Slow changes of each unit's rate over the session in Hz, shape (3, units).

        Coefficients of ``√2 cos(π k u)``, k = 1, 2, 3, where u runs from 0 to 1 over the trials of the session.
        """
        mean = _ratio(self.num_spikes(), self.num_bins())
        excess = self._sums["drift_total"] - np.outer(self._sums["drift_bins"], mean)
        return _ratio(excess, self._sums["drift_power"][:, None]) / self.layout.bin_size_s

    def fano_factors(self) -> np.ndarray:
        """Variance over mean (ddof 0) of the spikes in a trial's window, shape (units,); NaN for silent units."""
        number = self.num_trials()
        total, squares = self._sums["window_total"], self._sums["window_squares"]
        if number < 2:
            return np.full(len(total), np.nan)
        # In whole numbers up to the last division: equal counts have a variance of exactly 0.
        return _ratio(number * squares - total**2, number * total)

    # ---- the population ----------------------------------------------------------------------

    def population_histogram(self) -> np.ndarray:
        """Bins by the number of spikes that all units together fire in them, int64, shape (largest + 1,)."""
        histogram = np.rint(self._sums["population_histogram"]).astype(np.int64)
        return histogram[: int(np.flatnonzero(histogram)[-1]) + 1]

    def complexity_histogram(self) -> np.ndarray:
        """Bins by the number of units that fire in them, int64, shape (units + 1,) (Grün et al. 2008)."""
        return np.rint(self._sums["active_histogram"]).astype(np.int64)

    def population_shares(self) -> np.ndarray:
        """Share of bins in which all units together fire 0, 1, 2, … spikes, shape (largest of all trials + 1,)."""
        return _ratio(self._sums["population_histogram"], self._sums["population_histogram"].sum())

    def complexity_shares(self) -> np.ndarray:
        """Share of bins in which 0, 1, 2, … units fire, shape (units + 1,)."""
        return _ratio(self._sums["active_histogram"], self._sums["active_histogram"].sum())

    def participation_ratio(self) -> np.ndarray:
        """Dimensions that the counts in 5 bins fill, ``(tr C)² / tr C²`` of their covariance, shape (1,)."""
        covariance = self._covariance(COARSE_BINS[0])
        return _ratio(np.array([np.trace(covariance) ** 2]), np.sum(np.square(covariance)))

    def population_couplings(self) -> np.ndarray:
        """Correlation of each unit with the sum of all others, counts in 5 bins, shape (units,) (Okun et al. 2015)."""
        factor = COARSE_BINS[0]
        rows, total, squares = (self._sums[f"{name}_{factor}"] for name in ("rows", "total", "squares"))
        population, population_squares = self._sums[f"population_{factor}"]
        together = self._sums[f"with_population_{factor}"]
        rest_total = population - total
        rest_squares = population_squares - 2 * together + squares
        covariance = rows * (together - squares) - total * rest_total
        variances = (rows * squares - total**2) * (rows * rest_squares - rest_total**2)
        return _ratio(covariance, np.sqrt(np.maximum(variances, 0.0)))

    # ---- intervals ---------------------------------------------------------------------------

    def num_intervals(self) -> np.ndarray:
        """Number of inter-spike intervals of each unit, shape (units,)."""
        return self._sums["interval_number"]

    def num_interval_pairs(self) -> np.ndarray:
        """Number of pairs of successive intervals of each unit, shape (units,)."""
        return self._sums["pair_number"]

    def isi_mean_s(self) -> np.ndarray:
        """Mean interval of each unit in s, pooled over trials, shape (units,); NaN without an interval."""
        return _ratio(self._sums["interval_total"], self.num_intervals()) * self.layout.bin_size_s

    def isi_sd_s(self) -> np.ndarray:
        """Standard deviation (ddof 0) of the intervals of each unit in s, shape (units,); NaN without one."""
        mean = _ratio(self._sums["interval_total"], self.num_intervals())
        square = _ratio(self._sums["interval_squares"], self.num_intervals())
        return np.sqrt(np.maximum(square - mean**2, 0.0)) * self.layout.bin_size_s

    def isi_distributions(self) -> np.ndarray:
        """Share of each unit's intervals, rounded to whole bins, that are no longer than each of some lengths.

        Returns
        -------
        array, shape (lengths, units)
            At ``layout.interval_edges``; cumulative; NaN for units without an interval.
        """
        return _ratio(np.cumsum(self._sums["interval_histogram"], axis=0), self.num_intervals())

    def cv2(self) -> np.ndarray:
        """Mean CV2 over pairs of successive intervals of each unit, shape (units,); NaN without a pair."""
        return _ratio(self._sums["cv2_total"], self.num_interval_pairs())

    def lv(self) -> np.ndarray:
        """Local variation of the intervals of each unit, shape (units,); NaN without a pair of intervals."""
        return _ratio(self._sums["lv_total"], self.num_interval_pairs())

    # ---- correlations at lag 0 ---------------------------------------------------------------

    def correlations(self) -> np.ndarray:
        """Pearson correlation of the counts of each pair of units over all valid bins.

        Returns
        -------
        array, shape (pairs,)
            Of ``layout.correlation_units``, in the order of ``np.triu_indices(units, 1)``; NaN where a unit's count
            never changes.
        """
        units, (first, second) = self.layout.correlation_units, self.layout.correlation_pairs
        products = self._sums["products"]
        num_bins, total = self.num_bins(), self.num_spikes()[units]
        # In whole numbers, exact in float64: a constant unit has a variance of exactly 0.
        variance = num_bins * self._sums["unit_squares"][units] - total**2
        sd = np.sqrt(np.where(variance > 0, variance, np.nan))
        inverse, scaled = (v.astype(products.dtype, copy=False) for v in (np.sqrt(float(num_bins)) / sd, total / sd))
        result = products * inverse[first]
        result *= inverse[second]
        chance = scaled[first]
        chance *= scaled[second]
        result -= chance
        return result

    def correlations_of(self, factor: int) -> np.ndarray:
        """Pearson correlation of the counts in ``factor`` bins of each pair of ``layout.pair_units``, (pairs,)."""
        covariance = self._covariance(factor)
        return self._upper(covariance * _outer_inverse(np.diagonal(covariance)))

    def noise_correlations(self) -> np.ndarray:
        """Part of the correlation of PSTH bins that is not of the PSTH: what two units share trial by trial, (pairs,).

        ``W / (R − K)``, with the products W of deviations from the PSTH over R bins of trials and K bins of the
        PSTH, relative to the standard deviations of the counts. Signal and noise part add up to the correlation.
        """
        noise, total = self._noise_and_total
        return self._upper(noise * _outer_inverse(np.diagonal(total)))

    def signal_correlations(self) -> np.ndarray:
        """Part of the correlation of PSTH bins that two units share because of their PSTHs, (pairs,)."""
        noise, total = self._noise_and_total
        return self._upper((total - noise) * _outer_inverse(np.diagonal(total)))

    def spike_time_tilings(self) -> np.ndarray:
        """Spike time tiling coefficient of each pair of ``layout.pair_units``, pooled over trials, (pairs,).

        ``½ (P_A − T_B) / (1 − P_A T_B) + ½ (P_B − T_A) / (1 − P_B T_A)`` (Cutts and Eglen 2014): a spike covers its
        bin and ``layout.tile_bins`` on either side, within its trial; P is the share of one unit's spikes in bins
        that the other one covers, T the share of bins that a unit covers. NaN where a unit is silent.
        """
        near, spikes, covered = (self._sums[f"tile_{name}"] for name in ("near", "spikes", "covered"))
        share = _ratio(covered, self._sums["tile_bins"])
        proportion = _ratio(near, spikes[:, None])
        chance = proportion * share[None, :]
        numerator, denominator = proportion - share[None, :], 1.0 - chance
        # Where every spike is near and everything is covered, nothing could be more coincident.
        part = np.where(denominator == 0, 1.0, numerator / np.where(denominator == 0, 1.0, denominator))
        return self._upper(0.5 * (part + part.T))

    def triplet_correlations(self) -> np.ndarray:
        """Third joint cumulant of the counts in 5 bins of three units, over the product of their s.d., (triplets,)."""
        factor = COARSE_BINS[0]
        rows, units = float(self._sums[f"rows_{factor}"]), self.layout.pair_units
        if not rows or not len(self.layout.triplets):
            return np.full(len(self.layout.triplets), np.nan)
        mean = self._sums[f"total_{factor}"][units] / rows
        products = self._sums[f"products_{factor}"] / rows
        a, b, c = self.layout.triplets.T
        third = (
            self._sums["triples"] / rows
            - products[a, b] * mean[c]
            - products[a, c] * mean[b]
            - products[b, c] * mean[a]
            + 2.0 * mean[a] * mean[b] * mean[c]
        )
        variance = np.diagonal(products) - mean**2
        sd = np.sqrt(np.where(variance > 1e-12, variance, np.nan))
        return third / (sd[a] * sd[b] * sd[c])

    # ---- over time ---------------------------------------------------------------------------

    def autocorrelograms(self) -> np.ndarray:
        """Autocorrelation coefficient of each unit's counts at lags 1 … ``num_lags`` bins, within trials.

        ``(⟨s(t) s(t + l)⟩ − ⟨s⟩²) / Var s`` with averages over the valid bins.

        Returns
        -------
        array, shape (num_lags, units)
            NaN where a unit's count never changes, or no trial is longer than the lag.
        """
        mean, variance = self._moments()
        products = _ratio(self._sums["own_products"], self._sums["lagged_bins"][:, None])
        return _ratio(products - mean**2, variance)

    def cross_correlograms(self) -> np.ndarray:
        """Cross-correlation coefficient of all ordered pairs of ``layout.pair_units`` at lags 1 … ``num_lags`` bins.

        Within trials. ``[l − 1, i, j]`` is positive where unit j tends to fire ``l`` bins after unit i. Lag 0 is in
        :meth:`correlations`, negative lags are transposes.

        Returns
        -------
        array, shape (num_lags, units, units)
            NaN on the diagonal, and where a unit's count never changes or no trial is longer than the lag.
        """
        units = self.layout.pair_units
        mean, variance = (moment[units] for moment in self._moments())
        products = self._sums["lagged_products"]
        # In the precision of the sums: single where those of many groups of trials are kept.
        scale = _outer_inverse(variance).astype(products.dtype)
        np.fill_diagonal(scale, np.nan)
        bins = self._sums["lagged_bins"]
        inverse = np.divide(1.0, bins, out=np.full(len(bins), np.nan), where=bins > 0)
        result = products * inverse[:, None, None].astype(products.dtype)
        result -= np.outer(mean, mean).astype(products.dtype)
        result *= scale
        return result

    def power_spectra(self) -> np.ndarray:
        """Power spectral density of each unit's rate in Hz²/Hz, one-sided, shape (frequencies, units).

        Welch's: segments of ``layout.segment_bins`` within trials, end to end, mean taken away, Hann window.
        At 0, 1, 2, … cycles per segment. A Poisson unit has twice its rate at all of them but the first two and the
        last.
        """
        length = self.layout.segment_bins
        segments = float(self._sums["spectrum_segments"])
        window_power = float(np.sum(np.square(self.layout.segment_window)))
        sided = np.full(length // 2 + 1, 2.0)
        sided[0] = 1.0
        if length % 2 == 0:
            sided[-1] = 1.0
        # Counts to rates is a factor 1 / bin² in power; the density's unit adds one bin.
        scale = _ratio(sided, window_power * segments * self.layout.bin_size_s)
        return self._sums["spectrum_power"] * scale[:, None]

    def band_powers_db(self) -> np.ndarray:
        """Power spectra in eight bands of equal width in the logarithm of frequency, in dB, shape (bands, units).

        NaN for silent units.
        """
        power = self.power_spectra()[1:]
        borders = np.unique(np.geomspace(1, len(power) + 1, _SPECTRAL_BANDS + 1).round().astype(int))[:-1] - 1
        if not len(power):
            return np.full((1, power.shape[1]), np.nan)
        widths = np.diff(np.append(borders, len(power)))
        bands = np.add.reduceat(power, borders, axis=0) / widths[:, None]
        return 10.0 * np.log10(bands, out=np.full_like(bands, np.nan), where=bands > 0)

    # ---- inside ------------------------------------------------------------------------------

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each unit's counts over all valid bins."""
        num_bins, total = self.num_bins(), self.num_spikes()
        variance = _ratio(num_bins * self._sums["unit_squares"] - total**2, num_bins**2)
        return _ratio(total, num_bins), variance

    def _covariance(self, factor: int) -> np.ndarray:
        """Covariance (ddof 0) of counts in ``factor`` bins, (pair units, pair units), NaN without such bins."""
        rows, total = float(self._sums[f"rows_{factor}"]), self._sums[f"total_{factor}"][self.layout.pair_units]
        if rows < 2:
            return np.full((len(total), len(total)), np.nan)
        return (rows * self._sums[f"products_{factor}"] - np.outer(total, total)) / rows**2

    def _upper(self, matrix: np.ndarray) -> np.ndarray:
        return matrix[self.layout.pairs]

    @cached_property
    def _noise_and_total(self) -> tuple[np.ndarray, np.ndarray]:
        """Covariance of deviations from the PSTH, and of counts, unbiased, (pair units, pair units)."""
        trials = self._sums["psth_trials"]
        psth = self._sums["psth_total"][:, self.layout.pair_units][trials > 0]
        trials = trials[trials > 0]
        rows, psth_bins = trials.sum(), len(trials)
        products = self._sums["psth_products"]
        if not self.layout.trial_locked or rows <= psth_bins:
            nothing = np.full(products.shape, np.nan)
            return nothing, nothing
        total = psth.sum(axis=0)
        within = products - (psth / trials[:, None]).T @ psth
        return within / (rows - psth_bins), (products - np.outer(total, total) / rows) / (rows - 1)


def _ratio(numerator: np.ndarray, denominator: np.ndarray | float) -> np.ndarray:
    """Quotient, NaN where the denominator is zero."""
    denominator = np.asarray(denominator, np.float64)
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    return np.divide(numerator, denominator, out=np.full(shape, np.nan), where=denominator != 0)


def _outer_inverse(variance: np.ndarray) -> np.ndarray:
    """1 / (sd_i sd_j), NaN where a variance is zero; what rounding leaves of zero counts as zero."""
    sd = np.sqrt(np.where(variance > 1e-12, variance, np.nan))
    return 1.0 / np.outer(sd, sd)
