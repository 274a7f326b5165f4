"""Drift: how far the tissue has moved along the probe, as SpikeInterface's ``Motion``.

The displacement of a unit that rests at *y* is *d(t, y)* in µm: at time *t* it is seen at *y + d*. That is the
sign of ``spikeinterface.core.Motion``, whose ``correct_motion`` takes *d* away again. Where motion is drawn,
each window along the probe makes a random walk::

    d_w(t) = D √t · (√(1 − s) R(t) + √s N_w(t)),        t in hours,

with *D* ``drift_um_per_hour``, *s* ``drift_nonrigid_share`` (0 for rigid motion), and *R*, *N_w* walks of unit
variance, one for the whole probe and one for each window of ``drift_scale_um``; in between, in time and
along the probe, it is interpolated linearly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeinterface_gen.randomness import normals
from spikeinterface_gen.rendering.parameters import RenderingParameters
from spikeinterface_gen.rendering.templates import STILL

if TYPE_CHECKING:
    from spikeinterface.core import Motion

__all__ = ["UnitMotion", "draw_motion", "resolve_motion", "segment_motion", "template_displacements_um"]

KINDS = ("rigid", "nonrigid")


class UnitMotion:
    """Displacement of each unit over time.

    Parameters
    ----------
    motion : Motion
        Of one segment.
    locations_um : array, shape (units, 2 or 3)
        Where the units rest.
    """

    def __init__(self, motion: Motion, locations_um: np.ndarray) -> None:
        self.axis = motion.dim
        self.times_s = np.asarray(motion.temporal_bins_s[0], dtype=np.float64)
        windows_um = np.asarray(motion.spatial_bins_um, dtype=np.float64)
        place_um = np.asarray(locations_um, dtype=np.float64)[:, motion.dim]
        weights = np.stack([np.interp(place_um, windows_um, row) for row in np.eye(len(windows_um))])
        self.displacements_um = np.asarray(motion.displacement[0], dtype=np.float64) @ weights

    def at(self, times_s: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Displacement of unit ``units[k]`` at ``times_s[k]``, in µm, shape (spikes,)."""
        if len(self.times_s) == 1:
            return self.displacements_um[0, units]
        k = np.clip(np.searchsorted(self.times_s, times_s, side="right") - 1, 0, len(self.times_s) - 2)
        share = np.clip((times_s - self.times_s[k]) / (self.times_s[k + 1] - self.times_s[k]), 0.0, 1.0)
        return (1.0 - share) * self.displacements_um[k, units] + share * self.displacements_um[k + 1, units]


def resolve_motion(
    motion: Any, duration_s: float, contacts_um: np.ndarray, parameters: RenderingParameters, seed: int
) -> Motion | None:
    """Return the motion of a session: drawn where a kind is named, checked where it is given.

    Parameters
    ----------
    motion : {"rigid", "nonrigid"}, Motion or None
        What the user asked for.
    duration_s : float
        Length of the session.
    contacts_um : array, shape (channels, 2)
        Contacts.
    parameters : RenderingParameters
        Size and scales of the drift.
    seed : int
        Of the draw.

    Raises
    ------
    TypeError, ValueError
        If it is anything else, has several segments, is out of the plane, or holds what is no number.
    """
    check_motion(motion)
    if isinstance(motion, str):
        return draw_motion(motion, duration_s, contacts_um, parameters, seed)
    return motion


def check_motion(motion: Any) -> None:
    """Raise what :func:`resolve_motion` raises, before anything has been computed."""
    if motion is None or (isinstance(motion, str) and motion in KINDS):
        return
    from spikeinterface.core import Motion

    if isinstance(motion, str):
        raise ValueError(f"motion must be one of {KINDS}, a spikeinterface.core.Motion or None; got {motion!r}.")
    if not isinstance(motion, Motion):
        raise TypeError(
            f"motion must be one of {KINDS}, a spikeinterface.core.Motion or None; got {type(motion).__name__}."
        )
    if motion.num_segments != 1:
        raise ValueError(f"motion must have one segment, that of the whole session; got {motion.num_segments}.")
    if motion.direction not in ("x", "y"):
        raise ValueError(f"motion must be along x or y, in the plane of the probe; got {motion.direction!r}.")
    times_s = np.asarray(motion.temporal_bins_s[0])
    if len(times_s) == 0 or np.any(np.diff(times_s) <= 0) or np.any(np.diff(motion.spatial_bins_um) <= 0):
        raise ValueError("motion must have temporal_bins_s and spatial_bins_um that increase.")
    if not np.all(np.isfinite(motion.displacement[0])):
        raise ValueError("motion.displacement must be finite numbers of µm; it holds NaN or infinity.")


def draw_motion(
    kind: str, duration_s: float, contacts_um: np.ndarray, parameters: RenderingParameters, seed: int
) -> Motion:
    """Draw a random walk of the tissue along y; that of a shorter session is the beginning of this one."""
    from spikeinterface.core import Motion

    steps = int(np.ceil(duration_s / parameters.drift_interval_s)) + 1
    low, high = float(contacts_um[:, 1].min()), float(contacts_um[:, 1].max())
    share = parameters.drift_nonrigid_share if kind == "nonrigid" else 0.0
    num_windows = 1 + int(np.ceil((high - low) / parameters.drift_scale_um)) if kind == "nonrigid" else 1
    windows_um = low + parameters.drift_scale_um * np.arange(num_windows) if num_windows > 1 else np.array([low])
    size_um = parameters.drift_um_per_hour * np.sqrt(parameters.drift_interval_s / 3600.0)

    def walk(index: int) -> np.ndarray:
        moved = normals(seed, "motion", index, (steps,)).astype(np.float64)
        moved[0] = 0.0
        return size_um * np.cumsum(moved)

    common = walk(0)
    displacement_um = np.stack(
        [np.sqrt(1.0 - share) * common + np.sqrt(share) * walk(1 + k) for k in range(num_windows)], axis=1
    )
    return Motion(displacement_um, np.arange(steps) * parameters.drift_interval_s, windows_um)


def template_displacements_um(motion: Motion | None, step_um: float) -> np.ndarray:
    """Displacements for which templates are computed, multiples of the step that span the motion, shape (n,)."""
    if motion is None:
        return STILL
    low, high = motion.get_boundaries()
    return step_um * np.arange(np.floor(low / step_um), np.floor(high / step_um) + 2)


def segment_motion(motion: Motion, bounds_s: Sequence[tuple[float, float]]) -> Motion:
    """Return the motion of stretches of a session, one segment each, all on the clock of the session."""
    from spikeinterface.core import Motion

    times_s, displacement_um = motion.temporal_bins_s[0], motion.displacement[0]
    bins, parts = [], []
    for start, stop in bounds_s:
        inside = (times_s > start) & (times_s < stop)
        ends = np.concatenate([[start], times_s[inside], [stop]])
        bins.append(ends)
        parts.append(np.stack([np.interp(ends, times_s, column) for column in displacement_um.T], axis=1))
    return Motion(parts, bins, motion.spatial_bins_um, direction=motion.direction)
