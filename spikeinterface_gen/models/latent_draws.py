"""Latents drawn by the denoiser of an LDNS, in blocks of trials, and the sampler that draws them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from spikeinterface_gen.devices import in_halves
from spikeinterface_gen.diffusion.guidance import guided
from spikeinterface_gen.diffusion.modal import fit_weights, modal
from spikeinterface_gen.diffusion.sample import DEFAULT_STEPS, SAMPLERS
from spikeinterface_gen.models.conditions import Encoded
from spikeinterface_gen.models.latent_moments import Moments, moments, transport
from spikeinterface_gen.models.ldns_networks import SPREAD, LDNSNetworks, mask_of
from spikeinterface_gen.randomness import normals

__all__ = [
    "BLOCK_TRIALS",
    "bytes_to_draw",
    "denoiser_of",
    "draw_latents",
    "draw_rates",
    "fit_solver",
    "sample_latents",
]

BLOCK_TRIALS = 64
"""Trials that are sampled together, always: the numbers of a trial must not depend on how many are asked for."""

# Of rates, variates and what counts are drawn with, for each trial, bin and unit.
BYTES_AN_ENTRY = 48


@torch.no_grad()
def sample_latents(
    networks: LDNSNetworks,
    num_bins: np.ndarray,
    seed: int,
    *,
    steps: int | None = None,
    sampler: str = "modal",
    encoded: Encoded | None = None,
    guidance: float = 1.0,
) -> Iterator[np.ndarray]:
    """Draw latents of one canonical block of trials after the other.

    Parameters
    ----------
    networks : LDNSNetworks
    num_bins : array of int, shape (trials,)
        Length of each trial.
    seed : int
    steps : int, optional
        Steps of the sampler. Default: those of :data:`~spikeinterface_gen.diffusion.sample.DEFAULT_STEPS`.
    sampler : str
        One of :data:`~spikeinterface_gen.diffusion.sample.DEFAULT_STEPS`.
    encoded : Encoded, optional
        Conditions of the trials. Default: unknown.
    guidance : float
        Weight of :func:`~spikeinterface_gen.diffusion.guidance.guided`.

    Yields
    ------
    array of float32, shape (trials of the block, bins, latents)
        Zero beyond the end of a trial.
    """
    if sampler not in DEFAULT_STEPS:
        raise ValueError(f"sampler must be one of {sorted(DEFAULT_STEPS)}; got {sampler!r}.")
    steps = DEFAULT_STEPS[sampler] if steps is None else steps
    length = max(networks.num_bins, int(num_bins.max()))
    modes = networks.denoiser.modes(length)
    for first in range(0, len(num_bins), BLOCK_TRIALS):
        wanted = num_bins[first : first + BLOCK_TRIALS]
        # A block that is not full is filled up, so that it is computed in the same shape.
        lengths = np.concatenate([wanted, np.full(BLOCK_TRIALS - len(wanted), length)])
        trials = range(first, first + BLOCK_TRIALS)
        denoise, mask = denoiser_of(networks, trials, lengths, length, encoded, guidance)
        draw_noise = partial(_noise, networks, seed, trials, length)
        if sampler == "modal":
            x = networks.solve(denoise, draw_noise, steps, modes, mask)
        else:
            x = SAMPLERS[sampler](denoise, draw_noise, steps)
        z = networks.unstandardised(x)
        yield (z if mask is None else z * mask).cpu().numpy()[: len(wanted)]


def draw_latents(networks: LDNSNetworks, num_bins: np.ndarray, seed: int, stage: str) -> Iterator[np.ndarray]:
    """Latents, drawn with a seed derived from ``seed`` and ``stage``; under the conditions of the data."""
    derived = int.from_bytes(hashlib.blake2b(f"{seed}/{stage}".encode(), digest_size=4).digest(), "little")
    encoded = None if networks.conditions is None else networks.conditions.evenly(num_bins)
    return sample_latents(networks, num_bins, derived, encoded=encoded)


def draw_rates(networks: LDNSNetworks, num_bins: np.ndarray, seed: int, stage: str) -> np.ndarray:
    """λ of such latents, shape (trials, bins, units)."""
    return np.concatenate([networks.expected_counts(z) for z in draw_latents(networks, num_bins, seed, stage)])


@torch.no_grad()
def fit_solver(networks: LDNSNetworks, num_bins: np.ndarray, seed: int, encoded: Encoded | None = None) -> None:
    """Fit the default sampler to the denoiser.

    Parameters
    ----------
    networks : LDNSNetworks
    num_bins : array of int, shape (trials,)
        Lengths of the trials that the weights of the sampler are fitted on.
    seed : int
    encoded : Encoded, optional
        Conditions of these.
    """
    length, trials = networks.num_bins, range(len(num_bins))
    denoise, mask = denoiser_of(networks, trials, num_bins, length, encoded)
    noise = _noise(networks, seed, trials, length, 0)
    modes, steps = networks.denoiser.modes(length), len(networks.solver_weights)
    networks.solver_weights.copy_(fit_weights(denoise, noise, steps, modes, mask, SPREAD))
    spread, plain = (
        _moments(modal(denoise, lambda _: noise, steps, modes, networks.solver_weights, mask, width), mask)
        for width in (SPREAD, 1.0)
    )
    A, b = transport(spread, plain)
    networks.spread_map.copy_(torch.from_numpy(A.T))
    networks.spread_shift.copy_(torch.from_numpy(b))


def _moments(x: Tensor, mask: Tensor | None) -> Moments:
    """Of all valid bins of x, shape (batch, bins, latents)."""
    return moments((x.flatten(0, 1) if mask is None else x[mask[..., 0] > 0]).cpu().numpy())


def bytes_to_draw(networks: LDNSNetworks, num_bins: np.ndarray, batch_size: int | None = None) -> float:
    """About how much memory drawing trials of these lengths takes at once, the counts themselves included."""
    length, num_units = max(networks.num_bins, int(num_bins.max())), len(networks.slots)
    tokens = length / networks.patch_size
    latents = BLOCK_TRIALS * 4 * (10 * length * networks.num_latents + 12 * tokens * networks.denoiser_channels)
    rates = min(len(num_bins), batch_size or BLOCK_TRIALS, BLOCK_TRIALS) * length * num_units * BYTES_AN_ENTRY
    return latents + rates + 2.0 * len(num_bins) * length * num_units


def denoiser_of(
    networks: LDNSNetworks,
    trials: range,
    lengths: np.ndarray,
    length: int,
    encoded: Encoded | None,
    guidance: float = 1.0,
) -> tuple[Callable[[Tensor, Tensor], Tensor], Tensor | None]:
    """The denoiser as samplers call it, for trials of these lengths, padded to one, and their mask.

    ``trials`` says which of the trials of ``encoded`` they are; the others as for :func:`sample_latents`.
    """
    mask = mask_of(np.arange(length) < lengths[:, None], networks.latent_mean.device)
    denoiser = networks.fast_denoiser()

    def given(condition: tuple[Tensor, Tensor] | None) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda y, sigma: in_halves(denoiser, y, sigma, mask, condition)

    if encoded is None:
        return given(None), mask
    return guided(given(_condition(networks, encoded, trials, length)), given(None), guidance), mask


def _noise(networks: LDNSNetworks, seed: int, trials: range, length: int, draw: int) -> Tensor:
    shape = (length, networks.num_latents)
    noise = np.stack([normals(seed, f"latents/{draw}", trial, shape) for trial in trials])
    return torch.from_numpy(noise).to(networks.latent_mean.device)


def _condition(networks: LDNSNetworks, encoded: Encoded, trials: range, length: int) -> tuple[Tensor, Tensor]:
    """Conditions of trials, unknown beyond those that there are."""
    chosen = slice(trials.start, trials.stop)
    constant, varying = encoded.constant[chosen], encoded.varying[chosen, :length]
    missing = len(trials) - len(constant)
    padded = (
        np.pad(constant, ((0, missing), (0, 0))),
        np.pad(varying, ((0, missing), (0, length - varying.shape[1]), (0, 0))),
    )
    constant_features, varying_features = (torch.from_numpy(part).to(networks.latent_mean.device) for part in padded)
    return constant_features, varying_features
