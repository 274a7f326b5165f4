"""Ordered spikes with a minimum spacing, each inside its own bin: the arithmetic behind ``place_spikes``.

Spikes come as flat arrays in which *chains* (the spikes of one unit in one trial) follow one another. The
constraints are ``low_i ≤ p_i ≤ high_i`` and ``p_i − p_{i−1} ≥ spacing_i``. The earliest valid positions
follow ``e_i = max(low_i, e_{i−1} + spacing_i)``; with ``S_i`` the running sum of the spacings this is a
running maximum, ``e_i − S_i = max_{j ≤ i}(low_j − S_j)``, so that all chains are treated at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["Chains", "make_room_at_seams", "resettle", "settle", "spaced_draws"]


@dataclass
class Chains:
    """Spikes chain after chain, in time order within a chain; all arrays have shape (spikes,).

    Attributes
    ----------
    low, high : array of int64
        First and last frame of the bin of each spike, counted from the start of its trial.
    rank : array of int64
        Position of the spike among those of its bin, from 0.
    first : array of bool
        Whether the spike begins a chain.
    spacing : array of int64
        Least number of frames since the previous spike of the unit, at least 1.
    trial, unit : array of int64
        Positions of the trial and of the unit.
    """

    low: np.ndarray
    high: np.ndarray
    rank: np.ndarray
    first: np.ndarray
    spacing: np.ndarray
    trial: np.ndarray
    unit: np.ndarray

    def __len__(self) -> int:
        return len(self.low)

    def take(self, index: np.ndarray, first: np.ndarray) -> Chains:
        """Return the spikes at ``index``, chained anew by ``first``."""
        return Chains(
            self.low[index],
            self.high[index],
            self.rank[index],
            first,
            self.spacing[index],
            self.trial[index],
            self.unit[index],
        )


def pushed_later(positions: np.ndarray, spacing: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the smallest positions that are no less than these and keep the spacing."""
    if not len(positions):
        return positions
    gaps = np.cumsum(np.where(first, 0, spacing))
    chain = np.cumsum(first) - 1
    gaps -= gaps[np.flatnonzero(first)][chain]
    # Far enough apart that the running maximum of one chain never reaches into the next.
    stride = chain * (int(positions.max()) - min(int(positions.min()), 0) + int(gaps.max()) + 1)
    return np.maximum.accumulate(positions - gaps + stride) + gaps - stride


