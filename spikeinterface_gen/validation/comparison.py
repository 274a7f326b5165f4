"""One metric between real and synthetic trials, beside the same between real and real.

Everything is measured on ``num_splits`` splits, each with as many real, synthetic and other real trials
and with the same units on all sides, so that the ratio of the two distances is fair.

The interval of the ratio is a Student one for its logarithm over the splits. Splits share training trials:
two draws of n out of N overlap by a share f = n / N, which makes the floors resemble one another more than
fresh trials would resemble them, by (1 − f) in variance, while the pool of all N has itself been sampled,
which adds f. The s.d. over splits is therefore widened by √((1 + f) / (1 − f)). Without training trials both
sides are halves drawn anew for every split; then the s.d. over splits is taken as it is, which is wide.

A metric is flagged where even the lower end of its ratio is above 1. Real trials in the place of synthetic
ones were flagged in 1 to 7 % of cases, metric by metric, with training trials (nominal 2.5 %), and in less
without: each metric is tested for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.validation.distances import Metric, Split
from spikeinterface_gen.validation.reliability import agreement, correlation, excess, reliability
from spikeinterface_gen.validation.statistics import TrialStatistics

__all__ = ["Comparison", "compare_metric"]

_COVERAGE = 0.95


@dataclass(frozen=True)
class Comparison:
    """A metric between real and synthetic trials, and between real and real.

    Attributes
    ----------
    metric : Metric
    values, floors : array of float64, shape (splits,)
        Distance of synthetic, and of other real trials, from real ones.
    low, high : float
        95 % interval of the ratio.
    excess, agreement : float
        See :mod:`spikeinterface_gen.validation.reliability`; NaN for histograms.
    of_ceiling : float
        Plain correlation of real and synthetic values over units or pairs, as a share of that of real and
        other real values (median over splits); NaN for histograms.
    num_elements, num_left_out : int
        Units, pairs or bins of the comparison, and those left out because a side says too little of them.
    """

    metric: Metric
    values: np.ndarray
    floors: np.ndarray
    low: float
    high: float
    excess: float
    agreement: float
    of_ceiling: float
    num_elements: int
    num_left_out: int

    @property
    def value(self) -> float:
        """Distance of synthetic from real trials, median over splits."""
        return float(np.median(self.values))

    @property
    def floor(self) -> float:
        """Distance of real from real trials, median over splits."""
        return float(np.median(self.floors))

    @property
    def ratio(self) -> float:
        """Value over floor, median over splits."""
        return float(np.median(self.values / self.floors))

    @property
    def flagged(self) -> bool:
        """Whether the synthetic trials are further from real ones than real trials are."""
        return self.low > 1.0


def compare_metric(
    metric: Metric,
    real: TrialStatistics,
    synthetic: TrialStatistics,
    other_real: TrialStatistics,
    splits: Sequence[Split],
    *,
    seed: int = 0,
) -> Comparison | str:
    """Compare one metric over splits.

    Parameters
    ----------
    metric : Metric
    real, synthetic, other_real : TrialStatistics
        Of the trials that ``splits`` points into; ``other_real`` is ``real`` where real trials are halved.
    splits : sequence of Split
    seed : int
        Of the halvings behind excess and agreement.

    Returns
    -------
    Comparison, or str
        Why there is none.
    """
    values, floors, used = np.empty(len(splits)), np.empty(len(splits)), np.empty(len(splits))
    plain = np.full((len(splits), 2), np.nan)
    ours = _LastOf(lambda trials: metric.of_real(real, trials))
    theirs = _LastOf(lambda trials: metric.statistic(synthetic, trials))
    for k, split in enumerate(splits):
        reference, generated = ours(split.real), theirs(split.synthetic)
        other = metric.statistic(other_real, split.other_real)
        if metric.elements != "bins":
            # Left out on one side means left out on all three: value and floor are of the same elements.
            reference = np.where(np.isfinite(generated) & np.isfinite(other), reference, np.nan)
        values[k], floors[k] = metric.distance(reference, generated), metric.distance(reference, other)
        used[k] = _num_elements(metric, reference)
        if metric.is_elementwise:
            plain[k] = correlation(reference, generated), correlation(reference, other)
    if not np.all(np.isfinite(values) & np.isfinite(floors)):
        return f"too few spikes in {len(splits[0].real)} trials on either side"
    if np.any(floors == 0):
        return "real trials do not differ in it at all"

    overlap = 0.0 if other_real is real else len(splits[0].other_real) / other_real.counts.num_trials
    low, high = _interval(values / floors, overlap)
    num_elements = int(np.median(used))
    over, agreed, of_ceiling = float("nan"), float("nan"), float("nan")
    if metric.is_elementwise:
        over, agreed = _corrected(metric, real, synthetic, float(np.median(values)), float(np.median(floors)), seed)
        with_synthetic, with_real = np.median(plain, axis=0)
        of_ceiling = float(with_synthetic / with_real) if with_real > 0 else float("nan")
    left_out = max(_capacity(metric, reference) - num_elements, 0)
    return Comparison(metric, values, floors, low, high, over, agreed, of_ceiling, num_elements, left_out)


def _interval(ratios: np.ndarray, overlap: float) -> tuple[float, float]:
    """95 % interval of the ratio, from its values over splits that share ``overlap`` of their trials."""
    from scipy.stats import t

    if np.any(ratios == 0) or len(ratios) < 2:
        return float(ratios.min()), float(ratios.max())
    logarithms = np.log(ratios)
    widened = logarithms.std(ddof=1) * np.sqrt((1 + overlap) / max(1 - overlap, 1e-9))
    reach = float(t.ppf(0.5 + _COVERAGE / 2, len(ratios) - 1)) * widened
    # Around the mean: the median is what the table shows, the mean what the interval's theory knows.
    return float(np.exp(logarithms.mean() - reach)), float(np.exp(logarithms.mean() + reach))


def _corrected(
    metric: Metric, real: TrialStatistics, synthetic: TrialStatistics, value: float, floor: float, seed: int
) -> tuple[float, float]:
    """Excess and agreement; both are corrected for the number of trials, so all of either side take part."""
    vectors = metric.of_real(real), metric.statistic(synthetic, None)
    defined = np.isfinite(vectors[0])
    reliabilities = []
    for side in (real, synthetic):

        def statistic(trials: np.ndarray, side: TrialStatistics = side) -> np.ndarray:
            return np.where(defined, metric.statistic(side, trials), np.nan)

        reliabilities.append(reliability(statistic, side.counts.num_trials, seed=seed))
    signal_variance = float(np.var(vectors[0][defined], dtype=np.float64)) * reliabilities[0]
    return excess(value, floor, signal_variance), agreement(correlation(*vectors), *reliabilities)


class _LastOf:
    """A function of trials that remembers its last value: often all splits hold the same real trials."""

    def __init__(self, function: Callable[[np.ndarray], np.ndarray]) -> None:
        self._function = function
        self._trials: np.ndarray | None = None
        self._value = np.empty(0)

    def __call__(self, trials: np.ndarray) -> np.ndarray:
        trials = np.sort(trials)
        if self._trials is None or not np.array_equal(trials, self._trials):
            self._trials, self._value = trials, self._function(trials)
        return self._value


def _num_elements(metric: Metric, values: np.ndarray) -> int:
    """Units, pairs of units or bins that the values stand for."""
    if metric.elements == "bins":
        return int(values.sum())
    defined = np.isfinite(values)
    if metric.elements == "pairs":
        return int(defined.sum() if values.ndim == 1 else defined.any(axis=0).sum() // 2)
    return int(defined.reshape(-1, values.shape[-1]).any(axis=0).sum())


def _capacity(metric: Metric, values: np.ndarray) -> int:
    """Units or pairs of units that the values would stand for if all were defined; 0 for histograms."""
    if metric.elements == "bins":
        return 0
    num_units = values.shape[-1]
    return num_units * (num_units - 1) // 2 if metric.elements == "pairs" and values.ndim > 1 else num_units
