"""What travels with spikes through other packages' objects: plain values that JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["PLACEMENT_KEYS", "common_covariates", "plain", "plain_entries", "provenance_marks"]

# Annotations that say how spike times were placed into bins; they describe one conversion, not the counts.
PLACEMENT_KEYS = ("bin_size_ms", "placement_seed", "spike_times_placed", "sampling_frequency", "watermarked")

# Repeated on every part of what was generated, so that a part taken alone still says so.
_PROVENANCE_KEYS = ("synthetic", "model", "model_sha256", "seed")


def plain(value: Any) -> Any:
    """Return ``value`` with numpy's scalars and arrays as Python's own; anything else as it is."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def plain_entries(mapping: Mapping[str, Any], leave_out: Iterable[str] = ()) -> dict[str, Any]:
    """Return those entries that JSON can hold, made plain, except the keys to ``leave_out``."""
    entries = {}
    for key, value in mapping.items():
        value = plain(value)
        if key not in set(leave_out) and _jsonable(value):
            entries[str(key)] = value
    return entries


def provenance_marks(annotations: Mapping[str, Any]) -> dict[str, Any]:
    """Return the few annotations that every part of a generated object repeats; empty for real data."""
    if not annotations.get("synthetic"):
        return {}
    return {key: plain(annotations[key]) for key in _PROVENANCE_KEYS if key in annotations}


def common_covariates(rows: Sequence[Mapping[str, Any]], leave_out: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Return what all rows (a trial or a unit each) know, as arrays whose first axis is the rows.

    Numbers, booleans, strings, and equally long lists of numbers are taken; entries that some rows lack,
    or that have another type in some rows, are not.
    """
    covariates: dict[str, np.ndarray] = {}
    if not rows:
        return covariates
    for name in rows[0]:
        if name in set(leave_out) or not all(name in row for row in rows):
            continue
        values = [plain(row[name]) for row in rows]
        try:
            column = np.asarray(values)
        except ValueError:  # lists of different lengths
            continue
        texts = sum(isinstance(value, str) for value in values)
        if column.dtype.kind in "biufU" and column.size and column.ndim <= 2 and texts in (0, len(rows)):
            covariates[str(name)] = column
    return covariates


def _jsonable(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
