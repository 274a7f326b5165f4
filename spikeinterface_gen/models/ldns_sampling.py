"""Drawing trials from a fitted LDNS: latents, rates, counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.devices import check_memory
from spikeinterface_gen.models.base import NotFittedError
from spikeinterface_gen.models.conditions import Conditions, Trials, trials_to_draw
from spikeinterface_gen.models.latent_draws import bytes_to_draw, sample_latents
from spikeinterface_gen.models.ldns_networks import LDNSNetworks
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.provenance import provenance
from spikeinterface_gen.randomness import resolve_seed

__all__ = ["LDNSSampling"]


def shard_of(num_trials: int, shard: tuple[int, int]) -> range:
    """The trials of a shard (k, n).

    Raises
    ------
    ValueError
        If there is no such shard, or no trial in it.
    """
    k, n = shard
    if not 1 <= k <= n <= num_trials:
        raise ValueError(
            f"shard must be (k, n), the k-th of n parts, with 1 ≤ k ≤ n and no more parts than the {num_trials} "
            f"trials; got {tuple(shard)}."
        )
    return range((k - 1) * num_trials // n, k * num_trials // n)


class LDNSSampling:
    """Methods of :class:`~spikeinterface_gen.LDNS` that draw trials."""

    networks_: LDNSNetworks
    population_: Population

    @property
    def conditions_(self) -> Conditions | None:
        """The covariates that trials can be drawn for; None where there are none."""
        return self._ready().conditions

    def sha256(self) -> str:
        """Hash of the weights: the same model, the same hash."""
        return self._ready().sha256()

    def _ready(self) -> LDNSNetworks:
        if not hasattr(self, "networks_"):
            raise NotFittedError("this LDNS is not fitted: call fit(counts) first, or LDNS.load(folder).")
        return self.networks_

    def sample_latents(
        self,
        num_trials: int,
        *,
        durations: Any = None,
        covariates: Any = None,
        session: bool = False,
        guidance: float = 1.0,
        steps: int | None = None,
        sampler: str = "modal",
        seed: int | None = None,
    ) -> np.ndarray:
        """Draw latents, float32, shape (trials, bins, latents); parameters as for :meth:`sample`."""
        seed = resolve_seed(seed)
        trials = self._trials(num_trials, durations, covariates, session, guidance, seed)
        latents = list(self._latent_blocks(trials, seed, steps, sampler))
        return np.concatenate(latents)[:, : int(trials.num_bins.max())]

    def sample_rates(
        self,
        num_trials: int,
        *,
        durations: Any = None,
        covariates: Any = None,
        session: bool = False,
        guidance: float = 1.0,
        steps: int | None = None,
        sampler: str = "modal",
        seed: int | None = None,
    ) -> np.ndarray:
        """Draw rates in Hz, float32, shape (trials, bins, units); 0 beyond the end of a trial.

        They are before the population's gain and spike history, as those of :meth:`decode` are.
        """
        seed = resolve_seed(seed)
        trials = self._trials(num_trials, durations, covariates, session, guidance, seed)
        blocks = [self.decode(z) for z in self._latent_blocks(trials, seed, steps, sampler)]
        longest = int(trials.num_bins.max())
        return np.concatenate(blocks)[:, :longest] * (np.arange(longest) < trials.num_bins[:, None])[..., None]

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Rates in Hz of latents, shape (trials, bins, latents): float32, shape (trials, bins, units)."""
        networks, z = self._ready(), np.asarray(latents, np.float32)
        if z.ndim != 3 or z.shape[2] != networks.num_latents:
            raise ValueError(f"latents must have shape (trials, bins, {networks.num_latents}); got {z.shape}.")
        return networks.expected_counts(z) * (1000.0 / self.population_.bin_size_ms)

    def sample(
        self,
        num_trials: int,
        *,
        durations: Any = None,
        covariates: Any = None,
        session: bool = False,
        guidance: float = 1.0,
        steps: int | None = None,
        sampler: str = "modal",
        seed: int | None = None,
        shard: tuple[int, int] | None = None,
        batch_size: int | None = None,
    ) -> SpikeCounts:
        """Draw new trials.

        Parameters
        ----------
        num_trials : int
        durations : float or array of float, shape (num_trials,), optional
            Length of the trials in s. Default: lengths as in the data.
        covariates : mapping from str to array, optional
            What trials are drawn for: by name, one value for each trial, of shape (num_trials,), (num_trials, k) or
            (num_trials, bins, k) as in the data, or one value for all. Covariates that are not named, and values that
            are None, NaN or empty text, are left to the model. Default: those of recorded trials drawn at random, and
            their lengths; {} leaves all to the model.
        session : bool
            Follow the slow changes of the session: trial i of n is at the i-th quantile of the times of the recorded
            trials, which is then its ``session_time_s``, with the covariates of the trial recorded there unless
            ``covariates`` are given.
        guidance : float
            Weight of the conditions: 1 as learned, 0 without, above 1 trials more typical of their condition than
            recorded ones, and less varied.
        steps : int, optional
            Steps of the sampler. Default: of "modal" those that it is fitted to, 8 for trials and 32 for recordings
            without; 24 of "angular" and of "dpmpp", 18 of "heun", 50 of "ddim", 1000 of "ddpm".
        sampler : {"modal", "angular", "dpmpp", "heun", "ddim", "ddpm"}
        seed : int, optional
            Trial *i* of a seed is the same however many are drawn. Default: a fresh one, kept in the annotations.
        shard : (int, int), optional
            (k, n) draws the k-th of n equal parts of these trials alone, 1 ≤ k ≤ n: a job that is drawn in parallel
            with one seed. Its shards, put together by :meth:`SpikeCounts.concatenate`, are the trials of the whole.
        batch_size : int, optional
            Trials whose rates are in memory at once; without influence on the result.

        Returns
        -------
        SpikeCounts
            With the covariates that it was drawn for, and provenance in ``annotations``.

        Raises
        ------
        ValueError
            If the model does not know a covariate, or has not seen what it should be: another length or kind, an
            unknown category, a number far outside its range. Numbers a little outside give a warning.
        MemoryError
            If so much does not fit into memory; says how much it is.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size}.")
        if shard is not None and seed is None:
            raise ValueError("shard needs a seed: the shards of a job have one in common.")
        seed = resolve_seed(seed)
        asked = self._trials(num_trials, durations, covariates, session, guidance, seed)
        part = None if shard is None else shard_of(num_trials, shard)
        return self._drawn(asked, seed, steps, sampler, batch_size, part)[0]

    def _drawn(
        self,
        asked: Trials,
        seed: int,
        steps: int | None = None,
        sampler: str = "modal",
        batch_size: int | None = None,
        part: range | None = None,
    ) -> tuple[SpikeCounts, np.ndarray]:
        """These trials or a part of them, and the latents they are drawn from; as :meth:`sample_latents` has them."""
        networks = self._ready()
        model = networks.count_model()
        population = self.population_
        part = range(len(asked.num_bins)) if part is None else part
        chosen = slice(part.start, part.stop)
        num_bins = asked.num_bins[chosen]
        check_memory(
            bytes_to_draw(networks, num_bins, batch_size),
            f"{len(num_bins)} trials of up to {num_bins.max()} bins of {len(population.unit_ids)} units",
            "Draw fewer or shorter trials, fewer of them at once (batch_size=1), or, of a model of continuous "
            "recordings, a session block by block: run().",
        )
        trials: list[np.ndarray] = []
        latents: list[np.ndarray] = []
        for z in self._latent_blocks(asked, seed, steps, sampler, part):
            latents.append(z)
            for some in np.array_split(z, -(-len(z) // (batch_size or len(z)))):
                first = part.start + sum(map(len, trials))
                trials.append(model.draw(networks.expected_counts(some), seed, "counts", first))
        longest = int(asked.num_bins.max())
        annotations = provenance("LDNS", self.sha256(), seed)
        if asked.guidance != 1.0:
            annotations["guidance"] = float(asked.guidance)
        counts = np.concatenate(trials)[:, :longest]
        counts = counts * (np.arange(longest) < num_bins[:, None])[..., None].astype(counts.dtype)
        drawn = SpikeCounts(
            counts,
            population.bin_size_ms,
            unit_ids=population.unit_ids,
            num_bins=num_bins,
            covariates={name: values[chosen] for name, values in asked.covariates.items()},
            unit_properties=population.unit_properties,
            trial_locked=population.trial_locked,
            annotations=annotations,
        )
        return drawn, np.concatenate(latents)[:, :longest]

    def _trials(
        self,
        num_trials: int,
        durations: Any = None,
        covariates: Any = None,
        session: bool = False,
        guidance: float = 1.0,
        seed: int = 0,
    ) -> Trials:
        """Lengths and conditions of the trials to draw."""
        conditions = self.conditions_  # of a fitted model: another has no population either
        return trials_to_draw(self.population_, conditions, num_trials, durations, covariates, session, guidance, seed)

    def _latent_blocks(
        self, trials: Trials, seed: int, steps: int | None, sampler: str, part: range | None = None
    ) -> Iterator[np.ndarray]:
        return sample_latents(
            self._ready(),
            trials.num_bins,
            seed,
            steps=steps,
            sampler=sampler,
            encoded=trials.encoded,
            guidance=trials.guidance,
            part=part,
        )
