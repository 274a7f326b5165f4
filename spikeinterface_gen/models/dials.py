r"""Dials of a fitted LDNS for experiments: rates, correlations, and which and how many units.

Every dial becomes weights of the decoder and parameters of the observation model, so that the result is a model like
any other. Log rates are linear in the decoder's last layer, :math:`\ln \lambda = W f(z) + w_0`: a gain c about the
mean is :math:`W' = c W, w'_0 = c w_0 + (1 - c) \langle \ln \lambda \rangle`.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeinterface_gen.models.latent_draws import draw_rates
from spikeinterface_gen.models.ldns_networks import COUNT_MODEL_OF_UNITS, LDNSNetworks
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.observation.calibration import calibrate
from spikeinterface_gen.observation.count_model import CountModel
from spikeinterface_gen.observation.history import MAX_RATE
from spikeinterface_gen.observation.low_rates import LowRates
from spikeinterface_gen.observation.synchrony import Synchrony, positive_definite
from spikeinterface_gen.randomness import resolve_seed, uniforms

__all__ = ["adjusted"]

# Trials that means are taken over.
NUM_TRIALS = 128
# A derived unit has the mean rate of one of so many that are next to its source in rate, on either side.
NEIGHBOURS = 3


def adjusted(
    model: Any, rate_gain: float, correlation_gain: float, unit_ids: Any, num_units: int | None, seed: int
) -> Any:
    """A copy of ``model`` with dials turned; see :meth:`spikeinterface_gen.LDNS.adjusted`."""
    for name, gain in (("rate_gain", rate_gain), ("correlation_gain", correlation_gain)):
        if not (np.isfinite(gain) and gain >= 0) or (name == "rate_gain" and gain == 0):
            raise ValueError(f"{name} must be a finite number, positive (correlation_gain may be 0); got {gain}.")
    seed = resolve_seed(seed)
    networks, population = model._ready(), model.population_
    source = _positions(population, unit_ids)
    num_given = len(source)
    if num_units is not None and num_units < num_given:
        raise ValueError(
            f"num_units must be at least the {num_given} units that there are; got {num_units}. unit_ids chooses fewer."
        )
    lengths = np.resize(population.lengths, NUM_TRIALS)
    rates = draw_rates(networks, lengths, seed, "dials")
    valid = np.arange(rates.shape[1]) < lengths[:, None]
    count_model = networks.count_model()
    like = source
    if num_units is not None and num_units > num_given:
        mean = rates[valid].mean(axis=0, dtype=np.float64)
        more, neighbours = _resampled(source, mean, num_units - num_given, seed)
        source, like = np.concatenate([source, more]), np.concatenate([source, neighbours])

    result = copy.copy(model)
    result.networks_ = chosen = _of_units(networks, source)
    history, correlation = count_model.history, count_model.synchrony.correlation[np.ix_(source, source)]
    correlation[num_given:], correlation[:, num_given:] = 0, 0
    correlation = correlation * correlation_gain
    np.fill_diagonal(correlation, 1)
    history = history.of_units(source)
    result.population_ = _population_of(population, source, num_given)
    # So that a saved model is built again as it is, whatever its number of units would suggest.
    result.num_latents = networks.num_latents
    if correlation_gain > 1:
        # Up to 1, it lies between what was learned and the identity, and is positive definite as it is.
        correlation = positive_definite(correlation)
    gain, low = count_model.gain, replace(count_model.low, median=count_model.low.median[source])
    if not np.array_equal(source, np.arange(len(count_model.history.bias))):
        gain = gain.of_rates(low.applied(rates[:, :, source][valid]))
    turned = CountModel(history, Synchrony(correlation), gain, low)
    if rate_gain != 1 or correlation_gain != 1 or len(source) > num_given:
        draws = count_model.variates(rates.shape, seed, "dials")
        expected = count_model.history.simulate(count_model.gained(rates), draws)[1]
        mean = count_model.history.dispersion.mean(expected)[valid].mean(axis=0, dtype=np.float64)
        rates = _turn(
            chosen, rates[:, :, source], valid, correlation_gain, rate_gain * _ratio(mean[like], mean[source])
        )
        draws = turned.variates(rates.shape, seed, "dials")
        low = LowRates.of(low.power, rates[valid])
        turned = replace(turned, low=low, gain=gain.of_rates(low.applied(rates[valid])))
        history = calibrate(history, turned.gained(rates), draws, rate_gain * mean[like], valid)
        turned = replace(turned, history=history)
    chosen.set_count_model(turned)
    return result


def _positions(population: Population, unit_ids: Any) -> np.ndarray:
    where = {unit_id: k for k, unit_id in enumerate(population.unit_ids.tolist())}
    if unit_ids is None:
        return np.arange(len(where))
    wanted = np.atleast_1d(np.asarray(unit_ids)).tolist()
    unknown = [unit_id for unit_id in wanted if unit_id not in where]
    if unknown or len(set(wanted)) < len(wanted) or not wanted:
        what = f"{unknown[:5]} are not among" if unknown else "some are repeated, or none is given, of"
        raise KeyError(f"unit_ids must be distinct ids of units of the model: {what} the {len(where)} units.")
    return np.array([where[unit_id] for unit_id in wanted])


def _resampled(source: np.ndarray, mean: np.ndarray, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the units that further ones are derived from, and of those whose mean rates they have."""
    u = uniforms(seed, "derived units", 0, (number, 2))
    by_rate = source[np.argsort(mean[source], kind="stable")]
    rank = (u[:, 0] * len(source)).astype(int)
    away = np.rint((2 * u[:, 1] - 1) * NEIGHBOURS).astype(int)
    return by_rate[rank], by_rate[np.clip(rank + away, 0, len(source) - 1)]


