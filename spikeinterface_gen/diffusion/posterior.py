r"""A denoiser given observations: estimates of E[x | x + σε = y, data].

For a Gaussian prior of covariance Σ seen through a linear map with Gaussian noise, with D the denoiser, C the
covariance of x given y, and the log-likelihood of the data about D a quadratic form of gradient g and curvature Λ,

.. math::

    E[x \mid y, \text{data}] = D + C\,(I + \Lambda C)^{-1} g, \qquad
    C = \sigma^2\, \Sigma\, (\Sigma + \sigma^2 I)^{-1} .

In place of D in a sampler this draws from the posterior, exactly. For other priors, D is the learned denoiser and Σ
the covariance of its samples: second moments are those of a Gaussian, the rest is learned. Jacobians of the learned
denoiser, which would be the exact C, are useless at high noise, where their errors are multiplied by σ. For other
likelihoods the quadratic form is found by damped Gauss–Newton steps, about the estimate of the step before. With
:math:`\Lambda = L L^T` bin by bin, :math:`(I + \Lambda C)^{-1} g = L (I + L^T C L)^{-1} L^{+} g`: a symmetric system,
solved by conjugate gradients.

References
----------
Rozet, Andry, Lanusse & Louppe, *Learning diffusion priors from observations by expectation maximization*, NeurIPS 2024.
Finzi et al., *User-defined event sampling and uncertainty quantification in diffusion models for physical dynamical
systems*, ICML 2023.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["GaussianCovariance", "posterior_denoiser"]

Denoise = Callable[[Tensor, Tensor], Tensor]
Likelihood = Callable[[Tensor], tuple[Tensor, Tensor]]
# Relative to the largest curvature of a bin: what is smaller is no information.
NEGLIGIBLE = 1e-6
# Largest change of an entry, in standard deviations, between two linearisations.
MAX_CHANGE = 1.5


class GaussianCovariance:
    """C of a Gaussian, as an operator.

    Parameters
    ----------
    variances : Tensor, shape (k,)
        Eigenvalues of Σ.
    directions : Tensor, shape (bins · latents, k)
        Eigenvectors.
    rest : float
        Variance of all other directions.
    """

    def __init__(self, variances: Tensor, directions: Tensor, rest: float = 0.0) -> None:
        self.variances = variances
        self.directions = directions
        self.rest = rest

    @classmethod
    def of_samples(cls, x: Tensor) -> GaussianCovariance:
        """From samples, shape (n, bins, latents); directions that they do not span share what the smallest have."""
        flat = x.flatten(1)
        deviation = (flat - flat.mean(dim=0)) / max(len(flat) - 1, 1) ** 0.5
        _, singular, directions = torch.linalg.svd(deviation, full_matrices=False)
        variances = singular.square()
        # A centred sample spans one direction less than it has members.
        rank = min(len(flat) - 1, flat.shape[1])
        rest = float(variances[rank - 1]) if rank < flat.shape[1] else 0.0
        return cls(variances[:rank], directions[:rank].T, rest)

    def __call__(self, w: Tensor, sigma: Tensor) -> Tensor:
        """C w, for w of shape (batch, bins, latents) and noise levels of shape (batch,)."""
        flat, noise = w.flatten(1), sigma[:, None].to(w.dtype) ** 2
        weights = flat @ self.directions
        rest = self.rest * noise / (self.rest + noise)
        gain = self.variances * noise / (self.variances + noise) - rest
        return (rest * flat + (weights * gain) @ self.directions.T).view_as(w)


def posterior_denoiser(
    denoise: Denoise,
    covariance: GaussianCovariance,
    likelihood: Likelihood,
    *,
    linearisations: int = 4,
    max_steps: int = 30,
    tolerance: float = 1e-3,
) -> Denoise:
    """Return a denoiser that knows the data.

    Parameters
    ----------
    denoise : callable (y, sigma) → estimate
        ``y`` of shape (batch, bins, latents), ``sigma`` of shape (batch,).
    covariance : GaussianCovariance
    likelihood : callable x → (gradient, curvature)
        Of the log-likelihood of the data at x, shape (batch, bins, latents): its gradient, of that shape, and minus its
        expected second derivative within each bin, shape (batch, bins, latents, latents).
    linearisations : int
        1 is exact for Gaussian data, and then not damped.
    max_steps, tolerance
        Of conjugate gradients: steps, and residual relative to the right-hand side.
    """

    def given(y: Tensor, sigma: Tensor) -> Tensor:
        prior = denoise(y, sigma)
        x = prior
        for _ in range(linearisations):
            gradient, curvature = likelihood(x)
            # Of the quadratic form about x, at the prior estimate.
            gradient = gradient + (curvature @ (x - prior)[..., None])[..., 0]
            eigenvalues, vectors = torch.linalg.eigh(curvature)
            kept = eigenvalues > NEGLIGIBLE * eigenvalues.amax().clamp_min(1e-30)
            L = vectors * torch.where(kept, eigenvalues, 0).sqrt()[..., None, :]
            inverse = torch.where(kept, eigenvalues, 1).rsqrt() * kept
            right = inverse * (vectors.mT @ gradient[..., None])[..., 0]

            def system(u: Tensor, L: Tensor = L) -> Tensor:
                return u + (L.mT @ covariance((L @ u[..., None])[..., 0], sigma)[..., None])[..., 0]

            u = _conjugate_gradients(system, right, max_steps, tolerance)
            target = prior + covariance((L @ u[..., None])[..., 0], sigma)
            x = target if linearisations == 1 else x + (target - x).clamp(-MAX_CHANGE, MAX_CHANGE)
        return x

    return given


def _conjugate_gradients(system: Callable[[Tensor], Tensor], right: Tensor, max_steps: int, tolerance: float) -> Tensor:
    """Solve for each sample of the batch, stopping where all residuals are small."""

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dim=(1, 2), keepdim=True)

    u = torch.zeros_like(right)
    residual = direction = right
    square = dot(residual, residual)
    enough = tolerance**2 * square
    for _ in range(max_steps):
        if bool((square <= enough).all()):
            break
        product = system(direction)
        step = square / dot(direction, product).clamp_min(1e-30)
        u = u + step * direction
        residual = residual - step * product
        square_next = dot(residual, residual)
        direction = residual + square_next / square.clamp_min(1e-30) * direction
        square = square_next
    return u
