"""Counts to spike times: frames that agree with the counts and keep the refractory period.

Given its counts, a unit's spikes are placed as those of a renewal process would lie. If *f* is the density
of its inter-spike intervals, then its spikes at frames *p*, conditional on the counts of all bins, have
the density

    p(p | counts)  ∝  Π_i f(p_i − p_{i−1})      with each p_i inside its own bin.

An exponential factor in *f* cancels, because the intervals sum to a constant. So *f* matters only where
it departs from an exponential: it is 0 within the refractory period, follows the unit's histogram of
short intervals where the source had spike times (``unit_properties["short_interval_counts"]``, 0.5 ms
wide from 0), and is flat beyond, which makes the placement uniform but for the refractory period.

The draw is exact within a bin (order statistics with a minimum spacing, Devroye, *Non-Uniform Random
Variate Generation*, 1986, V.4); where neighbouring bins are too close to be independent, whole runs of
bins are settled together by Metropolis sweeps from a valid start. Counts always win: where bins cannot
hold their counts, the fewest intervals that let them are shorter than the refractory period, and reported.
Trials are placed one after the other, each after the end of the one before it, so that they do not depend
on what follows; only where the next trial begins with more spikes than leave its first one room does the
last bin end sooner for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.frames import bin_edge_frames
from spikeinterface_gen.observation.spacing import (
    Chains,
    make_room_at_seams,
    resettle,
    settle,
    spaced_draws,
)
from spikeinterface_gen.observation.watermark import marked
from spikeinterface_gen.randomness import resolve_seed, uniforms

__all__ = ["DEFAULT_REFRACTORY_PERIOD_MS", "SHORT_INTERVAL_EDGES_MS", "PlacedSpikes", "place_spikes"]

DEFAULT_REFRACTORY_PERIOD_MS = 1.5
"""Absolute refractory period of a unit that does not tell its own; the threshold of SpikeInterface's ISI violations."""

SHORT_INTERVAL_EDGES_MS = np.arange(21) * 0.5
"""Edges in ms of the histogram in ``unit_properties["short_interval_counts"]``."""

# Intervals added to each bin of a histogram of short intervals, so that a unit with few of them is placed
# nearly uniformly rather than by chance, and the bins over which "beyond" is averaged (8 to 10 ms).
_PRIOR_INTERVALS = 2.0
_REFERENCE_BINS = slice(16, 20)

# Spikes in a bin move independently but for their neighbours; more sweeps no longer change the histograms.
_SWEEPS = 12


@dataclass(frozen=True, eq=False)
class PlacedSpikes:
    """Spikes of a population, one entry each, sorted by trial, frame and unit.

    Attributes
    ----------
    trial, unit : array of int64, shape (spikes,)
        Positions of the trial and of the unit.
    frame : array of int64, shape (spikes,)
        Frame counted from the start of the trial.
    sampling_frequency : float
        Frames per second, in Hz.
    trial_frames : array of int64, shape (trials,)
        Length of each trial in frames.
    gap_frames : int
        Frames between the end of a trial and the start of the next one, when they are laid end to end.
    refractory_period_ms : array of float, shape (units,)
        The refractory period asked for.
    forced_violations : array of int64, shape (units,)
        Intervals shorter than that, because the counts left no room.
    """

    trial: np.ndarray
    unit: np.ndarray
    frame: np.ndarray
    sampling_frequency: float
    trial_frames: np.ndarray
    gap_frames: int
    refractory_period_ms: np.ndarray
    forced_violations: np.ndarray

    @property
    def start_frames(self) -> np.ndarray:
        """Frame of the session at which each trial starts, int64, shape (trials,)."""
        return session_start_frames(self.trial_frames, self.gap_frames)

    @property
    def session_frame(self) -> np.ndarray:
        """Frame of each spike in the session of trials laid end to end, non-decreasing, shape (spikes,)."""
        return self.start_frames[self.trial] + self.frame

    def __len__(self) -> int:
        return len(self.frame)


