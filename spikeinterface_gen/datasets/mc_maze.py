"""Delayed reaches through mazes, from the NWB file of MC_Maze of the Neural Latents Benchmark (DANDI 000128)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeinterface_gen.convert.from_nwb import from_nwb, read_time_series
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.datasets.reaching import ONSET_MS, VELOCITY_LEAD_MS

__all__ = ["load"]

_AROUND_S = (-0.25, 0.45)
_ALIGNED_TO = "move_onset_time"
_KNOWN = ("delay", "maze_id", "num_barriers", "num_targets", "trial_type", "trial_version")
_METRES = {"mm": 1e-3, "milli": 1e-3, "cm": 1e-2, "centi": 1e-2, "m": 1.0}


def load(*, path: str | Path, bin_size_ms: float = 5.0) -> SpikeCounts:
    """Read the training file and cut it around move onset; see :func:`spikeinterface_gen.load_dataset`.

    Trials that the benchmark trains on come first, then those that it validates on, each in the order of the session.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it is no NWB file, or lacks ``move_onset_time``, ``split``, or ``hand_vel``.
    """
    counts = from_nwb(path, bin_size_ms, align_to=_ALIGNED_TO, around_s=_AROUND_S)
    known = counts.covariates
    if "split" not in known or counts.t_starts_s is None:
        raise ValueError(
            f"{str(path)!r} does not say in a column split which trials to train on; path must name the training file, "
            "sub-Jenkins_ses-full_desc-train_behavior+ecephys.nwb."
        )
    order = np.argsort(known["split"] != "train", kind="stable")
    middles_s = (np.arange(counts.max_bins) + 0.5) * bin_size_ms / 1000.0 + VELOCITY_LEAD_MS / 1000.0
    velocity = _velocity(path, counts.t_starts_s[:, None] + middles_s)
    onset = velocity[:, min(round(ONSET_MS / bin_size_ms), counts.max_bins - 1)]
    return SpikeCounts(
        counts.counts[order],
        bin_size_ms,
        unit_ids=counts.unit_ids,
        covariates={
            "hand_velocity": velocity[order],
            "reach_angle": np.arctan2(onset[order, 1], onset[order, 0]),
            **{name: known[name][order] for name in _KNOWN if name in known},
        },
        unit_properties=counts.unit_properties,
        t_starts_s=counts.t_starts_s[order],
        annotations={**counts.annotations, "dataset": "mc_maze", "num_train": int(np.sum(known["split"] == "train"))},
    )


def _velocity(path: str | Path, times_s: np.ndarray) -> np.ndarray:
    """Velocity of the hand in m/s at these times, float32, shape (*times_s.shape, 2)."""
    sampled_s, values, unit = read_time_series(path, "hand_vel")
    scale = next((metres for prefix, metres in _METRES.items() if unit.strip().lower().startswith(prefix)), None)
    if scale is None or values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(
            f"hand_vel of {str(path)!r} has the unit {unit!r} and shape {values.shape}; expected (samples, 2) in mm/s, "
            "cm/s or m/s."
        )
    of_axes = [np.interp(times_s, sampled_s, scale * values[:, axis]) for axis in range(2)]
    return np.stack(of_axes, axis=-1).astype(np.float32)
