"""Distances between the spike statistics of two populations of trials, and what they are for real ones.

A distance alone says little, since two finite sets of real trials differ too: :func:`floors` draws that
difference, at equal numbers of trials.
"""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.validation.design import Groups, equal_number
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.metrics import METRICS, PAPER_METRICS, Metric
from spikeinterface_gen.validation.statistics import TrialStatistics
from spikeinterface_gen.validation.sums import SpikeSums

__all__ = ["METRICS", "PAPER_METRICS", "check_same_population", "compare", "compare_real", "distance", "floors"]


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
    return _distances(real, synthetic, PAPER_METRICS if paper else {name: METRICS[name] for name in PAPER_METRICS})


def distance(real: SpikeCounts, synthetic: SpikeCounts, metric: str) -> float:
    """Return one of the distances in ``METRICS``, in its unit; trials as for :func:`compare`."""
    return _distances(real, synthetic, {metric: METRICS[metric]})[metric]


def _distances(real: SpikeCounts, synthetic: SpikeCounts, metrics: dict[str, Metric]) -> dict[str, float]:
    check_same_population(real, synthetic)
    layout = Layout.of(real, synthetic)
    sides = [TrialStatistics.of_sums(SpikeSums(counts, layout)) for counts in (real, synthetic)]
    return {
        name: metric.distance(metric.of_real(sides[0]), metric.statistic(sides[1])) for name, metric in metrics.items()
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
    return _floors(real, train, {metric: available[metric]}, num_trials, num_splits, seed)[metric]


def compare_real(real: SpikeCounts, train: SpikeCounts, *, num_splits: int, seed: int) -> dict[str, np.ndarray]:
    """Return :func:`floors` of all that :func:`compare` does, going over the spikes once."""
    return _floors(real, train, {name: METRICS[name] for name in PAPER_METRICS}, None, num_splits, seed)


def _floors(
    real: SpikeCounts,
    train: SpikeCounts | None,
    metrics: dict[str, Metric],
    num_trials: int | None,
    num_splits: int,
    seed: int,
) -> dict[str, np.ndarray]:
    if train is not None:
        check_same_population(real, train, "train")
    most = equal_number(real.num_trials, real.num_trials, None if train is None else train.num_trials)
    number = most if num_trials is None else num_trials
    if not 1 <= number <= most:
        raise ValueError(f"num_trials must lie between 1 and {most} for these trials; got {number}.")
    sides = {"real": real, **({} if train is None else {"train": train})}
    groups = Groups(sides, number, seed=seed, layout=Layout.of(*sides.values()))
    result = {name: np.empty(num_splits) for name in metrics}
    for k, split in enumerate(groups.real_splits(num_splits)):
        reference, other = groups.statistics(np.stack(split))
        for name, metric in metrics.items():
            result[name][k] = metric.distance(metric.of_real(reference), metric.statistic(other))
    return result


def check_same_population(real: SpikeCounts, other: SpikeCounts, name: str = "synthetic") -> None:
    """Raise a ValueError unless both have the same units in the same order, and the same bins.

    A TypeError, if one of them is no SpikeCounts.
    """
    for side, counts in (("real", real), (name, other)):
        if not isinstance(counts, SpikeCounts):
            raise TypeError(
                f"{side} must be a SpikeCounts; got {type(counts).__name__}. SpikeCounts(array, bin_size_ms) is one, "
                "and so do SpikeCounts.from_neo and .from_sorting."
            )
    if not np.isclose(real.bin_size_ms, other.bin_size_ms):
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