def session_start_frames(trial_frames: np.ndarray, gap_frames: int) -> np.ndarray:
    """Frames at which trials start when they are laid end to end with gaps, int64, shape (trials,)."""
    lengths = np.asarray(trial_frames, dtype=np.int64) + gap_frames
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths[:-1])])


def place_spikes(
    counts: SpikeCounts,
    *,
    sampling_frequency: float = 30000.0,
    seed: int = 0,
    gap_s: float = 0.0,
    watermark_key: str | bytes | None = None,
) -> PlacedSpikes:
    """Draw spike times that have exactly these counts.

    Parameters
    ----------
    counts : SpikeCounts
        Uses ``unit_properties["refractory_period_ms"]`` (units,), NaN or absent for
        :data:`DEFAULT_REFRACTORY_PERIOD_MS`, and ``unit_properties["short_interval_counts"]``
        (units, 20), the unit's intervals in bins of 0.5 ms from 0, absent or zero where unknown.
    sampling_frequency : float
        Frames per second, in Hz. Two spikes of a unit are never in one frame.
    seed : int
        Of the draw. The times of a trial do not depend on those that follow it, unless the first bins of the
        next are so full that the refractory period across the seam takes room from its last.
    gap_s : float
        Pause in s between trials laid end to end. Refractory periods hold across it.
    watermark_key : str or bytes, optional
        Mark the spikes so that :func:`spikeinterface_gen.find_watermark` finds them again by this key
        (:mod:`spikeinterface_gen.observation.watermark`). Without a key they are what they are without a mark.

    Returns
    -------
    PlacedSpikes
        Counting its frames with :func:`spikeinterface_gen.frames.bin_edge_frames` gives ``counts`` back.

    Raises
    ------
    ValueError
        If a bin has more spikes than frames, a property has the wrong shape or sign, or the key is empty.
    """
    seed = resolve_seed(seed)
    if not (np.isfinite(gap_s) and gap_s >= 0):
        raise ValueError(f"gap_s must be a number of seconds, at least 0; got {gap_s}.")
    edges = bin_edge_frames(counts.max_bins, counts.bin_size_ms, sampling_frequency)
    refractory_ms = refractory_periods_ms(counts)
    refractory = np.maximum(1, np.ceil(refractory_ms * sampling_frequency / 1000.0 - 1e-9)).astype(np.int64)
    weights = _interval_weights(counts, refractory, sampling_frequency)
    gap_frames = round(gap_s * sampling_frequency)
    trial_frames = edges[counts.num_bins]

    # One entry a spike, in the order trial, unit, bin: the spikes of a unit in a trial form a chain.
    occupied = np.nonzero(counts.counts.transpose(0, 2, 1))
    spikes = counts.counts[occupied[0], occupied[2], occupied[1]].astype(np.int64)
    _check_room(counts, spikes, occupied, edges, sampling_frequency)
    trial, unit, bins = (np.repeat(axis, spikes) for axis in occupied)
    low, high = edges[bins], edges[bins + 1] - 1
    rank = np.arange(len(bins)) - np.repeat(np.cumsum(spikes) - spikes, spikes)
    chain = np.ones(len(bins), dtype=bool)
    chain[1:] = (trial[1:] != trial[:-1]) | (unit[1:] != unit[:-1])
    chains = Chains(low=low, high=high, rank=rank, first=chain, spacing=refractory[unit], trial=trial, unit=unit)
    starts = session_start_frames(trial_frames, gap_frames)
    make_room_at_seams(chains, starts)

    frame = spaced_draws(chains, _trialwise(seed, "spike times", trial))
    frame = settle(chains, frame, weights, _sweeps(seed, "settle"), _SWEEPS)
    frame = _across_seams(chains, frame, weights, seed, starts)
    if watermark_key is not None:
        frame = marked(frame, low, high, chains.first, refractory[unit], watermark_key, sampling_frequency, seed)

    too_close = _violations(chains, frame, refractory, starts)
    # One key sorts several times faster than three, and no two spikes share it.
    order = np.argsort((trial * int(edges[-1]) + frame) * counts.num_units + unit)
    return PlacedSpikes(
        trial=trial[order],
        unit=unit[order],
        frame=frame[order],
        sampling_frequency=float(sampling_frequency),
        trial_frames=trial_frames,
        gap_frames=gap_frames,
        refractory_period_ms=refractory_ms,
        forced_violations=np.bincount(unit[too_close], minlength=counts.num_units),
    )


