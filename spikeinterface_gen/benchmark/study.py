"""Run spike sorters on recordings with ground truth, through crashes, in SpikeInterface's ``SorterStudy``.

A study is a folder::

    study/         what each sorter found and how long it took
    analyzers/     one SortingAnalyzer of the ground truth for each recording
    failures.json  which runs failed, and why

It may be moved, and nothing in it is code (:mod:`spikeinterface_gen.benchmark.stored`). Recordings are written
out once, sorted by all sorters, and removed again, so that run times are those of the sorters alone and the disk
never holds more than one recording. A run that is there is not done again.
"""

from __future__ import annotations

import difflib
import errno
import json
import shutil
import traceback
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from spikeinterface.benchmark import SorterStudy

from spikeinterface_gen.benchmark.effects import effects_table
from spikeinterface_gen.benchmark.stored import Case, StoredBenchmark, check_holds_no_code, read_cases, write_cases
from spikeinterface_gen.benchmark.tables import collision_table, performance_table
from spikeinterface_gen.benchmark.workers import jobs, light_collections
from spikeinterface_gen.files import new_folder, write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from spikeinterface.core import SortingAnalyzer

    from spikeinterface_gen.extractors import GenerativeRecordingExtractor

__all__ = ["GenerativeSorterStudy", "benchmark_sorters"]

LEVELS = ["sorter", "kind", "repeat"]

_CASES_FILE = "cases.json"

# A template reaches as far as it is larger than the noise.
_SPARSE_LEVELS = 1.0


class GenerativeSorterStudy(SorterStudy):
    """A ``SorterStudy`` of recordings from this package: its cases are (sorter, kind, repeat).

    Everything of SpikeInterface's study is there (``plot_performances``, ``get_count_units``, …).

    Parameters
    ----------
    folder : str or path
        Folder written by :func:`benchmark_sorters`.

    Raises
    ------
    FileNotFoundError
        If there is no study.
    ValueError
        If it holds what could execute code when it is read.
    """

    benchmark_class = StoredBenchmark

    def __init__(self, folder: str | Path) -> None:
        self.home = Path(folder).expanduser().absolute()
        if not (self.home / "study" / _CASES_FILE).exists():
            raise FileNotFoundError(errno.ENOENT, "there is no study by benchmark_sorters", str(self.home))
        check_holds_no_code(self.home / "analyzers", self.home / "study" / "results")
        super().__init__(self.home / "study")

    def scan_folder(self) -> None:
        """Read the cases, the ground truth of their recordings, and the runs that are whole."""
        from spikeinterface import load, load_sorting_analyzer

        self.levels = LEVELS
        self.cases = read_cases(self.folder / _CASES_FILE)
        for dataset in dict.fromkeys(case["dataset"] for case in self.cases.values()):
            analyzer = load_sorting_analyzer(self.home / "analyzers" / dataset, load_extensions=False)
            self.analyzers[dataset] = analyzer
            recording = analyzer.recording if analyzer.has_recording() else None
            self.datasets[dataset] = (recording, load(analyzer.folder / "sorting"))
        for key in self.cases:
            folder = self.folder / "results" / self.key_to_str(key)
            self.benchmarks[key] = self.create_benchmark(key) if StoredBenchmark.is_whole(folder) else None
            if self.benchmarks[key] is not None:
                self.benchmarks[key].result = StoredBenchmark.load_folder(folder)

    def create_benchmark(self, key: Case) -> StoredBenchmark:
        """Return what runs a case."""
        case = self.cases[key]
        recording, truth = self.datasets[case["dataset"]]
        return StoredBenchmark(recording, truth, case["params"], self.folder / "sorters" / self.key_to_str(key))

    def add_cases(self, cases: Mapping[Case, dict[str, Any]]) -> None:
        """Add cases on recordings that the study has already, to be run."""
        self._check_cases(cases, reference=tuple(LEVELS))
        unknown = {case["dataset"] for case in cases.values()} - set(self.datasets)
        if unknown:
            raise ValueError(f"cases have the unknown dataset {min(unknown)!r}; the study has {list(self.datasets)}.")
        self.cases.update(cases)
        self.benchmarks.update(dict.fromkeys(cases))
        write_cases(self.folder / _CASES_FILE, self.cases)

    def remove_cases(self, case_keys: Iterable[Case]) -> None:
        """Remove cases and what they found."""
        for key in case_keys:
            del self.cases[key]
            self.remove_benchmark(key)
            del self.benchmarks[key]
        write_cases(self.folder / _CASES_FILE, self.cases)

    def get_result(self, key: Case) -> dict[str, Any]:
        """What was found in a case: ``sorting``, ``run_time`` in s, and its ``gt_comparison`` with the truth."""
        benchmark = self.benchmarks[key]
        if "gt_comparison" not in benchmark.result:
            # Spikes of a real parent recording are no false positives.
            benchmark.compute_result(exhaustive_gt=not self.cases[key].get("hybrid", False))
        return benchmark.result

    @property
    def done(self) -> list[Case]:
        """The cases that have been run."""
        return [key for key, benchmark in self.benchmarks.items() if benchmark is not None]

    @property
    def failures(self) -> dict[Case, str]:
        """What went wrong, by case."""
        path = self.home / "failures.json"
        if not path.exists():
            return {}
        return {tuple(entry["case"]): entry["error"] for entry in json.loads(path.read_text(encoding="utf-8"))}

    def table(self) -> pd.DataFrame:
        """One row for each unit of each case: see :func:`spikeinterface_gen.benchmark.tables.performance_table`."""
        return performance_table(self)

    def collisions(self, **options: Any) -> pd.DataFrame:
        """One row for each pair: see :func:`spikeinterface_gen.benchmark.tables.collision_table`."""
        return collision_table(self, **options)

    def effects(self, **options: Any) -> pd.DataFrame:
        """What the kind of spiking changes: see :func:`spikeinterface_gen.benchmark.effects.effects_table`."""
        return effects_table(self.table(), **options)

    def plot(self) -> Figure:
        """Accuracy by kind, effects with intervals, recall in collisions against correlation, run times."""
        from spikeinterface_gen.benchmark.figures import plot_study

        return plot_study(self)


