"""Statistics with intervals: the grouped jackknife over trials.

Trials are cut into G groups. A statistic θ is computed of all trials and of all but each group, θ₍g₎; then

    s.e.² = (G − 1) / G  Σ_g (θ₍g₎ − θ̄)²,    interval θ ± t_{G−1} s.e.

(Quenouille 1956, Tukey 1958). Trials are the unit of sampling, so nothing has to be assumed of what happens within
them. All sums are kept by group, so one pass over the spikes serves value and interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.validation.design import Groups, Side, batches
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.metrics import Metric
from spikeinterface_gen.validation.statistics import TrialStatistics

__all__ = ["STATISTICS", "Estimate", "jackknife", "spike_statistics", "summarise"]

_COVERAGE = 0.95

STATISTICS: dict[str, Callable[[TrialStatistics], np.ndarray]] = {
    "rates_hz": TrialStatistics.rates_hz,
    "psth_hz": TrialStatistics.psth_hz,
    "drifts_hz": TrialStatistics.drifts_hz,
    "fano_factors": TrialStatistics.fano_factors,
    "population_shares": TrialStatistics.population_shares,
    "complexity_shares": TrialStatistics.complexity_shares,
    "participation_ratio": TrialStatistics.participation_ratio,
    "population_couplings": TrialStatistics.population_couplings,
    "isi_mean_s": TrialStatistics.isi_mean_s,
    "isi_sd_s": TrialStatistics.isi_sd_s,
    "isi_distributions": TrialStatistics.isi_distributions,
    "cv2": TrialStatistics.cv2,
    "lv": TrialStatistics.lv,
    "correlations": TrialStatistics.correlations,
    "correlations_5_bins": lambda side: side.correlations_of(5),
    "correlations_20_bins": lambda side: side.correlations_of(20),
    "noise_correlations": TrialStatistics.noise_correlations,
    "signal_correlations": TrialStatistics.signal_correlations,
    "spike_time_tilings": TrialStatistics.spike_time_tilings,
    "triplet_correlations": TrialStatistics.triplet_correlations,
    "autocorrelograms": TrialStatistics.autocorrelograms,
    "cross_correlograms": TrialStatistics.cross_correlograms,
    "power_spectra": TrialStatistics.power_spectra,
}
"""All statistics by name: methods of :class:`~spikeinterface_gen.validation.statistics.TrialStatistics`."""


@dataclass(frozen=True)
class Estimate:
    """A statistic and its 95 % interval.

    Attributes
    ----------
    value, low, high : array of float64
        Of one shape. NaN where the statistic is not defined; the interval also where leaving out one group of
        trials leaves it undefined.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def spike_statistics(
    counts: SpikeCounts,
    names: Iterable[str] | None = None,
    *,
    num_lags: int | None = None,
    all_pairs: bool = False,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return statistics of a population with their intervals.

    Parameters
    ----------
    counts : SpikeCounts
        At least two trials.
    names : iterable of str, optional
        Of ``STATISTICS``. Default: all.
    num_lags : int, optional
        Lags of the correlograms, in bins. Default: 10, and no more than half of a trial.
    all_pairs : bool
        Statistics of pairs are of all of them, however many units there are; cross-correlograms of 1000 units take some
        10 GB. Default: correlations of at most 1000 units and all else of pairs of at most 200, evenly spread.
    seed : int
        Of the cut into groups of trials, and of the choice of triplets of units.

    Returns
    -------
    dict from str to Estimate

    Raises
    ------
    ValueError
        If a name is unknown, or there is a single trial.
    """
    chosen = list(STATISTICS) if names is None else list(names)
    unknown = [name for name in chosen if name not in STATISTICS]
    if unknown:
        raise ValueError(f"there are no statistics {unknown}; there are {', '.join(STATISTICS)}.")
    if counts.num_trials < 2:
        raise ValueError("intervals come from the differences between trials; got a single trial.")
    layout = Layout.of(counts, num_lags=num_lags, seed=seed, all_pairs=all_pairs)
    groups = Groups({"real": counts}, counts.num_trials, seed=seed, layout=layout, exact=True)
    return {name: jackknife(groups, groups.real, STATISTICS[name]) for name in chosen}


def summarise(groups: Groups, side: Side, metrics: Iterable[Metric]) -> dict[str, Estimate]:
    """Return what a statistic is on average over its elements, with its interval, for each metric."""

    def all_of_them(statistics: TrialStatistics) -> np.ndarray:
        return np.array([metric.average(metric.statistic(statistics)) for metric in metrics])

    metrics = list(metrics)
    whole = jackknife(groups, side, all_of_them)
    return {metric.name: Estimate(whole.value[k], whole.low[k], whole.high[k]) for k, metric in enumerate(metrics)}


def jackknife(groups: Groups, side: Side, statistic: Callable[[TrialStatistics], np.ndarray]) -> Estimate:
    """Return a statistic of one side with its interval."""
    from scipy.stats import t

    value = np.asarray(statistic(groups.statistics(groups.everything(side))[0]), np.float64)
    number = len(side.sizes)
    # Differences from the value of all trials lose no digits in the sum of squares.
    total, squares = np.zeros((2, *value.shape))
    for part in batches(groups.jackknife(side)):
        for statistics in groups.statistics(part):
            difference = statistic(statistics) - value
            total += difference
            squares += np.square(difference)
    variance = np.maximum(squares - np.square(total) / number, 0.0) * (number - 1) / number
    reach = float(t.ppf(0.5 + _COVERAGE / 2, number - 1)) * np.sqrt(variance)
    return Estimate(value, value - reach, value + reach)
