"""A recorded session in, a synthetic recording with ground truth out, and how good it is."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import spikeinterface_gen as sig

__all__ = ["run"]

MIN_RATE_HZ = 1.0
SORTED_UNITS = 30
SORTED_SECONDS = 60.0
SORTER = "spykingcircus2"

CONTENTS = {
    "model/": "the fitted model: sig.load_model",
    "synthetic_neo.pkl": "the synthetic trials as a Neo block: sig.read_neo(…, trust_pickle=True)",
    "recording/": "traces with ground truth: sig.GenerativeRecordingExtractor",
    "sorting/": f"what {SORTER} found in them",
    "validation.html": "real and synthetic trials beside each other, every figure with its floor",
    "validation.png": "the same as one picture",
    "rasters.png": "real and synthetic rasters",
}


def run(minutes: float, output: Path) -> None:
    """Fit at most so many minutes, and leave everything in the folder ``output``."""
    import spikeinterface.full as si

    output.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()

    _say(started, "A recorded session: Steinmetz et al. 2019 (CC-BY-4.0), mouse Neuropixels.")
    counts = sig.load_dataset("steinmetz2019")
    counts = counts.select_units(counts.unit_ids[counts.rates_hz >= MIN_RATE_HZ])
    train, held_out = counts.split((0.8, 0.2), seed=0)
    print(f"  {counts}\n  fit on {len(train)} trials; {len(held_out)} are held out and never seen")

    _say(started, f"Fit LDNS, at most {minutes:g} minutes.")
    model = sig.LDNS().fit(train, seed=0, max_minutes=minutes)
    model.save(output / "model", overwrite=True)
    print("  distance from held-out trials after each stage, relative to recorded trials (1 is as good as real):")
    print(_indented(model.stage_metrics_.drop("floor").round(2).to_string()))
    print(f"  chosen: {model.observation_}")

    _say(started, f"Generate {len(held_out)} trials and validate them against the held-out ones.")
    synthetic = model.sample(len(held_out), seed=1)
    report = sig.validate(held_out, synthetic, train=train)
    report.to_html(output / "validation.html")
    report.plot().savefig(output / "validation.png", dpi=110)
    sig.plot_rasters(held_out, synthetic).savefig(output / "rasters.png", dpi=130)
    sig.write_neo(synthetic.to_neo(), output / "synthetic_neo.pkl", overwrite=True)
    print(_indented(report.table[["value", "floor", "ratio", "flagged"]].to_string(float_format=lambda v: f"{v:.3g}")))

    busiest = train.unit_ids[train.rates_hz.argsort()[-2 * SORTED_UNITS :: 2]]
    trials = round(SORTED_SECONDS / train.durations_s.mean())
    _say(started, f"Render {SORTED_SECONDS:.0f} s of {SORTED_UNITS} units and sort them with {SORTER}.")
    recording = sig.generate_with_ldns(
        model, trials, seed=2, unit_ids=busiest, folder=output / "recording", overwrite=True
    )
    print(f"  {recording}")
    truth = recording.sorting
    sorted_folder = output / "sorting"
    shutil.rmtree(sorted_folder, ignore_errors=True)
    sorting = si.run_sorter(SORTER, recording, folder=sorted_folder, remove_existing_folder=True, verbose=False)
    comparison = si.compare_sorter_to_ground_truth(truth, sorting, exhaustive_gt=True)
    accuracy = comparison.get_performance()["accuracy"].astype(float)

    _say(started, f"Done. Everything is in {output}/:")
    for name, what in CONTENTS.items():
        print(f"  {name:<20} {what}")
    print("\nHow good is it?")
    print(_indented(report.summary()))
    print(
        f"  Sorting: {SORTER} found {len(sorting.unit_ids)} units where there are {len(truth.unit_ids)}; "
        f"{(accuracy >= 0.8).sum()} of them with an accuracy of at least 0.8 (mean {accuracy.mean():.2f})."
    )


def _say(started: float, text: str) -> None:
    print(f"\n[{time.monotonic() - started:4.0f} s] {text}", flush=True)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
