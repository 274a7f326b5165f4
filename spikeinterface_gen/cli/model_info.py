"""What a saved model says about itself, read without loading it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spikeinterface_gen.io import tensor_shape
from spikeinterface_gen.models.covariate import Covariate

__all__ = ["described_model"]


def described_model(folder: Path) -> dict[str, Any]:
    """Return what ``config.json`` of a model folder tells, and how many latents its weights have.

    Lengths of trials are in s: one number, or the shortest and the longest. ``conditions`` has, for each covariate that
    trials can be drawn for, its kind and values.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    population = config.get("population", {})
    bin_size_ms = population.get("bin_size_ms")
    lengths_s = [bins * bin_size_ms / 1000.0 for bins in population.get("lengths", [])]
    latents = tensor_shape(folder / "model.safetensors", "latent_mean")
    shortest_and_longest = sorted({min(lengths_s), max(lengths_s)}) if lengths_s else []
    return {
        "kind": "model",
        "model": config["model"],
        "written_by": config.get("spikeinterface_gen"),
        "units": len(population.get("unit_ids", [])),
        "latents": None if latents is None else latents[0],
        "bin_size_ms": bin_size_ms,
        "max_bins": population.get("max_bins"),
        "trial_s": shortest_and_longest[0] if len(shortest_and_longest) == 1 else shortest_and_longest,
        "conditions": {entry["name"]: Covariate(**entry).described() for entry in config.get("conditions", [])},
        "weights_sha256": config.get("weights_sha256"),
    }