def _of_units(networks: LDNSNetworks, source: np.ndarray) -> LDNSNetworks:
    """A copy whose units are these of the networks."""
    result = copy.deepcopy(networks)
    encoder, decoder = result.autoencoder.encoder, result.autoencoder.decoder
    index = torch.from_numpy(source).to(decoder.outlet.weight.device)
    number = decoder.outlet.out_features
    with torch.no_grad():
        outlet = nn.Linear(decoder.outlet.in_features, len(source)).to(index.device)
        outlet.weight.copy_(decoder.outlet.weight[index])
        outlet.bias.copy_(decoder.outlet.bias[index])
        inlet = nn.Linear(len(source), encoder.inlet.out_features).to(index.device)
        # As in training with hidden entries: what is left is scaled up to make up for it.
        inlet.weight.copy_(encoder.inlet.weight[:, index] * (number / len(source)))
        inlet.bias.copy_(encoder.inlet.bias)
        decoder.outlet, encoder.inlet = outlet, inlet
        for name in COUNT_MODEL_OF_UNITS:
            setattr(result, name, getattr(networks, name)[index].clone())
        result.synchrony_correlation = networks.synchrony_correlation[index][:, index].clone()
    return result.eval()


def _turn(networks: LDNSNetworks, rates: np.ndarray, valid: np.ndarray, gain: float, factor: np.ndarray) -> np.ndarray:
    """Turn the decoder: log rates by ``gain`` about their means, mean rates by ``factor``; return the new rates."""
    log_rates = np.log(np.maximum(rates, 1e-12)).astype(np.float64)
    centre = log_rates[valid].mean(axis=0)
    deviation = gain * (log_rates - centre)
    mean, turned = (x[valid].mean(axis=0, dtype=np.float64) for x in (rates, np.exp(centre + deviation)))
    shift = np.log(_ratio(mean, turned) * factor)
    outlet = networks.autoencoder.decoder.outlet
    with torch.no_grad():
        outlet.weight.mul_(gain)
        outlet.bias.mul_(gain).add_(torch.from_numpy((1 - gain) * centre + shift).to(outlet.bias))
    return np.minimum(np.exp(centre + shift + deviation), MAX_RATE).astype(np.float32)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, near 1 where both are next to nothing."""
    return (a + 1e-9) / (b + 1e-9)


def _population_of(population: Population, source: np.ndarray, num_given: int) -> Population:
    ids = population.unit_ids[source]
    properties = {name: values[source] for name, values in population.unit_properties.items()}
    if len(source) > num_given:
        number = len(source) - num_given
        if ids.dtype.kind in "iu":
            further = np.arange(number) + population.unit_ids.max() + 1
        else:
            further = np.array([f"{unit_id}~{k}" for k, unit_id in enumerate(ids[num_given:])])
        properties["derived"] = np.arange(len(source)) >= num_given
        properties["source_unit"] = ids
        ids = np.concatenate([ids[:num_given], further])
    return replace(population, unit_ids=ids, unit_properties=properties)
