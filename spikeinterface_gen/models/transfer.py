"""Fine-tuning: what a fit takes over from a model of another session.

Units of another session are other units, but how a population moves through its latents may well be the same. Carried
over is what holds that:

=======================  ==========================================================================================
encoder but its inlet    always
inlet, unit by unit      for the same units; others begin as in any fit, divided by the s.d. of their counts, and
                         drive the blocks together as strongly as the old ones did
decoder but its outlet   always
outlet, unit by unit     for the same units; others begin as in any fit, at the log of their mean rates
axes of the latents      always; the denoiser is told the latents along them
denoiser                 where its tokens have as many bins
its modes                where trials have as many, until they are estimated for its training; with what conditions
                         do to them, where covariates are the same
its positions            where both are locked to trials of as many tokens
its conditions           where covariates are the same; others, and trial time, begin without effect
history, synchrony       never: they are fitted last, to what is there then
=======================  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor, nn

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.models.conditions import Conditions
from spikeinterface_gen.models.ldns_networks import LDNSNetworks, is_binary
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.nn.denoiser import DenoiserNetwork
from spikeinterface_gen.randomness import normals

__all__ = ["Start", "StartedFrom", "matching_units"]

# Properties that are measured on the spikes themselves: another for the same unit on another day.
_MEASURED = ("refractory_period_ms", "short_interval_counts")
NUM_DRAWS = 512


@dataclass(frozen=True)
class StartedFrom:
    """What a fitted model remembers of the one that it began from.

    Attributes
    ----------
    sha256 : str
        Of the networks, as :meth:`LDNS.sha256` of that model.
    num_latents, denoiser_channels, denoiser_blocks : int
        Sizes taken over from it, where the settings leave them open.
    """

    sha256: str
    num_latents: int
    denoiser_channels: int
    denoiser_blocks: int

    @property
    def sizes(self) -> dict[str, int]:
        """By the names of the settings."""
        return {name: size for name, size in vars(self).items() if name != "sha256"}


@dataclass(frozen=True, eq=False)
class Start:
    """A fitted model that another fit begins from."""

    networks: LDNSNetworks
    population: Population
    settings: Mapping[str, Any]
    remembered: StartedFrom

    @classmethod
    def of(cls, model: Any) -> Self:
        """Look at a fitted LDNS, or load one from its folder or by the name of a bundled one.

        Raises
        ------
        TypeError
            If it is no LDNS.
        NotFittedError
            If it is not fitted.
        """
        if isinstance(model, (str, Path)):
            from spikeinterface_gen.models import load_model

            model = load_model(model)
        if not callable(getattr(model, "_ready", None)):
            raise TypeError(
                "start_from must be a fitted LDNS, the folder of a saved one or the name of a bundled one; got "
                f"{type(model).__name__}."
            )
        networks: LDNSNetworks = model._ready()
        remembered = StartedFrom(networks.sha256(), **networks.sizes)
        return cls(networks, model.population_, model.settings(), remembered)

    def completed(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """``settings`` of the new model, those that are None as in this one.

        Raises
        ------
        ValueError
            If one that shapes the networks is another.
        """
        own = {name: self.settings[name] for name in ("channels", "num_blocks", "causal")} | self.remembered.sizes
        other = [name for name, value in own.items() if settings[name] is not None and settings[name] != value]
        if other:
            raise ValueError(
                f"start_from has {_told(own, other)}; this LDNS has {_told(settings, other)}. What is carried over "
                f"keeps its shape: LDNS({_told(own, other)})."
            )
        return {**settings, **own}

    def check(self, counts: SpikeCounts, observation: str) -> None:
        """Raise unless ``counts`` has bins of the same width and counts of the same distribution."""
        if not np.isclose(counts.bin_size_ms, self.population.bin_size_ms):
            raise ValueError(
                f"counts has bins of {counts.bin_size_ms:g} ms; start_from was fitted to bins of "
                f"{self.population.bin_size_ms:g} ms, and what it learned goes from bin to bin. Bin the spikes anew: "
                f"bin_size_ms={self.population.bin_size_ms:g} of SpikeCounts.from_…."
            )
        if is_binary(observation, counts) != self.networks.binary:
            own, new = ("Bernoulli", "Poisson") if self.networks.binary else ("Poisson", "Bernoulli")
            remedy = (
                "Bernoulli counts need bins of at most one spike."
                if self.networks.binary
                else "LDNS(observation='poisson') takes such counts too."
            )
            raise ValueError(f"start_from has {own} counts; these are {new} (observation={observation!r}). {remedy}")

    @torch.no_grad()
    def carry_over(self, networks: LDNSNetworks, counts: SpikeCounts) -> None:
        """Give weights to the networks of the population of ``counts``, which have begun as in any fit."""
        old, new = self.networks.autoencoder, networks.autoencoder
        device = new.decoder.scale.device
        for name in ("blocks", "norm", "outlet"):
            getattr(new.encoder, name).load_state_dict(getattr(old.encoder, name).state_dict())
        new.encoder.inlet.bias.copy_(old.encoder.inlet.bias)
        new.decoder.scale.copy_(old.decoder.scale)
        new.decoder.shift.copy_(old.decoder.shift)
        units = matching_units(self.population, counts)
        if units is None:
            new.encoder.inlet.weight.mul_(self._inlet_scale(new.encoder.inlet.weight, counts))
        else:
            index = torch.from_numpy(units).to(old.decoder.scale.device)
            new.encoder.inlet.weight.copy_(old.encoder.inlet.weight[:, index].to(device))
            new.decoder.outlet.weight.copy_(old.decoder.outlet.weight[index].to(device))
            new.decoder.outlet.bias.copy_(old.decoder.outlet.bias[index].to(device))
        networks.latent_map.copy_(self.networks.latent_map)
        if networks.denoiser.mode_sd.shape == self.networks.denoiser.mode_sd.shape:
            networks.denoiser.set_modes(self.networks.denoiser.mode_mean, self.networks.denoiser.mode_sd)
            _carry_over_responses(self.networks, networks)
        _carry_over_denoiser(
            _denoiser(self.networks), _denoiser(networks), self.networks.conditions, networks.conditions
        )

    def _inlet_scale(self, weight: Tensor, counts: SpikeCounts) -> float:
        """Factor of the inlet of new units, ``weight``, that gives the blocks an input as large as they know."""
        # The s.d. of the old units' counts follows from their rates, here those of Gaussian latents.
        x = torch.from_numpy(normals(0, "rates of the old units", 0, (NUM_DRAWS, self.networks.num_latents)))
        latents = self.networks.latent_mean + x.to(self.networks.latent_mean.device) @ self.networks.latent_map
        rates = self.networks.expected_counts(latents.cpu().numpy()[None])[0]
        known = self.networks.autoencoder.encoder.inlet.weight
        old, new = (
            _drive(known, np.sqrt(rates.mean(axis=0) + rates.var(axis=0))),
            _drive(weight, counts.counts[counts.mask].std(axis=0)),
        )
        return old / new if new > 0 else 1.0


def matching_units(old: Population, new: SpikeCounts) -> np.ndarray | None:
    """Positions in ``old`` of the units of ``new``, int64, shape (units,); None where they are other units.

    Ids alone tell nothing: those of most sessions are 0, 1, 2, … Units are the same where all ids are, and all
    properties that both populations have, of which one at least must differ between units. Properties measured on the
    spikes may be others on another day, and count where they are equal.
    """
    where = {unit_id: k for k, unit_id in enumerate(old.unit_ids.tolist())}
    ids = new.unit_ids.tolist()
    if set(where) != set(ids):
        return None
    units = np.array([where[unit_id] for unit_id in ids], np.int64)
    told = False
    for name in old.unit_properties.keys() & new.unit_properties.keys():
        before, now = old.unit_properties[name][units], new.unit_properties[name]
        # Unknown numbers are equal to each other.
        equal = before.dtype.kind == now.dtype.kind and np.array_equal(before, now, equal_nan=now.dtype.kind == "f")
        if not equal and name not in _MEASURED:
            return None
        told = told or (equal and len(np.unique(now, axis=0)) > 1)
    return units if told else None


def _drive(weight: Tensor, sd: np.ndarray) -> float:
    """S.d. of what an inlet makes of independent units of these s.d., over all channels together."""
    return float(np.linalg.norm(weight.cpu().numpy() * sd))


def _carry_over_responses(old: LDNSNetworks, new: LDNSNetworks) -> None:
    """What conditions do to modes, of the covariates that are the same."""
    if not (len(old.denoiser.responses) and len(new.denoiser.responses)):
        return
    before, now = _predictors(old), _predictors(new)
    for covariate in now.keys() & before.keys():
        for name in ("responses", "explained"):
            carried = getattr(old.denoiser, name)[before[covariate]]
            getattr(new.denoiser, name)[now[covariate]] = carried.to(new.latent_mean.device)


def _predictors(networks: LDNSNetworks) -> dict[tuple, Tensor]:
    """Which predictors of responses are of each covariate, by what it means."""
    covariates = [covariate for varying in (False, True) for covariate in _columns(networks.conditions, varying)]
    predictors = networks.denoiser.predictors
    return {
        covariate: (predictors.known == flag).nonzero()[:, 0]
        for covariate, flag in zip(covariates, predictors.flags, strict=True)
    }


def _carry_over_denoiser(
    old: DenoiserNetwork, new: DenoiserNetwork, known: Conditions | None, conditions: Conditions | None
) -> None:
    if old.patch_size != new.patch_size:
        return
    for name in ("inlet", "noise_embedding", "blocks", "norm", "outlet"):
        getattr(new, name).load_state_dict(getattr(old, name).state_dict())
    if old.position is not None and new.position is not None and old.position.shape == new.position.shape:
        new.position.copy_(old.position)
    if new.constant_inlet is not None:
        if old.constant_inlet is None:
            new.constant_outlet.weight.zero_()
            new.constant_outlet.bias.zero_()
        else:
            new.constant_outlet.load_state_dict(old.constant_outlet.state_dict())
            new.constant_inlet.bias.copy_(old.constant_inlet.bias)
            _carry_over_columns(old.constant_inlet, new.constant_inlet, known, conditions, varying=False)
    elif old.constant_inlet is not None:
        # What unknown conditions add.
        unknown = old.constant_outlet(nn.functional.silu(old.constant_inlet.bias))
        bias = cast(nn.Linear, new.noise_embedding[2]).bias
        bias.add_(unknown.to(bias.device))
    if new.varying_inlet is not None:
        _carry_over_columns(old.varying_inlet, new.varying_inlet, known, conditions, varying=True)


def _carry_over_columns(
    old: nn.Linear | None, new: nn.Linear, known: Conditions | None, conditions: Conditions | None, *, varying: bool
) -> None:
    """Weights of the features of covariates that are the same; zero, as if unknown, for the others."""
    new.weight.zero_()
    before, now = _columns(known, varying), _columns(conditions, varying)
    if old is None:
        return
    # (channels, bins of a token, features)
    w_old, w_new = (
        layer.weight.unflatten(1, (-1, sum(map(len, columns.values()))))
        for layer, columns in ((old, before), (new, now))
    )
    for covariate in now.keys() & before.keys():
        w_new[..., now[covariate]] = w_old.cpu()[..., before[covariate]].to(w_new.device)


def _columns(known: Conditions | None, varying: bool) -> dict[tuple, list[int]]:
    """Features of each covariate, by what the covariate means; the time of another session is another."""
    columns: dict[tuple, list[int]] = {}
    covariates = [] if known is None else known.varying if varying else known.constant
    start = 0
    for c in covariates:
        meaning: tuple = (c.name, c.kind, c.ndim, c.num_columns, tuple(c.categories))
        if c.kind == "session_time":
            meaning = (*meaning, *c.quantiles)
        columns[meaning] = list(range(start, start + c.num_features))
        start += c.num_features
    return columns


def _denoiser(networks: LDNSNetworks) -> DenoiserNetwork:
    return cast(DenoiserNetwork, networks.denoiser.network)


def _told(settings: Mapping[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name}={settings[name]!r}" for name in names)
