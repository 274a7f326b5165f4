"""What Neo's file formats lose of a block: written into notes on its parts, and put back.

A note is an annotation of text (JSON) under the name ``spikeinterface_gen_notes``, on whatever it is about, so that
files stay readable with Neo alone. It holds all annotations and array annotations with their types
(:mod:`spikeinterface_gen.convert.annotation_text`), and the attributes that a format drops. Beside the note, a part
carries those annotations that every format holds; the others (None, lists of mixed kinds, nested ones, arrays of
several dimensions) crash a writer or come back as something else.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import neo
import numpy as np

from spikeinterface_gen.convert.annotation_text import decoded, encoded

__all__ = ["restore_notes", "with_notes"]

_NOTES = "spikeinterface_gen_notes"

# Kept on trains where every annotation costs time: what tells units apart, and that they are synthetic.
_OF_LEAN_TRAINS = ("unit_id", "synthetic")

# Of waveforms, from which Matlab takes the axes of length one.
_SHAPE = "waveforms_shape"
_ADDED_BY_NIX = "nix_name"

# Matlab's names of fields; NIX takes these too.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")


@contextmanager
def with_notes(block: neo.Block, *, lean: bool) -> Iterator[None]:
    """Have the parts of a block carry their notes, and afterwards what they carried before.

    Parameters
    ----------
    block : neo.Block
        Writers add annotations of their own, which are gone afterwards too.
    lean : bool
        Whether spike trains carry little beside their note.

    Warns
    -----
    UserWarning
        Where a value has no text, and is lost.
    """
    parts = list(_parts(block))
    before = [(part, part.annotations, getattr(part, "array_annotations", None)) for part in parts]
    lost: list[str] = []
    try:
        for part in parts:
            _carry_note(part, lost, lean)
        if lost:
            more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
            warnings.warn(
                f"{lost[0]}{more} cannot be written, and is left out; make a number, text, list, dict or array of it.",
                stacklevel=4,
            )
        yield
    finally:
        for part, annotations, arrays in before:
            part.annotations = annotations
            if arrays is not None:
                part.array_annotations = arrays


def restore_notes(block: neo.Block) -> None:
    """Take the notes, and what Neo's writers add, out of the annotations, and put back what notes hold."""
    for part in _parts(block):
        part.annotations.pop(_ADDED_BY_NIX, None)
        text = part.annotations.pop(_NOTES, None)
        try:
            note = json.loads(text) if text else {}
        except (TypeError, ValueError):
            continue  # by another hand
        part.annotations.update({key: decoded(value) for key, value in note.get("annotations", {}).items()})
        attributes = {name: decoded(value) for name, value in note.get("attributes", {}).items()}
        shape = attributes.pop(_SHAPE, None)
        if shape is not None:
            part.waveforms = part.waveforms.reshape(shape)
        for name, value in attributes.items():
            setattr(part, name, value)
        if "array_annotations" in note:
            arrays = {name: decoded(value) for name, value in note["array_annotations"].items()}
            part.array_annotate(**arrays)


def _parts(block: neo.Block) -> Iterator[Any]:
    """The block and all in it, each once."""
    waiting, seen = [block], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen or not hasattr(part, "annotations"):
            continue
        seen.add(id(part))
        yield part
        for name in getattr(part, "_child_containers", ()):
            waiting.extend(getattr(part, name))


def _carry_note(part: Any, lost: list[str], lean: bool) -> None:
    is_train = isinstance(part, neo.SpikeTrain)
    own = {key: value for key, value in part.annotations.items() if key != _ADDED_BY_NIX}
    arrays = getattr(part, "array_annotations", {})
    note = {
        "annotations": _texts(own, "annotation", part, lost),
        "array_annotations": _texts(arrays, "array annotation", part, lost),
        "attributes": _texts(_attributes(part), "attribute", part, lost),
    }
    if arrays:
        part.array_annotations = {name: values for name, values in arrays.items() if _is_flat(values)}
    kept = {key: own[key] for key in _OF_LEAN_TRAINS if key in own} if lean and is_train else own
    part.annotations = {key: value for key, value in kept.items() if _is_native(part, key, value)}
    part.annotations[_NOTES] = json.dumps({name: texts for name, texts in note.items() if texts})


def _texts(values: Mapping[str, Any], what: str, part: Any, lost: list[str]) -> dict[str, Any]:
    texts = {}
    for key, value in values.items():
        try:
            texts[str(key)] = encoded(value)
        except TypeError:
            lost.append(f"the {what} {key!r} of a {type(part).__name__} (a {type(value).__name__})")
    return texts


def _attributes(part: Any) -> dict[str, Any]:
    """What a format drops or changes of an object beside its data."""
    found = {}
    if hasattr(part, "rec_datetime"):  # NIX has the time of writing where there is none, and whole seconds
        found = {name: getattr(part, name) for name in ("rec_datetime", "file_datetime", "index")}
    if isinstance(part, neo.SpikeTrain):
        found |= {"sampling_rate": part.sampling_rate, "left_sweep": part.left_sweep}
        if part.waveforms is not None:
            found[_SHAPE] = part.waveforms.shape
    if isinstance(part, (neo.Event, neo.Epoch)):
        found["labels"] = part.labels  # Matlab pads them to one length
    if isinstance(part, neo.Epoch):
        found["durations"] = part.durations  # a single one comes back without its axis
    if not part.name:
        found["name"] = part.name
    for name in ("description", "file_origin"):
        if getattr(part, name) is not None:
            found[name] = getattr(part, name)
    return found


def _is_native(part: Any, key: str, value: Any) -> bool:
    """Whether every format holds an annotation, and takes its name for no attribute."""
    if not _NAME.fullmatch(str(key)) or key.startswith("neo_") or hasattr(part, key):
        return False
    if isinstance(value, (list, np.ndarray)):
        return _is_flat(value)
    return isinstance(value, (datetime, np.floating, np.integer, np.bool_)) or _is_scalar(value)


def _is_flat(values: Any) -> bool:
    """Whether values are a list or array of one dimension and one kind: numbers, truths or texts."""
    if isinstance(values, np.ndarray):
        return values.ndim == 1 and values.size > 0 and values.dtype.kind in "biufU"
    return len({type(value) for value in values}) == 1 and all(map(_is_scalar, values))


def _is_scalar(value: Any) -> bool:
    """Whether a number, truth or text is one that HDF5 holds and Matlab does not take for an empty array."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return isinstance(value, float) or (isinstance(value, str) and value != "" and "\x00" not in value)
