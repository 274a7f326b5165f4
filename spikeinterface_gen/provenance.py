"""What generated data says about itself: synthetic, by which model, with which seed and versions."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["provenance"]

_PACKAGES = ("spikeinterface-gen", "torch", "numpy", "spikeinterface", "neo")


def provenance(model: str, model_sha256: str, seed: int) -> dict[str, Any]:
    """Return the annotations that every generated object carries.

    Parameters
    ----------
    model : str
        Class name of the generator.
    model_sha256 : str
        Hash of its weights and settings.
    seed : int
        Seed of the draw.

    Returns
    -------
    dict
        JSON-able: ``synthetic=True``, ``model``, ``model_sha256``, ``seed``, ``versions``.
    """
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"synthetic": True, "model": model, "model_sha256": model_sha256, "seed": int(seed), "versions": versions}
