"""Files of models: tensors as safetensors, settings as JSON. Reading them never runs code.

A saved model is a folder of two files, ``config.json`` and ``model.safetensors``; the first names the sha256 of
the second, so that files of different models are never mixed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from spikeinterface_gen.files import write_file

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read_tensors", "tensor_shape", "write_tensors"]


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors and text metadata to one safetensors file."""
    from safetensors.torch import save

    data = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, metadata)
    write_file(path, data)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what :func:`write_tensors` wrote, to the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated or no safetensors file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}.")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{str(path)!r} is truncated or no safetensors file ({error}).") from None


def tensor_shape(path: Path, name: str) -> tuple[int, ...] | None:
    """Return the shape of a tensor without reading any; None where there is no such file or tensor."""
    try:
        with safe_open(path, framework="np") as file:
            return tuple(file.get_slice(name).get_shape())
    except (SafetensorError, OSError):
        return None
