"""Unitary events of a pair of units over trials, drawn by viziphant."""

import numpy as np
import quantities as pq
from elephant.unitary_event_analysis import jointJ_window_analysis
from viziphant.unitary_event_analysis import plot_ue


def analyse(block):
    """What a tutorial on unitary events computes."""
    trials = [[segment.spiketrains[0], segment.spiketrains[1]] for segment in block.segments]
    events = jointJ_window_analysis(
        trials, bin_size=10 * pq.ms, win_size=200 * pq.ms, win_step=200 * pq.ms, pattern_hash=[3]
    )
    axes = plot_ue(trials, events, significance_level=0.05, unit_real_ids=["u0", "u1"])
    dots = [line for line in axes[0].get_lines() if line.get_marker() == "."]
    return {
        "surprise": np.asarray(events["Js"]),
        "expected": np.asarray(events["n_exp"]),
        "empirical": np.asarray(events["n_emp"]),
        "rates": events["rate_avg"].magnitude,
        "panels": [axis.get_xlabel() for axis in axes],
        "has_all_spikes": [
            sum(len(line.get_xdata()) for line in dots) == sum(len(t) for trial in trials for t in trial)
        ],
    }
