"""Neo objects with other spikes: the structure, names, annotations and times of the recorded ones."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import neo
import numpy as np
import quantities as pq
from neo.core.spiketrainlist import SpikeTrainList

from spikeinterface_gen.convert.from_neo import (
    NeoTrain,
    common_windows,
    from_neo,
    sampling_frequency_of,
    segments_of,
    unit_labels,
)
from spikeinterface_gen.convert.metadata import provenance_marks
from spikeinterface_gen.counterpart.pieces import Recorded, placement_annotations
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.frames import seconds_to_frames
from spikeinterface_gen.randomness import uniforms

__all__ = ["RecordedNeo"]

_DATA_LISTS = ("analogsignals", "irregularlysampledsignals", "imagesequences", "events", "epochs")
_SIGNALS = _DATA_LISTS[:3]


class RecordedNeo:
    """A block, a segment, or a sequence of these or of spike trains.

    Parameters
    ----------
    data : neo.Block, neo.Segment or sequence
        As :meth:`SpikeCounts.from_neo` takes it.
    unit_key : str, optional
        Annotation that tells units.
    """

    def __init__(self, data: Any, unit_key: str | None = None) -> None:
        self._data = data
        self._unit_key = unit_key
        self._segments = segments_of(data)

    @property
    def num_segments(self) -> int:
        """Number of segments, or of what stands for them."""
        return len(self._segments)

    def read(self, bin_size_ms: float, *, continuous: bool) -> Recorded:
        """Count the spikes of the segments; how long these are, Neo knows in either case."""
        counts = from_neo(self._data, bin_size_ms, unit_key=self._unit_key)
        frequency = sampling_frequency_of(self._segments)
        start_s, stop_s = np.array(common_windows(self._segments)).T
        return Recorded(counts, seconds_to_frames(stop_s - start_s, frequency), start_s, frequency)

    def with_counts(self, counts: SpikeCounts, recorded: Recorded, seed: int, watermark_key: str | bytes | None) -> Any:
        """Return an object of the same kind and structure whose spikes have these counts, a trial a segment."""
        placed = recorded.placed(counts, seed, watermark_key)
        annotations = placement_annotations(counts, seed, watermark_key)
        labels = unit_labels(self._segments, self._unit_key)
        # The order in which from_neo numbers units.
        position = {label: k for k, label in enumerate(dict.fromkeys(label for row in labels for label in row))}
        carried = [_Carried() for _ in position]
        for segment, row in zip(self._segments, labels, strict=True):
            for train, label in zip(segment.trains, row, strict=True):
                carried[position[label]].trains.append(train.train)
        marks = {**provenance_marks(annotations), "spike_times_placed": True}
        order = np.lexsort((placed.frame, placed.unit, placed.trial))
        num_units = len(position)
        bounds = np.searchsorted(
            placed.trial[order] * num_units + placed.unit[order], np.arange(len(self._segments) * num_units + 1)
        )
        frames = placed.frame[order]
        made: dict[int, neo.SpikeTrain] = {}
        trains: list[list[neo.SpikeTrain]] = []
        for k, (segment, row) in enumerate(zip(self._segments, labels, strict=True)):
            trains.append([])
            first = bounds[k * num_units]
            chance = uniforms(seed, "values of spikes", k, (int(bounds[(k + 1) * num_units] - first),))
            for old, label in zip(segment.trains, row, strict=True):
                unit = position[label]
                own = slice(bounds[k * num_units + unit], bounds[k * num_units + unit + 1])
                times_s = recorded.starts_s[k] + frames[own] / recorded.sampling_frequency
                new = _train(old, times_s, carried[unit], chance[own.start - first : own.stop - first], marks)
                made[id(old.train)] = new
                trains[-1].append(new)
        return _rebuilt(self._data, trains, made, annotations, marks)


# ---- spike trains ----------------------------------------------------------------------------


class _Carried:
    """What the spikes of a unit carry beside their times: array annotations and waveforms."""

    def __init__(self) -> None:
        self.trains: list[neo.SpikeTrain] = []
        self._found: dict[str, Any] = {}

    def of(self, name: str) -> Any | None:
        """The values of all spikes of the unit, None where trains differ in kind or there is no spike."""
        if name not in self._found:
            self._found[name] = self._joined(name)
        return self._found[name]

    def _joined(self, name: str) -> Any | None:
        rows = [
            train.waveforms if name == "waveforms" else train.array_annotations.get(name)
            for train in self.trains
            if len(train)
        ]
        if not rows or any(row is None for row in rows):
            return None
        try:
            if isinstance(rows[0], pq.Quantity):
                units = rows[0].units
                return np.concatenate([row.rescale(units).magnitude for row in rows]) * units
            return np.concatenate([np.asarray(row) for row in rows])
        except (ValueError, AttributeError):
            return None


def _train(
    old: NeoTrain, times_s: np.ndarray, carried: _Carried, chance: np.ndarray, marks: Mapping[str, Any]
) -> neo.SpikeTrain:
    """A train like ``old`` with other times, whose spikes carry what other spikes of the unit do, drawn at random."""
    train = old.train
    times = times_s / old.seconds
    if train.dtype.kind in "iu":
        times = np.rint(times)
    # Rounding to a coarser number must not move a spike out of its train.
    times = np.clip(times.astype(train.dtype), train.t_start.magnitude, train.t_stop.magnitude).astype(train.dtype)
    values = {name: carried.of(name) for name in train.array_annotations}
    waveforms = None if train.waveforms is None else carried.of("waveforms")
    drawn = {
        name: value[np.floor(chance * len(value)).astype(np.int64)]
        for name, value in (values | {"waveforms": waveforms}).items()
        if value is not None
    }
    new = neo.SpikeTrain(
        times,
        units=train.units,
        t_start=train.t_start,
        t_stop=train.t_stop,
        sampling_rate=train.sampling_rate,
        left_sweep=train.left_sweep,
        waveforms=drawn.pop("waveforms", None),
        name=train.name,
        description=train.description,
        file_origin=train.file_origin,
        array_annotations=drawn,
    )
    new.annotations = {**copy.deepcopy(train.annotations), **marks}
    return new


# ---- what holds them -------------------------------------------------------------------------


def _rebuilt(
    data: Any,
    trains: Sequence[list[neo.SpikeTrain]],
    made: dict[int, Any],
    annotations: Mapping[str, Any],
    marks: Mapping[str, Any],
) -> Any:
    if isinstance(data, neo.Block):
        block = _alike(data, annotations)
        block.segments.extend(
            [_segment(segment, own, made, marks) for segment, own in zip(data.segments, trains, strict=True)]
        )
        made |= {id(old): new for old, new in zip(data.segments, block.segments, strict=True)}
        block.groups.extend([_group(group, made, marks) for group in data.groups])
        for child in (*block.segments, *block.groups):
            child.block = block
        _warn_of_signals(data.segments)
        return block
    if isinstance(data, neo.Segment):
        _warn_of_signals([data])
        return _segment(data, trains[0], made, marks)
    if isinstance(data, SpikeTrainList):
        return SpikeTrainList(items=trains[0])
    kind = tuple if isinstance(data, tuple) else list
    items = list(data)
    if isinstance(items[0], neo.SpikeTrain) or hasattr(items[0], "load"):
        return kind(trains[0])
    _warn_of_signals([item for item in items if isinstance(item, neo.Segment)])
    return kind(
        _segment(item, own, made, marks) if isinstance(item, neo.Segment) else _like_list(item, own)
        for item, own in zip(items, trains, strict=True)
    )


def _like_list(item: Any, trains: list[neo.SpikeTrain]) -> Any:
    if isinstance(item, SpikeTrainList):
        return SpikeTrainList(items=trains)
    return tuple(trains) if isinstance(item, tuple) else trains


def _segment(
    old: neo.Segment, trains: list[neo.SpikeTrain], made: dict[int, Any], marks: Mapping[str, Any]
) -> neo.Segment:
    segment = _alike(old, marks)
    for name in _DATA_LISTS:
        for item in getattr(old, name):
            made[id(item)] = item
            if not hasattr(item, "load"):  # what is still in a file stays there
                made[id(item)] = copy.deepcopy(item)
                made[id(item)].segment = segment
            getattr(segment, name).append(made[id(item)])
    segment.spiketrains.extend(trains)
    for train in trains:
        train.segment = segment
    return segment


def _group(old: neo.Group, made: dict[int, Any], marks: Mapping[str, Any]) -> neo.Group:
    """The group of what took the place of its members; members that are in no segment are left out."""
    group = _alike(old, marks)
    group.allowed_types = old.allowed_types
    group.groups.extend([_group(child, made, marks) for child in old.groups])
    for name in (*_DATA_LISTS, "spiketrains", "segments"):
        getattr(group, name).extend([made[id(item)] for item in getattr(old, name) if id(item) in made])
    views = [view for view in old.channelviews if id(view.obj) in made]
    group.channelviews.extend(
        [neo.ChannelView(made[id(v.obj)], v.index, v.name, v.description, v.file_origin) for v in views]
    )
    return group


def _alike(old: Any, marks: Mapping[str, Any]) -> Any:
    """An empty container of the same kind, name and annotations."""
    new = type(old)(name=old.name, description=old.description, file_origin=old.file_origin)
    for name in ("file_datetime", "rec_datetime", "index"):
        if hasattr(old, name):
            setattr(new, name, getattr(old, name))
    new.annotations = {**copy.deepcopy(old.annotations), **marks}
    return new


def _warn_of_signals(segments: Sequence[neo.Segment]) -> None:
    names = sorted({kind for segment in segments for kind in _recorded_signals(segment)})
    if names:
        warnings.warn(
            f"the {' and '.join(names)} are copies of the recorded ones; synthetic spikes are not related to them, so "
            "that what couples spikes and signals is lost.",
            stacklevel=5,
        )


def _recorded_signals(segment: neo.Segment) -> Iterator[str]:
    """Kinds of signals in a segment that are more than covariates of its trial."""
    for name in _SIGNALS:
        if any(not item.annotations.get("covariate") for item in getattr(segment, name)):
            yield name
