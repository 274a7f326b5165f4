r"""Classifier-free guidance: a denoiser made of two.

.. math:: D_w(y; \sigma) = D(y; \sigma) + w \, (D(y; \sigma \mid c) - D(y; \sigma)),

with w = 1 the conditional denoiser itself, w = 0 the unconditional one; beyond 1, samples are more typical of their
condition than the data are, and vary less.

References
----------
Ho & Salimans, *Classifier-free diffusion guidance*, 2022.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

__all__ = ["guided"]

Denoise = Callable[[Tensor, Tensor], Tensor]


def guided(conditional: Denoise, unconditional: Denoise, guidance: float) -> Denoise:
    """Return the denoiser of weight w = ``guidance``; at 1 and 0 it costs one evaluation, else two."""
    if guidance == 1.0:
        return conditional
    if guidance == 0.0:
        return unconditional

    def denoise(y: Tensor, sigma: Tensor) -> Tensor:
        estimate = unconditional(y, sigma)
        return estimate + guidance * (conditional(y, sigma) - estimate)

    return denoise
