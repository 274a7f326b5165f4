"""Which model the pieces of a recording come from, and drawing them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["Source", "check_units", "draw", "source_of"]


@dataclass(frozen=True, eq=False)
class Source:
    """A model, and what is known of it if it is fitted.

    Attributes
    ----------
    model : object
        Has ``sample``, which takes ``durations`` and ``seed``, and, where it is not fitted yet, ``fit``.
    fitted : bool
    unit_ids : array, shape (units,), or None
    bin_size_ms : float or None
    longest_bins : int or None
        Bins of the longest trial that it was fitted to.
    trial_locked : bool or None
    """

    model: Any
    fitted: bool
    unit_ids: np.ndarray | None = None
    bin_size_ms: float | None = None
    longest_bins: int | None = None
    trial_locked: bool | None = None


def source_of(model: Any) -> Source:
    """Look at the model that was given: None for an LDNS to be fitted, a folder, a name, or a model.

    Raises
    ------
    TypeError
        If it is no model.
    """
    if model is None:
        from spikeinterface_gen.models.ldns import LDNS

        return Source(LDNS(), fitted=False)
    if isinstance(model, (str, Path)):
        from spikeinterface_gen.models import load_model

        model = load_model(model)
    if isinstance(model, type) or not callable(getattr(model, "sample", None)):
        raise TypeError(
            "model must be a model with fit and sample, fitted or not, or the folder of a saved one; got "
            f"{model!r:.80}. Leave it out to have an LDNS fitted."
        )
    learned = [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]
    if not learned and callable(getattr(model, "fit", None)):
        return Source(model, fitted=False)
    # What a model keeps of its population, or else what a trial of it shows.
    population = getattr(model, "population_", None) or model.sample(1, seed=0)
    return Source(
        model,
        fitted=True,
        unit_ids=population.unit_ids,
        bin_size_ms=float(population.bin_size_ms),
        longest_bins=int(population.max_bins),
        trial_locked=bool(population.trial_locked),
    )


def check_units(source: Source, unit_ids: np.ndarray) -> None:
    """Raise unless a fitted model knows these units."""
    if source.unit_ids is None:
        return
    known = set(source.unit_ids.tolist())
    strange = [unit_id for unit_id in unit_ids.tolist() if unit_id not in known]
    if not strange:
        return
    same_text = {str(unit_id) for unit_id in known} >= {str(unit_id) for unit_id in strange}
    remedy = (
        f"they differ in type only ({type(strange[0]).__name__} and {type(next(iter(known))).__name__}): give the "
        "data ids of the type that the model was fitted to"
        if same_text
        else "leave model= out to have one fitted to these data, or select the units that the model knows"
    )
    raise ValueError(
        f"the model does not know {len(strange)} of the {len(unit_ids)} units of the data ({strange[:3]}, …); it was "
        f"fitted to {len(known)} units ({source.unit_ids[:3].tolist()}, …). {remedy[0].upper()}{remedy[1:]}."
    )


def draw(
    model: Any,
    num_bins: np.ndarray,
    bin_size_ms: float,
    unit_ids: np.ndarray,
    seed: int,
    known: Mapping[str, np.ndarray],
) -> SpikeCounts:
    """Draw trials of these lengths and units.

    Parameters
    ----------
    model : object
        Fitted.
    num_bins : array of int, shape (trials,)
        Their lengths.
    bin_size_ms : float
        Width of its bins in ms.
    unit_ids : array, shape (units,)
        Units, in the order wanted.
    seed : int
    known : mapping from str to array
        Covariates of the trials; a model that is conditioned on some of them draws for these.
    """
    conditions = getattr(model, "conditions_", None)
    options: dict[str, Any] = {"durations": num_bins * (bin_size_ms / 1000.0), "seed": seed}
    if conditions is not None:
        options["covariates"] = {name: known[name] for name in conditions.covariates if name in known}
    drawn = model.sample(len(num_bins), **options)
    return drawn if np.array_equal(drawn.unit_ids, unit_ids) else drawn.select_units(unit_ids)
