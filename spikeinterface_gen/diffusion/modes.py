"""Latents as independent Gaussian modes over time: their spectrum, and the transform that takes them there."""

from __future__ import annotations

import math
from functools import cached_property, lru_cache

import torch
from torch import Tensor

__all__ = ["MATRIX_MAX_BINS", "MIN_SD", "GaussianModes", "at_length", "cosine_transform", "inverse_cosine_transform"]

MATRIX_MAX_BINS = 1024
"""Up to so many bins the transform is a product with a matrix, which is three times faster than Fourier ones."""

MIN_SD = 0.02
"""Modes that vary less are taken to vary so much: far below it, all that is left of them is the denoiser's error."""


class GaussianModes:
    """Mean and standard deviation of latents, mode by mode.

    Parameters
    ----------
    mean : Tensor, shape (bins, latents) or (batch, bins, latents)
        In time: of all trials, or of each.
    sd : Tensor, of the same shape
        Of the orthonormal cosine transform (DCT-II) over bins.
    """

    def __init__(self, mean: Tensor, sd: Tensor) -> None:
        self.mean_over_time = mean
        self.sd = sd

    @cached_property
    def mean(self) -> Tensor:
        """Of the modes. Denoisers, which are called often, have no use for it."""
        mean = self.mean_over_time
        return cosine_transform(mean if mean.ndim == 3 else mean[None]).view_as(mean)

    @staticmethod
    def estimate(x: Tensor, num_bins: Tensor, trial_locked: bool) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, shape (bins, latents), of trials of some lengths.

        Parameters
        ----------
        x : Tensor, shape (trials, bins, latents)
        num_bins : Tensor, shape (trials,)
            Length of each.
        trial_locked : bool
            Whether bins have means of their own.
        """
        length = x.shape[1]
        mask = (torch.arange(length) < num_bins[:, None])[..., None]
        axes = (0,) if trial_locked else (0, 1)
        mean = (x * mask).sum(axes, keepdim=True) / mask.sum(axes, keepdim=True).clamp_min(1)
        mean = mean.expand(1, length, x.shape[2])
        power = torch.zeros(length, x.shape[2])
        for bins in num_bins.unique().tolist():
            own = (x - mean)[num_bins == bins, :bins]
            power += len(own) * at_length(cosine_transform(own).square().mean(0), length)
        return mean[0].clone(), (power / len(x)).sqrt().clamp_min(MIN_SD)

    def of_length(self, num_bins: int) -> GaussianModes:
        """The same spectrum over another number of bins, about the mean over time; of all trials alike."""
        bins, latents = self.sd.shape
        if num_bins == bins:
            return self
        mean = (self.mean[:1] / bins**0.5).expand(num_bins, latents)
        return GaussianModes(mean, at_length(self.sd, num_bins))


def cosine_transform(x: Tensor) -> Tensor:
    """Orthonormal DCT-II over bins of x, shape (batch, bins, latents)."""
    n = x.shape[1]
    return _by_fft(x) if n > MATRIX_MAX_BINS else _cosines(n, x.device, x.dtype) @ x


def inverse_cosine_transform(c: Tensor) -> Tensor:
    """Inverse of :func:`cosine_transform`."""
    n = c.shape[1]
    return _inverse_by_fft(c) if n > MATRIX_MAX_BINS else _cosines(n, c.device, c.dtype).T @ c


@lru_cache(maxsize=4)
def _cosines(n: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The orthogonal matrix of the transform."""
    return _by_fft(torch.eye(n, dtype=torch.float64)[None])[0].to(device, dtype)


def _by_fft(x: Tensor) -> Tensor:
    n = x.shape[1]
    spectrum = torch.fft.fft(torch.cat([x[:, ::2], x[:, 1::2].flip(1)], dim=1), dim=1)
    c = (spectrum * _quarter_turns(x, -1.0)).real * math.sqrt(2 / n)
    c[:, 0] *= math.sqrt(0.5)
    return c


def _inverse_by_fft(c: Tensor) -> Tensor:
    n = c.shape[1]
    c = c * math.sqrt(n / 2)
    c[:, 0] *= math.sqrt(2)
    turned = torch.complex(c, -torch.cat([torch.zeros_like(c[:, :1]), c[:, 1:].flip(1)], dim=1))
    reordered = torch.fft.ifft(turned * _quarter_turns(c, 1.0), dim=1).real
    x = torch.empty_like(c)
    half = (n + 1) // 2
    x[:, ::2], x[:, 1::2] = reordered[:, :half], reordered[:, half:].flip(1)
    return x


def _quarter_turns(x: Tensor, sign: float) -> Tensor:
    n = x.shape[1]
    angles = sign * torch.pi / (2 * n) * torch.arange(n, device=x.device, dtype=x.dtype)
    return torch.polar(torch.ones_like(angles), angles)[:, None]


def at_length(spectrum: Tensor, num_bins: int) -> Tensor:
    """A function of frequency, shape (bins, …), at the frequencies of another number of bins."""
    bins = len(spectrum)
    if bins == num_bins:
        return spectrum
    place = (torch.arange(num_bins, device=spectrum.device) * (bins / num_bins)).clamp_max(bins - 1)
    below = place.long()
    above, share = (below + 1).clamp_max(bins - 1), (place - below).view(-1, *[1] * (spectrum.ndim - 1))
    return (1 - share) * spectrum[below] + share * spectrum[above]
