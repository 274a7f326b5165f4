"""Writes that are whole or did not happen: to a temporary sibling first, then renamed."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["new_folder", "write_file"]


def write_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``; a failure leaves what was there.

    Raises
    ------
    OSError
        If it cannot be written (no permission, a full disk): the message says that nothing was changed.
    """
    temporary = _sibling(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to fill, which takes the place of ``folder`` once the block ends without an error.

    Whether a folder that is there may be replaced is for the caller to decide beforehand.

    Raises
    ------
    OSError
        If it cannot be written: nothing is left behind, and what was there stays.
    """
    temporary, replaced = _sibling(folder), _sibling(folder)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.exists():
            os.replace(folder, replaced)
        try:
            os.replace(temporary, folder)
        except OSError:
            if replaced.exists():
                os.replace(replaced, folder)
            raise
    except FileExistsError:
        # The caller's own: the place was taken while the folder was filled.
        raise
    except OSError as error:
        raise _not_written(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def _sibling(path: Path) -> Path:
    return path.parent / f".{path.name}.{uuid.uuid4().hex[:12]}.partial"


def _not_written(path: Path, error: OSError) -> OSError:
    reason = error.strerror or str(error)
    return OSError(error.errno, f"{str(path)!r} could not be written: {reason}. Nothing was changed.")
