"""How many directions of log rates a decoder keeps."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.models.rank import enough_directions, keep_directions
from spikeinterface_gen.nn.autoencoder import Decoder

TRIALS, BINS, UNITS, LATENTS = 80, 50, 40, 5
LINEAR = slice(16, None, 17)
"""Features that are the latents themselves."""


class Known:
    """Networks whose encoder knows the latents, whatever is hidden of the counts."""

    binary = False

    def __init__(self, weight: np.ndarray, latents: dict[int, np.ndarray]) -> None:
        torch.manual_seed(0)
        decoder = Decoder(LATENTS, UNITS)
        with torch.no_grad():
            decoder.outlet.weight.zero_()
            decoder.outlet.weight[:, LINEAR] = torch.from_numpy(weight).float()
            decoder.outlet.bias.fill_(-2.0)
        self.autoencoder, self.latents = SimpleNamespace(decoder=decoder), latents

    def encode(self, counts: np.ndarray, mask: np.ndarray | None = None, share_hidden: float = 0.0) -> np.ndarray:
        return self.latents[len(counts)]


def population(num_true: int, noise: float) -> tuple[Known, SpikeCounts, SpikeCounts, np.ndarray]:
    """Networks whose loadings are the true ones and noise, trials, others to judge by, and the true loadings."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=(UNITS, LATENTS)) * np.where(np.arange(LATENTS) < num_true, 0.4, 0.0)
    z = {n: rng.normal(size=(n, BINS, LATENTS)).astype(np.float32) for n in (TRIALS, TRIALS // 2)}
    train, held_out = (SpikeCounts(rng.poisson(np.exp(z[n] @ true.T - 2.0)), 10.0) for n in z)
    return Known(true + rng.normal(scale=noise, size=true.shape), z), train, held_out, true


@pytest.mark.parametrize("num_true", [1, 2, 4])
def test_directions_of_noise_alone_are_not_needed(num_true: int) -> None:
    networks, train, held_out, _ = population(num_true, noise=0.05)
    assert enough_directions(networks, train, held_out, seed=0) == num_true


def test_all_directions_that_other_trials_confirm_are_kept() -> None:
    networks, train, held_out, _ = population(LATENTS, noise=0.0)
    assert enough_directions(networks, train, held_out, seed=0) == LATENTS


def test_what_is_kept_is_nearer_to_the_truth_and_means_stay() -> None:
    networks, train, _, true = population(2, noise=0.05)
    decoder, z = networks.autoencoder.decoder, torch.from_numpy(networks.latents[TRIALS])
    with torch.no_grad():
        before = decoder(z)
        keep_directions(networks, train, 2, seed=0)
        after = decoder(z)
    truth = z @ torch.from_numpy(true).float().T - 2.0
    # Of five equal shares of noise, the two in the plane of the signal stay.
    left = (after - truth).square().mean() / (before - truth).square().mean()
    assert 0.3 < left < 0.5
    assert torch.linalg.matrix_rank(decoder.outlet.weight, rtol=1e-4) == 2
    np.testing.assert_allclose(after.mean(dim=(0, 1)), before.mean(dim=(0, 1)), atol=1e-4)


def test_all_directions_leave_the_decoder_as_it_is() -> None:
    networks, train, _, _ = population(2, noise=0.05)
    decoder, z = networks.autoencoder.decoder, torch.from_numpy(networks.latents[TRIALS])
    with torch.no_grad():
        before = decoder(z)
        keep_directions(networks, train, LATENTS, seed=0)
        np.testing.assert_allclose(decoder(z), before, atol=1e-3)
