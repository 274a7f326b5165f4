"""Correlations of the spike trains of one long recording."""

import numpy as np
import quantities as pq
from elephant.conversion import BinnedSpikeTrain
from elephant.spike_train_correlation import (
    correlation_coefficient,
    cross_correlation_histogram,
    spike_time_tiling_coefficient,
)


def analyse(trains):
    """What a tutorial on cross-correlation computes."""
    binned = BinnedSpikeTrain(trains, bin_size=5 * pq.ms)
    pair = [BinnedSpikeTrain([train], bin_size=5 * pq.ms) for train in trains[:2]]
    histogram, lags = cross_correlation_histogram(
        *pair, window=[-20, 20], border_correction=True, cross_correlation_coefficient=True
    )
    return {
        "duration_s": np.array(float(binned.t_stop.rescale("s") - binned.t_start.rescale("s"))),
        "matrix": correlation_coefficient(binned),
        "histogram": histogram.magnitude,
        "lags": lags,
        "tiling": np.array(spike_time_tiling_coefficient(trains[0], trains[1], dt=5 * pq.ms)),
        "names": [train.name for train in trains],
    }
