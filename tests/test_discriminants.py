"""Linear discriminants of conditions, and drawn latents that vary in them as recorded ones do."""

import numpy as np
import pytest
import torch

from spikeinterface_gen.diffusion.discriminants import NUM_SLOW, follow, linear_discriminants
from spikeinterface_gen.diffusion.modes import cosine_transform, inverse_cosine_transform

BINS, LATENTS = 24, 3
# An angle, and a covariate that moves nothing.
KNOWN = torch.tensor([2, 2, 2, 4, 4])


def responses():
    """Of latents to the sine and the cosine of an angle, in slow modes."""
    modes = torch.zeros(5, BINS, LATENTS)
    modes[0, :4, 0], modes[1, 1:6, 1] = 2.0, 1.5
    return inverse_cosine_transform(modes)


def left(number, width, seed):
    """What conditions leave: white latents, ``width`` times as wide along the responses, and the predictors."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(number, BINS, LATENTS, generator=generator)
    for B in responses()[:2]:
        direction = B / B.norm()
        along = torch.tensordot(x, direction, dims=2)
        x = x + (width - 1) * along[:, None, None] * direction
    angle = 2 * np.pi * torch.rand(number, generator=generator)
    f = torch.stack([angle.sin(), angle.cos(), torch.ones(number), torch.randn(number), torch.ones(number)], dim=1)
    return x, f


def spread_along(x):
    return [float(torch.tensordot(x, B / B.norm(), dims=2).std()) for B in responses()[:2]]


@pytest.mark.parametrize(("recorded", "drawn"), [(0.5, 0.7), (0.6, 0.45), (0.5, 0.5)])
def test_drawn_latents_vary_as_recorded_ones_along_discriminants_and_stay_otherwise(recorded, drawn):
    found = linear_discriminants(left(2000, recorded, 0), left(1000, drawn, 1), responses(), KNOWN)
    x, f = left(2000, drawn, 2)
    np.testing.assert_allclose(spread_along(x), drawn, rtol=0.06)
    moved = follow(x, torch.zeros(BINS, LATENTS), f[:, KNOWN], *found)
    np.testing.assert_allclose(spread_along(moved), recorded, rtol=0.08)
    across = cosine_transform(moved - x)
    # Of the third latent, and of fast modes, nothing.
    assert across[:, :, 2].abs().max() < 0.15
    assert across[:, NUM_SLOW:].abs().max() < 1e-4


def test_nothing_is_done_about_what_is_not_known_or_moves_nothing():
    discriminants, changes = linear_discriminants(left(2000, 0.5, 0), left(1000, 0.7, 1), responses(), KNOWN)
    assert not discriminants[2:].any()
    assert not changes[2:].any()
    x, f = left(10, 0.7, 2)
    f[:5, :3] = 0
    moved = follow(x, torch.zeros(BINS, LATENTS), f[:, KNOWN], discriminants, changes)
    torch.testing.assert_close(moved[:5], x[:5])
    assert (moved[5:] - x[5:]).abs().max() > 0.1


def test_no_stretch_is_large_and_few_trials_say_nothing():
    found = linear_discriminants(left(2000, 0.1, 0), left(1000, 1.0, 1), responses(), KNOWN)
    x, f = left(2000, 1.0, 2)
    moved = follow(x, torch.zeros(BINS, LATENTS), f[:, KNOWN], *found)
    np.testing.assert_allclose(spread_along(moved), 1 / 1.5, rtol=0.1)
    few = linear_discriminants(left(16, 0.5, 0), left(1000, 0.7, 1), responses(), KNOWN)
    assert not any(part.any() for part in few)


def test_padding_influences_nothing_and_stays():
    found = linear_discriminants(left(2000, 0.5, 0), left(1000, 0.7, 1), responses(), KNOWN)
    x, f = left(4, 0.7, 2)
    mask = (torch.arange(BINS) < 15).float()[None, :, None]
    other = torch.where(mask > 0, x, 9.0)
    moved, same = (follow(latents, torch.zeros(BINS, LATENTS), f[:, KNOWN], *found, mask) for latents in (x, other))
    torch.testing.assert_close(moved * mask, same * mask)
    torch.testing.assert_close(moved[:, 15:], x[:, 15:])
