r"""Samplers: from noise to samples with a denoiser D(y; σ) ≈ E[x | x + σε = y].

These need nothing but the denoiser; :mod:`~spikeinterface_gen.diffusion.modal` knows the spectrum of the data, too.

========  ===========================================================  ==================
name      method                                                       evaluations
========  ===========================================================  ==================
angular   Euler steps of the noise angle arctan σ, deterministic       steps
dpmpp     DPM-Solver++(2M), second-order multistep, deterministic      steps
heun      Heun's method on the probability-flow equation               2·steps − 1
ddim      the paper's chain without its noise, in larger strides       steps
ddpm      ancestral sampling of the paper's 1000-step chain            1000
========  ===========================================================  ==================

What a sampler does to Gaussian data is known exactly, and the few-step errors differ more than their orders suggest.
With σ from 40 to 0.02, the variance of directions of variance 0.1 to 40 comes out right within 22 % after 8 steps of
``dpmpp``, within 8 % after 16; within 7 % after 8 steps of ``angular``, and within 0.3 % after 12.

Noise comes from outside, one tensor per draw, so that every trial keeps its own stream.

References
----------
Lu et al., *DPM-Solver++*, 2022. Karras et al., NeurIPS 2022 (algorithm 1). Ho et al., NeurIPS 2020. Song, Meng & Ermon,
*Denoising diffusion implicit models*, ICLR 2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from spikeinterface_gen.diffusion.noise import KarrasSchedule, LinearBetaSchedule

__all__ = ["DEFAULT_STEPS", "SAMPLERS", "angular", "ddim", "ddpm", "dpmpp", "heun"]

Denoise = Callable[[Tensor, Tensor], Tensor]
DrawNoise = Callable[[int], Tensor]


def angular(denoise: Denoise, draw_noise: DrawNoise, steps: int, schedule: KarrasSchedule | None = None) -> Tensor:
    r"""Euler steps of the noise angle.

    In :math:`u = y / \sqrt{1 + \sigma^2}` and :math:`\varphi = \arctan \sigma`, the probability-flow equation is
    :math:`du/d\varphi = -F`, with the F of the preconditioned denoiser, :math:`D = y / (1 + \sigma^2) +
    \sigma F / \sqrt{1 + \sigma^2}`. For white data of unit variance F = 0 and a step is exact at any size; directions
    of other variances deviate little, and with opposite signs in the two halves of the path.

    Parameters
    ----------
    denoise : callable (y, sigma) → estimate
        ``y`` of shape (batch, bins, latents), ``sigma`` of shape (batch,).
    draw_noise : callable int → Tensor
        Standard normal noise of the sample's shape; the argument counts the draws.
    steps : int
        Evaluations of the denoiser.
    schedule : KarrasSchedule, optional

    Returns
    -------
    Tensor, shape (batch, bins, latents)
    """
    sigmas = (schedule or KarrasSchedule()).sigmas(steps).tolist()
    u = (sigmas[0] / math.hypot(1.0, sigmas[0])) * draw_noise(0)
    for k in range(steps):
        sigma, sigma_next = sigmas[k], sigmas[k + 1]
        scale = math.hypot(1.0, sigma)
        estimate = denoise(u * scale, u.new_full((len(u),), sigma))
        if sigma_next == 0:
            return estimate
        F = (estimate - u / scale) * (scale / sigma)
        u = u + (math.atan(sigma) - math.atan(sigma_next)) * F
    return u


def dpmpp(denoise: Denoise, draw_noise: DrawNoise, steps: int, schedule: KarrasSchedule | None = None) -> Tensor:
    """DPM-Solver++(2M): each step extrapolates the denoised estimate from the last two.

    Parameters as for :func:`angular`.
    """
    sigmas = (schedule or KarrasSchedule()).sigmas(steps).tolist()
    x = sigmas[0] * draw_noise(0)
    last: Tensor | None = None
    log_ratio_last = 0.0
    for k in range(steps):
        sigma, sigma_next = sigmas[k], sigmas[k + 1]
        estimate = denoise(x, x.new_full((len(x),), sigma))
        if sigma_next == 0:
            return estimate
        log_ratio = math.log(sigma) - math.log(sigma_next)
        slope = estimate if last is None else estimate + (log_ratio / (2 * log_ratio_last)) * (estimate - last)
        x = (sigma_next / sigma) * x + (1 - sigma_next / sigma) * slope
        last, log_ratio_last = estimate, log_ratio
    return x


def heun(denoise: Denoise, draw_noise: DrawNoise, steps: int, schedule: KarrasSchedule | None = None) -> Tensor:
    """Heun's second-order method on dx/dσ = (x − D(x; σ))/σ; parameters as for :func:`angular`."""
    sigmas = (schedule or KarrasSchedule()).sigmas(steps).tolist()
    x = sigmas[0] * draw_noise(0)
    for k in range(steps):
        sigma, sigma_next = sigmas[k], sigmas[k + 1]
        slope = (x - denoise(x, x.new_full((len(x),), sigma))) / sigma
        x_next = x + (sigma_next - sigma) * slope
        if sigma_next > 0:
            slope_next = (x_next - denoise(x_next, x.new_full((len(x),), sigma_next))) / sigma_next
            x_next = x + (sigma_next - sigma) * 0.5 * (slope + slope_next)
        x = x_next
    return x


