"""The stages of fitting an LDNS: autoencoder, denoiser, observation model, and the metrics after each."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.files import write_file
from spikeinterface_gen.models.conditions import Conditions
from spikeinterface_gen.models.latent_draws import BLOCK_TRIALS, fit_solver
from spikeinterface_gen.models.latent_moments import moments, transport
from spikeinterface_gen.models.ldns_networks import LDNSNetworks, mask_of
from spikeinterface_gen.models.ldns_observation import (
    SAMPLED_TRIALS_A_SECOND,
    ObservationReport,
    draw_latents,
    draw_rates,
    fit_count_model,
    joined,
)
from spikeinterface_gen.models.tasks import AutoencoderTask, DenoiserTask
from spikeinterface_gen.models.transfer import Start
from spikeinterface_gen.observation.count_model import CountModel
from spikeinterface_gen.observation.history import SpikeHistory
from spikeinterface_gen.observation.likelihood import bernoulli_nll, poisson_nll
from spikeinterface_gen.observation.synchrony import Synchrony
from spikeinterface_gen.training import StageReport, StageSettings, train_stage
from spikeinterface_gen.validation.distances import compare, floors

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FitSettings", "fit_denoiser", "fit_networks", "hold_out", "stage_metrics", "stage_steps"]

# Shares of ``max_minutes`` after which a stage must be over; the rest is for the observation model and the metrics.
AUTOENCODER_UNTIL, REFIT_UNTIL, DENOISER_UNTIL = 0.35, 0.43, 0.9
# Length of the autoencoder's refit, relative to the step that early stopping found.
REFIT_SHARE = 0.25
# Bins and trials that are drawn to compare their moments with those of encoded trials, at most.
MAX_MATCHED_BINS, MAX_MATCHED_TRIALS = 2**17, 512
# Trials that the default sampler is fitted on for each second there is, BLOCK_TRIALS at most.
SOLVER_TRIALS_A_SECOND = 8
# Trials a step. As with the autoencoder, more steps on fewer trials learn faster.
DENOISER_BATCH = 32
STAGES = ("autoencoder", "refit", "denoiser")


@dataclass(frozen=True)
class FitSettings:
    """What a fit depends on beside the data and the model's own settings."""

    seed: int
    max_minutes: float | None
    num_steps: Mapping[str, tuple[int, int]] | None
    refit: bool
    accelerator: str
    devices: int
    checkpoint: Path | None
    progress: bool

    def __post_init__(self) -> None:
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ValueError(f"max_minutes must be positive; got {self.max_minutes}.")

    @property
    def seconds_after_stages(self) -> float:
        """What the budget, whatever the time left, has for what follows: a fit depends on no other load."""
        return np.inf if self.max_minutes is None else 60 * (1 - DENOISER_UNTIL) * self.max_minutes


