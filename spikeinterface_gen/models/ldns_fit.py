"""The stages of fitting an LDNS: autoencoder, denoiser, observation model, and the metrics after each."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.files import write_file
from spikeinterface_gen.models.ldns_networks import LDNSNetworks, mask_of
from spikeinterface_gen.models.tasks import AutoencoderTask, DenoiserTask
from spikeinterface_gen.observation.history import SpikeHistory, calibrate, fit_history
from spikeinterface_gen.observation.likelihood import bernoulli_nll, poisson_nll
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.training import StageReport, StageSettings, train_stage
from spikeinterface_gen.validation.distances import compare, floors

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FitSettings", "fit_networks", "hold_out", "stage_metrics", "stage_steps"]

# Shares of ``max_minutes`` after which a stage must be over; the rest is for the observation model and the metrics.
AUTOENCODER_UNTIL, DENOISER_UNTIL = 0.45, 0.88
# Entries (trial, bin, unit) that the observation model is fitted and calibrated on, at most: some 200 MB of rates.
MAX_OBSERVED_ENTRIES = 4e7
MAX_CALIBRATED_ENTRIES = 2e7


@dataclass(frozen=True)
class FitSettings:
    """What a fit depends on beside the data and the model's own settings."""

    seed: int
    max_minutes: float | None
    num_steps: Mapping[str, tuple[int, int]] | None
    accelerator: str
    devices: int
    checkpoint: Path | None
    progress: bool


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
) -> dict[str, StageReport]:
    """Train the autoencoder, then the denoiser on its latents, then fit the observation model.

    Returns
    -------
    dict of str to StageReport
    """
    started = time.monotonic()
    if settings.checkpoint is not None:
        _open_checkpoint(settings, model_settings, train, held_out)
    reports = {}
    task: AutoencoderTask | DenoiserTask = _autoencoder_task(networks, model_settings, train, held_out, settings.seed)
    reports[task.name] = _run(task, _autoencoder_stage(train, model_settings), settings, started, AUTOENCODER_UNTIL)
    networks.eval()
    task = _denoiser_task(networks, train, held_out, settings.seed)
    reports[task.name] = _run(task, _denoiser_stage(train), settings, started, DENOISER_UNTIL)
    networks.eval()
    networks.set_history(_fit_observation(networks, model_settings, train, held_out, settings.seed))
    return reports


def stage_steps(num_steps: Any) -> dict[str, tuple[int, int]] | None:
    """(schedule, steps) by stage from what the user gave."""
    if num_steps is None:
        return None
    if isinstance(num_steps, Mapping):
        unknown = set(num_steps) - {"autoencoder", "denoiser"}
        if unknown:
            raise ValueError(f"num_steps has unknown stages {sorted(unknown)}; known are 'autoencoder' and 'denoiser'.")
        pairs = {
            name: steps if isinstance(steps, (tuple, list)) else (steps, steps) for name, steps in num_steps.items()
        }
    else:
        pairs = dict.fromkeys(("autoencoder", "denoiser"), (num_steps, num_steps))
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


def _autoencoder_task(
    networks: LDNSNetworks, model_settings: Mapping[str, Any], train: SpikeCounts, held_out: SpikeCounts, seed: int
) -> AutoencoderTask:
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
        # Units enter on one scale, but the rarely active ones are not blown up.
        autoencoder.encoder.inlet.weight.div_(torch.from_numpy(np.maximum(sd, 0.1)))
    return AutoencoderTask(
        autoencoder,
        torch.from_numpy(train.counts),
        mask_of(train.mask),
        torch.from_numpy(held_out.counts),
        mask_of(held_out.mask),
        bernoulli_nll if networks.binary else poisson_nll,
        dropout_range=model_settings["dropout_range"],
        l2_penalty=model_settings["l2_penalty"],
        smoothness_penalty=model_settings["smoothness_penalty"],
        batch_size=_batch_size(train),
        seed=seed,
    )


