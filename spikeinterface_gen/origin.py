"""What files and folders say about their origin, read without executing or trusting anything in them."""

from __future__ import annotations

import json
import mmap
import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FOLDER_MARK", "is_true", "mark_path", "path_is_synthetic"]

FOLDER_MARK = "synthetic.json"
"""File in a folder that says what the folder's own files cannot."""

_FILE_MARK = ".provenance.json"
_KEY = "synthetic"

# Where sessions, and SpikeInterface's folders, zarr stores and analyzers, keep annotations.
_METADATA_FILES = (
    FOLDER_MARK,
    "session.json",
    "si_folder.json",
    "annotations.json",
    ".zattrs",
    "recording.json",
    "sorting/si_folder.json",
    "sorting/annotations.json",
    "sorting/.zattrs",
    "recording_info/recording_attributes.json",
    "binary.json",
    "numpysorting_info.json",
    "provenance.json",
    "provenance.pkl",
)
# These hold annotations at their top.
_PLAIN_ANNOTATIONS = (FOLDER_MARK, "annotations.json")

# Classes that open generated sessions; their name in a dictionary of SpikeInterface is as good as an annotation.
_OUR_EXTRACTORS = "spikeinterface_gen.extractors."

_HDF5 = b"\x89HDF\r\n\x1a\n"
_DEEPEST = 50


def is_true(value: Any) -> bool:
    """Whether an annotation means True, also after a file format has made a number, array or text of it."""
    if isinstance(value, str):
        return value.lower() == "true"
    if isinstance(value, (bool, int, np.generic, np.ndarray)):
        values = np.asarray(value)
        return values.dtype.kind in "biu" and values.size > 0 and bool(np.all(values == 1))
    return False


def mark_path(path: Path) -> Path:
    """The file beside a file, or in a folder, that says where it comes from."""
    return path / FOLDER_MARK if path.is_dir() else path.with_name(path.name + _FILE_MARK)


def path_is_synthetic(path: Path) -> bool:
    """Whether a file or folder says that it was generated; see :func:`spikeinterface_gen.is_synthetic`."""
    if path.is_dir():
        return any(_file_says(path / name) for name in _METADATA_FILES)
    of_folder = (path.with_name(name) for name in (FOLDER_MARK, "session.json"))
    return _file_says(mark_path(path)) or _file_says(path) or any(_file_says(mark) for mark in of_folder)


def _file_says(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(1024)
        if head[:8] == _HDF5 or head[512:520] == _HDF5:
            return _hdf5_says(path)
        if head.startswith(b"MATLAB 5.0"):
            return _contains(path, _KEY.encode()) and _matlab_says(path)
        if (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05") or path.suffix in (".pkl", ".pickle"):
            return _contains(path, _KEY.encode(), _OUR_EXTRACTORS.encode()) and _pickle_says(path)
        if path.suffix == ".json" or path.name == ".zattrs":
            value = json.loads(path.read_text(encoding="utf-8"))
            plain = path.name in _PLAIN_ANNOTATIONS or path.name.endswith(_FILE_MARK)
            return _says({"annotations": value} if plain else value)
    except (OSError, ValueError):
        return False
    return False


def _contains(path: Path, *words: bytes) -> bool:
    """Whether one of the words is somewhere in a file that is not empty."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(word) >= 0 for word in words)


def _says(value: Any, depth: int = 0) -> bool:
    """Whether some ``annotations`` in nested dicts and lists hold ``synthetic=True``, or a class of ours is named."""
    if depth > _DEEPEST:
        return False
    if isinstance(value, Mapping):
        annotations = value.get("annotations")
        if isinstance(annotations, Mapping) and is_true(annotations.get(_KEY)):
            return True
        if str(value.get("class", "")).startswith(_OUR_EXTRACTORS):
            return True
        return any(_says(item, depth + 1) for item in value.values())
    return isinstance(value, list) and any(_says(item, depth + 1) for item in value)


def _pickle_says(path: Path) -> bool:
    """Whether a pickle would build a dict with ``synthetic: True``: its instructions are read, none is followed.

    In such a dict the value comes right after the key; a text that was seen before is taken from the memo.
    """
    memo: dict[Any, Any] = {}
    last: Any = None
    try:
        with open(path, "rb") as file:
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name == "MEMOIZE":
                    memo[len(memo)] = last
                elif opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
                    memo[argument] = last
                elif opcode.name not in ("FRAME", "PROTO"):
                    if last == _KEY and (opcode.name == "NEWTRUE" or (opcode.name == "INT" and argument is True)):
                        return True
                    last = memo.get(argument) if opcode.name in ("GET", "BINGET", "LONG_BINGET") else argument
                    if isinstance(last, str) and last.startswith(_OUR_EXTRACTORS):
                        return True
    except (ValueError, IndexError, TypeError, OverflowError, EOFError):
        return False  # no pickle, or a damaged one
    return False


def _hdf5_says(path: Path) -> bool:
    """Whether something in an HDF5 file (NIX, NWB, Matlab 7.3) is named "synthetic" and true, or the notes say so."""
    try:
        import h5py
    except ImportError:
        # What this package writes also says so as text, which stands in the file as it is.
        return _contains(path, b'"synthetic": true')

    def says(name: str, item: Any) -> bool | None:
        if is_true(item.attrs.get(_KEY)):
            return True
        if not isinstance(item, h5py.Dataset):
            return None
        if name.rpartition("/")[2] == _KEY and item.dtype.kind in "biu" and item.size and is_true(item[()]):
            return True
        if name == "general/notes" and item.shape == ():
            return '"synthetic": true' in str(item.asstr()[()]) or None
        return None

    with h5py.File(path, "r") as file:
        return is_true(file.attrs.get(_KEY)) or bool(file.visititems(says))


def _matlab_says(path: Path) -> bool:
    from scipy.io import loadmat

    def plain(value: Any, depth: int = 0) -> Any:
        if depth < _DEEPEST and hasattr(value, "_fieldnames"):
            return {name: plain(getattr(value, name), depth + 1) for name in value._fieldnames}
        if depth < _DEEPEST and isinstance(value, np.ndarray) and value.dtype.kind == "O":
            return [plain(item, depth + 1) for item in value.flat]
        return value

    try:
        variables = loadmat(path, struct_as_record=False, squeeze_me=True)
    except Exception:  # of a damaged file: the reader promises nothing
        return False
    return _says([plain(value) for name, value in variables.items() if not name.startswith("__")])
