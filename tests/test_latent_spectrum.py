"""Fast modes of drawn latents, against latents whose covariance is known in each band."""

import numpy as np
import pytest
import torch

from spikeinterface_gen import load_dataset, load_model
from spikeinterface_gen.diffusion.modes import cosine_transform, inverse_cosine_transform
from spikeinterface_gen.models.latent_spectrum import FIRST_MODE, band_maps, bands, with_bands

LATENTS, BINS = 3, 40


def of_modes(scales, num_trials, seed):
    """Latents whose modes in each band are white noise times the matrix of that band, the slow ones times one."""
    generator = torch.Generator().manual_seed(seed)
    c = torch.randn(num_trials, BINS, LATENTS, generator=generator)
    for modes, scale in zip(bands(BINS), scales, strict=True):
        c[:, modes] = c[:, modes] @ scale.T
    return inverse_cosine_transform(c) + torch.linspace(-1, 1, BINS)[:, None]


def covariances(x):
    c = cosine_transform(x - x.mean(0))
    parts = [c[:, modes].flatten(0, 1) for modes in (slice(0, FIRST_MODE), *bands(BINS))]
    return [part.T @ part / len(part) for part in parts]


@pytest.fixture
def scales():
    generator = torch.Generator().manual_seed(1)
    spread = 0.08 * torch.randn(2, len(bands(BINS)), LATENTS, LATENTS, generator=generator)
    return 0.5 * (torch.eye(LATENTS) + spread)


def everywhere(*parts):
    return tuple(torch.ones(x.shape[:2], dtype=torch.bool) for x in parts)


@pytest.mark.parametrize(
    ("num_bins", "expected"), [(40, [(8, 16), (16, 24), (24, 33), (33, 40)]), (16, [(8, 16)]), (5, [])]
)
def test_bands(num_bins, expected):
    assert [(modes.start, modes.stop) for modes in bands(num_bins)] == expected


def test_each_band_gets_its_covariance_and_slow_modes_stay(scales):
    encoded, drawn = of_modes(scales[0], 3000, 2), of_modes(scales[1], 2000, 3)
    maps = band_maps(encoded, drawn, everywhere(encoded, drawn))
    mean = drawn.mean(0)
    moved = with_bands(drawn, mean, maps)
    for found, wanted, before in zip(
        covariances(moved)[1:], covariances(encoded)[1:], covariances(drawn)[1:], strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)
        assert (before - wanted).abs().max() > 0.01
    slow = [cosine_transform(x)[:, :FIRST_MODE] for x in (moved, drawn)]
    torch.testing.assert_close(*slow, rtol=1e-4, atol=1e-4)
    # Of trials that were not looked at.
    other = with_bands(of_modes(scales[1], 2000, 4), mean, maps)
    for found, wanted in zip(covariances(other)[1:], covariances(encoded)[1:], strict=True):
        torch.testing.assert_close(found, wanted, rtol=0.1, atol=0.02)


def test_what_is_right_stays(scales):
    encoded, drawn = of_modes(scales[0], 4000, 2), of_modes(scales[0], 4000, 3)
    maps = band_maps(encoded, drawn, everywhere(encoded, drawn))
    torch.testing.assert_close(maps, torch.eye(LATENTS).expand_as(maps), rtol=0, atol=0.04)


def test_padding_influences_nothing(scales):
    encoded, drawn = of_modes(scales[0], 300, 2), of_modes(scales[1], 200, 3)
    valid = tuple(torch.arange(BINS) < torch.tensor([BINS, 25]).repeat(len(x) // 2)[:, None] for x in (encoded, drawn))
    maps = band_maps(encoded, drawn, valid)
    changed = [torch.where(where[..., None], x, 7.0) for x, where in zip((encoded, drawn), valid, strict=True)]
    torch.testing.assert_close(band_maps(*changed, valid), maps)
    mask, mean = valid[1][..., None].float(), drawn.mean(0)
    moved = [with_bands(x, mean, maps, mask) * mask for x in (drawn, changed[1])]
    torch.testing.assert_close(*moved)


def test_trials_without_fast_modes():
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 5, LATENTS)).astype(np.float32))
    maps = band_maps(x, x, everywhere(x, x))
    assert maps.shape == (0, LATENTS, LATENTS)
    torch.testing.assert_close(with_bands(x, x.mean(0), maps), x)


def test_drawn_latents_of_a_model_have_the_fast_modes_of_encoded_ones():
    model, recorded = load_model("lorenz"), load_dataset("lorenz", num_trials=400)
    encoded, drawn = model.encode(recorded), model.sample_latents(400, seed=1)

    def power_db(z):
        c = cosine_transform(torch.from_numpy(z - z.mean(axis=0))).numpy()
        power = [np.square(c[:, modes]).mean(axis=(0, 1)) for modes in bands(z.shape[1])]
        return 10 * np.log10(power)

    # The smoothest latents once had 11 dB too much in the fastest band, that of rougher ones.
    assert np.abs(power_db(drawn) - power_db(encoded)).max() < 1.0
