r"""Completion: what is not known of trials, drawn from what is.

Known counts are Poisson (or Bernoulli) given :math:`\ln \lambda_i = f_i(z)`. In each bin their log-likelihood has the
gradient :math:`\sum_i g_i \nabla f_i` and the Fisher information :math:`\sum_i h_i \nabla f_i \nabla f_i^T`, with
g = s − λ and h = λ for Poisson counts. Spike history is not in this, since λ alone holds what units share; unknown
counts are then drawn with it, after the known ones. Covariates that the model knows are known of the trials, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.diffusion.posterior import GaussianCovariance, posterior_denoiser
from spikeinterface_gen.diffusion.sample import DEFAULT_STEPS, angular
from spikeinterface_gen.models.base import check_counts
from spikeinterface_gen.models.latent_draws import condition_of, denoiser_of, sample_latents
from spikeinterface_gen.models.ldns_networks import LDNSNetworks
from spikeinterface_gen.observation.history import MAX_RATE
from spikeinterface_gen.provenance import provenance
from spikeinterface_gen.randomness import normals, resolve_seed

__all__ = ["complete", "complete_rates"]

# Trials at once: bounded by the derivatives of the decoder, (trials, bins, units, latents).
MAX_ENTRIES = 2e7
# Trials whose covariance stands for that of the latents.
NUM_COVARIANCE_TRIALS = 320


def complete(model: Any, counts: SpikeCounts, known: Any, steps: int | None, seed: int | None) -> SpikeCounts:
    """Draw the unknown counts; see :meth:`spikeinterface_gen.LDNS.complete`."""
    seed = resolve_seed(seed)
    networks, is_known = _checked(model, counts, known)
    drawn, count_model = [], networks.count_model()
    for part, z in _latents(networks, counts, is_known, _covariance(networks, counts.max_bins), steps, seed):
        rates = networks.expected_counts(z)
        given = (counts.counts[part], is_known[part])
        drawn.append(count_model.draw(rates, seed, "completion counts", part.start, given))
    completed = np.concatenate(drawn) * counts.mask[..., None]
    return SpikeCounts(
        completed,
        counts.bin_size_ms,
        unit_ids=counts.unit_ids,
        num_bins=counts.num_bins,
        covariates=counts.covariates,
        unit_properties=counts.unit_properties,
        t_starts_s=counts.t_starts_s,
        trial_locked=counts.trial_locked,
        annotations={
            **provenance("LDNS", model.sha256(), seed),
            "completion": f"{float(is_known[counts.mask].mean()):.1%} of the counts are recorded",
        },
    )


def complete_rates(
    model: Any, counts: SpikeCounts, known: Any, num_samples: int, steps: int | None, seed: int | None
) -> np.ndarray:
    """Mean rates in Hz given what is known; see :meth:`spikeinterface_gen.LDNS.complete_rates`."""
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1; got {num_samples}.")
    seed = resolve_seed(seed)
    networks, is_known = _checked(model, counts, known)
    total = np.zeros(counts.counts.shape, np.float32)
    covariance = _covariance(networks, counts.max_bins)
    for sample in range(num_samples):
        for part, z in _latents(networks, counts, is_known, covariance, steps, seed, sample):
            total[part] += networks.expected_counts(z)
    return total * counts.mask[..., None] * np.float32(1000.0 / (counts.bin_size_ms * num_samples))


def _checked(model: Any, counts: SpikeCounts, known: Any) -> tuple[LDNSNetworks, np.ndarray]:
    """The networks, and which entries are known, shape of the counts."""
    networks = model._ready()
    check_counts(counts, "counts", model.population_.unit_ids, model.population_.bin_size_ms)
    if model.population_.trial_locked and counts.max_bins > model.population_.max_bins:
        raise ValueError(
            f"counts has trials of up to {counts.max_bins} bins; this model is locked to trials of at most "
            f"{model.population_.max_bins}."
        )
    is_known = np.asarray(known)
    shape = counts.counts.shape
    if is_known.dtype != bool:
        raise TypeError(f"known must be boolean, True where counts are known; got an array of {is_known.dtype}.")
    if is_known.shape == (shape[1],) and shape[1] != shape[2]:
        is_known = is_known[:, None]
    try:
        is_known = np.broadcast_to(is_known, shape)
    except ValueError:
        raise ValueError(
            f"known must be of shape (bins,), (units,), (bins, units) or (trials, bins, units) for counts of {shape}; "
            f"got {is_known.shape}."
        ) from None
    return networks, is_known & counts.mask[..., None]


def _latents(
    networks: LDNSNetworks,
    counts: SpikeCounts,
    known: np.ndarray,
    covariance: GaussianCovariance,
    steps: int | None,
    seed: int,
    sample: int = 0,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield slices of the trials and their latents given what is known, (trials, bins, latents)."""
    trials, bins, units = counts.counts.shape
    device, length = networks.latent_mean.device, max(networks.num_bins, bins)
    encoded = None if networks.conditions is None else networks.conditions.of_counts(counts, complete=False)
    size = int(np.clip(MAX_ENTRIES / (length * units * networks.num_latents), 1, 64))
    pad = ((0, 0), (0, length - bins), (0, 0))
    for start in range(0, trials, size):
        part = slice(start, min(start + size, trials))
        s = torch.from_numpy(np.pad(counts.counts[part], pad).astype(np.float32)).to(device)
        is_known = torch.from_numpy(np.pad(known[part], pad)).to(device)
        # Trials that are not padded in the data may still be shorter than the network: they go on, unknown.
        lengths = counts.num_bins[part] if not counts.mask[part].all() else np.full(len(s), length)
        numbers = range(part.start, part.stop)
        denoise, _ = denoiser_of(networks, lengths, length, condition_of(networks, encoded, numbers, length))
        shape = (length, networks.num_latents)
        noise = np.stack([normals(seed, f"completion/{sample}", trial, shape) for trial in numbers])
        start_noise = torch.from_numpy(noise).to(device)

        def draw_noise(_: int, noise: Tensor = start_noise) -> Tensor:
            return noise

        given = posterior_denoiser(denoise, covariance, _likelihood(networks, s, is_known))
        with torch.no_grad():
            x = angular(given, draw_noise, steps or DEFAULT_STEPS["angular"])
        z = networks.unstandardised(x).cpu().numpy()
        yield part, z[:, :bins]


