r"""Delayed reaches round barriers: a simulated motor cortex with the shape of MC_Maze, and known truth.

A trial is one of 108 conditions, 36 targets with no barrier, one that is passed on the left, or one on the right. The
hand moves along a minimum-jerk profile, bulging to one side, with timing, speed and path of its own in each trial.

A network of 24 rate units in continuous time,

.. math::

    \tau \dot x = -x + J \tanh x + B u(t) + \xi(t), \qquad \tau = 50\ \text{ms},

is told the target and the side of the reach from target onset to go cue, then gets a pulse at the go cue, and, 100 ms
before it happens, the velocity of the hand; :math:`\xi` is noise of its own. J is random, of spectral radius 1.3.
Spiking units are driven by

.. math:: \lambda_i(t) = \lambda^0 + g_i(\text{time of the session})\; \lambda^1_i\, \sigma(c_i + w_i \cdot \tanh x(t))

and turn it into spikes as :mod:`spikeinterface_gen.datasets.renewal` says: refractory, some regular, some bursting,
most of them sparse. None of this is what LDNS assumes: rates are a saturating function of a chaotic network, gains
drift with the session, and spikes remember their drive.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.datasets.loading import SimulatedDataset
from spikeinterface_gen.datasets.renewal import RenewalUnits
from spikeinterface_gen.randomness import normals, resolve_seed, uniforms

__all__ = ["VELOCITY_LEAD_MS", "load"]

NUM_TRAIN, NUM_HELD_OUT = 2008, 287
NUM_UNITS, NUM_BINS, BIN_SIZE_MS = 182, 140, 5.0
ONSET_MS = 250.0
"""From the start of a trial to move onset."""
VELOCITY_LEAD_MS = 100.0
"""Spikes of a bin come with the velocity of the hand this much later."""
BARRIERS = ("none", "left", "right")

_NUM_TARGETS = 36
_NETWORK_SIZE, _TAU_MS, _SPECTRAL_RADIUS = 24, 50.0, 1.3
_NOISE_SD, _NOISE_STEPS = 2.0, 4
_STEP_MS, _RUN_IN_MS = 2.5, 400.0
_STEPS = round((_RUN_IN_MS + NUM_BINS * BIN_SIZE_MS) / _STEP_MS)
_SKIPPED, _STEPS_PER_BIN = round(_RUN_IN_MS / _STEP_MS), round(BIN_SIZE_MS / _STEP_MS)
_SPONTANEOUS_HZ = 0.05
# Trials simulated together, always: rounding must not depend on how many are asked for.
_BLOCK_TRIALS = 32
_TRIAL_EVERY_S = 4.0
# Steps through the session, coprime to the number of trials: a trial's number says nothing of its time.
_STRIDE = 887


def load(
    *, num_trials: int = NUM_TRAIN + NUM_HELD_OUT, seed: int | None = 0, return_truth: bool = False
) -> SpikeCounts | SimulatedDataset:
    """Simulate trials; see :func:`spikeinterface_gen.load_dataset`.

    Trial *i* of a seed is the same however many are asked for. The latents of the truth are tanh x.
    """
    if num_trials < 1:
        raise ValueError(f"num_trials must be at least 1; got {num_trials}.")
    seed = resolve_seed(seed)
    task, network = _Task(seed), _Network(seed)
    units, readout = _units(seed), _Readout(seed)
    counts = np.zeros((num_trials, NUM_BINS, NUM_UNITS), np.uint8)
    velocity = np.empty((num_trials, NUM_BINS, 2), np.float32)
    rates = np.empty(counts.shape if return_truth else (0,), np.float32)
    latents = np.empty((num_trials, NUM_BINS, _NETWORK_SIZE) if return_truth else (0,), np.float32)
    for start in range(0, num_trials, _BLOCK_TRIALS):
        trials = np.arange(start, start + _BLOCK_TRIALS)
        part = slice(start, min(start + _BLOCK_TRIALS, num_trials))
        n = part.stop - part.start
        inputs, moved = task.inputs(trials)
        active = network.run(inputs, trials)
        drive_hz = readout.drive_hz(active, trials)[:n]
        trial, unit, time_ms = units.draw(drive_hz, _STEP_MS, seed, "reaching spikes", start)
        inside = time_ms >= _RUN_IN_MS
        bins = ((time_ms[inside] - _RUN_IN_MS) // BIN_SIZE_MS).astype(np.int64)
        np.add.at(counts[part], (trial[inside], bins, unit[inside]), 1)
        velocity[part] = moved[:n]
        if return_truth:
            rates[part] = units.expected_counts(drive_hz, _STEP_MS, _SKIPPED, _STEPS_PER_BIN)
            latents[part] = active[:n, _SKIPPED::_STEPS_PER_BIN]
    onset_bin = round(ONSET_MS / BIN_SIZE_MS)
    annotations: dict[str, Any] = {"dataset": "reaching", "simulated": True, "seed": seed}
    spikes = SpikeCounts(
        counts,
        BIN_SIZE_MS,
        covariates={
            "hand_velocity": velocity,
            "reach_angle": np.arctan2(velocity[:, onset_bin, 1], velocity[:, onset_bin, 0]),
            "barrier": np.array(BARRIERS)[task.barrier(np.arange(num_trials))],
        },
        t_starts_s=_TRIAL_EVERY_S * _slot(np.arange(num_trials)),
        annotations=annotations,
    )
    return SimulatedDataset(spikes, rates, latents) if return_truth else spikes


def _slot(trials: np.ndarray) -> np.ndarray:
    """Place of each trial in the session; sessions follow on one another where more trials are asked for."""
    session, within = np.divmod(trials, NUM_TRAIN + NUM_HELD_OUT)
    size = NUM_TRAIN + NUM_HELD_OUT
    return session * size + within * _STRIDE % size


class _Task:
    """Where the hand goes in each trial, and what the network is told of it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        u = uniforms(seed, "reaching targets", 0, (_NUM_TARGETS, 2))
        self._target_angle = 2 * np.pi * (np.arange(_NUM_TARGETS) + 0.6 * u[:, 0]) / _NUM_TARGETS
        self._target_m = 0.09 + 0.05 * u[:, 1]

    def _condition(self, trials: np.ndarray) -> np.ndarray:
        u = np.array([uniforms(self._seed, "reaching condition", trial, (1,))[0] for trial in trials.tolist()])
        return (u * _NUM_TARGETS * len(BARRIERS)).astype(np.int64)

    def barrier(self, trials: np.ndarray) -> np.ndarray:
        """Positions in ``BARRIERS``, shape (trials,)."""
        return self._condition(trials) % len(BARRIERS)

    def inputs(self, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inputs of the network, (trials, steps, 7), and velocities 100 ms after each bin in m/s, (trials, bins, 2)."""
        z = np.stack([normals(self._seed, "reaching path", trial, (12,)) for trial in trials.tolist()]).astype(float)
        target = self._condition(trials) // len(BARRIERS)
        barrier = self.barrier(trials)
        side = np.array([0.0, 1.0, -1.0])[barrier]
        angle = self._target_angle[target] + 0.06 * z[:, 0]
        distance_m = self._target_m[target] * (1 + 0.05 * z[:, 1])
        duration_ms = (400.0 + 110.0 * np.abs(side)) * np.exp(0.11 * z[:, 2])
        bulge_m = (0.045 * side * (1 + 0.15 * z[:, 3]) + 0.005 * z[:, 4]) * distance_m / 0.115

        # Onset is seen a little after the hand has begun to move.
        since_ms = np.arange(_STEPS) * _STEP_MS - _RUN_IN_MS - ONSET_MS + VELOCITY_LEAD_MS + 25.0
        s = np.clip(since_ms / duration_ms[:, None], 0, 1)
        along = 30 * (s * (1 - s)) ** 2
        path = s**3 * (10 - 15 * s + 6 * s**2)
        # Derivatives of the position along the line to the target, and of the bulge across it.
        forward = distance_m[:, None] * along
        across = bulge_m[:, None] * np.pi * np.sin(2 * np.pi * path) * along
        for k in range(3):
            waver = np.sin(np.pi * (k + 1) * s) * along * 0.006
            forward, across = forward + z[:, 5 + k, None] * waver, across + z[:, 8 + k, None] * waver
        per_s = 1000.0 / duration_ms[:, None]
        e = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        n = np.stack([-e[:, 1], e[:, 0]], axis=-1)
        velocity = (forward * per_s)[..., None] * e[:, None] + (across * per_s)[..., None] * n[:, None]

        now_ms = np.arange(_STEPS) * _STEP_MS - _RUN_IN_MS - ONSET_MS
        reaction_ms = 290.0 + 35.0 * z[:, 11]
        u = np.stack([uniforms(self._seed, "reaching delay", trial, (1,)) for trial in trials.tolist()])
        prepares = (now_ms < -reaction_ms[:, None]) & (now_ms >= -(reaction_ms[:, None] + 150.0 + 550.0 * u))
        since_go_ms = np.maximum(now_ms + reaction_ms[:, None] - 60.0, 0.0)
        pulse = since_go_ms / 60.0 * np.exp(1 - since_go_ms / 60.0)
        told = np.concatenate([1.2 * e, side[:, None], 8 * (distance_m[:, None] - 0.115)], axis=1)
        speed = np.hypot(velocity[..., 0], velocity[..., 1])
        inputs = np.concatenate(
            [prepares[..., None] * told[:, None], 2 * pulse[..., None], 5 * velocity, 2 * speed[..., None]], axis=-1
        )
        middle = slice(_SKIPPED + _STEPS_PER_BIN // 2, None, _STEPS_PER_BIN)
        return inputs, velocity[:, middle].astype(np.float32)


class _Network:
    """The rate network."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        n = _NETWORK_SIZE
        J = normals(seed, "reaching network", 0, (n, n)).astype(float)
        self._J = J * (_SPECTRAL_RADIUS / np.abs(np.linalg.eigvals(J)).max())
        self._B = normals(seed, "reaching network", 1, (8, n)).astype(float) * 0.7

    def run(self, inputs: np.ndarray, trials: np.ndarray) -> np.ndarray:
        """tanh x, shape (trials, steps, units of the network)."""
        n, h = _NETWORK_SIZE, _STEP_MS / _TAU_MS
        xi = np.stack(
            [normals(self._seed, "reaching noise", t, (-(-_STEPS // _NOISE_STEPS), n)) for t in trials.tolist()]
        )
        x = 0.5 * xi[:, 0].astype(float)
        active = np.empty((len(trials), _STEPS, n))
        for step in range(_STEPS):
            active[:, step] = np.tanh(x)
            drive = active[:, step] @ self._J + inputs[:, step] @ self._B + _NOISE_SD * xi[:, step // _NOISE_STEPS]
            x = x + h * (drive - x)
        return active


class _Readout:
    """From the network to the drives of the units, through gains that drift."""

    def __init__(self, seed: int) -> None:
        z = normals(seed, "reaching readout", 0, (_NETWORK_SIZE + 6, NUM_UNITS)).astype(float)
        common = normals(seed, "reaching readout", 1, (_NETWORK_SIZE, 1)).astype(float)
        # Few strong weights rather than many weak ones: units differ in what they follow, beside what all do.
        self._w = z[:_NETWORK_SIZE] ** 3 * (6.3 * np.exp(0.3 * z[-1]) / np.sqrt(15 * _NETWORK_SIZE))
        self._w += common * (1.5 / np.sqrt(_NETWORK_SIZE))
        mean_hz = np.clip(1.25 * np.exp(0.9 * z[-2]), 0.7, 30.0)
        self._most_hz = 35.0 + 6.0 * mean_hz
        self._c = np.log(mean_hz / (self._most_hz - mean_hz))
        self._drift = 0.12 + 0.2 * z[-5:-2]
        self._phase = 2 * np.pi * uniforms(seed, "reaching drift", 0, (3,))

    def drive_hz(self, active: np.ndarray, trials: np.ndarray) -> np.ndarray:
        """λ in Hz, shape (trials, steps, units)."""
        time = _slot(trials) / (NUM_TRAIN + NUM_HELD_OUT)
        # Half a swing, one, and two and a half in a session.
        swings = np.sin(2 * np.pi * np.array([0.5, 1.0, 2.5]) * time[:, None] + self._phase)
        gain = np.exp(swings @ self._drift)
        # In place: these are the largest arrays of the simulation.
        drive = active @ -self._w
        drive -= self._c
        np.exp(drive, out=drive)
        drive += 1
        np.divide(self._most_hz, drive, out=drive)
        drive *= gain[:, None]
        drive += _SPONTANEOUS_HZ
        return drive


def _units(seed: int) -> RenewalUnits:
    u = uniforms(seed, "reaching units", 0, (NUM_UNITS, 4))
    # Most units burst; the others are the more regular, the longer they are refractory.
    bursts = u[:, 0] < 0.6
    shape = np.array([1, 2, 4])[np.searchsorted([0.5, 0.7], u[:, 0])]
    return RenewalUnits(
        shape=shape,
        refractory_ms=1.0 + 0.65 * shape + 1.5 * u[:, 1] ** 2,
        burst_probability=np.where(bursts, 0.4 + 0.35 * u[:, 2], 0.0),
        burst_ms=2.0 + 3.0 * u[:, 3],
    )
