"""The same distances within each brain area, and among the trials of each condition, where these are known.

Areas share the sums of the whole population, so whatever is of units, pairs or triplets is there for each of them.
Conditions are sets of trials and have sums of their own; left out there is what costs most (cross-correlograms) and
what needs the whole session (drift), and pairs are of 200 units at most. Parts too small to say anything are named,
one note for each reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from spikeinterface_gen.counts import SESSION_TIME, SpikeCounts
from spikeinterface_gen.validation.design import Design, equal_number
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.metrics import METRICS, Metric

__all__ = ["Part", "by_area", "by_condition", "conditions", "skipped_covariates"]

_AREA_METRICS = [metric for metric in METRICS.values() if metric.elements in ("units", "pairs", "triplets")]
_CONDITION_METRICS = [metric for name, metric in METRICS.items() if name not in ("cross_correlogram", "drift")]
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
        Units (of pairs and triplets: also units) that it is of, or trials on either side of a condition.
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


# ---- areas -----------------------------------------------------------------------------------


def by_area(design: Design, areas: np.ndarray) -> tuple[list[Part], list[str]]:
    """Compare the units of each area of at least 5, their pairs and triplets, over the splits of a design.

    Parameters
    ----------
    design : Design
    areas : array, shape (units,)
        Area of each unit.

    Returns
    -------
    parts : list of Part
    notes : list of str
        Which areas are too small.
    """
    areas = areas.astype(str)
    names, number = np.unique(areas, return_counts=True)
    small = [f"{name} ({n})" for name, n in zip(names, number, strict=True) if n < _MIN_UNITS]
    notes = [f"No rows by area, for want of {_MIN_UNITS} units: {', '.join(small)}."] if small else []
    names, number = names[number >= _MIN_UNITS], number[number >= _MIN_UNITS]
    inside = {
        name: {metric.name: _within(metric, areas == name, design.sums.layout) for metric in _AREA_METRICS}
        for name in names
    }
    found = np.full((_NUM_SPLITS, 2, len(names), len(_AREA_METRICS)), np.nan)
    for k, (real, synthetic, other_real) in enumerate(design.over_splits(_NUM_SPLITS)):
        for m, metric in enumerate(_AREA_METRICS):
            reference = metric.of_real(real)
            for s, other in enumerate((synthetic, other_real)):
                difference = metric.statistic(other) - reference
                for a, name in enumerate(names):
                    chosen = difference[inside[name][metric.name]]
                    found[k, s, a, m] = metric.distance(np.zeros_like(chosen), chosen) if chosen.size else np.nan
    value, floor = np.median(found, axis=0)
    parts = [
        Part("area", str(name), metric, float(value[a, m]), float(floor[a, m]), int(number[a]))
        for a, name in enumerate(names)
        for m, metric in enumerate(_AREA_METRICS)
        if np.isfinite(value[a, m]) and floor[a, m] > 0
    ]
    return parts, notes


def _within(metric: Metric, inside: np.ndarray, layout: Layout) -> tuple[object, ...]:
    """Index of the values that are of units inside, of pairs of them, or of triplets."""
    if metric.elements == "units":
        return ..., inside
    if metric.elements == "triplets":
        return (inside[layout.pair_units][layout.triplets].all(axis=1),)
    if metric.name == "cross_correlogram":
        kept = np.flatnonzero(inside[layout.pair_units])
        return slice(None), kept[:, None], kept
    units = layout.correlation_units if metric.name == "correlation" else layout.pair_units
    first, second = np.triu_indices(len(units), 1)
    return (inside[units[first]] & inside[units[second]],)


# ---- conditions ------------------------------------------------------------------------------


def conditions(real: SpikeCounts, synthetic: SpikeCounts) -> dict[str, np.ndarray]:
    """Return the covariates that both sides know and that take 2 to 8 values, with these values."""
    return {
        name: _values(real.covariates[name])
        for name in real.covariates
        if not _why_skipped(real.covariates.get(name), synthetic.covariates.get(name))
    }


def skipped_covariates(real: SpikeCounts, synthetic: SpikeCounts) -> list[str]:
    """Say in one sentence which covariates are no conditions, and why; nothing where all are."""
    reasons: dict[str, list[str]] = {}
    for name in dict.fromkeys([*real.covariates, *synthetic.covariates]):
        reason = _why_skipped(real.covariates.get(name), synthetic.covariates.get(name))
        # The time of a trial is no condition, and drift is about it.
        if reason and name != SESSION_TIME:
            reasons.setdefault(reason, []).append(name)
    grouped = [f"{', '.join(names)} ({reason})" for reason, names in reasons.items()]
    return [f"No rows by {'; '.join(grouped)}."] if grouped else []


def _why_skipped(real: np.ndarray | None, synthetic: np.ndarray | None) -> str:
    """Why a covariate does not divide trials into conditions; empty where it does."""
    if real is None or synthetic is None:
        return f"known of {'synthetic' if real is None else 'real'} trials only"
    if real.ndim > 1 or synthetic.ndim > 1:
        return "more than one number a trial"
    number = len(_values(real))
    if number > _MAX_VALUES:
        return f"more than {_MAX_VALUES} values"
    return "" if number > 1 else "one value in all trials"


def _values(values: np.ndarray) -> np.ndarray:
    distinct = np.unique(values)
    # NaN equals nothing, itself included: it is no condition.
    return distinct[distinct == distinct]


def by_condition(
    real: SpikeCounts,
    synthetic: SpikeCounts,
    train: SpikeCounts | None,
    known: Mapping[str, np.ndarray],
    seed: int,
    num_lags: int | None = None,
) -> tuple[list[Part], list[str]]:
    """Compare the trials of each condition.

    Parameters
    ----------
    real, synthetic, train : SpikeCounts
    known : mapping from str to array
        From :func:`conditions`.
    seed : int
    num_lags : int, optional
        Lags of autocorrelograms, in bins.

    Returns
    -------
    parts : list of Part
    notes : list of str
        Which conditions say nothing, and why.
    """
    parts: list[Part] = []
    absent, rare = [], []
    for name, distinct in known.items():
        other_real = train if train is not None and name in train.covariates else None
        for value in distinct:
            of_real, of_synthetic = (_with_value(side, name, value) for side in (real, synthetic))
            of_train = None if other_real is None else _with_value(other_real, name, value)
            number = equal_number(len(of_real), len(of_synthetic), None if of_train is None else len(of_train))
            if not len(of_synthetic):
                absent.append(f"{name} = {value}")
            elif number < _MIN_TRIALS:
                rare.append(f"{name} = {value}")
            else:
                others = None if other_real is None or of_train is None else other_real[of_train]
                design = _design(real[of_real], synthetic[of_synthetic], others, number, seed, num_lags)
                parts.extend(_of_condition(design, name, str(value)))
    notes = []
    if absent:
        notes.append(f"No synthetic trial has {', or '.join(absent)}, although real ones have.")
    if rare:
        notes.append(f"Too few trials ({_MIN_TRIALS} a side are needed) for rows by {', '.join(rare)}.")
    return parts, notes


def _with_value(counts: SpikeCounts, covariate: str, value: object) -> np.ndarray:
    """Positions of the trials that have this value of a covariate."""
    return np.flatnonzero(counts.covariates[covariate] == value)


def _design(
    real: SpikeCounts, synthetic: SpikeCounts, train: SpikeCounts | None, number: int, seed: int, num_lags: int | None
) -> Design:
    sides = [side for side in (real, synthetic, train) if side is not None]
    layout = Layout.of(*sides, num_lags=num_lags, seed=seed)
    # Half a million pairs for every condition would take longer than the whole of what they are part of.
    layout = replace(layout, correlation_units=layout.pair_units)
    return Design(real, synthetic, train, number, seed=seed, layout=layout)


def _of_condition(design: Design, of: str, name: str) -> list[Part]:
    found = np.full((_NUM_SPLITS, 2, len(_CONDITION_METRICS)), np.nan)
    for k, (ours, theirs, others) in enumerate(design.over_splits(_NUM_SPLITS)):
        for m, metric in enumerate(_CONDITION_METRICS):
            reference = metric.of_real(ours)
            found[k, :, m] = [metric.distance(reference, metric.statistic(side)) for side in (theirs, others)]
    value, floor = np.median(found, axis=0)
    return [
        Part(of, name, metric, float(value[m]), float(floor[m]), design.number)
        for m, metric in enumerate(_CONDITION_METRICS)
        if np.isfinite(value[m]) and floor[m] > 0
    ]
