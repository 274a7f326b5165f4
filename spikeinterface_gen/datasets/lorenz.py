"""Poisson spikes driven by a Lorenz attractor, as in the LDNS paper (Kapoor et al., NeurIPS 2024).

    dx/dt = σ (y − x)      dy/dt = x (ρ − z) − y      dz/dt = x y − β z

with σ = 10, ρ = 28, β = 8/3, from 5000 starts scattered about a point near the attractor. Of 356 points
0.01505 apart the last 256 are kept and z-scored *per trial and dimension*. Units read them out through
unit vectors *c*, sorted by their first entry, and fire

    rate = ½ log(1 + exp(2 (c·x + log 0.3)))      spikes per bin.

Z-scoring each trial lets every bin depend on the whole trial, and on its length. A second version takes the mean and
s.d. of the attractor instead, and starts trials on it: they are windows of one stationary process, of any length.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.datasets.loading import SimulatedDataset
from spikeinterface_gen.observation.draw import draw_poisson
from spikeinterface_gen.randomness import normals, resolve_seed, uniforms

__all__ = ["ATTRACTOR_MEAN", "ATTRACTOR_SD", "integrate_lorenz", "load"]

SIGMA, RHO, BETA = 10.0, 28.0, 8.0 / 3.0
TIME_STEP = 0.01505
NUM_BINS, NUM_DROPPED, NUM_UNITS = 256, 100, 128
# Of (x, y, z) over the attractor; x and y are symmetric about 0.
ATTRACTOR_MEAN, ATTRACTOR_SD = np.array([0.0, 0.0, 23.54]), np.array([7.92, 9.01, 8.63])
# Points after which the starts, all near one point, have spread over the attractor.
NUM_DROPPED_TO_ATTRACTOR = 1500
# The paper states rates per bin, not a bin width; 10 ms makes its 0.14 spikes per bin 14 Hz.
BIN_SIZE_MS = 10.0

_START, _START_SD = np.array([-9.787, -15.039, 20.534]), 2.0
_LOG_BASE_RATE = np.log(0.3)
# At 4 steps of Runge–Kutta a point the error stays below 1e-5 over the 5.4 time units, chaos included.
_SUBSTEPS = 4


def load(
    *,
    num_trials: int = 5000,
    num_bins: int = NUM_BINS,
    standardise: str = "trial",
    seed: int | None = 0,
    return_truth: bool = False,
) -> SpikeCounts | SimulatedDataset:
    """Simulate trials; see :func:`spikeinterface_gen.load_dataset`.

    Trial *i* of a seed is the same however many are asked for.
    """
    for name, value in (("num_trials", num_trials), ("num_bins", num_bins)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}.")
    if standardise not in ("trial", "all"):
        raise ValueError(f"standardise must be 'trial' or 'all'; got {standardise!r}.")
    seed = resolve_seed(seed)
    starts = np.stack([normals(seed, "lorenz starts", trial, (3,)) for trial in range(num_trials)])
    dropped = NUM_DROPPED if standardise == "trial" else NUM_DROPPED_TO_ATTRACTOR
    path = integrate_lorenz(_START + _START_SD * starts, num_bins, num_dropped=dropped)
    if standardise == "trial":
        latents = (path - path.mean(axis=1, keepdims=True)) / path.std(axis=1, keepdims=True)
    else:
        latents = (path - ATTRACTOR_MEAN) / ATTRACTOR_SD

    readout = normals(seed, "lorenz readout", 0, (NUM_UNITS, 3)).astype(np.float64)
    readout /= np.linalg.norm(readout, axis=1, keepdims=True)
    readout = readout[np.argsort(readout[:, 0])]

    counts = np.empty((num_trials, num_bins, NUM_UNITS), dtype=np.uint8)
    rates = np.empty(counts.shape if return_truth else (0,), dtype=np.float32)
    for trial in range(num_trials):
        expected = 0.5 * np.logaddexp(0.0, 2.0 * (latents[trial] @ readout.T + _LOG_BASE_RATE))
        counts[trial] = draw_poisson(expected, uniforms(seed, "lorenz counts", trial, expected.shape))
        if return_truth:
            rates[trial] = expected
    annotations: dict[str, Any] = {"dataset": "lorenz", "simulated": True, "seed": seed}
    spikes = SpikeCounts(counts, BIN_SIZE_MS, trial_locked=standardise == "trial", annotations=annotations)
    return SimulatedDataset(spikes, rates, latents.astype(np.float32)) if return_truth else spikes


def integrate_lorenz(starts: np.ndarray, num_points: int, *, num_dropped: int = 0) -> np.ndarray:
    """Points of trajectories, ``TIME_STEP`` apart, by the classical Runge–Kutta method.

    Parameters
    ----------
    starts : array of float, shape (trials, 3)
        Initial conditions, which are the first points.
    num_points : int
        Points of each trajectory.
    num_dropped : int
        Points before these that are left out.

    Returns
    -------
    array of float64, shape (trials, num_points, 3)
    """
    h = TIME_STEP / _SUBSTEPS
    state = np.asarray(starts, dtype=np.float64).T
    path = np.empty((state.shape[1], num_points, 3))
    for point in range(-num_dropped, num_points):
        if point >= 0:
            path[:, point] = state.T
        for _ in range(_SUBSTEPS):
            k1 = _flow(state)
            k2 = _flow(state + 0.5 * h * k1)
            k3 = _flow(state + 0.5 * h * k2)
            k4 = _flow(state + h * k3)
            state = state + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return path


def _flow(state: np.ndarray) -> np.ndarray:
    x, y, z = state
    return np.stack([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z])
