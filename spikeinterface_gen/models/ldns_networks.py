"""The networks of a fitted LDNS and what they compute: latents of counts, sampled latents, expected counts."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.devices import has_bfloat16
from spikeinterface_gen.diffusion.denoise import PreconditionedDenoiser
from spikeinterface_gen.diffusion.modal import NUM_WEIGHTS, modal
from spikeinterface_gen.diffusion.modes import GaussianModes
from spikeinterface_gen.diffusion.responses import Predictors
from spikeinterface_gen.diffusion.sample import DEFAULT_STEPS
from spikeinterface_gen.models.conditions import Conditions
from spikeinterface_gen.models.latent_spectrum import bands, with_bands
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.models.tasks import chunks
from spikeinterface_gen.nn.autoencoder import Autoencoder
from spikeinterface_gen.nn.denoiser import DenoiserNetwork, in_bfloat16
from spikeinterface_gen.observation.count_model import CountModel
from spikeinterface_gen.observation.dispersion import NUM_GAINS, Dispersion
from spikeinterface_gen.observation.history import MAX_RATE, SpikeHistory
from spikeinterface_gen.observation.low_rates import LowRates
from spikeinterface_gen.observation.population_gain import PopulationGain
from spikeinterface_gen.observation.synchrony import Synchrony

__all__ = ["COUNT_MODEL_OF_UNITS", "LDNSNetworks", "build_networks", "is_binary", "mask_of"]

# Tokens that a trial is cut into at most, unless a token would then hold more latents than the denoiser has channels,
# or, of recordings without trials, than half as many: what latents do within a token would be lost.
MAX_TOKENS = 32
# Of so many times as many latents, the rest is worth its price.
WORTH_IT = 1.25
MAX_LATENTS_WITHOUT_TRIALS = 8
# Of the default sampler, for trials and for recordings without: steps, and the standard deviation of the noise that its
# paths start from. What comes at any time, as waves do, and is over in a few bins needs shorter steps.
STEPS = {True: DEFAULT_STEPS["modal"], False: 4 * DEFAULT_STEPS["modal"]}
SPREAD = {True: 1.1, False: 1.0}

COUNT_MODEL_OF_UNITS = (
    *("history_filters", "history_excitation", "history_bias", "history_pair_ratio"),
    *("slots", "count_gains", "median_rate"),
)
"""Buffers of the count model that have a row for each unit."""


class LDNSNetworks(nn.Module):
    """Autoencoder, denoiser, scale of the latents, spike history and synchrony, as one module with one state.

    Parameters
    ----------
    num_units, num_latents, num_bins : int
    trial_locked : bool
    binary : bool
        Bernoulli rather than Poisson counts.
    history_bins : int
    channels, num_blocks, denoiser_channels, denoiser_blocks : int
    causal : bool
    conditions : Conditions, optional
        What the denoiser is conditioned on.
    """

    latent_mean: Tensor
    latent_map: Tensor
    beyond_mean: Tensor
    beyond_map: Tensor
    solver_weights: Tensor
    spread_map: Tensor
    spread_shift: Tensor
    band_maps: Tensor
    history_filters: Tensor
    history_excitation: Tensor
    history_bias: Tensor
    history_pair_ratio: Tensor
    slots: Tensor
    count_gains: Tensor
    synchrony_correlation: Tensor
    population_gain: Tensor
    median_rate: Tensor
    low_rates: Tensor

    def __init__(
        self,
        num_units: int,
        num_latents: int,
        num_bins: int,
        *,
        trial_locked: bool,
        binary: bool,
        history_bins: int,
        channels: int,
        num_blocks: int,
        denoiser_channels: int,
        denoiser_blocks: int,
        causal: bool,
        conditions: Conditions | None = None,
    ) -> None:
        super().__init__()
        self.conditions = conditions
        # Not a module of its own: in a tuple, it has no place in the state.
        self._twin: tuple[tuple, PreconditionedDenoiser] | None = None
        self.num_latents = num_latents
        self.num_bins = num_bins
        self.trial_locked = trial_locked
        held = denoiser_channels / num_latents if trial_locked else denoiser_channels / (2 * num_latents)
        enough, most = math.ceil(math.log2(num_bins / MAX_TOKENS)), math.floor(math.log2(held))
        self.patch_size = 2 ** max(0, min(enough, most))
        self.denoiser_channels = denoiser_channels
        self.binary = binary
        self.autoencoder = Autoencoder(num_units, num_latents, channels=channels, num_blocks=num_blocks, causal=causal)
        num_constant = 0 if conditions is None else conditions.num_constant
        self.denoiser = PreconditionedDenoiser(
            DenoiserNetwork(
                num_latents,
                num_bins,
                channels=denoiser_channels,
                num_blocks=denoiser_blocks,
                patch_size=self.patch_size,
                trial_locked=trial_locked,
                num_constant=num_constant,
                num_varying=0 if conditions is None else conditions.num_varying,
            ),
            num_bins,
            num_latents,
            _predictors(conditions, num_bins) if trial_locked else None,
        )
        self.register_buffer("latent_mean", torch.zeros(num_latents))
        self.register_buffer("latent_map", torch.eye(num_latents))
        if not trial_locked:
            self.register_buffer("beyond_mean", torch.zeros(num_latents))
            self.register_buffer("beyond_map", torch.eye(num_latents))
        self.register_buffer("solver_weights", torch.eye(1, NUM_WEIGHTS).repeat(STEPS[trial_locked], 1))
        self.register_buffer("spread_map", torch.eye(num_latents))
        self.register_buffer("spread_shift", torch.zeros(num_latents))
        if trial_locked:
            self.register_buffer("band_maps", torch.eye(num_latents).repeat(len(bands(num_bins)), 1, 1))
        self.register_buffer("history_filters", torch.zeros(num_units, history_bins))
        self.register_buffer("history_excitation", torch.zeros(num_units, history_bins))
        self.register_buffer("history_bias", torch.zeros(num_units))
        self.register_buffer("history_pair_ratio", torch.ones(num_units))
        self.register_buffer("slots", torch.full((num_units,), 1.0 if binary else math.inf))
        self.register_buffer("count_gains", torch.ones(num_units, NUM_GAINS))
        # Where low rates begin, and their power.
        self.register_buffer("median_rate", torch.ones(num_units))
        self.register_buffer("low_rates", torch.tensor(0.0, dtype=torch.float64))
        # a, m and s of the population's gain.
        self.register_buffer("population_gain", torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0], dtype=torch.float64))
        self.register_buffer("synchrony_correlation", torch.eye(num_units, dtype=torch.float16))

    @property
    def sizes(self) -> dict[str, int]:
        """What settings of these names leave to the data, as it was chosen."""
        return {
            "num_latents": self.num_latents,
            "denoiser_channels": self.denoiser_channels,
            "denoiser_blocks": len(cast(DenoiserNetwork, self.denoiser.network).blocks),
        }

    @property
    def steps(self) -> int:
        """Steps of the default sampler, to which it is fitted."""
        return len(self.solver_weights)

    @property
    def spread(self) -> float:
        """Standard deviation of the noise that the default sampler starts from."""
        return SPREAD[self.trial_locked]

    def count_model(self) -> CountModel:
        """What draws counts from expected counts."""
        filters, excitation, bias, ratio, slots, gains, median, correlation = (
            getattr(self, name).cpu().double().numpy() for name in (*COUNT_MODEL_OF_UNITS, "synchrony_correlation")
        )
        if not (filters.any() or excitation.any()):
            # Bins that do not feel the ones before are drawn all at once.
            filters, excitation = filters[:, :0], excitation[:, :0]
        history = SpikeHistory(filters, excitation, bias, ratio, Dispersion(slots, gains), self.binary)
        a1, a2, a3, centre, scale = self.population_gain.cpu().tolist()
        gain, low = PopulationGain((a1, a2, a3), centre, scale), LowRates(float(self.low_rates), median)
        return CountModel(history, Synchrony(correlation), gain, low)

    def set_count_model(self, model: CountModel) -> None:
        """Store it; filters shorter than the buffer are padded with zeros."""
        history = model.history
        gain = model.gain
        self.population_gain.copy_(torch.tensor([*gain.coefficients, gain.centre, gain.scale], dtype=torch.float64))
        self.low_rates.fill_(model.low.power)
        self.history_filters.zero_()
        self.history_excitation.zero_()
        for buffer, values in (
            (self.history_filters[:, : history.num_bins], history.filters),
            (self.history_excitation[:, : history.num_bins], history.excitation),
            (self.history_bias, history.bias),
            (self.history_pair_ratio, history.pair_ratio),
            (self.slots, history.dispersion.slots),
            (self.count_gains, history.dispersion.gains),
            (self.median_rate, model.low.median),
            (self.synchrony_correlation, model.synchrony.correlation),
        ):
            buffer.copy_(torch.from_numpy(values))

    def set_latent_scale(self, mean: np.ndarray, latent_map: np.ndarray) -> None:
        """Store how drawn latents become those of the decoder: ``mean``, (latents,), and map, (latents, latents)."""
        self.latent_mean.copy_(torch.from_numpy(mean))
        self.latent_map.copy_(torch.from_numpy(latent_map))
        if not self.trial_locked:
            self.set_scale_beyond(mean, latent_map)

    def set_scale_beyond(self, mean: np.ndarray, latent_map: np.ndarray) -> None:
        """Store the same for latents of trials that are longer than any of the data."""
        self.beyond_mean.copy_(torch.from_numpy(mean))
        self.beyond_map.copy_(torch.from_numpy(latent_map))

    def unstandardised(self, x: Tensor, *, beyond: bool = False) -> Tensor:
        """Latents of standardised ones, which the denoiser draws, shape (…, latents).

        ``beyond`` says that they are of trials longer than any of the data.
        """
        return self.beyond_mean + x @ self.beyond_map if beyond else self.latent_mean + x @ self.latent_map

    def standardised(self, z: Tensor) -> Tensor:
        """What :meth:`unstandardised` makes z of, shape (…, latents)."""
        return torch.linalg.solve(self.latent_map, z - self.latent_mean, left=False)

    def solve(
        self,
        denoise: Callable[[Tensor, Tensor], Tensor],
        draw_noise: Callable[[int], Tensor],
        steps: int,
        modes: GaussianModes,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Standardised latents by the default sampler, shape (batch, bins, latents); parameters as for ``modal``.

        Drawn from spread noise, with the moments that they would have from noise as it is.
        """
        x = modal(denoise, draw_noise, steps, modes, self.solver_weights, mask, self.spread)
        return x @ self.spread_map + self.spread_shift

    def set_band_maps(self, maps: Tensor | None = None) -> None:
        """Store what gives fast modes of drawn trials their covariance; by default, nothing does."""
        self.band_maps.copy_(torch.eye(self.num_latents) if maps is None else maps)

    def with_bands(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Standardised latents that were drawn, shape (batch, bins, latents), with the fast modes of encoded ones.

        Only of trials: longer sequences are drawn piece by piece.
        """
        if not self.trial_locked:
            return x
        return with_bands(x, self.denoiser.mode_mean, self.band_maps, mask)

    def sha256(self) -> str:
        """Hash of all that trials follow from."""
        digest = hashlib.sha256()
        for name, value in sorted(self.state_dict().items()):
            digest.update(name.encode() + np.ascontiguousarray(value.cpu().numpy()).tobytes())
        if self.conditions is not None:
            digest.update(json.dumps(self.conditions.to_config()).encode())
            digest.update(b"".join(values.tobytes() for values in self.conditions.arrays().values()))
        return digest.hexdigest()

    @torch.no_grad()
    def encode(self, counts: np.ndarray, mask: np.ndarray | None = None, share_hidden: float = 0.0) -> np.ndarray:
        """Latents of counts, float32, shape (trials, bins, latents).

        Parameters
        ----------
        counts : array, shape (trials, bins, units)
            With the hidden entries, if any, set to zero.
        mask : array of bool, shape (trials, bins), optional
            The valid bins.
        share_hidden : float
            Share of the entries that are hidden, which the others are scaled up to make up for.
        """
        device = self.latent_mean.device
        parts = []
        for part in chunks(len(counts), counts.shape[1]):
            s = torch.from_numpy(counts[part]).to(device).float() / (1 - share_hidden)
            parts.append(self.autoencoder.encoder(s, mask_of(None if mask is None else mask[part], device)).cpu())
        return torch.cat(parts).numpy()

    @torch.no_grad()
    def expected_counts(self, latents: np.ndarray) -> np.ndarray:
        """λ: expected counts per bin, before spike history, float32, shape (trials, bins, units)."""
        device = self.latent_mean.device
        parts = []
        for part in chunks(len(latents), latents.shape[1]):
            log_expected = self.autoencoder.decoder(torch.from_numpy(latents[part]).to(device))
            parts.append(log_expected.clamp_max(math.log(MAX_RATE)).exp().cpu())
        return torch.cat(parts).numpy()

    def fast_denoiser(self) -> PreconditionedDenoiser:
        """The denoiser, in bfloat16 where the machine multiplies such numbers faster.

        Its F then errs by 1 %, as much as a few steps of training change it.
        """
        device = self.latent_mean.device
        if not has_bfloat16(device):
            return self.denoiser
        state = (*self.denoiser.parameters(), *self.denoiser.buffers())
        key = (device, *((tensor.data_ptr(), tensor._version) for tensor in state))
        if self._twin is None or self._twin[0] != key:
            network = in_bfloat16(cast(DenoiserNetwork, self.denoiser.network))
            self._twin = key, self.denoiser.around(network).eval()
        return self._twin[1]


def build_networks(
    settings: Mapping[str, Any],
    population: Population,
    binary: bool,
    conditions: Conditions | None = None,
    *,
    seed: int = 0,
) -> LDNSNetworks:
    """Untrained networks for a population, by the settings of the model where these are given, else by the data.

    Their weights follow from ``seed``; torch's own generator stays as it is.
    """
    num_units = len(population.unit_ids)
    num_latents = settings["num_latents"]
    few = population.num_parts < 1000
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(seed)
        return LDNSNetworks(
            num_units,
            _enough_latents(num_units, few, population.trial_locked) if num_latents is None else num_latents,
            population.max_bins,
            trial_locked=population.trial_locked,
            binary=binary,
            history_bins=min(settings["history_bins"], population.max_bins // 3),
            channels=settings["channels"],
            num_blocks=settings["num_blocks"],
            denoiser_channels=settings["denoiser_channels"] or (64 if few else 128),
            denoiser_blocks=settings["denoiser_blocks"] or (2 if few else 4),
            causal=settings["causal"],
            conditions=conditions,
        )


def _predictors(conditions: Conditions | None, num_bins: int) -> Predictors | None:
    """What the means of bins follow from; without trials, bins have no means of their own."""
    if conditions is None:
        return None
    constant, varying = conditions.says_known
    return Predictors(num_bins, tuple(constant.tolist()), tuple(varying.tolist()))


def _enough_latents(num_units: int, few_trials: bool, trial_locked: bool) -> int:
    """A quarter of the units, from 4 to 16; where there are trials to learn them from, a seventh, to 32, if many more.

    A few more than 16 would make tokens of half as many bins, and steps of the denoiser twice as dear. Recordings
    without trials, of which a token holds half as many, have no more than 8.
    """
    latents, many = min(16, max(4, num_units // 4)), min(32, num_units // 7)
    if not trial_locked:
        return min(latents, MAX_LATENTS_WITHOUT_TRIALS)
    return latents if few_trials or many <= WORTH_IT * latents else many


def is_binary(observation: str, counts: SpikeCounts) -> bool:
    """Whether counts are modelled as Bernoulli; ``observation`` as LDNS takes it."""
    if observation == "auto":
        return counts.is_binary
    if observation not in ("poisson", "bernoulli"):
        raise ValueError(f"observation must be 'auto', 'poisson' or 'bernoulli'; got {observation!r}.")
    if observation == "bernoulli" and not counts.is_binary:
        raise ValueError(
            f"observation='bernoulli' needs bins of at most one spike; counts has up to {counts.counts.max()}. "
            "Take shorter bins, or 'poisson'."
        )
    return observation == "bernoulli"


def mask_of(valid: np.ndarray | None, device: torch.device | None = None) -> Tensor | None:
    """Valid bins as the networks take them: float (trials, bins, 1), or None where there is no padding."""
    if valid is None or valid.all():
        return None
    return torch.from_numpy(valid).to(device).float()[..., None]
