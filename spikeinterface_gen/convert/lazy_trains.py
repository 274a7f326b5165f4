"""Neo spike trains that come into being when they are first looked at.

A SpikeTrain costs about 0.1 ms and 3.5 kB: a block of 200 units × 2000 trials would take three quarters
of a minute and 1.4 GB, most of it for trains that nobody asks for. Neo's own multiplexed
:class:`~neo.core.spiketrainlist.SpikeTrainList` puts this off for a segment; the two lists here add the
sampling rate, names and annotations of each train, and do the same for the groups of a block.

They pickle and copy as Neo's own list, so that a file written from them loads without this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import neo
import numpy as np
import quantities as pq
from neo.core.spiketrainlist import SpikeTrainList

__all__ = ["SegmentTrains", "UnitTrains"]


class _LazyTrains(SpikeTrainList):
    """Trains made all at once by :meth:`_make` when one is needed."""

    def __init__(self, segment: neo.Segment | None, num_trains: int) -> None:
        super().__init__()
        self.segment = segment
        self._num_trains = num_trains

    def _make(self) -> list[neo.SpikeTrain]:
        raise NotImplementedError

    def _spiketrains_from_array(self) -> None:  # Neo's hook, called by everything that needs the trains
        self._items = self._make()

    def __len__(self) -> int:
        return self._num_trains if self._items is None else len(self._items)

    def __str__(self) -> str:
        return f"SpikeTrainList of {len(self)} trains"

    def __reduce__(self) -> tuple[Any, ...]:
        eager = SpikeTrainList()
        eager._items = list(self)
        eager.segment = self.segment
        return SpikeTrainList, (), eager.__dict__

    @property
    def multiplexed(self) -> tuple[np.ndarray, pq.Quantity]:
        """Position of the train of each spike, and the times of all spikes."""
        trains = list(self)
        positions = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
        times_s = np.concatenate([train.rescale("s").magnitude for train in trains]) if trains else np.empty(0)
        return positions, times_s * pq.s


class SegmentTrains(_LazyTrains):
    """The trains of one segment, from spikes sorted by train.

    Parameters
    ----------
    segment : neo.Segment
        Their parent.
    times_s : array of float, shape (spikes,)
        Spike times in s, sorted within each train.
    bounds : array of int, shape (trains + 1,)
        Train *k* has the times ``bounds[k]:bounds[k + 1]``.
    t_start_s, t_stop_s : float
        Common window in s.
    sampling_frequency : float
        Frames per second, in Hz.
    names : sequence of str
        Name of each train.
    annotations : sequence of dict
        Annotations of each train; shared by all segments, copied when a train is made.
    shared : dict
        Annotations of every train of this segment.
    """

    def __init__(
        self,
        segment: neo.Segment,
        times_s: np.ndarray,
        bounds: np.ndarray,
        t_start_s: float,
        t_stop_s: float,
        sampling_frequency: float,
        names: Sequence[str],
        annotations: Sequence[dict[str, Any]],
        shared: dict[str, Any],
    ) -> None:
        super().__init__(segment, len(bounds) - 1)
        self._times_s = times_s
        self._bounds = bounds
        self._window = (t_start_s, t_stop_s)
        self._sampling_frequency = sampling_frequency
        self._names = names
        self._train_annotations = annotations
        self._shared = shared

    @property
    def t_start(self) -> pq.Quantity:
        """Start of the segment."""
        return self._window[0] * pq.s

    @property
    def t_stop(self) -> pq.Quantity:
        """End of the segment."""
        return self._window[1] * pq.s

    def _make(self) -> list[neo.SpikeTrain]:
        t_start, t_stop = (pq.Quantity(edge, pq.s, dtype=float) for edge in self._window)
        sampling_rate = self._sampling_frequency * pq.Hz
        times = self._times_s * pq.s
        trains = []
        for k in range(self._num_trains):
            train = neo.SpikeTrain(
                times[self._bounds[k] : self._bounds[k + 1]],
                t_start=t_start,
                t_stop=t_stop,
                sampling_rate=sampling_rate,
                name=self._names[k],
                **self._train_annotations[k],
                **self._shared,
            )
            train.segment = self.segment
            trains.append(train)
        return trains


class UnitTrains(_LazyTrains):
    """The trains of one unit, one from each segment of a block."""

    def __init__(self, segments: Sequence[neo.Segment], position: int) -> None:
        super().__init__(None, len(segments))
        self._segments = segments
        self._position = position

    def _make(self) -> list[neo.SpikeTrain]:
        return [segment.spiketrains[self._position] for segment in self._segments]
