"""LDNS with default settings on the bundled session, beside its floor and beside a PSTH Poisson model.

    python benchmarks/bundled_session.py [--fits 3] [--minutes 4]

Units of at least 1 Hz; 80/20 splits at random, one fit each, and one split by time. Every ratio is the median over
20 floors of equal numbers of trials with its interval; over fits, the median and the range are given.
"""

import argparse
import time

from _record import median_and_range, record
from _session import recorded_session

from spikeinterface_gen import LDNS, validate
from spikeinterface_gen.models.psth import PSTHPoisson

METRICS = ("population_count", "correlation", "isi_mean", "isi_sd", "rate", "fano_factor", "cv2", "autocorrelogram")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=4.0)
    options = parser.parse_args()
    counts = recorded_session()
    splits = {f"random {seed}": counts.split((0.8, 0.2), seed=seed) for seed in range(options.fits)}
    splits["last fifth"] = counts.split((0.8, 0.2), by="time")
    figures = {name: judged(*split, options.minutes) for name, split in splits.items()}
    record(
        "bundled_session",
        {
            "data": f"{counts}",
            "fit_minutes_at_most": options.minutes,
            "random splits, median over fits": {
                model: medians([figures[f"random {seed}"][model] for seed in range(options.fits)])
                for model in ("LDNS", "PSTH Poisson")
            },
            "splits": figures,
        },
    )


def judged(train, held_out, minutes: float) -> dict:
    started = time.monotonic()
    model = LDNS().fit(train, seed=0, max_minutes=minutes, progress=False)
    fit_s = time.monotonic() - started
    started = time.monotonic()
    model.sample(len(held_out), seed=1)
    sample_s = time.monotonic() - started
    return {
        "fit_s": round(fit_s, 1),
        "sample_s": round(sample_s, 2),
        "num_steps": model.num_steps_,
        "stage_metrics": model.stage_metrics_.round(3).to_dict("index"),
        "LDNS": figures_of(model, train, held_out),
        "PSTH Poisson": figures_of(PSTHPoisson().fit(train), train, held_out),
    }


def figures_of(model, train, held_out) -> dict:
    """Ratios, excess and agreement against held-out trials; memorisation with as many samples as training trials."""
    report = validate(held_out, model.sample(len(train), seed=1), train=train, num_splits=20, thorough=False)
    table = report.table
    figures = {
        name: {key: rounded(table.loc[name, key]) for key in ("value", "floor", "ratio", "low", "high")}
        for name in METRICS
        if name in table.index
    }
    for key in ("excess", "agreement", "of_ceiling"):
        figures["correlation"][key] = rounded(table.loc["correlation", key])
    if report.membership is not None:
        figures["membership_inference_auc"] = rounded(report.membership.auc)
    return figures


def medians(all_figures: list[dict]) -> dict:
    """Median and range over fits of the figures that are compared with a bar."""
    rows = {f"{name} ratio": [f[name]["ratio"] for f in all_figures] for name in METRICS if name in all_figures[0]}
    for key in ("excess", "agreement", "of_ceiling"):
        rows[f"correlation {key}"] = [f["correlation"][key] for f in all_figures]
    rows["membership_inference_auc"] = [f["membership_inference_auc"] for f in all_figures]
    return {name: median_and_range(values, 4) for name, values in rows.items()}


def rounded(value: float) -> float:
    return round(float(value), 4)


if __name__ == "__main__":
    main()
