"""Counts by inversion: against scipy's quantiles, and monotone in the uniforms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, poisson

from spikeinterface_gen.observation.dispersion import fit_slots, mean_counts
from spikeinterface_gen.observation.draw import draw_binomial, draw_poisson


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
    binary = draw_binomial(expected, 1, uniforms)
    np.testing.assert_array_equal(binary, np.minimum(draw_poisson(expected, uniforms), 1))
    assert binary.dtype == np.uint8


@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_expectations_that_are_none(bad):
    for draw in (draw_poisson, lambda expected, u: draw_binomial(expected, 3, u)):
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
    counts = draw_binomial(np.full(uniforms.shape, 0.9), slots, uniforms)
    expected = binom.pmf(np.arange(slots + 1), slots, -np.expm1(-0.9 / slots))
    np.testing.assert_allclose(np.bincount(counts, minlength=slots + 1) / 100_000, expected, atol=0.006)
    assert counts.mean() == pytest.approx(float(mean_counts(np.array(0.9), np.array(slots))), rel=0.01)


def test_slots_differ_between_units():
    uniforms = np.full((1, 3), 1 - 1e-9)
    np.testing.assert_array_equal(
        draw_binomial(np.full((1, 3), 2.0), np.array([1, 4, np.inf]), uniforms)[0, :2], [1, 4]
    )
    both = draw_binomial(np.full((1, 3), 2.0), np.array([1, 4, np.inf]), uniforms)[0, 2]
    assert both == draw_poisson(np.full(1, 2.0), uniforms[0, :1])[0]


@pytest.mark.parametrize("slots", [1.0, 3.0, 8.0, np.inf])
def test_number_of_slots_is_found_again(slots):
    rng = np.random.Generator(np.random.PCG64(5))
    r = rng.uniform(0.3, 0.9, 40_000)
    counts = draw_binomial(r, slots, rng.uniform(size=r.shape))
    found = fit_slots(mean_counts(r, np.array(slots)), counts.astype(float))
    assert found == slots or (slots == 8.0 and found in (6.0, 10.0))
