r"""Mean and covariance of drawn latents, made those of the encoded ones.

A denoiser that could have been trained for longer, or had more trials, draws latents that vary a little too little. Of
all maps that take a Gaussian of mean m₁ and covariance Σ₁ to one of m₀ and Σ₀, the one that moves points least is

.. math::

    x \mapsto m_0 + A\,(x - m_1), \qquad
    A = \Sigma_1^{-1/2} \big( \Sigma_1^{1/2} \Sigma_0 \Sigma_1^{1/2} \big)^{1/2} \Sigma_1^{-1/2} ,

symmetric, and the identity where nothing is amiss. It is applied to every drawn latent, bin by bin.

References
----------
Olkin & Pukelsheim, *The distance between two random vectors with given dispersion matrices*, Linear Algebra Appl 1982.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Moments", "moments", "transport"]

# By default, no direction is stretched or shrunk by more: latents that are further off are wrong in other ways, too.
MAX_STRETCH = 1.5


class Moments(NamedTuple):
    """Mean, shape (k,), and covariance, shape (k, k)."""

    mean: np.ndarray
    covariance: np.ndarray


def moments(x: np.ndarray) -> Moments:
    """Moments of points, shape (points, k), in double precision."""
    mean = x.mean(axis=0, dtype=np.float64)
    deviation = x - mean
    return Moments(mean, deviation.T @ deviation / len(x))


def transport(source: Moments, target: Moments, max_stretch: float = MAX_STRETCH) -> tuple[np.ndarray, np.ndarray]:
    """A, shape (k, k), and b, shape (k,): A x + b has the moments of ``target`` where x has those of ``source``.

    No direction is stretched or shrunk by more than ``max_stretch``.
    """
    root = _power(source.covariance, 0.5)
    inverse_root = _power(source.covariance, -0.5)
    A = inverse_root @ _power(root @ target.covariance @ root, 0.5) @ inverse_root
    stretch, directions = np.linalg.eigh((A + A.T) / 2)
    A = (directions * np.clip(stretch, 1 / max_stretch, max_stretch)) @ directions.T
    return A, target.mean - A @ source.mean


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """Of a symmetric matrix, whose eigenvalues are held above 1e-9 of the largest."""
    w, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(w, 1e-9 * max(w[-1], 1e-30)) ** exponent) @ vectors.T
