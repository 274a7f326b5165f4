"""Linear discriminants of conditions, and drawn latents that vary in them as they should."""

import numpy as np
import pytest
import torch

from spikeinterface_gen.diffusion.discriminants import MAX_ERROR, MAX_STRETCH, NUM_SLOW, follow, linear_discriminants
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
    other = torch.randn(number, generator=generator)
    return x, torch.stack([angle.sin(), angle.cos(), torch.ones(number), other, torch.ones(number)], dim=1)


def found(recorded, drawn, shrunk=1.0, error=0.0, number=2000, flags=(2, 4)):
    """Discriminants where the encoder makes ``shrunk`` x of drawn x, and errs by ``error``."""
    (x, of_recorded), (y, of_drawn) = left(number, recorded, 0), left(1000, drawn, 1)
    noise = torch.randn(y.shape, generator=torch.Generator().manual_seed(3))
    return linear_discriminants(x, y, shrunk * y + error * noise, (of_recorded, of_drawn), responses(), KNOWN, flags)


def spread_along(x):
    return [float(torch.tensordot(x, B / B.norm(), dims=2).std()) for B in responses()[:2]]


def followed(x, f, discriminants, mask=None):
    return follow(x, torch.zeros(BINS, LATENTS), f[:, KNOWN], *discriminants, mask)


@pytest.mark.parametrize(("recorded", "drawn"), [(0.5, 0.7), (0.6, 0.45), (0.5, 0.5)])
def test_drawn_latents_vary_as_recorded_ones_along_discriminants_and_stay_otherwise(recorded, drawn):
    x, f = left(2000, drawn, 2)
    np.testing.assert_allclose(spread_along(x), drawn, rtol=0.06)
    moved = followed(x, f, found(recorded, drawn))
    np.testing.assert_allclose(spread_along(moved), recorded, rtol=0.08)
    change = cosine_transform(moved - x)
    # Of the third latent, and of fast modes, next to nothing.
    assert change[:, :, 2].abs().max() < 0.15
    assert change[:, NUM_SLOW:].abs().max() < 1e-4


@pytest.mark.parametrize(("shrunk", "error"), [(1.0, 0.3), (0.8, 0.3), (0.8, 0.0)])
def test_errors_of_the_encoder_are_not_drawn_as_well(shrunk, error):
    x, f = left(2000, 0.7, 2)
    # What the encoder makes of the drawn ones, s u + error, tells conditions apart as well as u of recorded ones does.
    expected = np.sqrt(0.6**2 - (error / shrunk) ** 2)
    np.testing.assert_allclose(spread_along(followed(x, f, found(0.6, 0.7, shrunk, error))), expected, rtol=0.08)


def test_nothing_is_done_about_what_is_not_known_not_asked_for_or_moves_nothing():
    discriminants, changes = found(0.5, 0.7)
    assert not discriminants[2:].any()
    assert not changes[2:].any()
    x, f = left(10, 0.7, 2)
    f[:5, :3] = 0
    moved = followed(x, f, (discriminants, changes))
    torch.testing.assert_close(moved[:5], x[:5])
    assert (moved[5:] - x[5:]).abs().max() > 0.1
    assert not any(part.any() for part in found(0.5, 0.7, flags=(4,)))


def test_no_stretch_is_large_and_few_trials_say_nothing():
    x, f = left(2000, 0.2, 2)
    np.testing.assert_allclose(spread_along(followed(x, f, found(0.8, 0.2))), MAX_STRETCH * 0.2, rtol=0.1)
    # No more than a part of what is recorded is taken for errors.
    x, f = left(2000, 0.7, 2)
    expected = 0.8 * (1 - MAX_ERROR) ** 0.5
    np.testing.assert_allclose(spread_along(followed(x, f, found(0.8, 0.7, 0.5, 2.0))), expected, rtol=0.1)
    assert not any(part.any() for part in found(0.5, 0.7, number=16))


def test_padding_influences_nothing_and_stays():
    discriminants = found(0.5, 0.7)
    x, f = left(4, 0.7, 2)
    mask = (torch.arange(BINS) < 15).float()[None, :, None]
    moved, same = (followed(latents, f, discriminants, mask) for latents in (x, torch.where(mask > 0, x, 9.0)))
    torch.testing.assert_close(moved * mask, same * mask)
    torch.testing.assert_close(moved[:, 15:], x[:, 15:])
