"""Trials of several :class:`~spikeinterface_gen.SpikeCounts` one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from spikeinterface_gen.counts import SpikeCounts

__all__ = ["concatenated"]


def concatenated(parts: Sequence[SpikeCounts]) -> SpikeCounts:
    """See :meth:`~spikeinterface_gen.SpikeCounts.concatenate`."""
    if not parts:
        raise ValueError("parts must be at least one SpikeCounts; got none.")
    first = parts[0]
    for k, part in enumerate(parts):
        if not np.array_equal(part.unit_ids, first.unit_ids):
            raise ValueError(
                f"parts[{k}] has other units than parts[0], or in another order; select_units(unit_ids) puts them so."
            )
        if part.bin_size_ms != first.bin_size_ms or part.trial_locked != first.trial_locked:
            raise ValueError(
                f"parts[{k}] has bins of {part.bin_size_ms:g} ms and trial_locked={part.trial_locked}; expected "
                f"{first.bin_size_ms:g} ms and {first.trial_locked} as of parts[0]."
            )
    longest = max(part.max_bins for part in parts)
    starts = [part.t_starts_s for part in parts if part.t_starts_s is not None]
    return type(first)(
        np.concatenate([_longer(part.counts, longest) for part in parts]),
        first.bin_size_ms,
        unit_ids=first.unit_ids,
        num_bins=np.concatenate([part.num_bins for part in parts]),
        covariates={
            name: _joined(name, [part.covariates[name] for part in parts], longest)
            for name in first.covariates
            if all(name in part.covariates for part in parts)
        },
        unit_properties=first.unit_properties,
        t_starts_s=np.concatenate(starts) if len(starts) == len(parts) else None,
        trial_locked=first.trial_locked,
        annotations={
            name: value
            for name, value in first.annotations.items()
            if all(name in part.annotations and part.annotations[name] == value for part in parts)
        },
    )


def _joined(name: str, values: list[np.ndarray], longest: int) -> np.ndarray:
    """Values of a covariate in all parts; those that vary in trials are unknown beyond their end."""
    if values[0].ndim == 3:
        values = [_longer(value, longest) for value in values]
    if len({value.shape[1:] for value in values}) > 1:
        shapes = ", ".join(map(str, dict.fromkeys(value.shape for value in values)))
        raise ValueError(f"covariates[{name!r}] must have the same shape but for trials in all parts; got {shapes}.")
    return np.concatenate(values)


def _longer(values: np.ndarray, num_bins: int) -> np.ndarray:
    """Values padded to so many bins: with NaN, or what zero is where numbers are whole or text."""
    beyond = np.zeros((len(values), num_bins - values.shape[1], *values.shape[2:]), values.dtype)
    if values.dtype.kind == "f":
        beyond[:] = np.nan
    return np.concatenate([values, beyond], axis=1)
