r"""Denoisers: estimates of E[x | x + σε].

Latents are smooth, and most of what a denoiser does is to smooth, which it need not learn. In modes over time, let mode
*m* of the data have the mean :math:`\mu_m` and the standard deviation :math:`s_m`. A network F is wrapped as

.. math::

    D_m(y; \sigma) = \mu_m + \frac{s_m^2}{s_m^2 + \sigma^2} (y_m - \mu_m)
        + \frac{\sigma s_m}{\sqrt{s_m^2 + \sigma^2}} F_m ,

the best estimate were modes Gaussian and independent (Wiener's filter), and what is known beyond it, of unit variance
at every σ and in every mode. F is told both y, scaled to unit variance, and the filtered y. With one mean and one
standard deviation for all modes this is the preconditioning of EDM, whose weights for the squared error of D,
:math:`(1 + \sigma^2) / \sigma^2`, are kept. On latents of the Lorenz system F learns in 400 steps what it takes 850 to
learn from EDM's. Where trials have conditions, :math:`\mu_m` and :math:`s_m` follow from them as far as they are linear
in their predictors (:mod:`~spikeinterface_gen.diffusion.responses`).

References
----------
Karras, Aittala, Aila & Laine, *Elucidating the design space of diffusion-based generative models*, NeurIPS 2022.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikeinterface_gen.diffusion.discriminants import follow
from spikeinterface_gen.diffusion.modes import GaussianModes, at_length, cosine_transform, inverse_cosine_transform
from spikeinterface_gen.diffusion.responses import Predictors

__all__ = ["GaussianDenoiser", "PreconditionedDenoiser", "draw_sigmas"]

# Share of the variance of a mode that conditions leave at least.
MIN_LEFT = 0.05


class PreconditionedDenoiser(nn.Module):
    """Denoiser of latents around a network ``F(x, c_noise, mask)``, or ``F(x, c_noise, mask, condition)``.

    Parameters
    ----------
    network : Module
        Of the scaled y beside the filtered one, (batch, bins, 2 · latents), to (batch, bins, latents).
    num_bins, num_latents : int
        Shape of the modes, which have the mean 0 and the standard deviation 1 until :meth:`set_modes`.
    predictors : Predictors, optional
        Of a trial's condition, that the modes follow from; not before :meth:`set_responses`. Default: none.
    """

    mode_mean: Tensor
    mode_sd: Tensor
    responses: Tensor
    explained: Tensor
    discriminants: Tensor
    discriminant_changes: Tensor

    def __init__(
        self, network: nn.Module, num_bins: int, num_latents: int, predictors: Predictors | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.predictors = predictors or Predictors(num_bins)
        for name in ("responses", "explained", "discriminants", "discriminant_changes"):
            self.register_buffer(name, torch.zeros(len(self.predictors), num_bins, num_latents))
        self.register_buffer("mode_mean", torch.zeros(num_bins, num_latents))
        self.register_buffer("mode_sd", torch.ones(num_bins, num_latents))

    def set_modes(self, mean: Tensor, sd: Tensor) -> None:
        """Store what :meth:`GaussianModes.estimate` says of the data."""
        self.mode_mean.copy_(mean)
        self.mode_sd.copy_(sd)

    def set_responses(self, responses: Tensor, explained: Tensor) -> None:
        """Store what :func:`~spikeinterface_gen.diffusion.responses.linear_responses` says of the data."""
        self.responses.copy_(responses)
        self.explained.copy_(explained)

    def set_discriminants(self, discriminants: Tensor, changes: Tensor) -> None:
        """Store what :func:`~spikeinterface_gen.diffusion.discriminants.linear_discriminants` says of drawn data."""
        self.discriminants.copy_(discriminants)
        self.discriminant_changes.copy_(changes)

    def modes(self, num_bins: int, condition: tuple[Tensor, ...] | None = None) -> GaussianModes:
        """The modes over so many bins; of each trial by itself where these have conditions that they follow from."""
        modes = GaussianModes(self.mode_mean, self.mode_sd).of_length(num_bins)
        if condition is None or not len(self.responses):
            return modes
        f = self.predictors.of(*condition)
        mean = modes.mean_over_time + torch.tensordot(f, self.responses[:, :num_bins], dims=1)
        own, explained = modes.sd.square(), torch.tensordot(f, self.explained, dims=1)
        left = own - at_length(explained.transpose(0, 1), num_bins).transpose(0, 1)
        return GaussianModes(mean, torch.maximum(left, MIN_LEFT * own).sqrt())

    def following(self, x: Tensor, condition: tuple[Tensor, ...], mask: Tensor | None = None) -> Tensor:
        """Drawn x, shape (batch, bins, latents), that follow their conditions as the data do.

        See :mod:`~spikeinterface_gen.diffusion.discriminants`; parameters as for :meth:`forward`.
        """
        if not len(self.discriminants):
            return x
        there = self.predictors.of(*condition)[:, self.predictors.known]
        mean = self.modes(x.shape[1], condition).mean_over_time
        return follow(x, mean, there, self.discriminants, self.discriminant_changes, mask)

    def around(self, network: nn.Module) -> PreconditionedDenoiser:
        """Another network in place of this one."""
        num_bins, num_latents = self.mode_mean.shape
        other = PreconditionedDenoiser(network, num_bins, num_latents, self.predictors).to(self.mode_mean.device)
        other.set_modes(self.mode_mean, self.mode_sd)
        other.set_responses(self.responses, self.explained)
        other.set_discriminants(self.discriminants, self.discriminant_changes)
        return other

    def forward(
        self, y: Tensor, sigma: Tensor, mask: Tensor | None = None, condition: tuple[Tensor, ...] | None = None
    ) -> Tensor:
        """Estimate x from y = x + σε.

        Parameters
        ----------
        y : Tensor, shape (batch, bins, latents)
        sigma : Tensor, shape (batch,)
        mask : Tensor, shape (batch, bins, 1), optional
            1 in valid bins; what y is in others influences nothing.
        condition : tuple of Tensor, optional
            Features of the trials, shape (batch, constant features), and of their bins, where the network takes such,
            shape (batch, bins, varying features).
        """
        sigma = sigma[:, None, None]
        modes = self.modes(y.shape[1], condition)
        mean, variance = modes.mean_over_time, modes.sd.square()
        total = variance + sigma.square()
        deviation = y - mean if mask is None else (y - mean) * mask
        filtered = mean + inverse_cosine_transform(variance / total * cosine_transform(deviation))
        known = torch.cat([y * (1.0 + sigma.square()).rsqrt(), filtered], dim=-1)
        conditions = () if condition is None else (condition,)
        F = self.network(
            known if mask is None else known * mask, 0.25 * sigma.flatten().log(), mask, *conditions
        ).float()
        F = cosine_transform(F if mask is None else F * mask)
        return filtered + inverse_cosine_transform(sigma * modes.sd * total.rsqrt() * F)

    def loss(
        self,
        x: Tensor,
        sigma: Tensor,
        noise: Tensor,
        mask: Tensor | None = None,
        condition: tuple[Tensor, ...] | None = None,
    ) -> Tensor:
        """Squared error of D per trial, weighted, shape (batch,): the mean over valid bins and latents."""
        noise_sd = sigma[:, None, None]
        weight = (1.0 + noise_sd.square()) / noise_sd.square()
        error = weight * (self(x + noise_sd * noise, sigma, mask, condition) - x).square()
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


def draw_sigmas(uniforms: Tensor, *, log_mean: float = 1.0, log_sd: float = 1.5) -> Tensor:
    """Noise levels for training from uniforms in (0, 1): log-normal, the paper of Karras et al.'s choice of shape.

    The centre is higher than for images. Neighbouring bins of latents are alike, so that most of their variance is in
    modes of a standard deviation of 2 to 10: what there is to learn beyond Gaussian modes, where conditions lead
    among it, is told from noise of that size.
    """
    return torch.exp(log_mean + log_sd * torch.special.ndtri(uniforms))
