"""Fitting the denoiser of an LDNS to latents, and the sampler to the denoiser."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from spikeinterface_gen.counts import SESSION_TIME, SpikeCounts
from spikeinterface_gen.diffusion.discriminants import linear_discriminants
from spikeinterface_gen.diffusion.modes import GaussianModes
from spikeinterface_gen.diffusion.responses import linear_responses
from spikeinterface_gen.models.conditions import Conditions, Encoded
from spikeinterface_gen.models.fit_settings import FitSettings, run_stage
from spikeinterface_gen.models.latent_draws import BLOCK_TRIALS, draw_latents, fit_solver
from spikeinterface_gen.models.latent_moments import moments
from spikeinterface_gen.models.ldns_networks import LDNSNetworks, mask_of
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.models.tasks import DenoiserTask
from spikeinterface_gen.observation.count_model import CountModel
from spikeinterface_gen.training import StageReport, StageSettings

__all__ = ["denoiser_task", "fit_denoiser"]

# Bins that the default sampler is fitted on for each second there is: of BLOCK_TRIALS trials at most.
SOLVER_BINS_A_SECOND = 8000
# Trials that discriminants are compared in, and bins of them for each second there is.
MIN_COMPARED, MAX_COMPARED, COMPARED_BINS_A_SECOND = 64, 1024, 5e4
# Trials a step, fewer of long ones, so that a step has at most so many bins. As with the autoencoder, more steps on
# fewer trials learn faster.
MIN_BATCH, MAX_BATCH, BATCH_BINS = 4, 32, 8192
# Part of a window that it may be shifted by, of recordings without trials.
SHIFTED = 8
# Passes over the trials: a tenth of their number, within bounds. Of few trials, more passes leave the metrics as they
# are and are remembered.
MIN_PASSES, MAX_PASSES = 60, 150


def fit_denoiser(
    networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, settings: FitSettings
) -> StageReport:
    """Train the denoiser on the latents of these trials, and on their conditions where the model has such."""
    networks.eval()
    task = denoiser_task(networks, train, held_out, settings.seed)
    report = run_stage(networks, task, _denoiser_stage(train, networks.denoiser_channels), settings)
    with settings.budget.seconds_for("sampler") as seconds:
        _fit_solver(networks, train, settings.seed, seconds)
    known = networks.conditions
    if networks.trial_locked and known is not None and (flags := _to_follow(networks, known)):
        with settings.budget.seconds_for("discriminants") as seconds:
            _fit_discriminants(networks, known, flags, task.train_latents, train, settings.seed, seconds)
    return report


def denoiser_task(networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, seed: int) -> DenoiserTask:
    """The task of denoising latents of these trials; sets their scale, axes and modes in the networks."""
    known = networks.conditions
    encoded = [networks.encode(part.counts, part.mask) for part in (train, held_out)]
    mean, covariance = moments(encoded[0][train.mask])
    sd = np.sqrt(np.maximum(covariance.diagonal(), 1e-12))
    conditions = None if known is None else (known, known.of_counts(train), known.of_counts(held_out))
    axes = _axes(networks.latent_map.double().cpu().numpy() / sd, covariance / np.outer(sd, sd))
    networks.set_latent_scale(mean, axes * sd)
    if networks.trial_locked:
        networks.set_band_maps()  # They were of what another denoiser drew.
    x, x_held_out = (
        torch.from_numpy((((z - mean) / sd * part.mask[..., None]) @ axes.T).astype(np.float32))
        for z, part in zip(encoded, (train, held_out), strict=True)
    )
    padded = nn.functional.pad(x, (0, 0, 0, networks.num_bins - x.shape[1]))
    modes = GaussianModes.estimate(padded, torch.from_numpy(train.num_bins), networks.trial_locked)
    networks.denoiser.set_modes(*modes)
    if conditions is not None and networks.trial_locked:
        f = _predictors(networks, conditions[1])
        networks.denoiser.set_responses(*_responses(x, train, f, networks))
    return DenoiserTask(
        networks.denoiser,
        x,
        mask_of(train.mask),
        x_held_out,
        mask_of(held_out.mask),
        batch_size=_batch_size(train),
        seed=seed,
        max_shift=0 if networks.trial_locked else x.shape[1] // SHIFTED,
        conditions=conditions,
    )


def _responses(x: Tensor, counts: SpikeCounts, f: Tensor, networks: LDNSNetworks) -> tuple[Tensor, Tensor]:
    """Linear responses to predictors f of latents x of trials."""
    mask = torch.from_numpy(counts.mask)[..., None].float()
    deviation = (x - (x * mask).sum(0) / mask.sum(0).clamp_min(1)) * mask
    padded = nn.functional.pad(deviation, (0, 0, 0, networks.num_bins - x.shape[1]))
    return linear_responses(padded, f, networks.denoiser.predictors.known)


def _axes(known: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Directions of the latents that the denoiser sees, orthonormal rows, shape (latents, latents).

    The principal axes, which are more nearly independent than the latents are; or those nearest to ``known``, of which
    a denoiser that is carried over knows what they mean.
    """
    if not np.array_equal(known, np.diag(known.diagonal())):
        left, _, right = np.linalg.svd(known)
        return left @ right
    return np.linalg.eigh(correlation)[1].T[::-1]


