"""Spike history calibrated in free runs: means, and pairs of spikes, against known ones."""

import numpy as np
import pytest
from histories import draws, history

from spikeinterface_gen.observation.calibration import SpikePairs, calibrate, pairs_target, spike_pairs
from spikeinterface_gen.observation.history import SpikeHistory

FILTERS = np.array([[-2.0, -1.0, 0.0], [0.6, 0.3, 0.0], [0.0, 0.0, 0.0]])


def test_calibrated_means_are_right_within_a_percent():
    rates = np.full((2000, 100, 3), 0.2)
    target = np.array([0.2, 0.2, 0.25])
    calibrated = calibrate(history(FILTERS), rates, draws(2000, 103, 3), target, np.ones((2000, 100), bool))
    counts, expected = calibrated.simulate(rates, draws(2000, 103, 3, seed=1))
    np.testing.assert_allclose(expected.mean((0, 1)), target, rtol=0.01)
    # The draws themselves, within four standard errors (history widens them a little).
    np.testing.assert_allclose(counts.mean((0, 1)), target, atol=4 * 1.6 * (0.25 / 2e5) ** 0.5)


def test_calibration_leaves_refractoriness():
    # Rates far below their target are raised by the bias, which must not push the filters out of effect.
    rates = np.full((500, 60, 1), 0.05)
    refractory = history(np.array([[-1.5, 0.0]]))
    calibrated = calibrate(refractory, rates, draws(500, 62, 1), np.full(1, 0.2), np.ones((500, 60), bool))
    counts, expected = calibrated.simulate(rates, draws(500, 62, 1, seed=1))
    assert expected.mean() == pytest.approx(0.2, rel=0.02)
    after = expected[:, 1:][counts[:, :-1] > 0].mean() / expected[:, 1:][counts[:, :-1] == 0].mean()
    assert after < 0.35


def test_silent_units_stay_as_they_are():
    calibrated = calibrate(
        SpikeHistory.none(1), np.full((5, 5, 1), 1e-4), draws(5, 5, 1), np.zeros(1), np.ones((5, 5), bool)
    )
    assert calibrated.bias[0] == 0


def test_spike_pairs_are_those_counted_one_by_one():
    counts = np.random.default_rng(0).poisson(0.4, (30, 12, 2))
    valid = np.arange(12) < np.random.default_rng(1).integers(8, 13, 30)[:, None]
    counts *= valid[..., None]
    pairs = spike_pairs(counts, counts, valid, 2)
    of_lags = {}
    for lag in (1, 2, 3, 4):
        products = [
            counts[trial, t] * counts[trial, t - lag] for trial in range(30) for t in range(lag, valid[trial].sum())
        ]
        of_lags[lag] = np.mean(products, axis=0)
    beyond = (of_lags[3] + of_lags[4]) / 2
    for lag in (1, 2):
        np.testing.assert_allclose(pairs.all[:, lag - 1], of_lags[lag], rtol=1e-5)
        np.testing.assert_allclose(pairs.excess[:, lag - 1], of_lags[lag] - beyond, atol=1e-6)


def test_errors_of_pairs_are_what_sessions_differ_by():
    rates = np.full((100, 60, 1), 0.2)
    unit = history(np.array([[-1.0, 0.0]]), np.array([[0.0, 0.2]]))
    found = [
        spike_pairs(counts, counts, np.ones((100, 60), bool), 2)
        for counts, _ in (unit.simulate(rates, draws(100, 62, 1, seed=seed)) for seed in range(60))
    ]
    between = np.std([pairs.excess for pairs in found], axis=0)
    # Of 60, a standard deviation is known to 9 %.
    np.testing.assert_allclose(np.mean([pairs.error for pairs in found], axis=0), between, rtol=0.3)


