"""NWB files to SpikeCounts: the units table gives spikes, the trials table trials."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spikeinterface_gen.convert.intervals import interval_properties
from spikeinterface_gen.convert.metadata import PLACEMENT_KEYS, plain_entries
from spikeinterface_gen.convert.nwb_names import original_names
from spikeinterface_gen.convert.stretches import Stretch, cut_into_trials
from spikeinterface_gen.convert.time_units import warn_of_time_unit
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.frames import seconds_to_frames

if TYPE_CHECKING:
    import neo

__all__ = [
    "COVARIATES_MODULE",
    "NOT_COVARIATES",
    "NOT_PROPERTIES",
    "from_nwb",
    "read_spike_trains",
    "read_time_series",
]

COVARIATES_MODULE = "covariates"
"""Processing module with covariates that vary within trials, one sample a bin."""

_DEFAULT_SAMPLING_FREQUENCY = 30000.0
NOT_PROPERTIES = ("id", "unit_name", "spike_times", "obs_intervals", "electrodes", "electrode_group", "synthetic")
NOT_COVARIATES = ("id", "start_time", "stop_time", "timeseries", "tags")
_AREA_COLUMNS = ("area", "brain_area", "brain_region", "location")
# Ids in the file, where they do not tell units apart.
_ID_PROPERTY = "nwb_id"
# A trial may stick out of what was observed by rounding.
_TOLERANCE_S = 1e-3


def from_nwb(
    path: str | Path,
    bin_size_ms: float,
    *,
    window_s: float | None = None,
    align_to: str | None = None,
    around_s: tuple[float, float] | None = None,
    sampling_frequency: float | None = None,
    covariates: Mapping[str, npt.ArrayLike] | None = None,
    unit_properties: Mapping[str, npt.ArrayLike] | None = None,
) -> SpikeCounts:
    """Count the spikes of an NWB file; see :meth:`SpikeCounts.from_nwb`."""
    if (align_to is None) != (around_s is None):
        raise ValueError("align_to and around_s go together: an event of each trial, and a window around it in s.")
    if window_s is not None and align_to is not None:
        raise ValueError("window_s and align_to exclude each other: windows of one length, or windows around events.")
    with _opened(path) as file:
        units = _units(file, path)
        trains_s = [np.sort(np.asarray(units["spike_times"][k], float)) for k in range(len(units))]
        unit_ids = _unit_ids(units, path)
        notes = _notes(file)
        properties = original_names(_properties(units), notes, "property")
        observed_s = _observed_by_all(units, trains_s)
        if sampling_frequency is None:
            resolution = units.resolution
            sampling_frequency = 1.0 / resolution if resolution else _DEFAULT_SAMPLING_FREQUENCY
        if window_s is None:
            windows_s, known = _trials(file, path, align_to, around_s)
            known = original_names(known, notes, "covariate")
        else:
            windows_s, known = observed_s, {}
        signals = _signals(file) if window_s is None and align_to is None else {}
        signals = original_names(signals, notes, "signal")
        annotations = {
            "session_description": str(file.session_description),
            "identifier": str(file.identifier),
            **plain_entries(notes.get("annotations", {}), leave_out=PLACEMENT_KEYS),
        }

    placed = bool(notes.get("annotations", {}).get("spike_times_placed"))
    if not placed:
        _warn_of_time_unit(trains_s, sampling_frequency, path)
    if window_s is None:
        kept = _within(windows_s, observed_s, path)
        windows_s, known = windows_s[kept], {name: values[kept] for name, values in known.items()}
    stretches = [
        _stretch(trains_s, start_s, stop_s, sampling_frequency, f"trial {k}")
        for k, (start_s, stop_s) in enumerate(windows_s)
    ]
    cut = cut_into_trials(stretches, bin_size_ms, sampling_frequency, num_units=len(unit_ids), window_s=window_s)
    if not placed:
        # Times that were drawn to fit counts say nothing about the intervals of the source.
        properties = {**_intervals(trains_s, observed_s, sampling_frequency), **properties}
    num_bins = np.array([len(counts) for counts in cut.counts])
    known |= {name: _by_trial(values, num_bins) for name, values in signals.items() if len(values) == num_bins.sum()}
    return SpikeCounts(
        cut.counts,
        bin_size_ms,
        unit_ids=unit_ids,
        covariates={**known, **(covariates or {})},
        unit_properties={**properties, **(unit_properties or {})},
        t_starts_s=windows_s[cut.stretch, 0] + cut.offset_s,
        trial_locked=window_s is None,
        annotations=annotations,
    )


def read_spike_trains(path: str | Path) -> neo.Segment:
    """Return the spike trains of all units as they lie in the file, and its notes as annotations."""
    import neo
    import quantities as pq

    with _opened(path) as file:
        units = _units(file, path)
        trains_s = [np.sort(np.asarray(units["spike_times"][k], float)) for k in range(len(units))]
        unit_ids = _unit_ids(units, path)
        rate = pq.Quantity(1.0 / units.resolution, pq.Hz) if units.resolution else None
        annotations = plain_entries(_notes(file).get("annotations", {}))
        if file.trials is not None:
            columns = (np.asarray(file.trials[name][:], float) for name in ("start_time", "stop_time"))
            annotations["trials"] = np.column_stack(list(columns)).tolist()
    stop_s = max((float(times[-1]) for times in trains_s if len(times)), default=0.0)
    start_s = min(0.0, min((float(times[0]) for times in trains_s if len(times)), default=0.0))
    segment = neo.Segment(**annotations)
    for unit_id, times in zip(unit_ids.tolist(), trains_s, strict=True):
        train = neo.SpikeTrain(times, units="s", t_start=start_s, t_stop=stop_s, sampling_rate=rate, unit_id=unit_id)
        segment.spiketrains.append(train)
    return segment


def read_time_series(path: str | Path, name: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Return times in s, values in the unit of the file, and that unit, of a series in a processing module.

    Raises
    ------
    ValueError
        If there is no such series.
    """
    with _opened(path) as file:
        found = [module.data_interfaces for module in file.processing.values()]
        series = next((interfaces[name] for interfaces in found if name in interfaces), None)
        if series is None or not hasattr(series, "data"):
            there = sorted({key for interfaces in found for key in interfaces})
            raise ValueError(f"{str(path)!r} has no series {name!r} in its processing; there are {there or 'none'}.")
        values = np.asarray(series.data[:], float) * (series.conversion or 1.0)
        if series.timestamps is not None:
            times_s = np.asarray(series.timestamps[:], float)
        else:
            times_s = float(series.starting_time or 0.0) + np.arange(len(values)) / float(series.rate)
        return times_s, values, str(series.unit)


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    try:
        from pynwb import NWBHDF5IO
    except ImportError as error:
        raise ImportError("NWB files need the package pynwb: pip install 'spikeinterface-gen[nwb]'.") from error
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}.")
    try:
        io = NWBHDF5IO(str(path), "r", load_namespaces=True)
    except Exception as error:  # whatever HDF5 and the schema reader make of another file
        raise ValueError(f"{str(path)!r} is no NWB file that can be read: {error}") from None
    with io:
        yield io.read()


