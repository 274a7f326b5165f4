"""What a fitted model keeps of the population it was fitted to: units, bins, lengths of trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.models.base import check_counts
from spikeinterface_gen.randomness import uniforms

__all__ = ["Population"]

# What counts as much as a trial where bins have no places in one: parts of a window are as good as others.
PART_BINS = 64


@dataclass(frozen=True)
class Population:
    """Units, bins and trial lengths of a recorded population.

    Attributes
    ----------
    unit_ids : array, shape (units,)
    unit_properties : dict of str to array of shape (units, …)
    bin_size_ms : float
    max_bins : int
        Bins of the longest trial.
    lengths, occurrences : array of int
        The lengths of trials that occurred, in bins, and how often.
    trial_locked : bool
    """

    unit_ids: np.ndarray
    unit_properties: dict[str, np.ndarray]
    bin_size_ms: float
    max_bins: int
    lengths: np.ndarray
    occurrences: np.ndarray
    trial_locked: bool

    @classmethod
    def of(cls, counts: SpikeCounts, max_bins: int) -> Self:
        """Population of these counts."""
        lengths, occurrences = np.unique(counts.num_bins, return_counts=True)
        return cls(
            counts.unit_ids,
            counts.unit_properties,
            counts.bin_size_ms,
            max_bins,
            lengths,
            occurrences,
            counts.trial_locked,
        )

    def check(self, counts: Any) -> None:
        """Raise unless ``counts`` has these units, in this order, and these bins."""
        check_counts(counts, "counts", self.unit_ids, self.bin_size_ms)

    @property
    def num_parts(self) -> float:
        """How much there is to learn from: trials, or, of recordings without trials, as many parts of 64 bins."""
        if self.trial_locked:
            return float(self.occurrences.sum())
        return float(np.maximum(self.lengths / PART_BINS, 1.0) @ self.occurrences)

    def draw_lengths(self, num_trials: int, durations: Any, seed: int) -> np.ndarray:
        """Bins of each trial to draw, int64, shape (num_trials,).

        Parameters
        ----------
        num_trials : int
        durations : float or array of float, shape (num_trials,), or None
            In s; None draws from the lengths that occurred.
        seed : int

        Raises
        ------
        ValueError
            If there is no trial, or a duration is too short or, for trial-locked data, too long.
        """
        if isinstance(num_trials, bool) or not isinstance(num_trials, (int, np.integer)) or num_trials < 1:
            raise ValueError(f"num_trials must be a positive integer; got {num_trials!r}.")
        if durations is None:
            # One uniform a trial, by index: trial i keeps its length however many are drawn.
            u = np.array([uniforms(seed, "length", trial, (1,))[0] for trial in range(num_trials)])
            return self.lengths[np.searchsorted(np.cumsum(self.occurrences) / self.occurrences.sum(), u)]
        seconds = np.asarray(durations, float)
        if seconds.shape not in ((), (num_trials,)):
            raise ValueError(
                f"durations must be one number or one for each of the {num_trials} trials; got shape {seconds.shape}."
            )
        num_bins = np.broadcast_to(np.round(seconds * 1000.0 / self.bin_size_ms), (num_trials,))
        # Also true for NaN.
        if not (num_bins.min() >= 1 and np.isfinite(num_bins.max())):
            raise ValueError(f"durations must be at least one bin, {self.bin_size_ms / 1000:g} s; got {durations} s.")
        if self.trial_locked and num_bins.max() > self.max_bins:
            raise ValueError(
                f"durations go up to {seconds.max():g} s; this model is locked to trials of at most "
                f"{self.max_bins * self.bin_size_ms / 1000:g} s, beyond which it has seen nothing. Models of "
                "continuous recordings (SpikeCounts.from_…(window_s=…)) can run longer."
            )
        return num_bins.astype(np.int64)

    def to_config(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "unit_ids": self.unit_ids.tolist(),
            "unit_properties": {name: _jsonable(values.tolist()) for name, values in self.unit_properties.items()},
            "bin_size_ms": self.bin_size_ms,
            "max_bins": self.max_bins,
            "lengths": self.lengths.tolist(),
            "occurrences": self.occurrences.tolist(),
            "trial_locked": self.trial_locked,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_config`."""
        properties = {name: np.array(_from_json(values)) for name, values in config["unit_properties"].items()}
        return cls(
            np.array(config["unit_ids"]),
            properties,
            float(config["bin_size_ms"]),
            int(config["max_bins"]),
            np.array(config["lengths"], np.int64),
            np.array(config["occurrences"], np.int64),
            bool(config["trial_locked"]),
        )


def _jsonable(value: Any) -> Any:
    """Values of a unit property; JSON has no NaN and no infinity: an unknown number becomes null."""
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else {"infinite": 1 if value > 0 else -1}
    return value


def _from_json(value: Any) -> Any:
    """Inverse of :func:`_jsonable`."""
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if isinstance(value, dict):
        return math.inf * value["infinite"]
    return math.nan if value is None else value
