"""Spike history against known filters, and in long free runs."""

import numpy as np
import pytest
from histories import draws, history

from spikeinterface_gen.observation.history import SpikeHistory
from spikeinterface_gen.observation.history_fit import fit_history
from spikeinterface_gen.observation.likelihood import bernoulli_nll, poisson_nll
from spikeinterface_gen.observation.own_rates import MAX_LOG_GAIN

FILTERS = np.array([[-2.0, -1.0, 0.0], [0.6, 0.3, 0.0], [0.0, 0.0, 0.0]])


def after_a_spike(history, rate):
    """Expected counts 1, 2, … bins after a spike, shape (units, bins): factor and sum together."""
    return rate * np.exp(history.bias[:, None] + np.minimum(history.filters, MAX_LOG_GAIN)) + history.excitation


@pytest.mark.parametrize("binary", [False, True])
def test_known_filters_are_found_again(binary):
    true = history(FILTERS, bias=np.array([0.1, -0.2, 0.0]), binary=binary)
    rates = 0.15 * np.exp(0.5 * np.sin(np.arange(100) / 9.0))[None, :, None] * np.ones((300, 1, 3))
    counts, _ = true.simulate(rates, draws(300, 103, 3))
    predicted = np.ones(counts.shape, bool)
    fitted, _ = fit_history(rates, counts, predicted, 3, binary)
    # About 4000 spikes a unit: standard errors near 5 %. A factor above 1 may also be found as a sum.
    np.testing.assert_allclose(after_a_spike(fitted, 0.15), after_a_spike(true, 0.15), atol=0.03)
    np.testing.assert_allclose(fitted.filters[0], FILTERS[0], atol=0.6)
    np.testing.assert_allclose(fitted.bias, true.bias, atol=0.1)


def test_a_slow_unit_is_taken_for_one_of_its_population():
    # 100 spikes, of which one in the bin after another would be chance: by itself it says next to nothing.
    filters = np.tile([-3.0, -0.5, 0.0], (31, 1))
    true = history(filters)
    rates = np.full((100, 100, 31), 0.12)
    rates[:, :, 0] = 0.01
    counts, _ = true.simulate(rates, draws(100, 103, 31))
    alone, among = (
        fit_history(rates[:, :, :units], counts[:, :, :units], np.ones((100, 100, units), bool), 3, False)[0]
        for units in (1, 31)
    )
    assert alone.num_bins == 0 or alone.filters[0, 0] > -1.0
    np.testing.assert_allclose(among.filters[0], filters[0], atol=0.8)
    np.testing.assert_allclose(among.filters[1:, 0].mean(), -3.0, atol=0.5)


@pytest.mark.parametrize("binary", [False, True])
def test_bursts_of_a_slow_unit_are_found_again(binary):
    # A spike brings on 0.6 others, in a unit that fires in one bin of a hundred by itself: no factor could.
    alpha = np.array([[0.4, 0.2, 0.0]])
    true = history(np.zeros((1, 3)), alpha, binary=binary)
    rates = np.full((400, 200, 1), 0.01 / 0.4)
    counts, _ = true.simulate(rates, draws(400, 203, 1))
    # Of 2000 spikes, in bursts of 2.5 on average: a standard error of 5 %. Bins that hold several events lose some.
    assert counts.mean() == pytest.approx(0.01 / 0.4, rel=0.15 if not binary else 0.3)
    fitted, _ = fit_history(rates, counts, np.ones(counts.shape, bool), 3, binary)
    np.testing.assert_allclose(after_a_spike(fitted, 0.01), after_a_spike(true, 0.01), atol=0.05)
    np.testing.assert_allclose(fitted.bias, 0, atol=0.15)


def test_excitation_never_runs_away():
    # Each spike drives the fit towards more than one other.
    counts = np.tile(np.repeat([[0], [1]], [20, 20], axis=0)[None], (30, 1, 1)).astype(np.uint8) * 3
    fitted, _ = fit_history(np.full(counts.shape, 1e-3), counts, np.ones(counts.shape, bool), 10, False)
    assert fitted.excitation.sum() <= 0.9 + 1e-9
    _, expected = fitted.simulate(np.full((1, 10_000, 1), 0.01), draws(1, 10_010, 1))
    # Ten spikes, at most, for each one that comes by itself.
    assert expected.mean() < 10 * 0.01 * np.exp(fitted.bias[0] + MAX_LOG_GAIN) * 1.2


def test_entries_that_are_not_predicted_do_not_matter():
    rates = np.full((40, 30, 2), 0.2)
    true = history(np.full((2, 2), -3.0))
    counts, _ = true.simulate(rates, draws(40, 32, 2))
    predicted = np.ones(counts.shape, bool)
    predicted[::2, 20:] = False  # Trials of another length.
    changed = rates.copy()
    changed[~predicted] = 7.0
    a, b = (fit_history(r, counts, predicted, 2, False)[0] for r in (rates, changed))
    assert a.filters.any()
    np.testing.assert_array_equal(a.filters, b.filters)


