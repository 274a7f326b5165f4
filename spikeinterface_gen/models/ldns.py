r"""LDNS: latent diffusion for neural spiking data.

Generative process, for one trial of T bins:

.. math::

    z_{1:T} &\sim \text{diffusion}, \qquad z_t \in \mathbb{R}^d
        && \text{latents: what the population shares} \\
    \lambda_t &= \exp(\text{decoder}(z_t))
        && \text{expected counts, unit by unit} \\
    s_t &\sim \text{Poisson or Bernoulli}\big(\lambda_t\, e^{b + \sum_\tau h_\tau s_{t-\tau}}\big)
        && \text{counts, with each unit's own history}

An encoder, trained with the decoder to predict spikes from other spikes of the trial, gives the latents that the
diffusion model learns to draw.

References
----------
Kapoor, Schulz, Vetter, Pei, Gao & Macke, *Latent diffusion for neural spiking data*, NeurIPS 2024.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.diffusion.sample import SAMPLERS
from spikeinterface_gen.models.base import GenerativeModel, NotFittedError, check_counts
from spikeinterface_gen.models.ldns_fit import FitSettings, fit_networks, hold_out, stage_metrics
from spikeinterface_gen.models.ldns_networks import LDNSNetworks
from spikeinterface_gen.models.saved import read_model, write_model
from spikeinterface_gen.provenance import provenance
from spikeinterface_gen.randomness import resolve_seed, uniforms

__all__ = ["LDNS"]

DEFAULT_STEPS = {"angular": 12, "dpmpp": 16, "heun": 18, "ddpm": 1000}


class LDNS(GenerativeModel):
    """Latent diffusion model of the joint firing of a population.

    The constructor only stores. Learned attributes end in ``_``.

    Parameters
    ----------
    num_latents : int, optional
        Dimensions of the shared latents. Default: a quarter of the units, between 4 and 16; more did not help on any
        recording tried, and hurt generation.
    channels, num_blocks : int
        Width and depth of the encoder.
    denoiser_channels, denoiser_blocks : int
        Width and depth of the denoiser.
    causal : bool
        Whether latents depend on no later bin, as streaming needs. The default is slightly better.
    observation : {"auto", "poisson", "bernoulli"}
        Distribution of counts. "auto" takes Bernoulli where no bin holds two spikes.
    history_bins : int
        Bins over which a unit feels its own spikes; 0 for none.
    dropout_range : tuple of float
        Smallest and largest share of entries hidden from the encoder in training.
    l2_penalty, smoothness_penalty : float
        β₁ and β₂ of the autoencoder's loss.
    weight_decay : float
        Of the autoencoder.

    Attributes
    ----------
    unit_ids_, bin_size_ms_, max_bins_, trial_locked_
        Of the data.
    num_steps_ : dict of str to (int, int)
        Length of the schedule and steps taken in each stage; ``fit(num_steps=…)`` takes it back.
    reports_ : dict of str to StageReport
        Losses of each stage.
    stage_metrics_ : DataFrame
        Distances from held-out trials after each stage, as ratios to their floor: where quality is lost.

    Examples
    --------
    >>> from spikeinterface_gen import LDNS, load_dataset
    >>> counts = load_dataset("steinmetz2019")
    >>> model = LDNS().fit(counts, max_minutes=4)          # doctest: +SKIP
    >>> synthetic = model.sample(100, seed=1)              # doctest: +SKIP
    """

    def __init__(
        self,
        num_latents: int | None = None,
        *,
        channels: int = 128,
        num_blocks: int = 2,
        denoiser_channels: int = 128,
        denoiser_blocks: int = 4,
        causal: bool = False,
        observation: str = "auto",
        history_bins: int = 10,
        dropout_range: tuple[float, float] = (0.1, 0.9),
        l2_penalty: float = 0.1,
        smoothness_penalty: float = 0.0,
        weight_decay: float = 0.3,
    ) -> None:
        self.num_latents = num_latents
        self.channels = channels
        self.num_blocks = num_blocks
        self.denoiser_channels = denoiser_channels
        self.denoiser_blocks = denoiser_blocks
        self.causal = causal
        self.observation = observation
        self.history_bins = history_bins
        self.dropout_range = dropout_range
        self.l2_penalty = l2_penalty
        self.smoothness_penalty = smoothness_penalty
        self.weight_decay = weight_decay

    def settings(self) -> dict[str, Any]:
        """What the constructor was given."""
        return {name: value for name, value in vars(self).items() if not name.endswith("_") and name[0] != "_"}

    def __repr__(self) -> str:
        if not hasattr(self, "networks_"):
            return f"LDNS({', '.join(f'{name}={value!r}' for name, value in self.settings().items())}), not fitted"
        return (
            f"LDNS of {len(self.unit_ids_)} units, {self.networks_.num_latents} latents, "
            f"{self.max_bins_} bins of {self.bin_size_ms_:g} ms, "
            f"{'Bernoulli' if self.networks_.binary else 'Poisson'} counts"
        )

    # ---- fit -----------------------------------------------------------------------------------

    def fit(
        self,
        counts: SpikeCounts,
        *,
        validation: SpikeCounts | None = None,
        seed: int = 0,
        max_minutes: float | None = None,
        num_steps: int | Mapping[str, int | tuple[int, int]] | None = None,
        accelerator: str = "auto",
        devices: int = 1,
        checkpoint: str | Path | None = None,
        progress: bool = True,
    ) -> Self:
        """Learn from recorded trials.

        Parameters
        ----------
        counts : SpikeCounts
            At least 4 trials.
        validation : SpikeCounts, optional
            Trials that decide when to stop. Default: 15 % of ``counts``, which are then not trained on.
        seed : int
            The same seed, data and steps give the same model.
        max_minutes : float, optional
            Bounds the whole fit. Default: no bound; early stopping ends each stage.
        num_steps : int or mapping, optional
            Steps of every stage, or of each by name, as ``num_steps_`` of an earlier fit has them.
        accelerator, devices
            As Lightning's Trainer takes them.
        checkpoint : path, optional
            Folder to save progress to, and to go on from if it holds some.
        progress : bool
            Show progress bars.

        Returns
        -------
        LDNS
            self

        Raises
        ------
        ValueError
            If data or settings are unfit, or the checkpoint is of another fit.
        KeyboardInterrupt
            After Ctrl-C; the checkpoint, where there is one, is complete.
        """
        check_counts(counts, "counts")
        if validation is None:
            train, held_out = hold_out(counts, seed)
        else:
            check_counts(validation, "validation", counts.unit_ids, counts.bin_size_ms)
            train, held_out = counts, validation
        if max_minutes is not None and not max_minutes > 0:
            raise ValueError(f"max_minutes must be positive; got {max_minutes}.")
        binary = self._binary(counts)
        max_bins = max(train.max_bins, held_out.max_bins)
        with torch.random.fork_rng():
            torch.random.default_generator.manual_seed(resolve_seed(seed))
            networks = self._networks(counts.num_units, max_bins, counts.trial_locked, binary)
        settings = FitSettings(
            seed=seed,
            max_minutes=max_minutes,
            num_steps=_stage_steps(num_steps),
            accelerator=accelerator,
            devices=devices,
            checkpoint=None if checkpoint is None else Path(checkpoint).expanduser(),
            progress=progress,
        )
        reports = fit_networks(networks, self.settings(), train, held_out, settings)
        metrics = stage_metrics(networks, train, held_out, seed)
        # Only now does this model become another one: an error above leaves it as it was.
        self.networks_ = networks
        self.reports_ = reports
        self.num_steps_ = {name: (report.schedule, report.steps) for name, report in reports.items()}
        self.stage_metrics_ = metrics
        self.unit_ids_ = counts.unit_ids
        self.unit_properties_ = counts.unit_properties
        self.bin_size_ms_ = counts.bin_size_ms
        self.max_bins_ = max_bins
        self.num_bins_ = np.unique(counts.num_bins, return_counts=True)
        self.trial_locked_ = counts.trial_locked
        return self

    def _binary(self, counts: SpikeCounts) -> bool:
        if self.observation == "auto":
            return counts.is_binary
        if self.observation not in ("poisson", "bernoulli"):
            raise ValueError(f"observation must be 'auto', 'poisson' or 'bernoulli'; got {self.observation!r}.")
        if self.observation == "bernoulli" and not counts.is_binary:
            raise ValueError(
                f"observation='bernoulli' needs bins of at most one spike; counts has up to {counts.counts.max()}. "
                "Take shorter bins, or 'poisson'."
            )
        return self.observation == "bernoulli"

    def _networks(self, num_units: int, max_bins: int, trial_locked: bool, binary: bool) -> LDNSNetworks:
        num_latents = min(16, max(4, num_units // 4)) if self.num_latents is None else self.num_latents
        return LDNSNetworks(
            num_units,
            num_latents,
            max_bins,
            trial_locked=trial_locked,
            binary=binary,
            history_bins=min(self.history_bins, max_bins // 3),
            channels=self.channels,
            num_blocks=self.num_blocks,
            denoiser_channels=self.denoiser_channels,
            denoiser_blocks=self.denoiser_blocks,
            causal=self.causal,
        )

    # ---- from counts to latents and rates ------------------------------------------------------

    def encode(self, counts: SpikeCounts) -> np.ndarray:
        """Latents of recorded trials, float32, shape (trials, bins, latents)."""
        self._check_like_fitted(counts)
        return self._ready().encode(counts.counts, counts.mask)

    def rates(self, counts: SpikeCounts) -> np.ndarray:
        """Rates of recorded trials in Hz, float32, shape (trials, bins, units); spike history is not in them."""
        return self._ready().expected_counts(self.encode(counts)) * (1000.0 / self.bin_size_ms_)

    # ---- new trials ----------------------------------------------------------------------------

    def sample_latents(
        self,
        num_trials: int,
        *,
        durations: Any = None,
        steps: int | None = None,
        sampler: str = "angular",
        seed: int | None = None,
    ) -> np.ndarray:
        """Draw latents, float32, shape (trials, bins, latents); parameters as for :meth:`sample`."""
        num_bins = self._lengths(num_trials, durations, seed := resolve_seed(seed))
        return np.concatenate(list(self._latent_blocks(num_bins, seed, steps, sampler)))

    def sample_rates(
        self,
        num_trials: int,
        *,
        durations: Any = None,
        steps: int | None = None,
        sampler: str = "angular",
        seed: int | None = None,
    ) -> np.ndarray:
        """Draw rates in Hz, before spike history, float32, shape (trials, bins, units)."""
        num_bins = self._lengths(num_trials, durations, seed := resolve_seed(seed))
        networks = self._ready()
        blocks = [networks.expected_counts(z) for z in self._latent_blocks(num_bins, seed, steps, sampler)]
        return np.concatenate(blocks) * (1000.0 / self.bin_size_ms_)

    def sample(
        self,
        num_trials: int,
        *,
        durations: Any = None,
        covariates: Any = None,
        guidance: float = 1.0,
        steps: int | None = None,
        sampler: str = "angular",
        seed: int | None = None,
        batch_size: int | None = None,
    ) -> SpikeCounts:
        """Draw new trials.

        Parameters
        ----------
        num_trials : int
        durations : float or array of float, shape (num_trials,), optional
            Length of the trials in s. Default: lengths as in the data.
        covariates, guidance
            For conditional models; this one was fitted without covariates.
        steps : int, optional
            Steps of the sampler. Default: 12 of "angular", 16 of "dpmpp", 18 of "heun", 1000 of "ddpm".
        sampler : {"angular", "dpmpp", "heun", "ddpm"}
        seed : int, optional
            Trial *i* of a seed is the same however many are drawn. Default: a fresh one, kept in the annotations.
        batch_size : int, optional
            Trials whose rates are in memory at once; without influence on the result.

        Returns
        -------
        SpikeCounts
            With provenance in ``annotations``.
        """
        if covariates is not None or guidance != 1.0:
            raise ValueError(
                "covariates and guidance need a conditional model; this one was fitted without covariates."
            )
        seed = resolve_seed(seed)
        num_bins = self._lengths(num_trials, durations, seed)
        networks, history = self._ready(), self._ready().history
        trials: list[np.ndarray] = []
        for z in self._latent_blocks(num_bins, seed, steps, sampler):
            for part in np.array_split(z, -(-len(z) // (batch_size or len(z)))):
                rates = networks.expected_counts(part)
                shape = (history.num_bins + rates.shape[1], rates.shape[2])
                first = sum(map(len, trials))
                draws = np.stack([uniforms(seed, "counts", first + k, shape) for k in range(len(part))])
                trials.append(history.simulate(rates, draws)[0])
        longest = int(num_bins.max())
        counts = np.concatenate(trials)[:, :longest]
        counts = counts * (np.arange(longest) < num_bins[:, None])[..., None].astype(counts.dtype)
        return SpikeCounts(
            counts,
            self.bin_size_ms_,
            unit_ids=self.unit_ids_,
            num_bins=num_bins,
            unit_properties=self.unit_properties_,
            trial_locked=self.trial_locked_,
            annotations=provenance("LDNS", self.sha256(), seed),
        )

    def _latent_blocks(self, num_bins: np.ndarray, seed: int, steps: int | None, sampler: str) -> Any:
        if sampler not in SAMPLERS:
            raise ValueError(f"sampler must be one of {sorted(SAMPLERS)}; got {sampler!r}.")
        return self._ready().sample_latents(num_bins, seed, steps=steps or DEFAULT_STEPS[sampler], sampler=sampler)

    def _lengths(self, num_trials: int, durations: Any, seed: int) -> np.ndarray:
        """Bins of each trial to draw."""
        self._ready()
        if isinstance(num_trials, bool) or not isinstance(num_trials, (int, np.integer)) or num_trials < 1:
            raise ValueError(f"num_trials must be a positive integer; got {num_trials!r}.")
        if durations is None:
            values, occurrences = self.num_bins_
            # One uniform a trial, by index: trial i keeps its length however many are drawn.
            u = np.array([uniforms(seed, "length", trial, (1,))[0] for trial in range(num_trials)])
            return values[np.searchsorted(np.cumsum(occurrences) / occurrences.sum(), u)]
        seconds = np.broadcast_to(np.asarray(durations, float), (num_trials,))
        num_bins = np.round(seconds * 1000.0 / self.bin_size_ms_).astype(np.int64)
        if num_bins.min() < 1:
            raise ValueError(
                f"durations must be at least one bin, {self.bin_size_ms_ / 1000:g} s; got {seconds.min()} s."
            )
        if self.trial_locked_ and num_bins.max() > self.max_bins_:
            raise ValueError(
                f"durations go up to {seconds.max():g} s; this model is locked to trials of at most "
                f"{self.max_bins_ * self.bin_size_ms_ / 1000:g} s, beyond which it has seen nothing. Models of "
                "continuous recordings (SpikeCounts.from_…(window_s=…)) can run longer."
            )
        return num_bins

    # ---- files ---------------------------------------------------------------------------------

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write ``config.json`` and ``model.safetensors`` to a folder, whole or not at all.

        Parameters
        ----------
        folder : str or path
        overwrite : bool
            Whether a saved model that is there may be replaced. Anything else there never is.

        Raises
        ------
        FileExistsError
            If something is there.
        OSError
            If it cannot be written; what was there stays.
        """
        networks = self._ready()
        values, occurrences = self.num_bins_
        config = {
            "model": "LDNS",
            "settings": self.settings(),
            "data": {
                "unit_ids": self.unit_ids_.tolist(),
                "bin_size_ms": self.bin_size_ms_,
                "max_bins": self.max_bins_,
                "num_bins": [values.tolist(), occurrences.tolist()],
                "trial_locked": self.trial_locked_,
                "binary": networks.binary,
                "unit_properties": {name: _jsonable(value) for name, value in self.unit_properties_.items()},
            },
            "num_steps": self.num_steps_,
            "stage_metrics": json.loads(self.stage_metrics_.to_json(orient="split")),
        }
        return write_model(Path(folder), config, networks.state_dict(), overwrite=overwrite)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what :meth:`save` wrote; nothing in the folder is executed.

        Raises
        ------
        FileNotFoundError
            If a file is missing.
        ValueError
            If a file is damaged, of another kind, or of another model.
        """
        config, tensors = read_model(Path(folder), "LDNS")
        try:
            settings, data = config["settings"], config["data"]
            settings["dropout_range"] = tuple(settings["dropout_range"])
            model = cls(**settings)
            model.unit_ids_ = np.array(data["unit_ids"])
            model.bin_size_ms_ = float(data["bin_size_ms"])
            model.max_bins_ = int(data["max_bins"])
            lengths, occurrences = data["num_bins"]
            model.num_bins_ = np.array(lengths, np.int64), np.array(occurrences, np.int64)
            model.trial_locked_ = bool(data["trial_locked"])
            properties = data["unit_properties"].items()
            model.unit_properties_ = {
                name: np.array([math.nan if v is None else v for v in values]) for name, values in properties
            }
            model.num_steps_ = {name: tuple(steps) for name, steps in config["num_steps"].items()}
            model.stage_metrics_ = pd.DataFrame(**config["stage_metrics"])
            networks = model._networks(len(model.unit_ids_), model.max_bins_, model.trial_locked_, data["binary"])
            networks.load_state_dict(tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{str(folder)!r} is no LDNS model that this version can read: {error}") from None
        model.reports_ = {}
        model.networks_ = networks.eval()
        return model

    def sha256(self) -> str:
        """Hash of the weights: the same model, the same hash."""
        networks = self._ready()
        digest = hashlib.sha256()
        for name, value in sorted(networks.state_dict().items()):
            digest.update(name.encode() + np.ascontiguousarray(value.cpu().numpy()).tobytes())
        return digest.hexdigest()

    def _ready(self) -> LDNSNetworks:
        if not hasattr(self, "networks_"):
            raise NotFittedError("this LDNS is not fitted: call fit(counts) first, or LDNS.load(folder).")
        return self.networks_

    def _check_like_fitted(self, counts: SpikeCounts) -> None:
        self._ready()
        check_counts(counts, "counts", self.unit_ids_, self.bin_size_ms_)


def _stage_steps(num_steps: Any) -> dict[str, tuple[int, int]] | None:
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


def _jsonable(values: np.ndarray) -> list[Any]:
    """Values of a unit property; JSON has no NaN, so that an unknown number becomes null."""
    return [None if isinstance(value, float) and math.isnan(value) else value for value in values.tolist()]
