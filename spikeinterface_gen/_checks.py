"""What a SpikeCounts is made of must hold together: the checks, and the errors that say what does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def padded(counts: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return counts as one array and the valid bins of each trial, padding a ragged list."""
    if isinstance(counts, (list, tuple)):
        trials = [np.asarray(trial) for trial in counts]
        if trials and all(trial.ndim == 2 for trial in trials) and len({t.shape[1] for t in trials}) == 1:
            lengths = np.array([len(trial) for trial in trials], dtype=np.int64)
            dtype = np.result_type(*trials)
            array = np.zeros((len(trials), int(lengths.max()), trials[0].shape[1]), dtype=dtype)
            for k, trial in enumerate(trials):
                array[k, : len(trial)] = trial
            if lengths.min() == 0:
                raise ValueError(f"counts[{int(lengths.argmin())}] has no bins; leave empty trials out.")
            return array, lengths
        if trials and all(trial.ndim == 2 for trial in trials):
            raise ValueError(
                f"the trials in counts differ in their units: {sorted({t.shape[1] for t in trials})}; "
                "each must be (bins, units) with the same units."
            )
    array = np.asarray(counts)
    bins = array.shape[1] if array.ndim > 1 else 0
    return array, np.full(len(array) if array.ndim else 0, bins, dtype=np.int64)


def valid_lengths(num_bins: Any, array: np.ndarray) -> np.ndarray:
    lengths = of_length("num_bins", num_bins, len(array), "trials")
    if not np.issubdtype(lengths.dtype, np.integer):
        raise ValueError(f"num_bins must be integers; got {lengths.dtype}.")
    if lengths.min() < 1 or lengths.max() > array.shape[1]:
        raise ValueError(
            f"num_bins must lie between 1 and the {array.shape[1]} bins of counts; "
            f"got {lengths.min()} to {lengths.max()}."
        )
    return lengths.astype(np.int64)


def as_unsigned(array: np.ndarray) -> np.ndarray:
    """Return the counts in the smallest of uint8, uint16, uint32 that holds them, C-contiguous."""
    if array.dtype == bool:
        array = array.astype(np.uint8)
    if not np.issubdtype(array.dtype, np.number) or np.issubdtype(array.dtype, np.complexfloating):
        raise ValueError(f"counts must be whole numbers; got an array of {array.dtype}.")
    if np.issubdtype(array.dtype, np.floating):
        if not np.all(np.isfinite(array)):
            raise ValueError("counts holds NaN or infinity; missing bins belong outside num_bins, as zeros.")
        if np.any(array != np.round(array)):
            raise ValueError("counts holds fractions; it must be whole spikes per bin (rates are not counts).")
    if np.any(array < 0):
        raise ValueError(f"counts must not be negative; the smallest is {array.min()}.")
    largest = int(array.max())
    for dtype in (np.uint8, np.uint16, np.uint32):
        if largest <= np.iinfo(dtype).max:
            return np.ascontiguousarray(array, dtype=dtype)
    raise ValueError(f"counts holds {largest} spikes in a bin; that is no spike count.")


def distinct_ids(unit_ids: Any, num_units: int) -> np.ndarray:
    if unit_ids is None:
        return np.arange(num_units)
    ids = of_length("unit_ids", unit_ids, num_units, "units")
    if ids.ndim != 1 or ids.dtype.kind not in "iuU":
        raise ValueError(f"unit_ids must be integers or strings; got an array of {ids.dtype}.")
    values, occurrences = np.unique(ids, return_counts=True)
    if len(values) != len(ids):
        raise ValueError(f"unit_ids must be distinct; repeated: {values[occurrences > 1][:5].tolist()}.")
    return ids


def of_length(name: str, value: Any, length: int, axis: str) -> np.ndarray:
    try:
        array = np.asarray(value)
        if array.dtype == object:  # a column of a DataFrame, say, or a list with gaps
            array = np.asarray(known_or_filled(array).tolist())
    except ValueError as error:
        raise ValueError(f"{name} must be an array; its entries differ in shape.") from error
    # Anything else could not be written to disk without pickle.
    if array.dtype.kind not in "biufU":
        raise ValueError(f"{name} must hold numbers, booleans or strings; got an array of {array.dtype}.")
    if array.ndim < 1 or len(array) != length:
        got = f"length {len(array)}" if array.ndim else "a single value"
        raise ValueError(f"{name} must have one entry for each of the {length} {axis}; got {got}.")
    return array


def known_or_filled(array: np.ndarray) -> np.ndarray:
    """An array of objects with its None replaced: empty text among text, NaN among numbers; else as it is."""
    unknown = np.array([value is None for value in array.ravel()], bool).reshape(array.shape)
    kinds = {isinstance(value, str) for value in array[~unknown].ravel()}
    if not unknown.any() or len(kinds) > 1:
        return array
    return np.where(unknown, "" if True in kinds else np.nan, array)


def covariate(name: Any, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = of_length(f"covariates[{name!r}]", value, shape[0], "trials")
    if array.ndim > 3 or (array.ndim == 3 and array.shape[1] != shape[1]):
        raise ValueError(
            f"covariates[{name!r}] must have shape (trials,), (trials, k) or (trials, bins, k) with "
            f"{shape[0]} trials and {shape[1]} bins; got {array.shape}."
        )
    return array


def same_dict(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    def same(x: np.ndarray, y: np.ndarray) -> bool:
        return np.array_equal(x, y, equal_nan=x.dtype.kind == "f" and y.dtype.kind == "f")

    return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
