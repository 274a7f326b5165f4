"""Linear responses of latents to conditions, against known ones."""

import numpy as np
import pytest
import torch

from spikeinterface_gen.diffusion.denoise import MIN_LEFT, PreconditionedDenoiser
from spikeinterface_gen.diffusion.modal import modal
from spikeinterface_gen.diffusion.modes import cosine_transform, inverse_cosine_transform
from spikeinterface_gen.diffusion.responses import NUM_SLOW, Predictors, linear_responses

BINS, LATENTS = 20, 3
# Sine, cosine, known; two categories, known.
SAYS_KNOWN = torch.tensor([2, 2, 2, 5, 5, 5])


class Nothing(torch.nn.Module):
    """A network that knows nothing beyond Gaussian modes."""

    def forward(self, x, c_noise, mask=None, condition=None):
        return torch.zeros(*x.shape[:2], x.shape[2] // 2)


def trials(number, seed=0):
    """Features of an angle, and of a side that is unknown in a fifth of the trials; their part of the latents."""
    generator = torch.Generator().manual_seed(seed)
    angle = 2 * np.pi * torch.rand(number, generator=generator)
    left, known = (torch.rand(number, generator=generator) < share for share in (0.3, 0.8))
    columns = (angle.sin(), angle.cos(), torch.ones(number), left & known, ~left & known, known)
    features = torch.stack([column.float() for column in columns], dim=1)
    t = torch.arange(BINS) / BINS
    turning = (angle.cos()[:, None] * torch.sin(3 * t))[..., None] * torch.tensor([1.0, 2.0, 0.0])
    rising = ((left.float() - 0.3) * known)[:, None, None] * t[:, None] * torch.tensor([0.0, 1.0, 3.0])
    return features, turning, rising, generator


def test_known_responses_are_found():
    features, turning, rising, generator = trials(2000)
    signal = turning + rising
    x = signal + torch.randn(signal.shape, generator=generator)
    responses, explained = linear_responses(x - x.mean(0), features, SAYS_KNOWN)
    found = torch.tensordot(features, responses, dims=1)
    power = (signal - signal.mean(0)).square().mean()
    assert float((found - (signal - signal.mean(0))).square().mean() / power) < 0.005
    # What is explained of the variance of modes, by each covariate.
    for row, part in ((2, turning), (5, rising[features[:, 5] > 0])):
        variance = cosine_transform(part - part.mean(0)).square().mean(0)
        np.testing.assert_allclose(explained[row].sum(), variance.sum(), rtol=0.1)
    assert not explained[[0, 1, 3, 4]].any()


def test_an_unknown_covariate_leaves_the_mean_where_it_is():
    features, turning, rising, generator = trials(2000)
    x = turning + rising + 0.1 * torch.randn(turning.shape, generator=generator)
    responses, _ = linear_responses(x - x.mean(0), features, SAYS_KNOWN)
    # Over trials in which the side is known, its part is zero on average, as if it were not.
    side = torch.where(SAYS_KNOWN == 5, features[features[:, 5] > 0], 0.0)
    assert torch.tensordot(side, responses, dims=1).mean(0).abs().max() < 1e-5


def test_of_noise_next_to_nothing_is_learned():
    features, turning, _, generator = trials(100)
    x = torch.randn(turning.shape, generator=generator)
    responses, _ = linear_responses(x - x.mean(0), features, SAYS_KNOWN)
    # Least squares would explain 3 of 100.
    assert torch.tensordot(features, responses, dims=1).square().mean() < 0.01


def test_without_features_there_are_no_responses():
    x = torch.randn(30, BINS, LATENTS, generator=torch.Generator().manual_seed(0))
    for part in linear_responses(x, torch.zeros(30, 0), torch.zeros(0, dtype=torch.int64)):
        assert part.shape == (0, BINS, LATENTS)


def conditional():
    """Denoiser of modes of standard deviation 2 about a mean that follows from one feature, which explains half."""
    denoiser = PreconditionedDenoiser(Nothing(), BINS, LATENTS, Predictors(BINS, (1, 1)))
    denoiser.set_modes(torch.full((BINS, LATENTS), 0.5), torch.full((BINS, LATENTS), 2.0))
    responses = torch.zeros(2, BINS, LATENTS)
    responses[0] = inverse_cosine_transform(torch.full((1, BINS, LATENTS), 2.0**0.5))[0]
    explained = torch.zeros(2, BINS, LATENTS)
    explained[1] = 2.0
    denoiser.set_responses(responses, explained)
    return denoiser


def test_the_denoiser_is_exact_for_gaussian_modes_that_follow_conditions():
    denoiser = conditional()
    y, sigma = torch.randn(4, BINS, LATENTS, generator=torch.Generator().manual_seed(0)), torch.full((4,), 1.5)
    feature = torch.tensor([-1.0, 1.0, 2.0, 0.0])
    features = torch.stack([feature, torch.tensor([1.0, 1.0, 1.0, 0.0])], dim=1)
    mean = 0.5 + feature[:, None, None] * denoiser.responses[0]
    variance = torch.tensor([2.0, 2.0, 2.0, 4.0])[:, None, None]
    expected = mean + variance / (variance + 1.5**2) * (y - mean)
    torch.testing.assert_close(denoiser(y, sigma, None, (features,)), expected, rtol=1e-4, atol=1e-4)
    unknown = 0.5 + 4 / (4 + 1.5**2) * (y - 0.5)
    torch.testing.assert_close(denoiser(y, sigma), unknown, rtol=1e-4, atol=1e-4)


def test_trials_are_drawn_about_the_means_of_their_conditions():
    denoiser = conditional()
    features = torch.ones(2000, 2)
    noise = torch.randn(2000, BINS, LATENTS, generator=torch.Generator().manual_seed(1))
    modes = denoiser.modes(BINS, (features,))
    drawn = modal(lambda y, sigma: denoiser(y, sigma, None, (features,)), lambda _: noise, 4, modes)
    np.testing.assert_allclose(drawn.mean(0), 0.5 + denoiser.responses[0], atol=4 * (2 / 2000) ** 0.5)
    np.testing.assert_allclose(drawn.var(0).mean(), 2.0, rtol=0.02)


def test_conditions_never_explain_everything():
    denoiser = conditional()
    denoiser.explained[1] = 5.0
    sd = denoiser.modes(BINS, (torch.ones(1, 2),)).sd
    assert float(sd.min()) == pytest.approx(2.0 * MIN_LEFT**0.5, rel=1e-5)


def test_shorter_trials_have_the_modes_of_their_conditions():
    modes = conditional().modes(BINS // 2, (torch.ones(3, 2),))
    assert modes.mean.shape == modes.sd.shape == (3, BINS // 2, LATENTS)
    torch.testing.assert_close(modes.sd, torch.full_like(modes.sd, 2.0**0.5))


def test_predictors_are_constant_features_slow_modes_and_what_is_known():
    # Two constant covariates; one of two varying columns and one of one, each with the feature that says it is known.
    predictors = Predictors(BINS, (1, 1, 2), (2, 2, 2, 4, 4))
    constant = torch.tensor([[0.3, 1.0, 1.0], [0.0, 0.0, 1.0]])
    varying = torch.randn(2, BINS, 5, generator=torch.Generator().manual_seed(0))
    varying[:, :, 2], varying[0, :, 4], varying[1, :, 3:] = 1.0, 1.0, 0.0
    f = predictors.of(constant, varying)
    assert f.shape == (2, len(predictors)) == (2, 3 + 3 * NUM_SLOW + 2)
    torch.testing.assert_close(f[:, :3], constant)
    slow = cosine_transform(varying)[:, :NUM_SLOW]
    torch.testing.assert_close(f[:, 3:-2].view(2, NUM_SLOW, 3), slow[..., [0, 1, 3]])
    torch.testing.assert_close(f[:, -2:], torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    flags = len(predictors) - 2
    assert predictors.known.tolist() == [1, 1, 2, *NUM_SLOW * [flags, flags, flags + 1], flags, flags + 1]
    # Trials may be shorter than the longest.
    short = varying * (torch.arange(BINS) < 12)[:, None]
    torch.testing.assert_close(predictors.of(constant, short[:, :12]), predictors.of(constant, short))


def test_responses_to_what_varies_within_trials_are_found():
    generator = torch.Generator().manual_seed(0)
    slow = torch.zeros(1000, BINS, 1)
    slow[:, :4] = torch.randn(1000, 4, 1, generator=generator)
    velocity = inverse_cosine_transform(slow)
    # Latents lead by two bins.
    signal = torch.nn.functional.pad(velocity, (0, 0, 0, 2))[:, 2:] * torch.tensor([1.0, -2.0, 0.0])
    x = signal + 0.5 * torch.randn(signal.shape, generator=generator)
    predictors = Predictors(BINS, (), (1, 1))
    f = predictors.of(torch.zeros(1000, 0), torch.cat([velocity, torch.ones_like(velocity)], dim=-1))
    responses, _ = linear_responses(x - x.mean(0), f, predictors.known)
    left = torch.tensordot(f, responses, dims=1) - (signal - signal.mean(0))
    assert float(left.square().mean() / signal.var()) < 0.02
