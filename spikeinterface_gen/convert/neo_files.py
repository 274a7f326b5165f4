"""Neo blocks to files and back, with what the formats lose put back.

========  =====================  ==========================================================
suffix    Neo's reader           what is lost without the notes that are kept here
========  =====================  ==========================================================
.nix      ``NixIO``              sampling rates of trains, annotations that are nested
.mat      ``NeoMatlabIO``        array annotations, nested lists
.pkl      ``PickleIO``           nothing; reading one executes code, so it must be asked for
========  =====================  ==========================================================

The notes are annotations of text (JSON) under the name ``spikeinterface_gen_notes``: files stay readable with Neo
alone. Beside the file lies its provenance (:func:`spikeinterface_gen.mark_synthetic`) where it is synthetic.
"""

from __future__ import annotations

import copy
import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeinterface_gen.convert.metadata import plain, plain_entries
from spikeinterface_gen.origin import mark_path
from spikeinterface_gen.provenance import is_synthetic, mark_synthetic

if TYPE_CHECKING:
    import neo

__all__ = ["read_neo", "write_neo"]

_NOTES = "spikeinterface_gen_notes"
_SUFFIXES = (".nix", ".mat", ".pkl")


def write_neo(block: neo.Block, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a Neo block so that :func:`read_neo` gives all of it back, and mark it where it is synthetic.

    Parameters
    ----------
    block : neo.Block
        It is left as it is.
    path : str or path
        Ends in .nix (needs the package ``nixio``), .mat or .pkl.
    overwrite : bool
        Whether a file that is there is replaced, once the new one is complete.

    Returns
    -------
    Path

    Raises
    ------
    FileExistsError
        If there is a file, unless ``overwrite``.
    ValueError
        If the suffix is another one.
    ImportError
        If ``nixio`` is needed and missing.
    """
    path = _checked(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; pass overwrite=True to replace it.")
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.suffix == ".pkl":
            _io(temporary, "ow").write_block(block)
        else:
            # Neo's writers add annotations of their own to what they write.
            block = copy.deepcopy(block)
            _keep_notes(block)
            writer = _io(temporary, "ow")
            writer.write_block(block)
            getattr(writer, "close", lambda: None)()
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if is_synthetic(block):
        mark_synthetic(path, block)
    else:
        mark_path(path).unlink(missing_ok=True)  # of what was there before
    return path


def read_neo(path: str | Path, *, trust_pickle: bool = False) -> neo.Block:
    """Read a block that :func:`write_neo` wrote, or that Neo did.

    Parameters
    ----------
    path : str or path
        Ends in .nix, .mat or .pkl.
    trust_pickle : bool
        Whether to read a pickle: whoever wrote it can execute anything on this machine.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    PermissionError
        If it is a pickle and ``trust_pickle`` is false.
    ValueError
        If the suffix is another one, or the file holds no block.
    """
    path = _checked(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}.")
    if path.suffix == ".pkl" and not trust_pickle:
        raise PermissionError(
            f"{str(path)!r} is a pickle: reading it executes whatever its writer put in. Pass trust_pickle=True if it "
            "is your own, or have it written as .nix or .mat."
        )
    reader = _io(path, "ro")
    block = reader.read_block()
    getattr(reader, "close", lambda: None)()
    if block is None:
        raise ValueError(f"{str(path)!r} holds no block.")
    _restore_notes(block)
    return block


def _checked(path: str | Path) -> Path:
    path = Path(path).expanduser()
    if path.suffix not in _SUFFIXES:
        raise ValueError(
            f"{path.name!r} must end in one of {', '.join(_SUFFIXES)}; for NWB there is SpikeCounts.to_nwb."
        )
    return path


def _io(path: Path, mode: str) -> Any:
    import neo

    if path.suffix == ".pkl":
        return neo.io.PickleIO(str(path))
    if path.suffix == ".mat":
        return neo.io.NeoMatlabIO(str(path))
    try:
        import nixio  # noqa: F401 - Neo's own message does not say how to get it
    except ImportError as error:
        raise ImportError("NIX files need the package nixio: pip install 'spikeinterface-gen[nix]'.") from error
    return neo.io.NixIO(str(path), mode)


def _keep_notes(block: neo.Block) -> None:
    """Add to each object, as text, what the formats lose of it."""
    for part in (block, *block.segments, *block.groups):
        nested = {key: value for key, value in plain_entries(part.annotations).items() if _is_nested(value)}
        if nested:
            part.annotations[_NOTES] = json.dumps({"annotations": nested})
    for segment in block.segments:
        for train in segment.spiketrains:
            notes: dict[str, Any] = {}
            if train.sampling_rate is not None:
                notes["sampling_rate_hz"] = float(train.sampling_rate.rescale("Hz").magnitude)
            arrays = {name: _array_note(values) for name, values in train.array_annotations.items()}
            nested = {key: value for key, value in plain_entries(train.annotations).items() if _is_nested(value)}
            notes |= {name: value for name, value in (("arrays", arrays), ("annotations", nested)) if value}
            if notes:
                train.annotations[_NOTES] = json.dumps(notes)
    if is_synthetic(block):
        # As text it is found in a file of any format, also by a reader that does not know the format.
        notes = json.loads(block.annotations.get(_NOTES, "{}"))
        block.annotations[_NOTES] = json.dumps({**notes, "synthetic": True})


def _restore_notes(block: neo.Block) -> None:
    import quantities as pq

    for part in (block, *block.segments, *block.groups):
        _restored(part)
    for segment in block.segments:
        for train in segment.spiketrains:
            notes = _restored(train)
            if "sampling_rate_hz" in notes:
                train.sampling_rate = notes["sampling_rate_hz"] * pq.Hz
            for name, (values, units) in notes.get("arrays", {}).items():
                array = np.asarray(values)
                train.array_annotate(**{name: array if units is None else array * pq.Quantity(1, units)})


def _restored(part: Any) -> dict[str, Any]:
    """Take the notes of an object, and the names that Neo's writers add, out of its annotations."""
    part.annotations.pop("nix_name", None)
    text = part.annotations.pop(_NOTES, None)
    part.annotations.update({key: plain(value) for key, value in part.annotations.items()})
    try:
        notes = json.loads(text) if text else {}
    except (TypeError, ValueError):
        return {}
    part.annotations.update(notes.get("annotations", {}))
    return notes


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value)
    )


def _array_note(values: Any) -> tuple[list[Any], str | None]:
    units = getattr(values, "dimensionality", None)
    return np.asarray(values).tolist(), None if units is None else units.string
