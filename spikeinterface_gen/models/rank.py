r"""How many directions of log rates a decoder is left with: no more than other trials confirm.

A decoder's last layer W has many more features h than the rates of a population have dimensions. What it makes of the
others is noise of the training trials: of no use for other trials, and a trace of those. Directions are the principal
ones of the log rates, each unit counted as its spikes tell of it,

.. math::

    \operatorname{diag}(\sqrt{\mu})\, W R = U S V^\top, \qquad R R^\top = \operatorname{cov}(h), \qquad
    W_r = \operatorname{diag}(\mu)^{-1/2}\, U_r S_r V_r^\top R^+,

with mean counts :math:`\mu`. With r directions, hidden entries of held-out trials have a log-likelihood :math:`\ell_r`,
scaled to as many bins as were learned from; of n units, those directions are kept that bring a nat or more for each
weight,

.. math::

    r = \arg\max_r \; \ell_r - r n .

A weight that was found z standard errors from zero gains some :math:`z^2 / 2` nats on the trials it was learned from,
and :math:`z^2 / 2 - 1` on others: those of a direction that is kept are two standard errors from zero, root mean
square, and at most a quarter of their square is noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.models.halves import encoded_halves
from spikeinterface_gen.models.ldns_networks import LDNSNetworks
from spikeinterface_gen.models.trials import some_trials
from spikeinterface_gen.observation.likelihood import count_nll

__all__ = ["enough_directions", "keep_directions"]

# Bins that features are looked at in, and entries (trial, bin, unit) of held-out trials, at most.
MAX_BINS, MAX_ENTRIES = 50_000, 2e6
# Directions that may turn out to be too many; a decoder that needs more keeps all it has.
MAX_DIRECTIONS = 64
# What a weight must gain on other trials.
NATS_A_WEIGHT = 1.0
# Features that vary less than this share of the largest variance are not told from constants.
SMALLEST_VARIANCE = 1e-8


@torch.no_grad()
def enough_directions(networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, seed: int) -> int | None:
    """r, at least 1; None if it is :data:`MAX_DIRECTIONS` or more."""
    part = some_trials(held_out, MAX_ENTRIES, seed)
    directions = _Directions.of(networks, train, seed)
    most = min(MAX_DIRECTIONS, len(directions.loadings))
    decoder, s = networks.autoencoder.decoder, torch.from_numpy(part.counts).float()
    nll = count_nll(networks.binary)
    loss = np.zeros(most + 1)
    for hidden, z in encoded_halves(networks, part, seed, "directions"):
        h = decoder.features(torch.from_numpy(z).to(decoder.scale.device))
        mean = decoder.outlet(h).flatten(0, 1).logsumexp(dim=0)
        x = directions.scores(h)
        counted = torch.from_numpy(hidden & part.mask[..., None])
        log_rates = torch.zeros(*h.shape[:-1], part.num_units, device=h.device)
        for r in range(most + 1):
            if r:
                log_rates += x[..., r - 1, None] * directions.loadings[r - 1]
            # Mean rates stay, whichever directions are left out.
            expected = log_rates + (mean - log_rates.flatten(0, 1).logsumexp(dim=0))
            loss[r] += nll(expected.cpu(), s)[counted].sum(dtype=torch.float64)
    loss *= int(train.num_bins.sum()) / int(part.num_bins.sum())
    enough = int(np.argmin(loss + NATS_A_WEIGHT * part.num_units * np.arange(most + 1)))
    return None if enough == MAX_DIRECTIONS else max(1, enough)


@torch.no_grad()
def keep_directions(networks: LDNSNetworks, counts: SpikeCounts, number: int, seed: int) -> None:
    """Leave the decoder the ``number`` directions that tell most of these trials; mean log rates stay."""
    directions = _Directions.of(networks, counts, seed)
    outlet = networks.autoencoder.decoder.outlet
    kept = directions.loadings[:number].T @ directions.maps[:number]
    outlet.bias.add_((outlet.weight - kept) @ directions.centre)
    outlet.weight.copy_(kept)


class _Directions(NamedTuple):
    """Directions of the log rates, those that tell most first.

    Attributes
    ----------
    centre : Tensor, shape (features,)
        Mean of the features h.
    maps : Tensor, shape (directions, features)
        Scores of them, of unit variance, are maps (h − centre).
    loadings : Tensor, shape (directions, units)
    """

    centre: Tensor
    maps: Tensor
    loadings: Tensor

    @classmethod
    def of(cls, networks: LDNSNetworks, counts: SpikeCounts, seed: int) -> _Directions:
        """Those of these trials."""
        decoder = networks.autoencoder.decoder
        part = some_trials(counts, MAX_BINS * counts.num_units, seed)
        z = networks.encode(part.counts, part.mask)[part.mask]
        h = decoder.features(torch.from_numpy(z).to(decoder.scale.device)).double()
        centre = h.mean(dim=0)
        variances, axes = torch.linalg.eigh(torch.cov(h.T))
        seen = variances > SMALLEST_VARIANCE * variances[-1]
        sd, axes = variances[seen].sqrt(), axes[:, seen]
        W = decoder.outlet.weight.double()
        mean = torch.from_numpy(part.counts[part.mask].mean(axis=0, dtype=np.float64)).to(W)
        weight = mean.clamp_min(0.5 / len(z)).sqrt()[:, None]
        U, S, V = torch.linalg.svd(weight * (W @ (axes * sd)), full_matrices=False)
        return cls(centre.float(), (V @ (axes / sd).T).float(), ((U * S) / weight).T.float())

    def scores(self, h: Tensor) -> Tensor:
        """x of features h, shape (…, features): shape (…, directions)."""
        return (h - self.centre) @ self.maps.T
