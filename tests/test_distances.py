"""Distances against answers known by hand, floors, and the correction for sampling noise."""

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.validation.comparison import Comparison, compare_metric
from spikeinterface_gen.validation.distances import (
    METRICS,
    MIN_INTERVALS,
    PAPER_METRICS,
    compare,
    draw_split,
    equal_number,
    floors,
    population_count_divergence,
    population_count_divergence_paper,
    rmse,
)
from spikeinterface_gen.validation.reliability import agreement, correlation, excess, reliability
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
    assert metric.distance(metric.of_real(counts), metric.statistic(counts, None)) == 0


@pytest.mark.parametrize("with_train", [True, False])
def test_floors_are_of_fresh_draws_of_equal_number(with_train):
    real, train = correlated(40, 5), correlated(90, 6)
    draws = floors(real, train if with_train else None, "rate", num_splits=6, seed=1)
    assert draws.shape == (6,)
    assert len(np.unique(draws)) == 6
    np.testing.assert_array_equal(draws, floors(real, train if with_train else None, "rate", num_splits=6, seed=1))
    # By hand: the same draw, the same distance.
    number = equal_number(40, 40, 90 if with_train else None)
    split = draw_split(number, 40, number, 90 if with_train else None, 1, 0)
    assert number == (40 if with_train else 20)
    other = (train if with_train else real)[split.other_real]
    assert draws[0] == pytest.approx(rmse(real[split.real].rates_hz, other.rates_hz))
    if not with_train:
        assert not np.intersect1d(split.real, split.other_real).size


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


def test_reliability_is_the_share_of_signal():
    truth = np.random.default_rng(11).normal(0, 0.5, 2000)
    noise_variance = 3.0**2 / 60
    trials = noisy(truth, 0)
    share = reliability(lambda chosen: trials[chosen].mean(axis=0), 60)
    assert share == pytest.approx(truth.var() / (truth.var() + noise_variance), abs=0.05)
    nothing = noisy(np.zeros(2000), 1)
    assert reliability(lambda chosen: nothing[chosen].mean(axis=0), 60) == pytest.approx(0, abs=0.1)
    assert np.isnan(reliability(lambda chosen: trials[chosen].mean(axis=0), 1))


def test_agreement_is_freed_of_noise():
    rng = np.random.default_rng(12)
    truth = rng.normal(0, 0.5, 2000)
    sides = noisy(truth, 2), noisy(truth, 3), noisy(rng.normal(0, 0.5, 2000), 4)
    real, same, different = (side.mean(axis=0) for side in sides)
    shares = [reliability(lambda chosen, side=side: side[chosen].mean(axis=0), 60) for side in sides]
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
    sides = [TrialStatistics(counts) for counts in (real, synthetic, train)]
    number = equal_number(real.num_trials, synthetic.num_trials, train.num_trials)
    splits = [draw_split(number, real.num_trials, synthetic.num_trials, train.num_trials, 0, k) for k in range(20)]
    return {name: compare_metric(METRICS[name], *sides, splits) for name in names}


def test_the_same_process_is_at_its_floor_and_agrees():
    real, synthetic, train = (correlated(n, seed) for n, seed in ((60, 13), (60, 14), (240, 15)))
    for name, result in comparisons(real, synthetic, train, METRICS).items():
        assert isinstance(result, Comparison)
        assert not result.flagged, name
        assert 0.3 < result.ratio < 2.0, name
        assert result.low < result.ratio < result.high
        if name in ("rate", "correlation", "autocorrelogram", "cross_correlogram"):
            assert result.agreement == pytest.approx(1.0, abs=0.1), name
            assert result.of_ceiling == pytest.approx(1.0, abs=0.15), name
            assert result.excess < 0.35, name


def test_independent_units_are_told_apart_by_what_they_lack():
    real, train = correlated(60, 16), correlated(240, 17)
    synthetic = PSTHPoisson().fit(train).sample(60, seed=0)
    results = comparisons(real, synthetic, train, METRICS)
    for name in ("population_count", "correlation", "fano_factor", "autocorrelogram", "cross_correlogram"):
        assert results[name].flagged, name
    assert not results["rate"].flagged
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
