r"""Drawn trials that can be told apart by their conditions as well as recorded ones.

A denoiser soon draws latents of the right mean under each condition, and of the right variance in each mode. What it is
longest in learning is how little varies in just those directions that tell conditions apart: latents that were drawn
for a reach then point by a third further to its sides than recorded ones do. With predictors f and their responses
:math:`\mu(f)` (:mod:`~spikeinterface_gen.diffusion.responses`), and the covariance :math:`\Sigma` of what these leave
of recorded latents, in slow modes, Fisher's linear discriminants of a covariate are

.. math:: u = W^\top (x - \mu(f)), \qquad W = \Sigma^{-1} B,

where the columns of B are the responses to its predictors. With the second moments :math:`U` of u in recorded trials,
:math:`\tilde U` in drawn ones, and k discriminants,

.. math::

    x \leftarrow x + (a - 1) \, \Sigma W (W^\top \Sigma W)^{-1} u, \qquad
    a = \sqrt{k / \mathrm{tr}(U^{-1} \tilde U)} ,

the smallest change, by Mahalanobis' distance, that makes u as large as it is recorded. W is of one half of the recorded
trials and U of the other: in the trials that they are learned from, discriminants vary too little. :math:`\Sigma` is
shrunk towards its diagonal by as much as makes W tell the conditions of the other half apart best, by Hotelling's trace
:math:`\mathrm{tr}\big(U^{-1} (W^\top B)(W^\top B)^\top\big)`.

References
----------
Fisher, *The use of multiple measurements in taxonomic problems*, Annals of Eugenics 1936.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikeinterface_gen.diffusion.modes import cosine_transform, inverse_cosine_transform

__all__ = ["follow", "linear_discriminants"]

NUM_SLOW = 12
"""Modes that discriminants are made of: up to six cycles in a trial."""

# Of the covariance towards its diagonal.
SHRINKAGES = (0.01, 0.03, 0.1, 0.3, 1.0)
# a and its inverse, at most: a denoiser that is further off is wrong in other ways, too.
MAX_STRETCH = 1.5
# Trials of either kind without which nothing is changed, for each discriminant.
MIN_TRIALS = 5


def linear_discriminants(
    recorded: tuple[Tensor, Tensor], drawn: tuple[Tensor, Tensor], responses: Tensor, known: Tensor
) -> tuple[Tensor, Tensor]:
    """Discriminants of predictors, and by what :func:`follow` changes latents for each.

    Parameters
    ----------
    recorded, drawn : (Tensor, Tensor)
        Latents less their mean under their condition, shape (trials, bins, latents), zero beyond the end of a trial,
        and the predictors of the trials, shape (trials, predictors).
    responses : Tensor, shape (predictors, bins, latents)
    known : Tensor of int, shape (predictors,)
        As for :func:`~spikeinterface_gen.diffusion.responses.linear_responses`.

    Returns
    -------
    discriminants, changes : Tensor of float32, shape (predictors, bins, latents)
        Rows of :math:`W^\\top` and of :math:`(a - 1) (W^\\top \\Sigma W)^{-1} W^\\top \\Sigma`, in time.
    """
    _, num_bins, num_latents = responses.shape
    discriminants, changes = (torch.zeros_like(responses) for _ in range(2))
    slow = min(NUM_SLOW, num_bins)
    first, second = (_slow_modes(recorded[0][k::2], slow) for k in (0, 1))
    of_drawn = _slow_modes(drawn[0], slow)
    covariance = _second_moment(first)
    own = torch.diag(covariance.diagonal().clamp_min(1e-9))
    candidates = [torch.lerp(covariance, own, share) for share in SHRINKAGES]
    spread = recorded[1].double().std(dim=0)
    for flag in known.unique().tolist():
        members = [p for p in (known == flag).nonzero()[:, 0].tolist() if p != flag and responses[p].any()]
        B = (_slow_modes(responses[members], slow) * spread[members, None]).T
        there = [values[:, flag] > 0 for values in (recorded[1][1::2], drawn[1])]
        if not members or min(int(some.sum()) for some in there) < MIN_TRIALS * len(members):
            continue
        _, W, Sigma_W, U = max(
            (_told_apart(Sigma, B, second[there[0]]) for Sigma in candidates), key=lambda found: found[0]
        )
        a = (len(members) / torch.trace(_inverse(U) @ _second_moment(of_drawn[there[1]] @ W)).clamp_min(1e-9)).sqrt()
        change = (a.clamp(1 / MAX_STRETCH, MAX_STRETCH) - 1) * _inverse(W.T @ Sigma_W) @ Sigma_W.T
        for rows, values in ((discriminants, W.T), (changes, change)):
            modes = torch.zeros(len(members), num_bins, num_latents, dtype=torch.float64)
            modes[:, :slow] = values.reshape(len(members), slow, num_latents)
            rows[members] = inverse_cosine_transform(modes).float()
    return discriminants, changes


def follow(
    x: Tensor, mean: Tensor, there: Tensor, discriminants: Tensor, changes: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Drawn latents, varying in their discriminants as recorded ones do.

    Parameters
    ----------
    x, mean : Tensor, shape (batch, bins, latents)
        Latents, and what is expected of them under their conditions.
    there : Tensor, shape (batch, predictors)
        1 where a predictor is known, else 0: what the trial is not conditioned on is left to vary.
    discriminants, changes : Tensor, shape (predictors, bins, latents)
        As :func:`linear_discriminants` finds them.
    mask : Tensor, shape (batch, bins, 1), optional
        1 in valid bins.
    """
    deviation = x - mean if mask is None else (x - mean) * mask
    u = there * torch.tensordot(deviation, discriminants, dims=([1, 2], [1, 2]))
    change = torch.tensordot(u, changes, dims=1)
    return x + (change if mask is None else change * mask)


def _told_apart(covariance: Tensor, B: Tensor, left: Tensor) -> tuple[float, Tensor, Tensor, Tensor]:
    """Hotelling's trace in trials of which ``left`` is what conditions leave; W, Σ W and U."""
    W = torch.linalg.solve(covariance, B)
    U, signal = _second_moment(left @ W), W.T @ B
    return float(torch.trace(_inverse(U) @ signal @ signal.T)), W, covariance @ W, U


def _inverse(matrix: Tensor) -> Tensor:
    return torch.linalg.pinv(matrix, hermitian=True)


def _slow_modes(x: Tensor, number: int) -> Tensor:
    """The slowest modes of x, shape (trials, bins, latents), float64, shape (trials, modes · latents)."""
    return cosine_transform(x)[:, :number].flatten(1).double()


def _second_moment(u: Tensor) -> Tensor:
    return u.T @ u / len(u)