def refractory_periods_ms(counts: SpikeCounts) -> np.ndarray:
    """Refractory period of each unit in ms, the default where it is not known, shape (units,)."""
    known = np.asarray(counts.unit_properties.get("refractory_period_ms", np.full(counts.num_units, np.nan)), float)
    if known.shape != (counts.num_units,) or np.any(known < 0) or np.any(np.isinf(known)):
        raise ValueError(
            "unit_properties['refractory_period_ms'] must hold one number of ms for each unit, at least 0 or NaN; "
            f"got shape {known.shape} with a smallest value of {np.nanmin(known, initial=np.inf):g}."
        )
    return np.where(np.isnan(known), DEFAULT_REFRACTORY_PERIOD_MS, known)


def _interval_weights(counts: SpikeCounts, refractory: np.ndarray, sampling_frequency: float) -> np.ndarray | None:
    """Weight of an interval of each length in frames, 1 beyond the histogram, shape (units, lags)."""
    histogram = counts.unit_properties.get("short_interval_counts")
    if histogram is None:
        return None
    histogram = np.nan_to_num(np.asarray(histogram, dtype=np.float64))
    num_bins = len(SHORT_INTERVAL_EDGES_MS) - 1
    if histogram.shape != (counts.num_units, num_bins) or np.any(histogram < 0):
        raise ValueError(
            f"unit_properties['short_interval_counts'] must have shape ({counts.num_units}, {num_bins}), the intervals "
            f"of each unit in bins of 0.5 ms from 0, and not be negative; got {histogram.shape}."
        )
    reach = int(np.ceil(SHORT_INTERVAL_EDGES_MS[-1] * sampling_frequency / 1000.0))
    lag_ms = (np.arange(reach + 1)) * 1000.0 / sampling_frequency
    bins = np.minimum(np.searchsorted(SHORT_INTERVAL_EDGES_MS, lag_ms, side="right") - 1, num_bins - 1)
    # A bin that the refractory period cuts into holds its intervals in what remains of it.
    allowed = np.arange(reach + 1) >= refractory[:, None]
    kept = np.stack([np.bincount(bins[:-1], weights=row[:-1], minlength=num_bins) for row in allowed])
    share = kept / np.bincount(bins[:-1], minlength=num_bins)
    density = histogram / np.maximum(share, 0.2) + _PRIOR_INTERVALS
    weights = (density / density[:, _REFERENCE_BINS].mean(axis=1, keepdims=True))[:, bins]
    # Intervals that the counts force below the refractory period are as good as the shortest allowed.
    shortest = weights[np.arange(counts.num_units), np.minimum(refractory, reach)]
    weights = np.where(allowed, weights, shortest[:, None])
    weights[histogram.sum(axis=1) == 0] = 1.0
    weights[:, -1] = 1.0
    return weights


def _check_room(
    counts: SpikeCounts, spikes: np.ndarray, occupied: tuple, edges: np.ndarray, sampling_frequency: float
) -> None:
    frames = np.diff(edges)[occupied[2]]
    if np.any(spikes > frames):
        worst = int(np.argmax(spikes - frames))
        trial, unit, k = (int(axis[worst]) for axis in occupied)
        raise ValueError(
            f"counts[{trial}, {k}, {unit}] has {spikes[worst]} spikes in a bin of {frames[worst]} frames; at most one "
            f"spike of a unit fits in a frame. Use a sampling_frequency above {sampling_frequency:g} Hz."
        )


def _trialwise(seed: int, stage: str, trial: np.ndarray, columns: int = 1) -> np.ndarray:
    """Uniform numbers for spikes that are sorted by trial: shape (spikes,), or (spikes, columns)."""
    sizes = np.bincount(trial) if len(trial) else np.zeros(0, np.int64)
    parts = [uniforms(seed, stage, int(t), (int(sizes[t]), columns)) for t in np.flatnonzero(sizes)]
    drawn = np.concatenate(parts) if parts else np.zeros((0, columns))
    return drawn[:, 0] if columns == 1 else drawn


