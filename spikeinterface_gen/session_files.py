"""Folders that are whole or not there, and that show when a byte has changed.

Every file of a folder is listed with its sha256 in ``session.json``, which holds the sha256 of its own
contents. This detects damage and careless edits; it is no signature, and does not need to be: nothing
that is read here can execute code.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from spikeinterface_gen.files import new_folder

__all__ = [
    "SETTINGS_FILE",
    "SessionError",
    "check_target",
    "is_session_folder",
    "read_arrays",
    "read_settings",
    "whole_folder",
    "write_settings",
]

SETTINGS_FILE = "session.json"
_FORMAT = "spikeinterface_gen session"
_FORMAT_VERSION = 2

# Arrays smaller than this are read at once: an empty one cannot be mapped.
_MAPPED_BYTES = 65536


class SessionError(ValueError):
    """A folder is no session, or has changed since it was written."""


def is_session_folder(folder: str | Path) -> bool:
    """Whether a folder says that it is a session; it may still be damaged."""
    try:
        settings = json.loads((Path(folder) / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and settings.get("format") == _FORMAT


def read_settings(folder: Path, files: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    """Read ``session.json`` and check it, all ``files``, and those ``optional`` ones that there are.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    SessionError
        If it is no session, is of another format, lacks a file, or has changed.
    """
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such session folder", str(folder))
    if not is_session_folder(folder):
        raise SessionError(f"{folder} is no session: it has no readable {SETTINGS_FILE} of spikeinterface_gen.")
    settings = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    if settings.get("format_version") != _FORMAT_VERSION:
        raise SessionError(
            f"{folder} has the format version {settings.get('format_version')!r}; this version of spikeinterface_gen "
            f"reads {_FORMAT_VERSION}. Update spikeinterface_gen, or generate the session anew."
        )
    changed = [] if _settings_hash(settings) == settings.get("sha256") else [SETTINGS_FILE]
    hashes = settings.get("files")
    hashes = hashes if isinstance(hashes, dict) else {}
    for name in [*files, *(name for name in optional if name in hashes or (folder / name).exists())]:
        path = folder / name
        if not path.is_file():
            raise SessionError(f"{folder} is incomplete: {name} is missing. Generate the session anew.")
        if _file_hash(path) != hashes.get(name):
            changed.append(name)
    if changed:
        raise SessionError(
            f"{folder} has changed since it was written ({', '.join(changed)}), so its ground truth can no longer be "
            "trusted. Generate the session anew."
        )
    return settings


def write_settings(folder: Path, settings: dict[str, Any], files: Sequence[str]) -> None:
    """Write ``session.json`` with the hashes of ``files``, which are there already."""
    settings = {"format": _FORMAT, "format_version": _FORMAT_VERSION, **settings}
    settings["files"] = {name: _file_hash(folder / name) for name in files}
    settings["sha256"] = _settings_hash(settings)
    (folder / SETTINGS_FILE).write_text(json.dumps(settings, indent=1), encoding="utf-8")


def read_arrays(path: Path) -> Any:
    """Read an ``.npy`` as an array (memory-mapped where large) or an ``.npz`` as a dict, without pickle.

    Raises
    ------
    SessionError
        If the file is no such array.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        large = path.stat().st_size > _MAPPED_BYTES
        return np.load(path, mmap_mode="r" if large else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SessionError(f"{path} cannot be read as an array: {error}") from error


def check_target(folder: str | Path, *, overwrite: bool = False) -> Path:
    """Return the folder as an absolute path if a session may be written there.

    Raises
    ------
    FileExistsError
        If something is there, unless it is a session and ``overwrite``.
    """
    folder = Path(folder).expanduser().absolute()
    if folder.exists():
        if not overwrite:
            raise FileExistsError(
                errno.EEXIST, "exists already; choose another folder, remove it, or pass overwrite=True", str(folder)
            )
        if not is_session_folder(folder):
            raise FileExistsError(errno.EEXIST, "is no session of spikeinterface_gen and is not replaced", str(folder))
    return folder


@contextmanager
def whole_folder(folder: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary sibling of ``folder`` to write to; it takes the place of ``folder`` at the end.

    On any error the sibling is removed, and what was in the place of ``folder`` stays.

    Parameters
    ----------
    folder : str or path
        Where to write; its parents are made.
    overwrite : bool
        Whether a session that is there already is replaced. Anything else there is never touched.

    Raises
    ------
    FileExistsError
        If something is there that may not be replaced.
    OSError
        If it cannot be written.
    """
    folder = check_target(folder, overwrite=overwrite)
    with new_folder(folder) as temporary:
        yield temporary
        # Somebody may have been faster.
        check_target(folder, overwrite=overwrite)


def _file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _settings_hash(settings: dict[str, Any]) -> str:
    told = {key: value for key, value in settings.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