def benchmark_sorters(
    recordings: Mapping[Any, GenerativeRecordingExtractor],
    sorters: str | Iterable[str] | Mapping[str, Mapping[str, Any]],
    folder: str | Path,
    *,
    job_kwargs: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> GenerativeSorterStudy:
    """Sort recordings with sorters and compare what they find with the ground truth.

    Interrupted, killed or called again with more recordings or sorters, it does what is not done yet. A
    sorter that fails is noted in ``study.failures`` and a warning, and the study goes on.

    Parameters
    ----------
    recordings : mapping
        Name → recording, such as :func:`~spikeinterface_gen.make_controls` returns; or (kind, repeat) →
        recording, where there are several of a kind. Equal repeats are pairs: same templates and noise.
    sorters : str, iterable of str, or mapping
        Names, or name → parameters for ``spikeinterface.run_sorter``. ``docker_image=True`` or
        ``singularity_image=True`` among them runs the sorter in a container.
    folder : str or path
        Of the study; see :mod:`spikeinterface_gen.benchmark.study`.
    job_kwargs : mapping, optional
        For SpikeInterface's parallel loops, those of its own sorters too, such as ``{"n_jobs": 2}``.
    progress : bool
        Whether to print a line for each run.

    Returns
    -------
    GenerativeSorterStudy
        A ``spikeinterface.benchmark.SorterStudy`` with ``table()``, ``effects()``, ``collisions()`` and ``plot()``.

    Raises
    ------
    TypeError, ValueError
        If a recording is not ours, a sorter is unknown or not installed, or the folder holds a study with other
        recordings or parameters under the same names.
    """
    named = _checked_recordings(recordings)
    parameters = _checked_sorters(sorters)
    home = Path(folder).expanduser().absolute()
    cases = {
        (sorter, *name): {
            "dataset": _dataset(name),
            "label": " ".join((sorter, *name)),
            "params": given,
            "hybrid": bool(recording.get_annotation("hybrid")),
        }
        for name, recording in named.items()
        for sorter, given in parameters.items()
    }
    with jobs({"progress_bar": False, **(job_kwargs or {})}):
        for name, recording in named.items():
            _ensure_analyzer(home / "analyzers" / _dataset(name), recording)
        study = _opened(home, cases)
        for name, recording in named.items():
            waiting = [key for key in cases if key[1:] == name and study.benchmarks[key] is None]
            if waiting:
                with light_collections():
                    _run(study, recording, waiting, progress)
    return study


def _checked_recordings(recordings: Mapping[Any, Any]) -> dict[tuple[str, str], Any]:
    from spikeinterface_gen.extractors import GenerativeRecordingExtractor

    if not recordings:
        raise ValueError("recordings is empty; give at least one, by name.")
    named = {}
    for key, recording in recordings.items():
        if not isinstance(recording, GenerativeRecordingExtractor):
            raise TypeError(
                f"recordings[{key!r}] must be a GenerativeRecordingExtractor, whose ground truth is known; got "
                f"{type(recording).__name__}."
            )
        name = (key, "0") if isinstance(key, str) else tuple(str(part) for part in key)
        if len(name) != 2 or any(not part or set(part) & set("/\\") for part in name):
            raise ValueError(f"recordings must be named by text without slashes, or by (kind, repeat); got {key!r}.")
        named[name] = recording
    return named


def _checked_sorters(sorters: Any) -> dict[str, dict[str, Any]]:
    """Parameters of ``run_sorter`` by sorter; an unknown or missing one is an error before anything is run."""
    from spikeinterface.sorters import available_sorters, installed_sorters

    if isinstance(sorters, str):
        sorters = [sorters]
    given = dict(sorters) if isinstance(sorters, Mapping) else {name: {} for name in sorters}
    if not given:
        raise ValueError("sorters is empty; name at least one, such as 'spykingcircus2'.")
    known = available_sorters()
    parameters = {}
    for name, own in given.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"{name!r} is no sorter of SpikeInterface{hint} Installed: {installed_sorters()}.")
        contained = own.get("docker_image") or own.get("singularity_image")
        if not contained and name not in installed_sorters():
            raise ValueError(
                f"the sorter {name!r} is not installed; install it, or run it in a container: sorters={{{name!r}: "
                f"{{'docker_image': True}}}}. Installed: {installed_sorters()}."
            )
        fixed = {"sorter_name": name, "remove_existing_folder": True, "delete_output_folder": True, "verbose": False}
        parameters[name] = _plain(name, {**fixed, **own})
    return parameters


