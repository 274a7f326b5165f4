"""What every generative model of the package can do, and the checks they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["GenerativeModel", "NotFittedError", "check_counts"]


class NotFittedError(RuntimeError):
    """A model was used before ``fit``."""


class GenerativeModel(ABC):
    """Learns the joint firing of a population and draws new trials of it."""

    @abstractmethod
    def fit(self, counts: SpikeCounts) -> Self:
        """Learn from recorded trials; return self."""

    @abstractmethod
    def sample(self, num_trials: int) -> SpikeCounts:
        """Draw new trials; their annotations say that they are synthetic, and of what origin."""

    @abstractmethod
    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write the fitted model to a folder."""

    @classmethod
    @abstractmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what ``save`` wrote."""

    def _repr_html_(self) -> str:
        from spikeinterface_gen.html_repr import model_html

        return model_html(self)


def check_counts(counts: Any, name: str, unit_ids: np.ndarray | None = None, bin_size_ms: float | None = None) -> None:
    """Raise unless ``counts`` is a SpikeCounts, of these units and bins where they are given."""
    if not isinstance(counts, SpikeCounts):
        raise TypeError(
            f"{name} must be a SpikeCounts; got {type(counts).__name__}. SpikeCounts(array, bin_size_ms), "
            "SpikeCounts.from_neo(block, …) and SpikeCounts.from_sorting(sorting, …) make one."
        )
    if bin_size_ms is not None and not np.isclose(counts.bin_size_ms, bin_size_ms):
        raise ValueError(f"{name} has bins of {counts.bin_size_ms:g} ms; expected {bin_size_ms:g} ms.")
    if unit_ids is not None and not np.array_equal(counts.unit_ids, unit_ids):
        raise ValueError(
            f"{name} has {counts.num_units} units ({counts.unit_ids[:3].tolist()}, …); expected the {len(unit_ids)} "
            f"units {unit_ids[:3].tolist()}, … in that order: counts.select_units(unit_ids) puts them so."
        )