def _units(file: Any, path: str | Path) -> Any:
    if file.units is None or "spike_times" not in file.units.colnames or not len(file.units):
        raise ValueError(
            f"{str(path)!r} has no units with spike_times; only raw or binned data, perhaps. Sort it first, or choose "
            "the file of the session that holds the units table."
        )
    return file.units


def _unit_ids(units: Any, path: str | Path) -> np.ndarray:
    if "unit_name" in units.colnames:
        names = np.array([str(name) for name in units["unit_name"][:]])
        distinct, occurrences = np.unique(names, return_counts=True)
        if len(distinct) == len(names):
            return names
        warnings.warn(
            f"unit_name of the units table holds {distinct[occurrences > 1][0]!r} more than once, so that units are "
            "called by their ids; counts.unit_properties['unit_name'] has the names.",
            stacklevel=4,
        )
    ids = np.asarray(units.id[:], dtype=np.int64)
    distinct, occurrences = np.unique(ids, return_counts=True)
    if len(distinct) == len(ids):
        return ids
    warnings.warn(
        f"the units table of {str(path)!r} has the id {distinct[occurrences > 1][0]} more than once ({len(ids)} units, "
        f"{len(distinct)} ids), as where probes were numbered one by one; units are called by their rows, from 0, and "
        f"counts.unit_properties[{_ID_PROPERTY!r}] has the ids. Where they are the same units twice, keep "
        "one row of each: counts[:, kept].",
        stacklevel=4,
    )
    return np.arange(len(ids))


