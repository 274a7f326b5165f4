"""Additive sums over the spikes of a set of trials: all that the statistics follow from.

The sums over a set of trials are the sums over its parts, added. :class:`SpikeSums` goes over the spikes once;
:class:`StackedSums` holds the sums of many groups of trials and adds those of any set of groups, so that random
splits, jackknives and permutations of groups never go back to the spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from spikeinterface_gen.counts import SESSION_TIME, SpikeCounts
from spikeinterface_gen.validation.coincidences import coincidences, lagged_bins, tilings
from spikeinterface_gen.validation.events import Events, blocks_of_events
from spikeinterface_gen.validation.interspike import interval_sums, times_of_trains
from spikeinterface_gen.validation.layout import COARSE_BINS, NUM_DRIFTS, Layout

__all__ = ["SpikeSums", "StackedSums", "session_positions"]

_SPECTRUM_ELEMENTS = 1 << 18

Sums = dict[str, np.ndarray]


def session_positions(counts: SpikeCounts) -> np.ndarray:
    """Where in its session each trial lies, by start times where known, else by order: (rank + ½) / trials.

    Of synthetic trials, the time that they were drawn for counts as their start.
    """
    starts = counts.covariates.get(SESSION_TIME) if counts.t_starts_s is None else counts.t_starts_s
    if starts is None or not np.all(np.isfinite(starts)):
        starts = np.arange(counts.num_trials)
    ranks = np.empty(counts.num_trials)
    ranks[np.argsort(starts, kind="stable")] = np.arange(counts.num_trials)
    return (ranks + 0.5) / counts.num_trials


# ---- what is summed --------------------------------------------------------------------------


def _rates(events: Events, layout: Layout) -> Sums:
    trial_counts = events.per_trial()
    window = events.per_trial(events.bin < layout.window_bins)
    phases = np.sqrt(2.0) * np.cos(np.pi * np.arange(1, NUM_DRIFTS + 1) * events.positions[:, None])
    return {
        "num_trials": np.array(float(events.num_trials)),
        "num_bins": np.array(float(events.num_bins.sum())),
        "unit_total": trial_counts.sum(axis=0),
        "unit_squares": np.bincount(events.unit, weights=events.spikes**2.0, minlength=layout.num_units),
        "window_total": window.sum(axis=0),
        "window_squares": np.square(window).sum(axis=0),
        "drift_total": phases.T @ trial_counts,
        "drift_bins": phases.T @ events.num_bins,
        "drift_power": np.square(phases).T @ events.num_bins,
    }


def _population(events: Events, layout: Layout) -> Sums:
    rows = events.trial * events.max_bins + events.bin
    valid = (np.arange(events.max_bins) < events.num_bins[:, None]).reshape(-1)
    size = len(valid)
    spikes = np.bincount(rows, weights=events.spikes, minlength=size)[valid].astype(np.int64)
    active = np.bincount(rows, minlength=size)[valid]
    return {
        "population_histogram": np.bincount(spikes).astype(np.float64),
        "active_histogram": np.bincount(active, minlength=layout.num_units + 1).astype(np.float64),
    }


def _intervals(events: Events, layout: Layout) -> Sums:
    train, times = times_of_trains(events.trial * events.num_units + events.unit, events.bin, events.spikes)
    return interval_sums(train, times, events.num_units, layout.interval_edges)


def _correlations(events: Events, layout: Layout) -> Sums:
    units = layout.correlation_units
    products = coincidences(events, [0], units)[0]
    return {"products": products[layout.correlation_pairs]}


def _correlograms(events: Events, layout: Layout) -> Sums:
    lags = range(1, layout.num_lags + 1)
    return {
        "lagged_products": coincidences(events, lags, layout.pair_units),
        "lagged_bins": lagged_bins(events.num_bins, lags).astype(np.float64),
    }


def _autocorrelograms(events: Events, layout: Layout) -> Sums:
    # Both events of a product are of one unit and one trial: found by the key of where the second one must be.
    width = events.max_bins + layout.num_lags
    keys = (events.trial * width + events.bin) * events.num_units + events.unit
    result = np.zeros((layout.num_lags, layout.num_units))
    for k in range(layout.num_lags):
        wanted = keys + (k + 1) * events.num_units
        place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        found = np.flatnonzero(keys[place] == wanted) if len(keys) else np.empty(0, np.int64)
        weights = (events.spikes[found] * events.spikes[place[found]]).astype(np.float64)
        result[k] = np.bincount(events.unit[found], weights=weights, minlength=layout.num_units)
    return {"own_products": result}


def _tiles(events: Events, layout: Layout) -> Sums:
    return {**tilings(events, layout.tile_bins, layout.pair_units), "tile_bins": np.array(float(events.num_bins.sum()))}


def _psth(events: Events, layout: Layout) -> Sums:
    counts, num_wide = events.coarse(layout.psth_factor)
    by_trial = counts.reshape(events.num_trials, -1, layout.num_units)
    pairs = counts[:, layout.pair_units]
    return {
        "psth_total": by_trial.sum(axis=0, dtype=np.float64),
        "psth_trials": (np.arange(layout.num_psth_bins) < num_wide[:, None]).sum(axis=0).astype(np.float64),
        "psth_products": (pairs.T @ pairs).astype(np.float64),
    }


def _coarse(events: Events, layout: Layout, factor: int) -> Sums:
    if events.max_bins < factor:
        counts, num_wide = np.zeros((0, layout.num_units), np.float32), np.zeros(1)
    else:
        counts, num_wide = events.coarse(factor)
    pairs = counts[:, layout.pair_units]
    population = counts.sum(axis=1)
    sums = {
        f"rows_{factor}": np.array(float(num_wide.sum())),
        f"total_{factor}": counts.sum(axis=0, dtype=np.float64),
        f"squares_{factor}": np.einsum("ru,ru->u", counts, counts, dtype=np.float64),
        f"with_population_{factor}": np.einsum("ru,r->u", counts, population, dtype=np.float64),
        f"population_{factor}": np.array(
            [population.sum(dtype=np.float64), np.square(population).sum(dtype=np.float64)]
        ),
        f"products_{factor}": (pairs.T @ pairs).astype(np.float64),
    }
    if factor == COARSE_BINS[0]:
        by_unit = np.ascontiguousarray(pairs.T)
        triples = [by_unit[a] * by_unit[b] @ by_unit[c] for a, b, c in layout.triplets]
        sums["triples"] = np.array(triples, np.float64)
    return sums


def _spectra(events: Events, layout: Layout) -> Sums:
    from scipy.fft import rfft

    length = layout.segment_bins
    most = max(events.max_bins // length, 1)
    segments = np.minimum(events.num_bins // length, most)
    segment, place = np.divmod(events.bin, length)
    keep = segment < segments[events.trial]
    row = events.trial[keep] * most + segment[keep]
    unit, place, spikes = events.unit[keep], place[keep], events.spikes[keep]
    power = np.zeros((layout.num_units, length // 2 + 1))
    # So few segments at a time that they stay in the cache.
    step = max(1, _SPECTRUM_ELEMENTS // (layout.num_units * length))
    borders = np.searchsorted(row, np.arange(0, events.num_trials * most + step, step))
    for k, (start, stop) in enumerate(pairwise(borders)):
        counts = np.zeros((step, layout.num_units, length))
        counts[row[start:stop] - k * step, unit[start:stop], place[start:stop]] = spikes[start:stop]
        counts -= counts.mean(axis=2, keepdims=True)
        counts *= layout.segment_window
        spectra = rfft(counts, axis=2)
        squares = np.square(spectra.real)
        squares += np.square(spectra.imag)
        power += squares.sum(axis=0)
    return {"spectrum_power": power.T, "spectrum_segments": np.array(float(segments.sum()))}


_FAMILIES: tuple[tuple[Callable[[Events, Layout], Sums], tuple[str, ...]], ...] = (
    (
        _rates,
        (
            *("num_trials", "num_bins", "unit_total", "unit_squares", "window_total", "window_squares"),
            *("drift_total", "drift_bins", "drift_power"),
        ),
    ),
    (_population, ("population_histogram", "active_histogram")),
    (
        _intervals,
        (
            *("interval_number", "interval_total", "interval_squares", "interval_histogram"),
            *("pair_number", "cv2_total", "lv_total"),
        ),
    ),
    (_correlations, ("products",)),
    (_correlograms, ("lagged_products", "lagged_bins")),
    (_autocorrelograms, ("own_products",)),
    (_tiles, ("tile_near", "tile_spikes", "tile_covered", "tile_bins")),
    (_psth, ("psth_total", "psth_trials", "psth_products")),
    (_spectra, ("spectrum_power", "spectrum_segments")),
)
_BY_NAME: dict[str, Callable[[Events, Layout], Sums]] = {name: family for family, names in _FAMILIES for name in names}


def _coarse_family(factor: int) -> Callable[[Events, Layout], Sums]:
    return lambda events, layout: _coarse(events, layout, factor)


for _factor in COARSE_BINS:
    _family = _coarse_family(_factor)
    for _name in ("rows", "total", "squares", "with_population", "population", "products"):
        _BY_NAME[f"{_name}_{_factor}"] = _family
_BY_NAME["triples"] = _BY_NAME[f"rows_{COARSE_BINS[0]}"]


# ---- sums of one set, and of any union of sets -----------------------------------------------


class SpikeSums:
    """Sums over some trials of a population, made when first asked for.

    Parameters
    ----------
    counts : SpikeCounts
    layout : Layout
    trials : array of int, optional
        Positions of the trials. Default: all.
    """

    def __init__(self, counts: SpikeCounts, layout: Layout, trials: np.ndarray | None = None) -> None:
        self.layout = layout
        self._counts = counts
        self._trials = np.arange(counts.num_trials) if trials is None else np.asarray(trials)
        self._sums: Sums = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._sums:
            family = _BY_NAME[name]
            for events in self._events:
                for key, value in family(events, self.layout).items():
                    self._sums[key] = _added(self._sums[key], value) if key in self._sums else value
        return self._sums[name]

    def take(self, name: str) -> np.ndarray:
        """Return sums and keep them no longer."""
        self[name]
        return self._sums.pop(name)

    @cached_property
    def _events(self) -> list[Events]:
        positions = session_positions(self._counts)
        return list(blocks_of_events(self._counts, self._trials, positions, self.layout.max_bins))


class StackedSums:
    """Sums over each of several groups of trials, and over any set of these groups.

    Parameters
    ----------
    groups : sequence of SpikeSums
        Of one layout.
    exact : bool
        Keep all sums in double precision. Otherwise those as large as the square of many units are in single precision:
        distances between samples, many times summed, lose nothing that sampling left them.
    """

    _LARGE = 1 << 16

    def __init__(self, groups: Sequence[SpikeSums], *, exact: bool = False) -> None:
        self._large = np.inf if exact else self._LARGE
        self.layout = groups[0].layout
        self._groups = groups
        self._stacks: Sums = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def stack(self, name: str) -> np.ndarray:
        """Sums of all groups, shape (groups, elements of a sum)."""
        if name not in self._stacks:
            values = [group.take(name) for group in self._groups]
            longest = max(len(value) if value.ndim else 0 for value in values)
            values = [_padded(value, longest) for value in values]
            dtype = np.float32 if values[0].size > self._large else np.float64
            self._stacks[name] = np.stack(values).astype(dtype, copy=False).reshape(len(values), -1)
            self._shapes[name] = values[0].shape
        return self._stacks[name]

    def of(self, weights: np.ndarray) -> list[SumsOfGroups]:
        """Sums over sets of groups.

        Parameters
        ----------
        weights : array, shape (sets, groups)
            How often each group is in each set.
        """
        batch = _Batch(self, np.asarray(weights, np.float64))
        return [SumsOfGroups(batch, k) for k in range(len(weights))]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one group's sums."""
        self.stack(name)
        return self._shapes[name]


