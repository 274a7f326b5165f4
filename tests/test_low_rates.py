"""Low rates, against intervals of rates that are known."""

import numpy as np
import pytest

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.observation.low_rates import MAX_POWER, LowRates, fit_low_rates, intervals
from spikeinterface_gen.validation.statistics import TrialStatistics

UNITS, BINS = 12, 200


def rates_of(num_trials, seed):
    """Log-normal rates that change over some ten bins, shape (trials, bins, units)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_trials, BINS, UNITS))
    for k in range(1, BINS):
        x[:, k] = 0.9 * x[:, k - 1] + np.sqrt(1 - 0.9**2) * x[:, k]
    return np.exp(np.log(0.1) + 0.8 * x - 0.32).astype(np.float32)


def free_runs(rates, seed):
    """Poisson counts of such rates with low ones lower, of the same means."""
    low, mean = LowRates.of(0.0, rates.reshape(-1, UNITS)), rates.mean(axis=(0, 1))

    def of(power):
        lower = LowRates(power, low.median).applied(rates)
        lower = lower * (mean / lower.mean(axis=(0, 1)))
        return np.random.default_rng(seed).poisson(lower).astype(np.uint8)

    return of


def test_applied():
    rates = np.array([[0.1, 4.0], [0.4, 1.0]], np.float32)
    found = LowRates(0.5, np.array([0.4, 2.0])).applied(rates)
    np.testing.assert_allclose(found, [[0.1 * 0.25**0.5, 4.0], [0.4, 1.0 * 0.5**0.5]], rtol=1e-6)
    assert found.dtype == np.float32
    assert LowRates(0.0, np.ones(2)).applied(rates) is rates


def test_median():
    rates = rates_of(5, 0).reshape(-1, UNITS)
    np.testing.assert_allclose(LowRates.of(0.1, rates).median, np.median(rates, axis=0))


def test_intervals_are_those_of_statistics():
    counts = free_runs(rates_of(40, 0), 1)(0.0)
    statistics = TrialStatistics(SpikeCounts(counts, 1000.0))
    found = intervals(counts)
    np.testing.assert_array_equal(found.number.sum(axis=0), statistics.num_intervals())
    every = found._replace(**{name: x.sum(axis=0, keepdims=True) for name, x in found._asdict().items()})
    np.testing.assert_allclose(np.exp(every.log_cv()[0]), statistics.isi_sd_s() / statistics.isi_mean_s(), rtol=1e-9)


@pytest.mark.parametrize("power", [0.0, 0.1, 0.2])
def test_known_power_is_found(power):
    recorded = intervals(free_runs(rates_of(1500, 0), 1)(power))
    free = free_runs(rates_of(1500, 2), 3)
    found = fit_low_rates(lambda power: intervals(free(power)), recorded)
    # What it does grows less than in proportion, and the prior holds it back.
    assert 0.65 * power - 0.03 < found < power + 0.03


def test_what_few_trials_say_counts_for_less():
    recorded = [intervals(free_runs(rates_of(n, 0), 1)(0.15)) for n in (1500, 30)]
    free = free_runs(rates_of(1500, 2), 3)
    many, few = (fit_low_rates(lambda power: intervals(free(power)), of) for of in recorded)
    assert 0.1 < many < 0.2
    assert 0 <= few < many


def test_intervals_that_vary_too_much_are_left_alone():
    free = free_runs(rates_of(300, 2), 3)
    assert fit_low_rates(lambda power: intervals(free(0.2 + power)), intervals(free(0.0))) == 0.0


def test_bounded():
    free = free_runs(rates_of(300, 2), 3)
    assert fit_low_rates(lambda power: intervals(free(power)), intervals(free(1.5))) == MAX_POWER


def test_units_without_spikes():
    nothing = np.zeros((20, BINS, UNITS), np.uint8)
    assert fit_low_rates(lambda power: intervals(nothing), intervals(nothing)) == 0.0
