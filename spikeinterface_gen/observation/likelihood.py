r"""Negative log-likelihoods of counts s given log expected counts ln r, without the terms that do not depend on r.

Poisson: :math:`r - s \ln r`. Bernoulli, for data without two spikes in a bin, with P(s = 1) = 1 − e^{−r}:
:math:`(1 - s)\, r - s \ln(1 - e^{-r})`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["bernoulli_nll", "count_nll", "poisson_nll"]


def poisson_nll(log_expected: Tensor, s: Tensor) -> Tensor:
    """Poisson negative log-likelihood of each entry, in nats."""
    return log_expected.exp() - s * log_expected


def bernoulli_nll(log_expected: Tensor, s: Tensor) -> Tensor:
    """Bernoulli negative log-likelihood of each entry, in nats; ``s`` is 0 or 1."""
    r = log_expected.exp()
    # 1 − e^{−r} nears r for small r, where the logarithm of the difference would lose its digits.
    log_spike = torch.where(r < 1e-4, log_expected, torch.log(-torch.expm1(-r.clamp_min(1e-5))))
    return torch.where(s > 0, -log_spike, r)


def count_nll(binary: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """The one that counts are modelled with, binary ones or others."""
    return bernoulli_nll if binary else poisson_nll
