"""Distances between the spike statistics of two populations of trials, and what they are for real ones.

Each :class:`Metric` is one statistic and one distance. A distance alone says little, since two finite
sets of real trials differ too: :func:`floors` draws that difference, at equal numbers of trials.

``paper=True`` gives the four metrics of Table 1 of LDNS (Kapoor et al., NeurIPS 2024) as its authors
computed them:

===================  ==========================================  =====================================
metric               here                                        ``paper=True``
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
from typing import NamedTuple

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.statistics import TrialStatistics

__all__ = [
    "MAX_CORRELOGRAM_UNITS",
    "METRICS",
    "MIN_INTERVALS",
    "PAPER_METRICS",
    "Metric",
    "Split",
    "compare",
    "draw_split",
    "equal_number",
    "floors",
]

MIN_INTERVALS = 5
"""Real intervals that a unit needs for its interval statistics to be compared (pairs of them for CV2)."""
MAX_CORRELOGRAM_UNITS = 300
"""Units whose cross-correlograms are compared, at most. Pairs grow as the square of the units, and what they say
does not."""

Trials = np.ndarray | None


@dataclass(frozen=True)
class Metric:
    """A statistic and a distance between its values on two sets of trials.

    Attributes
    ----------
    name, label, unit : str
        Row of the table, words for figures, and unit of the distance.
    elements : str
        What the statistic has one value of: "units", "pairs", or "bins" for a histogram over bins.
    statistic : callable
        ``(TrialStatistics, trials) → array``, units on the last axis; NaN where it is not defined.
    distance : callable
        ``(real, other) → float`` over the elements that are defined on both sides; NaN if none is.
    enough : callable, optional
        ``(TrialStatistics, trials) → bool (units,)``: the units of which the real trials say enough.
    """

    name: str
    label: str
    unit: str
    elements: str
    statistic: Callable[[TrialStatistics, Trials], np.ndarray]
    distance: Callable[[np.ndarray, np.ndarray], float]
    enough: Callable[[TrialStatistics, Trials], np.ndarray] | None = None

    @property
    def is_elementwise(self) -> bool:
        """Whether real and synthetic values can be set against each other, element by element."""
        return self.distance is rmse

    def of_real(self, real: TrialStatistics, trials: Trials = None) -> np.ndarray:
        """Value of the statistic on the real side: NaN also where these trials say too little of a unit."""
        values = self.statistic(real, trials)
        return values if self.enough is None else np.where(self.enough(real, trials), values, np.nan)


# ---- distances -------------------------------------------------------------------------------


def rmse(real: np.ndarray, other: np.ndarray) -> float:
    """Root mean squared difference over the elements that are defined on both sides."""
    difference = other - real
    difference = difference[np.isfinite(difference)].astype(np.float64, copy=False)
    return float(np.sqrt(np.mean(np.square(difference)))) if difference.size else float("nan")


def population_count_divergence(real: np.ndarray, other: np.ndarray) -> float:
    """KL(real ‖ other) in nats of two histograms over 0, 1, 2, …, ½ added to each bin of their joint support."""
    size = max(len(real), len(other))
    histograms = np.stack([np.pad(h, (0, size - len(h))) for h in (real, other)]).astype(np.float64)
    first = int(np.flatnonzero(histograms.sum(axis=0))[0])
    p, q = (h / h.sum() for h in histograms[:, first:] + 0.5)
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


def _log_fano_factors(side: TrialStatistics, trials: Trials) -> np.ndarray:
    """Logarithms: on a linear scale the few units that burst in single trials would drown all others."""
    factors = side.fano_factors(trials)
    return np.log(factors, out=np.full_like(factors, np.nan), where=factors > 0)


def _sampled_units(num_units: int) -> np.ndarray:
    """Positions of the units whose cross-correlograms are compared: all, or evenly spread ones of very many."""
    return np.unique(np.linspace(0, num_units - 1, min(num_units, MAX_CORRELOGRAM_UNITS)).round().astype(np.int64))


def _cross_correlograms(side: TrialStatistics, trials: Trials) -> np.ndarray:
    return side.cross_correlograms(trials, _sampled_units(side.counts.num_units))


def _enough_intervals(real: TrialStatistics, trials: Trials) -> np.ndarray:
    return real.num_intervals(trials) >= MIN_INTERVALS


def _enough_pairs(real: TrialStatistics, trials: Trials) -> np.ndarray:
    return real.num_interval_pairs(trials) >= MIN_INTERVALS


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "population_count",
            "population spike count (D_KL)",
            "nats",
            "bins",
            TrialStatistics.population_histogram,
            population_count_divergence,
        ),
        Metric("correlation", "pairwise correlation", "", "pairs", TrialStatistics.correlations, rmse),
        Metric("isi_mean", "mean interval", "s", "units", TrialStatistics.isi_mean_s, rmse, _enough_intervals),
        Metric("isi_sd", "s.d. of intervals", "s", "units", TrialStatistics.isi_sd_s, rmse, _enough_intervals),
        Metric("rate", "firing rate", "Hz", "units", TrialStatistics.rates_hz, rmse),
        Metric("fano_factor", "Fano factor (log)", "", "units", _log_fano_factors, rmse),
        Metric("cv2", "CV2", "", "units", TrialStatistics.cv2, rmse, _enough_pairs),
        Metric(
            "isi_distribution",
            "interval distribution (KS)",
            "",
            "units",
            TrialStatistics.isi_distributions,
            kolmogorov_smirnov,
            _enough_intervals,
        ),
        Metric("autocorrelogram", "autocorrelogram", "", "units", TrialStatistics.autocorrelograms, rmse),
        Metric("cross_correlogram", "cross-correlogram", "", "pairs", _cross_correlograms, rmse),
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
            TrialStatistics.population_histogram,
            population_count_divergence_paper,
        ),
        Metric(
            "correlation",
            "pairwise correlation, as published",
            "",
            "pairs",
            TrialStatistics.correlations,
            correlation_rmse_paper,
        ),
        Metric("isi_mean", "mean interval, as published", "s", "units", TrialStatistics.isi_mean_s, rmse),
        Metric("isi_sd", "s.d. of intervals, as published", "s", "units", TrialStatistics.isi_sd_s, rmse),
    )
}


# ---- real against synthetic, real against real -----------------------------------------------


def compare(real: SpikeCounts, synthetic: SpikeCounts, *, paper: bool = False) -> dict[str, float]:
    """Return the four metrics of the LDNS paper between real and synthetic trials, without their floors.

    Parameters
    ----------
    real, synthetic : SpikeCounts
        The same units and bin size. All trials of both are used: only values at equal numbers of
        trials can be set side by side.
    paper : bool
        The published definitions.

    Returns
    -------
    dict
        ``population_count`` in nats, ``correlation``, ``isi_mean`` and ``isi_sd`` in s. NaN where no
        unit has enough spikes for the statistic.
    """
    check_same_population(real, synthetic)
    chosen = PAPER_METRICS if paper else {name: METRICS[name] for name in PAPER_METRICS}
    sides = TrialStatistics(real), TrialStatistics(synthetic)
    return {
        name: metric.distance(metric.of_real(sides[0]), metric.statistic(sides[1], None))
        for name, metric in chosen.items()
    }


def floors(
    real: SpikeCounts,
    train: SpikeCounts | None,
    metric: str,
    *,
    num_trials: int | None = None,
    num_splits: int = 20,
    seed: int = 0,
    paper: bool = False,
) -> np.ndarray:
    """Return the distance of real from other real trials, drawn repeatedly: what a perfect model would get.

    Parameters
    ----------
    real : SpikeCounts
        The trials that synthetic ones are compared with.
    train : SpikeCounts or None
        Other real trials, of which ``num_trials`` are drawn each time. None halves ``real`` instead.
    metric : str
        A name in ``METRICS`` (``PAPER_METRICS`` with ``paper=True``).
    num_trials : int, optional
        On either side. Default: as many as ``real`` has, but at most half of ``train`` (of ``real`` without it).
    num_splits, seed : int
        Number of draws, and the seed that they follow from.

    Returns
    -------
    array of float64, shape (num_splits,)
    """
    available = PAPER_METRICS if paper else METRICS
    if metric not in available:
        raise ValueError(f"metric must be one of {', '.join(available)}; got {metric!r}.")
    if train is not None:
        check_same_population(real, train, "train")
    most = equal_number(real.num_trials, real.num_trials, None if train is None else train.num_trials)
    number = most if num_trials is None else num_trials
    if not 1 <= number <= most:
        raise ValueError(f"num_trials must lie between 1 and {most} for these trials; got {number}.")
    ours = TrialStatistics(real)
    others = ours if train is None else TrialStatistics(train, num_lags=ours.num_lags)
    window = min(ours.window_bins, others.window_bins)
    ours.window_bins = others.window_bins = window
    chosen = available[metric]
    result = np.empty(num_splits)
    for k in range(num_splits):
        split = draw_split(number, real.num_trials, number, None if train is None else train.num_trials, seed, k)
        if k == 0 or train is None or number < real.num_trials:
            reference = chosen.of_real(ours, split.real)
        result[k] = chosen.distance(reference, chosen.statistic(others, split.other_real))
    return result


class Split(NamedTuple):
    """Positions of the trials of one comparison, as many of each kind; ``other_real`` in ``train`` if there is one."""

    real: np.ndarray
    synthetic: np.ndarray
    other_real: np.ndarray


def equal_number(num_real: int, num_synthetic: int, num_train: int | None) -> int:
    """Trials on either side of a comparison.

    At most half of ``train`` (without it, of ``real``): the real trials drawn for the floor must differ from
    one split to the next, or nothing would be known of its spread.
    """
    return min(num_real, num_synthetic, num_train // 2) if num_train is not None else min(num_real // 2, num_synthetic)


def draw_split(number: int, num_real: int, num_synthetic: int, num_train: int | None, seed: int, index: int) -> Split:
    """Draw the ``index``-th split into ``number`` trials of each kind."""
    synthetic = _draw(num_synthetic, number, seed, "synthetic", index)
    if num_train is not None:
        return Split(
            _draw(num_real, number, seed, "real", index), synthetic, _draw(num_train, number, seed, "train", index)
        )
    drawn = _draw(num_real, num_real, seed, "real", index)
    return Split(drawn[:number], synthetic, drawn[number : 2 * number])


def _draw(num_trials: int, number: int, seed: int, stage: str, index: int) -> np.ndarray:
    """Draw ``number`` of ``num_trials`` positions without replacement."""
    return np.argsort(uniforms(seed, f"validation/{stage}", index, (num_trials,)))[:number]


def check_same_population(real: SpikeCounts, other: SpikeCounts, name: str = "synthetic") -> None:
    """Raise a ValueError unless both have the same units in the same order, and the same bins."""
    if real.bin_size_ms != other.bin_size_ms:
        raise ValueError(
            f"real has bins of {real.bin_size_ms:g} ms and {name} of {other.bin_size_ms:g} ms; bin both alike."
        )
    if not np.array_equal(real.unit_ids, other.unit_ids):
        missing = np.setdiff1d(real.unit_ids.astype(str), other.unit_ids.astype(str)).size
        what = f"{missing} of the {real.num_units} units of real are missing" if missing else "their order differs"
        raise ValueError(
            f"real and {name} must hold the same units in the same order: {what}. "
            f"Use {name}.select_units(real.unit_ids)."
        )