def _denoiser_task(networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, seed: int) -> DenoiserTask:
    z = networks.encode(train.counts, train.mask)
    z_held_out = networks.encode(held_out.counts, held_out.mask)
    mean, sd = z[train.mask].mean(axis=0), z[train.mask].std(axis=0)
    sd = np.maximum(sd, 1e-6)
    networks.latent_mean.copy_(torch.from_numpy(mean))
    networks.latent_sd.copy_(torch.from_numpy(sd))
    scaled = [((values - mean) / sd * part.mask[..., None]) for values, part in ((z, train), (z_held_out, held_out))]
    return DenoiserTask(
        networks.denoiser,
        torch.from_numpy(scaled[0]),
        mask_of(train.mask),
        torch.from_numpy(scaled[1]),
        mask_of(held_out.mask),
        batch_size=64,
        seed=seed,
    )


def _autoencoder_stage(train: SpikeCounts, model_settings: Mapping[str, Any]) -> StageSettings:
    steps = int(np.clip(200 * train.num_trials / _batch_size(train), 1000, 3000))
    return StageSettings(
        max_steps=steps,
        learning_rate=4e-3,
        weight_decay=model_settings["weight_decay"],
        final_share=0.1,
        ema_decay=0.98,
        evaluate_every=25,
        patience=10,
        clip=2.0,
    )


def _denoiser_stage(train: SpikeCounts) -> StageSettings:
    # 150 passes over the trials. Of few trials, more passes leave the metrics as they are and are remembered.
    steps = int(np.clip(150 * train.num_trials / 64, 500, 6000))
    return StageSettings(max_steps=steps, evaluate_every=50, patience=8)


