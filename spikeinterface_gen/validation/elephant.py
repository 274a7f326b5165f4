"""The same statistics through Elephant, on Neo spike trains: slow, for the sceptical and for our tests.

The functions bear the names of the methods of
:class:`~spikeinterface_gen.validation.statistics.TrialStatistics` and return the same arrays, over all
trials. Spike trains have their spikes at the interior points of their bins, as the interval statistics do.

Each takes a :class:`~spikeinterface_gen.SpikeCounts`, or a ``neo.Block`` that says in its annotations which bins it was
made from, as all that this package returns do. Elephant has no counterpart of the distribution of intervals, of slow
drift, of signal and noise correlations, of triplet correlations or of the participation ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.validation.coincidences import lagged_bins
from spikeinterface_gen.validation.interspike import interior_times

if TYPE_CHECKING:
    import neo
    from elephant.conversion import BinnedSpikeTrain

__all__ = [
    "autocorrelograms",
    "complexity_histogram",
    "correlations",
    "correlations_of",
    "cross_correlogram_counts",
    "cross_correlograms",
    "cv2",
    "fano_factors",
    "isi_mean_s",
    "isi_sd_s",
    "lv",
    "population_couplings",
    "power_spectra",
    "psth_hz",
    "rates_hz",
    "spike_time_tilings",
    "spike_trains",
]


Options = ParamSpec("Options")
Result = TypeVar("Result")


def _of_blocks_too(
    statistic: Callable[Concatenate[SpikeCounts, Options], Result],
) -> Callable[Concatenate[SpikeCounts | neo.Block, Options], Result]:
    """Let a function of counts take a Neo block that says which bins it was made from."""

    @wraps(statistic)
    def of_either(counts: SpikeCounts | neo.Block, /, *args: Options.args, **options: Options.kwargs) -> Result:
        return statistic(_counts(counts), *args, **options)

    return of_either


def _counts(source: SpikeCounts | neo.Block) -> SpikeCounts:
    if isinstance(source, SpikeCounts):
        return source
    bin_size_ms = getattr(source, "annotations", {}).get("bin_size_ms")
    if bin_size_ms is None:
        raise TypeError(
            "expected a SpikeCounts, or a neo.Block with the annotation bin_size_ms; got "
            f"{type(source).__name__}. Take SpikeCounts.from_neo(block, bin_size_ms=…)."
        )
    return SpikeCounts.from_neo(source, bin_size_ms=float(bin_size_ms))


@_of_blocks_too
def spike_trains(counts: SpikeCounts) -> list[list[neo.SpikeTrain]]:
    """Return one Neo spike train a trial and unit, ``[trial][unit]``, from 0 to the end of the trial."""
    import neo

    train, times = interior_times(counts.counts)
    borders = np.searchsorted(train, np.arange(1, counts.num_trials * counts.num_units))
    pieces = np.split(times * counts.bin_size_ms / 1000.0, borders)
    return [
        [
            neo.SpikeTrain(pieces[trial * counts.num_units + unit], t_stop=float(duration), units="s")
            for unit in range(counts.num_units)
        ]
        for trial, duration in enumerate(counts.durations_s)
    ]


@_of_blocks_too
def rates_hz(counts: SpikeCounts) -> np.ndarray:
    """Firing rate of each unit in Hz by ``elephant.statistics.mean_firing_rate``, shape (units,)."""
    from elephant.statistics import mean_firing_rate

    by_trial = np.array(
        [[mean_firing_rate(train).rescale("Hz").item() for train in trial] for trial in spike_trains(counts)]
    )
    return np.average(by_trial, axis=0, weights=counts.durations_s)


@_of_blocks_too
def fano_factors(counts: SpikeCounts) -> np.ndarray:
    """Fano factor of each unit by ``elephant.statistics.fanofactor``, shape (units,); NaN for silent units.

    Of spikes up to the end of the shortest trial.
    """
    from elephant.statistics import fanofactor

    shortest = int(counts.num_bins.min())
    window = spike_trains(SpikeCounts(counts.counts[:, :shortest], counts.bin_size_ms))
    by_unit = list(zip(*window, strict=True))
    return np.array([fanofactor(list(trains)) if any(map(len, trains)) else np.nan for trains in by_unit])


@_of_blocks_too
def isi_mean_s(counts: SpikeCounts) -> np.ndarray:
    """Mean of the intervals of each unit by ``elephant.statistics.isi``, in s, shape (units,)."""
    return np.array([pooled.mean() if len(pooled) else np.nan for pooled in _pooled_intervals(counts)])


@_of_blocks_too
def isi_sd_s(counts: SpikeCounts) -> np.ndarray:
    """Standard deviation of the intervals of each unit by ``elephant.statistics.isi``, in s, shape (units,)."""
    return np.array([pooled.std() if len(pooled) else np.nan for pooled in _pooled_intervals(counts)])


@_of_blocks_too
def cv2(counts: SpikeCounts) -> np.ndarray:
    """CV2 of each unit by ``elephant.statistics.cv2``, trials weighted by their pairs of intervals, shape (units,)."""
    from elephant.statistics import cv2 as cv2_of_intervals

    return _over_pairs_of_intervals(counts, cv2_of_intervals)


@_of_blocks_too
def lv(counts: SpikeCounts) -> np.ndarray:
    """Lv of each unit by ``elephant.statistics.lv``, trials weighted by their pairs of intervals, shape (units,)."""
    from elephant.statistics import lv as lv_of_intervals

    return _over_pairs_of_intervals(counts, lv_of_intervals)


@_of_blocks_too
def psth_hz(counts: SpikeCounts, factor: int) -> np.ndarray:
    """Rate of each unit over a trial in ``factor`` bins, by ``elephant.statistics.time_histogram``, in Hz.

    Shape (wide bins, units). Spikes in what is left over at the end of a trial do not count.
    """
    import quantities as pq
    from elephant.statistics import time_histogram

    num_wide = counts.max_bins // factor
    kept = counts.num_bins // factor * factor
    inside = np.arange(counts.max_bins) < kept[:, None]
    padded = SpikeCounts((counts.counts * inside[:, :, None])[:, : num_wide * factor], counts.bin_size_ms)
    by_unit = zip(*spike_trains(padded), strict=True)
    width = factor * counts.bin_size_ms * pq.ms
    total = np.stack([time_histogram(list(trains), width).magnitude.ravel() for trains in by_unit], axis=1)
    trials = (np.arange(num_wide) < (kept // factor)[:, None]).sum(axis=0)
    return total / (trials[:, None] * factor * counts.bin_size_ms / 1000.0)


@_of_blocks_too
def complexity_histogram(counts: SpikeCounts) -> np.ndarray:
    """Bins by the number of units that fire in them, by ``elephant.statistics.Complexity``, shape (units + 1,)."""
    from elephant.statistics import Complexity

    result = np.zeros(counts.num_units + 1, np.int64)
    for trial in spike_trains(counts):
        histogram = Complexity(list(trial), bin_size=_bin_size(counts)).complexity_histogram
        result[: len(histogram)] += histogram.astype(np.int64)
    return result


@_of_blocks_too
def spike_time_tilings(counts: SpikeCounts, reach_bins: int) -> np.ndarray:
    """Tiling coefficient of each pair by ``elephant…spike_time_tiling_coefficient``, of one trial, (pairs,).

    Spikes are at the centres of their bins, and dt reaches to the border of the last bin that they cover.

    Raises
    ------
    ValueError
        If there is more than one trial: the coefficient is of a pair of trains.
    """
    import neo
    import quantities as pq
    from elephant.spike_train_correlation import spike_time_tiling_coefficient

    if counts.num_trials != 1:
        raise ValueError(f"the spike time tiling coefficient is of one trial; got {counts.num_trials}.")
    num_bins = int(counts.num_bins[0])
    centres = np.arange(num_bins) + 0.5
    trains = [
        neo.SpikeTrain(np.repeat(centres, unit) * counts.bin_size_ms, t_stop=num_bins * counts.bin_size_ms, units="ms")
        for unit in counts.counts[0, :num_bins].T
    ]
    dt = (reach_bins + 0.5) * counts.bin_size_ms * pq.ms
    pairs = zip(*np.triu_indices(counts.num_units, 1), strict=True)
    return np.array([spike_time_tiling_coefficient(trains[i], trains[j], dt=dt) for i, j in pairs])


@_of_blocks_too
def power_spectra(counts: SpikeCounts, segment_bins: int) -> np.ndarray:
    """Power spectral density of each unit's rate by ``elephant.spectral.welch_psd``, (frequencies, units)."""
    import neo
    import quantities as pq
    from elephant.spectral import welch_psd

    total, number = np.zeros((segment_bins // 2 + 1, counts.num_units)), 0
    rate_hz = 1000.0 / counts.bin_size_ms
    for trial, length in zip(counts.counts, counts.num_bins, strict=True):
        segments = int(length) // segment_bins
        rates = trial[: segments * segment_bins] * rate_hz
        signal = neo.AnalogSignal(rates, units="dimensionless", sampling_rate=rate_hz * pq.Hz)
        _, density = welch_psd(signal, len_segment=segment_bins, overlap=0)
        total += segments * np.asarray(density).T
        number += segments
    return total / number


@_of_blocks_too
def correlations(counts: SpikeCounts) -> np.ndarray:
    """Pearson correlation of each pair by ``elephant.spike_train_correlation.correlation_coefficient``, (pairs,)."""
    return correlations_of(counts, 1)


@_of_blocks_too
def correlations_of(counts: SpikeCounts, factor: int) -> np.ndarray:
    """Pearson correlation of the counts in ``factor`` bins by ``elephant…correlation_coefficient``, (pairs,)."""
    return _correlation_matrix(_wide(counts, factor), counts)[np.triu_indices(counts.num_units, 1)]


@_of_blocks_too
def population_couplings(counts: SpikeCounts, factor: int) -> np.ndarray:
    """Correlation of each unit with the sum of all others by ``elephant…correlation_coefficient``, (units,)."""
    wide = _wide(counts, factor)
    rests = wide.sum(axis=0) - wide
    pairs = zip(wide, rests, strict=True)
    return np.array([_correlation_matrix(np.stack(pair), counts)[0, 1] for pair in pairs])


@_of_blocks_too
def autocorrelograms(counts: SpikeCounts, num_lags: int) -> np.ndarray:
    """Autocorrelation coefficients, coincidences by ``elephant…cross_correlation_histogram``, (num_lags, units)."""
    mean, variance = _moments(counts)
    binned = _end_to_end(counts, num_lags)
    bins = lagged_bins(counts.num_bins, range(1, num_lags + 1))
    result = np.empty((num_lags, counts.num_units))
    for unit in range(counts.num_units):
        products = _coincidences(binned[unit], binned[unit], num_lags)
        result[:, unit] = (products / bins - mean[unit] ** 2) / variance[unit]
    return result


@_of_blocks_too
def cross_correlogram_counts(counts: SpikeCounts, num_lags: int) -> np.ndarray:
    """Coincidences of all ordered pairs at lags 1 … ``num_lags`` by ``elephant…cross_correlation_histogram``.

    Shape (num_lags, units, units); ``[l − 1, i, j]`` is of spikes of unit j that come ``l`` bins after those of i.
    """
    binned = _end_to_end(counts, num_lags)
    result = np.empty((num_lags, counts.num_units, counts.num_units))
    for i in range(counts.num_units):
        for j in range(counts.num_units):
            result[:, i, j] = _coincidences(binned[i], binned[j], num_lags)
    return result


@_of_blocks_too
def cross_correlograms(counts: SpikeCounts, num_lags: int) -> np.ndarray:
    """Cross-correlation coefficients, from :func:`cross_correlogram_counts`.

    Shape (num_lags, units, units), NaN on the diagonal.
    """
    mean, variance = _moments(counts)
    bins = lagged_bins(counts.num_bins, range(1, num_lags + 1))
    products = cross_correlogram_counts(counts, num_lags) / bins[:, None, None]
    result = (products - np.outer(mean, mean)) / np.sqrt(np.outer(variance, variance))
    result[:, np.eye(counts.num_units, dtype=bool)] = np.nan
    return result


def _over_pairs_of_intervals(counts: SpikeCounts, statistic: Callable[[np.ndarray], float]) -> np.ndarray:
    """Mean over pairs of successive intervals, all trials together, NaN without a pair."""
    from elephant.statistics import isi

    total, number = np.zeros(counts.num_units), np.zeros(counts.num_units)
    for trial in spike_trains(counts):
        for unit, train in enumerate(trial):
            pairs = len(train) - 2
            if pairs > 0:
                total[unit] += pairs * statistic(isi(train))
                number[unit] += pairs
    return np.divide(total, number, out=np.full(counts.num_units, np.nan), where=number > 0)


def _wide(counts: SpikeCounts, factor: int) -> np.ndarray:
    """Counts in ``factor`` bins, trials end to end, what is left over of each dropped, (units, wide bins)."""
    pieces = [
        trial[: length // factor * factor].reshape(-1, factor, counts.num_units).sum(axis=1)
        for trial, length in zip(counts.counts.astype(np.int64), counts.num_bins, strict=True)
    ]
    return np.concatenate(pieces).T


def _correlation_matrix(rows: np.ndarray, counts: SpikeCounts) -> np.ndarray:
    from elephant.conversion import BinnedSpikeTrain
    from elephant.spike_train_correlation import correlation_coefficient

    return correlation_coefficient(BinnedSpikeTrain(rows, bin_size=_bin_size(counts), t_start=_zero()))


def _pooled_intervals(counts: SpikeCounts) -> list[np.ndarray]:
    """Intervals of each unit in s, all trials together."""
    from elephant.statistics import isi

    by_unit = zip(*spike_trains(counts), strict=True)
    return [np.concatenate([isi(train).rescale("s").magnitude for train in trains]) for trains in by_unit]


def _coincidences(first: BinnedSpikeTrain, second: BinnedSpikeTrain, num_lags: int) -> np.ndarray:
    """Spikes of ``second`` 1 … ``num_lags`` bins after those of ``first``, shape (num_lags,)."""
    from elephant.spike_train_correlation import cross_correlation_histogram

    histogram, lags = cross_correlation_histogram(first, second, window=[-num_lags, num_lags])
    return histogram.magnitude.ravel()[lags > 0]


def _end_to_end(counts: SpikeCounts, gap_bins: int) -> list[BinnedSpikeTrain]:
    """Each unit's trials one after the other, with empty bins between, so that no lag reaches the next trial."""
    from elephant.conversion import BinnedSpikeTrain

    padded = np.pad(counts.counts, ((0, 0), (0, gap_bins), (0, 0))).reshape(-1, counts.num_units).astype(np.int64)
    return [BinnedSpikeTrain(row[None, :], bin_size=_bin_size(counts), t_start=_zero()) for row in padded.T]


def _moments(counts: SpikeCounts) -> tuple[np.ndarray, np.ndarray]:
    valid = counts.counts[counts.mask].astype(np.float64)
    return valid.mean(axis=0), valid.var(axis=0)


def _bin_size(counts: SpikeCounts) -> object:
    import quantities as pq

    return counts.bin_size_ms * pq.ms


def _zero() -> object:
    import quantities as pq

    return 0.0 * pq.ms
