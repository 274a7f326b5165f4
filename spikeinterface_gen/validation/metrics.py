"""The metrics: each is one statistic of a population and one distance between its values on two sets of trials.

``PAPER_METRICS`` are the four of Table 1 of LDNS (Kapoor et al., NeurIPS 2024) as its authors computed them:

===================  ==========================================  =====================================
metric               ``METRICS``                                 ``PAPER_METRICS``
===================  ==========================================  =====================================
``population_count`` KL(data ‖ model) of histograms over all     KL(model ‖ data) of Gaussian kernel
                     whole numbers between the joint smallest    density estimates (Scott's width),
                     and largest count, ½ added to each          evaluated at whole numbers
``correlation``      RMSE over pairs of units                    RMSE over the full matrix, diagonal
                                                                 and upper triangle set to zero
``isi_mean``,        RMSE over units with at least               RMSE over units with an interval on
``isi_sd``           ``MIN_INTERVALS`` real intervals            both sides
===================  ==========================================  =====================================

KL(data ‖ model) rather than the reverse: it is the information, in nats a bin, that is lost by taking the
model for the data, and it punishes a model that lacks what the data do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.validation.layout import COARSE_BINS
from spikeinterface_gen.validation.statistics import TrialStatistics

__all__ = [
    "METRICS",
    "MIN_INTERVALS",
    "PAPER_METRICS",
    "Metric",
    "correlation_rmse_paper",
    "kolmogorov_smirnov",
    "population_count_divergence",
    "population_count_divergence_paper",
    "rmse",
]

MIN_INTERVALS = 5
"""Real intervals that a unit needs for its interval statistics to be compared (pairs of them for CV2 and Lv)."""


@dataclass(frozen=True)
class Metric:
    """A statistic and a distance between its values on two sets of trials.

    Attributes
    ----------
    name, label, unit : str
        Row of the table, words for figures, and unit of the distance.
    elements : str
        What the statistic has one value of: "units", "pairs", "triplets", "populations", or "bins" for a histogram.
    statistic : callable
        ``TrialStatistics → array``, units or pairs on the last axis; NaN where it is not defined.
    distance : callable
        ``(real, other) → float`` over the elements that are defined on both sides; NaN if none is.
    enough : callable, optional
        ``TrialStatistics → bool (units,)``: the units of which the real trials say enough.
    is_root_mean_square : bool
        Whether values of either sign are averaged as root mean square.
    needs_time_origin : bool
        Whether it says something only of trials that share a time origin.
    """

    name: str
    label: str
    unit: str
    elements: str
    statistic: Callable[[TrialStatistics], np.ndarray]
    distance: Callable[[np.ndarray, np.ndarray], float]
    enough: Callable[[TrialStatistics], np.ndarray] | None = None
    is_root_mean_square: bool = False
    needs_time_origin: bool = False

    @property
    def is_elementwise(self) -> bool:
        """Whether real and synthetic values can be set against each other, element by element."""
        return self.distance is rmse and self.elements != "populations"

    @property
    def is_divergence(self) -> bool:
        """Whether the distance grows as the square of a difference."""
        return self.distance in (population_count_divergence, population_count_divergence_paper)

    def average(self, values: np.ndarray) -> float:
        """What the statistic is on average over its elements; of a histogram, its mean; of drifts, their r.m.s."""
        if self.elements == "bins":
            return float(np.arange(len(values)) @ values / values.sum())
        values = values[np.isfinite(values)].astype(np.float64, copy=False)
        if not values.size:
            return float("nan")
        return float(np.sqrt(np.mean(np.square(values))) if self.is_root_mean_square else np.mean(values))

    def of_real(self, real: TrialStatistics) -> np.ndarray:
        """Value of the statistic on the real side: NaN also where these trials say too little of a unit."""
        values = self.statistic(real)
        return values if self.enough is None else np.where(self.enough(real), values, np.nan)


# ---- distances -------------------------------------------------------------------------------


def rmse(real: np.ndarray, other: np.ndarray) -> float:
    """Root mean squared difference over the elements that are defined on both sides."""
    difference = (other - real).ravel()
    defined = np.isfinite(difference)
    number = int(np.count_nonzero(defined))
    if not number:
        return float("nan")
    if number < len(difference):
        difference = difference[defined]
    difference = difference.astype(np.float64, copy=False)
    return float(np.sqrt(difference @ difference / number))


def population_count_divergence(real: np.ndarray, other: np.ndarray) -> float:
    """KL(real ‖ other) in nats of two histograms over 0, 1, 2, …, ½ added to each bin of their joint support."""
    size = max(len(real), len(other))
    histograms = np.stack([np.pad(h, (0, size - len(h))) for h in (real, other)]).astype(np.float64)
    occupied = np.flatnonzero(histograms.sum(axis=0))
    p, q = (h / h.sum() for h in histograms[:, occupied[0] : occupied[-1] + 1] + 0.5)
    return float(np.sum(p * np.log(p / q)))


def population_count_divergence_paper(real: np.ndarray, other: np.ndarray) -> float:
    """KL(other ‖ real) in nats of kernel density estimates at the whole numbers up to the joint largest count."""
    support = np.arange(max(len(real), len(other)))
    log_p, log_q = (_log_kernel_density(h, support) for h in (other, real))
    return float(np.sum(np.exp(log_p) * (log_p - log_q)))


def _log_kernel_density(histogram: np.ndarray, support: np.ndarray) -> np.ndarray:
    """Log of the Gaussian kernel density estimate of a histogram over 0, 1, …, made to sum to 1 over ``support``."""
    from scipy.special import logsumexp

    values = np.flatnonzero(histogram)
    weights = histogram[values]
    number = weights.sum()
    mean = np.sum(values * weights) / number
    variance = np.sum(weights * (values - mean) ** 2) / max(number - 1, 1)
    width = np.sqrt(variance) * number ** (-1 / 5)
    if width == 0:
        return np.full(len(support), np.nan)
    exponents = -0.5 * np.square((support[:, None] - values[None, :]) / width)
    log_density = logsumexp(exponents, b=weights[None, :], axis=1)
    return log_density - logsumexp(log_density)


def correlation_rmse_paper(real: np.ndarray, other: np.ndarray) -> float:
    """RMSE over all entries of a matrix that holds each pair once and is zero elsewhere."""
    num_units = (1 + np.sqrt(1 + 8 * len(real))) / 2
    return float(rmse(real, other) * np.sqrt((num_units - 1) / (2 * num_units)))


def kolmogorov_smirnov(real: np.ndarray, other: np.ndarray) -> float:
    """Largest distance of two distribution functions (lengths, units), mean over the units defined on both sides."""
    largest = np.abs(other - real).max(axis=0)
    largest = largest[np.isfinite(largest)]
    return float(largest.mean()) if largest.size else float("nan")


# ---- the metrics -----------------------------------------------------------------------------


def _log_fano_factors(side: TrialStatistics) -> np.ndarray:
    """Logarithms: on a linear scale the few units that burst in single trials would drown all others."""
    return _logarithm(side.fano_factors())


def _log_participation_ratio(side: TrialStatistics) -> np.ndarray:
    return _logarithm(side.participation_ratio())


def _correlations_5_bins(side: TrialStatistics) -> np.ndarray:
    return side.correlations_of(COARSE_BINS[0])


def _correlations_20_bins(side: TrialStatistics) -> np.ndarray:
    return side.correlations_of(COARSE_BINS[1])


def _logarithm(values: np.ndarray) -> np.ndarray:
    return np.log(values, out=np.full_like(values, np.nan), where=values > 0)


def _enough_intervals(real: TrialStatistics) -> np.ndarray:
    return real.num_intervals() >= MIN_INTERVALS


def _enough_pairs(real: TrialStatistics) -> np.ndarray:
    return real.num_interval_pairs() >= MIN_INTERVALS


_Statistics = TrialStatistics
_KL = population_count_divergence

METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "population_count", "population spike count (D_KL)", "nats", "bins", _Statistics.population_histogram, _KL
        ),
        Metric("correlation", "pairwise correlation", "", "pairs", _Statistics.correlations, rmse),
        Metric("isi_mean", "mean interval", "s", "units", _Statistics.isi_mean_s, rmse, _enough_intervals),
        Metric("isi_sd", "s.d. of intervals", "s", "units", _Statistics.isi_sd_s, rmse, _enough_intervals),
        Metric("rate", "firing rate", "Hz", "units", _Statistics.rates_hz, rmse),
        Metric("psth", "rate over a trial (PSTH)", "Hz", "units", _Statistics.psth_hz, rmse, needs_time_origin=True),
        Metric("drift", "slow drift over trials", "Hz", "units", _Statistics.drifts_hz, rmse, is_root_mean_square=True),
        Metric("fano_factor", "Fano factor (log)", "", "units", _log_fano_factors, rmse),
        Metric("cv2", "CV2", "", "units", _Statistics.cv2, rmse, _enough_pairs),
        Metric("lv", "Lv", "", "units", _Statistics.lv, rmse, _enough_pairs),
        Metric(
            "isi_distribution",
            "interval distribution (KS)",
            "",
            "units",
            _Statistics.isi_distributions,
            kolmogorov_smirnov,
            _enough_intervals,
        ),
        Metric("autocorrelogram", "autocorrelogram", "", "units", _Statistics.autocorrelograms, rmse),
        Metric("power_spectrum", "power spectrum", "dB", "units", _Statistics.band_powers_db, rmse),
        Metric("cross_correlogram", "cross-correlogram", "", "pairs", _Statistics.cross_correlograms, rmse),
        Metric("spike_time_tiling", "spike time tiling", "", "pairs", _Statistics.spike_time_tilings, rmse),
        Metric("correlation_5_bins", "correlation in 5 bins", "", "pairs", _correlations_5_bins, rmse),
        Metric("correlation_20_bins", "correlation in 20 bins", "", "pairs", _correlations_20_bins, rmse),
        Metric(
            "signal_correlation",
            "signal correlation",
            "",
            "pairs",
            _Statistics.signal_correlations,
            rmse,
            needs_time_origin=True,
        ),
        Metric(
            "noise_correlation",
            "noise correlation",
            "",
            "pairs",
            _Statistics.noise_correlations,
            rmse,
            needs_time_origin=True,
        ),
        Metric("triplet_correlation", "triplet correlation", "", "triplets", _Statistics.triplet_correlations, rmse),
        Metric("synchrony", "synchrony (D_KL of complexity)", "nats", "bins", _Statistics.complexity_histogram, _KL),
        Metric("population_coupling", "population coupling", "", "units", _Statistics.population_couplings, rmse),
        Metric("dimensionality", "participation ratio (log)", "", "populations", _log_participation_ratio, rmse),
    )
}

PAPER_METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "population_count",
            "population spike count (D_KL) as published",
            "nats",
            "bins",
            _Statistics.population_histogram,
            population_count_divergence_paper,
        ),
        Metric(
            "correlation",
            "pairwise correlation, as published",
            "",
            "pairs",
            _Statistics.correlations,
            correlation_rmse_paper,
        ),
        Metric("isi_mean", "mean interval, as published", "s", "units", _Statistics.isi_mean_s, rmse),
        Metric("isi_sd", "s.d. of intervals, as published", "s", "units", _Statistics.isi_sd_s, rmse),
    )
}