class _Batch:
    """Sums over several sets of groups at once: one matrix product in place of many passes over memory."""

    def __init__(self, source: StackedSums, weights: np.ndarray) -> None:
        self.source = source
        used = np.flatnonzero(weights.any(axis=0))
        # Of a stack of groups only the stretch that is used goes through the product.
        self._used = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
        self._weights = weights[:, self._used]
        self._sums: Sums = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._sums:
            stack = self.source.stack(name)[self._used]
            sums = self._weights.astype(stack.dtype) @ stack
            self._sums[name] = sums.reshape(len(sums), *self.source.shape(name))
        return self._sums[name]


class SumsOfGroups:
    """Sums over one set of groups; the same as a :class:`SpikeSums` over all their trials."""

    def __init__(self, batch: _Batch, index: int) -> None:
        self.layout = batch.source.layout
        self._batch = batch
        self._index = index

    def __getitem__(self, name: str) -> np.ndarray:
        return self._batch[name][self._index]


def _added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    longest = max(len(a) if a.ndim else 0, len(b) if b.ndim else 0)
    return _padded(a, longest) + _padded(b, longest)


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    """Histograms are as long as their largest value; zeros make them comparable."""
    if values.ndim == 0 or len(values) == length:
        return values
    return np.pad(values, [(0, length - len(values))] + [(0, 0)] * (values.ndim - 1))
