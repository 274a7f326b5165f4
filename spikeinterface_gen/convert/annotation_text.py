"""Annotations of Neo objects as values that JSON can hold, and back, with their types.

JSON has neither tuples nor arrays, units of measurement or times: these become ``{"type": …, …}`` under one reserved
key. What JSON has stays as it is.
"""

from __future__ import annotations

import base64
from datetime import date, datetime, time
from typing import Any

import numpy as np
import quantities as pq

__all__ = ["decoded", "encoded"]

_TYPE = "__type__"
_TIMES: dict[str, Any] = {"datetime": datetime, "date": date, "time": time}


def encoded(value: Any) -> Any:
    """Return ``value`` as nested dicts, lists, texts and numbers, of which :func:`decoded` makes it again.

    Raises
    ------
    TypeError
        If it is, or holds, something that is no plain value, array or time.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray):  # a Quantity too
        return _encoded_array(value)
    if isinstance(value, np.generic):
        return {_TYPE: "scalar", "of": _encoded_array(np.asarray(value))}
    if type(value) is list:
        return [encoded(item) for item in value]
    if type(value) is tuple:
        return {_TYPE: "tuple", "items": [encoded(item) for item in value]}
    if isinstance(value, dict) and all(type(key) is str and key != _TYPE for key in value):
        return {key: encoded(item) for key, item in value.items()}
    if type(value) in _TIMES.values():
        return {_TYPE: type(value).__name__, "iso": value.isoformat()}
    if isinstance(value, bytes):
        return {_TYPE: "bytes", "base64": base64.b64encode(value).decode()}
    if isinstance(value, complex):
        return {_TYPE: "complex", "parts": [value.real, value.imag]}
    raise TypeError(f"no text for a {type(value).__name__}")


def decoded(value: Any) -> Any:
    """Return what :func:`encoded` was given."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(_TYPE)
    if kind is None:
        return {key: decoded(item) for key, item in value.items()}
    if kind == "array":
        return _decoded_array(value)
    if kind == "scalar":
        return _decoded_array(value["of"])[()]
    if kind == "tuple":
        return tuple(decoded(item) for item in value["items"])
    if kind == "bytes":
        return base64.b64decode(value["base64"])
    if kind == "complex":
        return complex(*value["parts"])
    return _TIMES[kind].fromisoformat(value["iso"])


def _encoded_array(array: np.ndarray) -> dict[str, Any]:
    values = np.asarray(array)
    kind = values.dtype.kind
    note: dict[str, Any] = {_TYPE: "array", "dtype": values.dtype.str, "shape": list(values.shape)}
    if isinstance(array, pq.Quantity):
        note["units"] = array.dimensionality.string
    if kind in "biufU":
        return {**note, "values": values.ravel().tolist()}
    if kind in "cMmS" and values.dtype.itemsize:
        return {**note, "base64": base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()}
    raise TypeError(f"no text for an array of {values.dtype}")


def _decoded_array(note: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(note["dtype"])
    if "base64" in note:
        array = np.frombuffer(base64.b64decode(note["base64"]), dtype).copy()
    else:
        array = np.array(note["values"], dtype)
    array = array.reshape(note["shape"])
    return array if "units" not in note else pq.Quantity(array, _unit(note["units"]), dtype=dtype)


def _unit(name: str) -> Any:
    """The unit of this name; that of a compound one, such as a sample, is its definition in parentheses."""
    if name.startswith("(") and name.endswith(")"):
        return pq.CompoundUnit(name[1:-1])
    return pq.Quantity(1.0, name).units
