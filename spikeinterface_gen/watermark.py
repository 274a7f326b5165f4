"""Find the watermark of spikes that were placed with a key, from their times alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeinterface_gen.frames import bin_edge_frames, seconds_to_frames
from spikeinterface_gen.observation.spike_times import PlacedSpikes
from spikeinterface_gen.observation.watermark import NUM_NONCES, KeyedPlaces, key_bytes, keyed_places

__all__ = ["WatermarkSearch", "find_watermark"]

# Tried where nothing tells the width of the bins.
_USUAL_BINS_MS = (1.0, 2.0, 4.0, 5.0, 8.0, 10.0, 15.0, 16.0, 20.0, 25.0, 30.0, 40.0, 50.0, 100.0)
# Where the bins begin is then searched in these steps.
_OFFSET_STEP_MS = 0.1
# So many spikes decide which nonce, width and offset all of them are tested for.
_DECIDING = 200
_DECIDING_OF = 4000
_NEO_SAMPLING_FREQUENCY = 30000.0


@dataclass(frozen=True)
class WatermarkSearch:
    """What :func:`find_watermark` found.

    Attributes
    ----------
    found : bool
        Whether ``p_value`` is below the share of false alarms that was allowed.
    p_value : float
        Probability of such an agreement with the key in spikes without the mark, corrected for the number
        of nonces, bin widths and offsets that may be tried; 0 below 1e-300.
    num_spikes : int
        Spikes that it rests on.
    bin_size_ms : float
        Width of the bins at which the agreement was best.
    offset_ms : float
        Where the first bin begins, after the start of the data.
    """

    found: bool
    p_value: float
    num_spikes: int
    bin_size_ms: float
    offset_ms: float

    def __repr__(self) -> str:
        words = "found" if self.found else "not found"
        p = f"{self.p_value:.1e}" if self.p_value else "1e-300 or less"
        return f"watermark {words}: p = {p} on {self.num_spikes} spikes, bins of {self.bin_size_ms:g} ms"


def find_watermark(
    data: Any,
    key: str | bytes,
    *,
    bin_size_ms: float | None = None,
    t_starts_s: npt.ArrayLike | None = None,
    sampling_frequency: float | None = None,
    false_alarms: float = 1e-6,
) -> WatermarkSearch:
    """Tell whether spikes were placed with this key, from their times alone.

    Neither all units nor all trials need be there, nor any label. Spikes that were sorted again from the
    traces will do, where most of them were found.

    Parameters
    ----------
    data : neo.Block, neo.Segment, sequence of neo.SpikeTrain, sorting, recording or analyzer
        Spike times. Of a recording of ours, or an analyzer, the sorting is taken.
    key : str or bytes
        What was given as ``watermark_key`` when the spikes were placed.
    bin_size_ms : float, optional
        Width of the bins in ms. Default: what the annotations say; else usual widths are tried, and every
        offset of the first bin.
    t_starts_s : array of float, shape (trials,), optional
        Starts of the trials, where bins begin anew, on the clock of the data. Default: the annotation
        ``trials`` where there is one, else the starts of the segments.
    sampling_frequency : float, optional
        Frames per second to which times in s are rounded, in Hz. Default: what the spike trains state, or
        30 kHz.
    false_alarms : float
        Share of unmarked data that may be taken for marked.

    Returns
    -------
    WatermarkSearch

    Raises
    ------
    TypeError
        If ``data`` holds no spike times.
    ValueError
        If a number is not positive, or the key is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from spikeinterface_gen import SpikeCounts, find_watermark
    >>> counts = SpikeCounts(np.random.Generator(np.random.PCG64(0)).poisson(0.1, (20, 100, 10)), 10.0)
    >>> sorting = counts.to_sorting(watermark_key="our laboratory")
    >>> find_watermark(sorting.select_units([3, 4, 5]), "our laboratory").found
    True
    >>> find_watermark(sorting, "another key").found
    False
    """
    secret = key_bytes(key)
    for name, value in (("bin_size_ms", bin_size_ms), ("sampling_frequency", sampling_frequency)):
        if value is not None and not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a positive number; got {value}.")
    if not 0 < false_alarms < 1:
        raise ValueError(f"false_alarms must lie between 0 and 1; got {false_alarms}.")
    trains, frequency, annotations = _trains_of(data, sampling_frequency)
    if bin_size_ms is None:
        bin_size_ms = annotations.get("bin_size_ms")
    starts_s = _annotated_starts_s(annotations) if t_starts_s is None else np.sort(np.asarray(t_starts_s, float))
    chains = _Chains.of(trains, frequency, starts_s)

    widths_ms: tuple[float, ...] = _USUAL_BINS_MS if bin_size_ms is None else (float(bin_size_ms),)
    widths_ms = tuple(width for width in widths_ms if width * frequency >= 1000.0) or widths_ms[-1:]
    step = max(1, round(_OFFSET_STEP_MS * frequency / 1000.0))
    aligned = [(width, 0) for width in widths_ms]
    shifted = [(width, k) for width in widths_ms for k in range(1, round(width * frequency / 1000.0))]
    tried = NUM_NONCES * (len(aligned) + len(shifted))
    part = chains.some(_DECIDING_OF)

    def test(candidates: list[tuple[float, int]]) -> WatermarkSearch:
        """Of all spikes, at the likeliest of these widths and offsets and its likeliest nonce."""
        _, nonce, width, offset = max((*part.likeliest(secret, *at), *at) for at in candidates)
        places = chains.places(secret, width, offset)
        p_value = min(1.0, places.tail_probability(nonce) * tried)
        return WatermarkSearch(p_value < false_alarms, p_value, len(places), width, offset * 1000.0 / frequency)

    # Bins that begin with the trials first; then any, coarsely, and around the best.
    result = test(aligned)
    if not result.found and shifted:
        result = min(result, test(shifted[step - 1 :: step]), key=lambda r: r.p_value)
        near = round(result.offset_ms * frequency / 1000.0)
        finer = [(width, k) for width, k in shifted if width == result.bin_size_ms and abs(k - near) < step]
        result = min(result, test(finer), key=lambda r: r.p_value) if finer else result
    return result


@dataclass(frozen=True, eq=False)
class _Chains:
    """Frames of trains one after the other, ``first`` where a train or a trial begins; shape (spikes,)."""

    frame: np.ndarray
    first: np.ndarray
    sampling_frequency: float

    @classmethod
    def of(cls, trains: list[tuple[np.ndarray, float]], sampling_frequency: float, starts_s: np.ndarray | None) -> Any:
        """From the frames of each train, sorted, and its start in s."""
        frames, firsts = [np.zeros(0, np.int64)], [np.zeros(0, bool)]
        for frame, start_s in trains:
            first = np.zeros(len(frame), dtype=bool)
            first[:1] = True
            if starts_s is not None:
                starts = seconds_to_frames(starts_s - start_s, sampling_frequency)
                trial = np.searchsorted(starts, frame, side="right") - 1
                frame, trial = frame[trial >= 0], trial[trial >= 0]
                first = np.append(True, np.diff(trial) != 0)[: len(frame)]
                frame = frame - starts[trial]
            frames.append(frame)
            firsts.append(first)
        return cls(np.concatenate(frames), np.concatenate(firsts), sampling_frequency)

    def some(self, num_spikes: int) -> _Chains:
        """Whole chains, the first that together have this many spikes."""
        begin = np.append(np.flatnonzero(self.first), len(self.frame))
        stop = begin[min(int(np.searchsorted(begin, num_spikes)), len(begin) - 1)]
        return _Chains(self.frame[:stop], self.first[:stop], self.sampling_frequency)

    def likeliest(self, secret: bytes, bin_size_ms: float, offset: int) -> tuple[float, int]:
        """How well the best nonce agrees with a few spikes, and the nonce."""
        return self.places(secret, bin_size_ms, offset, at_most=_DECIDING).likeliest()

    def places(self, secret: bytes, bin_size_ms: float, offset: int, at_most: int | None = None) -> KeyedPlaces:
        """:func:`keyed_places` for bins of this width of which one begins at the frame ``offset``."""
        # From before the first spike on: an offset leaves part of a bin before it.
        size = bin_size_ms * self.sampling_frequency / 1000.0
        skipped = int(np.ceil(max(0, offset - int(self.frame.min(initial=0))) / size))
        shifted = self.frame - offset + int(np.rint(skipped * size))
        edges = bin_edge_frames(int(shifted.max(initial=0) / size) + 2, bin_size_ms, self.sampling_frequency)
        k = np.searchsorted(edges, shifted, side="right") - 1
        low, high = edges[k], edges[k + 1] - 1
        return keyed_places(shifted, low, high, self.first, secret, self.sampling_frequency, at_most)


def _annotated_starts_s(annotations: dict[str, Any]) -> np.ndarray | None:
    """Starts of trials that lie end to end in one segment, where the annotations list them."""
    try:
        return np.sort(np.asarray(annotations["trials"], float).reshape(-1, 2)[:, 0])
    except (KeyError, TypeError, ValueError):
        return None


def _trains_of(
    data: Any, sampling_frequency: float | None
) -> tuple[list[tuple[np.ndarray, float]], float, dict[str, Any]]:
    """Frames of each train from its start, the start in s; frames per second; annotations."""
    if isinstance(data, PlacedSpikes):
        order = np.lexsort((data.frame, data.unit, data.trial))
        borders = np.flatnonzero(np.diff(data.trial[order]) | np.diff(data.unit[order])) + 1
        return [(part, 0.0) for part in np.split(data.frame[order], borders)], data.sampling_frequency, {}
    # A recording of ours and an analyzer know their sorting.
    data = getattr(data, "sorting", data)
    if hasattr(data, "to_spike_vector"):
        return _trains_of_sorting(data)
    return _trains_of_neo(data, sampling_frequency)


def _trains_of_sorting(sorting: Any) -> tuple[list[tuple[np.ndarray, float]], float, dict[str, Any]]:
    annotations = {key: sorting.get_annotation(key) for key in sorting.get_annotation_keys()}
    frequency = float(sorting.sampling_frequency)
    trains = []
    for k, spikes in enumerate(sorting.to_spike_vector(concatenated=False)):
        order = np.lexsort((spikes["sample_index"], spikes["unit_index"]))
        frames = spikes["sample_index"][order].astype(np.int64)
        bounds = np.searchsorted(spikes["unit_index"][order], np.arange(len(sorting.unit_ids) + 1))
        start_s = float(sorting.get_start_time(k))
        trains += [(frames[a:b], start_s) for a, b in pairwise(bounds)]
    return trains, frequency, annotations


def _trains_of_neo(
    data: Any, sampling_frequency: float | None
) -> tuple[list[tuple[np.ndarray, float]], float, dict[str, Any]]:
    import quantities as pq

    segments = getattr(data, "segments", None)
    items: Sequence[Any] = segments if segments is not None else [data]
    lists = [getattr(item, "spiketrains", item) for item in items]
    try:
        trains = [train for item in lists for train in item]
        times_s = [np.sort(train.rescale(pq.s).magnitude) for train in trains]
        starts_s = [float(train.t_start.rescale(pq.s)) for train in trains]
    except (AttributeError, TypeError):
        raise TypeError(
            "data must hold spike times: a neo Block, Segment or sequence of SpikeTrains, a SpikeInterface sorting, "
            f"an analyzer, or a generated recording; got {type(data).__name__}."
        ) from None
    if sampling_frequency is None:
        stated = [float(train.sampling_rate.rescale(pq.Hz)) for train in trains if train.sampling_rate is not None]
        # 1 Hz is what Neo fills in where nothing is known.
        sampling_frequency = max((rate for rate in stated if rate > 1.0), default=_NEO_SAMPLING_FREQUENCY)
    frames = [
        seconds_to_frames(times - start, sampling_frequency) for times, start in zip(times_s, starts_s, strict=True)
    ]
    return list(zip(frames, starts_s, strict=True)), sampling_frequency, dict(getattr(data, "annotations", {}))
