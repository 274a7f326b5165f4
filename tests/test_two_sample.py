"""Distances against other implementations and closed forms; tests that are exact, have power and find copies."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.stats import wasserstein_distance
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import rbf_kernel

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.validation.sample_distances import (
    classifier_auc,
    frechet_distance,
    mean_discrepancy,
    median_squared_distance,
    sliced_wasserstein,
    trial_moments,
)
from spikeinterface_gen.validation.trial_features import trial_features
from spikeinterface_gen.validation.two_sample import two_sample_tests


def population(num_trials=60, units=24, bins=120, seed=0, shared=0.8):
    """Units that share two slow latents, follow a PSTH and are refractory for three bins of 1 ms."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(99)
    loadings, shape = fixed.normal(0, shared, (2, units)), fixed.normal(0, 0.7, units)
    latents = rng.normal(size=(num_trials, -(-bins // 60), 2)).repeat(60, axis=1)[:, :bins]
    rates = 0.03 * np.exp(latents @ loadings + np.sin(2 * np.pi * np.arange(bins) / bins)[:, None] * shape)
    spikes, last = np.zeros((num_trials, bins, units), np.uint8), np.full((num_trials, units), -9)
    for b in range(bins):
        fired = (rng.random((num_trials, units)) < rates[:, b]) & (b - last > 3)
        spikes[:, b], last[fired] = fired, b
    return SpikeCounts(spikes, 1.0)


def two_samples(seed=0, numbers=(20, 25), features=6, shift=0.5):
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal(size=(numbers[0], features)), rng.normal(shift, 1.3, (numbers[1], features))])
    return points, (np.arange(sum(numbers)) < numbers[0])[:, None]


# ---- distances -------------------------------------------------------------------------------


def test_sliced_wasserstein_is_scipys_along_every_direction():
    points, first = two_samples()
    directions = np.random.default_rng(1).normal(size=(6, 7))
    projections = points @ directions
    expected = [wasserstein_distance(p[first[:, 0]], p[~first[:, 0]]) for p in projections.T]
    assert sliced_wasserstein(points, first, directions)[0] == pytest.approx(np.mean(expected), rel=1e-12)


def test_mean_discrepancy_is_that_of_the_kernels():
    points, first = two_samples()
    scale = median_squared_distance(points)
    a, b = points[first[:, 0]], points[~first[:, 0]]

    def kernel(x, y):
        return np.mean([rbf_kernel(x, y, gamma=0.5 / (width * scale)) for width in (0.5, 1.0, 2.0)], axis=0)

    expected = np.sqrt(kernel(a, a).mean() + kernel(b, b).mean() - 2 * kernel(a, b).mean())
    assert mean_discrepancy(points, first, scale)[0] == pytest.approx(expected, rel=1e-9)


def test_classifier_is_kernel_ridge_regression_of_scikit_learn():
    points, first = two_samples()
    folds = np.arange(len(points)) % 5
    centring = np.eye(len(points)) - 1 / len(points)
    kernel = centring @ np.square(1 + points @ points.T) @ centring
    aucs = []
    for fold in range(5):
        training, held_out = folds != fold, folds == fold
        model = KernelRidge(alpha=np.trace(kernel) / len(kernel), kernel="precomputed")
        labels = first[:, 0] / first[training].sum() - ~first[:, 0] / (~first[training]).sum()
        model.fit(kernel[np.ix_(training, training)], labels[training])
        scores = model.predict(kernel[np.ix_(held_out, training)])
        aucs.append(roc_auc_score(first[held_out, 0], scores))
    assert classifier_auc(points, first, folds)[0] == pytest.approx(np.mean(aucs), rel=1e-9)


def test_points_that_are_all_alike_are_not_told_apart():
    first = np.arange(20)[:, None] % 2 == 0
    assert classifier_auc(np.full((20, 3), 0.7), first, np.arange(20) // 2 % 5)[0] == 0.5


def test_frechet_distance_is_that_of_its_formula_over_valid_bins():
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(30, 20, 4)) @ rng.normal(size=(4, 4))
    latents[18:] *= 1.4
    mask = np.arange(20) < rng.integers(10, 21, 30)[:, None]
    first = (np.arange(30) < 18)[:, None]
    a, b = latents[:18][mask[:18]], latents[18:][mask[18:]]
    ca, cb = np.cov(a.T, ddof=0), np.cov(b.T, ddof=0)
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(ca + cb - 2 * np.real(sqrtm(ca @ cb)))
    found = frechet_distance(trial_moments(latents, mask), first)
    assert found[0] == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_gaussians_has_a_closed_form():
    z = np.random.default_rng(0).normal(size=(40000, 2))
    points = np.concatenate([z, z * [2.0, 3.0] + [1.0, 0.0]])
    found = frechet_distance(trial_moments(points), (np.arange(80000) < 40000)[:, None])
    assert found[0] == pytest.approx(1 + 1 + 4, rel=0.03)  # squared: shift 1, and (2 − 1)² + (3 − 1)²


def test_many_labelings_at_once_are_each_one_by_itself():
    points, first = two_samples()
    rng = np.random.default_rng(2)
    labelings = np.stack([rng.permutation(first[:, 0]) for _ in range(4)], axis=1)
    directions, moments = rng.normal(size=(6, 5)), trial_moments(points)
    folds = np.zeros(len(points), int)
    folds[rng.permutation(len(points))[:20]] = 1
    for distance in (
        lambda labels: sliced_wasserstein(points, labels, directions),
        lambda labels: mean_discrepancy(points, labels, 3.0),
        lambda labels: frechet_distance(moments, labels),
        lambda labels: classifier_auc(points, labels, folds),
    ):
        one_by_one = [distance(labelings[:, [k]])[0] for k in range(4)]
        np.testing.assert_allclose(distance(labelings), one_by_one, rtol=1e-9)


# ---- features --------------------------------------------------------------------------------


def test_features_do_not_know_which_side_a_trial_is_on():
    a, b = population(20, seed=1), population(15, seed=2)
    together = np.concatenate(trial_features([a, b]))
    swapped = np.concatenate(trial_features([b, a])[::-1])
    assert together.shape == swapped.shape
    # Principal components have no sign.
    np.testing.assert_allclose(together @ together.T, swapped @ swapped.T, atol=1e-9)


def test_features_of_a_trial_ignore_its_padding():
    counts = population(12, bins=60)
    padded = np.concatenate([counts.counts, np.zeros((12, 40, 24), np.uint8)], axis=1)
    with_padding = SpikeCounts(padded, 1.0, num_bins=np.full(12, 60))
    other = population(10, seed=5, bins=60)
    for one, two in zip(trial_features([counts, other]), trial_features([with_padding, other]), strict=True):
        np.testing.assert_allclose(one @ one.T, two @ two.T, atol=1e-9)


# ---- the tests -------------------------------------------------------------------------------


def test_fresh_trials_are_flagged_as_often_as_the_level_says():
    reports = [
        two_sample_tests(
            population(24, 5, 40, seed=2 * k), population(20, 5, 40, seed=2 * k + 1), num_permutations=79, num_splits=2
        )
        for k in range(60)
    ]
    p_values = {name: [report.tests[name].p_value for report in reports] for name in reports[0].tests}
    p_values["joint"] = [report.p_joint for report in reports]
    for found in p_values.values():
        # Binomial(60, 0.05) exceeds 8 in 0.3 % of cases; a uniform mean has an s.e. of 0.037.
        assert np.sum(np.array(found) <= 0.05) <= 8
        assert 0.37 < np.mean(found) < 0.63


@pytest.fixture(scope="module")
def real():
    return population(seed=1)


def defects():
    good = population(seed=2).counts
    rng = np.random.default_rng(0)
    shuffled = good.copy()
    for unit in range(good.shape[2]):
        shuffled[:, :, unit] = shuffled[rng.permutation(len(good)), :, unit]
    silenced, swapped = good.copy(), good.copy()
    silenced[:, :, 0] = 0
    swapped[:, :, [0, 1]] = good[:, :, [1, 0]]
    jittered = np.zeros_like(good)
    trial, time, unit = np.nonzero(good)
    np.add.at(jittered, (trial, np.clip(time + rng.integers(-6, 7, len(time)), 0, good.shape[1] - 1), unit), 1)
    return {
        "trials shuffled per unit": shuffled,
        "time reversed": good[:, ::-1],
        "a unit silenced": silenced,
        "two units swapped": swapped,
        "spikes jittered, refractoriness gone": jittered,
    }


@pytest.mark.parametrize("defect", defects())
def test_defects_are_found(real, defect):
    report = two_sample_tests(real, SpikeCounts(defects()[defect], 1.0), num_permutations=199, num_splits=5)
    assert report.flagged, report.summary()
    assert report.table["flagged"].any()
    assert "tell synthetic from real" in report.summary()


def test_good_trials_pass_and_lie_at_their_floor(real):
    report = two_sample_tests(real, population(seed=2), train=population(seed=3), num_permutations=199)
    assert not report.flagged
    assert not report.too_close
    assert report.num_trials == 30
    assert abs(report.tests["classifier_auc"].value - 0.5) < 0.12
    for name in ("sliced_wasserstein", "mean_discrepancy"):
        assert 0.8 < report.tests[name].value / report.tests[name].floor < 1.25


def test_copies_are_too_close(real):
    report = two_sample_tests(real, real, num_permutations=99, num_splits=5)
    assert report.too_close
    assert report.p_joint_closer == 0.01
    assert not report.flagged
    assert "copies" in report.summary()
    assert report.tests["mean_discrepancy"].distance == pytest.approx(0.0, abs=1e-6)


class GroupCounts:
    """An encoder: the running sums of the counts of six groups of four units."""

    def encode(self, counts: SpikeCounts) -> np.ndarray:
        groups = counts.counts.astype(float).reshape(counts.num_trials, counts.max_bins, 6, 4).sum(axis=3)
        return np.cumsum(groups, axis=1)


def test_latents_of_an_encoder_or_given(real):
    slower = population(seed=4).counts.copy()
    slower[:, 60:] = 0
    synthetic = SpikeCounts(slower, 1.0)
    encoder = GroupCounts()
    by_encoder = two_sample_tests(real, synthetic, encoder=encoder, num_permutations=99, num_splits=3)
    given = {"real": encoder.encode(real), "synthetic": encoder.encode(synthetic)}
    by_arrays = two_sample_tests(real, synthetic, latents=given, num_permutations=99, num_splits=3)
    assert by_encoder.tests["frechet_distance"].flagged
    np.testing.assert_array_equal(by_encoder.tests["frechet_distance"].null, by_arrays.tests["frechet_distance"].null)
    assert (
        two_sample_tests(real, population(seed=2), encoder=encoder, num_permutations=99, num_splits=3)
        .tests["frechet_distance"]
        .p_value
        > 0.05
    )


def test_the_same_seed_gives_the_same_report(real):
    first, again = (two_sample_tests(real, population(seed=2), num_permutations=49, num_splits=3) for _ in range(2))
    assert first.table.equals(again.table)
    other = two_sample_tests(real, population(seed=2), num_permutations=49, num_splits=3, seed=1)
    assert not first.table.equals(other.table)


def test_relabellings_too_few_to_recognise_copies_are_said_so(real):
    report = two_sample_tests(real, real, num_permutations=98, num_splits=2)
    assert not report.too_close
    assert "98 relabellings are too few to recognise copies; that needs 99." in report.summary()


def test_few_trials_leave_out_the_floors():
    report = two_sample_tests(population(12), population(12, seed=1), num_permutations=19)
    assert report.num_trials == 0
    assert np.isnan(report.table["floor"]).all()
    assert "need 20 real trials" in report.summary()


def test_what_does_not_fit_is_refused(real):
    synthetic = population(seed=2)
    with pytest.raises(ValueError, match="real has 9 trials"):
        two_sample_tests(real[:9], synthetic)
    with pytest.raises(ValueError, match="same units"):
        two_sample_tests(real, synthetic[:, [0, 1]])
    with pytest.raises(ValueError, match="at least 19"):
        two_sample_tests(real, synthetic, num_permutations=5)
    with pytest.raises(ValueError, match="'synthetic' is missing"):
        two_sample_tests(real, synthetic, latents={"real": np.zeros((60, 3))})
    with pytest.raises(ValueError, match="must have shape"):
        two_sample_tests(real, synthetic, latents={"real": np.zeros((60, 3)), "synthetic": np.zeros((60, 7, 3))})
    with pytest.raises(ValueError, match="exclude each other"):
        two_sample_tests(real, synthetic, latents={}, encoder=GroupCounts())
    silent = SpikeCounts(np.zeros((20, 10, 3), np.uint8), 1.0)
    with pytest.raises(ValueError, match="nothing to compare"):
        two_sample_tests(silent, silent)
