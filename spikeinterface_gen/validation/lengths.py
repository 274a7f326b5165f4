"""Trials of all sides of a comparison, alike in length.

Late bins of a PSTH are of long trials alone, and long trials hold longer intervals: sides that differ in the lengths of
their trials differ in statistics, whatever the spikes. Where lengths differ by more than chance, each trial is cut to
what all sides have at its rank: with Q_s(q) the q-quantile of the lengths of side s, a trial of rank q is cut to
min_s Q_s(q), which is never more than its own length. All sides then have the same distribution of lengths.
"""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["alike_in_length"]

_LEVEL = 0.01


def alike_in_length(
    real: SpikeCounts, synthetic: SpikeCounts, train: SpikeCounts | None
) -> tuple[SpikeCounts, SpikeCounts, SpikeCounts | None, list[str]]:
    """Cut all to the shortest of the longest trials, and to one distribution of lengths where they differ in it.

    Returns
    -------
    real, synthetic, train : SpikeCounts
    notes : list of str
        What was cut.
    """
    given = [counts for counts in (real, synthetic, train) if counts is not None]
    lengths = [counts.num_bins for counts in given]
    notes = []
    longest = min(int(of_side.max()) for of_side in lengths)
    if any(of_side.max() > longest for of_side in lengths):
        notes.append(f"Trials were cut to their first {longest} bins, the longest trial that all sides have.")
        lengths = [np.minimum(of_side, longest) for of_side in lengths]
    if any(_differ(lengths[0], other) for other in lengths[1:]):
        before = sum(int(of_side.sum()) for of_side in lengths)
        lengths = _matched(lengths)
        left_out = 1 - sum(int(of_side.sum()) for of_side in lengths) / before
        notes.append(
            "Trials of real and synthetic data differ in length by more than chance: each was cut to what all sides "
            f"have at its rank in length, which leaves out {100 * left_out:.0f} % of the bins."
        )
    cut = [_cut(counts, of_side) for counts, of_side in zip(given, lengths, strict=True)]
    return cut[0], cut[1], cut[2] if train is not None else None, notes


def _differ(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two sets of lengths are not of one distribution, by the test of Kolmogorov and Smirnov."""
    from scipy.stats import ks_2samp

    return bool(ks_2samp(first, second).pvalue < _LEVEL)


def _matched(lengths: list[np.ndarray]) -> list[np.ndarray]:
    """Lengths at each trial's rank, the least over the sides."""
    ordered = [np.sort(of_side) for of_side in lengths]
    matched = []
    for of_side in lengths:
        ranks = np.empty(len(of_side), np.int64)
        ranks[np.argsort(of_side, kind="stable")] = np.arange(len(of_side))
        # The longest of a rank's stretch of q, so that no side is cut below what the others have there.
        at_rank = [other[np.minimum((ranks * len(other)) // len(of_side), len(other) - 1)] for other in ordered]
        matched.append(np.minimum.reduce(at_rank))
    return matched


def _cut(counts: SpikeCounts, num_bins: np.ndarray) -> SpikeCounts:
    """The first bins of each trial."""
    if np.array_equal(counts.num_bins, num_bins):
        return counts
    longest = int(num_bins.max())
    inside = np.arange(longest) < num_bins[:, None]
    return SpikeCounts(
        np.where(inside[:, :, None], counts.counts[:, :longest], 0).astype(counts.counts.dtype, copy=False),
        counts.bin_size_ms,
        unit_ids=counts.unit_ids,
        num_bins=num_bins,
        covariates={name: v[:, :longest] if v.ndim == 3 else v for name, v in counts.covariates.items()},
        unit_properties=counts.unit_properties,
        t_starts_s=counts.t_starts_s,
        trial_locked=counts.trial_locked,
        annotations=counts.annotations,
    )