def _batch_size(train: SpikeCounts) -> int:
    return max(MIN_BATCH, min(MAX_BATCH, BATCH_BINS // train.max_bins))


def _denoiser_stage(train: SpikeCounts, channels: int) -> StageSettings:
    num_parts = Population.of(train, train.max_bins).num_parts
    passes = np.clip(num_parts / 10, MIN_PASSES, MAX_PASSES)
    steps = int(np.clip(passes * num_parts / _batch_size(train), 200, 12000))
    # The wider the network, the shorter its steps.
    rate = 1e-2 * np.sqrt(128 / channels)
    return StageSettings(max_steps=steps, learning_rate=rate, evaluate_every=100, patience=8)


def _fit_solver(networks: LDNSNetworks, train: SpikeCounts, seed: int, seconds: float) -> None:
    """Fit the default sampler to the denoiser, on as many trials as there is time for."""
    num_trials = int(np.clip(SOLVER_BINS_A_SECOND * seconds / train.max_bins, 8, BLOCK_TRIALS))
    num_bins = np.resize(train.num_bins, num_trials)
    fit_solver(networks, num_bins, seed, None if networks.conditions is None else networks.conditions.evenly(num_bins))


def _fit_discriminants(
    networks: LDNSNetworks,
    known: Conditions,
    flags: list[int],
    x: Tensor,
    train: SpikeCounts,
    seed: int,
    seconds: float,
) -> None:
    """Let drawn trials follow their conditions as recorded ones, of standardised latents x, do."""
    affordable = min(MAX_COMPARED, train.num_trials, COMPARED_BINS_A_SECOND * seconds / train.max_bins)
    num_bins = np.resize(train.num_bins, int(max(MIN_COMPARED, affordable)))
    drawn: list[np.ndarray] = []
    inferred: list[np.ndarray] = []
    model = CountModel.independent(train.num_units, networks.binary)
    for z in draw_latents(networks, num_bins, seed, "discriminants"):
        first = BLOCK_TRIALS * len(drawn)
        valid = np.arange(z.shape[1]) < num_bins[first : first + len(z), None]
        s = model.draw(networks.expected_counts(z), seed, "discriminants", first) * valid[..., None]
        drawn.append(z)
        inferred.append(networks.encode(s, valid))
    of_recorded, of_drawn = known.of_counts(train), known.evenly(num_bins)
    x_drawn, x_inferred = (
        networks.standardised(torch.from_numpy(np.concatenate(z)).to(networks.latent_mean.device))
        for z in (drawn, inferred)
    )
    found = linear_discriminants(
        _unexplained(networks, x, train.num_bins, of_recorded),
        _unexplained(networks, x_drawn, num_bins, of_drawn),
        _unexplained(networks, x_inferred, num_bins, of_drawn),
        (_predictors(networks, of_recorded), _predictors(networks, of_drawn)),
        networks.denoiser.responses.cpu(),
        networks.denoiser.predictors.known,
        flags,
    )
    networks.denoiser.set_discriminants(*found)


def _to_follow(networks: LDNSNetworks, known: Conditions) -> list[int]:
    """The predictors that say what is known of each covariate that trials are asked for.

    About trial time, what is left is what changes from trial to trial, all units alike in part: how much the encoder
    errs about that depends on how regular spikes are, which is not known yet.
    """
    covariates = (*known.constant, *known.varying)
    flags = networks.denoiser.predictors.flags
    return [flag for flag, covariate in zip(flags, covariates, strict=True) if covariate.name != SESSION_TIME]


def _unexplained(networks: LDNSNetworks, x: Tensor, num_bins: np.ndarray, encoded: Encoded) -> Tensor:
    """What conditions leave of standardised latents of trials of these lengths."""
    device = networks.latent_mean.device
    condition = torch.from_numpy(encoded.constant).to(device), torch.from_numpy(encoded.varying).to(device)
    mean = networks.denoiser.modes(networks.num_bins, condition).mean_over_time.cpu()
    valid = torch.arange(networks.num_bins) < torch.from_numpy(num_bins)[:, None]
    padded = nn.functional.pad(x.cpu(), (0, 0, 0, networks.num_bins - x.shape[1]))
    return (padded - mean) * valid[..., None]


def _predictors(networks: LDNSNetworks, encoded: Encoded) -> Tensor:
    return networks.denoiser.predictors.of(torch.from_numpy(encoded.constant), torch.from_numpy(encoded.varying))
