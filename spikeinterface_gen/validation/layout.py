"""What all sides of a comparison have in common, so that their sums can be added and compared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.interspike import interval_edges

__all__ = ["COARSE_BINS", "MAX_CORRELATION_UNITS", "MAX_PAIR_UNITS", "NUM_DRIFTS", "Layout", "default_num_lags"]

MAX_CORRELATION_UNITS = 1000
"""Units of which all pairs are correlated, at most."""
MAX_PAIR_UNITS = 200
"""Units of which all pairs have their cross-correlograms and all else that is of pairs, at most. Pairs grow as the
square of the units, and what they say does not."""
COARSE_BINS = (5, 20)
"""Bins that are joined into one for correlations on slower time scales."""
NUM_DRIFTS = 3
"""Slow components of a session, half a cycle to one and a half."""

_MAX_LAGS = 10
_MAX_TRIPLETS = 1000
_MAX_PSTH_BINS = 50
_MAX_SEGMENT_BINS = 256
_TILE_MS = 20.0


def default_num_lags(num_bins: int) -> int:
    """Lags of correlograms in bins: 10, and no more than half of a trial, at least 1."""
    return max(1, min(_MAX_LAGS, num_bins // 2))


@dataclass(frozen=True, eq=False)
class Layout:
    """Sizes that sums over spikes are made with.

    Attributes
    ----------
    bin_size_s : float
    num_units, max_bins : int
        Units, and bins of the longest trial.
    window_bins : int
        Fano factors and spectra are of the first so many bins of every trial.
    num_lags : int
        Lags of the correlograms, in bins.
    trial_locked : bool
        Whether trials share a time origin.
    correlation_units, pair_units : array of int64
        Positions of the units of which all pairs are compared, in one bin at lag 0, and in all else.
    triplets : array of int64, shape (triplets, 3)
        Positions within ``pair_units``.
    tile_bins : int
        Spike time tiling: a spike reaches so many bins to either side.
    psth_factor, num_psth_bins : int
        Bins that are joined for one of the PSTH, and how many of those there are.
    segment_bins : int
        Length of the segments of power spectra.
    interval_edges : array of int64
        Lengths in bins at which distributions of intervals are compared.
    """

    bin_size_s: float
    num_units: int
    max_bins: int
    window_bins: int
    num_lags: int
    trial_locked: bool
    correlation_units: np.ndarray
    pair_units: np.ndarray
    triplets: np.ndarray
    tile_bins: int
    psth_factor: int
    num_psth_bins: int
    segment_bins: int
    interval_edges: np.ndarray

    @cached_property
    def correlation_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions within ``correlation_units`` of both units of each pair."""
        return np.triu_indices(len(self.correlation_units), 1)

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions within ``pair_units`` of both units of each pair."""
        return np.triu_indices(len(self.pair_units), 1)

    @cached_property
    def segment_window(self) -> np.ndarray:
        """Hann window of the segments of power spectra, periodic, shape (segment_bins,)."""
        return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(self.segment_bins) / self.segment_bins)

    @classmethod
    def of(
        cls,
        *sides: SpikeCounts,
        window_bins: int | None = None,
        num_lags: int | None = None,
        seed: int = 0,
        all_pairs: bool = False,
    ) -> Layout:
        """Return the layout for populations of the same units and bins.

        ``seed`` chooses the triplets; ``all_pairs`` asks for the pairs of all units, however many they are.
        """
        first = sides[0]
        shortest = min(int(counts.num_bins.min()) for counts in sides)
        max_bins = max(counts.max_bins for counts in sides)
        window = shortest if window_bins is None else window_bins
        pair_units = _spread(first.num_units, first.num_units if all_pairs else MAX_PAIR_UNITS)
        psth_factor = -(-max_bins // _MAX_PSTH_BINS)
        return cls(
            bin_size_s=first.bin_size_ms / 1000.0,
            num_units=first.num_units,
            max_bins=max_bins,
            window_bins=window,
            num_lags=default_num_lags(max_bins) if num_lags is None else num_lags,
            trial_locked=all(counts.trial_locked for counts in sides),
            correlation_units=_spread(first.num_units, first.num_units if all_pairs else MAX_CORRELATION_UNITS),
            pair_units=pair_units,
            triplets=_triplets(len(pair_units), seed),
            tile_bins=round(_TILE_MS / first.bin_size_ms),
            psth_factor=psth_factor,
            num_psth_bins=max_bins // psth_factor,
            segment_bins=min(window, _MAX_SEGMENT_BINS),
            interval_edges=interval_edges(max_bins),
        )


def _spread(num_units: int, most: int) -> np.ndarray:
    """Positions of all units, or of evenly spread ones of very many."""
    return np.unique(np.linspace(0, num_units - 1, min(num_units, most)).round().astype(np.int64))


def _triplets(num_units: int, seed: int) -> np.ndarray:
    """Distinct triplets of units: all of few units, a random subset of many, int64, (triplets, 3)."""
    number = num_units * (num_units - 1) * (num_units - 2) // 6
    if number <= _MAX_TRIPLETS:
        from itertools import combinations

        return np.array(list(combinations(range(num_units), 3)), np.int64).reshape(-1, 3)
    # Three ranks of which none equals another: the second of what the first leaves, the third of the rest.
    draws = uniforms(seed, "validation/triplets", 0, (2 * _MAX_TRIPLETS, 3)) * (num_units - np.arange(3))
    a, b, c = draws.astype(np.int64).T
    b = b + (b >= a)
    low, high = np.minimum(a, b), np.maximum(a, b)
    c = c + (c >= low)
    c = c + (c >= high)
    return np.unique(np.sort(np.stack([a, b, c], axis=1), axis=1), axis=0)[:_MAX_TRIPLETS]
