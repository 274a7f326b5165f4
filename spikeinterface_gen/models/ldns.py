r"""LDNS: latent diffusion for neural spiking data.

Generative process, for one trial of T bins:

.. math::

    z_{1:T} &\sim \text{diffusion}, \qquad z_t \in \mathbb{R}^d
        && \text{latents: what the population shares} \\
    \lambda_t &= \exp(\text{decoder}(z_t))
        && \text{expected counts, unit by unit} \\
    r_t &= \lambda_t\, e^{b + \sum_\tau h_\tau s_{t-\tau}} + \textstyle\sum_\tau \alpha_\tau s_{t-\tau}
        && \text{each unit's own history} \\
    s_t &\sim \text{Poisson}(r_t), \text{ or more or less dispersed, joined by a Gaussian copula}
        && \text{counts, with what units share within a bin}

An encoder, trained with the decoder to predict spikes from other spikes of the trial, gives the latents that the
diffusion model learns to draw.

References
----------
Kapoor, Schulz, Vetter, Pei, Gao & Macke, *Latent diffusion for neural spiking data*, NeurIPS 2024.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.models.base import GenerativeModel, check_counts
from spikeinterface_gen.models.conditions import Conditions
from spikeinterface_gen.models.denoiser_fit import fit_denoiser
from spikeinterface_gen.models.fit_settings import FitSettings, stage_steps
from spikeinterface_gen.models.free_runs import draw_free_runs
from spikeinterface_gen.models.ldns_files import load_ldns, save_ldns
from spikeinterface_gen.models.ldns_fit import fit_networks, stage_metrics
from spikeinterface_gen.models.ldns_networks import build_networks, is_binary
from spikeinterface_gen.models.ldns_observation import recalibrate
from spikeinterface_gen.models.ldns_settings import check_settings
from spikeinterface_gen.models.ldns_uses import LDNSUses
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.models.transfer import Start
from spikeinterface_gen.models.trials import hold_out
from spikeinterface_gen.observation.history import MAX_RATE
from spikeinterface_gen.randomness import resolve_seed

__all__ = ["LDNS"]


class LDNS(LDNSUses, GenerativeModel):
    """Latent diffusion model of the joint firing of a population.

    The constructor only stores. Learned attributes end in ``_``.

    Parameters
    ----------
    num_latents : int, optional
        Dimensions of the shared latents. Default: a quarter of the units, between 4 and 16; of at least 1000 trials a
        seventh of the units, up to 32, where that is more than 20; of recordings without trials no more than 8. More of
        them tell more of what units share, and take longer to learn to draw.
    num_directions : int, optional
        Directions that log rates vary in. Default: those that gain enough on trials held out
        (:mod:`spikeinterface_gen.models.rank`). With fewer, less of what units share is learned, and less of the
        training trials given away.
    channels, num_blocks : int
        Width and depth of the encoder.
    denoiser_channels, denoiser_blocks : int, optional
        Width and depth of the denoiser. Default: 64 and 2 for fewer than 1000 trials, of which a larger one learned
        nothing more, else 128 and 4.
    causal : bool
        Whether latents depend on no later bin, as streaming needs. The default is slightly better.
    observation : {"auto", "poisson", "bernoulli"}
        Distribution of counts. "auto" takes Bernoulli where no bin holds two spikes.
    history_bins : int
        Bins over which a unit feels its own spikes; 0 for none. Entries are hidden from the encoder in runs as long.
    dropout_range : tuple of float
        Smallest and largest share of entries hidden from the encoder in training.
    l2_penalty, smoothness_penalty : float
        β₁ and β₂ of the autoencoder's loss.
    weight_decay : float, optional
        Of the autoencoder. Default: 2 for 12 000 bins or fewer, falling with the root of their number to 0.3.

    Attributes
    ----------
    population_ : Population
        Units, bins and trial lengths of the data.
    num_steps_ : dict of str to (int, int)
        Length of the schedule and steps taken in each stage; ``fit(num_steps=…)`` takes it back.
    reports_ : dict of str to StageReport
        Losses of each stage.
    observation_ : ObservationReport
        Which distribution of counts and spike history were chosen, and why; print it.
    stage_metrics_ : DataFrame
        Distances from held-out trials after each stage, as ratios to their floor: where quality is lost.
    conditions_ : Conditions or None
        The covariates that trials can be drawn for.
    started_from_ : StartedFrom or None
        The model that the fit started from: the hash of its weights, and sizes that were taken over.

    Examples
    --------
    >>> from spikeinterface_gen import LDNS, load_dataset
    >>> counts = load_dataset("steinmetz2019")[:30, :20]
    >>> model = LDNS(channels=16, denoiser_channels=16)
    >>> model.fit(counts, num_steps=2, progress=False)  # max_minutes=4, or nothing, for a fit that is of use
    LDNS of 20 units, 5 latents, 40 bins of 10 ms, Poisson counts, conditioned on session_time_s
    >>> model.sample(100, seed=1).counts.shape
    (100, 40, 20)
    """

    def __init__(
        self,
        num_latents: int | None = None,
        *,
        num_directions: int | None = None,
        channels: int = 128,
        num_blocks: int = 2,
        denoiser_channels: int | None = None,
        denoiser_blocks: int | None = None,
        causal: bool = False,
        observation: str = "auto",
        history_bins: int = 10,
        dropout_range: tuple[float, float] = (0.1, 0.9),
        l2_penalty: float = 0.02,
        smoothness_penalty: float = 0.0,
        weight_decay: float | None = None,
    ) -> None:
        self.num_latents = num_latents
        self.num_directions = num_directions
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
        given = {name: value for name, value in vars(self).items() if not name.endswith("_") and name[0] != "_"}
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}

    def __repr__(self) -> str:
        if not hasattr(self, "networks_"):
            return f"LDNS({', '.join(f'{name}={value!r}' for name, value in self.settings().items())}), not fitted"
        return (
            f"LDNS of {len(self.population_.unit_ids)} units, {self.networks_.num_latents} latents, "
            f"{self.population_.max_bins} bins of {self.population_.bin_size_ms:g} ms, "
            f"{'Bernoulli' if self.networks_.binary else 'Poisson'} counts"
            + ("" if self.conditions_ is None else f", conditioned on {', '.join(self.conditions_.covariates)}")
        )

    # ---- fit -----------------------------------------------------------------------------------

    def fit(
        self,
        counts: SpikeCounts,
        *,
        covariates: Sequence[str] | Mapping[str, str | None] | None = None,
        session_time: bool = True,
        start_from: LDNS | str | Path | None = None,
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
            At least 4 trials, 2 where ``validation`` is given.
        covariates : list of str, or mapping from str to kind, optional
            Names of covariates of ``counts`` that trials are to be drawn for, constant over a trial or varying in it;
            unknown values are NaN, in text empty. The kind, "categorical", "continuous" or "circular" (angles in
            radians), follows from the values where it is not given: text, booleans and at most 10 whole numbers are
            categorical, other numbers continuous.
        session_time : bool
            Whether the start of a trial is a covariate, so that trials can be drawn for a time of the session. Without
            effect where ``counts.t_starts_s`` is unknown, or of less than 20 trials.
        start_from : LDNS, str or path, optional
            A fitted model, its folder or the name of a bundled one, to begin from rather than from random weights: of
            another session, with other units, too. Its bins and its kind of counts must be those of ``counts``;
            ``num_latents``, ``denoiser_channels`` and ``denoiser_blocks`` that are None are taken over from it, and
            ``channels``, ``num_blocks`` and ``causal`` must be as there. Weights of single units are taken over where
            ids and properties say that units are the same (:mod:`spikeinterface_gen.models.transfer`). That model
            stays as it is.
        validation : SpikeCounts, optional
            Trials that decide when to stop, and are not learned from. Default: 15 % of ``counts``; once it has stopped,
            the autoencoder goes on for a while on all of them.
        seed : int
            The same seed, data and steps give the same model.
        max_minutes : float, optional
            Bounds the whole fit. Default: no bound; early stopping ends each stage.
        num_steps : int or mapping, optional
            Steps of every stage, or of each by name, as ``num_steps_`` of an earlier fit has them.
        accelerator, devices
            As Lightning's Trainer takes them. With several devices, each takes batches of its own (Lightning's DDP);
            the script then runs once for each, and each has the model in the end.
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
        check_settings(self.settings())
        check_counts(counts, "counts")
        seed = resolve_seed(seed)
        mean = counts.counts.sum(axis=(0, 1), dtype=np.int64) / counts.num_bins.sum()
        if mean.max() > MAX_RATE / 2:
            raise ValueError(
                f"counts has a unit of {mean.max():.3g} spikes a bin on average; at most {MAX_RATE / 2:g} can be "
                "modelled. Take shorter bins."
            )
        if validation is None:
            train, held_out = hold_out(counts, seed)
        else:
            check_counts(validation, "validation", counts.unit_ids, counts.bin_size_ms)
            if counts.num_trials < 2:
                raise ValueError("counts has 1 trial; fit needs at least 2 beside validation, and 4 without it.")
            train, held_out = counts, validation
        conditions = Conditions.of(counts, covariates, session_time)
        if conditions is not None:
            conditions.of_counts(held_out)  # A mistake shows before minutes of work.
        start = None if start_from is None else Start.of(start_from)
        if start is not None:
            start.check(counts, self.observation)
        model_settings = self.settings() if start is None else start.completed(self.settings())
        binary = is_binary(self.observation, counts)
        population = Population.of(counts, max(train.max_bins, held_out.max_bins))
        networks = build_networks(model_settings, population, binary, conditions, seed=seed)
        settings = FitSettings(
            seed=seed,
            max_minutes=max_minutes,
            num_steps=stage_steps(num_steps),
            refit=validation is None,
            accelerator=accelerator,
            devices=devices,
            checkpoint=None if checkpoint is None else Path(checkpoint).expanduser(),
            progress=progress,
        )
        reports, observation = fit_networks(networks, model_settings, train, held_out, settings, start)
        metrics = stage_metrics(networks, train, held_out, seed, settings.budget)
        # Only now does this model become another one: an error above leaves it as it was.
        self.networks_ = networks
        self.reports_ = reports
        self.observation_ = observation
        self.num_steps_ = {name: (report.schedule, report.steps) for name, report in reports.items()}
        self.stage_metrics_ = metrics
        self.population_ = population
        self.started_from_ = None if start is None else start.remembered
        return self

    def fit_conditions(
        self,
        counts: SpikeCounts,
        covariates: Sequence[str] | Mapping[str, str | None] | None = None,
        *,
        session_time: bool = True,
        validation: SpikeCounts | None = None,
        seed: int = 0,
        max_minutes: float | None = None,
        num_steps: int | tuple[int, int] | None = None,
        accelerator: str = "auto",
        devices: int = 1,
        progress: bool = True,
    ) -> LDNS:
        """Learn other conditions for the same latents: only a denoiser is trained.

        Encoder, decoder, spike history and synchrony stay; biases of the history are calibrated afresh where means of
        free runs are off by more than 1 %. This model stays as it is.

        Parameters
        ----------
        counts : SpikeCounts
            Of the same units and bins, such as those that this model was fitted to.
        num_steps : int or (int, int), optional
            Of the denoiser.
        covariates, session_time, validation, seed, max_minutes, accelerator, devices, progress
            As for :meth:`fit`.

        Returns
        -------
        LDNS
            Another model.

        Raises
        ------
        KeyError, TypeError, ValueError
            If data, covariates or settings are unfit.
        """
        networks = self._ready()
        self.population_.check(counts)
        seed = resolve_seed(seed)
        conditions = Conditions.of(counts, covariates, session_time)
        train, held_out = hold_out(counts, seed) if validation is None else (counts, validation)
        self.population_.check(held_out)
        settings = FitSettings(
            seed=seed,
            max_minutes=max_minutes,
            num_steps=None if num_steps is None else stage_steps({"denoiser": num_steps}),
            refit=False,
            accelerator=accelerator,
            devices=devices,
            checkpoint=None,
            progress=progress,
        )
        model = LDNS(**self.settings())
        longest = max(self.population_.max_bins, train.max_bins, held_out.max_bins)
        model.population_ = Population.of(counts, longest)
        model.started_from_ = self.started_from_
        new = build_networks(
            self.settings() | networks.sizes, model.population_, networks.binary, conditions, seed=seed
        )
        kept = {name: value for name, value in networks.state_dict().items() if not name.startswith("denoiser.")}
        new.load_state_dict(kept, strict=False)
        report = fit_denoiser(new, train, held_out, settings)
        with settings.budget.seconds_for("free runs") as seconds:
            runs = draw_free_runs(new, counts, seed, seconds)
        recalibrate(new, counts, runs, seed, settings.budget)
        model.networks_ = new
        model.reports_ = {"denoiser": report}
        model.observation_ = self.observation_
        model.num_steps_ = {**self.num_steps_, "denoiser": (report.schedule, report.steps)}
        model.stage_metrics_ = stage_metrics(new, train, held_out, seed, settings.budget)
        return model

    # ---- from counts to latents and rates ------------------------------------------------------

    def encode(self, counts: SpikeCounts) -> np.ndarray:
        """Latents of recorded trials, float32, shape (trials, bins, latents)."""
        networks = self._ready()
        self.population_.check(counts)
        return networks.encode(counts.counts, counts.mask)

    def rates(self, counts: SpikeCounts) -> np.ndarray:
        """Rates of recorded trials in Hz, float32, shape (trials, bins, units); spike history is not in them."""
        return self.decode(self.encode(counts))

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
        return save_ldns(self, Path(folder), overwrite=overwrite)

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
        return load_ldns(cls, Path(folder))
