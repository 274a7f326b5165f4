"""Names that NWB has a meaning for, or does not take: what they are called in the file, and back.

A covariate ``start_time`` would be taken for the start of its trial, a unit property ``spike_times`` for spikes, and
HDF5 takes no slash. Such names get a prefix in the file; the notes of the file say what they were, so that
:meth:`SpikeCounts.from_nwb` gives them back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

__all__ = ["RENAMED_KEY", "names_in_file", "original_names"]

RENAMED_KEY = "renamed"
"""Entry of the notes: for each kind of column, name in the file → name in the counts."""

# Not allowed in HDF5 and NWB, or read as a path.
_NOT_TAKEN = re.compile(r"[/:.\\\x00]")

# The index of a ragged column, and what the reader leaves out for its size.
_SPECIAL = re.compile(r"(.*_index|waveform.*|)", re.DOTALL)

Value = TypeVar("Value")


def names_in_file(
    names: Iterable[str], kind: str, meant_otherwise: Iterable[str], table: type | None
) -> dict[str, str]:
    """Return name → name in the file, for the names that differ.

    Parameters
    ----------
    names : iterable of str
        Names of covariates, or of unit properties.
    kind : str
        What they are: begins the name in the file.
    meant_otherwise : iterable of str
        Names that NWB, or this package, uses for something else in the same table.
    table : type, optional
        NWB's class of the table, whose attributes cannot be names of columns.
    """
    names = list(names)
    taken = set(meant_otherwise)
    renamed: dict[str, str] = {}
    for name in names:
        if name in taken or _NOT_TAKEN.search(name) or _SPECIAL.fullmatch(name) or hasattr(table, name):
            safe = f"{kind}_{_NOT_TAKEN.sub('_', name)}".removesuffix("_index")
            while safe in taken or safe in names or safe in renamed.values():
                safe += "_"
            renamed[name] = safe
    return renamed


def original_names(entries: Mapping[str, Value], notes: Mapping[str, Any], kind: str) -> dict[str, Value]:
    """Return entries under the names that they had before they were written."""
    renamed = notes.get(RENAMED_KEY, {})
    names = renamed.get(kind, {}) if isinstance(renamed, Mapping) else {}
    return {str(names.get(name, name)): value for name, value in entries.items()}
