"""The same distances within each brain area, and among the trials of each condition, where these are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.validation.design import Design, batches, equal_number
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.metrics import METRICS, Metric

__all__ = ["Part", "by_area", "by_condition", "conditions"]

_AREA_METRICS = ("rate", "psth", "drift", "fano_factor", "isi_mean", "cv2", "autocorrelogram", "correlation",
                 "noise_correlation")  # fmt: skip
_CONDITION_METRICS = ("population_count", "rate", "psth", "fano_factor", "isi_mean", "correlation", "noise_correlation")
_NUM_SPLITS = 10
_MIN_UNITS = 5
_MIN_TRIALS = 8
_MAX_VALUES = 8


@dataclass(frozen=True)
class Part:
    """A metric within an area, or within a condition.

    Attributes
    ----------
    of, name : str
        What divides ("area", or a covariate), and which part this is.
    metric : Metric
    value, floor : float
        Distance of synthetic, and of other real trials, from real ones, median over splits.
    num_elements : int
        Units (of pairs: also units) that it is of, or trials on either side of a condition.
    """

    of: str
    name: str
    metric: Metric
    value: float
    floor: float
    num_elements: int

    @property
    def ratio(self) -> float:
        """Value over floor."""
        return self.value / self.floor


def by_area(design: Design, areas: np.ndarray) -> list[Part]:
    """Compare the units of each area of at least 5, and their pairs, over the splits of a design.

    Parameters
    ----------
    design : Design
    areas : array, shape (units,)
        Area of each unit.
    """
    names, number = np.unique(areas.astype(str), return_counts=True)
    names = names[number >= _MIN_UNITS]
    metrics = [METRICS[name] for name in _AREA_METRICS]
    found = np.full((_NUM_SPLITS, 2, len(names), len(metrics)), np.nan)
    splits = design.splits(_NUM_SPLITS)
    for part in batches(np.arange(_NUM_SPLITS)):
        sides = [design.statistics(np.stack([splits[k][side] for k in part])) for side in range(3)]
        for k, real, synthetic, other_real in zip(part, *sides, strict=True):
            for m, metric in enumerate(metrics):
                reference = metric.of_real(real)
                for s, other in enumerate((synthetic, other_real)):
                    difference = metric.statistic(other) - reference
                    for a, name in enumerate(names):
                        chosen = _within(difference, metric, areas.astype(str) == name, design.sums.layout)
                        found[k, s, a, m] = metric.distance(np.zeros_like(chosen), chosen)
    value, floor = np.median(found, axis=0)
    return [
        Part("area", str(name), metric, float(value[a, m]), float(floor[a, m]), int(np.sum(areas.astype(str) == name)))
        for a, name in enumerate(names)
        for m, metric in enumerate(metrics)
        if np.isfinite(value[a, m]) and floor[a, m] > 0
    ]


def _within(values: np.ndarray, metric: Metric, inside: np.ndarray, layout: Layout) -> np.ndarray:
    """Values of the units that are inside, or of the pairs of which both units are."""
    if metric.elements == "units":
        return values[..., inside]
    units = layout.correlation_units if metric.name == "correlation" else layout.pair_units
    first, second = np.triu_indices(len(units), 1)
    return values[inside[units[first]] & inside[units[second]]]


def conditions(real: SpikeCounts, synthetic: SpikeCounts) -> dict[str, np.ndarray]:
    """Return the covariates that both sides know and that take 2 to 8 values, with these values."""
    found = {}
    for name, values in real.covariates.items():
        if values.ndim == 1 and name in synthetic.covariates and synthetic.covariates[name].ndim == 1:
            distinct = np.unique(values)
            # NaN equals nothing, itself included: it is no condition.
            distinct = distinct[distinct == distinct]
            if 2 <= len(distinct) <= _MAX_VALUES:
                found[name] = distinct
    return found


def by_condition(
    real: SpikeCounts, synthetic: SpikeCounts, train: SpikeCounts | None, known: Mapping[str, np.ndarray], seed: int
) -> tuple[list[Part], list[str]]:
    """Compare the trials of each condition.

    Parameters
    ----------
    real, synthetic, train : SpikeCounts
    known : mapping from str to array
        From :func:`conditions`.
    seed : int

    Returns
    -------
    parts : list of Part
    notes : list of str
        Which conditions say nothing, and why.
    """
    parts: list[Part] = []
    notes: list[str] = []
    for name, distinct in known.items():
        other_real = train if train is not None and name in train.covariates else None
        for value in distinct:
            label = f"{name} = {value}"
            of_real, of_synthetic = (_with_value(side, name, value) for side in (real, synthetic))
            of_train = None if other_real is None else _with_value(other_real, name, value)
            number = equal_number(len(of_real), len(of_synthetic), None if of_train is None else len(of_train))
            if not len(of_synthetic):
                notes.append(f"No synthetic trial has {label}, although real ones have.")
            elif number < _MIN_TRIALS:
                notes.append(f"Too few trials have {label} for a comparison of its own.")
            else:
                others = None if other_real is None or of_train is None else other_real[of_train]
                condition = (real[of_real], synthetic[of_synthetic], others)
                parts.extend(_of_condition(*condition, name, str(value), number, seed))
    return parts, notes


def _with_value(counts: SpikeCounts, covariate: str, value: object) -> np.ndarray:
    """Positions of the trials that have this value of a covariate."""
    return np.flatnonzero(counts.covariates[covariate] == value)


def _of_condition(
    real: SpikeCounts, synthetic: SpikeCounts, train: SpikeCounts | None, of: str, name: str, number: int, seed: int
) -> list[Part]:
    layout = Layout.of(*(side for side in (real, synthetic, train) if side is not None))
    design = Design(real, synthetic, train, number, seed=seed, layout=layout)
    metrics = [METRICS[metric] for metric in _CONDITION_METRICS]
    found = np.full((_NUM_SPLITS, 2, len(metrics)), np.nan)
    for k, split in enumerate(design.splits(_NUM_SPLITS)):
        ours, theirs, others = design.statistics(np.stack(split))
        for m, metric in enumerate(metrics):
            reference = metric.of_real(ours)
            found[k, :, m] = [metric.distance(reference, metric.statistic(side)) for side in (theirs, others)]
    value, floor = np.median(found, axis=0)
    return [
        Part(of, name, metric, float(value[m]), float(floor[m]), number)
        for m, metric in enumerate(metrics)
        if np.isfinite(value[m]) and floor[m] > 0
    ]
