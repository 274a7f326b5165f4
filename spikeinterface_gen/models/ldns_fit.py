"""The stages of fitting an LDNS: autoencoder, denoiser, observation model, and the metrics after each."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.files import write_file
from spikeinterface_gen.models.conditions import Conditions
from spikeinterface_gen.models.denoiser_fit import fit_denoiser
from spikeinterface_gen.models.fit_settings import FitSettings, TimeBudget, run_stage
from spikeinterface_gen.models.free_runs import draw_free_runs
from spikeinterface_gen.models.latent_draws import draw_rates
from spikeinterface_gen.models.ldns_networks import LDNSNetworks, mask_of
from spikeinterface_gen.models.ldns_observation import ObservationReport, fit_count_model
from spikeinterface_gen.models.rank import enough_directions, keep_directions
from spikeinterface_gen.models.tasks import AutoencoderTask
from spikeinterface_gen.models.transfer import Start
from spikeinterface_gen.models.trials import joined, some_trials
from spikeinterface_gen.observation.calibration import calibrate
from spikeinterface_gen.observation.count_model import CountModel
from spikeinterface_gen.observation.likelihood import count_nll
from spikeinterface_gen.training import StageReport, StageSettings
from spikeinterface_gen.validation.distances import compare, compare_real

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["fit_networks", "stage_metrics"]

# Length of the autoencoder's refit, relative to the step that early stopping found.
REFIT_SHARE = 0.25
# Entries (trial, bin, unit) of held-out trials that the metrics look at for each second there is.
METRICS_ENTRIES_A_SECOND = 1e6
# Entries that directions and means of the decoder are found on, at most.
MATCHED_ENTRIES = 2e7


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
    the learning rate that it stopped at. Its decoder is left the directions that held-out trials confirmed before.

    Returns
    -------
    reports : dict of str to StageReport
    observation : ObservationReport
    """
    if settings.checkpoint is not None:
        _open_checkpoint(settings, model_settings, train, held_out, networks.conditions, start)
    reports, all_trials = {}, joined(train, held_out)
    _start_autoencoder(networks, train)
    if start is not None:
        start.carry_over(networks, train)
    task = _autoencoder_task(networks, model_settings, train, held_out, settings.seed)
    stage = _autoencoder_stage(train, held_out, model_settings)
    reports[task.name] = run_stage(networks, task, stage, settings)
    enough = model_settings["num_directions"] or enough_directions(networks, train, held_out, settings.seed)
    if settings.refit:
        stage = _refit_stage(stage, reports[task.name])
        task = _autoencoder_task(networks, model_settings, all_trials, held_out, settings.seed, "refit")
        reports[task.name] = run_stage(networks, task, stage, settings)
    some = some_trials(all_trials, MATCHED_ENTRIES, settings.seed)
    if enough is not None:
        keep_directions(networks, some, enough, settings.seed)
    _match_means(networks, some)
    reports["denoiser"] = fit_denoiser(networks, train, held_out, settings)
    with settings.budget.seconds_for("free runs") as seconds:
        runs = draw_free_runs(networks, all_trials, settings.seed, seconds)
    observation = fit_count_model(
        networks, model_settings["history_bins"], train, all_trials, runs, settings.seed, settings.budget
    )
    return reports, observation


# ---- stages ----------------------------------------------------------------------------------


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
        count_nll(networks.binary),
        name=name,
        dropout_range=model_settings["dropout_range"],
        hidden_run=max(1, networks.history_filters.shape[1]),
        l2_penalty=model_settings["l2_penalty"],
        smoothness_penalty=model_settings["smoothness_penalty"],
        batch_size=_batch_size(train),
        seed=seed,
    )


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


def _match_means(networks: LDNSNetworks, counts: SpikeCounts) -> None:
    """Shift the decoder's biases until λ of encoded trials have the means of their counts.

    Training predicts entries from others. Latents that have seen all of them vary more, and with them the mean of λ,
    an exponential: by 6 % on the simulated motor cortex.
    """
    rates = networks.expected_counts(networks.encode(counts.counts, counts.mask))
    recorded = counts.counts[counts.mask].mean(axis=0, dtype=np.float64)
    as_they_are = CountModel.independent(counts.num_units, networks.binary).history
    shift = calibrate(as_they_are, rates, None, recorded, counts.mask).bias
    with torch.no_grad():
        networks.autoencoder.decoder.outlet.bias.add_(torch.from_numpy(shift).to(networks.latent_mean.device))


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


def stage_metrics(
    networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, seed: int, budget: TimeBudget
) -> pd.DataFrame:
    """Distances of counts after each stage from held-out trials, as ratios to their floor.

    With little time, fewer of the held-out trials are looked at.

    Returns
    -------
    DataFrame
        Rows: counts drawn from the rates of the held-out trials themselves, from rates of sampled latents, with the
        population's gain and spike history, and with synchrony; then the floor, in its own unit (recorded against
        held-out trials, equally many).
    """
    with budget.seconds_for("metrics") as seconds:
        return _stage_metrics(networks, train, some_trials(held_out, METRICS_ENTRIES_A_SECOND * seconds, seed), seed)


def _stage_metrics(networks: LDNSNetworks, train: SpikeCounts, held_out: SpikeCounts, seed: int) -> pd.DataFrame:
    import pandas as pd

    encoded = networks.expected_counts(networks.encode(held_out.counts, held_out.mask))
    sampled = draw_rates(networks, held_out.num_bins, seed, "metrics")
    model = networks.count_model()
    # Without history the sampled rates have means of their own; only with it are they calibrated.
    neither = CountModel.independent(train.num_units, networks.binary)
    rows = {
        "rates of held-out trials": _drawn(neither, encoded, held_out, seed),
        "sampled latents": _drawn(neither, sampled, held_out, seed),
        "sampled latents, spike history": _drawn(replace(model, synchrony=neither.synchrony), sampled, held_out, seed),
        "sampled latents, spike history, synchrony": _drawn(model, sampled, held_out, seed),
    }
    distances = {name: compare(held_out, synthetic) for name, synthetic in rows.items()}
    real = compare_real(held_out, train, num_splits=8, seed=seed)
    floor = {name: float(np.median(values)) for name, values in real.items()}
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
