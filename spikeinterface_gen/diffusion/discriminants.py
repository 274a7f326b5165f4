r"""Drawn trials that can be told apart by their conditions as well as recorded ones.

A denoiser soon draws latents of the right mean under each condition, and of the right variance in each mode. What it is
longest in learning is how little varies in just those directions that tell conditions apart: latents that were drawn
for a reach then point by a third further to its sides than recorded ones do. With predictors f and their responses
:math:`\mu(f)` (:mod:`~spikeinterface_gen.diffusion.responses`), and the covariance :math:`\Sigma` of what these leave
of recorded latents, in slow modes, Fisher's linear discriminants of a covariate are

.. math:: u = W^\top (x - \mu(f)), \qquad W = \Sigma^{-1} B,

where the columns of B are the responses to its predictors. Recorded latents are those that the encoder inferred from
spikes, with its errors, which vary in these directions as well. Drawn trials are as recorded ones where the encoder can
tell their conditions from their spikes as well: with the second moments :math:`U` of u in recorded trials,
:math:`\tilde U` in drawn ones, and what it makes of those, s u and an error of second moments N, over k discriminants

.. math::

    x \leftarrow x + (a - 1) \, \Sigma W (W^\top \Sigma W)^{-1} u, \qquad
    a^2 = \frac{k - \mathrm{tr}(U^{-1} N) / s^2}{\mathrm{tr}(U^{-1} \tilde U)} ,

the smallest change, by Mahalanobis' distance, that makes u as large as it should be. W is of one half of the recorded
trials and U of the other: in the trials that they are learned from, discriminants vary too little. :math:`\Sigma` is
shrunk towards its diagonal by as much as makes W tell the conditions of the other half apart best, by Hotelling's trace
:math:`\mathrm{tr}\big(U^{-1} (W^\top B)(W^\top B)^\top\big)`.

References
----------
Fisher, *The use of multiple measurements in taxonomic problems*, Annals of Eugenics 1936.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from spikeinterface_gen.diffusion.modes import cosine_transform, inverse_cosine_transform

__all__ = ["follow", "linear_discriminants"]

NUM_SLOW = 12
"""Modes that discriminants are made of: up to six cycles in a trial."""

# Of the covariance towards its diagonal.
SHRINKAGES = (0.01, 0.03, 0.1, 0.3, 1.0)
# a and its inverse, at most: a denoiser that is further off is wrong in other ways, too.
MAX_STRETCH = 2.0
# Share of U that is taken for errors of the encoder, at most: how noisy spikes are is known only roughly.
MAX_ERROR = 0.5
# Trials of either kind without which nothing is changed, for each discriminant.
MIN_TRIALS = 5


def linear_discriminants(
    recorded: Tensor,
    drawn: Tensor,
    inferred: Tensor,
    predictors: tuple[Tensor, Tensor],
    responses: Tensor,
    known: Tensor,
    flags: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Discriminants of predictors, and by what :func:`follow` changes latents for each.

    Parameters
    ----------
    recorded, drawn, inferred : Tensor, shape (trials, bins, latents)
        Latents less their mean under their condition, zero beyond the end of a trial: of recorded trials, of drawn
        ones, and what the encoder makes of the spikes of these.
    predictors : (Tensor, Tensor)
        Of recorded and of drawn trials, shape (trials, predictors).
    responses : Tensor, shape (predictors, bins, latents)
    known : Tensor of int, shape (predictors,)
        As for :func:`~spikeinterface_gen.diffusion.responses.linear_responses`.
    flags : sequence of int
        Of ``known``, those of the covariates that are looked at.

    Returns
    -------
    discriminants, changes : Tensor of float32, shape (predictors, bins, latents)
        Rows of :math:`W^\\top` and of :math:`(a - 1) (W^\\top \\Sigma W)^{-1} W^\\top \\Sigma`, in time.
    """
    _, num_bins, num_latents = responses.shape
    discriminants, changes = (torch.zeros_like(responses) for _ in range(2))
    slow = min(NUM_SLOW, num_bins)
    first, second, of_drawn, of_inferred = (
        _slow_modes(x, slow) for x in (recorded[::2], recorded[1::2], drawn, inferred)
    )
    covariance = _second_moment(first)
    own = torch.diag(covariance.diagonal().clamp_min(1e-9))
    candidates = [torch.lerp(covariance, own, share) for share in SHRINKAGES]
    spread = predictors[0].double().std(dim=0)
    for flag in flags:
        members = [p for p in (known == flag).nonzero()[:, 0].tolist() if p != flag and responses[p].any()]
        in_recorded, in_drawn = (f[:, flag] > 0 for f in (predictors[0][1::2], predictors[1]))
        if not members or min(int(in_recorded.sum()), int(in_drawn.sum())) < MIN_TRIALS * len(members):
            continue
        B = (_slow_modes(responses[members], slow) * spread[members, None]).T
        _, W, Sigma_W, U = max(
            (_told_apart(Sigma, B, second[in_recorded]) for Sigma in candidates), key=lambda found: found[0]
        )
        a = _stretch(U, of_drawn[in_drawn] @ W, of_inferred[in_drawn] @ W)
        change = (a - 1) * _inverse(W.T @ Sigma_W) @ Sigma_W.T
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


def _stretch(U: Tensor, drawn: Tensor, inferred: Tensor) -> float:
    """a: what ``drawn`` u, shape (trials, k), are to be multiplied by for ``inferred`` ones to have moments s² U."""
    root = torch.linalg.cholesky(_inverse(U) + 1e-12 * torch.eye(len(U)))
    drawn, inferred = drawn @ root, inferred @ root
    power = drawn.square().sum(dim=1).mean().clamp_min(1e-9)
    s = ((drawn * inferred).sum(dim=1).mean() / power).clamp_min(1e-3)
    error = (inferred / s - drawn).square().sum(dim=1).mean().clamp_max(MAX_ERROR * len(U))
    a = ((len(U) - error) / power).sqrt()
    return float(a.clamp(1 / MAX_STRETCH, MAX_STRETCH))


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
