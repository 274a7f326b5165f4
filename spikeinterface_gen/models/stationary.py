r"""Latents of trials, made stationary over their bins before they are denoised.

Modes over time (:mod:`~spikeinterface_gen.diffusion.modes`) are independent only where the covariance of latents is the
same in all bins. In trials it is not: latents that wait for a cue vary otherwise than those that move a hand. With the
covariance :math:`\Sigma_t` of bin t, and their mean :math:`\bar\Sigma`, the denoiser sees

.. math::

    x_t = M_t^{-1} r_t, \qquad
    M_t = \bar\Sigma^{-1/2} \big( \bar\Sigma^{1/2} \Sigma_t \bar\Sigma^{1/2} \big)^{1/2} \bar\Sigma^{-1/2}, \qquad
    \Sigma_t = \frac{N_t \hat\Sigma_t + K \bar\Sigma}{N_t + K} ,

which has the covariance :math:`\bar\Sigma` in every bin. Of all such maps it moves latents least (Olkin & Pukelsheim
1982). What N trials say of a bin is believed against K that say it is as all are; K follows from how well the
covariances of bins in one half of the trials, less :math:`\bar\Sigma`, agree with those in the other (Spearman 1910,
Brown 1910).
"""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.models.latent_moments import Moments, transport

__all__ = ["bin_maps"]

# No direction of a bin is taken to vary by more than this factor otherwise than on average.
MAX_STRETCH = 4.0


def bin_maps(residual: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Maps M, symmetric, float64, shape (bins, latents, latents).

    Parameters
    ----------
    residual : array, shape (trials, bins, latents)
        Latents less their mean in each bin, or less what conditions say of them.
    mask : array of bool, shape (trials, bins)
        The valid bins.
    """
    r = (residual * mask[..., None]).astype(np.float64)
    half = [np.einsum("nti,ntj->tij", part, part, optimize=True) for part in (r[::2], r[1::2])]
    numbers = [part.sum(axis=0) for part in (mask[::2], mask[1::2])]
    number, squares = sum(numbers), sum(half)
    mean = squares.sum(axis=0) / max(number.sum(), 1)
    apart = [square - n[:, None, None] * mean for square, n in zip(half, numbers, strict=True)]
    agreement = 2 * (apart[0] * apart[1]).sum() / max(sum(np.square(a).sum() for a in apart), 1e-30)
    if agreement <= 0:
        return np.tile(np.eye(r.shape[2]), (len(number), 1, 1))
    # Both halves together are as reliable as 2a / (1 + a), which is N / (N + K).
    prior = number.max() * (1 - agreement) / (2 * agreement)
    centre = np.zeros(len(mean))
    return np.stack(
        [
            transport(
                Moments(centre, mean), Moments(centre, (square + prior * mean) / max(n + prior, 1e-30)), MAX_STRETCH
            )[0]
            for square, n in zip(squares, number, strict=True)
        ]
    )
