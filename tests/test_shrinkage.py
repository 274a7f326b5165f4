"""How much of noisy numbers is believed, against the mixture that they were drawn from."""

import numpy as np
import pytest

from spikeinterface_gen.observation.shrinkage import believed


def test_expected_signals_are_those_of_the_true_mixture():
    rng = np.random.default_rng(0)
    large = rng.random(50_000) < 0.05
    signal = np.where(large, 4.0, 0.25) * rng.normal(size=50_000)
    z = signal + rng.normal(size=50_000)
    densities = [
        share * np.exp(-(z**2) / (2 * (1 + v))) / np.sqrt(1 + v) for share, v in ((0.95, 0.25**2), (0.05, 16.0))
    ]
    exact = z * (densities[0] * 0.0625 / 1.0625 + densities[1] * 16 / 17) / sum(densities)
    found = believed(z)
    error, least, plain = (np.mean((x - signal) ** 2) for x in (found, exact, z))
    assert plain == pytest.approx(1.0, rel=0.05)
    assert least < error < 1.03 * least
    np.testing.assert_allclose(found[np.abs(z) > 8], z[np.abs(z) > 8], rtol=0.1)


def test_of_noise_little_is_believed():
    for seed in range(3):
        z = np.random.default_rng(seed).normal(size=20_000)
        assert np.mean(believed(z) ** 2) < 0.01


def test_a_few_and_no_numbers():
    assert believed(np.zeros(0)).shape == (0,)
    np.testing.assert_array_equal(believed(np.zeros(5)), np.zeros(5))
    found = believed(np.array([30.0, 0.1, -0.2]))
    assert found[0] > 15
    assert np.abs(found[1:]).max() < 0.2
