"""A saved model: a folder with ``config.json`` and ``model.safetensors``, which belong together by hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import spikeinterface_gen
from spikeinterface_gen.files import new_folder
from spikeinterface_gen.io import read_tensors, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read_model", "write_model"]

_FORMAT_VERSION = 1


def write_model(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor], *, overwrite: bool) -> Path:
    """Write a model folder, whole or not at all; see :meth:`LDNS.save` for the errors."""
    folder = folder.expanduser().absolute()
    if folder.exists():
        if not (folder.is_dir() and (folder / "config.json").is_file() and (folder / "model.safetensors").is_file()):
            raise FileExistsError(f"{str(folder)!r} exists and is no saved model; name another folder.")
        if not overwrite:
            raise FileExistsError(f"{str(folder)!r} holds a model; pass overwrite=True to replace it.")
    with new_folder(folder) as temporary:
        weights = temporary / "model.safetensors"
        write_tensors(weights, tensors, {})
        header = {"format_version": _FORMAT_VERSION, "spikeinterface_gen": spikeinterface_gen.__version__}
        config = {**header, **config, "weights_sha256": _sha256(weights)}
        (temporary / "config.json").write_text(json.dumps(config, indent=1, allow_nan=False), encoding="utf-8")
    return folder


def read_model(folder: Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read configuration and weights, checked against each other; see :meth:`LDNS.load` for the errors."""
    folder = folder.expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no model folder {str(folder)!r}.")
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{str(folder)!r} is no complete model: {name} is missing.")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        found, version = config["model"], config["format_version"]
        expected_hash = config["weights_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"config.json of {str(folder)!r} is damaged or of another program ({error!r}).") from None
    if found != kind:
        raise ValueError(f"{str(folder)!r} holds a {found}, not a {kind}.")
    if version != _FORMAT_VERSION:
        raise ValueError(
            f"{str(folder)!r} has format version {version}; this version of spikeinterface_gen reads {_FORMAT_VERSION}."
        )
    if _sha256(folder / "model.safetensors") != expected_hash:
        raise ValueError(
            f"model.safetensors of {str(folder)!r} is damaged or belongs to another model: its hash is not the one "
            "in config.json."
        )
    tensors, _ = read_tensors(folder / "model.safetensors")
    return config, tensors


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
