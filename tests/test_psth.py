"""The Poisson baselines against the rates they were given."""

import numpy as np
import pytest

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.models.base import NotFittedError
from spikeinterface_gen.models.psth import HomogeneousPoisson, PSTHPoisson


def bump(num_trials, seed=0, bins=40, units=12):
    rates = 0.1 + 0.5 * np.exp(-0.5 * ((np.arange(bins)[:, None] - np.linspace(8, 32, units)) / 5) ** 2)
    counts = np.random.default_rng(seed).poisson(rates, (num_trials, bins, units))
    return rates, SpikeCounts(counts, 10.0, unit_ids=[f"u{k}" for k in range(units)])


def test_cross_validation_smooths_and_brings_the_rates_closer():
    rates, counts = bump(30)
    chosen, raw, flat = PSTHPoisson().fit(counts), PSTHPoisson(0.0).fit(counts), HomogeneousPoisson().fit(counts)
    assert 0 < chosen.smoothing_bins_ < np.inf
    errors = [np.sqrt(np.mean((m.expected_counts_ - rates) ** 2)) for m in (chosen, raw, flat)]
    assert errors[0] < 0.5 * errors[1]
    assert errors[0] < 0.5 * errors[2]
    np.testing.assert_allclose(raw.expected_counts_, counts.counts.mean(axis=0))
    np.testing.assert_allclose(flat.expected_counts_, np.broadcast_to(counts.counts.mean(axis=(0, 1)), (40, 12)))


def test_constant_rates_are_found_constant():
    counts = SpikeCounts(np.random.default_rng(1).poisson(0.2, (30, 40, 30)), 10.0)
    assert PSTHPoisson().fit(counts).smoothing_bins_ >= 8


def test_samples_have_the_rates_and_say_what_they_are():
    rates, counts = bump(2000)
    sample = PSTHPoisson().fit(counts).sample(2000, seed=3)
    np.testing.assert_allclose(sample.counts.mean(axis=0), rates, atol=5 * np.sqrt(0.6 / 2000) + 0.02)
    assert sample.annotations["synthetic"] is True
    assert (sample.annotations["model"], sample.annotations["seed"]) == ("PSTHPoisson", 3)
    np.testing.assert_array_equal(sample.unit_ids, counts.unit_ids)


def test_a_trial_of_a_seed_does_not_depend_on_the_others():
    model = PSTHPoisson().fit(bump(20)[1])
    np.testing.assert_array_equal(model.sample(9, seed=5).counts[:4], model.sample(4, seed=5).counts)
    assert not np.array_equal(model.sample(4, seed=6).counts, model.sample(4, seed=5).counts)


def test_trials_of_different_lengths():
    _, counts = bump(40)
    lengths = np.where(np.arange(40) % 2, 40, 20)
    values = counts.counts.copy()
    values[np.arange(40) >= lengths[:, None]] = 0
    ragged = SpikeCounts(values, 10.0, num_bins=lengths)
    model = PSTHPoisson(0.0).fit(ragged)
    # Late bins are of half the trials: their expectation is over these alone.
    np.testing.assert_allclose(model.expected_counts_[20:], values[1::2, 20:].mean(axis=0))
    assert set(model.sample(30, seed=0).num_bins) == {20, 40}


def test_durations():
    _, counts = bump(40)
    model = PSTHPoisson().fit(counts)
    drawn = model.sample(4, durations=[0.1, 0.4, 0.05, 0.2], seed=2)
    assert drawn.num_bins.tolist() == [10, 40, 5, 20]
    np.testing.assert_array_equal(model.sample(4, durations=0.1, seed=2).counts[0], drawn.counts[0, :10])
    np.testing.assert_array_equal(model.sample(2, seed=2).counts[1], drawn.counts[1])
    with pytest.raises(
        ValueError, match=r"durations go up to 0\.5 s; this model is locked to trials of at most 0\.4 s"
    ):
        model.sample(2, durations=0.5)
    windows = SpikeCounts(counts.counts, 10.0, trial_locked=False)
    longer = PSTHPoisson(0.0).fit(windows).sample(2000, durations=0.45, seed=0)
    np.testing.assert_allclose(longer.counts[:, 40:].mean((0, 1)), windows.counts.mean((0, 1)), atol=0.03)


def test_models_say_what_they_are():
    counts = bump(20)[1]
    assert repr(PSTHPoisson()) == "PSTHPoisson(smoothing_bins=None), not fitted"
    assert repr(PSTHPoisson(2.0).fit(counts)) == "PSTHPoisson of 12 units, 40 bins of 10 ms, smoothed by 2 bins"
    assert repr(HomogeneousPoisson()) == "HomogeneousPoisson(), not fitted"
    assert repr(HomogeneousPoisson().fit(counts)).endswith("12 units, 40 bins of 10 ms, constant rates")


def test_silent_units_and_single_trials_work():
    values = bump(1)[1].counts.copy()
    values[:, :, 3] = 0
    sample = PSTHPoisson().fit(SpikeCounts(values, 10.0)).sample(50, seed=0)
    assert sample.counts[:, :, 3].sum() == 0
    assert sample.counts.sum() > 0


def test_misuse_is_an_error():
    with pytest.raises(NotFittedError, match="not fitted"):
        PSTHPoisson().sample(1)
    with pytest.raises(ValueError, match="smoothing_bins must not be negative"):
        PSTHPoisson(-1.0).fit(bump(3)[1])
    with pytest.raises(ValueError, match="num_trials must be a positive integer; got 0"):
        PSTHPoisson().fit(bump(3)[1]).sample(0)
