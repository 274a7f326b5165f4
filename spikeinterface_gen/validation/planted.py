"""Defects planted in simulated trials: what :func:`~spikeinterface_gen.validate` must catch.

:class:`Simulator` draws trials of 1 ms bins in which everything occurs that the metrics look at: a PSTH, conditions
that scale rates ("modes"), fluctuations that units share, events in which they fire within a millisecond or two,
refractory periods, and a session that drifts. Each entry of :data:`DEFECTS` makes trials that lack one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["DEFECTS", "Defect", "Simulator"]

_NUM_MODES = 4
_NUM_ASSEMBLIES = 3
_FLUCTUATION_BINS = 50
_EVENT_RATE_HZ = 8.0
_BIN_SIZE_MS = 1.0
_DEAD_BINS = 3


@dataclass(frozen=True)
class Simulator:
    """A population of which trials can be drawn.

    Parameters
    ----------
    num_units, num_bins : int
        Units, and bins of 1 ms of a trial.
    seed : int
        Of the population: its rates, tuning and assemblies.
    """

    num_units: int = 30
    num_bins: int = 1000
    seed: int = 0

    def draw(
        self, num_trials: int, seed: int, *, modes: int = _NUM_MODES, refractory_bins: int = _DEAD_BINS
    ) -> SpikeCounts:
        """Draw a session.

        Parameters
        ----------
        num_trials, seed : int
        modes : int
            Conditions that occur, of four.
        refractory_bins : int
            Bins after a spike in which a unit cannot fire again. Rates stay what they are with the default.
        """
        population, rng = np.random.default_rng([self.seed, 0]), np.random.default_rng([self.seed, 1, seed])
        units, bins = self.num_units, self.num_bins
        base_hz = population.lognormal(np.log(9.0), 0.4, units)
        time = np.arange(bins) / bins
        peaks, widths = population.uniform(0.2, 0.6, units), population.uniform(0.05, 0.15, units)
        psth = 0.7 + population.uniform(0.3, 1.5, units) * np.exp(-0.5 * ((time[:, None] - peaks) / widths) ** 2)
        mode_gains = np.exp(0.3 * population.normal(size=(_NUM_MODES, units)))
        drifts = 0.35 * population.uniform(-1, 1, units)
        loadings = 0.35 * population.normal(size=(2, units))
        assembly = np.arange(units) % _NUM_ASSEMBLIES

        position = (np.arange(num_trials) + 0.5) / num_trials
        gains = mode_gains[rng.integers(0, modes, num_trials)] * (1 + drifts * np.cos(np.pi * position)[:, None])
        latents = rng.normal(size=(num_trials, -(-bins // _FLUCTUATION_BINS), 2))
        events = rng.random((num_trials, bins, _NUM_ASSEMBLIES)) < _EVENT_RATE_HZ / 1000.0
        expected = np.exp(latents @ loadings).repeat(_FLUCTUATION_BINS, axis=1)[:, :bins].astype(np.float32)
        expected *= (psth * base_hz / 1000.0).astype(np.float32)
        expected *= gains[:, None, :].astype(np.float32)
        for late in range(2):  # members of an assembly follow an event within two bins
            expected[:, late:] += np.float32(0.05) * events[:, : bins - late, assembly]
        # Of a rate of λ a bin, a dead time of d bins leaves λ / (1 + d λ): without it, as many are left out at random.
        expected /= 1.0 + (_DEAD_BINS - refractory_bins) * expected
        wanted = rng.random(expected.shape, dtype=np.float32) < expected
        return SpikeCounts(_with_dead_time(wanted, refractory_bins), _BIN_SIZE_MS)


def _with_dead_time(wanted: np.ndarray, dead_bins: int) -> np.ndarray:
    """Spikes of which none follows another of its unit within ``dead_bins``, uint8, (trials, bins, units)."""
    counts = np.empty(wanted.shape, np.uint8)
    last = np.full((len(wanted), wanted.shape[2]), -dead_bins - 1)
    for bin_ in range(wanted.shape[1]):
        fires = wanted[:, bin_] & (bin_ - last > dead_bins)
        last[fires] = bin_
        counts[:, bin_] = fires
    return counts


# ---- defects ---------------------------------------------------------------------------------

Make = Callable[[Simulator, int, int], SpikeCounts]


@dataclass(frozen=True)
class Defect:
    """A defect, and the metrics of which one at least must name it.

    Attributes
    ----------
    make : callable
        ``(simulator, trials, seed) → SpikeCounts`` with the defect.
    named_by : tuple of str
        Metrics that are about what is wrong.
    """

    make: Make
    named_by: tuple[str, ...]


def _changed(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Make:
    """Trials of the simulator, changed afterwards."""

    def make(simulator: Simulator, num_trials: int, seed: int) -> SpikeCounts:
        counts = simulator.draw(num_trials, seed).counts
        return SpikeCounts(change(counts, np.random.default_rng([seed, 2])), _BIN_SIZE_MS)

    return make


def _shuffled(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    columns = [counts[rng.permutation(len(counts)), :, unit] for unit in range(counts.shape[2])]
    return np.stack(columns, axis=2)


def _independent(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every unit at the rate that it has in that trial and, on average, in that bin, and at no time of its own."""
    of_trial, of_bin = counts.sum(axis=1, keepdims=True), counts.mean(axis=0)
    share = np.cumsum(of_bin / np.maximum(of_bin.sum(axis=0), 1e-9), axis=0)
    result = np.zeros_like(counts)
    trial, _, unit = np.nonzero(of_trial)
    number = of_trial[trial, 0, unit].astype(np.int64)
    trial, unit = np.repeat(rng.permutation(len(counts))[trial], number), np.repeat(unit, number)
    uniform = rng.random(len(trial))
    for k in range(counts.shape[2]):
        chosen = unit == k
        place = np.minimum(np.searchsorted(share[:, k], uniform[chosen]), counts.shape[1] - 1)
        np.add.at(result, (trial[chosen], place, k), 1)
    return _shuffled(result, rng)


