"""Denoising window by window, against the exact denoiser of a long stationary Gaussian sequence."""

import pytest
import torch

from spikeinterface_gen.diffusion.denoise import GaussianDenoiser
from spikeinterface_gen.diffusion.modal import modal
from spikeinterface_gen.diffusion.modes import GaussianModes, cosine_transform
from spikeinterface_gen.diffusion.windows import half_window, in_windows

WINDOW, LENGTH, MEMORY_BINS = 64, 400, 5.0


def covariance(num_bins):
    bins = torch.arange(num_bins, dtype=torch.float64)
    return torch.exp(-(bins[:, None] - bins).abs() / MEMORY_BINS)


def exact(num_bins):
    return GaussianDenoiser(torch.zeros(num_bins), covariance(num_bins))


def of_windows(y, sigma):
    windows = exact(WINDOW)
    return in_windows(lambda y, sigma, condition: windows(y, sigma), y, sigma, None, WINDOW)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 10.0])
def test_windows_estimate_what_the_whole_does(sigma):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(8, LENGTH, 2, generator=generator, dtype=torch.float64)
    x = torch.linalg.cholesky(covariance(LENGTH)) @ noise[..., :1]
    y = x + sigma * noise[..., 1:]
    sigmas = torch.full((8,), sigma, dtype=torch.float64)
    whole = exact(LENGTH)(y, sigmas)
    error = (of_windows(y, sigmas) - whole).square().mean()
    # Of the variance that estimates have.
    assert error < 2e-3 * whole.var()


def test_every_bin_is_estimated_once_from_its_own_conditions():
    y = torch.randn(3, 131, 2, generator=torch.Generator().manual_seed(0))
    constant, varying = torch.arange(3.0)[:, None], torch.randn(3, 131, 2)

    def denoise(y, sigma, condition):
        assert y.shape[1] == condition[1].shape[1] == 2 * half_window(41)
        assert len(y) == len(sigma) == len(condition[0]) == len(condition[1])
        return y + condition[0][:, None] + condition[1]

    estimate = in_windows(denoise, y, torch.ones(3), (constant, varying), 41)
    torch.testing.assert_close(estimate, y + constant[:, None] + varying)


def test_what_is_far_away_changes_nothing():
    y = torch.randn(1, LENGTH, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sigma = torch.ones(1, dtype=torch.float64)
    changed = y.clone()
    changed[:, 200:] += 5.0
    same = slice(0, 200 - WINDOW)
    torch.testing.assert_close(of_windows(changed, sigma)[:, same], of_windows(y, sigma)[:, same])


def test_long_samples_have_the_covariance_of_the_process():
    number = 400
    x = torch.linalg.cholesky(covariance(WINDOW)) @ torch.randn(
        4000, WINDOW, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    sd = cosine_transform(x).square().mean(0).sqrt()
    modes = GaussianModes(torch.zeros(WINDOW, 1, dtype=torch.float64), sd).of_length(LENGTH)
    start = torch.randn(number, LENGTH, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    drawn = modal(of_windows, lambda _: start, 24, modes)[..., 0]
    for lag in (0, 1, 3, 6, 12, 30):
        products = drawn[:, lag:] * drawn[:, : LENGTH - lag]
        expected = float(covariance(lag + 1)[0, lag])
        assert float(products.mean()) == pytest.approx(expected, abs=0.03)
        # Nor does it drift from one end to the other.
        for part in products[:, : products.shape[1] // 4 * 4].reshape(number, 4, -1).mean((0, 2)):
            assert float(part) == pytest.approx(expected, abs=0.08)
