"""The occupied bins of a set of trials: what all sums over spikes start from.

Bins of a few milliseconds are nearly all empty. Whatever can be summed over spikes instead of bins is then
cheaper by the inverse of their density.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["Events", "blocks_of_events"]

_BLOCK_ELEMENTS = 1 << 25  # bins × units handled at once: bounds the working memory to some 100 MB


@dataclass(frozen=True)
class Events:
    """Occupied bins, in the order of trials, bins, units.

    Attributes
    ----------
    trial, bin, unit : array of int64, shape (events,)
        Where: positions of trial, bin and unit.
    spikes : array of int64, shape (events,)
        How many.
    num_bins : array of int64, shape (trials,)
        Valid bins of each trial.
    positions : array of float64, shape (trials,)
        Where in its session each trial lies: 0 to 1 from first to last.
    max_bins, num_units : int
        Bins of the longest trial of the population, and its units.
    """

    trial: np.ndarray
    bin: np.ndarray
    unit: np.ndarray
    spikes: np.ndarray
    num_bins: np.ndarray
    positions: np.ndarray
    max_bins: int
    num_units: int

    @property
    def num_trials(self) -> int:
        """Number of trials."""
        return len(self.num_bins)

    @cached_property
    def density(self) -> float:
        """Share of the bins of all units that hold a spike."""
        return len(self.trial) / (self.num_trials * self.max_bins * self.num_units)

    def per_trial(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Spikes of each unit in each trial, of ``chosen`` events only, float64, (trials, units)."""
        keep = slice(None) if chosen is None else chosen
        return self._binned(self.trial[keep] * self.num_units + self.unit[keep], self.spikes[keep], self.num_trials)

    def coarse(self, factor: int, units: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Counts in bins ``factor`` times as wide; what is left over at the end of a trial is dropped.

        Parameters
        ----------
        factor : int
        units : array of int, optional
            Positions of the units wanted, ascending. Default: all.

        Returns
        -------
        counts : array of float32, shape (trials · wide bins, units)
            Zero where not valid.
        num_wide : array of int, shape (trials,)
            Valid wide bins of each trial.
        """
        width = max(self.max_bins // factor, 1)
        num_wide = np.minimum(self.num_bins // factor, width)
        wide = self.bin // factor
        keep = wide < num_wide[self.trial]
        column = self.unit
        num_units = self.num_units
        if units is not None and len(units) < self.num_units:
            place = np.full(self.num_units, -1)
            place[units] = np.arange(len(units))
            column = place[self.unit]
            keep &= column >= 0
            num_units = len(units)
        rows = self.trial[keep] * width + wide[keep]
        size = self.num_trials * width * num_units
        counts = np.bincount(rows * num_units + column[keep], weights=self.spikes[keep], minlength=size)
        return counts.astype(np.float32).reshape(-1, num_units), num_wide

    def _binned(self, keys: np.ndarray, weights: np.ndarray, num_rows: int) -> np.ndarray:
        size = num_rows * self.num_units
        return np.bincount(keys, weights=weights, minlength=size).reshape(num_rows, self.num_units)


def blocks_of_events(counts: SpikeCounts, trials: np.ndarray, positions: np.ndarray, max_bins: int) -> Iterator[Events]:
    """Yield the events of these trials, so many trials at a time that memory stays bounded.

    Parameters
    ----------
    counts : SpikeCounts
    trials : array of int
        Positions of the trials.
    positions : array of float, shape (all trials,)
        Where in its session each trial of ``counts`` lies.
    max_bins : int
        Bins of the longest trial of all sides, at least that of ``counts``.
    """
    step = max(1, _BLOCK_ELEMENTS // (counts.max_bins * counts.num_units))
    for start in range(0, len(trials), step):
        chosen = trials[start : start + step]
        block = counts.counts[chosen]
        occupied = np.flatnonzero(block)
        row, unit = np.divmod(occupied, counts.num_units)
        trial, bin_ = np.divmod(row, counts.max_bins)
        yield Events(
            trial=trial,
            bin=bin_,
            unit=unit,
            spikes=block.reshape(-1)[occupied].astype(np.int64),
            num_bins=counts.num_bins[chosen],
            positions=positions[chosen],
            max_bins=max_bins,
            num_units=counts.num_units,
        )
