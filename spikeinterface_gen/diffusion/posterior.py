r"""A denoiser given observations: estimates of E[x | x + σε = y, data].

For a Gaussian prior seen through a linear map with Gaussian noise, with D the denoiser, C the covariance of x given y,
and the log-likelihood of the data about D a quadratic form of gradient g and curvature Λ,

.. math::

    E[x \mid y, \text{data}] = D + C\,(I + \Lambda C)^{-1} g, \qquad C = \sigma^2\, \partial D / \partial y

(Tweedie's formulas). Both are exact there, and in place of D in a sampler this draws from the posterior. For other
priors and likelihoods the quadratic form is found by Gauss–Newton steps: data are linearised about the last estimate.
The linear system is solved by conjugate gradients, each step of which is one product with the Jacobian of D. With
:math:`\Lambda = L L^T` bin by bin, :math:`(I + \Lambda C)^{-1} g = L (I + L^T C L)^{-1} L^{+} g` is symmetric.

References
----------
Rozet, Andry, Lanusse & Louppe, *Learning diffusion priors from observations by expectation maximization*, NeurIPS 2024.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["posterior_denoiser"]

Denoise = Callable[[Tensor, Tensor], Tensor]
Likelihood = Callable[[Tensor], tuple[Tensor, Tensor]]
# Relative to the largest curvature of a bin: what is smaller is no information.
NEGLIGIBLE = 1e-6


def posterior_denoiser(
    denoise: Denoise, likelihood: Likelihood, *, linearisations: int = 2, max_steps: int = 12, tolerance: float = 1e-3
) -> Denoise:
    """Return a denoiser that knows the data.

    Parameters
    ----------
    denoise : callable (y, sigma) → estimate
        Differentiable; ``y`` of shape (batch, bins, latents), ``sigma`` of shape (batch,).
    likelihood : callable x → (gradient, curvature)
        Of the log-likelihood of the data at x, shape (batch, bins, latents): its gradient, of that shape, and minus its
        expected second derivative within each bin, shape (batch, bins, latents, latents).
    linearisations : int
        1 is exact for Gaussian data.
    max_steps, tolerance
        Of conjugate gradients: steps, and residual relative to the right-hand side.
    """

    def given(y: Tensor, sigma: Tensor) -> Tensor:
        variance = sigma[:, None, None] ** 2
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            D = denoise(y, sigma)

        def C(w: Tensor) -> Tensor:
            (product,) = torch.autograd.grad(D, y, w, retain_graph=True)
            return variance.to(product.dtype) * product

        prior = D.detach()
        x = prior
        for _ in range(linearisations):
            gradient, curvature = likelihood(x)
            # Of the quadratic form about x, at the prior estimate.
            gradient = gradient + (curvature @ (x - prior)[..., None])[..., 0]
            eigenvalues, vectors = torch.linalg.eigh(curvature)
            kept = eigenvalues > NEGLIGIBLE * eigenvalues.amax().clamp_min(1e-30)
            root = torch.where(kept, eigenvalues, 0).sqrt()
            inverse = torch.where(kept, eigenvalues, 1).rsqrt() * kept
            L = vectors * root[..., None, :]
            right = inverse * (vectors.mT @ gradient[..., None])[..., 0]

            def system(u: Tensor, L: Tensor = L) -> Tensor:
                return u + (L.mT @ C((L @ u[..., None])[..., 0])[..., None])[..., 0]

            u = _conjugate_gradients(system, right, max_steps, tolerance)
            x = prior + C((L @ u[..., None])[..., 0])
        return x

    return given


def _conjugate_gradients(system: Callable[[Tensor], Tensor], right: Tensor, max_steps: int, tolerance: float) -> Tensor:
    """Solve for each sample of the batch, stopping where all residuals are small."""

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum(dim=(1, 2), keepdim=True)

    u = torch.zeros_like(right)
    residual = right
    direction = residual
    square = dot(residual, residual)
    enough = tolerance**2 * square
    for _ in range(max_steps):
        if bool((square <= enough).all()):
            break
        product = system(direction)
        # Jacobians of networks are only nearly symmetric: a step that would not descend is not taken.
        curvature = dot(direction, product)
        step = torch.where(curvature > 0, square / curvature.clamp_min(1e-30), 0)
        u = u + step * direction
        residual = residual - step * product
        square_next = dot(residual, residual)
        direction = residual + square_next / square.clamp_min(1e-30) * direction
        square = square_next
    return u
