"""The membership attack has power where training trials are copied, and none to show where they are not."""

import numpy as np
import pytest

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.validation.privacy import membership_inference


def session(num_trials=150, units=60, bins=30, seed=0):
    """A session whose rates drift over its trials."""
    rng = np.random.default_rng(seed)
    drift = np.linspace(-1, 1, num_trials)[:, None, None] * rng.normal(0, 0.4, units)
    gain = rng.normal(0, 0.3, (num_trials, 1, 1))
    return SpikeCounts(rng.poisson(0.15 * np.exp(drift + gain), (num_trials, bins, units)), 10.0)


def parts(seed=0):
    return session(seed=seed).split((0.4, 0.4, 0.2), seed=seed)


def test_copies_are_found():
    train, held_out, _ = parts()
    result = membership_inference(train, train, held_out)
    assert result.auc > 0.99
    assert result.auc_ceiling == 1.0
    assert result.closer_to_train == 1.0
    assert result.found
    assert result.p_value == 1 / 1000
    assert result.summary().startswith("Training trials can be told")
    assert "should be treated like the recorded data" in result.summary()


def test_a_model_that_redraws_training_trials_is_found():
    train, held_out, _ = parts(1)
    kernel = np.exp(-0.5 * (np.subtract.outer(np.arange(30), np.arange(30)) / 4) ** 2)
    rates = np.einsum("bc,tcu->tbu", kernel / kernel.sum(axis=1, keepdims=True), train.counts)
    redrawn = SpikeCounts(np.random.default_rng(2).poisson(rates), 10.0)
    result = membership_inference(redrawn, train, held_out)
    assert result.auc > 0.9
    assert result.found


def test_few_copies_stay_below_the_ceiling_but_are_found():
    train, held_out, _ = parts(2)
    result = membership_inference(train[:15], train, held_out)
    assert result.auc_ceiling == pytest.approx(0.5 + 0.5 * 15 / 60)
    assert result.auc < result.auc_ceiling + 0.12
    assert result.closer_to_train == 1.0
    assert result.found


def test_fresh_trials_of_a_drifting_session_give_nothing_away():
    results = [membership_inference(*(p[k] for k in (2, 0, 1))) for p in map(parts, range(10, 22))]
    aucs = np.array([r.auc for r in results])
    assert abs(aucs.mean() - 0.5) < 0.04
    assert np.mean([r.low <= 0.5 <= r.high for r in results]) >= 0.75
    # Of 12 at 1 %, two would be found in 0.6 % of cases; of uniform p-values the mean has an s.e. of 0.083.
    assert sum(r.found for r in results) <= 1
    assert 0.25 < np.mean([r.p_value for r in results]) < 0.75


def test_a_model_without_memory_gives_nothing_away():
    train, held_out, _ = parts(3)
    result = membership_inference(PSTHPoisson().fit(train).sample(60, seed=0), train, held_out)
    assert 0.35 < result.auc < 0.65
    assert "No memorisation was found" in result.summary()
    assert "no guarantee of privacy" in result.summary()


def test_so_few_trials_that_chance_does_as_much_show_nothing():
    train, held_out, _ = parts()
    result = membership_inference(train[:3], train[:3], held_out[:3])
    assert result.closer_to_train == 1.0
    assert result.p_value >= 1 / 20  # ways to choose 3 of 6 trials
    assert not result.found


def test_trials_of_different_lengths_and_too_few():
    counts = session()
    lengths = np.random.default_rng(0).integers(10, 31, counts.num_trials)
    values = counts.counts.copy()
    values[np.arange(30) >= lengths[:, None]] = 0
    train, held_out, synthetic = SpikeCounts(values, 10.0, num_bins=lengths).split((0.4, 0.4, 0.2))
    assert 0.3 < membership_inference(synthetic, train, held_out).auc < 0.7
    with pytest.raises(ValueError, match="held_out has 2 trials"):
        membership_inference(synthetic, train, held_out[:2])
