r"""Noise schedules, in one common view.

A schedule corrupts a sample x at time t ∈ [0, 1] into

.. math:: x_t = \alpha_t x + \sigma_t \varepsilon, \qquad \varepsilon \sim N(0, I).

Whatever its α, a schedule visits ratios ρ = σ/α; a denoiser trained at every ρ serves them all, since
x_t/α_t is x with noise of standard deviation ρ_t.

References
----------
Karras, Aittala, Aila & Laine, *Elucidating the design space of diffusion-based generative models*, NeurIPS 2022.
Ho, Jain & Abbeel, *Denoising diffusion probabilistic models*, NeurIPS 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["KarrasSchedule", "LinearBetaSchedule"]


@dataclass(frozen=True)
class KarrasSchedule:
    """Variance exploding (α = 1), with σ between its bounds spaced by the power ``rho``."""

    sigma_min: float = 0.02
    sigma_max: float = 40.0
    rho: float = 7.0

    def sigmas(self, steps: int, device: torch.device | None = None) -> Tensor:
        """Noise levels from high to low, then 0, float64, shape (steps + 1,)."""
        if steps < 1:
            raise ValueError(f"steps must be at least 1; got {steps}.")
        u = torch.linspace(0, 1, steps, dtype=torch.float64, device=device)
        high, low = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        sigmas = (high + u * (low - high)) ** self.rho
        return torch.cat([sigmas, sigmas.new_zeros(1)])


@dataclass(frozen=True)
class LinearBetaSchedule:
    """The variance-preserving chain of the paper: β from 1e-4 to 0.02 over 1000 steps."""

    beta_start: float = 1e-4
    beta_end: float = 0.02
    num_steps: int = 1000

    def betas(self, device: torch.device | None = None) -> Tensor:
        """Variance added in each step, float64, shape (num_steps,)."""
        return torch.linspace(self.beta_start, self.beta_end, self.num_steps, dtype=torch.float64, device=device)

    def alphas_cumprod(self, device: torch.device | None = None) -> Tensor:
        """ᾱ_t = α_t² after each step, float64, shape (num_steps,)."""
        return torch.cumprod(1 - self.betas(device), dim=0)
