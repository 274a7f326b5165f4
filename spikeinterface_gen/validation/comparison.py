"""Metrics between real and synthetic trials, beside the same between real and real.

Everything is measured on ``num_splits`` splits, each with as many real, synthetic and other real trials
and with the same units on all sides, so that the ratio of the two distances is fair.

The interval of the ratio is a Student one for its logarithm over the splits. Splits share training trials:
two draws of n out of N overlap by a share f = n / N, which makes the floors resemble one another more than
fresh trials would resemble them, by (1 − f) in variance, while the pool of all N has itself been sampled,
which adds f. The s.d. over splits is therefore widened by √((1 + f) / (1 − f)). Without training trials both
sides are halves drawn anew for every split; then the s.d. over splits is taken as it is, which is wide.

Where real trials do not differ at all in half of the splits, as with few spikes, there is no ratio; the permutation
test stands.

What is flagged does not depend on these intervals: see :mod:`spikeinterface_gen.validation.permutation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.validation.design import Design, Side
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.metrics import Metric
from spikeinterface_gen.validation.permutation import LEVEL, MaximumTest
from spikeinterface_gen.validation.reliability import agreement, correlation, excess, more_than_chance, spearman_brown

__all__ = ["Comparison", "compare_metrics"]

_COVERAGE = 0.95
_NUM_HALVINGS = 5


@dataclass(frozen=True)
class Comparison:
    """A metric between real and synthetic trials, and between real and real.

    Attributes
    ----------
    metric : Metric
    values, floors : array of float64, shape (splits,)
        Distance of synthetic, and of other real trials, from real ones.
    low, high : float
        95 % interval of the ratio; NaN where there is none.
    p, score : float
        Of the permutation test: probability of a difference as large in any metric where there is none, and the
        distance in s.d. above its mean over relabellings. NaN where there was no test.
    detectable : float
        Smallest difference, beyond sampling noise, that the test flags in 80 % of cases; in the metric's unit.
    excess, agreement : float
        See :mod:`spikeinterface_gen.validation.reliability`; NaN for histograms.
    of_ceiling : float
        Plain correlation of real and synthetic values over units or pairs, as a share of that of real and
        other real values (median over splits); NaN for histograms, and where real values agree by chance only.
    num_elements, num_left_out : int
        Units, pairs or bins of the comparison, and those left out because a side says too little of them.
    """

    metric: Metric
    values: np.ndarray
    floors: np.ndarray
    low: float
    high: float
    p: float
    score: float
    detectable: float
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
        """Value over floor, median over splits; NaN where real trials do not differ at all in half of these."""
        return _ratio(self.values, self.floors)

    @property
    def flagged(self) -> bool:
        """Whether the permutation test tells the synthetic trials from real ones by this metric."""
        return self.p <= LEVEL


@dataclass
class _Splits:
    """What is collected of one metric over the splits."""

    values: np.ndarray
    floors: np.ndarray
    used: np.ndarray
    plain: np.ndarray
    capacity: int = 0

    @classmethod
    def empty(cls, number: int) -> _Splits:
        values, floors, used = np.full((3, number), np.nan)
        return cls(values, floors, used, np.full((number, 2), np.nan))

    def problem(self, num_trials: int) -> str:
        """Why the metric says nothing; empty where it does."""
        if not np.all(np.isfinite(self.values) & np.isfinite(self.floors)):
            return f"not defined for {num_trials} trials on either side: too few spikes, or trials too short"
        return "" if np.any(self.values) or np.any(self.floors) else "no two trials differ in it, real or synthetic"

    def interval(self, overlap: float) -> tuple[float, float]:
        """95 % interval of the ratio, of splits that share ``overlap`` of their trials."""
        if not np.isfinite(_ratio(self.values, self.floors)):
            return float("nan"), float("nan")
        above = self.floors > 0
        return _interval(self.values[above] / self.floors[above], overlap)


def compare_metrics(
    metrics: Mapping[str, Metric], design: Design, test: MaximumTest, *, num_splits: int
) -> tuple[dict[str, Comparison], dict[str, str]]:
    """Compare metrics over splits.

    Parameters
    ----------
    metrics : mapping from str to Metric
    design : Design
    test : MaximumTest
        Of these metrics on this design.
    num_splits : int

    Returns
    -------
    comparisons : dict from str to Comparison
    left_out : dict from str to str
        Why there is none of the other metrics.
    """
    found = _over_splits(metrics, design, num_splits)
    problems = {name: of_metric.problem(design.number) for name, of_metric in found.items()}
    kept = {name: metric for name, metric in metrics.items() if not problems[name]}
    corrected = _corrected({name: metric for name, metric in kept.items() if metric.is_elementwise}, design, found)
    comparisons = {}
    for name, metric in kept.items():
        of_metric = found[name]
        low, high = of_metric.interval(design.overlap)
        over, agreed = corrected.get(name, (float("nan"), float("nan")))
        with_synthetic, with_real = np.median(of_metric.plain, axis=0)
        ceiling = more_than_chance(with_real, _num_independent(metric, design.sums.layout))
        num_elements = int(np.median(of_metric.used))
        comparisons[name] = Comparison(
            metric=metric,
            values=of_metric.values,
            floors=of_metric.floors,
            low=low,
            high=high,
            p=test.p[name],
            score=test.scores[name],
            detectable=test.detectable[name],
            excess=over,
            agreement=agreed,
            of_ceiling=float(with_synthetic / ceiling),
            num_elements=num_elements,
            num_left_out=max(of_metric.capacity - num_elements, 0),
        )
    return comparisons, {name: problem for name, problem in problems.items() if problem}


def _over_splits(metrics: Mapping[str, Metric], design: Design, num_splits: int) -> dict[str, _Splits]:
    found = {name: _Splits.empty(num_splits) for name in metrics}
    for k, (real, synthetic, other_real) in enumerate(design.over_splits(num_splits)):
        for name, metric in metrics.items():
            of_metric = found[name]
            reference = metric.of_real(real)
            generated, other = metric.statistic(synthetic), metric.statistic(other_real)
            if metric.elements != "bins":
                # Left out on one side means left out on all three: value and floor are of the same elements.
                reference = np.where(np.isfinite(generated) & np.isfinite(other), reference, np.nan)
            of_metric.values[k] = metric.distance(reference, generated)
            of_metric.floors[k] = metric.distance(reference, other)
            of_metric.used[k] = _num_elements(metric, reference)
            of_metric.capacity = _capacity(metric, reference)
            if metric.is_elementwise:
                of_metric.plain[k] = correlation(reference, generated), correlation(reference, other)
    return found


def _ratio(values: np.ndarray, floors: np.ndarray) -> float:
    """Median of the ratio, infinite in splits without a floor; NaN where that is half of them."""
    ratio = float(np.median(np.divide(values, floors, out=np.full(len(values), np.inf), where=floors > 0)))
    return ratio if np.isfinite(ratio) else float("nan")


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
    metrics: Mapping[str, Metric], design: Design, found: Mapping[str, _Splits]
) -> dict[str, tuple[float, float]]:
    """Excess and agreement; both are corrected for the number of trials, so all of either side take part."""
    sides = (design.real, design.synthetic)
    real, synthetic = (design.statistics(design.everything(side))[0] for side in sides)
    vectors = {name: (metric.of_real(real), metric.statistic(synthetic)) for name, metric in metrics.items()}
    defined = {name: np.isfinite(pair[0]) for name, pair in vectors.items()}
    of_real, of_synthetic = (_reliabilities(metrics, design, side, defined) for side in sides)
    result = {}
    for name, pair in vectors.items():
        signal_variance = float(np.var(pair[0][defined[name]], dtype=np.float64)) * of_real[name]
        value, floor = float(np.median(found[name].values)), float(np.median(found[name].floors))
        result[name] = (
            excess(value, floor, signal_variance),
            agreement(correlation(*pair), of_real[name], of_synthetic[name]),
        )
    return result


def _reliabilities(
    metrics: Mapping[str, Metric], design: Design, side: Side, defined: Mapping[str, np.ndarray]
) -> dict[str, float]:
    halves = [design.statistics(weights) for weights in design.halves(side, _NUM_HALVINGS)]
    return {
        name: spearman_brown(
            [
                correlation(np.where(defined[name], metric.statistic(first), np.nan), metric.statistic(second))
                for first, second in zip(*halves, strict=True)
            ],
            _num_independent(metric, design.sums.layout),
        )
        for name, metric in metrics.items()
    }


def _num_independent(metric: Metric, layout: Layout) -> int:
    """Units, or pairs of units, that a statistic is of: its lags or bins say no more, nor do triplets than pairs."""
    if metric.elements == "units":
        return layout.num_units
    number = len(layout.correlation_units if metric.name == "correlation" else layout.pair_units)
    return max(number * (number - 1) // 2, 1)


def _num_elements(metric: Metric, values: np.ndarray) -> int:
    """Units, pairs of units or bins that the values stand for."""
    if metric.elements == "bins":
        return int(values.sum())
    defined = np.isfinite(values)
    if metric.elements == "pairs":
        return int(defined.sum() if values.ndim == 1 else defined.any(axis=0).sum() // 2)
    return int(defined.reshape(-1, values.shape[-1]).any(axis=0).sum()) if defined.size else 0


def _capacity(metric: Metric, values: np.ndarray) -> int:
    """Units or pairs of units that the values would stand for if all were defined; 0 for histograms."""
    if metric.elements == "bins":
        return 0
    num_units = values.shape[-1]
    return num_units * (num_units - 1) // 2 if metric.elements == "pairs" and values.ndim > 1 else num_units
