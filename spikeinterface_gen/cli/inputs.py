"""Whatever holds spikes, by name or path, as SpikeCounts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.session import Session
from spikeinterface_gen.session_files import is_session_folder

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ReadOptions", "is_model_folder", "read_counts", "same_units", "shard_from", "train_and_held_out"]

DEFAULT_BIN_SIZE_MS = 10.0
# Those that need no further options.
_DATASETS = ("steinmetz2019", "lorenz")
_NEO = (".nix", ".mat", ".pkl")
_NWB = (".nwb",)


@dataclass(frozen=True)
class ReadOptions:
    """How to turn a file into trials.

    Attributes
    ----------
    bin_size_ms : float, optional
        Width of a bin; None takes what the file says, or 10 ms.
    window_s : float, optional
        Cut continuous data into windows of this length.
    min_rate_hz : float
        Leave out units that fire less.
    trust_pickle : bool
        Whether to execute pickles.
    trials : str, optional
        For sortings: a CSV file with columns start and stop in s; the others become covariates.
    durations_s : sequence of float, optional
        For sortings: length of each segment in s.
    align_to : str, optional
        For NWB: column of the trials with the time of an event.
    around_s : tuple of float, optional
        For NWB: start and stop of a trial, from that event on, in s.
    """

    bin_size_ms: float | None = None
    window_s: float | None = None
    min_rate_hz: float = 0.0
    trust_pickle: bool = False
    trials: str | None = None
    durations_s: Sequence[float] | None = None
    align_to: str | None = None
    around_s: tuple[float, float] | None = None

    def check_apply(self, source: str, kind: str, *apply: str) -> None:
        """Raise a ValueError for ways to cut trials that do not ``apply`` to this kind of source."""
        given = {
            "--window-s": self.window_s,
            "--trials": self.trials,
            "--duration-s": self.durations_s,
            "--align-to": self.align_to,
            "--around-s": self.around_s,
        }
        unfit = [name for name, value in given.items() if value is not None and name not in apply]
        if unfit:
            words = f"what applies is {', '.join(apply)}" if apply else "its trials are cut already"
            raise ValueError(f"{unfit[0]} does not apply to {source}, {kind}; {words}.")


def read_counts(source: str, options: ReadOptions) -> SpikeCounts:
    """Read a bundled dataset, a session folder, an NWB file, a file of Neo, or a sorting saved by SpikeInterface.

    Raises
    ------
    FileNotFoundError
        If there is nothing of this name.
    ValueError
        If it holds no spikes, or no unit fires enough.
    """
    counts = _read(source, options)
    if options.min_rate_hz > 0:
        enough = counts.rates_hz >= options.min_rate_hz
        if not enough.any():
            raise ValueError(
                f"no unit of {source} fires at {options.min_rate_hz:g} Hz or more (the fastest: "
                f"{counts.rates_hz.max():.2g} Hz); lower --min-rate-hz."
            )
        counts = counts.select_units(counts.unit_ids[enough])
    return counts


def _read(source: str, options: ReadOptions) -> SpikeCounts:
    from spikeinterface_gen.datasets.loading import load_dataset

    path = Path(source).expanduser()
    if not path.exists():
        if source in _DATASETS:
            counts = load_dataset(source)
            _check_given(options, counts, source, "a bundled dataset")
            return counts
        raise FileNotFoundError(f"there is no file, folder or dataset {source!r}; datasets are {', '.join(_DATASETS)}.")
    if is_session_folder(path):
        counts = Session(path).counts
        _check_given(options, counts, source, "a session of this package")
        return counts
    if is_model_folder(path):
        raise ValueError(f"{source} is a model, where data are expected; `spikeinterface-gen generate` draws from it.")
    if path.suffix in _NWB:
        options.check_apply(source, "an NWB file", "--window-s", "--align-to", "--around-s")
        return SpikeCounts.from_nwb(
            path,
            options.bin_size_ms or DEFAULT_BIN_SIZE_MS,
            window_s=options.window_s,
            align_to=options.align_to,
            around_s=options.around_s,
        )
    if path.suffix in _NEO:
        options.check_apply(source, "a file of Neo", "--window-s")
        from spikeinterface_gen.convert.neo_files import read_neo

        try:
            block = read_neo(path, trust_pickle=options.trust_pickle)
        except PermissionError:
            raise ValueError(
                f"{source} is a pickle: reading it executes whatever its writer put in. Pass --trust-pickle if it is "
                "your own."
            ) from None
        width = options.bin_size_ms or block.annotations.get("bin_size_ms") or DEFAULT_BIN_SIZE_MS
        return SpikeCounts.from_neo(block, width, window_s=options.window_s)
    return _read_sorting(path, options)


def _read_sorting(path: Path, options: ReadOptions) -> SpikeCounts:
    import spikeinterface.core as sc

    from spikeinterface_gen.convert.from_sorting import known_num_frames

    options.check_apply(str(path), "a sorting", "--window-s", "--trials", "--duration-s")
    if path.suffix in (".pkl", ".pickle") and not options.trust_pickle:
        raise ValueError(f"{path} is a pickle; pass --trust-pickle if it is your own.")
    try:
        loaded = sc.load(path)
    except Exception as error:  # whatever SpikeInterface makes of a file that it does not know
        raise ValueError(
            f"{path} cannot be read as spikes ({error}). Known are NWB (.nwb), files of Neo ({', '.join(_NEO)}), "
            "session folders of this package, and what SpikeInterface saved (folders, .zarr, .json)."
        ) from None
    sorting: Any = getattr(loaded, "sorting", loaded)
    if not isinstance(sorting, sc.BaseSorting):
        raise ValueError(f"{path} holds a {type(loaded).__name__} and no spikes; give a sorting or an analyzer.")
    durations_s = options.durations_s
    if isinstance(loaded, sc.SortingAnalyzer) and loaded.has_recording():
        sorting.register_recording(loaded.recording)  # its clock too
    elif isinstance(loaded, sc.SortingAnalyzer) and durations_s is None:
        lengths = [loaded.get_num_samples(k) for k in range(loaded.get_num_segments())]
        durations_s = [length / loaded.sampling_frequency for length in lengths]
    known = {key: sorting.get_annotation(key) for key in sorting.get_annotation_keys()}
    width = options.bin_size_ms or known.get("bin_size_ms") or DEFAULT_BIN_SIZE_MS
    trials = known.get("trials") if options.window_s is None and sorting.get_num_segments() == 1 else None
    if options.trials is not None:
        trials = _read_trials(options.trials)
    unknown = any(known_num_frames(sorting, k) is None for k in range(sorting.get_num_segments()))
    if unknown and durations_s is None and trials is None and options.window_s is None:
        raise ValueError(
            f"{path} does not say how long its segments are; give --duration-s, a number for each segment, or "
            "--trials FILE.csv, or --window-s."
        )
    return SpikeCounts.from_sorting(sorting, width, window_s=options.window_s, trials=trials, durations_s=durations_s)


def _read_trials(file: str) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(Path(file).expanduser())
    except ValueError as error:  # of pandas' parser
        raise ValueError(f"--trials {file}: no table of comma-separated values ({error}).") from None


def _check_given(options: ReadOptions, counts: SpikeCounts, source: str, kind: str) -> None:
    """Counts are binned already: a wish for other bins cannot be met."""
    if options.bin_size_ms is not None and not np.isclose(options.bin_size_ms, counts.bin_size_ms):
        raise ValueError(
            f"{source} is binned at {counts.bin_size_ms:g} ms already; leave out --bin-size-ms or give that width."
        )
    options.check_apply(source, kind)


def is_model_folder(path: Path) -> bool:
    """Whether a folder holds a saved model; what it says is not checked."""
    try:
        return "model" in json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def train_and_held_out(
    counts: SpikeCounts, train_share: float, by: str, seed: int
) -> tuple[SpikeCounts, SpikeCounts | None]:
    """The trials to train on and those to validate with; the same share, way and seed give the same trials."""
    if not 0 < train_share <= 1:
        raise ValueError(f"--train-share must be above 0 and at most 1; got {train_share:g}.")
    if train_share == 1:
        return counts, None
    train, held_out = counts.split((train_share, 1 - train_share), seed=seed, by=by)
    return train, held_out


def same_units(real: SpikeCounts, synthetic: SpikeCounts) -> tuple[SpikeCounts, SpikeCounts]:
    """Both with the units of the synthetic side, in one order; ids that a file turned into text still match.

    Raises
    ------
    ValueError
        If the synthetic side has units that the real one lacks.
    """
    name = {str(unit_id): unit_id for unit_id in real.unit_ids.tolist()}
    wanted = [str(unit_id) for unit_id in synthetic.unit_ids.tolist()]
    missing = [unit_id for unit_id in wanted if unit_id not in name]
    if missing:
        raise ValueError(
            f"{len(missing)} synthetic units are not among the real ones ({', '.join(missing[:5])}, …); validate "
            "against the recording that the model was fitted to."
        )
    real = real.select_units([name[unit_id] for unit_id in wanted])
    if not np.array_equal(real.unit_ids, synthetic.unit_ids):
        synthetic = SpikeCounts(
            synthetic.counts,
            synthetic.bin_size_ms,
            unit_ids=real.unit_ids,
            num_bins=synthetic.num_bins,
            covariates=synthetic.covariates,
            unit_properties=synthetic.unit_properties,
            t_starts_s=synthetic.t_starts_s,
            trial_locked=synthetic.trial_locked,
            annotations=synthetic.annotations,
        )
    return real, synthetic


def shard_from(text: str) -> tuple[int, int]:
    """(K, N) from "K/N".

    Raises
    ------
    ValueError
        If the text is anything else.
    """
    k, _, n = text.partition("/")
    if not (k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n)):
        raise ValueError(f"--shard {text}: expected K/N, the K-th of N parts, such as 3/64.")
    return int(k), int(n)
