"""LDNS on the Lorenz system of its paper: rates against the truth, and the four metrics after 5, 10 and 20 minutes.

    python benchmarks/lorenz.py [--minutes 5 10 20] [--save FOLDER]

128 units, 3500 training trials of 256 bins, 500 for early stopping, 1000 for the test: 1000 generated trials against
them, beside the floor of equally many training trials.
"""

import argparse
import time

import numpy as np
from _record import record

from spikeinterface_gen import LDNS, load_dataset, validate

PAPER_SPLIT = (3500, 500, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[5.0, 10.0, 20.0])
    parser.add_argument("--save", help="folder for the model of the last fit")
    options = parser.parse_args()
    data = load_dataset("lorenz", return_truth=True)
    borders = np.cumsum(PAPER_SPLIT)
    train, validation, test = (
        data.counts[slice(stop - size, stop)] for size, stop in zip(PAPER_SPLIT, borders, strict=True)
    )
    true_rates = data.rates[borders[1] : borders[2]]
    fits = {}
    for minutes in options.minutes:
        model, fits[f"{minutes:g} minutes"] = judged(train, validation, test, true_rates, minutes)
    if options.save:
        model.save(options.save, overwrite=True)
    record("lorenz", {"data": f"{data.counts}", "split": PAPER_SPLIT, "fits": fits})


def judged(train, validation, test, true_rates, minutes: float) -> tuple[LDNS, dict]:
    started = time.monotonic()
    model = LDNS().fit(train, validation=validation, seed=0, max_minutes=minutes, progress=False)
    fit_s = time.monotonic() - started
    started = time.monotonic()
    synthetic = model.sample(len(test), seed=1)
    sample_s = time.monotonic() - started
    report = validate(test, synthetic, train=train, num_splits=20, thorough=False)
    rates = model.rates(test) * test.bin_size_ms / 1000.0
    pooled, per_unit = r_squared(true_rates, rates)
    metrics = ("population_count", "correlation", "isi_mean", "isi_sd")
    return model, {
        "fit_s": round(fit_s, 1),
        "num_steps": model.num_steps_,
        "sample_ms_a_trial": round(1000 * sample_s / len(test), 2),
        "rates_r2_pooled, held-out trials": round(pooled, 4),
        "rates_r2_mean_over_units, held-out trials": round(per_unit, 4),
        "metrics": {
            name: {key: round(float(row[key]), 5) for key in ("value", "floor", "ratio", "low", "high")}
            for name, row in report.table.loc[list(metrics)].iterrows()
        },
        "stage_metrics": model.stage_metrics_.round(3).to_dict("index"),
    }


def r_squared(true: np.ndarray, estimated: np.ndarray) -> tuple[float, float]:
    """R² of the rates, pooled over all entries and as the mean over units."""
    residual = np.square(true - estimated).sum(axis=(0, 1), dtype=np.float64)
    total = np.square(true - true.mean(axis=(0, 1))).sum(axis=(0, 1), dtype=np.float64)
    pooled = 1 - residual.sum() / np.square(true - true.mean()).sum(dtype=np.float64)
    return float(pooled), float(np.mean(1 - residual / total))


if __name__ == "__main__":
    main()
