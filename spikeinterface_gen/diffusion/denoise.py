r"""Denoisers: estimates of E[x | x + σε].

The EDM preconditioning wraps a network F so that its inputs and targets have unit variance at every σ,

.. math::

    D(y; \sigma) = c_\text{skip} y + c_\text{out} F(c_\text{in} y; \tfrac14 \ln \sigma), \qquad
    c_\text{skip} = \frac{1}{1 + \sigma^2}, \quad
    c_\text{out} = \frac{\sigma}{\sqrt{1 + \sigma^2}}, \quad
    c_\text{in} = \frac{1}{\sqrt{1 + \sigma^2}},

for data of unit variance per dimension. The loss, weighted by 1/c_out², is that of F against its target.

References
----------
Karras, Aittala, Aila & Laine, *Elucidating the design space of diffusion-based generative models*, NeurIPS 2022.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["GaussianDenoiser", "PreconditionedDenoiser", "draw_sigmas"]


class PreconditionedDenoiser(nn.Module):
    """EDM-preconditioned denoiser around a network ``F(x, c_noise, mask)``, or ``F(x, c_noise, mask, condition)``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, y: Tensor, sigma: Tensor, mask: Tensor | None = None, condition: tuple[Tensor, ...] | None = None
    ) -> Tensor:
        """Estimate x from y = x + σε.

        Parameters
        ----------
        y : Tensor, shape (batch, bins, latents)
        sigma : Tensor, shape (batch,)
        mask : Tensor, shape (batch, bins, 1), optional
        condition : tuple of Tensor, optional
            Passed on to the network.
        """
        c_skip, c_out, c_in = _preconditioning(sigma)
        return c_skip * y + c_out * self._F(c_in * y, sigma, mask, condition)

    def _F(self, x: Tensor, sigma: Tensor, mask: Tensor | None, condition: tuple[Tensor, ...] | None) -> Tensor:
        conditions = () if condition is None else (condition,)
        return self.network(x, 0.25 * sigma.log(), mask, *conditions).float()

    def loss(
        self,
        x: Tensor,
        sigma: Tensor,
        noise: Tensor,
        mask: Tensor | None = None,
        condition: tuple[Tensor, ...] | None = None,
    ) -> Tensor:
        """Squared error of F per trial, shape (batch,): the mean over valid bins and latents."""
        c_skip, c_out, c_in = _preconditioning(sigma)
        y = x + sigma[:, None, None] * noise
        target = (x - c_skip * y) / c_out
        error = (self._F(c_in * y, sigma, mask, condition) - target).square()
        if mask is None:
            return error.mean(dim=(1, 2))
        return (error * mask).sum(dim=(1, 2)) / (mask.sum(dim=(1, 2)) * x.shape[-1])


class GaussianDenoiser(nn.Module):
    """The exact denoiser of x ~ N(mean, covariance), against which samplers are tested.

    Parameters
    ----------
    mean : Tensor, shape (n,)
    covariance : Tensor, shape (n, n)
        Of the flattened sample.
    """

    mean: Tensor
    variances: Tensor
    directions: Tensor

    def __init__(self, mean: Tensor, covariance: Tensor) -> None:
        super().__init__()
        variances, directions = torch.linalg.eigh(covariance.double())
        self.register_buffer("mean", mean.double())
        self.register_buffer("variances", variances.clamp_min(0))
        self.register_buffer("directions", directions)

    def forward(self, y: Tensor, sigma: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return mean + Σ(Σ + σ²)⁻¹(y − mean)."""
        deviation = (y.flatten(1).double() - self.mean) @ self.directions
        gain = self.variances / (self.variances + sigma.double()[:, None] ** 2)
        return (self.mean + (deviation * gain) @ self.directions.T).to(y.dtype).view_as(y)


def draw_sigmas(uniforms: Tensor, *, log_mean: float = -0.2, log_sd: float = 1.6) -> Tensor:
    """Noise levels for training from uniforms in (0, 1): log-normal, the paper of Karras et al.'s choice of shape.

    The centre is higher than for images, because neighbouring bins of latents are so alike that their signal
    survives more noise.
    """
    return torch.exp(log_mean + log_sd * torch.special.ndtri(uniforms))


def _preconditioning(sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    variance = 1.0 + sigma[:, None, None] ** 2
    return 1.0 / variance, sigma[:, None, None] * variance.rsqrt(), variance.rsqrt()
