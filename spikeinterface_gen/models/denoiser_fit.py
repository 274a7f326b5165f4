"""Fitting the denoiser of an LDNS to latents, the sampler to the denoiser, and the moments of what it draws."""

from __future__ import annotations

import numpy as np
import torch

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.models.fit_settings import FitSettings, run_stage
from spikeinterface_gen.models.latent_draws import BLOCK_TRIALS, fit_solver
from spikeinterface_gen.models.latent_moments import moments, transport
from spikeinterface_gen.models.ldns_networks import LDNSNetworks, mask_of
from spikeinterface_gen.models.ldns_observation import draw_latents
from spikeinterface_gen.models.tasks import DenoiserTask
from spikeinterface_gen.training import StageReport, StageSettings

__all__ = ["denoiser_task", "fit_denoiser"]

# Bins that the default sampler is fitted on for each second there is: of BLOCK_TRIALS trials at most.
SOLVER_BINS_A_SECOND = 6000
# Bins and trials that are drawn to compare their moments with those of encoded trials: at most, and for each second.
MAX_MATCHED_BINS, MAX_MATCHED_TRIALS, MATCHED_BINS_A_SECOND = 2**17, 512, 5e4
# Trials a step. As with the autoencoder, more steps on fewer trials learn faster.
DENOISER_BATCH = 32


def fit_denoiser(
    networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, settings: FitSettings
) -> StageReport:
    """Train the denoiser on the latents of these trials, and on their conditions where the model has such."""
    networks.eval()
    task = denoiser_task(networks, train, held_out, settings.seed)
    report = run_stage(task, _denoiser_stage(train, networks.denoiser_channels), settings)
    networks.eval()
    with settings.budget.seconds_for("sampler") as seconds:
        _fit_solver(networks, task, train, settings.seed, seconds)
    with settings.budget.seconds_for("moments") as seconds:
        _match_moments(networks, task, train, settings.seed, seconds)
    return report


def denoiser_task(networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, seed: int) -> DenoiserTask:
    """The task of denoising latents of these trials; sets their scale in the networks."""
    known = networks.conditions
    z = networks.encode(train.counts, train.mask)
    z_held_out = networks.encode(held_out.counts, held_out.mask)
    mean, sd = z[train.mask].mean(axis=0), z[train.mask].std(axis=0)
    sd = np.maximum(sd, 1e-6)
    networks.set_latent_scale(mean, np.diag(sd))
    scaled = [((values - mean) / sd * part.mask[..., None]) for values, part in ((z, train), (z_held_out, held_out))]
    return DenoiserTask(
        networks.denoiser,
        torch.from_numpy(scaled[0]),
        mask_of(train.mask),
        torch.from_numpy(scaled[1]),
        mask_of(held_out.mask),
        batch_size=DENOISER_BATCH,
        seed=seed,
        conditions=None if known is None else (known, known.of_counts(train), known.of_counts(held_out)),
    )


def _denoiser_stage(train: SpikeCounts, channels: int) -> StageSettings:
    # 150 passes over the trials. Of few trials, more passes leave the metrics as they are and are remembered.
    steps = int(np.clip(150 * train.num_trials / DENOISER_BATCH, 800, 12000))
    # The wider the network, the shorter its steps.
    rate = 5e-3 * np.sqrt(64 / channels)
    return StageSettings(max_steps=steps, learning_rate=rate, evaluate_every=100, patience=8)


def _fit_solver(networks: LDNSNetworks, task: DenoiserTask, train: SpikeCounts, seed: int, seconds: float) -> None:
    """Fit the default sampler to the denoiser, on as many trials as there is time for."""
    num_trials = int(np.clip(SOLVER_BINS_A_SECOND * seconds / train.max_bins, 8, BLOCK_TRIALS))
    encoded = None
    if networks.conditions is not None:
        encoded = networks.conditions.evenly(np.resize(train.num_bins, num_trials))
    fit_solver(networks, task.train_latents.cpu(), train.num_bins, num_trials, seed, encoded)


def _match_moments(networks: LDNSNetworks, task: DenoiserTask, train: SpikeCounts, seed: int, seconds: float) -> None:
    """Give the latents that are drawn the mean and covariance of the encoded ones."""
    encoded = networks.unstandardised(task.train_latents).cpu().numpy()[train.mask]
    most = min(MAX_MATCHED_BINS, MATCHED_BINS_A_SECOND * seconds) / train.max_bins
    num_bins = np.resize(train.num_bins, int(np.clip(most, BLOCK_TRIALS, MAX_MATCHED_TRIALS)))
    drawn = np.concatenate(list(draw_latents(networks, num_bins, seed, "moments")))
    valid = np.arange(drawn.shape[1]) < num_bins[:, None]
    A, b = transport(moments(drawn[valid]), moments(encoded))
    mean, scale = (buffer.double().cpu().numpy() for buffer in (networks.latent_mean, networks.latent_map))
    networks.set_latent_scale(A @ mean + b, scale @ A.T)
