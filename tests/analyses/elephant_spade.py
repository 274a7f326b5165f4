"""Spatio-temporal patterns by a small SPADE."""

import numpy as np
import quantities as pq
from elephant.spade import spade
from viziphant.patterns import plot_patterns


def analyse(trains):
    """What a tutorial on SPADE computes, with few surrogates."""
    result = spade(
        trains, bin_size=10 * pq.ms, winlen=2, min_spikes=2, max_spikes=2, min_occ=5, n_surr=2, dither=20 * pq.ms,
        alpha=0.5, psr_param=None,
    )  # fmt: skip
    found = spade(trains, bin_size=10 * pq.ms, winlen=1, min_spikes=2, min_occ=3, n_surr=0)["patterns"]
    axes = plot_patterns(trains, found[:2], colors=np.eye(3)[:2])
    return {
        "tests": sorted(result),
        "found_some": [len(found) > 0],
        "occurrences_are_within": [all(np.all(pattern["times"] < trains[0].t_stop.rescale("ms")) for pattern in found)],
        "drawn": [axes.has_data()],
    }
