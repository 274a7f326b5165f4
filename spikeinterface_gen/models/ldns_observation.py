"""Fitting the observation model of an LDNS: spike history, synchrony, and their calibration on free runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.models.fit_settings import TimeBudget
from spikeinterface_gen.models.latent_draws import sample_latents
from spikeinterface_gen.models.ldns_networks import LDNSNetworks
from spikeinterface_gen.observation.count_model import CountModel
from spikeinterface_gen.observation.history import SpikeHistory, calibrate, fit_history
from spikeinterface_gen.observation.synchrony import Synchrony, count_moments, fit_synchrony
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.distances import distance

__all__ = [
    "ObservationReport",
    "draw_latents",
    "draw_rates",
    "fit_count_model",
    "joined",
    "recalibrated",
    "some_trials",
]

# Entries (trial, bin, unit) that the spike history is fitted on, and that free runs for its calibration have: at most,
# and for each second there is for either.
MAX_OBSERVED_ENTRIES, OBSERVED_ENTRIES_A_SECOND = 1e7, 5e5
MAX_CALIBRATED_ENTRIES, CALIBRATED_ENTRIES_A_SECOND = 2.4e7, 1e6
# Trials of which latents are drawn for free runs, alike: of few units, these take the time.
MAX_CALIBRATED_TRIALS, SAMPLED_TRIALS_A_SECOND = 1000, 200
# Recorded trials that free runs are compared with to choose the synchrony, relative to their number, at most.
COMPARED_SHARE = 2
CHOSEN_BY = ("population_count", "correlation")
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
    synchrony_distances : dict of str to dict of str to float
        Of free runs from recorded trials, in the population's count and in correlations, with a synchrony that makes up
        for all that is missing within a bin ("whole"), and for what of it is gone three bins later ("transient"). That
        of the lesser product is chosen; empty where there is none.
    """

    counts: str
    num_regular: int
    history_gains_nats: dict[str, float]
    num_coupled: int
    synchrony_distances: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def history(self) -> str:
        """The history that gains most."""
        return max(self.history_gains_nats, key=lambda name: self.history_gains_nats[name])

    def __str__(self) -> str:
        gains = ", ".join(f"{name} {gain:+.0f}" for name, gain in self.history_gains_nats.items())
        return (
            f"{self.counts} counts, {self.num_regular} units varying less than that; spike history: {self.history} "
            f"(gain less parameters, in nats: {gains}); {self.num_coupled} units in synchrony"
            + "".join(
                f", {name} at D_KL {apart['population_count']:.2g}, {apart['correlation']:.2g} in correlations"
                for name, apart in self.synchrony_distances.items()
            )
        )


def fit_count_model(
    networks: LDNSNetworks,
    history_bins: int,
    train: SpikeCounts,
    held_out: SpikeCounts,
    seed: int,
    budget: TimeBudget,
) -> tuple[CountModel, ObservationReport]:
    """Fit spike history and dispersion on recorded trials, then calibrate biases, and fit synchrony, on free runs.

    Means and correlations of the free runs are those of all trials, the held-out ones included. With little time, fewer
    trials are looked at.
    """
    with budget.seconds_for("history") as seconds:
        observed = min(MAX_OBSERVED_ENTRIES, OBSERVED_ENTRIES_A_SECOND * seconds)
        history, gains = _fit_history(networks, history_bins, some_trials(train, observed, seed), seed)
    recorded = joined(train, held_out)
    with budget.seconds_for("calibration") as seconds:
        model, distances = _calibrated(networks, history, recorded, seed, seconds)
    mean = recorded.counts[recorded.mask].mean(axis=0, dtype=np.float64)
    _, variance = history.dispersion.mean_and_variance(mean[None])
    num_regular = 0 if networks.binary else int((variance[0] < 0.95 * np.maximum(mean, 1e-12)).sum())
    counts = "Bernoulli" if networks.binary else "Poisson"
    return model, ObservationReport(counts, num_regular, gains, len(model.synchrony.coupled), distances)


def _calibrated(
    networks: LDNSNetworks, history: SpikeHistory, recorded: SpikeCounts, seed: int, seconds: float
) -> tuple[CountModel, dict[str, dict[str, float]]]:
    """The count model with biases and synchrony of which free runs are as recorded, and what these were chosen by."""
    rates, valid = _rates_to_calibrate_on(networks, recorded, seed, seconds)
    moments = count_moments(recorded.counts, recorded.mask, seed)
    model = CountModel(history, Synchrony.none(recorded.num_units))
    draws = model.variates(rates.shape, seed, "calibration counts")
    model = CountModel(calibrate(history, rates, draws, moments.mean, valid), model.synchrony)
    _, expected = model.history.simulate(rates, draws)
    candidates = fit_synchrony(moments, expected, valid, history.dispersion, seed)
    synchrony, distances = _choose_synchrony(model.history, candidates, rates, valid, recorded, seed)
    if len(synchrony.coupled):
        # What units share comes back through their histories.
        model = CountModel(model.history, synchrony)
        draws = model.variates(rates.shape, seed, "calibration counts")
        model = CountModel(calibrate(model.history, rates, draws, moments.mean, valid, iterations=4), synchrony)
    return model, distances


