"""What of an LDNS goes into its folder, and comes back from it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from spikeinterface_gen.models.conditions import Conditions
from spikeinterface_gen.models.ldns_networks import build_networks
from spikeinterface_gen.models.ldns_observation import ObservationReport
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.models.saved import read_model, write_model
from spikeinterface_gen.models.transfer import StartedFrom

if TYPE_CHECKING:
    from spikeinterface_gen.models.ldns import LDNS

__all__ = ["load_ldns", "save_ldns"]


def save_ldns(model: LDNS, folder: Path, *, overwrite: bool) -> Path:
    """Write a fitted model; see :meth:`LDNS.save`."""
    networks = model._ready()
    config: dict[str, Any] = {
        "model": "LDNS",
        "settings": model.settings(),
        "sizes": networks.sizes,
        "population": model.population_.to_config(),
        "binary": networks.binary,
        "num_steps": model.num_steps_,
        "observation": asdict(model.observation_),
        "stage_metrics": json.loads(model.stage_metrics_.to_json(orient="split")),
    }
    if model.started_from_ is not None:
        config["started_from"] = asdict(model.started_from_)
    tensors = networks.state_dict()
    if networks.conditions is not None:
        config["conditions"] = networks.conditions.to_config()
        tensors |= {name: torch.from_numpy(values) for name, values in networks.conditions.arrays().items()}
    return write_model(folder, config, tensors, overwrite=overwrite)


def load_ldns(kind: type[LDNS], folder: Path) -> Any:
    """Read a model of this ``kind``; see :meth:`LDNS.load`."""
    config, tensors = read_model(folder, "LDNS")
    try:
        settings = config["settings"]
        settings["dropout_range"] = tuple(settings["dropout_range"])
        model = kind(**settings)
        model.population_ = Population.from_config(config["population"])
        model.num_steps_ = {name: tuple(steps) for name, steps in config["num_steps"].items()}
        model.observation_ = ObservationReport(**config["observation"])
        model.stage_metrics_ = pd.DataFrame(**config["stage_metrics"])
        model.started_from_ = StartedFrom(**config["started_from"]) if "started_from" in config else None
        arrays = {name: tensors.pop(name).numpy() for name in list(tensors) if name.startswith("conditions.")}
        conditions = Conditions.from_config(config["conditions"], arrays) if "conditions" in config else None
        networks = build_networks(settings | config["sizes"], model.population_, config["binary"], conditions)
        networks.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{str(folder)!r} is no LDNS model that this version can read: {error}") from None
    model.reports_ = {}
    model.networks_ = networks.eval()
    return model
