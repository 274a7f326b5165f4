"""SpikeInterface sortings to SpikeCounts: segments, trial windows or windows of one length become trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from spikeinterface.core import BaseSorting

from spikeinterface_gen.convert.metadata import PLACEMENT_KEYS, plain_entries
from spikeinterface_gen.convert.stretches import Stretch, cut_into_trials, intervals_of_stretches
from spikeinterface_gen.convert.time_units import warn_of_stretches
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.frames import seconds_to_frames

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TRIALS_KEY", "TrialWindows", "from_sorting", "known_num_frames", "trial_windows"]

TRIALS_KEY = "trials"
"""Annotation of a sorting whose trials lie end to end: a list of [start_s, stop_s]."""

_START_COLUMNS = ("start", "start_s", "start_time")
_STOP_COLUMNS = ("stop", "stop_s", "stop_time")
_SEGMENT_COLUMN = "segment_index"
# Other ways to say the same, which are no covariates.
_FRAME_COLUMNS = ("start_frame", "stop_frame")


def from_sorting(
    sorting: BaseSorting,
    bin_size_ms: float,
    *,
    trials: npt.ArrayLike | pd.DataFrame | None = None,
    window_s: float | None = None,
    durations_s: npt.ArrayLike | None = None,
    covariates: Mapping[str, npt.ArrayLike] | None = None,
    unit_properties: Mapping[str, npt.ArrayLike] | None = None,
) -> SpikeCounts:
    """Count the spikes of a sorting; see :meth:`SpikeCounts.from_sorting`."""
    if not isinstance(sorting, BaseSorting):
        raise TypeError(f"sorting must be a SpikeInterface sorting; got {type(sorting).__name__}.")
    if trials is not None and window_s is not None:
        raise ValueError("trials and window_s exclude each other: give the windows of trials, or one length for all.")
    sampling_frequency = float(sorting.sampling_frequency)
    num_units = len(sorting.unit_ids)
    if num_units == 0:
        raise ValueError("sorting has no units.")
    segments = _segments(sorting, durations_s, infer=trials is not None or window_s is not None)
    placed = bool(sorting.get_annotation("spike_times_placed"))
    if not placed:
        warn_of_stretches(
            segments,
            num_units=num_units,
            sampling_frequency=sampling_frequency,
            remedy="A sorting holds frames: make it with NumpySorting.from_times_and_labels from times in s, with "
            "from_samples_and_labels from samples, and state the sampling frequency in Hz.",
            stacklevel=3,
        )
    starts_s = np.array([float(sorting.get_start_time(k)) for k in range(len(segments))])

    known: dict[str, np.ndarray] = {}
    session_starts_s: np.ndarray | None
    if trials is None:
        cut = cut_into_trials(segments, bin_size_ms, sampling_frequency, num_units=num_units, window_s=window_s)
        session_starts_s = starts_s[cut.stretch] + cut.offset_s
        if len(segments) > 1 and np.all(starts_s == starts_s[0]):
            session_starts_s = None  # each segment has a clock of its own
    else:
        windows = trial_windows(trials, len(segments))
        pieces = [_piece(sorting, segments, windows, k) for k in range(len(windows.start_s))]
        cut = cut_into_trials(pieces, bin_size_ms, sampling_frequency, num_units=num_units)
        session_starts_s = windows.start_s
        known = windows.covariates

    annotations = {key: sorting.get_annotation(key) for key in sorting.get_annotation_keys()}
    properties = {key: _property(sorting.get_property(key)) for key in sorting.get_property_keys()}
    measured = (
        {}  # times that were drawn to fit counts say nothing about the intervals of the source
        if placed
        else intervals_of_stretches(segments, num_units=num_units, sampling_frequency=sampling_frequency)
    )
    return SpikeCounts(
        cut.counts,
        bin_size_ms,
        unit_ids=sorting.unit_ids,
        covariates={**known, **(covariates or {})},
        unit_properties={
            **measured,
            **{key: value for key, value in properties.items() if value is not None},
            **(unit_properties or {}),
        },
        t_starts_s=session_starts_s,
        trial_locked=window_s is None,
        annotations=plain_entries(annotations, leave_out=("name", TRIALS_KEY, *PLACEMENT_KEYS)),
    )


def _segments(sorting: BaseSorting, durations_s: npt.ArrayLike | None, *, infer: bool) -> list[Stretch]:
    """The spikes of each segment. Its length, where unknown and ``infer``, goes to the last spike."""
    num_segments = sorting.get_num_segments()
    if durations_s is not None:
        durations = np.atleast_1d(np.asarray(durations_s, dtype=float))
        if len(durations) != num_segments or not np.all(durations > 0):
            raise ValueError(
                f"durations_s must hold a positive number of seconds for each of the {num_segments} segments; "
                f"got {durations.tolist()[:5]}."
            )
    segments = []
    for k, spikes in enumerate(sorting.to_spike_vector(concatenated=False)):
        frames = spikes["sample_index"].astype(np.int64)
        num_frames = known_num_frames(sorting, k)
        if durations_s is not None:
            num_frames = int(seconds_to_frames(durations[k], sorting.sampling_frequency))
        elif num_frames is None and infer:
            num_frames = int(frames.max(initial=-1)) + 1
        elif num_frames is None:
            raise ValueError(
                f"the duration of segment {k} is unknown, so that its last bins cannot be told from missing ones; "
                "register the recording of the sorting (register_recording), or give durations_s."
            )
        segments.append(Stretch(spikes["unit_index"].astype(np.int64), frames, num_frames, f"segment {k}"))
    return segments


def known_num_frames(sorting: BaseSorting, segment_index: int) -> int | None:
    if sorting.has_recording():
        return int(sorting.get_num_samples(segment_index))
    num_samples = getattr(sorting.segments[segment_index], "num_samples", None)
    return None if num_samples is None else int(num_samples)


# ---- trials ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TrialWindows:
    start_s: np.ndarray
    stop_s: np.ndarray
    segment: np.ndarray
    covariates: dict[str, np.ndarray]


def trial_windows(trials: Any, num_segments: int) -> TrialWindows:
    covariates: dict[str, np.ndarray] = {}
    segment: Any = None
    if hasattr(trials, "columns"):
        start, stop = (_column(trials, names) for names in (_START_COLUMNS, _STOP_COLUMNS))
        segment = trials[_SEGMENT_COLUMN].to_numpy() if _SEGMENT_COLUMN in trials.columns else None
        taken = (start, stop, _SEGMENT_COLUMN, *_FRAME_COLUMNS)
        covariates = {str(name): _plain_column(trials[name].to_numpy()) for name in trials.columns if name not in taken}
        windows = np.column_stack([trials[start].to_numpy(float), trials[stop].to_numpy(float)])
    else:
        windows = np.asarray(trials, dtype=float)
    if windows.ndim != 2 or windows.shape[1] != 2 or len(windows) == 0:
        raise ValueError(
            "trials must be an array of (start_s, stop_s), one row a trial, at least one, or a DataFrame with these "
            f"columns; got shape {windows.shape}."
        )
    wrong = np.flatnonzero(~(windows[:, 1] > windows[:, 0]) | ~np.isfinite(windows).all(axis=1))
    if wrong.size:
        raise ValueError(
            f"trial {wrong[0]} must stop after it starts, at finite times; got {windows[wrong[0]].tolist()} "
            f"({wrong.size} such trials)."
        )
    if segment is None:
        if num_segments > 1:
            raise ValueError(
                f"the sorting has {num_segments} segments, so trials must say which one each lies in: give a DataFrame "
                f"with a column {_SEGMENT_COLUMN!r}, or leave trials out to take each segment as a trial."
            )
        segment = np.zeros(len(windows), dtype=np.int64)
    segment = np.asarray(segment)
    if segment.dtype.kind not in "iu" or segment.min() < 0 or segment.max() >= num_segments:
        raise ValueError(
            f"{_SEGMENT_COLUMN} must hold integers from 0 to {num_segments - 1}; got {segment[:5].tolist()}."
        )
    return TrialWindows(windows[:, 0], windows[:, 1], segment, covariates)


def _column(trials: Any, names: tuple[str, ...]) -> str:
    for name in names:
        if name in trials.columns:
            return name
    raise ValueError(f"trials must have a column named one of {names}; it has {[str(c) for c in trials.columns]}.")


def _plain_column(values: np.ndarray) -> np.ndarray:
    return values if values.dtype.kind in "biufU" else np.array([str(value) for value in values])


def _piece(sorting: BaseSorting, segments: list[Stretch], windows: TrialWindows, trial: int) -> Stretch:
    """The spikes of one trial, whose frames count from its start."""
    index = int(windows.segment[trial])
    segment = segments[index]
    start = int(sorting.time_to_sample_index(windows.start_s[trial], segment_index=index))
    length = int(seconds_to_frames(windows.stop_s[trial] - windows.start_s[trial], sorting.sampling_frequency))
    known_end = known_num_frames(sorting, index)
    if start < 0 or (known_end is not None and start + length > known_end):
        raise ValueError(
            f"trial {trial} ({windows.start_s[trial]:g} to {windows.stop_s[trial]:g} s) does not lie within "
            f"segment {index} of the sorting; leave it out, or give times on the sorting's clock."
        )
    first, last = np.searchsorted(segment.frames, [start, start + length])
    return Stretch(segment.units[first:last], segment.frames[first:last] - start, length, f"trial {trial}")


# ---- units -----------------------------------------------------------------------------------


def _property(values: np.ndarray) -> np.ndarray | None:
    """A property as an array that needs no pickle, None where that cannot be."""
    values = np.asarray(values)
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):
        return values.astype(str)
    return values if values.dtype.kind in "biufU" else None