def _column(values: Any) -> np.ndarray | None:
    """A column of numbers, booleans or texts; None for references and ragged ones."""
    try:
        column = np.asarray(values)
    except ValueError:
        return None
    if column.dtype.kind == "O" and all(isinstance(value, (str, bytes)) for value in column.flat):
        column = np.array([value.decode() if isinstance(value, bytes) else value for value in column.flat])
    return column if column.dtype.kind in "biufU" and column.size else None


def _columns(table: Any, leave_out: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The plain columns of a table, by name; indexed (ragged) ones are left out."""
    from hdmf.common import VectorIndex

    found = {}
    for name in table.colnames:
        if name in leave_out or name.startswith("waveform") or isinstance(table[name], VectorIndex):
            continue
        column = _column(table[name][:])
        if column is not None and len(column) == len(table):
            found[name] = column
    return found


def _properties(units: Any) -> dict[str, np.ndarray]:
    properties = _columns(units, NOT_PROPERTIES)
    if "unit_name" in units.colnames:
        names = np.array([str(name) for name in units["unit_name"][:]])
        if len(np.unique(names)) < len(names):
            properties["unit_name"] = names
    ids = np.asarray(units.id[:], dtype=np.int64)
    if len(np.unique(ids)) < len(ids):
        properties[_ID_PROPERTY] = ids
    if "area" not in properties:
        area = next((properties[name] for name in _AREA_COLUMNS if name in properties), None)
        if area is None and "electrodes" in units.colnames:
            # Of the first electrode of each unit.
            rows = [units["electrodes"][k] for k in range(len(units))]
            if all(len(row) and "location" in row for row in rows):
                area = np.array([str(row["location"].iloc[0]) for row in rows])
        if area is not None:
            properties["area"] = area
    return properties


def _observed_by_all(units: Any, trains_s: list[np.ndarray]) -> np.ndarray:
    """Times in s between which all units were observed, shape (intervals, 2); to the last spike where unknown."""
    if "obs_intervals" not in units.colnames:
        spikes_s = np.concatenate(trains_s)
        return np.array([[min(0.0, spikes_s.min(initial=0.0)), spikes_s.max(initial=0.0)]])
    of_units = [np.asarray(units["obs_intervals"][k], float).reshape(-1, 2) for k in range(len(trains_s))]
    common = of_units[0]
    # Most files say the same of every unit.
    for other in {intervals.tobytes(): intervals for intervals in of_units[1:]}.values():
        start_s = np.maximum(common[:, None, 0], other[None, :, 0])
        stop_s = np.minimum(common[:, None, 1], other[None, :, 1])
        overlap = stop_s > start_s
        common = np.column_stack([start_s[overlap], stop_s[overlap]])
    return common


def _within(windows_s: np.ndarray, observed_s: np.ndarray, path: str | Path) -> np.ndarray:
    """Which windows all units were observed in; others are left out with a warning."""
    known = np.isfinite(windows_s).all(axis=1) & (windows_s[:, 1] > windows_s[:, 0])
    inside = (windows_s[:, None, 0] >= observed_s[None, :, 0] - _TOLERANCE_S) & (
        windows_s[:, None, 1] <= observed_s[None, :, 1] + _TOLERANCE_S
    )
    kept = known & inside.any(axis=1)
    if not kept.any():
        raise ValueError(
            f"none of the {len(windows_s)} trials of {str(path)!r} lies within the time in which all units were "
            "observed (obs_intervals, else up to the last spike); check the clock of the trials, or shorten around_s."
        )
    if not kept.all():
        warnings.warn(
            f"{np.sum(~known)} trials without times and {np.sum(known & ~kept)} that were not observed in all units "
            f"are left out of {len(windows_s)}.",
            stacklevel=4,
        )
    return kept


def _trials(
    file: Any, path: str | Path, align_to: str | None, around_s: tuple[float, float] | None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Windows of the trials in s, shape (trials, 2), and their columns."""
    table = file.trials
    if table is None or not len(table):
        raise ValueError(f"{str(path)!r} has no trials; give window_s to cut the recording into windows of one length.")
    known = _columns(table, NOT_COVARIATES)
    if align_to is None or around_s is None:
        windows_s = np.column_stack([np.asarray(table[name][:], float) for name in ("start_time", "stop_time")])
        return windows_s, known
    if align_to not in table.colnames:
        raise ValueError(f"align_to={align_to!r} is no column of the trials; there are {', '.join(table.colnames)}.")
    before_s, after_s = around_s
    if not after_s > before_s:
        raise ValueError(f"around_s must be a start and a later stop in s, such as (-0.2, 0.5); got {around_s}.")
    events_s = np.asarray(table[align_to][:], float)
    known.pop(align_to, None)
    return np.column_stack([events_s + before_s, events_s + after_s]), known


def _stretch(
    trains_s: list[np.ndarray], start_s: float, stop_s: float, sampling_frequency: float, name: str
) -> Stretch:
    """The spikes of a window; half a frame before it still rounds to its first frame."""
    edges_s = np.array([start_s, stop_s]) - 0.5 / sampling_frequency
    parts = [times[slice(*np.searchsorted(times, edges_s))] - start_s for times in trains_s]
    return Stretch(
        units=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        frames=seconds_to_frames(np.concatenate(parts), sampling_frequency),
        num_frames=int(seconds_to_frames(stop_s - start_s, sampling_frequency)),
        name=name,
    )


def _intervals(trains_s: list[np.ndarray], observed_s: np.ndarray, sampling_frequency: float) -> dict[str, np.ndarray]:
    """Short intervals and refractory period of each unit, over the whole recording."""
    spikes_s = np.concatenate(trains_s)
    return interval_properties(
        np.zeros(len(spikes_s), dtype=np.int64),
        np.repeat(np.arange(len(trains_s)), [len(times) for times in trains_s]),
        seconds_to_frames(spikes_s, sampling_frequency),
        num_units=len(trains_s),
        duration_s=max(float(np.ptp(observed_s, axis=1).sum()), 1e-9),
        sampling_frequency=sampling_frequency,
    )


def _warn_of_time_unit(trains_s: list[np.ndarray], sampling_frequency: float, path: str | Path) -> None:
    """Warn where rates are impossible over the whole recording: of wrong times, few may fall into trials."""
    spikes_s = np.concatenate(trains_s)
    duration_s = float(np.ptp(spikes_s)) if len(spikes_s) else 0.0  # clocks of files start anywhere
    warn_of_time_unit(
        np.array([len(times) for times in trains_s]),
        duration_s,
        duration_s,
        sampling_frequency=sampling_frequency,
        remedy=f"NWB means s: correct spike_times in the units table of {str(path)!r}, and check that the trials table "
        "is in s too.",
        stacklevel=4,
    )


def _notes(file: Any) -> dict[str, Any]:
    """What :func:`spikeinterface_gen.convert.to_nwb.to_nwb` wrote into the notes."""
    try:
        notes = json.loads(file.notes or "")
    except ValueError:
        return {}
    return notes if isinstance(notes, dict) and isinstance(notes.get("annotations", {}), dict) else {}


def _signals(file: Any) -> dict[str, np.ndarray]:
    """Covariates of all bins of all trials, shape (bins, k), as ``to_nwb`` wrote them."""
    if COVARIATES_MODULE not in file.processing:
        return {}
    series = file.processing[COVARIATES_MODULE].data_interfaces
    return {name: np.asarray(item.data[:], float).reshape(len(item.data), -1) for name, item in series.items()}


def _by_trial(values: np.ndarray, num_bins: np.ndarray) -> np.ndarray:
    """Values of the bins of all trials as (trials, bins, k), zero beyond the end of a trial."""
    padded = np.zeros((len(num_bins), int(num_bins.max()), values.shape[1]))
    padded[np.arange(padded.shape[1]) < num_bins[:, None]] = values
    return padded