def ddim(denoise: Denoise, draw_noise: DrawNoise, steps: int, schedule: LinearBetaSchedule | None = None) -> Tensor:
    r"""Deterministic strides through the chain of :func:`ddpm` (η = 0).

    With x = y/√ᾱ and σ = √((1 − ᾱ)/ᾱ), a stride to σ' is :math:`x' = D + (\sigma'/\sigma)\,(x - D)`: an Euler step of
    the probability-flow equation. Strides end at the last step of the chain; other parameters as for :func:`angular`.
    """
    schedule = schedule or LinearBetaSchedule()
    if not 1 <= steps <= schedule.num_steps:
        raise ValueError(f"ddim takes 1 to {schedule.num_steps} steps; got {steps}.")
    cumulative = schedule.alphas_cumprod().tolist()
    times = [round(schedule.num_steps * (1 - k / steps)) - 1 for k in range(steps)]
    sigmas = [((1 - cumulative[t]) / cumulative[t]) ** 0.5 for t in times] + [0.0]
    x = draw_noise(0) / cumulative[times[0]] ** 0.5
    for sigma, sigma_next in pairwise(sigmas):
        estimate = denoise(x, x.new_full((len(x),), sigma))
        x = estimate + (sigma_next / sigma) * (x - estimate)
    return x


def ddpm(
    denoise: Denoise, draw_noise: DrawNoise, steps: int = 1000, schedule: LinearBetaSchedule | None = None
) -> Tensor:
    r"""Ancestral sampling with the posterior variance β̃, the paper's reference.

    The chain lives at y = √ᾱ x + √(1 − ᾱ) ε; the denoiser sees y/√ᾱ at σ = √((1 − ᾱ)/ᾱ). The steps are those of
    the schedule; ``steps`` must equal their number.
    """
    # A shorter schedule of the same β would not end in noise.
    schedule = schedule or LinearBetaSchedule()
    if steps != schedule.num_steps:
        raise ValueError(f"ddpm takes the {schedule.num_steps} steps of its schedule; got steps={steps}.")
    betas = schedule.betas().tolist()
    cumulative = schedule.alphas_cumprod().tolist()
    y = draw_noise(0)
    for t in range(steps - 1, -1, -1):
        bar, bar_last = cumulative[t], cumulative[t - 1] if t else 1.0
        sigma = ((1 - bar) / bar) ** 0.5
        estimate = denoise(y / bar**0.5, y.new_full((len(y),), sigma))
        keep = (1 - betas[t]) ** 0.5 * (1 - bar_last) / (1 - bar)
        pull = bar_last**0.5 * betas[t] / (1 - bar)
        y = keep * y + pull * estimate
        if t:
            variance = betas[t] * (1 - bar_last) / (1 - bar)
            y = y + variance**0.5 * draw_noise(steps - t)
    return y


DEFAULT_STEPS = {"modal": 8, "angular": 24, "dpmpp": 24, "heun": 18, "ddim": 50, "ddpm": 1000}
"""Steps that a sampler takes where nothing is said; :func:`~spikeinterface_gen.diffusion.modal.modal` for trials."""

SAMPLERS: dict[str, Callable[..., Tensor]] = {
    "angular": angular,
    "dpmpp": dpmpp,
    "heun": heun,
    "ddim": ddim,
    "ddpm": ddpm,
}