def _batch_size(train: SpikeCounts) -> int:
    """Trials a step: 64, fewer of long ones, so that a step stays near 16 000 bins."""
    return min(train.num_trials, max(8, min(64, 16384 // train.max_bins)))


def _fit_observation(
    networks: LDNSNetworks, model_settings: Mapping[str, Any], train: SpikeCounts, held_out: SpikeCounts, seed: int
) -> SpikeHistory:
    """Fit the spike history on recorded trials, then calibrate it on free runs, to the means of all trials."""
    part = _some_trials(train, seed)
    # Each half of the entries is predicted from the other.
    hidden = np.stack([uniforms(seed, "observation mask", t, part.counts.shape[1:]) < 0.5 for t in range(len(part))])
    rates = np.empty(part.counts.shape, np.float32)
    for side in (hidden, ~hidden):
        z = networks.encode(part.counts * ~side, part.mask, share_hidden=0.5)
        rates[side] = networks.expected_counts(z)[side]
    predicted = np.broadcast_to(part.mask[..., None], part.counts.shape)
    history = fit_history(rates, part.counts, predicted, model_settings["history_bins"], networks.binary)

    # More trials than were recorded, where they are few: means of free runs must not wander with the draw.
    num_bins = np.resize(train.num_bins, int(np.clip(MAX_CALIBRATED_ENTRIES / train.counts[0].size, 64, 600)))
    free = draw_rates(networks, num_bins, seed, "calibration")
    shape = (history.num_bins + free.shape[1], free.shape[2])
    draws = np.stack([uniforms(seed, "calibration counts", trial, shape) for trial in range(len(free))])
    valid = np.arange(free.shape[1]) < num_bins[:, None]
    target = _mean_counts(train, held_out)
    return calibrate(history, free, draws, target, valid)


def _mean_counts(*parts: SpikeCounts) -> np.ndarray:
    """Mean counts per bin over all valid bins of all parts, shape (units,)."""
    spikes = sum(part.counts.sum(axis=(0, 1), dtype=np.int64) for part in parts)
    return np.asarray(spikes / sum(int(part.num_bins.sum()) for part in parts))


def draw_rates(networks: LDNSNetworks, num_bins: np.ndarray, seed: int, stage: str, steps: int = 12) -> np.ndarray:
    """λ of sampled latents, drawn with a seed derived from ``seed`` and ``stage``."""
    derived = int.from_bytes(hashlib.blake2b(f"{seed}/{stage}".encode(), digest_size=4).digest(), "little")
    blocks = [networks.expected_counts(z) for z in networks.sample_latents(num_bins, derived, steps=steps)]
    return np.concatenate(blocks)


def _some_trials(counts: SpikeCounts, seed: int) -> SpikeCounts:
    """As many trials, at random, as the observation model is fitted on."""
    affordable = max(8, int(MAX_OBSERVED_ENTRIES / counts.counts[0].size))
    if counts.num_trials <= affordable:
        return counts
    order = np.argsort(uniforms(seed, "observation trials", 0, (counts.num_trials,)))
    return counts[np.sort(order[:affordable])]


# ---- where quality is lost -------------------------------------------------------------------


def stage_metrics(networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, seed: int) -> pd.DataFrame:
    """Distances of counts after each stage from held-out trials, as ratios to their floor.

    Returns
    -------
    DataFrame
        Rows: counts drawn from the rates of the held-out trials themselves, from rates of sampled latents, and with
        spike history; then the floor, in its own unit (recorded trials against held-out ones, equal numbers).
    """
    import pandas as pd

    encoded = networks.expected_counts(networks.encode(held_out.counts, held_out.mask))
    sampled = draw_rates(networks, held_out.num_bins, seed, "metrics")
    history = networks.history
    # Without history the sampled rates have means of their own; only with it are they calibrated.
    none = SpikeHistory(history.filters[:, :0], np.zeros_like(history.bias), history.binary)
    rows = {
        "rates of held-out trials": _drawn(none, encoded, held_out, seed),
        "sampled latents": _drawn(none, sampled, held_out, seed),
        "sampled latents, spike history": _drawn(history, sampled, held_out, seed),
    }
    distances = {name: compare(held_out, synthetic) for name, synthetic in rows.items()}
    metrics = next(iter(distances.values()))
    floor = {m: float(np.median(floors(held_out, train, m, num_splits=8, seed=seed))) for m in metrics}
    table = pd.DataFrame(distances).T / pd.Series(floor)
    table.loc["floor"] = floor
    return table


def _drawn(history: SpikeHistory, rates: np.ndarray, like: SpikeCounts, seed: int) -> SpikeCounts:
    shape = (history.num_bins + rates.shape[1], rates.shape[2])
    draws = np.stack([uniforms(seed, "metrics counts", t, shape) for t in range(len(rates))])
    counts, _ = history.simulate(rates, draws)
    counts = counts[:, : like.max_bins] * like.mask[..., None]
    return SpikeCounts(counts, like.bin_size_ms, like.unit_ids, num_bins=like.num_bins)


# ---- checkpoints -----------------------------------------------------------------------------


def _open_checkpoint(
    settings: FitSettings, model_settings: Mapping[str, Any], train: SpikeCounts, held_out: SpikeCounts
) -> None:
    """Make the checkpoint folder, or check that it belongs to this very fit."""
    folder = settings.checkpoint
    if folder is None:
        return
    digest = hashlib.sha256()
    for part in (train, held_out):
        digest.update(part.counts.tobytes() + part.num_bins.tobytes() + str(part.counts.shape).encode())
    asked = asdict(settings)
    this = {
        "data": digest.hexdigest(),
        "settings": json.loads(json.dumps(dict(model_settings))),
        "fit": json.loads(json.dumps({name: asked[name] for name in ("seed", "num_steps")})),
    }
    path = folder / "fit.json"
    if path.exists():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise ValueError(f"checkpoint: {str(path)!r} is damaged; name another folder.") from None
        for key, what in (("data", "other data"), ("settings", "other settings of the model"), ("fit", "another fit")):
            if there.get(key) != this[key]:
                raise ValueError(
                    f"checkpoint: {str(folder)!r} belongs to {what}; go on with the same, or name another folder."
                )
        return
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"checkpoint: {str(folder)!r} holds something else; name an empty or a new folder.")
    write_file(path, json.dumps(this, indent=1).encode())
