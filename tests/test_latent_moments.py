"""Moments of drawn latents against known ones."""

import numpy as np
import pytest
import torch

from spikeinterface_gen import LDNS, SpikeCounts
from spikeinterface_gen.models.latent_draws import sample_latents
from spikeinterface_gen.models.latent_moments import MAX_STRETCH, Moments, moments, transport

MIXING = np.array([[1.0, 0.3, 0.0], [0.0, 0.8, -0.2], [0.1, 0.0, 1.2]])


def points(seed=0, size=20_000):
    return np.random.default_rng(seed).normal(size=(size, 3))


def test_moments_become_those_of_the_target():
    source, target = moments(points() @ MIXING), moments(1.1 * points(1) @ MIXING.T + [1.0, -2.0, 0.0])
    A, b = transport(source, target)
    mapped = moments(points() @ MIXING @ A.T + b)
    np.testing.assert_allclose(mapped.mean, target.mean, atol=1e-9)
    np.testing.assert_allclose(mapped.covariance, target.covariance, atol=1e-9)
    # Of all such maps, the symmetric positive one is the shortest way.
    np.testing.assert_allclose(A, A.T, atol=1e-9)
    assert np.linalg.eigvalsh(A).min() > 0


def test_equal_moments_change_nothing():
    A, b = transport(moments(points() @ MIXING), moments(points() @ MIXING))
    np.testing.assert_allclose(A, np.eye(3), atol=1e-8)
    np.testing.assert_allclose(b, 0, atol=1e-8)


@pytest.mark.parametrize("variance", [0.0, 1e-12])
def test_directions_without_variance_are_not_blown_up(variance):
    A, _ = transport(Moments(np.zeros(2), np.diag([1.0, variance])), Moments(np.zeros(2), np.eye(2)))
    stretch = np.linalg.eigvalsh(A)
    assert stretch[0] == pytest.approx(1.0, abs=1e-6)
    assert stretch[1] <= MAX_STRETCH + 1e-9


def test_latents_drawn_after_a_fit_have_the_moments_of_encoded_ones():
    rng = np.random.default_rng(0)
    shared = np.exp(np.sin(np.arange(30) / 4 + rng.uniform(0, 6, (80, 1))))[..., None] * [0.3, 0.2, 0.1, 0.4, 0.3]
    counts = SpikeCounts(rng.poisson(shared).astype(np.uint8), 10.0)
    # Hardly trained: left alone, such a denoiser draws latents of other moments.
    model = LDNS(channels=16, denoiser_channels=16).fit(counts, num_steps=15, progress=False)
    networks = model.networks_
    encoded = moments(networks.encode(counts.counts).reshape(-1, networks.num_latents))
    drawn = np.concatenate(list(sample_latents(networks, np.full(512, 30), 7)))
    drawn = moments(drawn.reshape(-1, networks.num_latents))
    sd = np.sqrt(np.diag(encoded.covariance))
    np.testing.assert_allclose(drawn.mean / sd, encoded.mean / sd, atol=0.25)
    ratio = np.diag(drawn.covariance) / np.diag(encoded.covariance)
    assert ((ratio > 0.75) & (ratio < 1.3)).all()


def test_standardising_undoes_the_map():
    from spikeinterface_gen import load_model

    networks = load_model("steinmetz2019").networks_
    x = torch.randn(4, 5, networks.num_latents, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(networks.standardised(networks.unstandardised(x)), x, rtol=1e-4, atol=1e-4)
