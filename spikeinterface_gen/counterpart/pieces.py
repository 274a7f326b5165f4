"""Recorded segments as pieces of a length that a model knows, and drawn pieces put together again.

A segment is cut on one grid of bins: into the trials or windows that a model learns from, and into what lies between
them. The same pieces are drawn from the model and laid where they were cut, so that the synthetic segment has
the length of the recorded one and its trials at the same places, to the nearest bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeinterface_gen.convert.from_sorting import TrialWindows
from spikeinterface_gen.convert.metadata import plain_entries
from spikeinterface_gen.counts import SESSION_TIME, SpikeCounts
from spikeinterface_gen.frames import bin_edge_frames
from spikeinterface_gen.observation.spike_times import PlacedSpikes, place_spikes

__all__ = ["Pieces", "Recorded", "placement_annotations", "segments_as_trials", "trials_and_gaps", "windows"]


@dataclass(frozen=True, eq=False)
class Recorded:
    """The spikes of recorded segments.

    Attributes
    ----------
    counts : SpikeCounts
        One trial a segment: its whole bins.
    num_frames : array of int, shape (segments,)
        Length of the segments; a last bin may not be full.
    starts_s : array of float, shape (segments,)
        What their clocks show at the start.
    sampling_frequency : float
        Frames per second, in Hz.
    """

    counts: SpikeCounts
    num_frames: np.ndarray
    starts_s: np.ndarray
    sampling_frequency: float

    @property
    def begun_bins(self) -> np.ndarray:
        """Bins of each segment, the last one counted also where it is not full, int64, shape (segments,)."""
        edges = bin_edge_frames(self.counts.max_bins + 1, self.counts.bin_size_ms, self.sampling_frequency)
        return np.searchsorted(edges, self.num_frames)

    def placed(self, counts: SpikeCounts, seed: int, watermark_key: str | bytes | None) -> PlacedSpikes:
        """Place the spikes of counts with a trial a segment; those after the end of a segment are left out."""
        placed = place_spikes(
            counts, sampling_frequency=self.sampling_frequency, seed=seed, watermark_key=watermark_key
        )
        inside = placed.frame < self.num_frames[placed.trial]
        return replace(
            placed,
            trial=placed.trial[inside],
            unit=placed.unit[inside],
            frame=placed.frame[inside],
            trial_frames=self.num_frames,
        )


@dataclass(frozen=True, eq=False)
class Pieces:
    """Where segments are cut; the pieces that a model learns from come first.

    Attributes
    ----------
    segment, first_bin, num_bins : array of int, shape (pieces,)
        Segment of each piece, where in it the piece begins, and its length.
    num_learned : int
        So many pieces are trials or windows; the others fill what lies between them.
    covariates : dict of str to array
        Known about the former.
    trial_locked : bool
        Whether they have a common time origin.
    """

    segment: np.ndarray
    first_bin: np.ndarray
    num_bins: np.ndarray
    num_learned: int
    covariates: dict[str, np.ndarray]
    trial_locked: bool

    def cut(self, recorded: Recorded) -> SpikeCounts:
        """The recorded pieces that a model learns from, a trial each."""
        whole = recorded.counts
        learned = slice(0, self.num_learned)
        where = list(zip(self.segment[learned], self.first_bin[learned], self.num_bins[learned], strict=True))
        return SpikeCounts(
            [whole.counts[segment, first : first + length] for segment, first, length in where],
            whole.bin_size_ms,
            unit_ids=whole.unit_ids,
            covariates=self.covariates,
            unit_properties=whole.unit_properties,
            t_starts_s=recorded.starts_s[self.segment[learned]]
            + self.first_bin[learned] * (whole.bin_size_ms / 1000.0),
            trial_locked=self.trial_locked,
            annotations=whole.annotations,
        )

    def known(self, recorded: Recorded) -> dict[str, np.ndarray]:
        """Covariates of all pieces; what lies between trials has those of one of these, and its own time."""
        like = np.arange(len(self.segment)) % self.num_learned
        known = {name: values[like] for name, values in self.covariates.items()}
        if recorded.counts.t_starts_s is not None:
            bin_s = recorded.counts.bin_size_ms / 1000.0
            known[SESSION_TIME] = recorded.counts.t_starts_s[self.segment] + self.first_bin * bin_s
        return known

    def joined(self, drawn: SpikeCounts, recorded: Recorded) -> SpikeCounts:
        """Lay drawn pieces where the recorded ones were cut: one trial a segment, with all bins that it begins.

        Parameters
        ----------
        drawn : SpikeCounts
            A trial for each piece, of its length, with the recorded units.
        recorded : Recorded
            What was cut.
        """
        whole = recorded.counts
        num_bins = recorded.begun_bins
        segments = [np.zeros((length, whole.num_units), dtype=drawn.counts.dtype) for length in num_bins]
        for k, (segment, first, length) in enumerate(zip(self.segment, self.first_bin, self.num_bins, strict=True)):
            segments[segment][first : first + length] = drawn.counts[k, :length]
        return SpikeCounts(
            segments,
            whole.bin_size_ms,
            unit_ids=whole.unit_ids,
            unit_properties=whole.unit_properties,
            annotations=drawn.annotations,
        )


def placement_annotations(counts: SpikeCounts, seed: int, watermark_key: str | bytes | None) -> dict[str, Any]:
    """What an object says of spikes that were placed by these counts."""
    return {
        **plain_entries(counts.annotations),
        "bin_size_ms": counts.bin_size_ms,
        "spike_times_placed": True,
        "placement_seed": seed,
        "watermarked": watermark_key is not None,
    }


def segments_as_trials(recorded: Recorded) -> Pieces:
    """Each segment is a trial; a bin at its end that is not full stays without spikes."""
    counts = recorded.counts
    first = np.zeros(counts.num_trials, dtype=np.int64)
    return Pieces(np.arange(counts.num_trials), first, counts.num_bins, counts.num_trials, counts.covariates, True)


def windows(recorded: Recorded, window_bins: int) -> Pieces:
    """Windows of one length, without a common time origin; what remains at the end of a segment is a shorter one."""
    learned, rest = [], []
    for segment, (whole, begun) in enumerate(zip(recorded.counts.num_bins, recorded.begun_bins, strict=True)):
        end = int(whole) // window_bins * window_bins
        learned += [(segment, first, window_bins) for first in range(0, end, window_bins)]
        rest += _filled(segment, end, int(begun), window_bins)
    if not learned:
        longest_s = recorded.counts.durations_s.max()
        raise ValueError(
            f"window_s={window_bins * recorded.counts.bin_size_ms / 1000:g} s is longer than the recording, whose "
            f"longest segment lasts {longest_s:g} s. Choose shorter windows."
        )
    return _pieces(learned, rest, {}, trial_locked=False)


def trials_and_gaps(recorded: Recorded, table: TrialWindows) -> Pieces:
    """Trials at given times, and pieces no longer than the longest of them between.

    Raises
    ------
    ValueError
        If trials overlap, are shorter than a bin, or lie outside their segment.
    """
    bin_s = recorded.counts.bin_size_ms / 1000.0
    offset_s = table.start_s - recorded.starts_s[table.segment]
    first = np.rint(offset_s / bin_s).astype(np.int64)
    # Trials of one length keep one length, whatever the phase of the grid.
    length = np.floor((table.stop_s - table.start_s) / bin_s + 1e-6).astype(np.int64)
    whole = recorded.counts.num_bins[table.segment]
    first -= first + length == whole + 1  # the last one ends with its segment, and was rounded past it
    wrong = np.flatnonzero((length < 1) | (offset_s < -bin_s / 2) | (first + length > whole))
    if wrong.size:
        k = int(wrong[0])
        raise ValueError(
            f"trial {k} ({table.start_s[k]:g} to {table.stop_s[k]:g} s) is shorter than a bin, or does not lie within "
            f"segment {table.segment[k]} (from {recorded.starts_s[table.segment[k]]:g} s, "
            f"{recorded.counts.durations_s[table.segment[k]]:g} s long); leave it out, or give times on the clock of "
            f"the data ({wrong.size} such trials)."
        )
    order = np.lexsort((first, table.segment))
    follows = table.segment[order][1:] == table.segment[order][:-1]
    overlap = np.flatnonzero(follows & (first[order][1:] < (first + length)[order][:-1]))
    if overlap.size:
        a, b = order[overlap[0]], order[overlap[0] + 1]
        raise ValueError(
            f"trials {a} and {b} overlap ({table.start_s[a]:g} to {table.stop_s[a]:g} s and {table.start_s[b]:g} to "
            f"{table.stop_s[b]:g} s), so that both cannot be drawn; give trials that follow each other."
        )
    learned = list(zip(table.segment.tolist(), first.tolist(), length.tolist(), strict=True))
    gaps = []
    for segment, begun in enumerate(recorded.begun_bins):
        here = [learned[k] for k in order if learned[k][0] == segment]
        begins = [0, *(first + length for _, first, length in here)]
        ends = [*(first for _, first, _ in here), int(begun)]
        for begin, end in zip(begins, ends, strict=True):
            gaps += _filled(segment, begin, end, int(length.max()))
    return _pieces(learned, gaps, table.covariates, trial_locked=True)


def _filled(segment: int, begin: int, end: int, longest: int) -> list[tuple[int, int, int]]:
    """Pieces of at most ``longest`` bins from ``begin`` to ``end``."""
    return [(segment, first, min(longest, end - first)) for first in range(begin, end, longest)]


def _pieces(
    learned: Sequence[tuple[int, int, int]],
    rest: Sequence[tuple[int, int, int]],
    covariates: dict[str, np.ndarray],
    *,
    trial_locked: bool,
) -> Pieces:
    segment, first, length = np.array([*learned, *rest], dtype=np.int64).T
    return Pieces(segment, first, length, len(learned), covariates, trial_locked)
