"""Renewal units against what is known of them at constant drive, and the simulators that are made of them."""

import numpy as np
import pytest

from spikeinterface_gen import load_dataset
from spikeinterface_gen.datasets.renewal import RenewalUnits

UNITS = RenewalUnits(
    shape=np.array([1, 3, 1, 2]),
    refractory_ms=np.array([1.5, 3.0, 2.0, 2.5]),
    burst_probability=np.array([0.0, 0.0, 0.5, 0.3]),
    burst_ms=np.array([3.0, 3.0, 2.0, 4.0]),
)
STEP_MS = 2.5


@pytest.fixture(scope="module")
def steady():
    """400 trials of 2 s at constant drives: (drives, spikes)."""
    drive_hz = np.broadcast_to(np.array([20.0, 40.0, 10.0, 15.0]), (400, 800, 4))
    return drive_hz, UNITS.draw(drive_hz, STEP_MS, 0, "test", 0)


def test_rates_and_intervals_at_constant_drive(steady):
    drive_hz, (trial, unit, time_ms) = steady
    rates = np.bincount(unit, minlength=4) / (400 * 2.0)
    np.testing.assert_allclose(rates, UNITS.rates_hz(drive_hz[0, 0]), rtol=0.03)
    order = np.lexsort((time_ms, unit, trial))
    trial, unit, time_ms = trial[order], unit[order], time_ms[order]
    same = (np.diff(trial) == 0) & (np.diff(unit) == 0)
    intervals = np.diff(time_ms)[same]
    of = unit[1:][same]
    for k in range(4):
        assert intervals[of == k].min() >= UNITS.refractory_ms[k] - 1e-9
    # Without bursts: d + gamma of shape k, of variance (1/λ)²/k; long intervals do not fit into 2 s, a few per cent.
    for k in (0, 1):
        expected_ms = 1000.0 / drive_hz[0, 0, k] / np.sqrt(UNITS.shape[k])
        assert intervals[of == k].std() == pytest.approx(expected_ms, rel=0.04)
    # Half the intervals of the bursting unit are d + Exp(2 ms).
    within = intervals[of == 2] < 2.0 + 10.0
    assert within.mean() == pytest.approx(0.5 + 0.5 * (1 - np.exp(-0.1)), abs=0.03)


def test_trials_begin_in_equilibrium(steady):
    drive_hz, (_, unit, time_ms) = steady
    # The first 50 ms, in which a train that began with a spike, or a fresh stage, would show.
    early = np.bincount(unit[time_ms < 50.0], minlength=4) / (400 * 0.05)
    expected = UNITS.rates_hz(drive_hz[0, 0])
    np.testing.assert_array_less(np.abs(early - expected) / np.sqrt(expected / (400 * 0.05)), 5.0)


def test_expected_counts_are_the_mean_of_what_is_drawn():
    # A drive that doubles and falls again within 100 ms.
    swing = np.exp(np.sin(2 * np.pi * np.arange(80) * STEP_MS / 100.0))
    drive_hz = np.broadcast_to(swing[:, None] * np.array([20.0, 40.0, 10.0, 15.0]), (3000, 80, 4))
    _, unit, time_ms = UNITS.draw(drive_hz, STEP_MS, 1, "test", 0)
    bins = (time_ms // 5.0).astype(int)
    drawn = np.zeros((40, 4))
    np.add.at(drawn, (bins, unit), 1)
    expected = 3000 * UNITS.expected_counts(drive_hz[:1], STEP_MS, 0, 2)[0]
    np.testing.assert_allclose(drawn.sum(0), expected.sum(0), rtol=0.015)
    z = (drawn - expected) / np.sqrt(expected)
    assert np.sqrt(np.mean(z**2)) < 1.3


def test_silent_units_have_no_spikes():
    quiet = np.full((2, 4, 4), 1e-3)
    assert len(UNITS.draw(quiet, STEP_MS, 0, "test", 0)[0]) == 0


# ---- reaching --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reaching():
    return load_dataset("reaching", num_trials=64, return_truth=True)


def test_reaching_has_the_shape_of_mc_maze(reaching):
    counts = reaching.counts
    assert counts.counts.shape == reaching.rates.shape == (64, 140, 182)
    assert counts.bin_size_ms == 5.0
    assert reaching.latents.shape == (64, 140, 24)
    velocity = counts.covariates["hand_velocity"]
    assert velocity.shape == (64, 140, 2)
    speed = np.linalg.norm(velocity, axis=-1)
    # At rest until the hand moves, 100 ms after the bin, then a reach of some 0.1 m.
    assert speed[:, :20].max() < 1e-6
    assert 0.3 < np.median(speed.max(axis=1)) < 1.2
    path_m = np.linalg.norm(velocity.sum(axis=1) * 0.005, axis=-1)
    assert 0.06 < path_m.min() <= path_m.max() < 0.2
    np.testing.assert_allclose(
        counts.covariates["reach_angle"], np.arctan2(velocity[:, 50, 1], velocity[:, 50, 0]), rtol=1e-6
    )
    assert set(counts.covariates["barrier"]) == {"none", "left", "right"}
    assert len(set(counts.t_starts_s)) == 64
    assert not np.all(np.diff(counts.t_starts_s) > 0)


def test_barriers_bend_the_path(reaching):
    velocity, barrier = (reaching.counts.covariates[name] for name in ("hand_velocity", "barrier"))
    end = velocity.sum(axis=1)
    middle = velocity[:, :84].sum(axis=1)
    bend = end[:, 0] * middle[:, 1] - end[:, 1] * middle[:, 0]
    assert bend[barrier == "left"].min() > 0 > bend[barrier == "right"].max()


def test_spikes_of_reaching_follow_the_true_rates_and_are_no_poisson_counts(reaching):
    counts, rates = reaching.counts.counts, reaching.rates.astype(float)
    of_units, expected = counts.sum(axis=(0, 1)), rates.sum(axis=(0, 1))
    z = (of_units - expected) / np.sqrt(expected)
    assert abs(counts.sum() / rates.sum() - 1) < 0.02
    assert z.std() < 1.6
    # Refractory and regular units fire less often in neighbouring bins than their rates say, bursting ones more often.
    pairs = (counts[:, 1:].astype(float) * counts[:, :-1]).sum(axis=(0, 1))
    by_rates = (rates[:, 1:] * rates[:, :-1]).sum(axis=(0, 1))
    z_of_pairs = (pairs - by_rates) / np.sqrt(by_rates)
    assert (z_of_pairs < -3).sum() > 10
    assert (z_of_pairs > 3).sum() > 30
    sparse = reaching.counts.rates_hz
    assert np.median(sparse) < 12
    assert sparse.max() > 25


def test_trials_of_reaching_do_not_depend_on_how_many_there_are(reaching):
    few = load_dataset("reaching", num_trials=3)
    np.testing.assert_array_equal(few.counts, reaching.counts.counts[:3])
    np.testing.assert_array_equal(few.covariates["hand_velocity"], reaching.counts.covariates["hand_velocity"][:3])
    with pytest.raises(ValueError, match="num_trials"):
        load_dataset("reaching", num_trials=0)