def _choose_synchrony(
    history: SpikeHistory,
    candidates: tuple[Synchrony, Synchrony],
    rates: np.ndarray,
    valid: np.ndarray,
    recorded: SpikeCounts,
    seed: int,
) -> tuple[Synchrony, dict[str, dict[str, float]]]:
    """The one whose free runs are nearer to the recording, and the distances of both."""
    if not len(candidates[0].coupled):
        return candidates[0], {}
    recorded, distances = some_trials(recorded, COMPARED_SHARE * rates.size, seed), {}
    for name, synchrony in zip(("whole", "transient"), candidates, strict=True):
        draws = CountModel(history, synchrony).variates(rates.shape, seed, "choice of synchrony")
        counts, _ = history.simulate(rates, draws)
        free = SpikeCounts(counts * valid[..., None], recorded.bin_size_ms, recorded.unit_ids, valid.sum(axis=1))
        distances[name] = {metric: distance(recorded, free, metric) for metric in CHOSEN_BY}
    # In their product, a tenth of the one weighs as much as a tenth of the other.
    whole, transient = (np.prod(list(distances[name].values())) for name in ("whole", "transient"))
    return candidates[0 if whole <= transient else 1], distances


def recalibrated(networks: LDNSNetworks, counts: SpikeCounts, seed: int, budget: TimeBudget) -> CountModel:
    """The count model of ``networks``, its biases calibrated afresh where means of free runs are off.

    A denoiser that was trained anew draws latents of slightly other means.
    """
    model = networks.count_model()
    with budget.seconds_for("calibration") as seconds:
        rates, valid = _rates_to_calibrate_on(networks, counts, seed, seconds)
        draws = model.variates(rates.shape, seed, "calibration counts")
        _, expected = model.history.simulate(rates, draws)
        recorded = counts.counts[counts.mask].mean(axis=0, dtype=np.float64)
        free = model.history.dispersion.mean(expected)[valid].mean(axis=0, dtype=np.float64)
        # Of units weighted by their spikes, since the means of quiet ones are known less well.
        if np.abs(free - recorded).sum() <= MEAN_TOLERANCE * recorded.sum():
            return model
        return CountModel(calibrate(model.history, rates, draws, recorded, valid), model.synchrony)


def draw_latents(networks: LDNSNetworks, num_bins: np.ndarray, seed: int, stage: str) -> Iterator[np.ndarray]:
    """Latents, drawn with a seed derived from ``seed`` and ``stage``; under the conditions of the data."""
    derived = int.from_bytes(hashlib.blake2b(f"{seed}/{stage}".encode(), digest_size=4).digest(), "little")
    encoded = None if networks.conditions is None else networks.conditions.evenly(num_bins)
    return sample_latents(networks, num_bins, derived, encoded=encoded)


def draw_rates(networks: LDNSNetworks, num_bins: np.ndarray, seed: int, stage: str) -> np.ndarray:
    """λ of such latents, shape (trials, bins, units)."""
    return np.concatenate([networks.expected_counts(z) for z in draw_latents(networks, num_bins, seed, stage)])


def _rates_to_calibrate_on(
    networks: LDNSNetworks, counts: SpikeCounts, seed: int, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """λ of as many sampled trials as there is time for, with lengths as recorded, and their valid bins.

    More trials than were recorded, where they are few: means of free runs must not wander with the draw.
    """
    entries = min(MAX_CALIBRATED_ENTRIES, CALIBRATED_ENTRIES_A_SECOND * seconds)
    most = min(MAX_CALIBRATED_TRIALS, SAMPLED_TRIALS_A_SECOND * seconds)
    num_bins = np.resize(counts.num_bins, int(max(64, min(most, entries / counts.counts[0].size))))
    rates = draw_rates(networks, num_bins, seed, "calibration")
    return rates, np.arange(rates.shape[1]) < num_bins[:, None]


def _fit_history(
    networks: LDNSNetworks, history_bins: int, part: SpikeCounts, seed: int
) -> tuple[SpikeHistory, dict[str, float]]:
    # Each half of the entries is predicted from the other.
    hidden = np.stack([uniforms(seed, "observation mask", t, part.counts.shape[1:]) < 0.5 for t in range(len(part))])
    rates = np.empty(part.counts.shape, np.float32)
    for side in (hidden, ~hidden):
        z = networks.encode(part.counts * ~side, part.mask, share_hidden=0.5)
        rates[side] = networks.expected_counts(z)[side]
    predicted = np.broadcast_to(part.mask[..., None], part.counts.shape)
    return fit_history(rates, part.counts, predicted, history_bins, networks.binary)


def some_trials(counts: SpikeCounts, num_entries: float, seed: int) -> SpikeCounts:
    """Trials at random of so many entries (trial, bin, unit) in all, 8 at least."""
    affordable = max(8, num_entries // counts.counts[0].size)
    if counts.num_trials <= affordable:
        return counts
    order = np.argsort(uniforms(seed, "observation trials", 0, (counts.num_trials,)))
    return counts[np.sort(order[: int(affordable)])]


def joined(first: SpikeCounts, second: SpikeCounts) -> SpikeCounts:
    """Trials of both, padded to the longest; without their labels."""
    longest = max(first.max_bins, second.max_bins)
    parts = [np.pad(part.counts, ((0, 0), (0, longest - part.max_bins), (0, 0))) for part in (first, second)]
    return SpikeCounts(
        np.concatenate(parts), first.bin_size_ms, first.unit_ids, np.concatenate([first.num_bins, second.num_bins])
    )
