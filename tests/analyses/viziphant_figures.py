"""Rasters, rates, intervals and correlations as viziphant draws them."""

import numpy as np
import quantities as pq
from elephant.conversion import BinnedSpikeTrain
from elephant.kernels import GaussianKernel
from elephant.spike_train_correlation import correlation_coefficient, cross_correlation_histogram
from elephant.statistics import instantaneous_rate, time_histogram
from viziphant import rasterplot
from viziphant.spike_train_correlation import plot_corrcoef, plot_cross_correlation_histogram
from viziphant.statistics import (
    plot_instantaneous_rates_colormesh,
    plot_isi_histogram,
    plot_time_histogram,
)


def analyse(block):
    """What the gallery of viziphant shows of spike trains."""
    trains = list(block.segments[0].spiketrains)
    everything = [train for segment in block.segments for train in segment.spiketrains]
    raster = rasterplot.rasterplot(trains)
    dots = sum(len(drawn.get_offsets()) for drawn in raster.collections)
    grouped, _, _ = rasterplot.rasterplot_rates(everything, key_list=["area"], groupingdepth=1)
    histogram = plot_time_histogram(time_histogram(everything, 50 * pq.ms))
    rates = instantaneous_rate(trains, sampling_period=10 * pq.ms, kernel=GaussianKernel(40 * pq.ms))
    pair = [BinnedSpikeTrain([train], bin_size=10 * pq.ms) for train in trains[:2]]
    return {
        "every_spike_is_drawn": [dots == sum(map(len, trains))],
        "limits": np.array(raster.get_xlim()).round(1),
        "grouped": [grouped.has_data()],
        "bars": [len(histogram.patches)],
        "rates": np.asarray(plot_instantaneous_rates_colormesh(rates).collections[0].get_array()),
        "intervals": [plot_isi_histogram(everything, bin_size=5 * pq.ms, cutoff=0.25 * pq.s).has_data()],
        "matrix": plot_corrcoef(
            correlation_coefficient(BinnedSpikeTrain(trains, bin_size=10 * pq.ms))
        ).images[0].get_array(),
        "lags": [
            plot_cross_correlation_histogram(cross_correlation_histogram(*pair, window=[-10, 10])[0]).get_xlabel()
        ],
    }  # fmt: skip
