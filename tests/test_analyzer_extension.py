"""Spike-train statistics in a SortingAnalyzer: right, saved and loaded, kept when units are selected or merged."""

import numpy as np
import pytest
import spikeinterface.core as sic
from elephant.statistics import isi, mean_firing_rate
from spikeinterface.generation import NoiseGeneratorRecording

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.validation.analyzer import compute_spike_train_statistics
from spikeinterface_gen.validation.estimates import spike_statistics
from spikeinterface_gen.validation.statistics import TrialStatistics

NAME = "spike_train_statistics"


@pytest.fixture(scope="module")
def counts() -> SpikeCounts:
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.05, 0.3, 6) * np.exp(rng.normal(0, 0.5, (12, 1, 1)))
    return SpikeCounts(rng.poisson(np.broadcast_to(rates, (12, 100, 6))), 10.0, unit_ids=[f"u{k}" for k in range(6)])


@pytest.fixture(scope="module")
def sorting(counts):
    return counts.to_sorting(layout="session")


def analyzer_of(sorting, **kwargs):
    recording = NoiseGeneratorRecording(
        num_channels=4, sampling_frequency=sorting.sampling_frequency, durations=[12.0], strategy="on_the_fly", seed=0
    )
    recording.set_dummy_probe_from_locations(np.arange(8.0).reshape(4, 2))
    return sic.create_sorting_analyzer(sorting, recording, sparse=False, **kwargs)


def test_values_are_those_of_the_trains(sorting, counts):
    analyzer = analyzer_of(sorting)
    table = compute_spike_train_statistics(analyzer, window_s=1.0)
    assert table.index.tolist() == counts.unit_ids.tolist()
    np.testing.assert_allclose(table["rate_hz"], counts.rates_hz)
    np.testing.assert_allclose(table["fano_factor"], TrialStatistics(counts).fano_factors())
    trains = counts.to_neo(time="trial").segments
    rates = np.mean([[mean_firing_rate(t).rescale("Hz").item() for t in s.spiketrains] for s in trains], axis=0)
    np.testing.assert_allclose(table["rate_hz"], rates)
    # Bins of 10 ms know intervals of up to a second to some 5 ms.
    pooled = [np.concatenate([isi(s.spiketrains[k]).rescale("s").magnitude for s in trains]).mean() for k in range(6)]
    np.testing.assert_allclose(table["isi_mean_s"], pooled, rtol=0.03)


