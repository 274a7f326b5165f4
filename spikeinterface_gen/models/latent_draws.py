"""Latents drawn by the denoiser of an LDNS, in blocks of trials, and the sampler that draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from spikeinterface_gen.devices import in_halves
from spikeinterface_gen.diffusion.guidance import guided
from spikeinterface_gen.diffusion.modal import fit_weights, modal
from spikeinterface_gen.diffusion.sample import DEFAULT_STEPS, SAMPLERS
from spikeinterface_gen.diffusion.windows import WINDOWS_AT_ONCE, half_window, in_windows
from spikeinterface_gen.models.conditions import Encoded
from spikeinterface_gen.models.latent_moments import Moments, moments, transport
from spikeinterface_gen.models.ldns_networks import LDNSNetworks, mask_of
from spikeinterface_gen.randomness import derived_seed, normals

__all__ = [
    "BLOCK_TRIALS",
    "bytes_to_draw",
    "condition_of",
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
    block_trials: int = BLOCK_TRIALS,
    part: range | None = None,
) -> Iterator[np.ndarray]:
    """Draw latents of one canonical block of trials after the other.

    Trials that are longer than any of the data are drawn window by window, and longer than they are: near the ends of
    trials the encoder knows less of the latents, and they vary otherwise. Each is the middle of one that has no ends.

    Parameters
    ----------
    networks : LDNSNetworks
    num_bins : array of int, shape (trials,)
        Length of each trial.
    seed : int
    steps : int, optional
        Steps of the sampler. Default: of "modal", those that it is fitted to, of others those of
        :data:`~spikeinterface_gen.diffusion.sample.DEFAULT_STEPS`.
    sampler : str
        One of :data:`~spikeinterface_gen.diffusion.sample.DEFAULT_STEPS`.
    encoded : Encoded, optional
        Conditions of the trials. Default: unknown.
    guidance : float
        Weight of :func:`~spikeinterface_gen.diffusion.guidance.guided`.
    block_trials : int
        Trials of a block, on which the numbers of a trial depend by rounding alone.
    part : range, optional
        The trials that are drawn, one after the other, if not all.

    Yields
    ------
    array of float32, shape (trials of the part in the block, bins, latents)
        Zero beyond the end of a trial.
    """
    if sampler not in DEFAULT_STEPS:
        raise ValueError(f"sampler must be one of {sorted(DEFAULT_STEPS)}; got {sampler!r}.")
    if steps is None:
        steps = networks.steps if sampler == "modal" else DEFAULT_STEPS[sampler]
    longest = max(networks.num_bins, int(num_bins.max()))
    margin = half_window(networks.num_bins) if longest > networks.num_bins else 0
    length = longest + 2 * margin
    part = range(len(num_bins)) if part is None else part
    for first in range(part.start // block_trials * block_trials, part.stop, block_trials):
        wanted = num_bins[first : first + block_trials]
        # A block that is not full is filled up, so that it is computed in the same shape.
        lengths = np.concatenate([wanted, np.full(block_trials - len(wanted), longest)])
        trials = range(first, first + block_trials)
        condition = condition_of(networks, encoded if guidance else None, trials, length, margin)
        denoise, mask = denoiser_of(networks, lengths, length, condition, guidance)
        draw_noise = partial(_noise, networks, seed, trials, length)
        if sampler == "modal":
            x = networks.solve(denoise, draw_noise, steps, networks.denoiser.modes(length, condition), mask)
        else:
            x = SAMPLERS[sampler](denoise, draw_noise, steps)
        if condition is not None:
            x = networks.denoiser.following(x, condition, mask)
        x = networks.with_bands(x, mask)
        z = networks.unstandardised(x[: len(wanted), margin : margin + longest], beyond=margin > 0).cpu().numpy()
        z *= (np.arange(longest) < wanted[:, None])[..., None]
        yield z[max(part.start - first, 0) : part.stop - first]


def draw_latents(networks: LDNSNetworks, num_bins: np.ndarray, seed: int, stage: str) -> Iterator[np.ndarray]:
    """Latents, drawn with a seed derived from ``seed`` and ``stage``; under the conditions of the data."""
    encoded = None if networks.conditions is None else networks.conditions.evenly(num_bins)
    return sample_latents(networks, num_bins, derived_seed(seed, stage), encoded=encoded)


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
    condition = condition_of(networks, encoded, trials, length)
    denoise, mask = denoiser_of(networks, num_bins, length, condition)
    noise = _noise(networks, seed, trials, length, 0)
    modes, steps = networks.denoiser.modes(length, condition), networks.steps
    networks.solver_weights.copy_(fit_weights(denoise, noise, steps, modes, mask, networks.spread))
    spread, plain = (
        _moments(modal(denoise, lambda _: noise, steps, modes, networks.solver_weights, mask, width), mask)
        for width in (networks.spread, 1.0)
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
    # Longer sequences are denoised window by window.
    tokens = min(length, WINDOWS_AT_ONCE // BLOCK_TRIALS * networks.num_bins) / networks.patch_size
    latents = BLOCK_TRIALS * 4 * (10 * length * networks.num_latents + 12 * tokens * networks.denoiser_channels)
    rates = min(len(num_bins), batch_size or BLOCK_TRIALS, BLOCK_TRIALS) * length * num_units * BYTES_AN_ENTRY
    return latents + rates + 2.0 * len(num_bins) * length * num_units


def denoiser_of(
    networks: LDNSNetworks,
    lengths: np.ndarray,
    length: int,
    condition: tuple[Tensor, Tensor] | None,
    guidance: float = 1.0,
) -> tuple[Callable[[Tensor, Tensor], Tensor], Tensor | None]:
    """The denoiser as samplers call it, for trials of these lengths, padded to one, and their mask.

    ``condition`` is that of :func:`condition_of`. Trials that are longer than any of the data have no mask: they are
    drawn as long as the longest, and cut.
    """
    denoiser = networks.fast_denoiser()
    is_long = length > networks.num_bins
    mask = None if is_long else mask_of(np.arange(length) < lengths[:, None], networks.latent_mean.device)

    def given(condition: tuple[Tensor, Tensor] | None) -> Callable[[Tensor, Tensor], Tensor]:
        def whole(y: Tensor, sigma: Tensor, condition: tuple[Tensor, Tensor] | None) -> Tensor:
            return in_halves(denoiser, y, sigma, mask, condition)

        def long(y: Tensor, sigma: Tensor) -> Tensor:
            return in_windows(whole, y, sigma, condition, networks.num_bins)

        return long if is_long else lambda y, sigma: whole(y, sigma, condition)

    if condition is None:
        return given(None), mask
    return guided(given(condition), given(None), guidance), mask


def _noise(networks: LDNSNetworks, seed: int, trials: range, length: int, draw: int) -> Tensor:
    shape = (length, networks.num_latents)
    noise = np.stack([normals(seed, f"latents/{draw}", trial, shape) for trial in trials])
    return torch.from_numpy(noise).to(networks.latent_mean.device)


def condition_of(
    networks: LDNSNetworks, encoded: Encoded | None, trials: range, length: int, margin: int = 0
) -> tuple[Tensor, Tensor] | None:
    """Conditions of some of the trials, padded to one length, as the denoiser takes them.

    They are unknown beyond the trials that there are; margins, after which bins begin, have those of the nearest bin.
    """
    if encoded is None:
        return None
    constant = encoded.constant[trials.start : trials.stop]
    varying = encoded.varying[trials.start : trials.stop, :length]
    beyond = len(trials) - len(constant)
    varying = np.pad(varying, ((0, 0), (margin, margin), (0, 0)), mode="edge")
    # Zero beyond the end of a trial, as in training, whichever other trials are drawn.
    varying = np.pad(varying, ((0, beyond), (0, length - varying.shape[1]), (0, 0)))
    device = networks.latent_mean.device
    return torch.from_numpy(np.pad(constant, ((0, beyond), (0, 0)))).to(device), torch.from_numpy(varying).to(device)
