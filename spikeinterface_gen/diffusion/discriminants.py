r"""Drawn trials that can be told apart by their conditions as well as recorded ones.

A denoiser soon draws latents of the right mean under each condition, and of the right variance in each mode. What it is
longest in learning is how little varies in just those directions that tell conditions apart: latents that were drawn
for a reach then point by a quarter further to its sides than recorded ones do. With predictors f and their responses
:math:`\mu(f)` (:mod:`~spikeinterface_gen.diffusion.responses`), and the covariance :math:`\Sigma` of what these leave
of recorded latents, in slow modes, Fisher's linear discriminants of a covariate are

.. math:: u = W^\top (x - \mu(f)), \qquad W = \Sigma^{-1} B,

where the columns of B span the responses to its predictors. Recorded latents are those that the encoder inferred from
spikes, and vary by its errors as well; spikes drawn from them have errors anew. Drawn trials are as recorded ones where
the encoder can tell their conditions from their spikes as well: with the second moments :math:`U` of u in recorded
trials, :math:`\tilde U` in drawn ones, and what it makes of their spikes, s u and an error of second moments N,

.. math::

    x \leftarrow x + (a - 1) \, B (W^\top B)^{-1} u, \qquad
    a^2 = \frac{k - \mathrm{tr}(U^{-1} N) / s^2}{\mathrm{tr}(U^{-1} \tilde U)}

for k discriminants: of all changes that make u so large, the smallest by Mahalanobis' distance. W is of one half of the
recorded trials and U of the other: in the trials that they are learned from, discriminants vary too little.
:math:`\Sigma` is shrunk towards its diagonal by as much as makes W tell the conditions of the other half apart best.

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
# Of directions in which means vary, those that do so by this share of the first at least.
MIN_SPREAD = 0.05
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
    """Discriminants, and by what :func:`follow` changes latents for each, in the places of predictors of a covariate.

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
        Rows of :math:`W^\\top` and of :math:`(a - 1) (W^\\top B)^{-1} B^\\top`, in time; zero elsewhere.
    """
    _, num_bins, num_latents = responses.shape
    discriminants, changes = torch.zeros_like(responses), torch.zeros_like(responses)
    slow = min(NUM_SLOW, num_bins)
    first, second, of_drawn, of_inferred = (
        _slow_modes(x, slow) for x in (recorded[::2], recorded[1::2], drawn, inferred)
    )
    covariance = _second_moment(first)
    own = torch.diag(covariance.diagonal().clamp_min(1e-9))
    candidates = [torch.lerp(covariance, own, share) for share in SHRINKAGES]
    for flag in flags:
        own_f = known == flag
        in_recorded, in_drawn = (f[:, flag] > 0 for f in (predictors[0][1::2], predictors[1]))
        f = predictors[0][1::2][in_recorded].double() * own_f
        mean_of_f = (f - f.mean(dim=0)) @ _slow_modes(responses, slow)
        B = _principal(mean_of_f)
        if not B.shape[1] or min(int(in_recorded.sum()), int(in_drawn.sum())) < MIN_TRIALS * B.shape[1]:
            continue
        told = [_told_apart(Sigma, B, second[in_recorded], mean_of_f) for Sigma in candidates]
        _, W, root = max(told, key=lambda candidate: candidate[0])
        a = _factor(*(part[in_drawn] @ W @ root for part in (of_drawn, of_inferred)))
        modes = torch.zeros(2, B.shape[1], num_bins, num_latents, dtype=torch.float64)
        for part, rows in zip(modes, (W.T, (a - 1) * _inverse(W.T @ B) @ B.T), strict=True):
            part[:, :slow] = rows.reshape(-1, slow, num_latents)
        places = own_f.nonzero()[: B.shape[1], 0]
        discriminants[places], changes[places] = (inverse_cosine_transform(part).float() for part in modes)
    return discriminants, changes


def follow(
    x: Tensor, mean: Tensor, there: Tensor, discriminants: Tensor, changes: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Drawn latents that follow their conditions as recorded spikes do.

    Parameters
    ----------
    x, mean : Tensor, shape (batch, bins, latents)
        Latents, and what is expected of them under their conditions.
    there : Tensor, shape (batch, predictors)
        1 where a predictor is known, else 0: what a trial is not conditioned on is left to vary.
    discriminants, changes : Tensor, shape (predictors, bins, latents)
        As :func:`linear_discriminants` finds them.
    mask : Tensor, shape (batch, bins, 1), optional
        1 in valid bins.
    """
    deviation = x - mean if mask is None else (x - mean) * mask
    u = there * torch.tensordot(deviation, discriminants, dims=([1, 2], [1, 2]))
    change = torch.tensordot(u, changes, dims=1)
    return x + (change if mask is None else change * mask)


def _principal(mean: Tensor) -> Tensor:
    """B: directions in which means of trials, shape (trials, modes), vary, each as long as that is, (modes, k)."""
    _, spread, directions = torch.linalg.svd(mean, full_matrices=False)
    kept = spread > MIN_SPREAD * spread.max().clamp_min(1e-9)
    return (spread[kept, None] * directions[kept]).T / max(1, len(mean)) ** 0.5


def _told_apart(covariance: Tensor, B: Tensor, left: Tensor, mean: Tensor) -> tuple[float, Tensor, Tensor]:
    """How far apart these means of trials are, relative to U, if ``left`` is what they leave; W, and a root of U⁻¹."""
    W = torch.linalg.solve(covariance, B)
    w, vectors = torch.linalg.eigh(_second_moment(left @ W))
    root = vectors * w.clamp_min(1e-9 * w[-1]).rsqrt()
    return float((mean @ W @ root).square().sum(dim=1).mean()), W, root


def _factor(u: Tensor, of_spikes: Tensor) -> float:
    """a, from u of drawn latents and of what the encoder makes of their spikes, shape (trials, k), relative to U."""
    k = u.shape[1]
    power = u.square().sum(dim=1).mean().clamp_min(1e-9)
    s = ((u * of_spikes).sum(dim=1).mean() / power).clamp_min(1e-3)
    error = (of_spikes / s - u).square().sum(dim=1).mean().clamp_max(MAX_ERROR * k)
    return float(((k - error) / power).sqrt().clamp(1 / MAX_STRETCH, MAX_STRETCH))


def _inverse(matrix: Tensor) -> Tensor:
    return torch.linalg.pinv(matrix, hermitian=True)


def _slow_modes(x: Tensor, number: int) -> Tensor:
    """The slowest modes of x, shape (trials, bins, latents), float64, shape (trials, modes · latents)."""
    return cosine_transform(x)[:, :number].flatten(1).double()


def _second_moment(u: Tensor) -> Tensor:
    return u.T @ u / len(u)
