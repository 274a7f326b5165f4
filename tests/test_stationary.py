"""Latents made stationary over the bins of trials, against known covariances."""

import numpy as np

from spikeinterface_gen.models.stationary import MAX_STRETCH, bin_maps

BINS, LATENTS = 12, 3


def waiting_and_moving(trials, seed=0):
    """Latents whose covariance turns and grows over bins, with that of each bin, and of all."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, np.pi / 2, BINS)
    size = np.linspace(0.5, 1.5, BINS)
    factors = np.zeros((BINS, LATENTS, LATENTS))
    factors[:, 2, 2] = 1.0
    factors[:, 0, 0], factors[:, 0, 1] = size * np.cos(angle), size * np.sin(angle)
    factors[:, 1, 0], factors[:, 1, 1] = -0.5 * np.sin(angle), 0.5 * np.cos(angle)
    x = np.einsum("nti,tij->ntj", rng.normal(size=(trials, BINS, LATENTS)), factors)
    return x, np.einsum("tki,tkj->tij", factors, factors)


def test_every_bin_has_the_covariance_of_all():
    x, covariances = waiting_and_moving(5000)
    maps = bin_maps(x, np.ones(x.shape[:2], bool))
    back = np.einsum("ntj,tji->nti", x, np.linalg.inv(maps))
    found = np.einsum("nti,ntj->tij", back, back) / len(x)
    np.testing.assert_allclose(found, np.broadcast_to(covariances.mean(axis=0), found.shape), atol=0.05)
    np.testing.assert_allclose(maps, maps.swapaxes(1, 2), atol=1e-9)


def test_stationary_latents_stay_as_they_are():
    for trials, apart in ((30, 0.2), (5000, 0.02)):
        x = np.random.default_rng(0).normal(size=(trials, BINS, LATENTS))
        maps = bin_maps(x, np.ones(x.shape[:2], bool))
        assert np.abs(maps - np.eye(LATENTS)).max() < apart


def test_bins_that_few_trials_reach_are_as_all_are():
    x, _ = waiting_and_moving(2000)
    mask = np.ones(x.shape[:2], bool)
    mask[1:, -1] = False
    mask[:, -2] = False
    changed = x.copy()
    changed[~mask] = 1e3
    maps = bin_maps(x, mask)
    np.testing.assert_array_equal(maps, bin_maps(changed, mask))
    np.testing.assert_allclose(maps[-2], np.eye(LATENTS), atol=1e-6)
    assert np.abs(maps[-1] - np.eye(LATENTS)).max() < 0.5


def test_no_bin_is_blown_up():
    x, _ = waiting_and_moving(2000)
    x[:, 3] = 0.0
    stretch = np.linalg.eigvalsh(bin_maps(x, np.ones(x.shape[:2], bool)))
    assert stretch.min() >= 1 / MAX_STRETCH - 1e-9
    assert stretch.max() <= MAX_STRETCH + 1e-9
