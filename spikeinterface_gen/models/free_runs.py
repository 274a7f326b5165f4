"""Trials that a model draws while it is fitted, for what is to come out right of drawn trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.models.latent_draws import BLOCK_TRIALS, draw_latents, sample_latents
from spikeinterface_gen.models.latent_moments import Moments, moments, transport
from spikeinterface_gen.models.latent_spectrum import band_maps
from spikeinterface_gen.models.ldns_networks import LDNSNetworks

__all__ = ["FreeRuns", "draw_free_runs"]

# Bins and trials that are drawn at most, and bins for each second there is.
MAX_DRAWN_BINS, MAX_DRAWN_TRIALS, DRAWN_BINS_A_SECOND = 2**20, 4096, 7e4
# What few trials say does not become more by what is compared with them: so many for each, once there are enough.
ENOUGH_TRIALS, DRAWN_FOR_EACH = 800, 4
# Length of trials longer than any recorded one, in such.
LONG_TRIALS = 4
# The map of all latents mixes what the maps of their fast modes made right, and these change what it is to make right.
ROUNDS = 2


@dataclass(frozen=True)
class FreeRuns:
    """Latents of drawn trials.

    Attributes
    ----------
    latents : array of float32, shape (trials, bins, latents)
    valid : array of bool, shape (trials, bins)
    target : Moments
        Of encoded latents, which those of all these trials are.
    many : FreeRuns, optional
        All trials that these are some of.
    """

    latents: np.ndarray
    valid: np.ndarray
    target: Moments
    many: FreeRuns | None = None

    def some(self, num_trials: int) -> FreeRuns:
        """Some of the trials, with the moments of all: what is calibrated on them shall not follow their chance."""
        if num_trials >= len(self.latents):
            return self
        # Trials follow one another as the conditions of recorded ones do, so that the first are not like all.
        chosen = np.arange(num_trials) * len(self.latents) // num_trials
        latents, valid = self.latents[chosen], self.valid[chosen]
        return FreeRuns(_with_moments(latents, valid, self.target)[0], valid, self.target, many=self)


def draw_free_runs(networks: LDNSNetworks, recorded: SpikeCounts, seed: int, seconds: float) -> FreeRuns:
    """Draw trials of the lengths of recorded ones, and give drawn latents the moments of encoded ones.

    These are mean and covariance and, of trials, the covariance of fast modes by bands.

    Parameters
    ----------
    networks : LDNSNetworks
        Its scale of the latents is set.
    recorded : SpikeCounts
        That are encoded.
    seed : int
    seconds : float
        How long the drawing may take on two cores.

    Returns
    -------
    FreeRuns
    """
    affordable = min(MAX_DRAWN_BINS, DRAWN_BINS_A_SECOND * seconds) / recorded.max_bins
    wanted = min(MAX_DRAWN_TRIALS, max(ENOUGH_TRIALS, DRAWN_FOR_EACH * recorded.num_trials))
    num_bins = np.resize(recorded.num_bins, int(max(BLOCK_TRIALS, min(affordable, wanted))))
    latents = np.concatenate(list(draw_latents(networks, num_bins, seed, "free runs")))
    valid = np.arange(latents.shape[1]) < num_bins[:, None]
    encoded = networks.encode(recorded.counts, recorded.mask)
    target = moments(encoded[recorded.mask])
    x = _standardised(networks, latents)
    for _ in range(ROUNDS if networks.trial_locked else 1):
        if networks.trial_locked:
            latents = _with_bands(networks, x, valid, encoded, recorded.mask)
        latents, A, b = _with_moments(latents, valid, target)
        mean, scale = (buffer.double().cpu().numpy() for buffer in (networks.latent_mean, networks.latent_map))
        networks.set_latent_scale(A @ mean + b, scale @ A.T)
    if not networks.trial_locked:
        _match_beyond(networks, moments(encoded[_inside(recorded)]), seed, affordable)
    return FreeRuns(latents, valid, target)


def _standardised(networks: LDNSNetworks, latents: np.ndarray) -> Tensor:
    return networks.standardised(torch.from_numpy(latents).to(networks.latent_mean.device))


def _with_bands(
    networks: LDNSNetworks, x: Tensor, valid: np.ndarray, encoded: np.ndarray, encoded_valid: np.ndarray
) -> np.ndarray:
    """Latents of x, standardised ones that were drawn, with the fast modes of encoded ones."""
    missing = networks.num_bins - encoded.shape[1]
    # Drawn trials are as long as the longest already.
    x_encoded = _standardised(networks, np.pad(encoded, ((0, 0), (0, missing), (0, 0))))
    where, where_encoded = (torch.from_numpy(v) for v in (valid, np.pad(encoded_valid, ((0, 0), (0, missing)))))
    networks.set_band_maps(band_maps(x_encoded.cpu(), x.cpu(), (where_encoded, where)))
    drawn = networks.with_bands(x, where[..., None].to(x))
    return networks.unstandardised(drawn).cpu().numpy() * valid[..., None]


def _match_beyond(networks: LDNSNetworks, target: Moments, seed: int, affordable: float) -> None:
    """Give latents of trials longer than any recorded one the moments of encoded ones far from the ends of trials.

    They are drawn in another way, and what they lack is not the same.
    """
    num_bins = LONG_TRIALS * networks.num_bins
    # Windows overlap by half, and margins come on top.
    number = int(np.clip(affordable / (2 * (LONG_TRIALS + 1)), 4, MAX_DRAWN_TRIALS // LONG_TRIALS))
    blocks = sample_latents(networks, np.full(number, num_bins), seed, block_trials=min(number, BLOCK_TRIALS))
    latents = np.concatenate(list(blocks))
    A, b = transport(moments(latents.reshape(-1, networks.num_latents)), target)
    mean, scale = (buffer.double().cpu().numpy() for buffer in (networks.beyond_mean, networks.beyond_map))
    networks.set_scale_beyond(A @ mean + b, scale @ A.T)


def _with_moments(latents: np.ndarray, valid: np.ndarray, target: Moments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latents A z + b, float32, of which those of valid bins have these moments; and A and b."""
    A, b = transport(moments(latents[valid]), target)
    return (latents @ A.T + b).astype(np.float32), A, b


def _inside(recorded: SpikeCounts) -> np.ndarray:
    """Bins that are not in the first or last eighth of their trial, bool, shape (trials, bins)."""
    place = np.arange(recorded.max_bins) / recorded.num_bins[:, None]
    return recorded.mask & (place >= 0.125) & (place <= 0.875)
