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
    rates_hz, fano_factors, isi_mean_s, isi_sd_s, cv2 : array, shape (units,)
    correlations : array, shape (pairs,)
    population_shares : array, shape (largest count + 1,)
        Share of bins in which the population fires 0, 1, 2, … spikes.
    isi_shares : array, shape (longest trial + 1,)
        Share of intervals of 0, 1, 2, … bins, mean over units.
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
    correlations: np.ndarray
    population_shares: np.ndarray
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


def profile(side: TrialStatistics, trials: np.ndarray, groups: list[np.ndarray]) -> Profile:
    """Return the statistics of these trials; ``groups`` holds positions of units."""
    num_units = side.counts.num_units
    correlations = side.correlations(trials)
    matrix = np.full((num_units, num_units), np.nan)
    matrix[np.triu_indices(num_units, 1)] = correlations
    auto = side.autocorrelograms(trials)
    shares = np.diff(side.isi_distributions(trials), axis=0, prepend=0.0)
    histogram = side.population_histogram(trials)
    return Profile(
        num_trials=len(trials),
        num_bins=side.num_bins(trials),
        rates_hz=side.rates_hz(trials),
        fano_factors=side.fano_factors(trials),
        isi_mean_s=side.isi_mean_s(trials),
        isi_sd_s=side.isi_sd_s(trials),
        cv2=side.cv2(trials),
        correlations=correlations,
        population_shares=histogram / histogram.sum(),
        isi_shares=_mean(shares, axis=1),
        autocorrelograms=np.stack([_mean(auto[:, group], axis=1) for group in groups]),
        cross_correlograms=np.stack(
            [
                np.append(
                    _mean(matrix[np.ix_(group, group)]),
                    _mean(side.cross_correlograms(trials, group), axis=(1, 2)),
                )
                for group in groups
            ]
        ),
    )


def _mean(values: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Mean of what is defined, NaN where nothing is."""
    defined = np.isfinite(values)
    number = defined.sum(axis=axis)
    total = np.where(defined, values, 0.0).sum(axis=axis, dtype=np.float64)
    return np.divide(total, number, out=np.full(np.shape(number), np.nan), where=number > 0)