def _thinned(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return counts * (rng.random(counts.shape, dtype=np.float32) < 0.95)


def _silenced(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(np.arange(counts.shape[2]) == rng.integers(counts.shape[2]), 0, counts)


def _swapped(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    order = np.arange(counts.shape[2])
    pair = rng.choice(len(order), 2, replace=False)
    order[pair] = order[pair[::-1]]
    return counts[:, :, order]


def _jittered(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    trial, bin_, unit = np.nonzero(counts)
    last = counts.shape[1] - 1
    moved = np.abs(np.rint(bin_ + rng.normal(0.0, 5.0, len(bin_))).astype(np.int64))
    result = np.zeros_like(counts)
    np.add.at(result, (trial, np.where(moved > last, 2 * last - moved, moved), unit), 1)
    return result


def _copied(simulator: Simulator, num_trials: int, seed: int) -> SpikeCounts:
    """Half of the trials that :func:`training_seed` says the model was trained on."""
    train = simulator.draw(2 * num_trials, training_seed(seed))
    return train[np.sort(np.random.default_rng([seed, 3]).permutation(2 * num_trials)[:num_trials])]


def training_seed(seed: int) -> int:
    """Seed of the training trials that belong to synthetic trials of this seed."""
    return 10_000 + seed


_PAIRS = ("correlation", "noise_correlation", "correlation_5_bins", "correlation_20_bins", "cross_correlogram")

DEFECTS = {
    "trials shuffled per unit": Defect(_changed(_shuffled), _PAIRS),
    "rates off by 5 %": Defect(_changed(_thinned), ("rate", "psth", "population_count")),
    "correlations removed": Defect(_changed(_independent), _PAIRS),
    "time reversed": Defect(_changed(lambda counts, _: counts[:, ::-1]), ("psth", "cross_correlogram")),
    "refractoriness removed": Defect(
        lambda simulator, num_trials, seed: simulator.draw(num_trials, seed, refractory_bins=0),
        ("isi_distribution", "autocorrelogram", "lv", "cv2"),
    ),
    "training trials copied": Defect(_copied, ("memorisation",)),
    "one unit silenced": Defect(_changed(_silenced), ("rate", "psth")),
    "modes dropped": Defect(
        lambda simulator, num_trials, seed: simulator.draw(num_trials, seed, modes=_NUM_MODES - 1),
        ("rate", "psth", "fano_factor", *_PAIRS),
    ),
    "spikes jittered by 5 ms": Defect(
        _changed(_jittered), ("cross_correlogram", "autocorrelogram", "isi_distribution", "synchrony", "correlation")
    ),
    "two units swapped": Defect(_changed(_swapped), ("rate", "psth", *_PAIRS)),
    "drift removed": Defect(_changed(lambda counts, rng: counts[rng.permutation(len(counts))]), ("drift",)),
}
