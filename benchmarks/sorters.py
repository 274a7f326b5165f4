"""What joint firing does to spike sorters: the study that is committed with the project.

    python benchmarks/sorters.py [--folder FOLDER] [--model FOLDER] [--seconds 180] [--repeats 10] [--other-repeats 3]
                                 [--write-only]

Forty units of one area of the bundled session, drawn from LDNS, on 64 channels, beside three controls with the
same templates, noise and rates. Each repeat has trials, templates and noise of its own. Stopped and called again
with the same folder, it goes on where it was. Writes results/sorters.json and results/sorters.png after each sorter;
with --write-only it runs nothing and writes what there is.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from _record import RESULTS, record

import spikeinterface_gen as sig
from spikeinterface_gen.benchmark.pairs import paired_recordings
from spikeinterface_gen.benchmark.tables import spike_train_correlations
from spikeinterface_gen.rendering.probes import default_probe

SORTER = "tridesclous2"  # the quickest of the good ones
OTHERS = ("spykingcircus2", "lupin")
MIN_RATE_HZ = 1.0
RATES_HZ = (2.0, 40.0)


def fitted(folder: Path, minutes: float) -> sig.LDNS:
    if (folder / "config.json").exists():
        return sig.load_model(folder)
    counts = sig.load_dataset("steinmetz2019")
    counts = counts.select_units(counts.unit_ids[counts.rates_hz >= MIN_RATE_HZ])
    model = sig.LDNS().fit(counts, seed=0, max_minutes=minutes, progress=False)
    model.save(folder)
    return model


def neighbours(num_units: int) -> np.ndarray:
    """Units of the area with most of them, evenly over their rates: they lie close together, and collide."""
    counts = sig.load_dataset("steinmetz2019")
    rates = counts.rates_hz
    fit = (rates >= RATES_HZ[0]) & (rates <= RATES_HZ[1])
    areas, sizes = np.unique(counts.unit_properties["area"][fit], return_counts=True)
    own = np.flatnonzero(fit & (counts.unit_properties["area"] == areas[sizes.argmax()]))
    own = own[np.argsort(rates[own])]
    return counts.unit_ids[own[np.linspace(0, len(own) - 1, min(num_units, len(own))).round().astype(int)]]


def recordings(model: sig.LDNS, folder: Path, options: argparse.Namespace) -> dict:
    duration_s = sig.load_dataset("steinmetz2019").durations_s.mean()
    return paired_recordings(
        model,
        round(options.seconds / duration_s),
        folder / "recordings",
        repeats=max(options.repeats, options.other_repeats),
        unit_ids=neighbours(options.units),
        probe=default_probe(options.channels),
    )


def joint_firing(named: dict) -> dict:
    """How much units fire together in each kind, and in the session itself, at a fine and at a coarse scale."""
    session = sig.load_dataset("steinmetz2019").select_units(next(iter(named.values())).sorting.unit_ids)
    recorded = {"kind": "recorded", "spikes/s": float(session.rates_hz.sum())}
    for bins in (2, 40):
        binned = session.counts.reshape(session.num_trials, -1, bins, session.num_units).sum(axis=2)
        values = np.corrcoef(binned.reshape(-1, session.num_units).T)
        recorded[f"mean correlation, {bins * session.bin_size_ms:g} ms"] = np.nanmean(
            values[np.triu_indices(len(values), 1)]
        )
    rows = [recorded]
    for (kind, _), recording in named.items():
        sorting = recording.sorting
        row = {"kind": kind}
        for bin_ms in (2.0, 20.0, 400.0):
            values = spike_train_correlations(sorting, [recording.get_num_samples()], bin_ms)
            row[f"mean correlation, {bin_ms:g} ms"] = np.nanmean(values[np.triu_indices(len(values), 1)])
        row["spikes/s"] = sorting.count_total_num_spikes() / recording.get_total_duration()
        row["forced refractory violations"] = int(recording._session.forced_violations.sum())
        rows.append(row)
    return rounded(pd.DataFrame(rows).groupby("kind", sort=False).mean(), 4)


def recall_by_correlation(collisions: pd.DataFrame) -> list[dict]:
    """Recall of spikes in collision, and of the others, by thirds of the correlation of the two units."""
    known = collisions[collisions["num_collisions"] > 0].dropna(subset=["correlation"])
    rows = []
    for (sorter, kind), own in known.groupby(["sorter", "kind"], sort=False):
        order = np.argsort(own["correlation"].to_numpy())
        for third, part in enumerate(own.iloc[where] for where in np.array_split(order, 3)):
            weights = part["num_collisions"]
            rows.append(
                {
                    "sorter": sorter,
                    "kind": kind,
                    "third": third + 1,
                    "correlation": round(float(part["correlation"].mean()), 4),
                    "recall in collision": round(float(np.average(part["recall_collision"], weights=weights)), 4),
                    "recall alone": round(float(part["recall_alone"].mean()), 4),
                    "collisions": int(weights.sum()),
                }
            )
    return rows


def rounded(table: pd.DataFrame, digits: int) -> dict:
    return {str(name): {k: round(float(v), digits) for k, v in row.dropna().items()} for name, row in table.iterrows()}


def main() -> None:
    options = arguments()
    folder = Path(options.folder)
    model = fitted(Path(options.model) if options.model else folder / "model", options.fit_minutes)
    named = recordings(model, folder, options)
    if options.write_only:
        write(sig.GenerativeSorterStudy(folder / "study"), named, options)
        return
    # The sorter of which most is asked comes first: whoever stops early has a whole study of it.
    for sorter, repeats in [
        (options.sorter, options.repeats),
        *((name, options.other_repeats) for name in options.others),
    ]:
        chosen = {key: recording for key, recording in named.items() if key[1] < repeats}
        study = sig.benchmark_sorters(chosen, sorter, folder / "study", job_kwargs={"n_jobs": options.n_jobs})
        write(study, named, options)


def write(study: sig.GenerativeSorterStudy, named: dict, options: argparse.Namespace) -> None:
    table = study.table()
    runs = table.drop_duplicates(["sorter", "kind", "repeat"])
    means = table.groupby(["sorter", "kind"], sort=False)[["accuracy", "precision", "recall"]].mean()
    means.index = [" ".join(name) for name in means.index]
    effects = pd.concat([study.effects(metric=metric).assign(metric=metric) for metric in ("accuracy", "recall")])
    figures = {
        "units": options.units,
        "channels": options.channels,
        "seconds": options.seconds,
        "runs": runs.groupby(["sorter"], sort=False).size().to_dict(),
        "failed": [" ".join(key) for key in study.failures],
        "joint firing": joint_firing(named),
        "mean over units": rounded(means, 4),
        "effects, against trials permuted per unit": [
            {key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()}
            for row in effects.to_dict("records")
        ],
        "recall in collisions": recall_by_correlation(study.collisions()),
        "median run_time_s": runs.groupby("sorter", sort=False)["run_time_s"].median().round(1).to_dict(),
    }
    record("sorters", figures)
    study.plot().savefig(RESULTS / "sorters.png", dpi=110)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=str(Path(tempfile.gettempdir()) / "spikeinterface_gen_sorters"))
    parser.add_argument("--model", default=None, help="a fitted model; default: fit one, in the folder")
    parser.add_argument("--fit-minutes", type=float, default=10.0)
    parser.add_argument("--units", type=int, default=40)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--sorter", default=SORTER)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--others", nargs="*", default=list(OTHERS))
    parser.add_argument("--other-repeats", type=int, default=3)
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--write-only", action="store_true", help="write what has been run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