def _plain(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a sorter as JSON has them: so they are kept, and compared when a study goes on."""
    from spikeinterface.core.core_tools import check_json

    try:
        return json.loads(json.dumps(check_json(parameters)))
    except TypeError as error:
        raise TypeError(f"parameters of the sorter {name!r} must be numbers, text, lists or dicts: {error}.") from error


def _dataset(name: tuple[str, str]) -> str:
    return "-".join(name)


def _ensure_analyzer(folder: Path, recording: GenerativeRecordingExtractor) -> None:
    """Make the analyzer of the ground truth, whole or not at all, unless it is there."""
    if folder.exists():
        if _told(folder) != _identity(recording):
            raise ValueError(
                f"{folder.parent.parent} holds a study of another recording named {folder.name!r}; "
                "choose another folder or another name."
            )
        return
    with new_folder(folder) as temporary:
        temporary.rmdir()  # SpikeInterface insists on making it
        analyzer = _analyzer(temporary, recording)
        analyzer.compute(["random_spikes", "noise_levels", "templates"])
        (temporary / "session.json").write_text(json.dumps(_identity(recording)), encoding="utf-8")


def _analyzer(folder: Path, recording: GenerativeRecordingExtractor) -> SortingAnalyzer:
    from spikeinterface.core import ChannelSparsity, create_sorting_analyzer, get_noise_levels

    sorting = recording.sorting
    peaks_uv = np.abs(recording._session.templates.dense_uv()).max(axis=1)
    levels_uv = get_noise_levels(recording, return_in_uV=True)
    mask = peaks_uv > _SPARSE_LEVELS * levels_uv
    mask[np.arange(len(mask)), peaks_uv.argmax(axis=1)] = True
    sparsity = ChannelSparsity(mask, sorting.unit_ids, recording.channel_ids)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return create_sorting_analyzer(sorting, recording, sparsity=sparsity, format="binary_folder", folder=folder)


def _identity(recording: GenerativeRecordingExtractor) -> dict[str, Any]:
    """What makes a recording the same one: the hash of its session, its layout and changed rendering."""
    options = {key: value for key, value in recording._kwargs.items() if key != "folder_path"}
    return {"sha256": recording._session.settings["sha256"], **options}


def _told(folder: Path) -> Any:
    path = folder / "session.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _opened(home: Path, cases: dict[Case, dict[str, Any]]) -> GenerativeSorterStudy:
    """The study, made or found, with these cases; runs that were cut off are forgotten."""
    folder = home / "study"
    path = folder / _CASES_FILE
    if (folder / "cases.pickle").exists():
        raise ValueError(f"{home} holds a study of SpikeInterface's own; choose another folder.")
    known = read_cases(path) if path.exists() else {}
    changed = [key for key in cases if key in known and known[key]["params"] != cases[key]["params"]]
    if changed:
        raise ValueError(
            f"{home} holds a study in which {changed[0][0]!r} has other parameters ({known[changed[0]]['params']}); "
            "choose another folder."
        )
    (folder / "results").mkdir(parents=True, exist_ok=True)
    write_cases(path, {**known, **cases})
    study = GenerativeSorterStudy(home)
    for key in cases:
        if study.benchmarks[key] is None:
            study.remove_benchmark(key)
    return study


def _run(
    study: GenerativeSorterStudy,
    recording: GenerativeRecordingExtractor,
    keys: list[Case],
    progress: bool,
) -> None:
    """Run the sorters that have not sorted a recording yet, on a copy of it that is removed afterwards."""
    traces = study.home / "traces"
    shutil.rmtree(traces, ignore_errors=True)
    dataset = study.cases[keys[0]]["dataset"]
    truth = study.datasets[dataset][1]
    try:
        written = recording.save(folder=traces, verbose=False)
        study.datasets[dataset] = (written, truth)
        for key in keys:
            try:
                study.run(case_keys=[key])
                study.get_result(key)
            except Exception as error:
                # Sorters fail in as many ways as there are sorters; what else is to be sorted is not their fault.
                # Without it SpikeInterface's own tables and figures work; a later call takes it up again.
                study.remove_cases([key])
                _note(study, key, "".join(traceback.format_exception(error)))
                warnings.warn(f"{' '.join(key)} failed: {type(error).__name__}: {str(error)[-200:]}", stacklevel=3)
            else:
                _note(study, key, None)
            if progress:
                benchmark = study.benchmarks.get(key)
                said = "failed" if benchmark is None else f"{benchmark.result['run_time']:.0f} s"
                print(f"{' '.join(key)}: {said}", flush=True)
    finally:
        study.datasets[dataset] = (recording, truth)
        shutil.rmtree(traces, ignore_errors=True)


def _note(study: GenerativeSorterStudy, key: Case, error: str | None) -> None:
    failures = {**study.failures, key: error}
    told = [{"case": list(case), "error": text} for case, text in failures.items() if text is not None]
    write_file(study.home / "failures.json", json.dumps(told, indent=1).encode())
