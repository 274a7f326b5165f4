"""Covariates as words of a command line: which ones to learn, and values to draw trials for."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

from spikeinterface_gen.counts import SESSION_TIME, SpikeCounts

if TYPE_CHECKING:
    from spikeinterface_gen.models.covariate import Covariate

__all__ = ["covariates_to_learn", "options_of_sample"]


def covariates_to_learn(words: list[str] | None, counts: SpikeCounts) -> dict[str, str | None] | None:
    """Kind, or None for the one that values suggest, by name; from words NAME or NAME=KIND.

    Raises
    ------
    ValueError
        If there is no such covariate or kind.
    """
    if words is None:
        return None
    from spikeinterface_gen.models.covariate import KINDS

    asked: dict[str, str | None] = {}
    for word in words:
        # A name may hold an equals sign itself.
        name, _, kind = (word, "", "") if word in counts.covariates else word.rpartition("=")
        if name not in counts.covariates:
            raise ValueError(
                f"--covariates {word}: the data have no such covariate; they have "
                f"{', '.join(counts.covariates) or 'none'}."
            )
        if kind and kind not in KINDS:
            raise ValueError(f"--covariates {word}: the kind must be one of {', '.join(KINDS)}.")
        asked[name] = kind or None
    return asked


def options_of_sample(
    model: Any, num_trials: int, conditions: list[str], session: bool, guidance: float | None
) -> dict[str, Any]:
    """What ``model.sample`` is asked for by ``--condition NAME=VALUE``, ``--session`` and ``--guidance``.

    Raises
    ------
    ValueError
        If the model does not know a covariate, or a value is none that it can be drawn for.
    """
    options: dict[str, Any] = {}
    if not conditions and not session and guidance is None:
        return options
    known = model.conditions_
    if known is None:
        raise ValueError(
            "--condition, --session and --guidance need a conditional model; this one was fitted without --covariates "
            "and knows no trial times."
        )
    if session:
        if SESSION_TIME not in known.covariates:
            raise ValueError("--session: the model knows no trial times; fit it to data that do, of 20 trials or more.")
        options["session"] = True
    if guidance is not None:
        if not 0 <= guidance < float("inf"):
            raise ValueError(f"--guidance must be a number of at least 0; got {guidance:g}.")
        options["guidance"] = guidance
    for condition in conditions:
        name, equals, text = condition.partition("=")
        if not equals:
            raise ValueError(f"--condition {condition}: expected NAME=VALUE; the model knows {known!r}.")
        if name not in known.covariates:
            raise ValueError(f"--condition {condition}: the model was fitted without {name!r}; it knows {known!r}.")
        if session and name == SESSION_TIME:
            raise ValueError(f"--condition {condition}: --session sets it already; leave one of the two out.")
        value = _value(known.covariates[name], text, condition)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sample warns
            try:
                known.covariates[name].read(value, num_trials)
            except ValueError as error:
                raise ValueError(f"--condition {condition}: {error}") from None
        options.setdefault("covariates", {})[name] = value
    return options


def _value(covariate: Covariate, text: str, condition: str) -> Any:
    """The value that ``text`` means: one of the categories by its text, or a number, or one for each column."""
    if covariate.varying:
        raise ValueError(f"--condition {condition}: it varies within trials; model.sample takes such values in Python.")
    by_text = {str(category).lower(): category for category in covariate.categories}
    if text.lower() in by_text:
        return by_text[text.lower()]
    if any(isinstance(category, str) for category in covariate.categories):
        return text
    try:
        value = json.loads(f"[{text}]" if covariate.ndim == 2 and not text.startswith("[") else text)
    except ValueError:
        raise ValueError(f"--condition {condition}: expected a number ({covariate.described()}).") from None
    return value
