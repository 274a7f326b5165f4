"""Neo spike trains to SpikeCounts: segments become trials, trains that belong together become units."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import neo
import numpy as np
import numpy.typing as npt
import quantities as pq

from spikeinterface_gen.convert.metadata import PLACEMENT_KEYS, common_covariates, plain, plain_entries
from spikeinterface_gen.convert.metadata import provenance_marks as marks_of
from spikeinterface_gen.convert.stretches import Stretch, cut_into_trials, intervals_of_stretches
from spikeinterface_gen.convert.time_units import warn_of_stretches
from spikeinterface_gen.convert.to_neo import SESSION_START_KEY, TRIAL_ORIGIN_KEY
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.frames import seconds_to_frames

__all__ = ["NeoSegment", "common_windows", "from_neo", "sampling_frequency_of", "segments_of", "unit_labels"]

_DEFAULT_SAMPLING_FREQUENCY = 30000.0
_NOT_COVARIATES = (
    "trial",
    SESSION_START_KEY,
    "synthetic",
    "model",
    "model_sha256",
    "seed",
    "nix_name",
    *PLACEMENT_KEYS,
)
_NOT_PROPERTIES = ("unit_id", *_NOT_COVARIATES)


def from_neo(
    data: neo.Block | neo.Segment | Sequence[Any],
    bin_size_ms: float,
    *,
    window_s: float | None = None,
    unit_key: str | None = None,
    sampling_frequency: float | None = None,
    covariates: Mapping[str, npt.ArrayLike] | None = None,
    unit_properties: Mapping[str, npt.ArrayLike] | None = None,
) -> SpikeCounts:
    """Count the spikes of Neo objects; see :meth:`SpikeCounts.from_neo`."""
    segments = segments_of(data)
    if not segments:
        raise ValueError("data holds no segment; a trial is a segment with one spike train per unit.")
    if sampling_frequency is None:
        sampling_frequency = sampling_frequency_of(segments)
    labels = unit_labels(segments, unit_key)
    unit_ids = list(dict.fromkeys(label for of_segment in labels for label in of_segment))
    _warn_of_units(segments, labels, unit_ids)
    position = {unit_id: k for k, unit_id in enumerate(unit_ids)}

    stretches, starts_s = [], []
    windows_s = common_windows(segments)
    _warn_of_disagreement(segments, windows_s, sampling_frequency)
    for segment, of_segment, (start_s, stop_s) in zip(segments, labels, windows_s, strict=True):
        times_s = [train.times_s() for train in segment.trains]
        frames = seconds_to_frames(np.concatenate(times_s) - start_s, sampling_frequency)
        units = np.repeat([position[label] for label in of_segment], [len(times) for times in times_s])
        num_frames = int(seconds_to_frames(stop_s - start_s, sampling_frequency))
        stretches.append(Stretch(units, frames, num_frames, segment.name))
        starts_s.append(start_s)

    placed = any(_placed(annotated) for annotated in (getattr(data, "annotations", {}), segments[0].annotations))
    if not placed:
        warn_of_stretches(
            stretches,
            num_units=len(unit_ids),
            sampling_frequency=sampling_frequency,
            remedy="State the unit that the numbers have: neo.SpikeTrain(times, units='ms', t_stop=…), or, for "
            "samples, times / sampling_frequency with units='s'.",
            stacklevel=3,
        )
    trials = cut_into_trials(stretches, bin_size_ms, sampling_frequency, num_units=len(unit_ids), window_s=window_s)
    known = common_covariates([segment.annotations for segment in segments], leave_out=_NOT_COVARIATES)
    known = {name: value[trials.stretch] for name, value in known.items()}
    if window_s is None:
        known.update(_signal_covariates(segments, bin_size_ms, max(len(counts) for counts in trials.counts)))
    annotations = _annotations(data, segments)
    session_starts_s, origin_s = _session_starts(segments, np.array(starts_s))
    if origin_s is not None and window_s is None:
        annotations[TRIAL_ORIGIN_KEY] = origin_s

    properties = common_covariates(_known_about_units(data, segments, labels, unit_ids), leave_out=_NOT_PROPERTIES)
    if not placed:
        # Times that were drawn to fit counts say nothing about the intervals of the source.
        measured = intervals_of_stretches(stretches, num_units=len(unit_ids), sampling_frequency=sampling_frequency)
        properties = {**measured, **properties}
    return SpikeCounts(
        trials.counts,
        bin_size_ms,
        unit_ids=_as_ids(unit_ids),
        covariates={**known, **(covariates or {})},
        unit_properties={**properties, **(unit_properties or {})},
        t_starts_s=None if session_starts_s is None else session_starts_s[trials.stretch] + trials.offset_s,
        trial_locked=window_s is None,
        annotations=annotations,
    )


# ---- what was given --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class NeoTrain:
    """A spike train, read where it was lazy."""

    train: neo.SpikeTrain
    seconds: float  # its time unit, in s
    name: str

    @property
    def window_s(self) -> tuple[float, float]:
        return float(self.train.t_start.magnitude) * self.seconds, float(self.train.t_stop.magnitude) * self.seconds

    def times_s(self) -> np.ndarray:
        times = np.asarray(self.train.magnitude, dtype=np.float64)
        if not np.all(np.isfinite(times)):
            raise ValueError(f"{self.name} has spikes at NaN or infinity; remove them.")
        return times * self.seconds


@dataclass(frozen=True, eq=False)
class NeoSegment:
    """What a trial is made of; ``name`` is for errors."""

    trains: list[NeoTrain]
    annotations: dict[str, Any]
    signals: list[neo.AnalogSignal]
    name: str


def segments_of(data: Any) -> list[NeoSegment]:
    """Segments, or what stands for them, of anything that :meth:`SpikeCounts.from_neo` takes."""
    if isinstance(data, neo.Block):
        return [_segment(segment.spiketrains, f"segment {k}", segment) for k, segment in enumerate(data.segments)]
    if isinstance(data, neo.Segment):
        return [_segment(data.spiketrains, "the segment", data)]
    if _is_train(data):
        raise TypeError("a single neo.SpikeTrain was given; give a list of all trains of a trial, here [train].")
    if isinstance(data, (str, Path)):
        raise TypeError(
            f"a path was given ({str(data)!r}), where a neo.Block is expected; read it first: read_neo for .nix, .mat "
            "and .pkl, neo.io.get_io(path).read_block() for other formats of Neo. Of NWB, SpikeCounts.from_nwb makes "
            "counts."
        )
    items = list(data) if isinstance(data, Iterable) and not isinstance(data, Mapping) else None
    if items and all(isinstance(item, neo.Block) for item in items):
        raise TypeError(
            f"a list of {len(items)} neo.Block was given; take them one by one in a loop, or, where they hold trials "
            "of one session, together: [segment for block in blocks for segment in block.segments]."
        )
    if items is None or not all(isinstance(item, (neo.Segment, Iterable)) or _is_train(item) for item in items):
        raise TypeError(
            "data must be a neo.Block, a neo.Segment, a sequence of segments, a sequence of neo.SpikeTrain or a "
            f"sequence of those (a trial each); got {type(data).__name__}."
        )
    if items and all(_is_train(item) for item in items):
        return [_segment(items, "the segment", None)]
    return [
        _segment(item.spiketrains, f"segment {k}", item)
        if isinstance(item, neo.Segment)
        else _segment(item, f"trial {k}", None)
        for k, item in enumerate(items)
    ]


def _segment(trains: Iterable[Any], name: str, segment: neo.Segment | None) -> NeoSegment:
    factors: dict[str, float] = {}  # rescaling through quantities costs more than the counting
    wrapped = []
    for k, train in enumerate(trains):
        if not _is_train(train):
            raise TypeError(
                f"{name} holds a {type(train).__name__} where a neo.SpikeTrain is expected. Times in ms become one by "
                "neo.SpikeTrain(times, units='ms', t_stop=…), samples after division by their sampling frequency in "
                "Hz, with units='s'."
            )
        if hasattr(train, "load"):
            train = train.load()
        unit = train.dimensionality.string
        if unit not in factors:
            factors[unit] = float(train.units.rescale(pq.s).magnitude)
        wrapped.append(NeoTrain(train, factors[unit], f"spike train {k} of {name}"))
    if not wrapped:
        raise ValueError(
            f"{name} holds no spike train, so that its duration is unknown; leave it out, or give it an empty "
            "SpikeTrain with its t_start and t_stop."
        )
    annotations = dict(segment.annotations) if segment is not None else {}
    return NeoSegment(wrapped, annotations, list(segment.analogsignals) if segment is not None else [], name)


def _is_train(item: Any) -> bool:
    return isinstance(item, neo.SpikeTrain) or getattr(item, "proxy_for", None) is neo.SpikeTrain


def sampling_frequency_of(segments: Sequence[NeoSegment]) -> float:
    """The highest sampling rate that trains state; 1 Hz is what Neo fills in where there is none."""
    rates: dict[int, float] = {}
    for segment in segments:
        for train in segment.trains:
            rate = train.train.sampling_rate
            if rate is not None and id(rate) not in rates:
                rates[id(rate)] = float(rate.rescale(pq.Hz).magnitude)
    stated = [rate for rate in rates.values() if rate > 1.0]
    return max(stated, default=_DEFAULT_SAMPLING_FREQUENCY)


# ---- time ------------------------------------------------------------------------------------


def common_windows(segments: Sequence[NeoSegment]) -> list[tuple[float, float]]:
    """The time in s that all trains of each segment cover."""
    common = []
    for segment in segments:
        windows = np.array([train.window_s for train in segment.trains])
        start_s, stop_s = float(windows[:, 0].max()), float(windows[:, 1].min())
        if stop_s <= start_s:
            raise ValueError(
                f"the spike trains of {segment.name} have no time in common: one starts at {start_s:g} s, another "
                f"ends at {stop_s:g} s. Give all trains of a trial the same t_start and t_stop."
            )
        common.append((start_s, stop_s))
    return common


def _warn_of_disagreement(
    segments: Sequence[NeoSegment], common: Sequence[tuple[float, float]], sampling_frequency: float
) -> None:
    disagreeing = [
        f"{segment.name} ({start_s:g} to {stop_s:g} s in common)"
        for segment, (start_s, stop_s) in zip(segments, common, strict=True)
        if np.ptp([train.window_s for train in segment.trains], axis=0).max() > 0.5 / sampling_frequency
    ]
    if disagreeing:
        more = f" and {len(disagreeing) - 1} more" if len(disagreeing) > 1 else ""
        warnings.warn(
            f"spike trains disagree in their t_start or t_stop in {disagreeing[0]}{more}; only the time that the "
            "trains of a trial have in common is counted. Give them the same window if they were recorded together.",
            stacklevel=4,
        )


def _session_starts(segments: Sequence[NeoSegment], starts_s: np.ndarray) -> tuple[np.ndarray | None, float | None]:
    """Starts of the segments in the session, or, where each has a clock of its own, the time it starts from."""
    if all(SESSION_START_KEY in segment.annotations for segment in segments):
        stated = np.array([float(segment.annotations[SESSION_START_KEY]) for segment in segments])
        return stated, None
    if len(starts_s) > 1 and np.all(starts_s == starts_s[0]):
        return None, float(starts_s[0]) if starts_s[0] != 0 else None
    return starts_s, None


# ---- units -----------------------------------------------------------------------------------


def unit_labels(segments: Sequence[NeoSegment], unit_key: str | None) -> list[list[Hashable]]:
    """A label for each train of each segment; trains of one unit share it."""
    if unit_key is not None:
        labels = [[_label(train.train, unit_key) for train in segment.trains] for segment in segments]
        for segment, of_segment in zip(segments, labels, strict=True):
            for train, label in zip(segment.trains, of_segment, strict=True):
                if label is None:
                    raise ValueError(f"{train.name} has no {unit_key!r}, which unit_key asks for.")
            if len(set(of_segment)) < len(of_segment):
                twice = next(label for label in of_segment if of_segment.count(label) > 1)
                raise ValueError(
                    f"{segment.name} has several spike trains with {unit_key!r} = {twice!r}; give each unit of a "
                    "segment another, join trains of one unit (SpikeTrain.merge), or name an annotation that differs "
                    "by unit_key."
                )
        return labels
    by_id = [[_label(train.train, "unit_id") for train in segment.trains] for segment in segments]
    if all(label is not None for of_segment in by_id for label in of_segment):
        return unit_labels(segments, "unit_id")
    by_name = [[_label(train.train, "name") for train in segment.trains] for segment in segments]
    if all(None not in of_segment and len(set(of_segment)) == len(of_segment) for of_segment in by_name):
        return by_name
    sizes = {len(segment.trains) for segment in segments}
    if len(sizes) > 1:
        raise ValueError(
            f"segments hold between {min(sizes)} and {max(sizes)} spike trains and nothing tells which belong to "
            "one unit; annotate each with its unit_id, or name the annotation that does with unit_key."
        )
    return [list(range(len(segment.trains))) for segment in segments]


def _warn_of_units(
    segments: Sequence[NeoSegment], labels: Sequence[Sequence[Hashable]], unit_ids: Sequence[Hashable]
) -> None:
    """Warn of units that are missing in some segments, and of names that do not tell units apart."""
    trains = Counter(label for row in labels for label in row)
    missing = [(unit_id, len(segments) - trains[unit_id]) for unit_id in unit_ids if trains[unit_id] < len(segments)]
    if missing:
        unit_id, number = missing[0]
        more = f", and {len(missing) - 1} more units in some" if len(missing) > 1 else ""
        warnings.warn(
            f"unit {unit_id!r} has no spike train in {number} of {len(segments)} segments{more}; they are counted as "
            "silent there. Where they were not recorded, leave out the units or the segments.",
            stacklevel=4,
        )
    by_position = all(list(row) == list(range(len(row))) for row in labels)
    for segment in segments if by_position else ():
        names = [train.train.name for train in segment.trains]
        twice = next((name for name in names if name and names.count(name) > 1), None)
        if twice is not None and "unit_id" not in segment.trains[0].train.annotations:
            warnings.warn(
                f"several spike trains of {segment.name} are called {twice!r}, so that units are told apart by their "
                "position among the trains. If that differs between segments, annotate the trains with their unit_id, "
                "or name the annotation that tells units by unit_key.",
                stacklevel=4,
            )
            return


def _label(train: neo.SpikeTrain, key: str) -> Hashable | None:
    value = train.annotations.get(key)
    if value is None and key == "name":
        value = train.name
    value = plain(value)
    if value is None or value == "" or isinstance(value, (int, str)):
        return value if value != "" else None
    return str(value)


def _as_ids(labels: Sequence[Hashable]) -> np.ndarray:
    if all(isinstance(label, int) for label in labels):
        return np.array(labels, dtype=np.int64)
    return np.array([str(label) for label in labels])


def _known_about_units(
    data: Any, segments: Sequence[NeoSegment], labels: Sequence[Sequence[Hashable]], unit_ids: Sequence[Hashable]
) -> list[dict[str, Any]]:
    """What all trains of a unit say about it, and what its group says."""
    known: dict[Hashable, dict[str, Any]] = {}
    for segment, of_segment in zip(segments, labels, strict=True):
        for train, label in zip(segment.trains, of_segment, strict=True):
            own = {key: plain(value) for key, value in train.train.annotations.items()}
            if label not in known:
                known[label] = own
            elif known[label] != own:
                known[label] = {key: value for key, value in known[label].items() if own.get(key) == value}
    for group in getattr(data, "groups", []):
        label = plain(group.annotations.get("unit_id"))
        if label in known:
            known[label].update({key: plain(value) for key, value in group.annotations.items()})
    return [known[unit_id] for unit_id in unit_ids]


# ---- everything else -------------------------------------------------------------------------


def _signal_covariates(segments: Sequence[NeoSegment], bin_size_ms: float, max_bins: int) -> dict[str, np.ndarray]:
    """Analog signals that were written as covariates with bins of this size, (trials, bins, k)."""
    rows = []
    for segment in segments:
        rows.append(
            {
                signal.name: np.asarray(signal.magnitude)
                for signal in segment.signals
                if signal.annotations.get("covariate")
                and np.isclose(float(signal.sampling_period.rescale(pq.ms).magnitude), bin_size_ms)
            }
        )
    found = {}
    for name in rows[0]:
        if all(name in row and row[name].shape[1] == rows[0][name].shape[1] for row in rows):
            values = np.zeros((len(rows), max_bins, rows[0][name].shape[1]))
            for k, row in enumerate(rows):
                values[k, : len(row[name])] = row[name][:max_bins]
            found[name] = values
    return found


def _annotations(data: Any, segments: Sequence[NeoSegment]) -> dict[str, Any]:
    """Where the data come from; that they are synthetic is found also on a segment or a train alone."""
    annotations = plain_entries(getattr(data, "annotations", {}), leave_out=PLACEMENT_KEYS)
    if isinstance(data, neo.Segment):
        annotations = {}  # those are covariates
    for segment in segments:
        for annotated in (segment.annotations, *(train.train.annotations for train in segment.trains)):
            if annotated.get("synthetic"):
                return {**marks_of(annotated), **annotations}
    return annotations


def _placed(annotations: Mapping[str, Any]) -> bool:
    return bool(annotations.get("spike_times_placed"))
