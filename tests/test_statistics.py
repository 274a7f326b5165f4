"""The statistics of a population against Elephant on the same trains, and against answers known by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.validation import elephant as reference
from spikeinterface_gen.validation.coincidences import autocoincidences, coincidences, lagged_bins
from spikeinterface_gen.validation.interspike import interior_times
from spikeinterface_gen.validation.statistics import TrialStatistics


def random_counts(seed=0, trials=12, bins=30, units=5, mean=0.5, ragged=True):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(bins // 2, bins + 1, trials) if ragged else np.full(trials, bins)
    lengths[0] = bins
    rates = mean * rng.uniform(0.3, 2.0, units) * (1 + 0.5 * np.sin(np.arange(bins) / 3))[:, None]
    gains = rng.gamma(4.0, 0.25, (trials, 1, 1))
    counts = rng.poisson(gains * rates)
    counts[np.arange(bins) >= lengths[:, None]] = 0
    return SpikeCounts(counts, bin_size_ms=10.0, num_bins=lengths)


@pytest.fixture(scope="module")
def counts():
    return random_counts()


@pytest.mark.parametrize("name", ["rates_hz", "fano_factors", "isi_mean_s", "isi_sd_s", "cv2", "correlations"])
def test_statistics_equal_elephant(counts, name):
    np.testing.assert_allclose(
        getattr(TrialStatistics(counts), name)(), getattr(reference, name)(counts), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize(("name", "tolerance"), [("autocorrelograms", 1e-10), ("cross_correlograms", 1e-6)])
def test_correlograms_equal_elephant(counts, name, tolerance):
    ours = getattr(TrialStatistics(counts, num_lags=4), name)()
    np.testing.assert_allclose(ours, getattr(reference, name)(counts, 4), atol=tolerance)


def test_coincidences_equal_elephant_exactly(counts):
    from elephant.spike_train_correlation import cross_correlation_histogram

    binned = reference._end_to_end(counts, 3)
    ours = coincidences(counts.counts, [0, 1, 2, 3])
    for i in range(counts.num_units):
        for j in range(counts.num_units):
            histogram, lags = cross_correlation_histogram(binned[i], binned[j], window=[-3, 3])
            histogram = histogram.magnitude.ravel()
            np.testing.assert_array_equal(ours[:, i, j], histogram[lags >= 0])
            np.testing.assert_array_equal(ours[:, j, i], histogram[lags <= 0][::-1])
    own = autocoincidences(counts.counts, 3).sum(axis=0)
    np.testing.assert_array_equal(own, np.diagonal(ours[1:], axis1=1, axis2=2))
    np.testing.assert_array_equal(
        lagged_bins(counts.num_bins, [0, 2]), [counts.mask.sum(), (counts.num_bins - 2).sum()]
    )


@pytest.mark.parametrize(
    "name",
    [
        "rates_hz",
        "population_histogram",
        "fano_factors",
        "isi_mean_s",
        "isi_sd_s",
        "cv2",
        "isi_distributions",
        "correlations",
        "autocorrelograms",
        "cross_correlograms",
    ],
)
def test_a_set_of_trials_is_the_population_of_these_trials(counts, name):
    chosen = np.array([0, 3, 4, 7, 9])
    whole = TrialStatistics(counts, num_lags=3)
    part = TrialStatistics(counts[chosen], num_lags=3, window_bins=whole.window_bins)
    np.testing.assert_allclose(getattr(whole, name)(chosen), getattr(part, name)(), rtol=1e-12, atol=1e-12)


def test_cross_correlograms_of_some_units_are_part_of_all(counts):
    statistics = TrialStatistics(counts, num_lags=3)
    chosen = np.array([0, 2, 4])
    np.testing.assert_allclose(
        statistics.cross_correlograms(units=chosen), statistics.cross_correlograms()[:, chosen][:, :, chosen], rtol=1e-6
    )


def test_spikes_lie_at_the_interior_points_of_their_bins():
    counts = np.array([[[0, 2], [3, 0], [0, 1]]], dtype=np.uint8)
    train, times = interior_times(counts)
    np.testing.assert_array_equal(train, [0, 0, 0, 1, 1, 1])
    np.testing.assert_allclose(times, [1.25, 1.5, 1.75, 1 / 3, 2 / 3, 2.5])


def test_intervals_by_hand():
    # Unit 0: trial 0 has spikes in bins 0, 2, 3; trial 1 one in bin 1. No interval crosses trials.
    counts = SpikeCounts(np.array([[[1], [0], [1], [1]], [[0], [1], [0], [0]]]), bin_size_ms=5.0)
    statistics = TrialStatistics(counts)
    np.testing.assert_allclose(statistics.isi_mean_s(), [0.0075])
    np.testing.assert_allclose(statistics.isi_sd_s(), [0.0025])
    np.testing.assert_allclose(statistics.cv2(), [2 * 1 / 3])
    np.testing.assert_allclose(statistics.isi_distributions()[:, 0], [0, 0.5, 1, 1, 1])
    np.testing.assert_array_equal(statistics.population_histogram(), [4, 4])
    assert np.isnan(statistics.isi_mean_s(np.array([1]))).all()


def test_padding_does_not_count():
    counts = random_counts(seed=3)
    longer = SpikeCounts(np.pad(counts.counts, ((0, 0), (0, 7), (0, 0))), counts.bin_size_ms, num_bins=counts.num_bins)
    ours, theirs = TrialStatistics(counts, num_lags=3), TrialStatistics(longer, num_lags=3)
    np.testing.assert_array_equal(ours.correlations(), theirs.correlations())
    np.testing.assert_array_equal(ours.population_histogram(), theirs.population_histogram())
    np.testing.assert_array_equal(ours.cross_correlograms(), theirs.cross_correlograms())
    np.testing.assert_array_equal(ours.rates_hz(), theirs.rates_hz())


def test_silent_and_constant_units_are_undefined_and_alone_in_it():
    values = random_counts(seed=4, ragged=False).counts.copy()
    values[:, :, 1] = 0
    values[:, :, 2] = 1
    statistics = TrialStatistics(SpikeCounts(values, 10.0), num_lags=2)
    pairs = np.stack(np.triu_indices(5, 1))
    np.testing.assert_array_equal(np.isnan(statistics.correlations()), np.isin(pairs, [1, 2]).any(axis=0))
    assert np.isnan(statistics.autocorrelograms()[:, [1, 2]]).all()
    assert np.isfinite(statistics.autocorrelograms()[:, [0, 3, 4]]).all()
    np.testing.assert_array_equal(np.isnan(statistics.fano_factors()), [False, True, False, False, False])
    np.testing.assert_array_equal(np.isnan(statistics.isi_mean_s()), [False, True, False, False, False])
    np.testing.assert_array_equal(np.isnan(statistics.isi_distributions()).all(axis=0), [0, 1, 0, 0, 0])


def test_blocks_do_not_change_the_sums(monkeypatch):
    from spikeinterface_gen.validation import coincidences as module
    from spikeinterface_gen.validation import interspike

    counts = random_counts(seed=5)
    whole = coincidences(counts.counts, [0, 2]), autocoincidences(counts.counts, 2), interspike.intervals(counts.counts)
    monkeypatch.setattr(module, "_BLOCK_ELEMENTS", 400)
    monkeypatch.setattr(interspike, "_BLOCK_BINS", 400)
    blocks = (
        coincidences(counts.counts, [0, 2]),
        autocoincidences(counts.counts, 2),
        interspike.intervals(counts.counts),
    )
    np.testing.assert_array_equal(whole[0], blocks[0])
    np.testing.assert_array_equal(whole[1], blocks[1])
    for name in ("trial", "unit", "bins", "number", "total", "squares", "cv2_number", "cv2_total"):
        np.testing.assert_array_equal(getattr(whole[2], name), getattr(blocks[2], name))


def test_large_counts_stay_exact():
    counts = np.full((2, 3000, 2), 250, dtype=np.uint8)
    counts[0, 0, 0] = 249
    np.testing.assert_array_equal(coincidences(counts, [0])[0][0], [249**2 + 5999 * 250**2, 249 * 250 + 5999 * 250**2])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 12), st.integers(1, 4))
def test_intervals_are_the_differences_of_each_train(seed, trials, bins, units):
    counts = np.random.default_rng(seed).poisson(0.8, (trials, bins, units)).astype(np.uint8)
    statistics = TrialStatistics(SpikeCounts(counts, bin_size_ms=1000.0))
    for unit in range(units):
        expected = np.concatenate(
            [
                np.diff([b + j / (c + 1) for b, c in enumerate(trial[:, unit].tolist()) for j in range(1, c + 1)])
                for trial in counts
            ]
        )
        assert statistics.num_intervals()[unit] == len(expected)
        if len(expected):
            np.testing.assert_allclose(statistics.isi_mean_s()[unit], expected.mean())
            np.testing.assert_allclose(statistics.isi_sd_s()[unit], expected.std(), atol=1e-7)