def _covariance(networks: LDNSNetworks, bins: int) -> GaussianCovariance:
    """Of standardised latents that the model draws, over as many bins as trials of up to ``bins`` are drawn with."""
    lengths = np.full(NUM_COVARIANCE_TRIALS, max(networks.num_bins, bins))
    z = torch.from_numpy(np.concatenate(list(sample_latents(networks, lengths, 0))))
    return GaussianCovariance.of_samples(networks.standardised(z.to(networks.latent_mean.device)))


def _likelihood(networks: LDNSNetworks, s: Tensor, known: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Gradient and Fisher information of the known counts in standardised latents."""
    decoder = networks.autoencoder.decoder

    def likelihood(x: Tensor) -> tuple[Tensor, Tensor]:
        z = networks.unstandardised(x)
        columns = []
        for k in range(x.shape[-1]):
            tangent = networks.latent_map[k].expand_as(z)
            log_rate, *column = torch.func.jvp(decoder, (z,), (tangent,))
            columns += column
        slopes = torch.stack(columns, dim=-1)
        r = log_rate.clamp_max(math.log(MAX_RATE)).exp()
        if networks.binary:
            odds = r / torch.expm1(r.clamp_min(1e-6))
            g, h = s * odds - (1 - s) * r, r * odds
        else:
            g, h = s - r, r
        g, h = g * known, h * known
        gradient = (g[..., None, :] @ slopes)[..., 0, :]
        curvature = slopes.mT @ (h[..., None] * slopes)
        return gradient, curvature

    return likelihood
