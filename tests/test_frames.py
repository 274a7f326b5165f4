import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeinterface_gen.frames import bin_edge_frames, count_spikes, num_whole_bins, seconds_to_frames

BIN_SIZES_MS = st.sampled_from([0.1, 1.0, 1.0 / 3.0, 5.0, 20.0, 33.3])
SAMPLING_FREQUENCIES = st.sampled_from([10000.0, 24414.0625, 30000.0, 29999.954846, 44100.0])


@given(st.integers(0, 3000), BIN_SIZES_MS, SAMPLING_FREQUENCIES)
def test_edges_are_the_rounded_multiples(num_bins, bin_size_ms, sampling_frequency):
    edges = bin_edge_frames(num_bins, bin_size_ms, sampling_frequency)
    exact = np.arange(num_bins + 1) * bin_size_ms / 1000 * sampling_frequency
    assert edges.dtype == np.int64
    assert np.abs(edges - exact).max() <= 0.5 + 1e-6
    assert np.all(np.diff(edges) >= 1)
    # A longer trial begins with the edges of a shorter one.
    np.testing.assert_array_equal(bin_edge_frames(num_bins + 7, bin_size_ms, sampling_frequency)[: num_bins + 1], edges)


@given(st.integers(0, 100_000), BIN_SIZES_MS, SAMPLING_FREQUENCIES)
def test_whole_bins_are_those_that_end_in_time(num_frames, bin_size_ms, sampling_frequency):
    num_bins = num_whole_bins(num_frames, bin_size_ms, sampling_frequency)
    edges = bin_edge_frames(num_bins + 1, bin_size_ms, sampling_frequency)
    assert edges[num_bins] <= num_frames < edges[num_bins + 1]


def test_spikes_on_an_edge_belong_to_the_later_bin_and_those_outside_to_none():
    edges = bin_edge_frames(3, 10.0, 30000.0)
    frames = np.array([-1, 0, 299, 300, 899, 900])
    counts = count_spikes(np.zeros(6, int), np.zeros(6, int), frames, edges, num_trials=1, num_units=1)
    np.testing.assert_array_equal(counts[0, :, 0], [2, 1, 1])


def test_counts_of_a_population_agree_with_histograms():
    rng = np.random.default_rng(0)
    trials, units, frames = rng.integers(0, 4, 5000), rng.integers(0, 3, 5000), rng.integers(-50, 6100, 5000)
    edges = bin_edge_frames(20, 10.0, 30000.0)
    counts = count_spikes(trials, units, frames, edges, num_trials=4, num_units=3)
    for trial in range(4):
        for unit in range(3):
            own = frames[(trials == trial) & (units == unit)]
            # The last bin of numpy's histogram includes its right edge.
            expected = np.histogram(own[own < edges[-1]], edges)[0]
            np.testing.assert_array_equal(counts[trial, :, unit], expected)


def test_more_spikes_in_a_bin_than_a_byte_holds_are_counted():
    edges = bin_edge_frames(1, 20.0, 30000.0)
    counts = count_spikes(np.zeros(300, int), np.zeros(300, int), np.arange(300), edges, num_trials=1, num_units=1)
    assert counts.item() == 300


def test_seconds_are_rounded_not_truncated():
    # 0.0007 s · 30 kHz is 20.999999999999996 in floating point.
    np.testing.assert_array_equal(seconds_to_frames([0.0007, -0.0007], 30000.0), [21, -21])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 10.0, 30000.0), "num_bins"),
        ((5, 0.0, 30000.0), "bin_size_ms"),
        ((5, float("nan"), 30000.0), "bin_size_ms"),
        ((5, 10.0, -1.0), "sampling_frequency"),
        ((5, 0.01, 30000.0), "shorter than one frame"),
    ],
)
def test_impossible_bins_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        bin_edge_frames(*arguments)
