"""The state-space layer: its three ways agree, and causal means causal."""

import numpy as np
import pytest
import torch

from spikeinterface_gen.nn import ssm
from spikeinterface_gen.nn.autoencoder import Autoencoder
from spikeinterface_gen.nn.blocks import Block
from spikeinterface_gen.nn.ssm import StateSpace, legs_eigenvalues


def layer(bidirectional=False, channels=12, num_kernels=4):
    torch.manual_seed(0)
    return StateSpace(channels, bidirectional=bidirectional, num_kernels=num_kernels, state_size=16)


def test_legs_eigenvalues_are_those_of_the_normal_part_of_the_matrix():
    n = np.arange(8)
    scale = np.sqrt(2 * n + 1)
    legs = -np.where(n[:, None] > n, np.outer(scale, scale), np.where(n[:, None] == n, n + 1, 0))
    normal = legs + 0.5 * np.outer(scale, scale)
    expected = np.linalg.eigvals(normal)
    expected = expected[expected.imag > 0]
    np.testing.assert_allclose(legs_eigenvalues(8), expected[np.argsort(expected.imag)], rtol=1e-9)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_bins", [1, 2, 37])
def test_toeplitz_product_equals_fft(bidirectional, num_bins):
    model, u = layer(bidirectional), torch.randn(3, num_bins, 12)
    torch.testing.assert_close(model._by_toeplitz(u), model._by_fft(u), rtol=1e-4, atol=1e-5)


def test_recurrence_equals_toeplitz_product():
    model, u = layer(), torch.randn(2, 50, 12)
    state, bins = model.initial_state(2), []
    for t in range(50):
        y, state = model.step(u[:, t], state)
        bins.append(y)
    torch.testing.assert_close(torch.stack(bins, 1), model(u), rtol=1e-4, atol=1e-5)


def test_bidirectional_layers_have_no_recurrence():
    model = layer(bidirectional=True)
    with pytest.raises(ValueError, match="causal=True"):
        model.step(torch.zeros(1, 12), model.initial_state(1))


def test_long_sequences_take_the_fft_and_agree(monkeypatch):
    model, u = layer(True), torch.randn(1, 30, 12)
    expected = model(u)
    monkeypatch.setattr(ssm, "TOEPLITZ_MAX_BINS", 10)
    torch.testing.assert_close(model(u), expected, rtol=1e-4, atol=1e-5)


def test_gradients_flow_through_both_ways():
    model, u = layer(True), torch.randn(2, 9, 12)
    gradients = []
    for way in (model._by_toeplitz, model._by_fft):
        model.zero_grad()
        way(u).square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_cached_kernel_follows_the_parameters():
    model, u = layer(), torch.randn(1, 20, 12)
    with torch.no_grad():
        before = model(u)
        torch.testing.assert_close(model(u), before, rtol=0, atol=0)
        model.C.mul_(2.0)
        after = model(u)
        torch.testing.assert_close(after - model.D * u, 2 * (before - model.D * u), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_causal_encoders_see_no_later_bin(causal):
    torch.manual_seed(0)
    encoder = Autoencoder(5, 3, channels=16, causal=causal).encoder.eval()
    s = torch.randn(1, 30, 5)
    changed = s.clone()
    changed[:, 20:] += 1.0
    difference = (encoder(s) - encoder(changed)).abs().amax(dim=(0, 2))
    assert difference[20:].min() > 1e-4
    assert (difference[:20].max() < 1e-6) == causal


def test_padding_influences_nothing():
    torch.manual_seed(0)
    encoder = Autoencoder(5, 3, channels=16).encoder.eval()
    s = torch.randn(2, 25, 5)
    mask = (torch.arange(25) < torch.tensor([[25], [15]])).float()[..., None]
    changed = s + 3.0 * (1 - mask)
    torch.testing.assert_close(encoder(s, mask), encoder(changed, mask), rtol=0, atol=0)
    short = encoder(s[1:, :15], mask[1:, :15])
    torch.testing.assert_close(encoder(s, mask)[1:, :15], short, rtol=1e-4, atol=1e-5)


def test_modulated_block_starts_as_the_identity():
    block = Block(16, bidirectional=True, embedding_size=4)
    x = torch.randn(2, 7, 16)
    torch.testing.assert_close(block(x, torch.randn(2, 4)), x)


def test_kernels_must_divide_the_channels():
    with pytest.raises(ValueError, match="num_kernels must divide the 12 channels; got 5"):
        StateSpace(12, num_kernels=5)