def pushed_earlier(positions: np.ndarray, spacing: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the largest positions that are no more than these and keep the spacing."""
    if not len(positions):
        return positions
    top = int(positions.max())
    last = np.append(first[1:], True)
    following = np.append(spacing[1:], 1)
    return top - pushed_later(top - positions[::-1], following[::-1], last[::-1])[::-1]


def _shrink_to_fit(chains: Chains) -> None:
    """Reduce ``chains.spacing`` in place at the fewest intervals with which every spike finds room in its bin.

    Going through a chain with each spike as early as it may be, an interval is given up only where its spike would
    come too late. Giving up an earlier one in its place gains no frame at that spike, so that no other choice gives
    up fewer. Half of the room that remains goes to the least length of the intervals given up, lest two spikes
    coincide.
    """
    alone = chains.first.copy()
    alone[1:] |= chains.low[1:] - chains.high[:-1] >= chains.spacing[1:]
    late = pushed_later(chains.low, chains.spacing, alone) > chains.high
    if not late.any():
        return
    cluster = np.cumsum(alone) - 1
    crowded = np.isin(cluster, cluster[late])
    index, first = np.flatnonzero(crowded), alone[crowded]
    part = chains.take(index, first)
    # The last place of each spike that leaves those after it at least a frame each.
    latest = pushed_earlier(part.high, np.ones_like(part.spacing), first)
    given_up = np.zeros(len(part), dtype=bool)
    earliest = part.low.copy()
    following = _following(first)
    for follows in following:
        place = np.maximum(part.low[follows], earliest[follows - 1] + part.spacing[follows])
        given_up[follows] = place > latest[follows]
        squeezed = np.maximum(part.low[follows], earliest[follows - 1] + 1)
        earliest[follows] = np.where(given_up[follows], squeezed, place)

    spacing = np.where(given_up, 1, part.spacing)
    latest = pushed_earlier(part.high, spacing, first)
    for follows in following:
        room = (latest[follows] - earliest[follows - 1]) // 2
        widened = np.clip(room, 1, part.spacing[follows])
        spacing[follows] = np.where(given_up[follows], widened, spacing[follows])
        earliest[follows] = np.maximum(part.low[follows], earliest[follows - 1] + spacing[follows])
    chains.spacing = chains.spacing.copy()
    chains.spacing[index] = spacing


def make_room_at_seams(chains: Chains, starts: np.ndarray) -> None:
    """Shrink in place the spacings and last bins of trials with which each trial leaves room to the next one.

    The chains of a unit, trial after trial, make one chain of the session, shrunk by ``_shrink_to_fit``. The last
    bin of a trial then ends, for the spikes of a unit, at the latest place from which the next trial can go on.

    Parameters
    ----------
    chains : Chains
        Sorted by trial and unit, with the refractory periods as spacings.
    starts : array of int64, shape (trials,)
        Frame of the session at which each trial starts.
    """
    if not len(chains):
        return
    order = np.argsort(chains.unit, kind="stable")
    unit = chains.unit[order]
    session = chains.take(order, np.append(True, unit[1:] != unit[:-1]))
    start = starts[session.trial]
    session.low, session.high = session.low + start, session.high + start
    _shrink_to_fit(session)
    chains.spacing = np.empty_like(session.spacing)
    chains.spacing[order] = session.spacing

    latest = np.empty_like(start)
    latest[order] = pushed_earlier(session.high, session.spacing, session.first) - start
    # All spikes of a bin share its end, which only the bins before a seam give away.
    last_in_trial = np.append(chains.first[1:], True)
    run = np.cumsum(chains.rank == 0) - 1
    end = chains.high[np.append(np.diff(run) > 0, True)]
    end[run[last_in_trial]] = latest[last_in_trial]
    chains.high = end[run]


def _following(first: np.ndarray) -> list[np.ndarray]:
    """The second spikes of all chains, then their third ones, and so on."""
    position = np.arange(len(first)) - np.flatnonzero(first)[np.cumsum(first) - 1]
    order = np.argsort(position, kind="stable")
    return np.split(order, np.cumsum(np.bincount(position))[:-1])[1:]


def spaced_draws(chains: Chains, uniform: np.ndarray) -> np.ndarray:
    """Draw positions that are uniform within each bin given the spacing in it; borders are ignored.

    ``uniform`` has shape (spikes,); sorted on the interval that the spacings leave over, then spread out.
    """
    if not len(chains):
        return np.zeros(0, dtype=np.int64)
    begins = chains.rank == 0
    run = np.cumsum(begins) - 1
    offset = np.cumsum(np.where(begins, 0, chains.spacing))
    offset -= offset[begins][run]
    span = offset[np.append(begins[1:], True)]
    several = np.bincount(run)[run] > 1
    if several.any():
        # Whole number and fraction: one sort orders the numbers within each bin.
        uniform = uniform.copy()
        uniform[several] = np.sort(run[several] + uniform[several]) - run[several]
    room = chains.high - chains.low + 1 - span[run]
    free = np.minimum((uniform * room).astype(np.int64), room - 1)
    return chains.low + free + offset


def settle(
    chains: Chains,
    frame: np.ndarray,
    weights: np.ndarray | None,
    uniforms_of: Callable[[int, np.ndarray], np.ndarray],
    sweeps: int,
) -> np.ndarray:
    """Settle the runs of bins whose spikes depend on one another; the others are left as they are.

    Parameters
    ----------
    chains : Chains
        Constraints, which must be satisfiable.
    frame : array of int64, shape (spikes,)
        From :func:`spaced_draws`.
    weights : array of float, shape (units, lags), or None
        Weight of an interval by its length in frames, the last one for all longer ones. A unit whose
        weights are all 1 has no preference.
    uniforms_of : callable
        ``(sweep, trial of each spike) → uniforms (spikes, 2)``.
    sweeps : int
        Metropolis sweeps.
    """
    if not len(chains):
        return frame
    reach = chains.spacing
    picky = np.zeros(len(chains), dtype=bool)
    if weights is not None:
        picky = np.any(weights != 1.0, axis=1)[chains.unit]
        reach = np.where(picky, np.maximum(reach, weights.shape[1] - 1), reach)
    starts = chains.first.copy()
    starts[1:] |= chains.low[1:] - chains.high[:-1] >= reach[1:]
    cluster = np.cumsum(starts) - 1
    too_close = np.zeros(len(chains), dtype=bool)
    too_close[1:] = ~starts[1:] & (frame[1:] - frame[:-1] < chains.spacing[1:])
    unsettled = np.bincount(cluster, weights=too_close) > 0
    unsettled |= (np.bincount(cluster) > 1) & picky[starts]
    active = np.flatnonzero(unsettled[cluster])
    if len(active):
        frame = frame.copy()
        frame[active] = resettle(chains.take(active, starts[active]), frame[active], weights, uniforms_of, sweeps)
    return frame


def resettle(
    chains: Chains,
    frame: np.ndarray,
    weights: np.ndarray | None,
    uniforms_of: Callable[[int, np.ndarray], np.ndarray],
    sweeps: int,
) -> np.ndarray:
    """Make positions valid, then move each spike between its neighbours until chance has taken over.

    Every second spike moves at a time, given the others: uniformly over the frames that its bin and its
    neighbours leave, accepted by the ratio of the weights of its two intervals. Arguments as in
    :func:`settle`.
    """
    low, high, spacing = chains.low, chains.high, chains.spacing
    x = pushed_later(np.maximum(frame, low), spacing, chains.first)
    x = np.minimum(x, pushed_earlier(high, spacing, chains.first))

    start = np.flatnonzero(chains.first)
    parity = (np.arange(len(x)) - start[np.cumsum(chains.first) - 1]) % 2
    last = np.append(chains.first[1:], True)
    halves = [np.flatnonzero(parity == k) for k in (0, 1)]
    for sweep in range(sweeps):
        u = uniforms_of(sweep, chains.trial)
        for moving in halves:
            before = np.where(chains.first[moving], low[moving] - spacing[moving], x[moving - 1])
            after_index = np.minimum(moving + 1, len(x) - 1)
            after = np.where(last[moving], high[moving] + spacing[after_index], x[after_index])
            a = np.maximum(low[moving], before + spacing[moving])
            b = np.minimum(high[moving], after - spacing[after_index])
            proposed = a + np.minimum((u[moving, 0] * (b - a + 1)).astype(np.int64), b - a)
            if weights is None:
                x[moving] = proposed
                continue
            # At either end of a cluster there is no interval to judge: a long one has the weight 1.
            longest = weights.shape[1] - 1
            before = np.where(chains.first[moving], low[moving] - 2 * longest, before)
            after = np.where(last[moving], high[moving] + 2 * longest, after)
            unit = chains.unit[moving]
            present = _weight(weights, unit, before, x[moving], after)
            accepted = u[moving, 1] * present < _weight(weights, unit, before, proposed, after)
            x[moving[accepted]] = proposed[accepted]
    return x


def _weight(weights: np.ndarray, unit: np.ndarray, before: np.ndarray, p: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Weight of positions ``p`` between the spikes before and after: that of the two intervals."""
    longest = weights.shape[1] - 1
    return weights[unit, np.minimum(p - before, longest)] * weights[unit, np.minimum(after - p, longest)]
