"""The modal sampler against Gaussians, of which the flow is known, and its transform against scipy's."""

import numpy as np
import pytest
import scipy.fft
import torch

from spikeinterface_gen.diffusion.denoise import GaussianDenoiser
from spikeinterface_gen.diffusion.modal import fit_weights, modal
from spikeinterface_gen.diffusion.modes import (
    MATRIX_MAX_BINS,
    MIN_SD,
    GaussianModes,
    cosine_transform,
    inverse_cosine_transform,
)
from spikeinterface_gen.nn.denoiser import DenoiserNetwork, in_bfloat16

BINS, LATENTS = 24, 2
SIGMA_MAX = 40.0


def normals(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def smooth_modes():
    """A mean, and standard deviations from 8 to 0.06 that fall with frequency."""
    sd = 8.0 * torch.exp(-torch.arange(BINS, dtype=torch.float64) / 5)[:, None] * torch.tensor([1.0, 0.7])
    mean = torch.sin(torch.arange(BINS, dtype=torch.float64) / 4)[:, None] * torch.tensor([1.0, -2.0])
    return GaussianModes(mean, sd)


def denoiser_of(modes, mixing=None):
    """Exact, for latents of these modes, mixed by an orthogonal matrix over the modes if given."""
    basis = inverse_cosine_transform(torch.eye(BINS * LATENTS, dtype=torch.float64).view(-1, BINS, LATENTS)).flatten(1)
    if mixing is not None:
        basis = mixing @ basis
    covariance = basis.T @ (modes.sd.flatten().square()[:, None] * basis)
    return GaussianDenoiser(inverse_cosine_transform(modes.mean[None]).flatten(), covariance)


@pytest.mark.parametrize("bins", [1, 2, 7, 24, MATRIX_MAX_BINS + 1, MATRIX_MAX_BINS + 2])
def test_transform_is_that_of_scipy(bins):
    x = normals(0, 2, bins, 3)
    c = cosine_transform(x)
    np.testing.assert_allclose(c, scipy.fft.dct(x.numpy(), axis=1, norm="ortho"), atol=1e-11)
    torch.testing.assert_close(inverse_cosine_transform(c), x)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_independent_gaussian_modes_are_exact_in_any_number_of_steps(steps):
    modes, noise = smooth_modes(), normals(1, 20, BINS, LATENTS)
    drawn = modal(denoiser_of(modes), lambda draw: noise, steps, modes)
    expected = inverse_cosine_transform(modes.mean + modes.sd * cosine_transform(noise))
    torch.testing.assert_close(drawn, expected, rtol=1e-6, atol=1e-6)


def correlated():
    """Modes of which each quarter is mixed with the next: the sampler knows their variances alone."""
    generator = torch.Generator().manual_seed(2)
    skew = torch.randn(BINS * LATENTS, BINS * LATENTS, generator=generator, dtype=torch.float64)
    mixing = torch.linalg.matrix_exp(0.03 * (skew - skew.T))
    modes = smooth_modes()
    denoiser = denoiser_of(modes, mixing)
    covariance = denoiser.directions @ (denoiser.variances[:, None] * denoiser.directions.T)
    basis = inverse_cosine_transform(torch.eye(BINS * LATENTS, dtype=torch.float64).view(-1, BINS, LATENTS)).flatten(1)
    variances = (basis @ covariance @ basis.T).diagonal().view(BINS, LATENTS)
    return denoiser, GaussianModes(inverse_cosine_transform(modes.mean[None])[0], variances.sqrt())


def flow(denoiser, modes, noise):
    """Where the probability flow of the denoiser takes what modal starts from."""
    start = (modes.sd.square() + SIGMA_MAX**2).sqrt() * cosine_transform(noise)
    y = inverse_cosine_transform(start).flatten(1) @ denoiser.directions
    gain = (denoiser.variances / (denoiser.variances + SIGMA_MAX**2)).sqrt()
    return (denoiser.mean + (y * gain) @ denoiser.directions.T).view_as(noise)


def test_many_steps_solve_the_flow_and_fitted_ones_need_few():
    denoiser, modes = correlated()
    noise, others = normals(3, 60, BINS, LATENTS), normals(4, 60, BINS, LATENTS)
    expected = flow(denoiser, modes, others)
    signal = expected.var()

    def error(steps, weights=None):
        return float((modal(denoiser, lambda draw: others, steps, modes, weights) - expected).square().mean() / signal)

    assert error(200) < 1e-5
    assert error(12) / error(24) > 3
    unfitted, fitted = error(8), error(8, fit_weights(denoiser, noise, 8, modes))
    assert fitted < 0.5 * unfitted
    assert fitted < 0.01


def test_weights_for_another_number_of_steps_are_not_used():
    denoiser, modes = correlated()
    noise = normals(3, 4, BINS, LATENTS)
    weights = torch.full((8, 3), 7.0)
    drawn = modal(denoiser, lambda draw: noise, 9, modes, weights)
    torch.testing.assert_close(drawn, modal(denoiser, lambda draw: noise, 9, modes))


def test_what_the_denoiser_says_of_padding_influences_nothing():
    denoiser, modes = correlated()
    noise = normals(5, 3, BINS, LATENTS)
    mask = (torch.arange(BINS) < torch.tensor([[24], [10], [17]]))[..., None].double()
    clean = modal(lambda y, sigma: denoiser(y, sigma) * mask, lambda draw: noise, 6, modes, mask=mask)
    dirty = modal(lambda y, sigma: denoiser(y, sigma) + 1e3 * (1 - mask), lambda draw: noise, 6, modes, mask=mask)
    torch.testing.assert_close(clean, dirty)
    whole = modal(denoiser, lambda draw: noise, 6, modes)
    torch.testing.assert_close(clean[0], whole[0])


def test_spectrum_of_trials_of_different_lengths():
    # White noise of s.d. 3 and a mean of 2: every mode has the s.d. 3, whatever the length.
    x = 2.0 + 3.0 * normals(6, 900, 20, 2).float()
    num_bins = torch.tensor([20, 12, 7]).repeat(300)
    x = x * (torch.arange(20) < num_bins[:, None])[..., None]
    for trial_locked in (True, False):
        mean, sd = GaussianModes.estimate(x, num_bins, trial_locked)
        assert mean.shape == sd.shape == (20, 2)
        assert (mean - 2).abs().max() < (1.0 if trial_locked else 0.2)
        assert (sd - 3).abs().max() < 0.4
    modes = GaussianModes(mean, sd).of_length(50)
    assert (modes.sd - 3).abs().max() < 0.4
    torch.testing.assert_close(inverse_cosine_transform(modes.mean[None])[0], mean[:1].expand(50, 2))
    _, flat = GaussianModes.estimate(torch.ones(5, 20, 1), torch.full((5,), 20), True)
    torch.testing.assert_close(flat, torch.full((20, 1), MIN_SD))


def test_bfloat16_twin_is_close_and_keeps_its_kernels():
    torch.manual_seed(0)
    network = DenoiserNetwork(3, 20, channels=32, num_blocks=2, num_constant=2, num_varying=1).eval()
    for name, parameter in network.named_parameters():
        if "mix_bins" not in name:
            torch.nn.init.normal_(parameter, std=0.2)
    twin = in_bfloat16(network)
    x, noise_level = torch.randn(4, 20, 6), torch.linspace(-1, 1, 4)
    condition = torch.randn(4, 2), torch.randn(4, 20, 1)
    with torch.no_grad():
        exact, close = network(x, noise_level, None, condition), twin(x, noise_level, None, condition).float()
    assert 0 < (close - exact).std() / exact.std() < 0.03
    assert twin.outlet.weight.dtype == torch.bfloat16
    assert {p.dtype for p in twin.blocks[0].mix_bins.parameters()} == {torch.float32}
    assert network.outlet.weight.dtype == torch.float32


def test_spread_noise_widens_gaussian_modes_and_no_more():
    modes, noise = smooth_modes(), normals(1, 20, BINS, LATENTS)
    drawn = modal(denoiser_of(modes), lambda draw: noise, 4, modes, spread=1.3)
    expected = inverse_cosine_transform(modes.mean + 1.3 * modes.sd * cosine_transform(noise))
    torch.testing.assert_close(drawn, expected, rtol=1e-6, atol=1e-6)
