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

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.statistics import TrialStatistics

__all__ = ["METRICS", "MIN_INTERVALS", "PAPER_METRICS", "Metric", "compare", "draw_trials", "floors"]

MIN_INTERVALS = 10

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
        ``(TrialStatistics, trials) → array``; NaN where it is not defined.
    distance : callable
        ``(real, other, keep) → float``; ``keep`` of shape (units,) or None says which units take part.
        NaN if none is left.
    enough : callable, optional
        ``(TrialStatistics, trials) → bool (units,)``: the units of which the real trials say enough.
    """

    name: str
    label: str
    unit: str
    elements: str
    statistic: Callable[[TrialStatistics, Trials], np.ndarray]
    distance: Callable[[np.ndarray, np.ndarray, Trials], float]
    enough: Callable[[TrialStatistics, Trials], np.ndarray] | None = None

    @property
    def is_elementwise(self) -> bool:
        """Whether real and synthetic values can be set against each other, element by element."""
        return self.distance is rmse

    def keep(self, real: TrialStatistics, trials: Trials = None) -> Trials:
        """Units of which these real trials say enough, bool, shape (units,), or None for all."""
        return None if self.enough is None else self.enough(real, trials)


# ---- distances -------------------------------------------------------------------------------


def rmse(real: np.ndarray, other: np.ndarray, keep: Trials = None) -> float:
    """Root mean squared difference over the elements that are defined on both sides."""
    difference = (other - real).astype(np.float64, copy=False)
    if keep is not None:
        difference = difference[..., keep]
    squares = np.square(difference[np.isfinite(difference)])
    return float(np.sqrt(squares.mean())) if squares.size else float("nan")


def population_count_divergence(real: np.ndarray, other: np.ndarray, keep: Trials = None) -> float:
    """KL(real ‖ other) in nats of two histograms over 0, 1, 2, …, ½ added to each bin of their joint support."""
    size = max(len(real), len(other))
    histograms = np.stack([np.pad(h, (0, size - len(h))) for h in (real, other)]).astype(np.float64)
    first = int(np.flatnonzero(histograms.sum(axis=0))[0])
    p, q = (h / h.sum() for h in histograms[:, first:] + 0.5)
    return float(np.sum(p * np.log(p / q)))


def population_count_divergence_paper(real: np.ndarray, other: np.ndarray, keep: Trials = None) -> float:
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


def correlation_rmse_paper(real: np.ndarray, other: np.ndarray, keep: Trials = None) -> float:
    """RMSE over all entries of a matrix that holds each pair once and is zero elsewhere."""
    num_units = (1 + np.sqrt(1 + 8 * len(real))) / 2
    return float(rmse(real, other) * np.sqrt((num_units - 1) / (2 * num_units)))


def interval_ks(real: np.ndarray, other: np.ndarray, keep: Trials = None) -> float:
    """Kolmogorov–Smirnov distance of the interval distributions of a unit, mean over units.

    ``real`` and ``other`` are histograms of shape (units, lengths).
    """
    defined = (real.sum(axis=1) > 0) & (other.sum(axis=1) > 0)
    if keep is not None:
        defined &= keep
    if not defined.any():
        return float("nan")
    real_cdf, other_cdf = (
        np.cumsum(h[defined], axis=1) / h[defined].sum(axis=1, keepdims=True) for h in (real, other)
    )
    return float(np.abs(real_cdf - other_cdf).max(axis=1).mean())


# ---- the metrics -----------------------------------------------------------------------------


def _enough_intervals(real: TrialStatistics, trials: Trials) -> np.ndarray:
    return real.num_intervals(trials) >= MIN_INTERVALS


def _enough_pairs(real: TrialStatistics, trials: Trials) -> np.ndarray:
    return real.num_interval_pairs(trials) >= MIN_INTERVALS


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "population_count",
            "population spike count, D_KL",
            "nats",
            "bins",
            TrialStatistics.population_histogram,
            population_count_divergence,
        ),
        Metric("correlation", "pairwise correlation", "", "pairs", TrialStatistics.correlations, rmse),
        Metric("isi_mean", "mean interval", "s", "units", TrialStatistics.isi_mean_s, rmse, _enough_intervals),
        Metric("isi_sd", "s.d. of intervals", "s", "units", TrialStatistics.isi_sd_s, rmse, _enough_intervals),
        Metric("rate", "firing rate", "Hz", "units", TrialStatistics.rates_hz, rmse),
        Metric("fano_factor", "Fano factor", "", "units", TrialStatistics.fano_factors, rmse),
        Metric("cv2", "CV2", "", "units", TrialStatistics.cv2, rmse, _enough_pairs),
        Metric(
            "isi_distribution",
            "interval distribution, KS",
            "",
            "units",
            TrialStatistics.isi_histograms,
            interval_ks,
            _enough_intervals,
        ),
        Metric("autocorrelogram", "autocorrelogram", "", "units", TrialStatistics.autocorrelograms, rmse),
        Metric("cross_correlogram", "cross-correlogram", "", "pairs", TrialStatistics.cross_correlograms, rmse),
    )
}

PAPER_METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "population_count",
            "population spike count, D_KL as published",
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
        name: metric.distance(*(metric.statistic(side, None) for side in sides), metric.keep(sides[0]))
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
        On either side. Default: as many as ``real`` has and ``train`` allows, or half of ``real``.
    num_splits, seed : int
        Number of draws, and the seed that they follow from.

    Returns
    -------
    array of float64, shape (num_splits,)
    """
    available = PAPER_METRICS if paper else METRICS
    if metric not in available:
        raise ValueError(f"metric must be one of {', '.join(available)}; got {metric!r}.")
    most = real.num_trials // 2 if train is None else min(real.num_trials, train.num_trials)
    number = most if num_trials is None else num_trials
    if not 1 <= number <= most:
        raise ValueError(f"num_trials must lie between 1 and {most} for these trials; got {number}.")
    window = int(real.num_bins.min() if train is None else min(real.num_bins.min(), train.num_bins.min()))
    sides = [TrialStatistics(real, window_bins=window)]
    if train is not None:
        check_same_population(real, train, "train")
        sides.append(TrialStatistics(train, window_bins=window, num_lags=sides[0].num_lags))
    chosen = available[metric]
    result = np.empty(num_splits)
    for k in range(num_splits):
        drawn = draw_trials(real.num_trials, 2 * number if train is None else number, seed, "real", k)
        ours, others = (drawn[:number], drawn[number:]) if train is None else (drawn, None)
        if train is not None:
            others = draw_trials(train.num_trials, number, seed, "train", k)
        values = chosen.statistic(sides[0], ours), chosen.statistic(sides[-1], others)
        result[k] = chosen.distance(*values, chosen.keep(sides[0], ours))
    return result


def draw_trials(num_trials: int, number: int, seed: int, stage: str, index: int) -> np.ndarray:
    """Draw ``number`` of ``num_trials`` trials without replacement; all of them in order if that is all."""
    if number == num_trials:
        return np.arange(num_trials)
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
