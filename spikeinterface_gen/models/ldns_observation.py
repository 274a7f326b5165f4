"""Fitting what follows the latents of an LDNS: history, readout and synchrony, calibrated on free runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from torch import Tensor

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.models.fit_settings import TimeBudget
from spikeinterface_gen.models.free_runs import FreeRuns
from spikeinterface_gen.models.halves import encoded_halves
from spikeinterface_gen.models.ldns_networks import LDNSNetworks
from spikeinterface_gen.models.readout import fit_readout
from spikeinterface_gen.models.trials import some_trials
from spikeinterface_gen.observation.calibration import PairsTarget, calibrate, pairs_target, spike_pairs
from spikeinterface_gen.observation.count_model import CountModel
from spikeinterface_gen.observation.dispersion import Dispersion
from spikeinterface_gen.observation.history import SpikeHistory
from spikeinterface_gen.observation.history_fit import fit_history
from spikeinterface_gen.observation.low_rates import Intervals, LowRates, fit_low_rates, intervals
from spikeinterface_gen.observation.moments import LATER, Control, CountMoments, count_moments, free_moments
from spikeinterface_gen.observation.own_rates import counts_of
from spikeinterface_gen.observation.population_gain import PopulationGain, fit_population_gain
from spikeinterface_gen.observation.synchrony import Synchrony, fit_synchrony
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.metrics import population_count_divergence

__all__ = ["ObservationReport", "fit_count_model", "recalibrate"]

# Entries (trial, bin, unit) that the spike history is fitted on: at most, and for each second there is.
MAX_OBSERVED_ENTRIES, OBSERVED_ENTRIES_A_SECOND = 1e7, 1.1e6
# Those of free runs that are calibrated on, alike. Without history they need not be run bin by bin.
MAX_CALIBRATED_ENTRIES, CALIBRATED_ENTRIES_A_SECOND = 2.4e7, 7.5e5
ENTRIES_WITHOUT_HISTORY = 4
# Of trials that are not run, λ is looked at: in so many entries at most, and with so many operations a second.
MAX_LOOKED_AT_ENTRIES, LOOKED_AT_OPERATIONS_A_SECOND = 1e8, 1e10
# Steps towards the recorded correlations: what a history makes of those of the rates is known only from free runs.
READOUT_ROUNDS = 2
# Units whose pairs are looked at together: at most and at least, and, since each unit then costs as much as there are
# pairs among them, units times the square of these for each second there is.
MAX_PAIRED_UNITS, MIN_PAIRED_UNITS, PAIRED_UNITS_A_SECOND = 2048, 256, 6e8
# Unit means of free runs agree with the recorded ones to within this share.
MEAN_TOLERANCE = 0.01


@dataclass(frozen=True)
class ObservationReport:
    """What was chosen to draw counts from expected counts, and why.

    Attributes
    ----------
    counts : {"Poisson", "Bernoulli"}
    num_regular : int
        Units whose counts vary by 5 % less than Poisson ones would, at their mean.
    history_gains_nats : dict of str to float
        Of each candidate for the spike history: its gain in log-likelihood over none, less its parameters.
    num_coupled : int
        Units that share more than their rates within a bin.
    population_gain : tuple of float
        Coefficients a of :mod:`~spikeinterface_gen.observation.population_gain`.
    low_rates : float
        q of :mod:`~spikeinterface_gen.observation.low_rates`.
    """

    counts: str
    num_regular: int
    history_gains_nats: dict[str, float]
    num_coupled: int
    population_gain: tuple[float, float, float] = (0.0, 0.0, 0.0)
    low_rates: float = 0.0

    @property
    def history(self) -> str:
        """The history that gains most."""
        return max(self.history_gains_nats, key=lambda name: self.history_gains_nats[name])

    def __str__(self) -> str:
        gains = ", ".join(f"{name} {gain:+.0f}" for name, gain in self.history_gains_nats.items())
        population = "no gain of the population"
        if any(self.population_gain):
            population = "gain of the population " + ", ".join(f"{a:+.3f}" for a in self.population_gain)
        low = f"lower by a power of {self.low_rates:.3f}" if self.low_rates else "as they are"
        return (
            f"{self.counts} counts, {self.num_regular} units varying less than that; spike history: {self.history} "
            f"(gain less parameters, in nats: {gains}); {self.num_coupled} units in synchrony; "
            f"{population}; low rates {low}"
        )


def fit_count_model(
    networks: LDNSNetworks,
    history_bins: int,
    train: SpikeCounts,
    recorded: SpikeCounts,
    runs: FreeRuns,
    seed: int,
    budget: TimeBudget,
) -> ObservationReport:
    """Fit spike history and dispersion on trials to train on, then readout, history, synchrony and gain on free runs.

    Means and correlations of the free runs are those of all ``recorded`` trials, the held-out ones included. With
    little time, fewer trials, and of many units fewer pairs, are looked at. The decoder and the count model of
    ``networks`` are set.
    """
    with budget.seconds_for("history") as seconds:
        observed = min(MAX_OBSERVED_ENTRIES, OBSERVED_ENTRIES_A_SECOND * seconds)
        history, gains = _fit_history(networks, history_bins, some_trials(train, observed, seed), seed)
    independent = Synchrony.none(train.num_units)
    with budget.seconds_for("readout") as seconds:
        moments = [
            (units, count_moments(recorded.counts[..., units], recorded.mask, seed))
            for units in _paired_units(recorded.num_units, seconds)
        ]
        mean = np.concatenate([of_units.mean for _, of_units in moments])
        some = _affordable(runs, history, seconds / 2)
        likeliest, pairs = networks.autoencoder.decoder.outlet.weight.detach().clone(), None
        if history.num_bins:
            model = CountModel(history, independent)
            run = _free_run(_Rates.of(networks, some), model, some, seed, mean, iterations=2)
            history, pairs = run.history, run.pairs_target(recorded)
        for _ in range(READOUT_ROUNDS):
            model = CountModel(history, independent)
            run = _free_run(_Rates.of(networks, some), model, some, seed, mean, pairs, iterations=3)
            history = run.history
            _correct_readout(networks, likeliest, run, runs, moments, seed, seconds / (2 * READOUT_ROUNDS))
    with budget.seconds_for("calibration") as seconds:
        some = _affordable(runs, history, seconds)
        lambdas, model = _Rates.of(networks, some), CountModel(history, independent)
        low = _low_rates(lambdas, model, some, recorded, seed, mean)
        lambdas = lambdas.lowered(low)
        run = _free_run(lambdas, model, some, seed, mean, pairs)
        synchrony = Synchrony.of_blocks(
            fit_synchrony(of_units, *run.of_units(units), seed) for units, of_units in moments
        )
        model = CountModel(run.history, synchrony)
        gain = _population_gain(lambdas, model, some, recorded, seed)
        # What units share comes back through their histories.
        run = _free_run(lambdas, replace(model, gain=gain), some, seed, mean, pairs, iterations=6)
    history = run.history
    networks.set_count_model(CountModel(history, synchrony, gain, low))
    _, variance = history.dispersion.mean_and_variance(mean[None])
    num_regular = 0 if networks.binary else int((variance[0] < 0.95 * np.maximum(mean, 1e-12)).sum())
    counts = "Bernoulli" if networks.binary else "Poisson"
    return ObservationReport(counts, num_regular, gains, len(synchrony.coupled), gain.coefficients, low.power)


def recalibrate(networks: LDNSNetworks, counts: SpikeCounts, runs: FreeRuns, seed: int, budget: TimeBudget) -> None:
    """Calibrate the biases of ``networks`` afresh where means of free runs are off.

    A denoiser that was trained anew draws latents of slightly other means.
    """
    model = networks.count_model()
    with budget.seconds_for("calibration") as seconds:
        some = _affordable(runs, model.history, seconds)
        recorded = counts.counts[counts.mask].mean(axis=0, dtype=np.float64)
        lambdas = _Rates.of(networks, some)
        free = _free_run(lambdas, model, some, seed).mean
        # Of units weighted by their spikes, since the means of quiet ones are known less well.
        if np.abs(free - recorded).sum() > MEAN_TOLERANCE * recorded.sum():
            history = _free_run(lambdas, model, some, seed, recorded).history
            networks.set_count_model(replace(model, history=history))


@dataclass(frozen=True)
class _Run:
    """What became of free runs.

    Attributes
    ----------
    history : SpikeHistory
    counts : array of int, shape (trials, bins, units), or None
        Only a history needs them to be drawn.
    expected : array of float32, shape (trials, bins, units)
        r.
    valid : array of bool, shape (trials, bins)
    control : Control or None
        Where there are more trials than were run.
    """

    history: SpikeHistory
    counts: np.ndarray | None
    expected: np.ndarray
    valid: np.ndarray
    control: Control | None

    @property
    def mean(self) -> np.ndarray:
        """Expected counts of a bin, shape (units,)."""
        free = self.history.dispersion.mean(self.expected)[self.valid].mean(axis=0, dtype=np.float64)
        return free if self.control is None else free / self.control.mean_ratio(self.valid)

    def pairs_target(self, recorded: SpikeCounts) -> PairsTarget | None:
        """Pairs of spikes that later runs shall have, if the history is as it was fitted; None where there is none."""
        K = self.history.num_bins
        if self.counts is None:
            return None
        fitted = spike_pairs(self.counts, self.history.dispersion.mean(self.expected), self.valid, K)
        if self.control is not None:
            fitted = fitted._replace(excess=fitted.excess + self.control.missing_excess(self.valid, K))
        of_recorded = spike_pairs(recorded.counts, recorded.counts, recorded.mask, K)
        return pairs_target(self.history, fitted, of_recorded, int(recorded.mask.sum()))

    def of_units(self, units: slice) -> tuple[np.ndarray, np.ndarray, Dispersion]:
        """r, valid bins and dispersion of some of the units."""
        return self.expected[..., units], self.valid, self.history.dispersion.of_units(units)

    def moments(self, units: slice, seed: int) -> CountMoments:
        """Of the counts of some of the units."""
        control = None if self.control is None else self.control.of_units(units)
        return free_moments(*self.of_units(units), seed, control)


def _affordable(runs: FreeRuns, history: SpikeHistory, seconds: float) -> FreeRuns:
    """As many of the free runs as there is time to calibrate on, of as many as there is time to look at λ of."""
    bins, units = runs.valid.shape[1], len(history.bias)
    entries = min(MAX_CALIBRATED_ENTRIES, CALIBRATED_ENTRIES_A_SECOND * seconds)
    if history.num_bins == 0:
        entries *= ENTRIES_WITHOUT_HISTORY
    looked_at = min(MAX_LOOKED_AT_ENTRIES, LOOKED_AT_OPERATIONS_A_SECOND * seconds / (4 * units))
    number, most = (int(max(64, number / (bins * units))) for number in (entries, max(entries, looked_at)))
    return replace(runs.some(most), many=None).some(number)


class _Rates(NamedTuple):
    """λ of trials to run, shape (trials, bins, units), and of all that these are some of, if there are more."""

    few: np.ndarray
    many: np.ndarray | None

    @classmethod
    def of(cls, networks: LDNSNetworks, runs: FreeRuns) -> _Rates:
        """With the decoder as it is now."""
        many = None if runs.many is None else networks.expected_counts(runs.many.latents)
        return cls(networks.expected_counts(runs.latents), many)

    def lowered(self, low: LowRates) -> _Rates:
        """With low rates lower."""
        return _Rates(low.applied(self.few), None if self.many is None else low.applied(self.many))


def _free_run(
    lambdas: _Rates,
    model: CountModel,
    runs: FreeRuns,
    seed: int,
    target: np.ndarray | None = None,
    pairs: PairsTarget | None = None,
    iterations: int = 8,
) -> _Run:
    """Run trials freely, with biases of which means are the ``target``, if any, and filters made for ``pairs``.

    Both are what all trials would have which these are some of.
    """
    rates, history, control = model.gained(lambdas.few), model.history, None
    if runs.many is not None and lambdas.many is not None:
        of_many = counts_of(model.gained(lambdas.many), history.binary)
        control = Control(counts_of(rates, history.binary), of_many, runs.many.valid)
    draws = model.variates(rates.shape, seed, "calibration counts") if history.num_bins else None
    if target is not None:
        if control is not None:
            target = target * control.mean_ratio(runs.valid)
            if pairs is not None:
                missing = control.missing_excess(runs.valid, history.num_bins)
                pairs = pairs._replace(excess=pairs.excess - missing)
        history = calibrate(history, rates, draws, target, runs.valid, pairs=pairs, iterations=iterations)
    return _Run(history, *history.run(rates, draws), runs.valid, control)


def _low_rates(
    lambdas: _Rates, model: CountModel, runs: FreeRuns, recorded: SpikeCounts, seed: int, target: np.ndarray
) -> LowRates:
    """Those with which intervals between spikes of free runs, of which means are the ``target``, vary as recorded."""
    low = LowRates.of(0.0, lambdas.few[runs.valid])
    draws = model.variates(lambdas.few.shape, seed, "calibration counts")

    def of_free_runs(power: float) -> Intervals:
        lower = lambdas.lowered(replace(low, power=power))
        run = _free_run(lower, model, runs, seed, target, iterations=2)
        counts, _ = run.history.simulate(lower.few, draws)
        return intervals(counts * runs.valid[..., None])

    part = some_trials(recorded, lambdas.few.size, seed)
    return replace(low, power=fit_low_rates(of_free_runs, intervals(part.counts)))


def _population_gain(
    lambdas: _Rates, model: CountModel, runs: FreeRuns, recorded: SpikeCounts, seed: int
) -> PopulationGain:
    """The likeliest gain, if population counts of free runs then are more like the recorded ones."""
    draws = model.variates(lambdas.few.shape, seed, "calibration counts")

    def of_free_runs(gain: PopulationGain) -> np.ndarray:
        counts, _ = model.history.simulate(gain.applied(lambdas.few), draws)
        return counts.sum(axis=2, dtype=np.int64)[runs.valid]

    of_recorded = recorded.counts.sum(axis=2, dtype=np.int64)
    none = PopulationGain()
    without, population = of_free_runs(none), lambdas.few.sum(axis=2)[runs.valid]
    of_drawn, num_drawn = population, len(lambdas.few)
    if runs.many is not None and lambdas.many is not None:
        of_drawn, num_drawn = lambdas.many.sum(axis=2)[runs.many.valid], len(lambdas.many)
    gain = fit_population_gain(of_drawn, (population, without), of_recorded, recorded.mask, num_drawn)
    if not any(gain.coefficients):
        return none
    off, off_without = (
        population_count_divergence(np.bincount(of_recorded[recorded.mask]), np.bincount(N))
        for N in (of_free_runs(gain), without)
    )
    return gain if off < off_without else none


def _correct_readout(
    networks: LDNSNetworks,
    likeliest: Tensor,
    run: _Run,
    runs: FreeRuns,
    recorded: Sequence[tuple[slice, CountMoments]],
    seed: int,
    seconds: float,
) -> None:
    """Move the decoder's last layer by what a run lacks of correlations that last; ``runs`` are all there are."""
    both = runs.valid[:, :-LATER] & runs.valid[:, LATER:]
    latents = np.stack([runs.latents[:, :-LATER][both], runs.latents[:, LATER:][both]])
    latents = latents[:, np.argsort(uniforms(seed, "readout", 0, (latents.shape[1],)))]
    decoder = networks.autoencoder.decoder
    for units, of_units in recorded:
        free = run.moments(units, seed)
        missing = (of_units.over(1) - free.over(1)) * of_units.known_pairs
        fit_readout(
            decoder,
            likeliest[units],
            latents,
            missing,
            free.sd,
            of_units.num_bins,
            seconds * len(free.sd) / len(likeliest),
            units,
            binary=networks.binary,
        )


def _paired_units(num_units: int, seconds: float) -> list[slice]:
    """Runs of units whose pairs are looked at: all together, or, where these are too many, neighbours in their order.

    Time and memory would grow with the square of the number of units, and more.
    """
    affordable = np.sqrt(PAIRED_UNITS_A_SECOND * seconds / num_units)
    number = -(-num_units // int(np.clip(affordable, MIN_PAIRED_UNITS, MAX_PAIRED_UNITS)))
    borders = np.arange(number + 1) * num_units // number
    return [slice(int(start), int(stop)) for start, stop in pairwise(borders)]


def _fit_history(
    networks: LDNSNetworks, history_bins: int, part: SpikeCounts, seed: int
) -> tuple[SpikeHistory, dict[str, float]]:
    rates = np.empty(part.counts.shape, np.float32)
    for hidden, z in encoded_halves(networks, part, seed, "observation mask"):
        rates[hidden] = networks.expected_counts(z)[hidden]
    predicted = np.broadcast_to(part.mask[..., None], part.counts.shape)
    return fit_history(rates, part.counts, predicted, history_bins, networks.binary)
