"""What synthetic trials teach, as far as the data of a validation allow to ask."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.validation.breakdown import conditions
from spikeinterface_gen.validation.co_smoothing import co_smoothing
from spikeinterface_gen.validation.decoding import UseReport, decode_covariate

__all__ = ["use_of"]

_MAX_COVARIATES = 3
_MAX_ELEMENTS = 50_000_000
"""Bins × units of the tested trials, which are smoothed all at once in float64."""


def use_of(
    train: SpikeCounts, synthetic: SpikeCounts, test: SpikeCounts, *, seed: int = 0
) -> tuple[list[UseReport], list[str]]:
    """Predict units from one another, and the conditions of trials, after training on synthetic trials.

    Parameters
    ----------
    train, synthetic, test : SpikeCounts
        Of one population; ``test`` are real trials that the generator never saw.
    seed : int

    Returns
    -------
    reports : list of UseReport
        Co-smoothing first, then up to three covariates of few values that all sides know.
    notes : list of str
        What was left out, and why.
    """
    tasks: list[tuple[str, Callable[[], UseReport]]] = []
    notes = []
    if test.counts.size <= _MAX_ELEMENTS:
        tasks.append(("Co-smoothing", partial(co_smoothing, train, synthetic, test, seed=seed)))
    else:
        notes.append("Co-smoothing is left out, because the held-out trials are many: give co_smoothing some of them.")
    known = [name for name in conditions(test, synthetic) if name in train.covariates]
    for name in known[:_MAX_COVARIATES]:
        tasks.append((f"Decoding of {name}", partial(decode_covariate, train, synthetic, test, name, seed=seed)))
    if len(known) > _MAX_COVARIATES:
        notes.append(f"Of {len(known)} covariates {_MAX_COVARIATES} were decoded; decode_covariate has the others.")
    reports = []
    for label, task in tasks:
        try:
            reports.append(task())
        except ValueError as error:
            # Of one population the sides are known to be: there is too little to learn from.
            notes.append(f"{label} is left out: {error}")
    return reports, notes
