"""The Poisson baselines against the rates they were given."""

import numpy as np
import pytest

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.models.base import NotFittedError
from spikeinterface_gen.models.psth import HomogeneousPoisson, PSTHPoisson, _smoothed


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


def densely_smoothed(spikes, trials, width):
    """Sums with the whole matrix of weights, bins × bins."""
    bins = np.arange(len(trials))
    weights = (
        np.exp(-0.5 * np.square((bins[:, None] - bins) / width)) if np.isfinite(width) else np.ones((bins.size,) * 2)
    )
    seen = weights @ trials
    mean = spikes.sum(axis=0) / trials.sum()
    return np.where(seen[:, None] > 0, weights @ spikes / np.maximum(seen, np.finfo(float).tiny)[:, None], mean)


@pytest.mark.parametrize("bins", [1, 2, 37, 400])
@pytest.mark.parametrize("width", [0.3, 0.5, 1.0, 4.0, 16.0, 300.0, np.inf])
def test_smoothing_is_that_of_the_whole_matrix_also_at_the_borders(bins, width):
    rng = np.random.default_rng(bins)
    # Ever fewer trials, and none in the last bins: there the mean of all stands.
    trials = np.maximum(0, np.linspace(9, -2, bins).astype(int)) if bins > 1 else np.array([3])
    spikes = rng.poisson(0.3 * trials[:, None], (bins, 4)).astype(float)
    np.testing.assert_allclose(
        _smoothed(spikes, trials, width), densely_smoothed(spikes, trials, width), rtol=1e-12, atol=1e-300
    )


def test_trials_of_many_bins_fit_into_memory():
    values = np.random.default_rng(0).poisson(0.05, (3, 120_000, 2)).astype(np.uint8)
    model = PSTHPoisson(2.0).fit(SpikeCounts(values, 10.0))  # 115 GB as a matrix
    np.testing.assert_allclose(model.expected_counts_.mean(axis=0), values.mean(axis=(0, 1)), rtol=1e-3)
    window = values[:, 500:700].sum(axis=0, dtype=float)
    expected = densely_smoothed(window, np.full(200, 3), 2.0)[90:110]
    np.testing.assert_allclose(model.expected_counts_[590:610], expected, rtol=1e-12)
