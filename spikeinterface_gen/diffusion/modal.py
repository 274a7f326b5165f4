r"""A sampler that takes the Gaussian part of latents exactly, so that few steps suffice.

Latents are smooth: their slow modes vary a hundred times as much as their fast ones, and no one step size suits both.
In modes over time (a cosine transform of each latent), let mode *m* of the data have the mean :math:`\mu_m` and the
standard deviation :math:`s_m`. With

.. math::

    v_m = \frac{y_m - \mu_m}{\sqrt{s_m^2 + \sigma^2}}, \qquad \varphi_m = \arctan \frac{\sigma}{s_m}, \qquad
    \frac{dv_m}{d\varphi_m} = -G_m, \qquad
    G_m = \frac{\sqrt{s_m^2 + \sigma^2}}{\sigma s_m}
          \Big( D_m - \mu_m - \frac{s_m^2}{s_m^2 + \sigma^2} (y_m - \mu_m) \Big)

is the probability-flow equation. G is what the denoiser D knows beyond independent Gaussian modes, for which it is zero
and a step of any size exact. A step from :math:`\varphi^k` to :math:`\varphi^{k+1}` is

.. math:: v^{k+1} = v^k + (\varphi^k - \varphi^{k+1}) \sum_{j=0}^{2} w_{kj} \, G^{k-j} .

The weights w are those of an Adams–Bashforth step of second order, or fitted: by least squares to finely integrated
paths of the very denoiser, one step after the other, from where the steps before have led.

References
----------
Zhang & Chen, *Fast sampling of diffusion models with exponential integrator*, ICLR 2023, and Zheng et al.,
*DPM-Solver-v3*, NeurIPS 2023, which linearise the denoiser in one number, or one for each pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from spikeinterface_gen.diffusion.modes import GaussianModes, cosine_transform, inverse_cosine_transform
from spikeinterface_gen.diffusion.noise import KarrasSchedule

__all__ = ["NUM_WEIGHTS", "fit_weights", "modal"]

Denoise = Callable[[Tensor, Tensor], Tensor]
DrawNoise = Callable[[int], Tensor]
NUM_WEIGHTS = 3
"""Evaluations of the denoiser that a step looks back on, its own included."""

SCHEDULE = KarrasSchedule(sigma_min=0.05)
# Heun steps in each step of a fine path, and the pull of fitted weights to Adams–Bashforth ones.
FINE_STEPS, RIDGE = 3, 1e-3


def modal(
    denoise: Denoise,
    draw_noise: DrawNoise,
    steps: int,
    modes: GaussianModes,
    weights: Tensor | None = None,
    mask: Tensor | None = None,
    spread: float = 1.0,
) -> Tensor:
    """Draw samples.

    Parameters
    ----------
    denoise, draw_noise, steps
        As for :func:`~spikeinterface_gen.diffusion.sample.angular`.
    modes : GaussianModes
        Over as many bins, of all trials or of each.
    weights : Tensor, shape (steps, 3), optional
        Fitted ones, w. Default, and where there are as many steps as not fitted to: Adams–Bashforth.
    mask : Tensor, shape (batch, bins, 1), optional
        1 in valid bins; the others are drawn from the Gaussian.
    spread : float
        Standard deviation of the noise that paths start from. A denoiser that could have been trained for longer takes
        them too near to the middle; from above 1, they end where data are rare as often as they should. It scales
        Gaussian modes and no more, which the moments of what is drawn give back.

    Returns
    -------
    Tensor, shape (batch, bins, latents)
    """
    sigmas = SCHEDULE.sigmas(steps).tolist()
    angles = [_angle(sigma, modes) for sigma in sigmas]
    v = spread * cosine_transform(draw_noise(0))
    if weights is not None and len(weights) != steps:
        weights = None
    last: list[Tensor] = []
    for k in range(steps):
        last = [_beyond_gaussian(denoise, v, sigmas[k], modes, mask), *last[: NUM_WEIGHTS - 1]]
        v = v + _step(angles, k, last, None if weights is None else weights[k])
    return inverse_cosine_transform(modes.mean + modes.sd * v)


def fit_weights(
    denoise: Denoise,
    noise: Tensor,
    steps: int,
    modes: GaussianModes,
    mask: Tensor | None = None,
    spread: float = 1.0,
) -> Tensor:
    """Weights of so many steps, shape (steps, 3), for this denoiser and ``noise``; the rest as for :func:`modal`."""
    sigmas = SCHEDULE.sigmas(steps).tolist()
    angles = [_angle(sigma, modes) for sigma in sigmas]
    v = fine = spread * cosine_transform(noise)
    last: list[Tensor] = []
    fitted = torch.zeros(steps, NUM_WEIGHTS)
    for k in range(steps):
        fine = _fine_step(denoise, fine, sigmas[k], sigmas[k + 1], modes, mask)
        last = [_beyond_gaussian(denoise, v, sigmas[k], modes, mask), *last[: NUM_WEIGHTS - 1]]
        h = (angles[k] - angles[k + 1]) * modes.sd
        columns = torch.stack([(h * G).flatten() for G in last], dim=1).double()
        prior = _adams_bashforth(angles, k, len(last)).flatten(1).mean(1).double()
        missing = ((fine - v) * modes.sd).flatten().double() - columns @ prior
        square = columns.T @ columns
        square += RIDGE * square.diagonal().mean() * torch.eye(len(last), dtype=torch.float64, device=square.device)
        fitted[k, : len(last)] = (prior + torch.linalg.solve(square, columns.T @ missing)).float().cpu()
        v = v + _step(angles, k, last, fitted[k])
    return fitted


def _step(angles: list[Tensor], k: int, last: list[Tensor], weights: Tensor | None) -> Tensor:
    """Change of v in step k; ``last`` has G of this and of earlier steps."""
    w = _adams_bashforth(angles, k, len(last)) if weights is None else weights
    combined = sum((w[j] * G for j, G in enumerate(last[1:], 1)), w[0] * last[0])
    return (angles[k] - angles[k + 1]) * combined


def _adams_bashforth(angles: list[Tensor], k: int, order: int) -> Tensor:
    """Weights of second order for unequal steps, shape (order, …, bins, latents), extrapolating by one step at most."""
    w = angles[k].new_zeros(order, *angles[k].shape)
    w[0] = 1.0
    if order > 1:
        ratio = ((angles[k] - angles[k + 1]) / (angles[k - 1] - angles[k])).clamp_max(1.0)
        w[0] += ratio / 2
        w[1] -= ratio / 2
    return w


def _fine_step(
    denoise: Denoise, v: Tensor, sigma: float, sigma_next: float, modes: GaussianModes, mask: Tensor | None
) -> Tensor:
    """From σ to σ' by Heun's method, with the last of its steps, where σ' = 0, by Euler's."""
    floor = sigma_next or sigma / 4
    between = [sigma * (floor / sigma) ** (j / FINE_STEPS) for j in range(FINE_STEPS)] + [sigma_next]
    for a, b in pairwise(between):
        h = _angle(a, modes) - _angle(b, modes)
        G = _beyond_gaussian(denoise, v, a, modes, mask)
        if b > 0:
            G = (G + _beyond_gaussian(denoise, v + h * G, b, modes, mask)) / 2
        v = v + h * G
    return v


def _beyond_gaussian(denoise: Denoise, v: Tensor, sigma: float, modes: GaussianModes, mask: Tensor | None) -> Tensor:
    """G of the modes v at noise σ."""
    scale = (modes.sd.square() + sigma**2).sqrt()
    gaussian = modes.mean + modes.sd.square() / scale * v
    y = inverse_cosine_transform(modes.mean + scale * v)
    estimate = denoise(y, y.new_full((len(y),), sigma))
    if mask is None:
        beyond = cosine_transform(estimate) - gaussian
    else:
        beyond = cosine_transform((estimate - inverse_cosine_transform(gaussian)) * mask)
    return beyond * scale / (sigma * modes.sd)


def _angle(sigma: float, modes: GaussianModes) -> Tensor:
    return torch.arctan(sigma / modes.sd)
