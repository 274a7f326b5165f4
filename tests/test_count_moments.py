"""Moments of counts in groups of trials, against numpy and what is known of sampling noise."""

import numpy as np

from spikeinterface_gen.observation.dispersion import Dispersion
from spikeinterface_gen.observation.moments import LATER, Control, count_moments, free_moments


def counts(num_trials=120, seed=0):
    rng = np.random.default_rng(seed)
    latent = np.repeat(rng.normal(size=(num_trials, 5, 1)), 10, axis=1)
    return rng.poisson(0.4 * np.exp(0.5 * latent * np.array([1.0, 0.8, -0.6, 0.0]))).astype(np.uint8)


def everywhere(x):
    return np.ones(x.shape[:2], bool)


def test_they_are_those_of_numpy():
    x = counts()
    moments = count_moments(x, everywhere(x), 0)
    flat = x.reshape(-1, 4).astype(float)
    np.testing.assert_allclose(moments.mean, flat.mean(axis=0))
    np.testing.assert_allclose(moments.sd, flat.std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(moments.over(0), np.corrcoef(flat.T), atol=1e-5)
    later, earlier = (part.reshape(-1, 4) - flat.mean(axis=0) for part in (x[:, LATER:], x[:, :-LATER]))
    expected = later.T @ earlier / len(later) / np.outer(flat.std(axis=0), flat.std(axis=0))
    np.testing.assert_allclose(moments.over(1), (expected + expected.T) / 2, atol=1e-5)


def test_padding_is_left_out():
    x = counts()
    padded = np.concatenate([x, np.full_like(x, 7)], axis=1)
    valid = np.arange(100)[None, :] < np.full((120, 1), 50)
    with_padding, without = count_moments(padded * valid[..., None], valid, 0), count_moments(x, everywhere(x), 0)
    np.testing.assert_allclose(with_padding.correlations, without.correlations, atol=1e-6)
    np.testing.assert_allclose(with_padding.mean, without.mean)


def test_noise_is_as_large_as_correlations_vary_from_one_recording_to_another():
    drawn = [counts(seed=seed) for seed in range(40)]
    found = [count_moments(x, everywhere(x), 0) for x in drawn]
    for lag in (0, 1):
        spread = np.std([moments.over(lag) for moments in found], axis=0)
        noise = np.sqrt(np.mean([np.square(n) for m in found[:10] for n in m.noises(lag, 0)], axis=0))
        pairs = found[0].known_pairs
        assert 0.75 < np.sqrt(np.mean(noise[pairs] ** 2) / np.mean(spread[pairs] ** 2)) < 1.33


def test_moments_of_free_runs_are_those_of_counts_that_are_drawn_from_them():
    rng = np.random.default_rng(3)
    r = (0.4 * np.exp(0.5 * np.repeat(rng.normal(size=(400, 5, 1)), 10, axis=1) * np.array([1.0, -0.7]))).astype(
        np.float32
    )
    free = free_moments(r, everywhere(r), Dispersion.of_slots(np.full(2, np.inf)), 0)
    x = rng.poisson(r)
    drawn = count_moments(x, everywhere(x), 0)
    np.testing.assert_allclose(free.mean, drawn.mean, rtol=0.02)
    np.testing.assert_allclose(free.sd, drawn.sd, rtol=0.02)
    np.testing.assert_allclose(free.over(0)[0, 1], drawn.over(0)[0, 1], atol=0.02)


def test_units_of_few_spikes_say_nothing_about_pairs():
    x = counts()
    x[:, :, 3] = 0
    x[0, :5, 3] = 1
    known = count_moments(x, everywhere(x), 0).known_pairs
    assert known[0, 1]
    assert not known[0, 3]
    assert not known[3].any()
    assert not known.diagonal().any()


def test_what_few_trials_are_off_by_chance_is_corrected_by_what_is_known_of_many():
    rng = np.random.default_rng(5)

    def rates(num_trials):
        latent = np.repeat(rng.normal(size=(num_trials, 5, 1)), 10, axis=1)
        return (0.4 * np.exp(0.5 * latent * np.array([1.0, 0.8, -0.6]))).astype(np.float32)

    # History, here: each unit by another factor.
    gains, dispersion = np.float32([0.9, 1.1, 1.0]), Dispersion.of_slots(np.full(3, np.inf))
    many, pairs = rates(2000), ~np.eye(3, dtype=bool)
    truth = free_moments(many * gains, everywhere(many), dispersion, 0)
    errors, mean_errors = [], []
    for _ in range(20):
        few = rates(50)
        valid, control = everywhere(few), Control(few, many, everywhere(many))
        found = [free_moments(few * gains, valid, dispersion, 0, given) for given in (None, control)]
        errors.append([[np.square(m.over(lag) - truth.over(lag))[pairs].mean() for lag in (0, 1)] for m in found])
        mean = (few * gains).mean(axis=(0, 1), dtype=float)
        wanted = many.mean(axis=(0, 1)) * gains
        mean_errors.append([np.abs(mean - wanted), np.abs(mean / control.mean_ratio(valid) - wanted)])
    plain, corrected = np.sqrt(np.mean(errors, axis=0))
    assert (corrected < 0.3 * plain).all()
    assert (plain > 0.005).all()
    plain, corrected = np.mean(mean_errors, axis=0)
    assert (corrected < 0.01 * plain).all()
    some = control.of_units(slice(1, 3))
    np.testing.assert_array_equal(some.few, few[..., 1:])
    np.testing.assert_array_equal(some.many, many[..., 1:])
