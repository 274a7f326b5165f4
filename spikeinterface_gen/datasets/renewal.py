r"""Renewal units in continuous time that are refractory, burst, and fire in step with a drive.

An interval between two spikes of a unit begins with a refractory period d. Then, with probability p, the next spike of
a burst follows after an exponential time of mean τ; otherwise the unit waits until its drive λ(t), integrated from
there, has grown by a gamma variate of shape k and mean 1:

.. math::

    t' - t = d + \begin{cases} \mathrm{Exp}(\tau) & \text{with probability } p \\
    w: \int_{t+d}^{t+d+w} \lambda = \mathrm{Gamma}(k, 1/k) & \text{otherwise.} \end{cases}

With k > 1 a unit is the more regular, the faster it is driven: a memory of its drive, which no filter of its last
bins is. For whole k the unit is a Markov chain, refractory → (burst | stage 1 → … → stage k) → spike, whose stages are
left at the rates 1/τ and kλ. Spikes are drawn interval by interval; expected counts follow from the chain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.randomness import uniforms

__all__ = ["MAX_STAGES", "RenewalUnits"]

MAX_STAGES = 4
# Steps in which the chain is followed, in ms.
CHAIN_STEP_MS = 1.25
# Intervals of a train whose random numbers are drawn at once.
_ROUNDS = 16
# Wider than any integral of a drive: it keeps the trains apart in one sorted array.
_APART = 1e4


@dataclass(frozen=True)
class RenewalUnits:
    """What the intervals of each unit are drawn from; all of shape (units,).

    Attributes
    ----------
    shape : array of int
        k, from 1 to ``MAX_STAGES``.
    refractory_ms : array of float
        d.
    burst_probability : array of float
        p.
    burst_ms : array of float
        τ.
    """

    shape: np.ndarray
    refractory_ms: np.ndarray
    burst_probability: np.ndarray
    burst_ms: np.ndarray

    def rates_hz(self, drive_hz: np.ndarray) -> np.ndarray:
        """Rates in Hz at constant drives, shape (..., units)."""
        silent_s = (self.refractory_ms + self.burst_probability * self.burst_ms) / 1000.0
        return 1.0 / (silent_s + (1.0 - self.burst_probability) / drive_hz)

    def draw(self, drive_hz: np.ndarray, step_ms: float, seed: int, stage: str, first: int) -> tuple[np.ndarray, ...]:
        """Draw the spikes of trials ``first``, ``first + 1``, …, which begin in equilibrium.

        Parameters
        ----------
        drive_hz : array, shape (trials, steps, units)
            λ, constant over each step, positive.
        step_ms : float
        seed, stage
            The draw follows from them and the number of the trial.
        first : int

        Returns
        -------
        trial, unit : array of int64, shape (spikes,)
            Of each spike; trials count from 0.
        time_ms : array of float64, shape (spikes,)
            From the start of the trial.
        """
        trials, steps, num_units = drive_hz.shape
        grown = np.zeros((trials * num_units, steps + 1))
        np.cumsum(drive_hz.transpose(0, 2, 1).reshape(-1, steps) * (step_ms / 1000.0), axis=1, out=grown[:, 1:])
        grown += _APART * np.arange(len(grown))[:, None]
        row = np.arange(len(grown))
        trial, unit = np.divmod(row, num_units)
        end_ms = steps * step_ms
        numbers = _Numbers(seed, stage, first, trials, num_units)
        time_ms, is_spike = self._begin(drive_hz[:, 0].reshape(-1), unit, numbers, grown, step_ms)
        found: list[tuple[np.ndarray, ...]] = []
        k = 1
        while True:
            inside = time_ms < end_ms
            row, trial, unit, time_ms, is_spike = (x[inside] for x in (row, trial, unit, time_ms, is_spike))
            if not len(row):
                break
            found.append((trial[is_spike], unit[is_spike], time_ms[is_spike]))
            u = numbers.of(k, trial, unit)
            ready_ms = time_ms + self.refractory_ms[unit]
            in_burst_ms = ready_ms - self.burst_ms[unit] * np.log(u[:, 1])
            need = _gamma(u[:, 1:], self.shape[unit], self.shape[unit])
            driven_ms = _when(grown, row, ready_ms, need, step_ms)
            time_ms = np.where(u[:, 0] < self.burst_probability[unit], in_burst_ms, driven_ms)
            is_spike, k = np.ones(len(row), bool), k + 1
        return tuple(np.concatenate(parts) for parts in zip(*found, strict=True)) if found else _nothing()

    def _begin(
        self, drive_hz: np.ndarray, unit: np.ndarray, numbers: _Numbers, grown: np.ndarray, step_ms: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """First time of each train in ms, and whether it is a spike, else the last one before the start."""
        u = numbers.of(0, np.arange(len(unit)) // len(self.shape), unit)
        k, d, p, tau = self.shape[unit], self.refractory_ms[unit], self.burst_probability[unit], self.burst_ms[unit]
        rate = self.rates_hz(drive_hz.reshape(-1, len(self.shape))).reshape(-1) / 1000.0
        # Where in its interval the train is: refractory, in a burst, or in one of the stages.
        refractory, burst = d * rate, p * tau * rate
        where = u[:, 0]
        left = np.clip(np.ceil(k * (1 - where) / (1 - refractory - burst)), 1, k)
        driven_ms = _when(grown, np.arange(len(unit)), np.zeros(len(unit)), _gamma(u[:, 1:], left, k), step_ms)
        time_ms = np.where(where < refractory + burst, -tau * np.log(u[:, 1]), driven_ms)
        is_refractory = where < refractory
        return np.where(is_refractory, -where / rate, time_ms), ~is_refractory

    def expected_counts(self, drive_hz: np.ndarray, step_ms: float, skipped: int, steps_per_bin: int) -> np.ndarray:
        """Expected counts per bin, float32, shape (trials, bins, units), given the drive alone.

        Parameters
        ----------
        drive_hz : array, shape (trials, steps, units)
        step_ms : float
            A multiple of 1.25 ms.
        skipped : int
            Steps before the first bin.
        steps_per_bin : int
        """
        trials, steps, units = drive_hz.shape
        substeps = round(step_ms / CHAIN_STEP_MS)
        k, p = self.shape, self.burst_probability
        # In steps, a state is left half a step late on average: refractory periods are so much shorter, bursts longer.
        delay = self.refractory_ms / CHAIN_STEP_MS - k / 2
        if delay.min() < 0:
            raise ValueError(f"refractory_ms must be at least shape × {CHAIN_STEP_MS / 2:g} ms.")
        burst_ms = self.burst_ms + (k - 1) / 2 * CHAIN_STEP_MS
        weights = np.maximum(0, 1 - np.abs(np.arange(int(delay.max()) + 2)[:, None] - delay))
        rate = self.rates_hz(drive_hz[:, 0]) / 1000.0
        # Every unit leaves its last stage at the end of the array and enters its first one k before.
        entry, unit = MAX_STAGES - k, np.arange(units)
        enters = np.zeros((MAX_STAGES, 1, units))
        enters[entry, 0, unit] = 1 - p
        leaves_burst = -np.expm1(-CHAIN_STEP_MS / burst_ms)
        leaves_stage = -np.expm1(-k * drive_hz[:, 0] * (CHAIN_STEP_MS / 1000.0))
        # What leaves a state in a step of equilibrium is what enters it; the first stage and bursts are entered next.
        flow = rate * CHAIN_STEP_MS
        q = (np.arange(MAX_STAGES)[:, None, None] >= entry) * (1 - p) * flow / leaves_stage - enters * flow
        in_burst = p * flow / leaves_burst - p * flow
        fired = [flow] * len(weights)
        expected = np.zeros((trials, (steps - skipped) // steps_per_bin, units), np.float32)
        for step in range(steps):
            leaves_stage = -np.expm1(-k * drive_hz[:, step] * (CHAIN_STEP_MS / 1000.0))
            of_bin = (step - skipped) // steps_per_bin
            for _ in range(substeps):
                ready = sum(w * f for w, f in zip(weights, fired, strict=True))
                q += enters * ready
                in_burst += p * ready
                burst, moved = in_burst * leaves_burst, q * leaves_stage
                in_burst -= burst
                q -= moved
                q[1:] += moved[:-1]
                fired = [burst + moved[-1], *fired[:-1]]
                if 0 <= of_bin < expected.shape[1] and step >= skipped:
                    expected[:, of_bin] += fired[0]
        return expected


class _Numbers:
    """Uniforms of the k-th interval of each train, (trains, 1 + MAX_STAGES), drawn when they are needed."""

    def __init__(self, seed: int, stage: str, first: int, trials: int, units: int) -> None:
        self._key = (seed, stage, first, trials, units)
        self._block, self._values = -1, np.empty(0)

    def of(self, k: int, trial: np.ndarray, unit: np.ndarray) -> np.ndarray:
        block, within = divmod(k, _ROUNDS)
        if block != self._block:
            seed, stage, first, trials, units = self._key
            shape = (_ROUNDS, units, 1 + MAX_STAGES)
            wanted = set(trial.tolist())
            empty = np.empty(shape)
            self._values = np.stack(
                [uniforms(seed, f"{stage}/{block}", first + t, shape) if t in wanted else empty for t in range(trials)]
            )
            self._block = block
        return self._values[trial, within, unit]


def _gamma(u: np.ndarray, stages: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Sum of exponentials of mean 1/shape, as many as ``stages``."""
    logs = np.log(u[:, :MAX_STAGES]) * (np.arange(MAX_STAGES) < stages[:, None])
    return -logs.sum(axis=1) / shape


def _when(grown: np.ndarray, row: np.ndarray, from_ms: np.ndarray, need: np.ndarray, step_ms: float) -> np.ndarray:
    """Times in ms at which the integral of each train has grown by ``need``; infinite where it never does.

    ``grown``, shape (trains, steps + 1), is the integral, a train so far above the last that the whole is sorted.
    """
    steps = grown.shape[1] - 1
    position = np.minimum(from_ms / step_ms, steps)
    below = np.minimum(position.astype(np.int64), steps - 1)
    start = grown[row, below]
    target = start + (position - below) * (grown[row, below + 1] - start) + need
    index = np.clip(np.searchsorted(grown.reshape(-1), target) - row * (steps + 1), 1, steps)
    low, high = grown[row, index - 1], grown[row, index]
    time_ms = (index - 1 + np.clip((target - low) / (high - low), 0, 1)) * step_ms
    return np.where(target > grown[row, -1], np.inf, time_ms)


def _nothing() -> tuple[np.ndarray, ...]:
    return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
