"""What the commands do: each takes the parsed arguments and returns a JSON-able result and an exit code."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeinterface_gen.cli.conditions import covariates_to_learn, options_of_sample
from spikeinterface_gen.cli.inputs import (
    ReadOptions,
    is_model_folder,
    read_counts,
    same_units,
    shard_from,
    train_and_held_out,
)
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.files import write_file

__all__ = ["benchmark", "demo", "fit", "generate", "info", "validate"]

Result = tuple[dict[str, Any], int]

_NEO_SUFFIXES = (".nix", ".mat", ".pkl")


def fit(options: Namespace) -> Result:
    """Fit a model and save it."""
    say = _sayer(options)
    folder = Path(options.model).expanduser()
    if folder.exists() and not (options.overwrite and is_model_folder(folder)):
        remedy = "pass --overwrite to replace it" if is_model_folder(folder) else "it is no model; name another folder"
        raise FileExistsError(f"{options.model} exists; {remedy}.")
    start: Any = None if options.start_from is None else _start(options.start_from)
    counts = read_counts(options.data, _read_options(options))
    covariates = covariates_to_learn(options.covariates, counts)
    train, held_out = train_and_held_out(counts, options.train_share, options.split, options.split_seed)
    say(f"{counts}\nfit on {len(train)} trials; {0 if held_out is None else len(held_out)} are held out")

    from spikeinterface_gen.models.ldns import LDNS

    settings = {} if start is None else start.settings()
    if options.num_latents is not None:
        settings["num_latents"] = options.num_latents
    started = time.monotonic()
    with redirect_stdout(sys.stderr):  # progress is not the result
        model = LDNS(**settings).fit(
            train,
            covariates=covariates,
            session_time=not options.no_session_time,
            start_from=start,
            seed=options.seed,
            max_minutes=options.max_minutes,
            num_steps=options.num_steps,
            accelerator=options.accelerator,
            checkpoint=options.checkpoint,
            progress=not options.quiet,
        )
    path = model.save(folder, overwrite=options.overwrite)
    metrics = model.stage_metrics_
    say(f"distance from trials kept for stopping, after each stage, as ratios to their floor:\n{metrics.round(2)}")
    _tell(options, f"{model}\nsaved in {path}")
    result = {
        "model": str(path),
        "data": _described(counts),
        "trained_on": len(train),
        "held_out": 0 if held_out is None else len(held_out),
        "seconds": round(time.monotonic() - started, 1),
        "conditions": [] if model.conditions_ is None else list(model.conditions_.covariates),
        "started_from": None if model.started_from_ is None else model.started_from_.sha256,
        "num_steps": model.num_steps_,
        "stage_metrics": json.loads(metrics.to_json(orient="index")),
    }
    return result, 0


def generate(options: Namespace) -> Result:
    """Draw trials and write them in the format that the name of the output asks for."""
    say = _sayer(options)
    output = Path(options.output).expanduser()
    key = _key(options.watermark_key_file)
    spikes_only = output.suffix in (*_NEO_SUFFIXES, ".nwb")
    if output.suffix and not spikes_only:
        raise ValueError(
            f"{output.name}: the suffix must be .nwb, {', '.join(_NEO_SUFFIXES)}, or none for a folder with traces."
        )
    rendering = _rendering(options.set)
    if spikes_only and (rendering or options.gap_s):
        raise ValueError(f"--set and --gap-s shape traces; {output.name} holds spikes alone.")
    if output.exists() and not options.overwrite:
        raise FileExistsError(f"{options.output} exists; pass --overwrite to replace it.")

    from spikeinterface_gen.generation import generate_from_counts
    from spikeinterface_gen.models import load_model
    from spikeinterface_gen.randomness import derived_seed, resolve_seed

    shard = None if options.shard is None else shard_from(options.shard)
    if shard and (options.seed is None or not spikes_only):
        raise ValueError(
            "--shard needs a --seed, which all shards have in common, and a file of spikes as OUTPUT: traces are "
            "rendered from all trials together."
        )
    seed = resolve_seed(options.seed)
    model: Any = load_model(options.model)
    asked = options_of_sample(model, options.trials, options.condition, options.session, options.guidance)
    if options.duration_s is not None:
        asked["durations"] = options.duration_s
    if shard is not None:
        asked["shard"] = shard
    say(f"drawing {f'shard {options.shard} of ' if shard else ''}{options.trials} trials with seed {seed}")
    counts: SpikeCounts = model.sample(options.trials, seed=seed, **asked)
    unit_ids = None if options.units is None else _unit_ids(counts.unit_ids, options.units)
    say(f"{counts}")
    if spikes_only:
        counts = counts if unit_ids is None else counts.select_units(unit_ids)
        # Trials of shards have the same numbers, and are not to have their spikes at the same places of bins.
        place_seed = seed if shard is None else derived_seed(seed, f"shard {options.shard}")
        placing = {"sampling_frequency": options.sampling_frequency, "seed": place_seed, "watermark_key": key}
        if output.suffix == ".nwb":
            counts.to_nwb(output, overwrite=options.overwrite, **placing)
        else:
            from spikeinterface_gen.convert.neo_files import write_neo

            write_neo(counts.to_neo(**placing), output, overwrite=options.overwrite)
    else:
        say("placing spikes and preparing traces")
        recording = generate_from_counts(
            counts,
            seed=seed,
            folder=output,
            sampling_frequency=options.sampling_frequency,
            unit_ids=unit_ids,
            gap_s=options.gap_s,
            overwrite=options.overwrite,
            watermark_key=key,
            **rendering,
        )
        say(str(recording))
        counts = recording.counts
    _tell(options, f"{counts.num_trials} trials of {counts.num_units} units in {output}")
    return {"output": str(output.absolute()), "seed": seed, "data": _described(counts)}, 0


def validate(options: Namespace) -> Result:
    """Compare generated with held-out trials."""
    from spikeinterface_gen.validation.validate import validate as compare

    say = _sayer(options)
    reading = _read_options(options)
    synthetic = read_counts(options.synthetic, ReadOptions(options.bin_size_ms, trust_pickle=options.trust_pickle))
    if not synthetic.annotations.get("synthetic"):
        say(f"warning: {options.synthetic} does not say that it is synthetic")
    width = options.bin_size_ms or (synthetic.bin_size_ms if Path(options.data).expanduser().exists() else None)
    data = read_counts(options.data, replace(reading, bin_size_ms=width))
    data, synthetic = same_units(data, synthetic)
    train, held_out = train_and_held_out(data, options.train_share, options.split, options.split_seed)
    real, train_or_none = (train, None) if held_out is None else (held_out, train)
    say(f"{synthetic}\nagainst {real}")
    report = compare(real, synthetic, train=train_or_none, num_splits=options.splits, seed=options.seed)
    table = report.table
    flagged = report.flagged
    result = {
        "summary": report.summary(),
        "flagged": flagged,
        "table": json.loads(table.to_json(orient="index")),
    }
    if options.output:
        result["page"] = str(report.to_html(options.output))
    shown = [name for name in ("value", "floor", "ratio", "flagged") if name in table.columns]
    _tell(options, table[shown].to_string(float_format=lambda value: f"{value:.3g}") + f"\n\n{report.summary()}")
    return result, 1 if flagged and options.strict else 0


def benchmark(options: Namespace) -> Result:
    """Run sorters on recordings of a model and on controls."""
    from spikeinterface.sorters import available_sorters

    from spikeinterface_gen.benchmark.pairs import paired_recordings
    from spikeinterface_gen.benchmark.study import benchmark_sorters
    from spikeinterface_gen.models import load_model

    say = _sayer(options)
    unknown = [name for name in options.sorters if name not in available_sorters()]
    if unknown:
        raise ValueError(f"--sorters {' '.join(unknown)}: no such sorter; there are {', '.join(available_sorters())}.")
    folder = Path(options.folder).expanduser()
    say(f"{options.repeats} recordings of {options.trials} trials, and {', '.join(options.kinds)} of each")
    model: Any = load_model(options.model)
    generation = _rendering(options.set)
    if options.units is not None:
        generation["unit_ids"] = _unit_ids(model.population_.unit_ids, options.units)
    with redirect_stdout(sys.stderr):
        recordings = paired_recordings(
            model,
            options.trials,
            folder / "recordings",
            repeats=options.repeats,
            seed=options.seed,
            kinds=options.kinds,
            **generation,
        )
        jobs = {"n_jobs": options.jobs, "progress_bar": False}
        study = benchmark_sorters(
            recordings, options.sorters, folder / "study", job_kwargs=jobs, progress=not options.quiet
        )
    units = study.table()
    write_file(folder / "units.csv", units.to_csv(index=False).encode())
    measures = {"accuracy": "mean", "precision": "mean", "recall": "mean", "run_time_s": "mean", "unit_id": "count"}
    table = units.groupby(["sorter", "kind"], sort=False).agg(measures).rename(columns={"unit_id": "num_units"})
    _tell(options, f"{table.round(3).to_string()}\n\nunit by unit in {folder / 'units.csv'}")
    result = {
        "folder": str(folder.absolute()),
        "sorters": json.loads(table.reset_index().to_json(orient="records")),
        "failures": {" ".join(map(str, case)): error for case, error in study.failures.items()},
    }
    return result, 0


def info(options: Namespace) -> Result:
    """Describe a model, a session or data."""
    from spikeinterface_gen.cli.model_info import described_model
    from spikeinterface_gen.models import BUNDLED_FOLDER, BUNDLED_MODELS
    from spikeinterface_gen.provenance import is_synthetic

    path = Path(options.path).expanduser()
    if path.is_dir() and is_model_folder(path):
        result: dict[str, Any] = described_model(path)
        synthetic = False
    else:
        synthetic = path.exists() and is_synthetic(path)
        result = {"kind": "data"}
        try:
            counts = read_counts(options.path, _read_options(options))
        except ValueError as error:
            # That it was generated can be told of more than can be read.
            if not synthetic:
                raise
            result["unreadable"] = str(error)
        else:
            synthetic = synthetic or bool(counts.annotations.get("synthetic"))
            result |= _described(counts)
        if options.watermark_key_file:
            found = _watermark(path, options)
            result |= {"watermark_found": found.found, "watermark_p": found.p_value}
            synthetic = synthetic or found.found
        result["synthetic"] = synthetic
    _tell(options, _lines(result))
    if not path.exists() and options.path in BUNDLED_MODELS:
        result["bundled_model"] = described_model(BUNDLED_FOLDER / options.path)
        _tell(options, f"\nThere is a bundled model of this name too:\n{_lines(result['bundled_model'])}")
    return result, 1 if options.check and not synthetic else 0


def demo(options: Namespace) -> Result:
    """Run the demonstration."""
    from spikeinterface_gen.cli.demo import run

    with redirect_stdout(sys.stderr if options.json else sys.stdout):
        run(options.minutes, Path(options.output))
    return {"output": str(Path(options.output).absolute())}, 0


# ---- shared ----------------------------------------------------------------------------------


def _sayer(options: Namespace) -> Callable[[str], None]:
    """Progress goes to standard error, where it mixes with no result."""
    started = time.monotonic()

    def say(text: str) -> None:
        if not options.quiet:
            print(f"[{time.monotonic() - started:4.0f} s] {text}", file=sys.stderr, flush=True)

    return say


def _tell(options: Namespace, text: str) -> None:
    """Print the result for people, unless it is asked for as JSON."""
    if not options.json:
        print(text)


def _lines(facts: dict[str, Any]) -> str:
    """A line for each fact, those of a dict as ``name: value`` after each other."""
    width = max(map(len, facts))
    texts = {
        name: "; ".join(f"{key}: {text}" for key, text in value.items()) or "none" if isinstance(value, dict) else value
        for name, value in facts.items()
    }
    return "\n".join(f"{name:<{width}}  {text}" for name, text in texts.items())


def _read_options(options: Namespace) -> ReadOptions:
    return ReadOptions(
        options.bin_size_ms,
        options.window_s,
        options.min_rate_hz,
        options.trust_pickle,
        trials=options.trials,
        durations_s=options.duration_s,
        align_to=options.align_to,
        around_s=None if options.around_s is None else tuple(options.around_s),
    )


def _described(counts: SpikeCounts) -> dict[str, Any]:
    known = counts.annotations
    return {
        "trials": counts.num_trials,
        "units": counts.num_units,
        "bin_size_ms": counts.bin_size_ms,
        "max_bins": counts.max_bins,
        "mean_rate_hz": round(float(counts.rates_hz.mean()), 3),
        "covariates": sorted(counts.covariates),
        "unit_properties": sorted(counts.unit_properties),
    } | {name: known[name] for name in ("model", "model_sha256", "seed", "versions") if name in known}


def _start(name: str) -> Any:
    """The model that a fit starts from."""
    from spikeinterface_gen.models import load_model

    try:
        return load_model(name)
    except (ValueError, OSError) as error:
        raise ValueError(f"--start-from {name}: {error}") from None


def _key(file: str | None) -> str | None:
    """The key in a file; an argument would show in the list of processes."""
    if file is None:
        return None
    key = Path(file).expanduser().read_text(encoding="utf-8").strip()
    if not key:
        raise ValueError(f"{file} is empty; it must hold the key.")
    return key


def _watermark(path: Path, options: Namespace) -> Any:
    from spikeinterface_gen.watermark import find_watermark

    key = _key(options.watermark_key_file) or ""
    if path.suffix in _NEO_SUFFIXES:
        from spikeinterface_gen.convert.neo_files import read_neo

        return find_watermark(read_neo(path, trust_pickle=options.trust_pickle), key, bin_size_ms=options.bin_size_ms)
    if path.suffix == ".nwb":
        from spikeinterface_gen.convert.from_nwb import read_spike_trains

        return find_watermark(read_spike_trains(path), key, bin_size_ms=options.bin_size_ms)
    from spikeinterface_gen.session_files import is_session_folder

    if is_session_folder(path):
        from spikeinterface_gen.extractors import GenerativeSortingExtractor

        return find_watermark(GenerativeSortingExtractor(path), key)
    import spikeinterface.core as sc

    return find_watermark(sc.load(path), key, bin_size_ms=options.bin_size_ms)


def _unit_ids(known: np.ndarray, names: list[str]) -> np.ndarray:
    """Ids of the units that are called so; on the command line every id is text."""
    by_name = {str(unit_id): unit_id for unit_id in known.tolist()}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ValueError(f"--units {' '.join(unknown[:5])}: no such units; there are {', '.join(list(by_name)[:5])}, …")
    return np.array([by_name[name] for name in names])


def _rendering(settings: list[str]) -> dict[str, Any]:
    """NAME=VALUE pairs, values as JSON where they are some, else as text."""
    rendering: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ValueError(f"--set {setting}: expected NAME=VALUE, such as noise_level_uv=10.")
        try:
            rendering[name] = json.loads(value)
        except ValueError:
            rendering[name] = value
    return rendering