def twice_too_strong(num_units=8):
    """Recorded counts of units, their rates, a history whose bursts are twice what they are, and the true one."""
    rates = np.full((400, 60, num_units), 0.1)
    true = history(np.zeros((num_units, 3)), np.tile([0.15, 0.1, 0.05], (num_units, 1)))
    fitted = history(true.filters, 2 * true.excitation)
    recorded, _ = true.simulate(rates, draws(400, 63, num_units, seed=1))
    return recorded, rates, fitted, true


def target_of(fitted, rates, recorded):
    valid = np.ones(rates.shape[:2], bool)
    uniforms = draws(len(rates), rates.shape[1] + fitted.num_bins, rates.shape[2], seed=2)
    counts, r = fitted.simulate(rates, uniforms)
    K, num_bins = fitted.num_bins, recorded[..., 0].size
    target = pairs_target(fitted, spike_pairs(counts, r, valid, K), spike_pairs(recorded, recorded, valid, K), num_bins)
    return target, uniforms, valid


def test_history_that_was_fitted_too_strong_becomes_what_it_is():
    recorded, rates, fitted, true = twice_too_strong()
    target, uniforms, valid = target_of(fitted, rates, recorded)
    found = calibrate(fitted, rates, uniforms, recorded.mean((0, 1)), valid, pairs=target, iterations=20)
    counts, r = found.simulate(rates, draws(400, 63, 8, seed=3))
    pairs, of_recorded = (
        spike_pairs(x, now, valid, 3).excess.mean(axis=0) for x, now in ((counts, r), (recorded, recorded))
    )
    np.testing.assert_allclose(pairs, of_recorded, atol=0.05 * of_recorded[0])
    np.testing.assert_allclose(found.excitation.mean(axis=0), true.excitation[0], rtol=0.15, atol=0.015)


def test_history_never_becomes_stronger_than_it_was_fitted():
    recorded, rates, true, weaker = twice_too_strong()
    # Recorded of units twice as strong as fitted.
    recorded, _ = true.simulate(rates, draws(400, 63, 8, seed=1))
    target, uniforms, valid = target_of(weaker, rates, recorded)
    found = calibrate(weaker, rates, uniforms, recorded.mean((0, 1)), valid, pairs=target, iterations=8)
    assert (found.excitation <= weaker.excitation + 1e-12).all()
    assert (found.filters <= weaker.filters + 1e-12).all()


def test_units_with_few_pairs_are_taken_for_one_of_their_population():
    units = 40
    rng = np.random.default_rng(0)
    A = np.full((units, 2), 0.01)
    # Their true excess differs from the fitted one by −0.3 of A, give or take 0.1; what is recorded of it by errors.
    true = -0.3 + 0.1 * rng.standard_normal((units, 2))
    error = np.where(np.arange(units) < 20, 0.01, 2.0)[:, None] * np.ones((units, 2))
    y = true + error * rng.standard_normal((units, 2))
    zero = np.zeros((units, 2))
    target = pairs_target(SpikeHistory.none(units), SpikePairs(A, zero, zero), SpikePairs(A, y * A, error * A), 100_000)
    shrunk = target.excess / A
    np.testing.assert_allclose(shrunk[:20], true[:20], atol=0.04)
    np.testing.assert_allclose(shrunk[20:], -0.3, atol=0.1)


def test_units_that_have_next_to_no_pairs_follow_the_others():
    pairs = SpikePairs(np.array([[0.01], [0.01], [1e-6]]), np.zeros((3, 1)), np.full((3, 1), 1e-4))
    recorded = pairs._replace(excess=np.array([[-0.002], [-0.002], [1e-4]]))
    target = pairs_target(SpikeHistory.none(3), pairs, recorded, 10_000)
    np.testing.assert_allclose(target.excess[:, 0], [-0.002, -0.002, -2e-7], rtol=1e-6)


def test_without_pairs_filters_stay():
    unit = history(FILTERS)
    rates = np.full((50, 40, 3), 0.2)
    found = calibrate(unit, rates, draws(50, 43, 3), np.full(3, 0.2), np.ones((50, 40), bool))
    np.testing.assert_array_equal(found.filters, FILTERS)
