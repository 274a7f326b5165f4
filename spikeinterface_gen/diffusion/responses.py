r"""What conditions do to the mean of latents, as far as it is linear: known before a denoiser is trained.

With the predictors :math:`f_p` of a trial, standardised over the trials in which they are known, the mean of mode *m*
is

.. math::

    \mu_m(f) = \mu_m + \sum_p f_p\, B_{pm}, \qquad
    B = \arg\min_B \sum_n \Big\lVert x_{nm} - \mu_m - \sum_p f_{np} B_{pm} \Big\rVert^2
        + \kappa_m \lVert B_m \rVert^2 ,

over all latents of a mode. Predictors are the features of what is constant over a trial, and the slowest modes of the
features of what varies within it (:class:`Predictors`). What is left of the variance of modes is :math:`s_m^2` less
that of the known predictors' part: without that, noisy latents would be pulled to where those of other conditions are.
The ridge :math:`\kappa_m`, infinite where nothing is gained, is chosen for each mode by leave-one-out errors, which
follow from one decomposition (Hastie, Tibshirani & Friedman, *The elements of statistical learning*, eq. 7.64): slow
modes answer to conditions, fast ones do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from spikeinterface_gen.diffusion.modes import cosine_transform, inverse_cosine_transform

__all__ = ["Predictors", "linear_responses"]

# κ, as shares of the number of trials.
RIDGES = 10.0 ** np.arange(-3.0, 1.5, 0.5)
# Modes of what varies within a trial: up to four cycles of it.
NUM_SLOW = 8


@dataclass(frozen=True)
class Predictors:
    """What responses of latents are linear in.

    First the constant features, then ``num_slow`` modes of each varying feature, then, for each varying covariate,
    whether it is known in any bin.

    Attributes
    ----------
    num_bins : int
        Of the longest trial.
    constant_known, varying_known : tuple of int
        For each constant feature, and each varying one, the number of the one that says whether its covariate is known.
    """

    num_bins: int
    constant_known: tuple[int, ...] = ()
    varying_known: tuple[int, ...] = ()

    @property
    def num_slow(self) -> int:
        """Modes of each varying feature."""
        return min(NUM_SLOW, self.num_bins)

    @cached_property
    def known(self) -> Tensor:
        """For each predictor, the number of the one that says whether it is known, int64."""
        first = len(self.constant_known) + self.num_slow * len(self._values)
        of_values = [first + self._varying_flags.index(self.varying_known[k]) for k in self._values]
        of_flags = range(first, first + len(self._varying_flags))
        return torch.tensor([*self.constant_known, *self.num_slow * of_values, *of_flags], dtype=torch.int64)

    @property
    def flags(self) -> list[int]:
        """The predictors that say what is known: one for each covariate, constant ones first."""
        return self.known.unique().tolist()

    def __len__(self) -> int:
        return len(self.known)

    @cached_property
    def _varying_flags(self) -> list[int]:
        """Varying features that say what is known."""
        return sorted(set(self.varying_known))

    @cached_property
    def _values(self) -> list[int]:
        """The other varying features."""
        return [k for k in range(len(self.varying_known)) if k not in self._varying_flags]

    def of(self, constant: Tensor, varying: Tensor | None = None) -> Tensor:
        """Predictors of trials, shape (trials, predictors).

        Parameters
        ----------
        constant : Tensor, shape (trials, constant features)
        varying : Tensor, shape (trials, bins, varying features)
            Zero beyond the end of a trial.
        """
        if varying is None or not self.varying_known:
            return constant
        values = _columns(varying, self._values)
        values = torch.nn.functional.pad(values, (0, 0, 0, self.num_bins - varying.shape[1]))
        slow = cosine_transform(values)[:, : self.num_slow].flatten(1)
        flags = _columns(varying, self._varying_flags).amax(dim=1)
        return torch.cat([constant, slow, flags], dim=1)


def _columns(x: Tensor, which: list[int]) -> Tensor:
    """Some of the features; a list as an index would be copied to the device at each call, and waited for."""
    return torch.stack([x[..., k] for k in which], dim=-1)


def linear_responses(x: Tensor, features: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """How the latents of each bin answer to each predictor, and how much of the variance of modes this explains.

    Parameters
    ----------
    x : Tensor, shape (trials, bins, latents)
        Latents less their mean over trials; zero beyond the end of a trial.
    features : Tensor, shape (trials, predictors)
        Zero where they are not known.
    known : Tensor of int, shape (predictors,)
        For each, the number of the one that says whether it is known (1) or not (0): that one answers for the
        means of the others, so that an unknown covariate leaves the mean where it is.

    Returns
    -------
    responses : Tensor of float32, shape (predictors, bins, latents)
        Of the latents in time.
    explained : Tensor of float32, shape (predictors, bins, latents)
        Variance of modes; zero but for the predictors that say what is known, which have that of their covariates.
    """
    trials, bins, latents = x.shape
    there = features[:, known].double()
    says_known = known == torch.arange(len(known))
    number = there.sum(0).clamp_min(1)
    mean = (features * there).sum(0) / number
    centred = torch.where(says_known, 0.0, (features - mean) * there)
    sd = (centred.square().sum(0) / number).sqrt()
    scale = torch.where(sd > 1e-6, sd, torch.inf)
    U, s, Vh = torch.linalg.svd(centred / scale, full_matrices=False)
    kept = s.square() / (s.square() + torch.from_numpy(np.append(RIDGES * trials, np.inf))[:, None])
    leverage = (kept @ U.square().T).clamp_max(1 - 1e-6)
    projected = torch.empty(len(s), bins, latents, dtype=torch.float64)
    errors = torch.zeros(len(kept), bins, dtype=torch.float64)
    for latent in range(latents):
        y = cosine_transform(x[:, :, latent : latent + 1])[..., 0].double()
        projected[:, :, latent] = U.T @ y
        for k, (share, h) in enumerate(zip(kept, leverage, strict=True)):
            left_out = (y - (U * share) @ projected[:, :, latent]) / (1 - h)[:, None]
            errors[k] += left_out.square().sum(0)
    shrunk = (kept / s.clamp_min(1e-12))[errors.argmin(0)].T[..., None] * projected
    B = torch.tensordot(Vh.T, shrunk, dims=1) / scale[:, None, None]
    explained = torch.zeros_like(B)
    for k in says_known.nonzero()[:, 0].tolist():
        own = torch.where(known == k, centred, 0.0)
        covariance = own.T @ own / number[k]
        explained[k] = (B * torch.tensordot(covariance, B, dims=1)).sum(0)
    # Features come as they are: what centres them is said by those that say what is known.
    B = B - torch.zeros_like(B).index_add(0, known, mean[:, None, None] * B)
    return inverse_cosine_transform(B).float(), explained.float()
