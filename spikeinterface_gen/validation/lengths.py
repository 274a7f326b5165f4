"""Trials of all sides of a comparison, of one longest length."""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["same_longest"]


def same_longest(
    real: SpikeCounts, synthetic: SpikeCounts, train: SpikeCounts | None
) -> tuple[SpikeCounts, SpikeCounts, SpikeCounts | None, list[str]]:
    """Cut all to the shortest of the longest trials: longer ones would hold longer intervals."""
    given = [counts for counts in (real, synthetic, train) if counts is not None]
    longest = min(counts.max_bins for counts in given)
    notes = []
    if any(counts.max_bins > longest for counts in given):
        notes.append(f"Trials were cut to their first {longest} bins, the longest trial that all sides have.")
    cut = [_first_bins(counts, longest) for counts in given]
    return cut[0], cut[1], cut[2] if train is not None else None, notes


def _first_bins(counts: SpikeCounts, num_bins: int) -> SpikeCounts:
    if counts.max_bins <= num_bins:
        return counts
    return SpikeCounts(
        counts.counts[:, :num_bins],
        counts.bin_size_ms,
        unit_ids=counts.unit_ids,
        num_bins=np.minimum(counts.num_bins, num_bins),
        covariates={name: v[:, :num_bins] if v.ndim == 3 else v for name, v in counts.covariates.items()},
        unit_properties=counts.unit_properties,
        t_starts_s=counts.t_starts_s,
        trial_locked=counts.trial_locked,
        annotations=counts.annotations,
    )
