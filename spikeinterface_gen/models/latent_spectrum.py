r"""Fast modes of drawn latents, band by band, made those of encoded ones.

Latents are smooth: their fast modes vary by less than a denoiser errs, and what axes have in common there is not what
they have in common over all, which the slow ones decide. In modes over time (a cosine transform), the covariance of
latents in each band of half an octave from mode 8 on is therefore matched by itself. With drawn modes c about their
mean,

.. math:: c_m \mapsto A_k\, c_m, \qquad m \in [m_k, m_{k+1}), \qquad m_{k+1} = \max(m_k + 8, \sqrt 2\, m_k),

and A the map of :mod:`~spikeinterface_gen.models.latent_moments` between the covariances of the band, over trials and
modes. The slower modes, of which each trial has few, are left to the denoiser.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from spikeinterface_gen.diffusion.modes import cosine_transform, inverse_cosine_transform
from spikeinterface_gen.models.latent_moments import Moments, transport

__all__ = ["band_maps", "bands", "with_bands"]

FIRST_MODE = 8
# What is left of noise in the fastest modes of the smoothest latents may be many times what belongs there.
MAX_STRETCH = 10.0
# Trials whose modes are found at once.
BLOCK_TRIALS = 256


def bands(num_bins: int) -> list[slice]:
    """The modes of each band over so many bins; the last may end early."""
    borders = [FIRST_MODE]
    while borders[-1] < num_bins:
        borders.append(min(max(borders[-1] + FIRST_MODE, math.isqrt(2 * borders[-1] ** 2)), num_bins))
    return [slice(start, stop) for start, stop in pairwise(borders)]


def band_maps(encoded: Tensor, drawn: Tensor, valid: tuple[Tensor, Tensor]) -> Tensor:
    """A, float32, shape (bands, latents, latents).

    Parameters
    ----------
    encoded, drawn : Tensor, shape (trials, bins, latents)
    valid : (Tensor, Tensor)
        Bool, shape (trials, bins): the valid bins of both.
    """
    sides = [_covariances(x, where) for x, where in zip((drawn, encoded), valid[::-1], strict=True)]
    nothing = np.zeros(encoded.shape[2])
    maps = [transport(Moments(nothing, a), Moments(nothing, b), MAX_STRETCH)[0] for a, b in zip(*sides, strict=True)]
    return torch.from_numpy(np.array(maps, np.float32).reshape(-1, len(nothing), len(nothing)))


def with_bands(x: Tensor, mean: Tensor, maps: Tensor, mask: Tensor | None = None) -> Tensor:
    """Drawn x, shape (batch, bins, latents), with the maps of bands about ``mean``.

    ``mask``, shape (batch, bins, 1), is 1 in valid bins.
    """
    c = cosine_transform(x - mean if mask is None else (x - mean) * mask)
    parts = [c[:, :FIRST_MODE]]
    parts += [c[:, modes] @ A.T for modes, A in zip(bands(x.shape[1]), maps, strict=True)]
    return mean + inverse_cosine_transform(torch.cat(parts, dim=1))


def _covariances(x: Tensor, valid: Tensor) -> list[np.ndarray]:
    """Of the modes of each band about the mean of each bin, each of shape (latents, latents)."""
    where = valid[..., None].to(x.dtype)
    mean = (x * where).sum(0) / where.sum(0).clamp_min(1)
    modes = bands(x.shape[1])
    total = [np.zeros((x.shape[2], x.shape[2])) for _ in modes]
    for part, there in zip(x.split(BLOCK_TRIALS), where.split(BLOCK_TRIALS), strict=True):
        c = cosine_transform((part - mean) * there).double()
        for k, band in enumerate(modes):
            flat = c[:, band].flatten(0, 1)
            total[k] += (flat.T @ flat).numpy()
    return [products / (len(x) * (band.stop - band.start)) for products, band in zip(total, modes, strict=True)]
