"""Gaussian copula of the counts of one bin: against drawn counts, and recovered from them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest

from spikeinterface_gen.observation.count_model import CountModel
from spikeinterface_gen.observation.dispersion import Dispersion
from spikeinterface_gen.observation.history import SpikeHistory
from spikeinterface_gen.observation.moments import count_moments
from spikeinterface_gen.observation.synchrony import (
    Synchrony,
    _copula_correlation,
    fit_synchrony,
    positive_definite,
)
from spikeinterface_gen.randomness import uniforms


def model_of(correlation: np.ndarray, slots: float = np.inf) -> CountModel:
    num_units = len(correlation)
    dispersion = Dispersion.of_slots(np.full(num_units, slots))
    history = replace(SpikeHistory.none(num_units, slots == 1), dispersion=dispersion)
    return CountModel(history, Synchrony(correlation))


def poisson(num_units: int) -> Dispersion:
    return Dispersion.of_slots(np.full(num_units, np.inf))


def pairwise(num_units: int, pairs: dict[tuple[int, int], float]) -> np.ndarray:
    correlation = np.eye(num_units)
    for (i, j), value in pairs.items():
        correlation[i, j] = correlation[j, i] = value
    return correlation


def test_uniforms_stay_uniform_and_take_on_the_correlation():
    synchrony = Synchrony(pairwise(3, {(0, 2): 0.6}))
    u = synchrony.couple(uniforms(0, "test", 0, (20000, 3)))
    for unit in range(3):
        assert kstest(u[:, unit], "uniform").pvalue > 1e-3
    # Rank correlation of a Gaussian copula: 6/π · asin(R/2).
    rank = np.corrcoef(u.T)
    assert rank[0, 2] == pytest.approx(6 / np.pi * np.arcsin(0.3), abs=0.02)
    assert abs(rank[0, 1]) < 0.025
    assert np.array_equal(u[:, 1], uniforms(0, "test", 0, (20000, 3))[:, 1])


def test_no_synchrony_changes_no_number():
    u = uniforms(3, "test", 0, (5, 4))
    assert Synchrony.none(4).couple(u) is u


def test_blocks_share_what_each_of_them_shares():
    first, second = Synchrony(pairwise(4, {(0, 2): 0.6, (1, 3): -0.4})), Synchrony(pairwise(3, {(0, 1): 0.5}))
    both = Synchrony.of_blocks([first, second])
    assert sorted(both.coupled) == [0, 1, 2, 3, 4, 5]
    u = uniforms(0, "test", 0, (50, 7))
    np.testing.assert_allclose(both.couple(u)[:, :4], first.couple(u[:, :4]), rtol=1e-12)
    np.testing.assert_allclose(both.couple(u)[:, 4:], second.couple(u[:, 4:]), rtol=1e-12)


@pytest.mark.parametrize("slots", [1.0, 4.0, np.inf])
@pytest.mark.parametrize("rate", [0.03, 0.4, 3.0])
@pytest.mark.parametrize("wanted", [-0.3, 0.2, 0.7])
def test_expected_covariance_is_that_of_drawn_counts(slots, rate, wanted):
    rates = np.full((40, 1500, 2), rate, np.float32) * np.linspace(0.5, 1.5, 1500)[None, :, None].astype(np.float32)
    model = model_of(pairwise(2, {(0, 1): wanted}), slots)
    expected = model.history.dispersion.mean(rates)
    counts = model.draw(rates if slots == 1 else expected, 0, "test").astype(float)
    covariance = np.full((2, 2), ((counts - expected)[..., 0] * (counts - expected)[..., 1]).mean())
    found = _copula_correlation(covariance, rates[0], Dispersion.of_slots(np.full(2, slots)))[0, 1]
    # Sparse counts say little about negative correlations, and few coincide by chance.
    assert found == pytest.approx(wanted, abs=0.12 if rate < 0.1 else 0.04)


def recording(correlation: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts and rates of 120 trials of 50 bins with one latent."""
    num_units = len(correlation)
    latent = np.sin(np.arange(50) / 5)[None, :, None] * np.ones((120, 1, 1))
    rates = (0.15 * np.exp(0.5 * latent) * np.ones(num_units)).astype(np.float32)
    return model_of(correlation).draw(rates, seed, "recording"), rates


