"""The population's gain: recovered from counts that a known one was put into."""

import numpy as np
import pytest

from spikeinterface_gen.observation.count_model import CountModel
from spikeinterface_gen.observation.population_gain import PopulationGain, fit_population_gain, independent_bins
from spikeinterface_gen.observation.synchrony import Synchrony
from spikeinterface_gen.validation.metrics import population_count_divergence


def bins(trials, seed):
    """Population rates that last for ten bins, and uniforms, both of shape (bins,)."""
    rng = np.random.default_rng(seed)
    return np.repeat(12 * np.exp(0.4 * rng.standard_normal(10 * trials)), 10), rng


def trials(N):
    """Bins as trials of ten rates each, and which of them are valid: all."""
    N = N.reshape(-1, 100)
    return N, np.ones(N.shape, bool)


def divergence(recorded, drawn):
    return population_count_divergence(np.bincount(recorded), np.bincount(drawn))


@pytest.mark.parametrize("true", [(0.0, 0.0, 0.0), (0.1, -0.1, 0.02), (-0.2, 0.1, 0.0)])
def test_a_known_gain_is_found_again(true):
    drawn, rng = bins(3000, 0)
    known = PopulationGain(true, float(np.log(drawn).mean()), float(np.log(drawn).std()))
    free, recorded = rng.poisson(drawn), rng.poisson(known.applied(bins(1000, 1)[0][:, None])[:, 0])
    found = fit_population_gain(drawn, (drawn, free), *trials(recorded), 3000)
    if not any(true):
        # What is found by chance is next to nothing.
        assert np.abs(found.coefficients).max() < 0.02
        return
    # The prior holds them back a little.
    np.testing.assert_allclose(found.coefficients, true, atol=0.035)
    gained = rng.poisson(found.applied(drawn[:, None])[:, 0])
    assert divergence(recorded, gained) < 0.15 * divergence(recorded, free)


def test_counts_that_vary_less_than_poisson_are_no_reason_for_a_gain():
    rates, rng = bins(3000, 0)
    other, _ = bins(1000, 1)
    # Binomial counts of 40 slots.
    free, recorded = (rng.binomial(40, np.minimum(x / 40, 0.95)) for x in (rates, other))
    found = fit_population_gain(rates, (rates, free), *trials(recorded), 3000)
    assert np.abs(found.coefficients).max() < 0.03


def test_gains_follow_the_sum_of_all_units():
    gain = PopulationGain((0.0, -0.1, 0.0), np.log(4.0), 0.5)
    rates = np.array([[[1.0, 3.0], [2.0, 6.0]]], np.float32)
    x = np.log(2) / 0.5
    expected = rates * np.exp(0.5 * -0.1 * (np.array([0.0, x])[None, :, None] ** 2 - 1))
    gained = gain.applied(rates)
    assert gained.dtype == np.float32
    np.testing.assert_allclose(gained, expected, rtol=1e-6)
    assert PopulationGain().applied(rates) is rates


def test_rates_of_some_of_the_units_have_the_gain_of_all():
    rates = np.exp(0.3 * np.random.default_rng(0).standard_normal((500, 1))) * np.ones((1, 8))
    gain = PopulationGain((0.05, -0.05, 0.0)).of_rates(rates)
    of_half = gain.of_rates(rates[:, :4])
    np.testing.assert_allclose(of_half.applied(rates[:, :4]), gain.applied(rates)[:, :4], rtol=1e-9)


def test_divergence_is_that_of_the_definition():
    a, b = np.repeat([0, 1, 2], [50, 30, 20]), np.repeat([0, 1, 2], [20, 30, 50])
    p, q = np.array([50.5, 30.5, 20.5]) / 101.5, np.array([20.5, 30.5, 50.5]) / 101.5
    assert divergence(a, b) == pytest.approx((p * np.log(p / q)).sum())
    assert divergence(a, a) == 0


def test_counts_are_drawn_with_the_gain():
    model = CountModel.independent(3, False)
    gained = CountModel(model.history, Synchrony.none(3), PopulationGain((0.0, 0.2, 0.0), 0.0, 0.5))
    rates = np.exp(0.5 * np.random.default_rng(0).standard_normal((200, 50, 1))).astype(np.float32) * np.ones(3) / 3
    np.testing.assert_array_equal(gained.draw(rates, 0, "test"), model.draw(gained.gain.applied(rates), 0, "test"))


def test_independent_bins():
    rng = np.random.default_rng(0)
    # Scores that last for five bins, and ones that do not; every other trial is of half the length.
    valid = np.arange(40) < np.array([40, 20])[np.arange(4000) % 2][:, None]
    fast = rng.normal(size=(4000, 40, 1))
    slow = np.repeat(fast[:, ::5], 5, axis=1)
    number = valid.sum()
    assert independent_bins(fast, valid) == pytest.approx(number, rel=0.05)
    assert independent_bins(slow, valid) == pytest.approx(number / 5, rel=0.05)
    # The mean of the two effects, 1 and 5.
    both = np.concatenate([fast, slow], axis=2)
    assert independent_bins(both, valid) == pytest.approx(number / 3, rel=0.05)
    beyond = np.where(valid[..., None], slow, 7.0)
    assert independent_bins(beyond, valid) == independent_bins(slow, valid)