def _sweeps(seed: int, stage: str) -> Callable[[int, np.ndarray], np.ndarray]:
    """Uniform numbers of one Metropolis sweep, for spikes that are sorted by trial."""
    return lambda sweep, trial: _trialwise(seed, f"spike times, {stage} {sweep}", trial, columns=2)


def _across_seams(
    chains: Chains,
    frame: np.ndarray,
    weights: np.ndarray | None,
    seed: int,
    starts: np.ndarray,
) -> np.ndarray:
    """Settle anew the trials whose first spike comes too soon after the last one of the trial before.

    A trial depends on those before it, never on those after it: seams are done in rounds until nothing
    changes, always from the same draws, so that the result is that of going through the trials in order.
    """
    if not len(chains):
        return frame
    begin = np.flatnonzero(chains.first)
    stop = np.append(begin[1:], len(chains))
    order = np.lexsort((chains.trial[begin], chains.unit[begin]))
    begin, stop = begin[order], stop[order]
    trial, unit = chains.trial[begin], chains.unit[begin]
    follows = np.append(False, unit[1:] == unit[:-1])
    spacing = chains.spacing[begin]
    original, frame = frame, frame.copy()
    used = np.full(len(begin), -1, dtype=np.int64)
    while True:
        ends = starts[trial] + frame[stop - 1]
        bound = np.where(follows, np.append(0, ends[:-1]) + spacing - starts[trial], -1)
        bound = np.where(original[begin] < bound, bound, -1)
        changed = np.flatnonzero(bound != used)
        if not len(changed):
            return frame
        used[changed] = bound[changed]
        # In the order of the flat arrays, which is that of the trials.
        changed = changed[np.argsort(begin[changed])]
        size = stop[changed] - begin[changed]
        first = np.zeros(int(size.sum()), dtype=bool)
        first[np.cumsum(size) - size] = True
        spikes = np.arange(len(first)) + np.repeat(begin[changed] - (np.cumsum(size) - size), size)
        frame[spikes] = original[spikes]
        late = np.repeat(bound[changed] >= 0, size)
        spikes, first = spikes[late], first[late]
        if not len(spikes):
            continue
        part = chains.take(spikes, first)
        part.low = part.low.copy()
        heads = np.flatnonzero(first)
        part.low[heads] = np.maximum(part.low[heads], bound[changed][bound[changed] >= 0])
        offset = spikes - np.searchsorted(chains.trial, chains.trial[spikes])
        frame[spikes] = resettle(part, frame[spikes], weights, _picked_sweeps(seed, offset), _SWEEPS)


def _picked_sweeps(seed: int, offset: np.ndarray) -> Callable[[int, np.ndarray], np.ndarray]:
    """As :func:`_sweeps`, for some spikes of a trial: each has its numbers whichever others are asked for."""

    def numbers(sweep: int, trial: np.ndarray) -> np.ndarray:
        drawn = np.empty((len(trial), 2))
        borders = np.flatnonzero(np.append(True, trial[1:] != trial[:-1]))
        for begin, end in zip(borders, np.append(borders[1:], len(trial)), strict=True):
            k = offset[begin:end]
            stage = f"spike times, seam {sweep}"
            drawn[begin:end] = uniforms(seed, stage, int(trial[begin]), (int(k.max()) + 1, 2))[k]
        return drawn

    return numbers


def _violations(chains: Chains, frame: np.ndarray, refractory: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Which spikes follow the previous one of their unit, in the session, too closely; shape (spikes,)."""
    order = np.argsort(chains.unit, kind="stable")
    unit = chains.unit[order]
    session = (starts[chains.trial] + frame)[order]
    too_close = np.zeros(len(frame), dtype=bool)
    too_close[order[1:]] = (unit[1:] == unit[:-1]) & (np.diff(session) < refractory[unit[1:]])
    return too_close
