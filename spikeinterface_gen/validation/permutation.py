"""Which metrics tell synthetic from real trials: a permutation test of the maximum over all of them.

If synthetic trials are as good as real ones, the labels "real" and "synthetic" say nothing, and groups of trials
can be relabelled at random. Every relabelling gives every metric a distance. Distances are brought to one scale
by the cube root of their square (of a divergence, the cube root), which is nearly Gaussian for sums of squares
(Wilson and Hilferty 1931), and counted in s.d. from the mean of the metric over all relabellings. The largest over
the metrics has a distribution over relabellings; a metric whose own value is beyond its 95 % point is flagged, and
the rest is tested without it (step-down, Westfall and Young 1993). Where the trials do not differ, anything at all
is flagged in at most 5 % of cases, however many metrics there are and however they depend on one another. One of the
five is kept for the test of memorisation (:mod:`spikeinterface_gen.validation.privacy`): the metrics are tested at 4 %,
and their probabilities multiplied by 5/4, to be read against 5 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.validation.design import Design, batches
from spikeinterface_gen.validation.metrics import Metric

__all__ = ["LEVEL", "MEMORISATION_LEVEL", "MaximumTest", "maximum_test", "permutation_test"]

LEVEL = 0.05
"""Probability that anything is flagged, memorisation or a metric, where there is nothing to find."""
MEMORISATION_LEVEL = 0.01
"""Part of it that is for memorisation."""
_METRICS_LEVEL = LEVEL - MEMORISATION_LEVEL
_POWER_QUANTILE = 0.8416
"""Standard normal quantile of the 80 % of cases in which a detectable difference is flagged."""


@dataclass(frozen=True)
class MaximumTest:
    """Outcome of the permutation test.

    Attributes
    ----------
    p : dict from str to float
        Adjusted probability of each metric; NaN where it could not be tested.
    scores : dict from str to float
        How many s.d. each metric lies above its mean over relabellings.
    detectable : dict from str to float
        Smallest difference, beyond sampling noise, that is flagged in 80 % of cases, in the metric's unit. Where
        the sides do differ, relabelled groups hold some of that difference, and this is an upper bound.
    num_permutations : int
        Relabellings drawn.
    is_possible : bool
        Whether there are relabellings enough to flag anything.
    """

    p: dict[str, float]
    scores: dict[str, float]
    detectable: dict[str, float]
    num_permutations: int
    is_possible: bool


def permutation_test(metrics: Mapping[str, Metric], design: Design, *, num_permutations: int) -> MaximumTest:
    """Relabel the groups of real and synthetic trials at random, and test the maximum over the metrics."""
    real, synthetic = design.relabellings(num_permutations)
    distances = np.empty((len(real), len(metrics)))
    for part in batches(np.arange(len(real))):
        for k, ours, theirs in zip(
            part, design.statistics(real[part]), design.statistics(synthetic[part]), strict=True
        ):
            for m, metric in enumerate(metrics.values()):
                distances[k, m] = metric.distance(metric.of_real(ours), metric.statistic(theirs))
    # Swapping the labels of both sides changes no distance: half of the relabellings are all there are.
    is_possible = design.num_relabellings() / 2 >= 1 / _METRICS_LEVEL
    p, scores, detectable = maximum_test(distances, [metric.is_divergence for metric in metrics.values()])
    if not is_possible:
        p, detectable = np.full(len(metrics), np.nan), np.full(len(metrics), np.nan)

    def named(values: np.ndarray) -> dict[str, float]:
        return dict(zip(metrics, values.tolist(), strict=True))

    return MaximumTest(named(p), named(scores), named(detectable), num_permutations, is_possible)


def maximum_test(
    distances: np.ndarray, is_divergence: list[bool] | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Test the maximum over metrics.

    Parameters
    ----------
    distances : array, shape (1 + relabellings, metrics)
        The first row is of the true labels.
    is_divergence : array of bool, shape (metrics,)
        Whether a distance grows as the square of a difference.

    Returns
    -------
    p, scores, detectable : array, shape (metrics,)
        See :class:`MaximumTest`. NaN where a distance is not defined under every relabelling.
    """
    square = np.where(is_divergence, 1.0, 2.0)
    p, scores, detectable = np.full((3, distances.shape[1]), np.nan)
    usable = np.flatnonzero(np.all(np.isfinite(distances), axis=0) & (np.ptp(distances, axis=0) > 0))
    if not len(usable):
        return p, scores, detectable
    kept, square = np.maximum(distances[:, usable], 0.0), square[usable]
    scaled = kept ** (square / 3.0)
    # The true labels are one of the relabellings: only if all are treated alike is the test exact.
    z = (scaled - scaled.mean(axis=0)) / scaled.std(axis=0)
    order = np.argsort(-z[0])
    # Largest score of this metric and of all that are less conspicuous than it.
    largest = np.maximum.accumulate(z[:, order][:, ::-1], axis=1)[:, ::-1]
    found = np.maximum.accumulate(np.mean(largest >= z[0, order] - 1e-12, axis=0))
    p[usable[order]] = np.minimum(found * (LEVEL / _METRICS_LEVEL), 1.0)

    mean, sd = scaled[1:].mean(axis=0), np.maximum(scaled[1:].std(axis=0), 1e-300)
    null = (scaled[1:] - mean) / sd
    scores[usable] = (scaled[0] - mean) / sd
    critical = np.quantile(null.max(axis=1), 1.0 - _METRICS_LEVEL)
    # A difference δ adds its square to that of the noise; beyond this point four in five are flagged.
    needed = (mean + (critical + _POWER_QUANTILE) * sd) ** 3
    detectable[usable] = np.maximum(needed - np.mean(kept[1:] ** square, axis=0), 0.0) ** (1.0 / square)
    return p, scores, detectable
