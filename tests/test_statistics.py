"""The statistics of a population against Elephant on the same trains, and against answers known by hand."""

import neo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.validation import elephant as reference
from spikeinterface_gen.validation.coincidences import coincidences, lagged_bins, tilings
from spikeinterface_gen.validation.estimates import STATISTICS, spike_statistics
from spikeinterface_gen.validation.events import Events, blocks_of_events
from spikeinterface_gen.validation.interspike import interior_times, interval_edges
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.statistics import TrialStatistics
from spikeinterface_gen.validation.sums import SpikeSums, StackedSums

ALL = sorted({*STATISTICS, "population_histogram", "complexity_histogram", "band_powers_db"})


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


def of(statistics, name):
    """A statistic by its name in ``STATISTICS``, or by that of a method."""
    return (STATISTICS[name] if name in STATISTICS else getattr(TrialStatistics, name))(statistics)


def events_of(counts):
    (events,) = blocks_of_events(counts, np.arange(counts.num_trials), np.linspace(0, 1, counts.num_trials), 30)
    return events


# ---- against Elephant ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rates_hz", "fano_factors", "isi_mean_s", "isi_sd_s", "cv2", "lv", "correlations"])
def test_statistics_equal_elephant(counts, name):
    np.testing.assert_allclose(
        getattr(TrialStatistics(counts), name)(), getattr(reference, name)(counts), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("name", ["rates_hz", "isi_mean_s", "cv2", "correlations"])
def test_elephant_takes_the_neo_block_as_well(counts, name):
    of_block = getattr(reference, name)(counts.to_neo())
    np.testing.assert_allclose(of_block, getattr(reference, name)(counts), rtol=1e-12)


def test_statistics_with_intervals_are_exact_of_many_units_too():
    many = random_counts(units=100, trials=30, mean=2.0)
    for name in ("cross_correlograms", "correlations"):
        whole = of(TrialStatistics(many), name)
        np.testing.assert_allclose(spike_statistics(many, [name])[name].value, whole, rtol=1e-10, atol=1e-12)


def test_all_pairs_of_very_many_units_when_asked_for():
    many = random_counts(units=210, trials=4, bins=12, mean=0.3)
    shapes = [
        spike_statistics(many, ["spike_time_tilings"], all_pairs=every)["spike_time_tilings"].value.shape
        for every in (False, True)
    ]
    assert shapes == [(200 * 199 // 2,), (210 * 209 // 2,)]


def test_elephant_needs_to_know_the_bins_of_a_block():
    with pytest.raises(TypeError, match=r"annotation bin_size_ms; got Block"):
        reference.rates_hz(neo.Block())


@pytest.mark.parametrize("name", ["autocorrelograms", "cross_correlograms"])
def test_correlograms_equal_elephant(counts, name):
    ours = getattr(TrialStatistics(counts, num_lags=4), name)()
    np.testing.assert_allclose(ours, getattr(reference, name)(counts, 4), rtol=1e-10, atol=1e-12)


def test_slower_and_collective_statistics_equal_elephant(counts):
    ours = TrialStatistics(counts, window_bins=12)
    np.testing.assert_allclose(ours.correlations_of(5), reference.correlations_of(counts, 5), atol=1e-10)
    np.testing.assert_allclose(ours.population_couplings(), reference.population_couplings(counts, 5), atol=1e-10)
    np.testing.assert_array_equal(ours.complexity_histogram(), reference.complexity_histogram(counts))
    np.testing.assert_allclose(ours.power_spectra(), reference.power_spectra(counts, 12), rtol=1e-10)


def test_the_psth_equals_elephant_also_in_wide_bins(counts):
    np.testing.assert_allclose(TrialStatistics(counts).psth_hz(), reference.psth_hz(counts, 1), rtol=1e-10)
    longer = random_counts(seed=8, bins=110)
    ours = TrialStatistics(longer)
    assert ours.layout.psth_factor == 3
    np.testing.assert_allclose(ours.psth_hz(), reference.psth_hz(longer, 3), rtol=1e-10)


@pytest.mark.parametrize("mean", [0.02, 0.3])
def test_spike_time_tiling_equals_elephant(mean):
    trial = random_counts(seed=2, trials=1, bins=200, mean=mean, ragged=False)
    ours = TrialStatistics(trial)
    assert ours.layout.tile_bins == 2
    np.testing.assert_allclose(ours.spike_time_tilings(), reference.spike_time_tilings(trial, 2), atol=1e-10)


def test_tilings_of_trials_add_up_and_stay_within_them():
    values = np.zeros((2, 6, 2), int)
    values[0, 5, 0] = values[1, 0, 1] = values[1, 3, 0] = 1
    sums = tilings(events_of(SpikeCounts(np.pad(values, ((0, 0), (0, 24), (0, 0))), 10.0, num_bins=[6, 6])), 2,
                   np.arange(2))  # fmt: skip
    np.testing.assert_array_equal(sums["tile_near"], [[2, 0], [0, 1]])
    np.testing.assert_array_equal(sums["tile_covered"], [3 + 5, 3])


@pytest.mark.parametrize("mean", [0.01, 0.5])
def test_coincidences_equal_elephant_exactly(mean):
    counts = random_counts(mean=mean)
    ours = coincidences(events_of(counts), [0, 1, 2, 3], np.arange(5))
    np.testing.assert_array_equal(ours[1:], reference.cross_correlogram_counts(counts, 3))
    valid = counts.counts[counts.mask].astype(int)
    np.testing.assert_array_equal(ours[0], valid.T @ valid)
    own = SpikeSums(counts, Layout.of(counts, num_lags=3))["own_products"]
    np.testing.assert_array_equal(own, np.diagonal(ours[1:], axis1=1, axis2=2))
    np.testing.assert_array_equal(
        lagged_bins(counts.num_bins, [0, 2]), [counts.mask.sum(), (counts.num_bins - 2).sum()]
    )


# ---- against numpy ---------------------------------------------------------------------------


def test_signal_and_noise_parts_add_up_to_the_correlation():
    counts = random_counts(seed=6, trials=40, ragged=False)
    ours = TrialStatistics(counts)
    rows = counts.counts.reshape(-1, 5).astype(float)
    upper = np.triu_indices(5, 1)
    np.testing.assert_allclose(
        ours.signal_correlations() + ours.noise_correlations(), np.corrcoef(rows.T)[upper], atol=1e-12
    )
    residuals = (counts.counts - counts.counts.mean(axis=0)).reshape(-1, 5)
    noise = residuals.T @ residuals / (len(rows) - 30)
    sd = rows.std(axis=0, ddof=1)
    np.testing.assert_allclose(ours.noise_correlations(), (noise / np.outer(sd, sd))[upper], atol=1e-12)


def test_without_a_common_time_origin_there_is_no_signal():
    counts = random_counts(seed=6)
    free = TrialStatistics(SpikeCounts(counts.counts, 10.0, num_bins=counts.num_bins, trial_locked=False))
    for name in ("psth_hz", "noise_correlations", "signal_correlations"):
        assert np.isnan(of(free, name)).all()


def test_triplets_dimensions_and_drifts_equal_numpy():
    counts = random_counts(seed=7, trials=30, ragged=False)
    ours = TrialStatistics(counts)
    wide = counts.counts.reshape(30, 6, 5, 5).sum(axis=2).reshape(-1, 5)
    z = (wide - wide.mean(axis=0)) / wide.std(axis=0)
    a, b, c = ours.layout.triplets.T
    assert len(a) == 10
    np.testing.assert_allclose(ours.triplet_correlations(), (z[:, a] * z[:, b] * z[:, c]).mean(axis=0), atol=1e-12)
    eigenvalues = np.linalg.eigvalsh(np.cov(wide.T))
    np.testing.assert_allclose(ours.participation_ratio(), eigenvalues.sum() ** 2 / np.square(eigenvalues).sum())
    rates = counts.counts.sum(axis=1) / 0.3
    phases = np.sqrt(2) * np.cos(np.pi * np.arange(1, 4) * ((np.arange(30) + 0.5) / 30)[:, None])
    np.testing.assert_allclose(ours.drifts_hz(), phases.T @ rates / 30, atol=1e-10)


def test_triplets_of_many_units_are_distinct_and_a_seeded_subset():
    many = SpikeCounts(np.zeros((2, 4, 60), np.uint8), 10.0)
    layout = Layout.of(many, seed=1)
    assert layout.triplets.shape == (1000, 3)
    assert (np.diff(layout.triplets, axis=1) > 0).all()
    assert len(np.unique(layout.triplets, axis=0)) == 1000
    assert layout.triplets.min() == 0
    assert layout.triplets.max() == 59
    np.testing.assert_array_equal(layout.triplets, Layout.of(many, seed=1).triplets)
    assert not np.array_equal(layout.triplets, Layout.of(many, seed=2).triplets)


def test_the_spectrum_of_a_poisson_unit_is_twice_its_rate():
    counts = SpikeCounts(np.random.default_rng(0).poisson(0.3, (600, 64, 2)), 10.0)
    assert TrialStatistics(counts).power_spectra()[2:-1].mean() == pytest.approx(60.0, rel=0.03)


# ---- sets of trials --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_groups_add_up_to_the_population_of_their_trials(counts, name):
    layout = Layout.of(counts, num_lags=3)
    groups = [np.array([0, 3]), np.array([4]), np.array([1, 2, 5]), np.array([7, 9])]
    stacked = StackedSums([SpikeSums(counts, layout, group) for group in groups])
    (chosen,) = stacked.of(np.array([[1, 1, 0, 1]]))
    whole = SpikeSums(counts, layout, np.array([0, 3, 4, 7, 9]))
    ours, expected = (of(TrialStatistics.of_sums(sums), name) for sums in (chosen, whole))
    if name == "population_shares":
        ours = ours[: len(expected)]
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_blocks_do_not_change_the_sums(name, monkeypatch):
    from spikeinterface_gen.validation import events, sums

    counts = random_counts(seed=5)
    whole = of(TrialStatistics(counts, num_lags=3), name)
    monkeypatch.setattr(events, "_BLOCK_ELEMENTS", 400)
    monkeypatch.setattr(sums, "_SPECTRUM_ELEMENTS", 100)
    np.testing.assert_allclose(of(TrialStatistics(counts, num_lags=3), name), whole, rtol=1e-9, atol=1e-12)


def test_very_many_units_are_sampled_evenly(monkeypatch):
    from spikeinterface_gen.validation import layout as module

    counts = random_counts(seed=9, units=9, ragged=False)
    whole = TrialStatistics(counts, num_lags=3)
    monkeypatch.setattr(module, "MAX_PAIR_UNITS", 3)
    monkeypatch.setattr(module, "MAX_CORRELATION_UNITS", 5)
    part = TrialStatistics.of_sums(SpikeSums(counts, Layout.of(counts, num_lags=3)))
    np.testing.assert_array_equal(TrialStatistics(counts).layout.pair_units, np.arange(9))
    np.testing.assert_array_equal(part.layout.pair_units, [0, 4, 8])
    some, upper = np.ix_([0, 4, 8], [0, 4, 8]), np.triu_indices(3, 1)
    np.testing.assert_allclose(part.cross_correlograms(), whole.cross_correlograms()[:, *some], rtol=1e-6)
    for name in ("spike_time_tilings", "noise_correlations", "correlations_5_bins"):
        matrix = np.zeros((9, 9))
        matrix[np.triu_indices(9, 1)] = of(whole, name)
        np.testing.assert_allclose(of(part, name), matrix[some][upper], rtol=1e-9)
    assert part.correlations().shape == (10,)


# ---- intervals of estimates ------------------------------------------------------------------


def test_the_jackknife_of_rates_is_that_of_means():
    counts = random_counts(seed=10, trials=20, ragged=False)
    estimate = spike_statistics(counts, ["rates_hz"])["rates_hz"]
    rates = counts.counts.mean(axis=1) / 0.01
    error = rates.std(axis=0, ddof=1) / np.sqrt(20)
    np.testing.assert_allclose(estimate.value, rates.mean(axis=0))
    np.testing.assert_allclose(estimate.high - estimate.value, 2.0930 * error, rtol=1e-4)
    np.testing.assert_allclose(estimate.value - estimate.low, 2.0930 * error, rtol=1e-4)


def test_intervals_cover_what_is_true():
    # Correlation of two units that share a Poisson input of a quarter of their rate: 0.25.
    rng, inside = np.random.default_rng(0), 0
    for _ in range(60):
        common = rng.poisson(0.1, (60, 20, 1))
        counts = SpikeCounts(common + rng.poisson(0.3, (60, 20, 2)), 10.0)
        estimate = spike_statistics(counts, ["correlations"])["correlations"]
        inside += int(estimate.low[0] < 0.25 < estimate.high[0])
    assert 52 <= inside <= 60


def test_all_statistics_come_with_intervals_by_default(counts):
    estimates = spike_statistics(counts)
    assert list(estimates) == list(STATISTICS)
    for name, estimate in estimates.items():
        defined = np.isfinite(estimate.high)
        assert defined.any(), name
        assert (estimate.low[defined] <= estimate.value[defined]).all()
        assert (estimate.value[defined] <= estimate.high[defined]).all()
    with pytest.raises(ValueError, match="there are no statistics"):
        spike_statistics(counts, ["nonsense"])
    with pytest.raises(ValueError, match="single trial"):
        spike_statistics(counts[:1])


# ---- by hand ---------------------------------------------------------------------------------


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
    assert np.isnan(TrialStatistics(counts[1]).isi_mean_s()).all()


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


def test_large_counts_stay_exact():
    counts = np.full((2, 3000, 2), 250, dtype=np.uint8)
    counts[0, 0, 0] = 249
    (events,) = blocks_of_events(SpikeCounts(counts, 10.0), np.arange(2), np.zeros(2), 3000)
    assert isinstance(events, Events)
    np.testing.assert_array_equal(
        coincidences(events, [0], np.arange(2))[0][0], [249**2 + 5999 * 250**2, 249 * 250 + 5999 * 250**2]
    )


def test_long_intervals_are_counted_in_ever_wider_steps():
    np.testing.assert_array_equal(interval_edges(40), np.arange(41))
    edges = interval_edges(5000)
    np.testing.assert_array_equal(edges[:64], np.arange(64))
    assert edges[-1] == 5000
    assert len(edges) <= 96
    values = np.zeros((1, 300, 1), int)
    values[0, [0, 70, 299]] = 1
    shares = TrialStatistics(SpikeCounts(values, 1.0)).isi_distributions()[:, 0]
    edges = interval_edges(300)
    np.testing.assert_array_equal(shares, (edges >= 70) * 0.5 + (edges >= 229) * 0.5)


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
