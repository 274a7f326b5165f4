"""viziphant draws what we return, and shows the spikes that are in it."""

import matplotlib
import numpy as np
import pytest
import quantities as pq
from elephant.conversion import BinnedSpikeTrain
from elephant.gpfa import GPFA
from elephant.kernels import GaussianKernel
from elephant.spade import spade
from elephant.spike_train_correlation import correlation_coefficient, cross_correlation_histogram
from elephant.spike_train_synchrony import spike_contrast
from elephant.statistics import instantaneous_rate, time_histogram
from elephant.unitary_event_analysis import jointJ_window_analysis

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from viziphant import gpfa as vizi_gpfa
from viziphant import patterns as vizi_patterns
from viziphant import rasterplot as vizi_raster
from viziphant import spike_train_correlation as vizi_correlation
from viziphant import spike_train_synchrony as vizi_synchrony
from viziphant import statistics as vizi_statistics
from viziphant.unitary_event_analysis import plot_ue

from spikeinterface_gen import SpikeCounts, generate_from_counts
from spikeinterface_gen.models.psth import PSTHPoisson


@pytest.fixture(scope="module")
def synthetic() -> SpikeCounts:
    """Six trials of a second of eight units, drawn from a model of recorded ones."""
    rng = np.random.default_rng(0)
    course = 1 + 0.8 * np.sin(2 * np.pi * np.arange(100) / 100)[:, None]
    recorded = SpikeCounts(rng.poisson(course * rng.uniform(0.1, 0.4, 8), (12, 100, 8)), 10.0)
    return PSTHPoisson().fit(recorded).sample(6, seed=1)


@pytest.fixture(scope="module")
def block(synthetic):
    return synthetic.to_neo(time="trial")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def num_dots(axes):
    return sum(len(dots.get_offsets()) for dots in axes.collections)


def test_rasters_hold_every_spike(synthetic, block):
    # A list: viziphant's rasterplot takes no SpikeTrainList, of Neo's own blocks either.
    trial = list(block.segments[2].spiketrains)
    axes = vizi_raster.rasterplot(trial)
    assert num_dots(axes) == synthetic.counts[2].sum()
    axes = vizi_raster.eventplot(trial)
    assert sum(len(c.get_positions()) for c in axes.collections) == synthetic.counts[2].sum()


def test_rasters_with_rates_are_grouped_by_annotations(synthetic, block):
    trains = [train for segment in block.segments[:2] for train in segment.spiketrains]
    axes, _, _ = vizi_raster.rasterplot_rates(trains, key_list=["trial"], groupingdepth=1)
    drawn = sum(len(line.get_xdata()) for line in axes.get_lines() if line.get_marker() == ".")
    assert drawn == synthetic.counts[:2].sum()


def test_rasters_of_a_recording(synthetic, tmp_path):
    recording = generate_from_counts(synthetic, folder=tmp_path / "session", seed=0)
    axes = vizi_raster.rasterplot(list(recording.spiketrains[0]))
    assert num_dots(axes) == synthetic.counts.sum()


def test_histograms(synthetic, block):
    trains = [train for segment in block.segments for train in segment.spiketrains]
    axes = vizi_statistics.plot_isi_histogram(trains, bin_size=10 * pq.ms, cutoff=1 * pq.s)
    assert axes.has_data()
    histogram = time_histogram(trains, 10 * pq.ms)
    np.testing.assert_array_equal(histogram.magnitude[:, 0], synthetic.counts.sum(axis=(0, 2)))
    assert len(vizi_statistics.plot_time_histogram(histogram).patches) == 100


def test_rates(block):
    kernel = GaussianKernel(50 * pq.ms)
    rates = instantaneous_rate(list(block.segments[0].spiketrains), sampling_period=10 * pq.ms, kernel=kernel)
    axes = vizi_statistics.plot_instantaneous_rates_colormesh(rates)
    assert axes.collections[0].get_array().size == 8 * 100


def test_correlations(block):
    trains = list(block.segments[0].spiketrains)
    matrix = correlation_coefficient(BinnedSpikeTrain(trains, bin_size=10 * pq.ms))
    assert vizi_correlation.plot_corrcoef(matrix).images[0].get_array().shape == (8, 8)
    binned = [BinnedSpikeTrain([train], bin_size=10 * pq.ms) for train in trains[:2]]
    histogram, _ = cross_correlation_histogram(*binned, window=[-20, 20])
    assert vizi_correlation.plot_cross_correlation_histogram(histogram).has_data()


def test_synchrony(block):
    trains = list(block.segments[0].spiketrains)
    _, trace = spike_contrast(trains, return_trace=True)
    vizi_synchrony.plot_spike_contrast(trace, spiketrains=trains)
    assert len(plt.gcf().axes) == 2


def test_unitary_events(block):
    trials = [[segment.spiketrains[0], segment.spiketrains[1]] for segment in block.segments]
    result = jointJ_window_analysis(
        trials, bin_size=10 * pq.ms, win_size=100 * pq.ms, win_step=20 * pq.ms, pattern_hash=[3]
    )
    axes = plot_ue(trials, result, significance_level=0.05, unit_real_ids=["0", "1"])
    assert sum(len(line.get_xdata()) for line in axes[0].get_lines() if line.get_marker() == ".") == sum(
        len(train) for trial in trials for train in trial
    )


def test_latents_of_gpfa(block):
    trials = [list(segment.spiketrains) for segment in block.segments]
    gpfa = GPFA(bin_size=50 * pq.ms, x_dim=2, em_max_iters=3)
    latents = gpfa.fit_transform(trials, returned_data=["latent_variable_orth", "latent_variable"])
    figure, _ = vizi_gpfa.plot_dimensions_vs_time(latents, gpfa, dimensions=[0, 1], trials_to_plot=np.arange(6))
    assert len(figure.axes) == 2
    _, axes = vizi_gpfa.plot_trajectories(latents, gpfa, dimensions=[0, 1], trials_to_plot=np.arange(6))
    assert axes.has_data()


def test_patterns_of_spade(block):
    trains = list(block.segments[0].spiketrains)[:4]
    patterns = spade(trains, bin_size=20 * pq.ms, winlen=1, min_spikes=2, min_occ=3, n_surr=0)["patterns"]
    assert patterns
    # Colours are given: viziphant 0.4 takes its own from a function that matplotlib 3.11 no longer has.
    assert vizi_patterns.plot_patterns(trains, patterns[:2], colors=np.eye(3)[:2]).has_data()
    assert len(vizi_patterns.plot_patterns_statistics_all(patterns)) > 1
