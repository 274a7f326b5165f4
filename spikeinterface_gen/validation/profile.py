"""What the figures show of a population: its statistics, averaged where there are too many to draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.validation.statistics import TrialStatistics

__all__ = ["Profile", "correlation_groups", "profile"]

_NUM_GROUPS = 4


@dataclass(frozen=True)
class Profile:
    """Statistics of one set of trials.

    Attributes
    ----------
    num_trials, num_bins : int
        Trials, and valid bins in them.
    rates_hz, fano_factors, isi_mean_s, isi_sd_s, cv2, lv, population_couplings : array, shape (units,)
    drifts_hz : array, shape (units,)
        The slowest component of each unit's rate over the session.
    psth_hz : array, shape (psth bins,)
        Rate over the time of a trial, mean over units; NaN without a common time origin.
    psth_bin_ms : float
        Width of these bins.
    frequencies_hz, relative_power : array, shape (frequencies,)
        Power spectrum of a unit relative to that of a Poisson unit of its rate, mean over units.
    correlations, signal_correlations, noise_correlations, spike_time_tilings : array, shape (pairs,)
    triplet_correlations : array, shape (triplets,)
    population_shares : array, shape (largest count + 1,)
        Share of bins in which the population fires 0, 1, 2, … spikes.
    complexity_shares : array, shape (units + 1,)
        Share of bins in which 0, 1, 2, … units fire.
    isi_lengths_bins : array of int, shape (lengths,)
        Longest intervals, rounded to whole bins, that are counted together.
    isi_shares : array, shape (lengths,)
        Share of such intervals for each bin of length, mean over units.
    autocorrelograms : array, shape (groups, lags)
        Autocorrelation coefficients at lags 1, 2, … bins, mean over the units of each group.
    cross_correlograms : array, shape (groups, lags + 1)
        Cross-correlation coefficients at lags 0, 1, 2, … bins, mean over the pairs within each group.
    """

    num_trials: int
    num_bins: int
    rates_hz: np.ndarray
    fano_factors: np.ndarray
    isi_mean_s: np.ndarray
    isi_sd_s: np.ndarray
    cv2: np.ndarray
    lv: np.ndarray
    population_couplings: np.ndarray
    drifts_hz: np.ndarray
    psth_hz: np.ndarray
    psth_bin_ms: float
    frequencies_hz: np.ndarray
    relative_power: np.ndarray
    correlations: np.ndarray
    signal_correlations: np.ndarray
    noise_correlations: np.ndarray
    spike_time_tilings: np.ndarray
    triplet_correlations: np.ndarray
    population_shares: np.ndarray
    complexity_shares: np.ndarray
    isi_lengths_bins: np.ndarray
    isi_shares: np.ndarray
    autocorrelograms: np.ndarray
    cross_correlograms: np.ndarray


def correlation_groups(correlations: np.ndarray, num_units: int) -> list[np.ndarray]:
    """Split units into four groups of equal size by how strongly they correlate with all others, strongest first.

    Strength is the sum of squared correlations, as for the grouped autocorrelations of the LDNS paper.
    """
    matrix = np.zeros((num_units, num_units))
    matrix[np.triu_indices(num_units, 1)] = np.nan_to_num(correlations)
    strength = np.square(matrix + matrix.T).sum(axis=0)
    groups = np.array_split(np.argsort(-strength, kind="stable"), min(_NUM_GROUPS, num_units))
    return [np.sort(group) for group in groups]


def profile(side: TrialStatistics, groups: list[np.ndarray]) -> Profile:
    """Return the statistics of these trials; ``groups`` holds positions of units."""
    layout = side.layout
    correlations = side.correlations()
    matrix = _square(correlations, layout.correlation_units, layout.num_units)
    auto, cross = side.autocorrelograms(), side.cross_correlograms()
    place = np.full(layout.num_units, -1)
    place[layout.pair_units] = np.arange(len(layout.pair_units))
    lags = []
    for group in groups:
        chosen = place[group][place[group] >= 0]
        within = cross[:, chosen][:, :, chosen]
        lags.append(np.append(_mean(matrix[np.ix_(group, group)]), _mean(within, axis=(1, 2))))
    shares = np.diff(side.isi_distributions(), axis=0, prepend=0.0)
    widths = np.diff(layout.interval_edges, prepend=-1)
    rates_hz = side.rates_hz()
    # A Poisson unit has twice its rate at all frequencies of a one-sided spectrum, but the first and the last.
    poisson = 2.0 * np.where(rates_hz > 0, rates_hz, np.nan)
    segment_s = layout.segment_bins * layout.bin_size_s
    middle = np.arange(2, (layout.segment_bins + 1) // 2)
    return Profile(
        num_trials=side.num_trials(),
        num_bins=side.num_bins(),
        rates_hz=rates_hz,
        fano_factors=side.fano_factors(),
        isi_mean_s=side.isi_mean_s(),
        isi_sd_s=side.isi_sd_s(),
        cv2=side.cv2(),
        lv=side.lv(),
        population_couplings=side.population_couplings(),
        drifts_hz=side.drifts_hz()[0],
        psth_hz=_mean(side.psth_hz(), axis=1),
        psth_bin_ms=1000.0 * layout.psth_factor * layout.bin_size_s,
        frequencies_hz=middle / segment_s,
        relative_power=_mean(side.power_spectra()[middle] / poisson, axis=1),
        correlations=correlations,
        signal_correlations=side.signal_correlations(),
        noise_correlations=side.noise_correlations(),
        spike_time_tilings=side.spike_time_tilings(),
        triplet_correlations=side.triplet_correlations(),
        population_shares=side.population_shares(),
        complexity_shares=side.complexity_shares(),
        isi_lengths_bins=layout.interval_edges,
        isi_shares=_mean(shares, axis=1) / widths,
        autocorrelograms=np.stack([_mean(auto[:, group], axis=1) for group in groups]),
        cross_correlograms=np.stack(lags),
    )


def _square(upper: np.ndarray, units: np.ndarray, num_units: int) -> np.ndarray:
    """Matrix (all units, all units) that holds ``upper`` at the pairs of ``units``, NaN elsewhere."""
    matrix = np.full((num_units, num_units), np.nan)
    first, second = np.triu_indices(len(units), 1)
    matrix[units[first], units[second]] = upper
    return matrix


def _mean(values: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Mean of what is defined, NaN where nothing is."""
    defined = np.isfinite(values)
    number = defined.sum(axis=axis)
    total = np.where(defined, values, 0.0).sum(axis=axis, dtype=np.float64)
    return np.divide(total, number, out=np.full(np.shape(number), np.nan), where=number > 0)
