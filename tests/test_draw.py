"""Counts by inversion: against scipy's quantiles, and monotone in the uniforms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, poisson

from spikeinterface_gen.observation.dispersion import Dispersion, fit_dispersion
from spikeinterface_gen.observation.draw import draw_counts, draw_poisson


@pytest.mark.parametrize("mean", [0.0, 1e-9, 0.02, 0.7, 3.0, 40.0, 499.0])
def test_poisson_counts_are_quantiles(mean):
    uniforms = np.random.default_rng(0).uniform(size=(50, 40))
    counts = draw_poisson(np.full(uniforms.shape, mean), uniforms)
    np.testing.assert_array_equal(counts, np.maximum(poisson.ppf(uniforms, mean), 0) if mean else 0)
    assert counts.dtype == (np.uint16 if counts.max() > 255 else np.uint8)


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 500), st.floats(0, 500), st.floats(0, 1), st.floats(0, 1))
def test_counts_rise_with_expectation_and_uniform(a, b, u, v):
    low, high = sorted([a, b])
    first, second = sorted([u, v])
    counts = draw_poisson(np.array([low, high, low]), np.array([first, first, second]))
    assert counts[0] <= counts[1]
    assert counts[0] <= counts[2]


def test_uniforms_at_the_ends_are_drawn():
    counts = draw_poisson(np.full(2, 0.3), np.array([2.0**-54, 1.0]))
    assert counts[0] == 0
    assert 10 < counts[1] < 60


def test_a_count_depends_on_its_own_uniform_only():
    rng = np.random.default_rng(1)
    expected, uniforms = rng.gamma(1.0, 1.0, 500), rng.uniform(size=500)
    whole = draw_poisson(expected, uniforms)
    np.testing.assert_array_equal(whole[::7], draw_poisson(expected[::7], uniforms[::7]))


def test_bernoulli_is_the_poisson_count_clipped_at_one():
    rng = np.random.default_rng(2)
    expected, uniforms = rng.gamma(0.5, 1.0, (40, 50)), rng.uniform(size=(40, 50))
    binary = draw_counts(expected, uniforms, Dispersion.of_slots(np.ones(50)))
    np.testing.assert_array_equal(binary, np.minimum(draw_poisson(expected, uniforms), 1))
    assert binary.dtype == np.uint8


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_expectations_that_are_none(bad):
    for draw in (draw_poisson, lambda expected, u: draw_counts(expected, u, Dispersion.of_slots([3, 3]))):
        with pytest.raises(ValueError, match="finite and not negative"):
            draw(np.array([0.1, bad]), np.array([0.5, 0.5]))


def test_too_large_expectations_and_other_shapes():
    with pytest.raises(ValueError, match=r"501 spikes in a bin; at most 500"):
        draw_poisson(np.array([501.0]), np.array([0.5]))
    with pytest.raises(ValueError, match="shape of expected_counts"):
        draw_poisson(np.zeros((2, 2)), np.zeros(4))


@pytest.mark.parametrize("slots", [1, 3, 10])
def test_slots_give_the_binomial_distribution_of_scipy(slots):
    uniforms = np.random.Generator(np.random.PCG64(4)).uniform(size=100_000)
    dispersion = Dispersion.of_slots([slots])
    counts = draw_counts(np.full((100_000, 1), 0.9), uniforms[:, None], dispersion)[:, 0]
    expected = binom.pmf(np.arange(slots + 1), slots, -np.expm1(-0.9 / slots))
    np.testing.assert_allclose(np.bincount(counts, minlength=slots + 1) / 100_000, expected, atol=0.006)
    assert counts.mean() == pytest.approx(dispersion.mean(np.array([0.9]))[0], rel=0.01)
    assert counts.var() == pytest.approx(dispersion.mean_and_variance(np.array([0.9]))[1][0], rel=0.02)


def test_slots_differ_between_units():
    uniforms = np.full((1, 3), 1 - 1e-9)
    drawn = draw_counts(np.full((1, 3), 2.0), uniforms, Dispersion.of_slots([1, 4, np.inf]))[0]
    np.testing.assert_array_equal(drawn[:2], [1, 4])
    assert drawn[2] == draw_poisson(np.full(1, 2.0), uniforms[0, :1])[0]


@pytest.mark.parametrize("slots", [1.0, 3.0, 8.0, np.inf])
def test_number_of_slots_is_found_again(slots):
    rng = np.random.Generator(np.random.PCG64(5))
    r = rng.uniform(0.3, 0.9, (40_000, 1))
    dispersion = Dispersion.of_slots([slots])
    counts = draw_counts(r, rng.uniform(size=r.shape), dispersion)
    found, gains = fit_dispersion(dispersion.mean(r)[:, 0], counts[:, 0].astype(float))
    assert found == slots or (slots == 8.0 and found in (6.0, 10.0))
    # Slots say all there is to say.
    np.testing.assert_allclose(gains, 1, atol=0.3)


def test_gains_of_further_spikes_have_the_moments_that_are_drawn_and_are_found_again():
    rng = np.random.Generator(np.random.PCG64(6))
    gains = np.array([[0.4, 1.0, 1.0], [3.0, 1.0, 0.3], [1.0, 1.0, 1.0]])
    dispersion = Dispersion(np.array([np.inf, np.inf, 4.0]), gains)
    r = np.broadcast_to(rng.uniform(0.1, 1.2, (100_000, 1)), (100_000, 3))
    counts = draw_counts(r, rng.uniform(size=r.shape), dispersion).astype(float)
    assert counts.max(axis=0)[2] <= 4
    # Whether a bin is empty does not depend on the gains.
    np.testing.assert_allclose((counts == 0).mean(axis=0), np.exp(-r[:, 0]).mean(), atol=0.005)
    np.testing.assert_allclose(counts.mean(axis=0), dispersion.mean(r).mean(axis=0), rtol=0.01)
    noise = ((counts - dispersion.mean(r)) ** 2).mean(axis=0)
    np.testing.assert_allclose(noise, dispersion.mean_and_variance(r)[1].mean(axis=0), rtol=0.03)
    slots, found = fit_dispersion(r[:, 0], counts[:, 0])
    assert np.isinf(slots) or slots > 5
    if np.isinf(slots):
        assert found[0] == pytest.approx(0.4, abs=0.03)
    slots, found = fit_dispersion(r[:, 1], counts[:, 1])
    assert np.isinf(slots)
    assert found[:2] == pytest.approx([3.0, 1.0], abs=0.1)


def test_few_spikes_say_nothing_about_gains():
    rng = np.random.Generator(np.random.PCG64(7))
    for _ in range(10):
        r = np.full(3000, 0.02)
        slots, gains = fit_dispersion(r, draw_poisson(r, rng.uniform(size=r.shape)).astype(float))
        assert np.isinf(slots)
        assert (gains == 1).all()


def test_survival_is_that_of_scipy():
    r = np.array([[1e-4, 0.3, 7.0]])
    dispersion = Dispersion.of_slots([np.inf, np.inf, 5])
    for k, above in enumerate(dispersion.survival(r), start=1):
        p = -np.expm1(-7.0 / 5)
        expected = [poisson.sf(k - 1, 1e-4), poisson.sf(k - 1, 0.3), binom.sf(k - 1, 5, p)]
        np.testing.assert_allclose(above[0], expected, rtol=1e-6, atol=1e-15)


def test_survival_ends_where_rounding_would_not():
    dispersion = Dispersion(np.full(2, np.inf), np.array([[0.4, 0.4, 0.2], [1.0, 1.0, 3.0]]))
    r = np.array([[50.0, 50.0]])
    levels = np.stack([above[0] for above in dispersion.survival(r)])
    assert len(levels) < 1000
    assert (np.diff(levels, axis=0) <= 0).all()
    assert levels[-1].max() < 1e-6


def test_counts_of_a_mean_have_that_mean():
    # Poisson, slots, and gains of further spikes: r of the mean is the inverse of the mean of r.
    gains = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.3, 2.0, 0.5]])
    dispersion = Dispersion(np.array([np.inf, 2.0, 5.0]), gains)
    mean = np.geomspace(1e-5, 1.5, 60)[:, None] * np.ones(3)
    np.testing.assert_allclose(dispersion.mean(dispersion.of_mean(mean)), mean, rtol=2e-3)
    # No bin of two slots holds more than two.
    assert np.isfinite(dispersion.of_mean(np.full((1, 3), 7.0))).all()