@pytest.mark.parametrize("num_units", [2, 5, 30])
def test_independent_units_are_found_to_be_so(num_units):
    found = []
    for seed in range(6):
        counts, rates = recording(np.eye(num_units), seed)
        valid = np.ones(counts.shape[:2], bool)
        synchrony = fit_synchrony(count_moments(counts, valid, 0), rates, valid, poisson(num_units), 0)
        found.append(np.abs(synchrony.correlation - np.eye(num_units)).max())
    # One may stand out of the noise by chance, and no more than a little.
    assert np.sum(np.array(found) > 0.01) <= 2
    assert max(found) < 0.2


def test_sparse_units_cannot_exclude_each_other():
    # A covariance that no counts can have.
    r = np.full((100, 2), 0.002)
    impossible = np.array([[0.0, -1e-5], [-1e-5, 0.0]])
    assert _copula_correlation(impossible, r, poisson(2))[0, 1] > -0.6


def test_pairs_and_shared_noise_are_recovered():
    truth = np.full((30, 30), 0.15)
    truth[:10] = truth[:, :10] = 0.0
    truth[0, 1] = truth[1, 0] = 0.8
    np.fill_diagonal(truth, 1)
    counts, rates = recording(truth, 1)
    valid = np.ones(counts.shape[:2], bool)
    found = fit_synchrony(count_moments(counts, valid, 0), rates, valid, poisson(rates.shape[2]), 0).correlation
    assert found[0, 1] == pytest.approx(0.8, abs=0.1)
    shared = found[10:, 10:][~np.eye(20, dtype=bool)]
    assert shared.mean() == pytest.approx(0.15, abs=0.05)
    assert np.abs(found[2:10, 2:10] - np.eye(8)).max() < 0.1
    assert np.linalg.eigvalsh(found).min() > 0


def test_what_free_runs_lack_by_their_own_chance_is_no_synchrony():
    # Many recorded trials and few drawn ones, of rates that differ from trial to trial.
    def rates_of(num_trials, seed):
        level = np.random.default_rng(seed).normal(0, 0.6, (num_trials, 1, 1)) * np.ones((1, 20, 30))
        return (0.15 * np.exp(level - 0.18)).astype(np.float32)

    found = []
    for seed in range(5):
        recorded = model_of(np.eye(30)).draw(rates_of(1600, 10 + seed), seed, "recording")
        drawn = rates_of(100, 20 + seed)
        moments = count_moments(recorded, np.ones(recorded.shape[:2], bool), seed)
        synchrony = fit_synchrony(moments, drawn, np.ones(drawn.shape[:2], bool), poisson(30), seed)
        found.append(np.abs(synchrony.correlation - np.eye(30)).mean())
    assert np.median(found) < 0.002


def test_impossible_correlations_become_possible_ones():
    impossible = pairwise(3, {(0, 1): 0.9, (1, 2): 0.9, (0, 2): -0.9})
    possible = positive_definite(impossible)
    assert np.linalg.eigvalsh(possible).min() > 0
    assert np.allclose(np.diag(possible), 1)
    fine = pairwise(3, {(0, 1): 0.5})
    assert np.array_equal(positive_definite(fine), fine)


def test_silent_units_are_left_alone():
    counts, rates = recording(np.eye(5), 0)
    counts[:, :, 3] = 0
    valid = np.ones(counts.shape[:2], bool)
    found = fit_synchrony(count_moments(counts, valid, 0), rates, valid, poisson(rates.shape[2]), 0).correlation
    assert np.array_equal(found[3], np.eye(5)[3])


def test_trials_do_not_depend_on_how_many_are_drawn():
    rates = np.full((5, 30, 4), 0.5, np.float32)
    model = model_of(pairwise(4, {(0, 1): 0.5, (2, 3): -0.3}))
    assert np.array_equal(model.draw(rates, 2, "x")[3:], model.draw(rates[3:], 2, "x", first=3))