def test_data_without_history_get_none():
    rates = np.full((200, 100, 8), 0.1)
    counts, _ = SpikeHistory.none(8).simulate(rates, draws(200, 100, 8))
    fitted, gains = fit_history(rates, counts, np.ones(counts.shape, bool), 10, False)
    assert fitted.num_bins == 0
    # Noise gains about half a nat for each parameter, of which every one costs one.
    assert gains["none"] == 0
    assert -80 < gains["factor"] < 0
    assert -60 < gains["factor and sum"] - gains["factor"] < 0


def test_free_runs_stay_bounded_for_ten_thousand_bins():
    explosive = history(np.full((4, 10), 0.8))
    counts, expected = explosive.simulate(np.full((1, 10_000, 4), 0.1), draws(1, 10_010, 4))
    assert expected.max() <= 0.1 * np.exp(MAX_LOG_GAIN) + 1e-6
    thousands = counts.reshape(10, 1000, 4).sum(axis=(1, 2))
    assert thousands.max() < 2 * thousands.min()


def test_trials_begin_as_they_go_on():
    counts, _ = history(FILTERS[:1]).simulate(np.full((20_000, 8, 1), 0.3), draws(20_000, 11, 1))
    means = counts.mean(axis=(0, 2))
    assert abs(means[0] - means[4:].mean()) < 4 * (0.2 / 20_000) ** 0.5


def test_without_history_counts_are_those_of_the_rates():
    rates = np.full((50, 20, 2), 0.4)
    counts, expected = SpikeHistory.none(2, binary=True).simulate(rates, draws(50, 20, 2))
    np.testing.assert_allclose(expected, rates)
    assert counts.max() == 1
    assert counts.mean() == pytest.approx(1 - np.exp(-0.4), abs=0.05)


def test_rates_stay_what_latents_say():
    # A burst and a refractory unit, driven fast and slowly: over all pasts, counts follow λ, and at once.
    drive = np.exp(1.2 * np.sin(np.arange(120) / 6.0))[:, None] * np.array([0.06, 0.12])
    filters, alpha = np.array([[0.0, 0.0, 0.0], [-3.0, -1.0, -0.5]]), np.array([[0.3, 0.2, 0.0], [0.0, 0.0, 0.0]])
    rates = np.broadcast_to(drive, (12_000, 120, 2))
    own = history(filters, alpha, ratio=0.4)
    error = own.simulate(rates, draws(12_000, 123, 2))[1].mean(axis=0) - drive
    variance = drive.var(axis=0)
    assert (np.square(error).mean(axis=0) < 0.02 * variance).all()
    assert (np.abs((error * (drive - drive.mean(axis=0))).mean(axis=0)) < 0.1 * variance).all()


def test_a_session_goes_on_from_its_last_bins():
    # r of bins follows from λ and spikes of the K bins before, whether more comes before these or not.
    K = 3
    rates = 0.1 * np.exp(np.sin(np.arange(80) / 4.0))[None, :, None] * np.ones((2, 1, 3))
    unit = history(FILTERS, excitation=np.abs(FILTERS) / 10, ratio=0.5)
    counts, _ = unit.simulate(rates, draws(2, 80 + K, 3))
    whole, later = (
        unit.simulate(
            rates[:, first:], draws(2, 80 + K - first, 3), (counts[:, first:], np.ones((2, 80 - first, 3), bool))
        )
        for first in (0, 40 - K)
    )
    np.testing.assert_allclose(later[1][:, K:], whole[1][:, 40:], rtol=1e-5)


def test_pair_ratio_is_one_by_chance_and_less_of_refractory_units():
    rates = np.full((400, 100, 6), 0.15)
    weak, strong = (history(np.tile(h, (6, 1)), ratio=0.1) for h in ([-0.5, 0.0, 0.0], [-4.0, -3.0, -2.0]))
    chance, refractory = (
        fit_history(rates, true.simulate(rates, draws(400, 103, 6))[0], np.ones(rates.shape, bool), 3, False)[0]
        for true in (weak, strong)
    )
    assert chance.pair_ratio.mean() > 0.8
    assert refractory.pair_ratio.mean() < 0.3


def test_likelihoods_are_those_of_scipy():
    import torch
    from scipy.stats import poisson

    log_rate = torch.linspace(-12, 2, 40, dtype=torch.float64)
    for s in (0, 1, 4):
        nll = poisson_nll(log_rate, torch.full_like(log_rate, s)).numpy()
        constant = poisson.logpmf(s, 1.0) + 1.0
        np.testing.assert_allclose(nll, constant - poisson.logpmf(s, np.exp(log_rate.numpy())), rtol=1e-10)
    spike = 1 - np.exp(-np.exp(log_rate.numpy()))
    np.testing.assert_allclose(bernoulli_nll(log_rate, torch.ones(40)).numpy(), -np.log(spike), rtol=1e-3)
    np.testing.assert_allclose(bernoulli_nll(log_rate, torch.zeros(40)).numpy(), np.exp(log_rate.numpy()))