def test_a_population_beside_itself_agrees_and_beside_another_does_not(sorting, counts):
    analyzer = analyzer_of(sorting)
    analyzer.compute(NAME, reference=counts, window_s=1.0)
    extension = analyzer.get_extension(NAME)
    comparison = extension.get_data("comparison")
    assert (comparison["ks_distance"] == 0).all()
    np.testing.assert_allclose(comparison["correlation"], 1.0)
    np.testing.assert_allclose(extension.get_data("reference"), extension.get_data())
    assert extension.params["reference"] == repr(counts)

    slow = SpikeCounts(counts.counts // 2, 10.0, unit_ids=np.arange(6))
    analyzer.compute(NAME, reference=slow)
    comparison = analyzer.get_extension(NAME).get_data("comparison")
    assert comparison.loc["rate_hz", "p_value"] < 0.05
    assert comparison.loc["rate_hz", "median"] > comparison.loc["rate_hz", "reference_median"]
    assert np.isnan(comparison.loc["rate_hz", "correlation"])


def test_local_variation_and_pairs_are_those_of_the_trains(sorting, counts):
    table = compute_spike_train_statistics(analyzer_of(sorting), window_s=1.0)
    statistics = TrialStatistics(counts)
    np.testing.assert_allclose(table["lv"], statistics.lv())
    np.testing.assert_allclose(table["population_coupling"], statistics.population_couplings())
    tilings = np.full((6, 6), np.nan)
    tilings[np.triu_indices(6, 1)] = statistics.spike_time_tilings()
    tilings.T[np.triu_indices(6, 1)] = statistics.spike_time_tilings()
    np.testing.assert_allclose(table["mean_spike_time_tiling"], np.nanmean(tilings, axis=0))


def test_intervals_are_those_of_the_jackknife(sorting, counts):
    analyzer = analyzer_of(sorting)
    extension = analyzer.compute(NAME, window_s=1.0)
    intervals, values = extension.get_data("intervals"), extension.get_data()
    assert list(intervals.columns.get_level_values(0).unique()) == list(values.columns)
    expected = spike_statistics(counts, ["rates_hz", "lv"])
    for name, estimate in (("rate_hz", expected["rates_hz"]), ("lv", expected["lv"])):
        np.testing.assert_allclose(intervals[name, "low"], estimate.low)
        np.testing.assert_allclose(intervals[name, "high"], estimate.high)
    kept = analyzer.select_units(["u4", "u1"])
    assert kept.get_extension(NAME).get_data("intervals").equals(intervals.loc[["u4", "u1"]])
    single = analyzer.compute(NAME, window_s=12.0)
    assert np.isfinite(single.get_data()["rate_hz"]).all()
    assert single.get_data("intervals").isna().all(axis=None)


def test_what_was_saved_with_fewer_statistics_is_read(sorting, counts):
    analyzer = analyzer_of(sorting)
    extension = analyzer.compute(NAME, reference=counts, window_s=1.0)
    table = extension.get_data()
    names = ["rate_hz", "isi_mean_s", "isi_sd_s", "cv2", "fano_factor", "mean_correlation"]
    extension.data = {
        name: value[:, :6] if name in ("values", "reference_values") else value
        for name, value in extension.data.items()
        if name not in ("low", "high")
    }
    assert extension.get_data().equals(table[names])
    assert extension.get_data("comparison").index.tolist() == names
    with pytest.raises(ValueError, match="saved without intervals"):
        extension.get_data("intervals")
    assert analyzer.select_units(["u2"]).get_extension(NAME).get_data().equals(table.loc[["u2"], names])


@pytest.mark.parametrize("form", ["binary_folder", "zarr"])
def test_it_is_saved_and_loaded(sorting, counts, tmp_path, form):
    analyzer = analyzer_of(sorting, format=form, folder=tmp_path / "analyzer")
    analyzer.compute(NAME, reference=counts)
    loaded = sic.load_sorting_analyzer(analyzer.folder)
    for outputs in ("statistics", "intervals", "reference", "comparison"):
        one, two = (a.get_extension(NAME).get_data(outputs) for a in (analyzer, loaded))
        np.testing.assert_allclose(one, two)
        assert one.index.tolist() == two.index.tolist()


def test_selected_merged_and_split_units(sorting, counts):
    analyzer = analyzer_of(sorting)
    analyzer.compute(NAME, reference=counts, window_s=1.0)
    table = analyzer.get_extension(NAME).get_data()

    # Extensions do not keep their analyzer alive.
    selected = analyzer.select_units(["u4", "u1"])
    np.testing.assert_array_equal(selected.get_extension(NAME).get_data(), table.loc[["u4", "u1"]])

    merged = analyzer.merge_units([["u0", "u1"]], new_unit_ids=["both"], censor_ms=None)
    both = merged.get_extension(NAME).get_data().loc["both"]
    assert both["rate_hz"] == pytest.approx(table.loc[["u0", "u1"], "rate_hz"].sum())
    assert len(merged.get_extension(NAME).get_data("reference")) == 6

    number = len(sorting.get_unit_spike_train("u0", segment_index=0))
    halves = [np.arange(number // 2), np.arange(number // 2, number)]
    split = analyzer.split_units({"u0": halves}, new_unit_ids=[["early", "late"]])
    rates = split.get_extension(NAME).get_data()["rate_hz"]
    assert rates[["early", "late"]].sum() == pytest.approx(table.loc["u0", "rate_hz"])


def test_segments_are_trials(counts):
    sorting = counts.to_sorting(layout="trials")
    analyzer = analyzer_of(counts.to_sorting(layout="session"))
    analyzer.compute(NAME, reference=sorting, window_s=1.0)
    comparison = analyzer.get_extension(NAME).get_data("comparison")
    np.testing.assert_allclose(comparison["ks_distance"], 0.0)


def test_what_does_not_fit_is_refused(sorting, counts):
    analyzer = analyzer_of(sorting)
    with pytest.raises(TypeError, match="from_neo"):
        analyzer.compute(NAME, reference="real")
    with pytest.raises(ValueError, match="bin_size_ms=10"):
        analyzer.compute(NAME, reference=counts, bin_size_ms=5.0)
    extension = analyzer.compute(NAME)
    with pytest.raises(ValueError, match="there is no reference"):
        extension.get_data("comparison")
    with pytest.raises(ValueError, match="outputs must be"):
        extension.get_data("figures")