def hold_out(counts: SpikeCounts, seed: int) -> tuple[SpikeCounts, SpikeCounts]:
    """Split off the trials that early stopping looks at: 15 %, between 8 and 400."""
    if counts.num_trials < 4:
        raise ValueError(
            f"counts has {counts.num_trials} trials; fit needs at least 4 to hold some out. Long recordings can be "
            "cut into windows: SpikeCounts.from_sorting(…, window_s=…)."
        )
    wanted = min(max(round(0.15 * counts.num_trials), 8), 400, counts.num_trials // 2)
    share = wanted / counts.num_trials
    train, held_out = counts.split((1 - share, share), seed=seed)
    return train, held_out


def fit_networks(
    networks: LDNSNetworks,
    model_settings: Mapping[str, Any],
    train: SpikeCounts,
    held_out: SpikeCounts,
    settings: FitSettings,
    start: Start | None = None,
) -> tuple[dict[str, StageReport], ObservationReport]:
    """Train the autoencoder, then the denoiser on its latents, then fit the observation model.

    Networks begin at random, or with what is carried over from ``start``. Early stopping needs trials held out; where
    ``settings.refit`` says that these may be learned from, the autoencoder then goes on for a while on all trials, from
    the learning rate that it stopped at.

    Returns
    -------
    reports : dict of str to StageReport
    observation : ObservationReport
    """
    started = time.monotonic()
    if settings.checkpoint is not None:
        _open_checkpoint(settings, model_settings, train, held_out, networks.conditions, start)
    reports = {}
    _start_autoencoder(networks, train)
    if start is not None:
        start.carry_over(networks, train)
    task = _autoencoder_task(networks, model_settings, train, held_out, settings.seed)
    stage = _autoencoder_stage(train, held_out, model_settings)
    reports[task.name] = _run(task, stage, settings, started, AUTOENCODER_UNTIL)
    if settings.refit:
        stage = _refit_stage(stage, reports[task.name])
        task = _autoencoder_task(networks, model_settings, joined(train, held_out), held_out, settings.seed, "refit")
        reports[task.name] = _run(task, stage, settings, started, REFIT_UNTIL)
    reports["denoiser"] = fit_denoiser(networks, train, held_out, settings, started)
    count_model, observation = fit_count_model(
        networks, model_settings["history_bins"], train, held_out, settings.seed, settings.seconds_after_stages
    )
    networks.set_count_model(count_model)
    return reports, observation


def fit_denoiser(
    networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, settings: FitSettings, started: float
) -> StageReport:
    """Train the denoiser on the latents of these trials, and on their conditions where the model has such."""
    networks.eval()
    task = _denoiser_task(networks, train, held_out, settings.seed)
    report = _run(task, _denoiser_stage(train, networks.denoiser_channels), settings, started, DENOISER_UNTIL)
    networks.eval()
    _fit_solver(networks, task, train, settings)
    _match_moments(networks, train, settings)
    return report


def stage_steps(num_steps: Any) -> dict[str, tuple[int, int]] | None:
    """(schedule, steps) by stage from what the user gave."""
    if num_steps is None:
        return None
    if isinstance(num_steps, Mapping):
        unknown = set(num_steps) - set(STAGES)
        if unknown:
            raise ValueError(f"num_steps has unknown stages {sorted(unknown)}; known are {', '.join(STAGES)}.")
        pairs = {
            name: steps if isinstance(steps, (tuple, list)) else (steps, steps) for name, steps in num_steps.items()
        }
    else:
        pairs = dict.fromkeys(STAGES, (num_steps, num_steps))
    for name, (schedule, steps) in pairs.items():
        if not 1 <= steps <= schedule:
            raise ValueError(f"num_steps[{name!r}] must be at least 1, within its schedule; got {(schedule, steps)}.")
    return {name: (int(schedule), int(steps)) for name, (schedule, steps) in pairs.items()}


# ---- stages ----------------------------------------------------------------------------------


def _run(
    task: AutoencoderTask | DenoiserTask, stage: StageSettings, settings: FitSettings, started: float, until: float
) -> StageReport:
    schedule, stop_at = (settings.num_steps or {}).get(task.name, (None, None))
    deadline = None if settings.max_minutes is None else started + 60 * until * settings.max_minutes
    return train_stage(
        task,
        stage,
        seed=settings.seed,
        schedule=schedule,
        stop_at=stop_at,
        deadline=deadline,
        checkpoint=settings.checkpoint / f"{task.name}.safetensors" if settings.checkpoint else None,
        accelerator=settings.accelerator,
        devices=settings.devices,
        progress=settings.progress,
    )


def _start_autoencoder(networks: LDNSNetworks, train: SpikeCounts) -> None:
    """Let the decoder begin at the mean rates, and the encoder take all units on one scale."""
    autoencoder = networks.autoencoder
    entries = train.counts[train.mask]
    mean = entries.mean(axis=0, dtype=np.float64)
    # Half a spike in all for units that are silent in these trials.
    rate = np.maximum(mean, 0.5 / len(entries))
    if networks.binary:
        rate = -np.log1p(-np.minimum(rate, 1 - 1e-3))
    sd = entries.std(axis=0, dtype=np.float64)
    with torch.no_grad():
        autoencoder.decoder.outlet.bias.copy_(torch.from_numpy(np.log(rate)))
        # The rarely active ones are not blown up.
        autoencoder.encoder.inlet.weight.div_(torch.from_numpy(np.maximum(sd, 0.1)))


def _autoencoder_task(
    networks: LDNSNetworks,
    model_settings: Mapping[str, Any],
    train: SpikeCounts,
    held_out: SpikeCounts,
    seed: int,
    name: str = "autoencoder",
) -> AutoencoderTask:
    return AutoencoderTask(
        networks.autoencoder,
        torch.from_numpy(train.counts),
        mask_of(train.mask),
        torch.from_numpy(held_out.counts),
        mask_of(held_out.mask),
        bernoulli_nll if networks.binary else poisson_nll,
        name=name,
        dropout_range=model_settings["dropout_range"],
        l2_penalty=model_settings["l2_penalty"],
        smoothness_penalty=model_settings["smoothness_penalty"],
        batch_size=_batch_size(train),
        seed=seed,
    )


def _denoiser_task(networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, seed: int) -> DenoiserTask:
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


def _fit_solver(networks: LDNSNetworks, task: DenoiserTask, train: SpikeCounts, settings: FitSettings) -> None:
    """Fit the default sampler to the denoiser, on as many trials as there is time for."""
    num_trials = int(np.clip(SOLVER_TRIALS_A_SECOND * settings.seconds_after_stages, 8, BLOCK_TRIALS))
    encoded = None
    if networks.conditions is not None:
        encoded = networks.conditions.evenly(np.resize(train.num_bins, num_trials))
    fit_solver(networks, task.train_latents.cpu(), train.num_bins, num_trials, settings.seed, encoded)


def _match_moments(networks: LDNSNetworks, train: SpikeCounts, settings: FitSettings) -> None:
    """Give the latents that are drawn the mean and covariance of the encoded ones."""
    encoded = networks.encode(train.counts, train.mask)[train.mask]
    most = min(MAX_MATCHED_TRIALS, SAMPLED_TRIALS_A_SECOND * settings.seconds_after_stages)
    num_bins = np.resize(train.num_bins, int(max(BLOCK_TRIALS, min(most, MAX_MATCHED_BINS / train.max_bins))))
    drawn = np.concatenate(list(draw_latents(networks, num_bins, settings.seed, "moments")))
    valid = np.arange(drawn.shape[1]) < num_bins[:, None]
    A, b = transport(moments(drawn[valid]), moments(encoded))
    mean, scale = (buffer.double().cpu().numpy() for buffer in (networks.latent_mean, networks.latent_map))
    networks.set_latent_scale(A @ mean + b, scale @ A.T)


def _autoencoder_stage(train: SpikeCounts, held_out: SpikeCounts, model_settings: Mapping[str, Any]) -> StageSettings:
    weight_decay = model_settings["weight_decay"]
    if weight_decay is None:
        # The fewer bins, the more of what the weights could fit is noise.
        weight_decay = float(np.clip(2 * np.sqrt(12_000 / int(train.num_bins.sum())), 0.3, 2))
    steps = int(np.clip(200 * train.num_trials / _batch_size(train), 1000, 5000))
    return StageSettings(
        max_steps=steps,
        learning_rate=8e-3,
        weight_decay=weight_decay,
        final_share=0.1,
        ema_decay=0.98,
        evaluate_every=_evaluate_every(train, held_out),
        patience=10,
        clip=2.0,
    )


def _refit_stage(stage: StageSettings, report: StageReport) -> StageSettings:
    """On from the best step, at the learning rate of then, falling."""
    return replace(
        stage,
        max_steps=max(1, round(REFIT_SHARE * report.best_step)),
        learning_rate=stage.learning_rate * stage.share(report.best_step, report.progress(report.best_step)),
        keep_best=False,
    )


def _denoiser_stage(train: SpikeCounts, channels: int) -> StageSettings:
    # 150 passes over the trials. Of few trials, more passes leave the metrics as they are and are remembered.
    steps = int(np.clip(150 * train.num_trials / DENOISER_BATCH, 800, 12000))
    # The wider the network, the shorter its steps.
    rate = 5e-3 * np.sqrt(64 / channels)
    return StageSettings(max_steps=steps, learning_rate=rate, evaluate_every=100, patience=8)


def _batch_size(train: SpikeCounts) -> int:
    """Trials a step: 64, fewer of long ones, so that a step stays near 4000 bins.

    Many steps on few bins learn faster than few steps on many: on the Lorenz data, 16 trials a step reached in 100 s
    the rates that 64 trials a step reached in 250 s.
    """
    return min(train.num_trials, max(4, min(64, 4096 // train.max_bins)))


def _evaluate_every(train: SpikeCounts, held_out: SpikeCounts) -> int:
    """Steps between evaluations, of which one takes a third of the time of training on as many bins: 10 % of it all."""
    evaluation_steps = held_out.counts.size / (3 * _batch_size(train) * train.counts[0].size)
    return max(25, round(10 * evaluation_steps))


# ---- where quality is lost -------------------------------------------------------------------


def stage_metrics(networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, seed: int) -> pd.DataFrame:
    """Distances of counts after each stage from held-out trials, as ratios to their floor.

    Returns
    -------
    DataFrame
        Rows: counts drawn from the rates of the held-out trials themselves, from rates of sampled latents, with spike
        history, and with synchrony; then the floor, in its own unit (recorded against held-out trials, equally many).
    """
    import pandas as pd

    encoded = networks.expected_counts(networks.encode(held_out.counts, held_out.mask))
    sampled = draw_rates(networks, held_out.num_bins, seed, "metrics")
    model = networks.count_model()
    # Without history the sampled rates have means of their own; only with it are they calibrated.
    history, synchrony = model.history, model.synchrony
    neither = CountModel(
        SpikeHistory.none(train.num_units, 1.0 if networks.binary else np.inf), Synchrony.none(train.num_units)
    )
    rows = {
        "rates of held-out trials": _drawn(neither, encoded, held_out, seed),
        "sampled latents": _drawn(neither, sampled, held_out, seed),
        "sampled latents, spike history": _drawn(CountModel(history, neither.synchrony), sampled, held_out, seed),
        "sampled latents, spike history, synchrony": _drawn(CountModel(history, synchrony), sampled, held_out, seed),
    }
    distances = {name: compare(held_out, synthetic) for name, synthetic in rows.items()}
    metrics = next(iter(distances.values()))
    floor = {m: float(np.median(floors(held_out, train, m, num_splits=8, seed=seed))) for m in metrics}
    table = pd.DataFrame(distances).T / pd.Series(floor)
    table.loc["floor"] = floor
    return table


def _drawn(model: CountModel, rates: np.ndarray, like: SpikeCounts, seed: int) -> SpikeCounts:
    counts = model.draw(rates, seed, "metrics counts")[:, : like.max_bins] * like.mask[..., None]
    return SpikeCounts(counts, like.bin_size_ms, like.unit_ids, num_bins=like.num_bins)


# ---- checkpoints -----------------------------------------------------------------------------


def _open_checkpoint(
    settings: FitSettings,
    model_settings: Mapping[str, Any],
    train: SpikeCounts,
    held_out: SpikeCounts,
    conditions: Conditions | None,
    start: Start | None,
) -> None:
    """Make the checkpoint folder, or check that it belongs to this very fit."""
    folder = settings.checkpoint
    if folder is None:
        return
    digest = hashlib.sha256()
    for part in (train, held_out):
        digest.update(part.counts.tobytes() + part.num_bins.tobytes() + str(part.counts.shape).encode())
    if conditions is not None:
        digest.update(json.dumps(conditions.to_config()).encode())
        digest.update(b"".join(values.tobytes() for values in conditions.arrays().values()))
    asked = asdict(settings)
    this = {
        "data": digest.hexdigest(),
        "settings": json.loads(json.dumps(dict(model_settings))),
        "fit": json.loads(json.dumps({name: asked[name] for name in ("seed", "num_steps", "refit")})),
        "started_from": None if start is None else start.remembered.sha256,
    }
    path = folder / "fit.json"
    if path.exists():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise ValueError(f"checkpoint: {str(path)!r} is damaged; name another folder.") from None
        for key, what in (
            ("data", "other data"),
            ("settings", "other settings of the model"),
            ("fit", "another fit"),
            ("started_from", "a fit that began from another model, or from none"),
        ):
            if there.get(key) != this[key]:
                raise ValueError(
                    f"checkpoint: {str(folder)!r} belongs to {what}; go on with the same, or name another folder."
                )
        return
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"checkpoint: {str(folder)!r} holds something else; name an empty or a new folder.")
    write_file(path, json.dumps(this, indent=1).encode())
