"""Sets of trials that the parts of a fit look at."""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.randomness import uniforms

__all__ = ["hold_out", "joined", "some_trials"]


def hold_out(counts: SpikeCounts, seed: int) -> tuple[SpikeCounts, SpikeCounts]:
    """Split off the trials that early stopping looks at: 15 %, between 8 and 400."""
    if counts.num_trials < 4:
        raise ValueError(
            f"counts has {counts.num_trials} trials; fit needs at least 4 to hold some out. Long recordings can be "
            "cut into windows: SpikeCounts.from_sorting(…, window_s=…)."
        )
    wanted = min(max(round(0.15 * counts.num_trials), 8), 400, counts.num_trials // 2)
    share = wanted / counts.num_trials
    train, held_out = counts.split((1 - share, share), seed=seed)
    return train, held_out


def some_trials(counts: SpikeCounts, num_entries: float, seed: int) -> SpikeCounts:
    """Trials at random of so many entries (trial, bin, unit) in all, 8 at least."""
    affordable = max(8, num_entries // counts.counts[0].size)
    if counts.num_trials <= affordable:
        return counts
    order = np.argsort(uniforms(seed, "observation trials", 0, (counts.num_trials,)))
    return counts[np.sort(order[: int(affordable)])]


def joined(first: SpikeCounts, second: SpikeCounts) -> SpikeCounts:
    """Trials of both, of the same units; without their labels."""
    bare = (
        SpikeCounts(part.counts, first.bin_size_ms, first.unit_ids, part.num_bins, trial_locked=first.trial_locked)
        for part in (first, second)
    )
    return SpikeCounts.concatenate(list(bare))
