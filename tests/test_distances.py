"""Distances against answers known by hand, floors, and the correction for sampling noise."""

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.validation.breakdown import by_area, by_condition, conditions, skipped_covariates
from spikeinterface_gen.validation.comparison import compare_metrics
from spikeinterface_gen.validation.copies import num_copies
from spikeinterface_gen.validation.design import Design, equal_number
from spikeinterface_gen.validation.distances import compare, floors
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.metrics import (
    METRICS,
    MIN_INTERVALS,
    PAPER_METRICS,
    population_count_divergence,
    population_count_divergence_paper,
)
from spikeinterface_gen.validation.permutation import maximum_test, permutation_test
from spikeinterface_gen.validation.reliability import agreement, correlation, excess, spearman_brown
from spikeinterface_gen.validation.statistics import TrialStatistics


def correlated(num_trials, seed, units=30, bins=40, mean=0.15, strength=0.6):
    """Counts whose units share three latents: correlated, over-dispersed, and the same process for every seed."""
    rng = np.random.default_rng(seed)
    weights = strength * np.random.default_rng(99).normal(size=(3, units))
    latents = rng.normal(size=(num_trials, bins // 10, 3)).repeat(10, axis=1)
    return SpikeCounts(rng.poisson(mean * np.exp(latents @ weights)), bin_size_ms=10.0)


def test_divergence_of_histograms_by_hand():
    p = np.array([2.5, 0.5, 1.5]) / 4.5
    q = np.array([0.5, 3.5, 0.5]) / 4.5
    # The first bin is empty on both sides, so it is no part of the joint support.
    value = population_count_divergence(np.array([0, 2, 0, 1]), np.array([0, 0, 3]))
    assert value == pytest.approx(np.sum(p * np.log(p / q)))
    assert population_count_divergence(np.array([5, 3]), np.array([5, 3])) == 0


def test_published_divergence_is_of_scipy_kernel_densities():
    rng = np.random.default_rng(1)
    real, other = rng.poisson(9.0, 600), rng.poisson(10.0, 500)
    support = np.arange(max(real.max(), other.max()) + 1)
    p, q = (gaussian_kde(x, "scott")(support) for x in (other, real))
    p, q = p / p.sum(), q / q.sum()
    ours = population_count_divergence_paper(np.bincount(real), np.bincount(other))
    assert ours == pytest.approx(np.sum(p * np.log(p / q)), rel=1e-9)


def test_published_correlation_is_of_a_matrix_half_zero():
    real, other = correlated(20, 0, units=6), correlated(20, 1, units=6)
    matrices = []
    for counts in (real, other):
        rows = counts.counts.reshape(-1, 6).astype(float)
        matrices.append(np.tril(np.corrcoef(rows.T), k=-1))
    expected = np.sqrt(np.mean((matrices[1] - matrices[0]) ** 2))
    assert compare(real, other, paper=True)["correlation"] == pytest.approx(expected, rel=1e-12)
    assert compare(real, other)["correlation"] == pytest.approx(expected * np.sqrt(2 * 6 / 5), rel=1e-12)


def test_units_without_enough_intervals_are_left_out_on_both_sides():
    values = correlated(30, 2, units=4).counts.copy()
    values[:, :, 3] = 0
    values[: MIN_INTERVALS - 1, :2, 3] = 1  # one interval fewer than needed
    sparse = SpikeCounts(values, 10.0)
    other = correlated(30, 3, units=4)
    three = np.array([0, 1, 2])
    assert compare(sparse, other)["isi_mean"] == compare(sparse[:, three], other[:, three])["isi_mean"]
    assert compare(sparse, other, paper=True)["isi_mean"] != compare(sparse, other)["isi_mean"]


def test_compare_gives_nan_where_nothing_can_be_said():
    silent = SpikeCounts(np.zeros((4, 10, 2), np.uint8), 10.0)
    result = compare(silent, silent)
    assert result["population_count"] == 0
    assert np.isnan([result["correlation"], result["isi_mean"], result["isi_sd"]]).all()


@pytest.mark.parametrize("metric", METRICS)
def test_identical_trials_have_no_distance(metric):
    counts = TrialStatistics(correlated(20, 4, units=8))
    metric = METRICS[metric]
    assert metric.distance(metric.of_real(counts), metric.statistic(counts)) == 0


@pytest.mark.parametrize("with_train", [True, False])
def test_floors_are_of_fresh_draws_of_equal_number(with_train):
    real, train = correlated(40, 5), correlated(90, 6)
    draws = floors(real, train if with_train else None, "rate", num_splits=6, seed=1)
    assert draws.shape == (6,)
    assert len(np.unique(draws)) == 6
    np.testing.assert_array_equal(draws, floors(real, train if with_train else None, "rate", num_splits=6, seed=1))


@pytest.mark.parametrize("num_train", [90, None])
def test_splits_are_matched_groups_of_distinct_trials(num_train):
    real, synthetic, train = correlated(47, 5, units=3), correlated(50, 6, units=3), correlated(100, 7, units=3)
    number = equal_number(47, 50, num_train)
    layout = Layout.of(real)
    design = Design(real, synthetic, train[:num_train] if num_train else None, number, seed=1, layout=layout)
    assert number == (45 if num_train else 23)
    for side, counts in ((design.real, 47), (design.synthetic, 50), (design.train, 90)):
        if side is not None:
            trials = np.concatenate(side.trials)
            assert len(np.unique(trials)) == len(trials) == side.copies * number
            assert trials.max() < counts
    splits = design.splits(8)
    sizes = np.concatenate([side.sizes for side in (design.real, design.synthetic, design.train) if side])
    for split in splits:
        assert all(weights @ sizes == number for weights in split)
        assert not np.any(split.real * split.other_real)
    others = np.stack([split.other_real for split in splits])
    assert len(np.unique(others, axis=0)) == 8
    halves = design.halves(design.real, 3)
    assert not np.any(halves[0] * halves[1])
    np.testing.assert_array_equal(halves[0] @ sizes, halves[1] @ sizes)
    # The statistics of a split are those of its trials, taken alone.
    chosen = np.concatenate([t for t, w in zip(design.real.trials, splits[0].real, strict=False) if w])
    (statistics,) = design.statistics(splits[0].real[None])
    np.testing.assert_allclose(statistics.rates_hz(), real[np.sort(chosen)].rates_hz)


def test_relabellings_keep_sizes_and_mix_both_sides():
    real, synthetic = correlated(50, 5, units=2), correlated(120, 6, units=2)
    design = Design(real, synthetic, None, 25, seed=0, layout=Layout.of(real))
    ours, theirs = design.relabellings(30)
    sizes = np.concatenate([design.real.sizes, design.synthetic.sizes])
    np.testing.assert_array_equal(ours @ sizes, np.full(31, 50))
    np.testing.assert_array_equal(theirs @ sizes, np.full(31, 75))
    np.testing.assert_array_equal(ours + theirs, np.ones_like(ours))
    np.testing.assert_array_equal(ours[0], np.arange(len(sizes)) < len(design.real.sizes))
    assert 0.3 < ours[1:, : len(design.real.sizes)].mean() < 0.5
    assert design.num_relabellings() > 1e6


def test_floors_shrink_with_the_number_of_trials():
    real, train = correlated(80, 7), correlated(200, 8)
    for metric in ("population_count", "correlation", "rate"):
        few = np.median(floors(real, train, metric, num_trials=10))
        many = np.median(floors(real, train, metric, num_trials=80))
        assert many < 0.6 * few


def test_floors_of_unknown_metrics_or_too_many_trials_are_errors():
    counts = correlated(10, 9, units=3)
    with pytest.raises(ValueError, match="metric must be one of population_count"):
        floors(counts, None, "nonsense")
    with pytest.raises(ValueError, match="num_trials must lie between 1 and 5"):
        floors(counts, None, "rate", num_trials=6)


def test_other_populations_are_errors():
    counts = correlated(6, 10, units=3)
    with pytest.raises(ValueError, match="bins of 10 ms and synthetic of 5 ms"):
        compare(counts, SpikeCounts(counts.counts, 5.0))
    with pytest.raises(ValueError, match="their order differs"):
        compare(counts, counts.select_units([2, 1, 0]))
    with pytest.raises(ValueError, match="1 of the 3 units of real are missing"):
        compare(counts, counts.select_units([0, 1]))


# ---- signal and noise ------------------------------------------------------------------------


def noisy(truth, seed, num_trials=60):
    """Trials of which the noise hides the true values; so does, in part, the mean of them all."""
    return truth + np.random.default_rng(seed).normal(0, 3.0, (num_trials, len(truth)))


def share_of_signal(trials):
    """From the correlation of random halves."""
    halves = [np.split(np.random.default_rng(k).permutation(len(trials)), 2) for k in range(5)]
    found = [correlation(*(trials[half].mean(axis=0) for half in pair)) for pair in halves]
    return spearman_brown(found, trials.shape[1])


def test_reliability_is_the_share_of_signal():
    truth = np.random.default_rng(11).normal(0, 0.5, 2000)
    noise_variance = 3.0**2 / 60
    assert share_of_signal(noisy(truth, 0)) == pytest.approx(truth.var() / (truth.var() + noise_variance), abs=0.05)
    # Of noise alone there is nothing to say, rather than a number that a division by it would blow up.
    assert np.isnan(share_of_signal(noisy(np.zeros(2000), 1)))
    assert np.isnan(spearman_brown([float("nan")], 100))
    assert np.isnan(spearman_brown([0.19], 100))
    assert spearman_brown([0.3, 0.2], 100) == pytest.approx(0.5 / 1.25)


def test_agreement_is_freed_of_noise():
    rng = np.random.default_rng(12)
    truth = rng.normal(0, 0.5, 2000)
    sides = noisy(truth, 2), noisy(truth, 3), noisy(rng.normal(0, 0.5, 2000), 4)
    real, same, different = (side.mean(axis=0) for side in sides)
    shares = [share_of_signal(side) for side in sides]
    assert correlation(real, same) < 0.75
    assert agreement(correlation(real, same), shares[0], shares[1]) == pytest.approx(1.0, abs=0.08)
    assert agreement(correlation(real, different), shares[0], shares[2]) == pytest.approx(0.0, abs=0.1)
    assert np.isnan(agreement(0.5, -0.1, 1.0))
    assert agreement(0.5, 1.0, -0.1) == 0


def test_correlation_is_pearsons_where_both_are_defined():
    a, b = np.array([1.0, 2.0, np.nan, 4.0, 7.0]), np.array([2.0, 1.0, 5.0, np.nan, 9.0])
    assert correlation(a, b) == pytest.approx(np.corrcoef([1, 2, 7], [2, 1, 9])[0, 1])
    assert np.isnan(correlation(a, np.ones(5)))


def test_excess_is_what_noise_does_not_explain():
    assert excess(5.0, 3.0, 4.0) == pytest.approx(2.0)
    assert excess(2.9, 3.0, 4.0) == 0
    assert np.isnan(excess(5.0, 3.0, 0.0))


# ---- a whole comparison ----------------------------------------------------------------------


def comparisons(real, synthetic, train, names):
    number = equal_number(real.num_trials, synthetic.num_trials, train.num_trials)
    design = Design(real, synthetic, train, number, seed=0, layout=Layout.of(real, synthetic, train))
    metrics = {name: METRICS[name] for name in names}
    test = permutation_test(metrics, design, num_permutations=99)
    found, left_out = compare_metrics(metrics, design, test, num_splits=20)
    assert not left_out
    return found


def test_the_same_process_is_at_its_floor_and_agrees():
    real, synthetic, train = (correlated(n, seed) for n, seed in ((60, 13), (60, 14), (240, 15)))
    for name, result in comparisons(real, synthetic, train, METRICS).items():
        assert not result.flagged, name
        # A single number can lie anywhere near its floor.
        assert 0.3 < result.ratio < 2.0 or name == "dimensionality", name
        assert result.low < result.ratio < result.high
        if name in ("rate", "correlation", "autocorrelogram", "cross_correlogram", "correlation_5_bins"):
            assert result.agreement == pytest.approx(1.0, abs=0.1), name
            assert result.of_ceiling == pytest.approx(1.0, abs=0.15), name
            assert result.excess < 0.35, name


def test_independent_units_are_told_apart_by_what_they_lack():
    real, train = correlated(60, 1000), correlated(240, 1001)
    synthetic = PSTHPoisson().fit(train).sample(60, seed=0)
    results = comparisons(real, synthetic, train, METRICS)
    for name in ("population_count", "correlation", "fano_factor", "autocorrelogram", "cross_correlogram", "synchrony",
                 "noise_correlation", "spike_time_tiling", "power_spectrum",
                 "correlation_5_bins", "correlation_20_bins"):  # fmt: skip
        assert results[name].flagged, name
    for name in ("rate", "psth", "drift", "signal_correlation"):
        assert not results[name].flagged, name
    assert results["correlation"].excess > 0.8
    assert results["correlation"].of_ceiling < 0.3


def test_a_unit_silent_on_one_side_is_left_out_of_value_and_floor():
    real, synthetic, train = (correlated(n, seed, units=10) for n, seed in ((40, 18), (40, 19), (90, 20)))
    values = synthetic.counts.copy()
    values[:, :, 4] = 0
    results = comparisons(real, SpikeCounts(values, 10.0), train, ("isi_mean", "rate", "correlation"))
    assert (results["isi_mean"].num_elements, results["isi_mean"].num_left_out) == (9, 1)
    assert (results["correlation"].num_elements, results["correlation"].num_left_out) == (36, 9)
    assert (results["rate"].num_elements, results["rate"].num_left_out) == (10, 0)
    others = np.delete(np.arange(10), 4)
    without = comparisons(*(c[:, others] for c in (real, synthetic, train)), ("isi_mean",))
    np.testing.assert_allclose(results["isi_mean"].floors, without["isi_mean"].floors)


def test_paper_metrics_are_the_four_of_the_paper():
    assert list(PAPER_METRICS) == ["population_count", "correlation", "isi_mean", "isi_sd"]
    assert list(compare(correlated(5, 21), correlated(5, 22), paper=True)) == list(PAPER_METRICS)


# ---- the test of the maximum -----------------------------------------------------------------


def chi(rng, rows, dof=8):
    """Root mean squares of independent noise: distances where there is nothing to find."""
    return np.sqrt(np.square(rng.normal(size=(rows, 12, dof))).mean(axis=2))


def test_of_twelve_metrics_without_a_difference_anything_is_flagged_in_one_case_of_twenty():
    rng = np.random.default_rng(0)
    flagged = [(maximum_test(chi(rng, 200), [False] * 12)[0] <= 0.05).any() for _ in range(600)]
    assert 0.02 < np.mean(flagged) < 0.065  # 4 %: the rest of the 5 is for memorisation


def test_a_difference_of_the_detectable_size_is_flagged_in_four_cases_of_five():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        distances = chi(rng, 200)
        detectable = maximum_test(distances, [False] * 12)[2][3]
        shift = np.zeros(8)
        shift[:] = detectable
        distances[0, 3] = np.sqrt(np.square(rng.normal(size=8) + shift).mean())
        found.append(maximum_test(distances, [False] * 12)[0][3] <= 0.05)
    assert 0.65 < np.mean(found) < 0.95


def test_step_down_tests_what_is_left_without_what_was_found():
    rng = np.random.default_rng(2)
    distances = chi(rng, 200)
    distances[0, :3] = 9.0
    p, scores, _ = maximum_test(distances, [False] * 12)
    np.testing.assert_allclose(p[:3], 1.25 / 200)  # a fifth of the 5 % is for memorisation
    assert (p[3:] > 0.05).all()
    assert (scores[:3] > 10).all()


def test_distances_that_are_not_defined_or_never_differ_are_not_tested():
    distances = chi(np.random.default_rng(3), 100)
    distances[5, 0] = np.nan
    distances[:, 1] = 0.0
    p, scores, detectable = maximum_test(distances, [False] * 12)
    for values in (p, scores, detectable):
        assert np.isnan(values[:2]).all()
        assert np.isfinite(values[2:]).all()


# ---- parts and copies ------------------------------------------------------------------------


def test_a_wrong_area_is_wrong_by_itself():
    real, synthetic, train = (correlated(n, seed) for n, seed in ((40, 23), (40, 24), (80, 25)))
    values = synthetic.counts.copy()
    values[::2, :, :6] = 0
    design = Design(real, SpikeCounts(values, 10.0), train, 40, seed=0, layout=Layout.of(real))
    areas = np.repeat(["CA1", "VISp", "rare"], [6, 20, 4])
    parts, notes = by_area(design, areas)
    assert notes == ["No rows by area, for want of 5 units: rare (4)."]
    ratios = {(part.name, part.metric.name): part.ratio for part in parts}
    assert {name for name, _ in ratios} == {"CA1", "VISp"}
    assert ratios["CA1", "rate"] > 2
    assert ratios["CA1", "noise_correlation"] > 2
    for metric in ("rate", "psth", "correlation", "isi_mean"):
        assert 0.5 < ratios["VISp", metric] < 1.6, metric


def test_an_area_of_all_units_is_the_population():
    real, synthetic, train = (correlated(n, seed, mean=0.4) for n, seed in ((40, 23), (40, 24), (80, 25)))
    design = Design(real, synthetic, train, 40, seed=0, layout=Layout.of(real))
    parts, notes = by_area(design, np.full(30, "CA1"))
    assert notes == []
    metrics = {name: m for name, m in METRICS.items() if m.elements in ("units", "pairs", "triplets")}
    assert {part.metric.name for part in parts} == set(metrics)
    test = permutation_test(metrics, design, num_permutations=99)
    whole, _ = compare_metrics(metrics, design, test, num_splits=10)
    for part in parts:
        found = whole[part.metric.name]
        # Units that a side says too little of are left out there on all sides.
        if not found.num_left_out:
            assert (part.value, part.floor) == pytest.approx((found.value, found.floor)), part.metric.name
    assert sum(not found.num_left_out for found in whole.values()) > 15


def test_covariates_that_divide_nothing_are_named_with_the_reason():
    covariates = {
        "side": np.arange(20) % 2,
        "go": np.ones(20),
        "speed": np.arange(20.0),
        "reward": np.arange(20) % 2,
        "path": np.zeros((20, 40, 2)),
        "session_time_s": np.arange(20.0),
    }
    real = correlated(20, 26).with_covariates(**covariates)
    synthetic = correlated(20, 27).with_covariates(**{k: v for k, v in covariates.items() if k != "reward"})
    assert list(conditions(real, synthetic)) == ["side"]
    assert skipped_covariates(real, synthetic) == [
        "No rows by go (one value in all trials); speed (more than 8 values); reward (known of real trials only); "
        "path (more than one number a trial)."
    ]
    assert "reward (known of synthetic trials only)" in skipped_covariates(synthetic, real)[0]
    assert skipped_covariates(correlated(4, 1), correlated(4, 2)) == []


def test_conditions_are_compared_one_by_one():
    real, synthetic = correlated(60, 26), correlated(60, 27)
    stimulus = np.arange(60) % 3
    values = synthetic.counts.copy()
    values[stimulus == 1, 4:] = 0
    rare = np.where(np.arange(60) < 3, "no", "yes")
    real, synthetic = (
        SpikeCounts(c, 10.0, covariates={"stimulus": stimulus, "go": rare, "time": np.arange(60.0)})
        for c in (real.counts, values)
    )
    known = conditions(real, synthetic)
    assert list(known) == ["stimulus", "go"]
    unknown = SpikeCounts(real.counts, 10.0, covariates={"side": np.where(stimulus == 2, np.nan, stimulus)})
    np.testing.assert_array_equal(conditions(unknown, unknown)["side"], [0, 1])
    parts, notes = by_condition(real, synthetic, None, known, 0)
    ratios = {(part.of, part.name, part.metric.name): part.ratio for part in parts}
    assert ratios["stimulus", "1", "rate"] > 2
    assert ratios["stimulus", "0", "rate"] < 1.6
    assert notes == ["Too few trials (8 a side are needed) for rows by go = no."]
    assert {"lv", "synchrony", "spike_time_tiling", "autocorrelogram"} < {metric for _, _, metric in ratios}
    assert not {"drift", "cross_correlogram"} & {metric for _, _, metric in ratios}
    lacking = synthetic[stimulus != 2]
    _, notes = by_condition(real, lacking, None, conditions(real, lacking), 0)
    assert any("No synthetic trial has stimulus = 2" in note for note in notes)


def test_copies_are_found_whatever_their_dtype():
    real, other = correlated(20, 28), correlated(10, 29)
    mixed = SpikeCounts(np.concatenate([other.counts, real.counts[3:7]]).astype(np.uint16), 10.0)
    assert num_copies(mixed, real) == 4
    assert num_copies(mixed, real[:5], real[4:], other) == 14  # of the union, each trial once
    assert num_copies(other, real) == 0
    silent = SpikeCounts(np.zeros((4, 40, 30), np.uint8), 10.0)
    assert num_copies(silent, silent) == 0
