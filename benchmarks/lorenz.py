"""LDNS on the Lorenz system of its paper: rates against the truth, and the four metrics after 5, 10 and 20 minutes.

    python benchmarks/lorenz.py [--minutes 5 10 20] [--save FOLDER] [--fitted FOLDER]

128 units, 3500 training trials of 256 bins, 500 for early stopping, 1000 for the test. The four metrics of 1000
generated trials against these are medians over five draws, with the lowest and highest, beside the floor, the median
over 20 draws of equally many training trials. ``--fitted`` judges the model of such a fit, saved before, for the last
of ``--minutes``.
"""

import argparse
import time

import numpy as np
from _record import record

from spikeinterface_gen import LDNS, load_dataset
from spikeinterface_gen.validation.distances import compare, floors

NUM_DRAWS = 5
PAPER_SPLIT = (3500, 500, 1000)
METRICS = ("population_count", "correlation", "isi_mean", "isi_sd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[5.0, 10.0, 20.0])
    parser.add_argument("--save", help="folder for the model of the last fit")
    parser.add_argument("--fitted", help="folder of a model that was fitted so before, for the last of --minutes")
    options = parser.parse_args()
    data = load_dataset("lorenz", return_truth=True)
    borders = np.cumsum(PAPER_SPLIT)
    train, validation, test = (
        data.counts[slice(stop - size, stop)] for size, stop in zip(PAPER_SPLIT, borders, strict=True)
    )
    true_rates = data.rates[borders[1] : borders[2]]
    fits = {}
    floor = {name: float(np.median(floors(test, train, name, num_trials=len(test)))) for name in METRICS}
    for minutes in options.minutes:
        figures = {}
        if options.fitted and minutes == options.minutes[-1]:
            model = LDNS.load(options.fitted)
        else:
            started = time.monotonic()
            model = LDNS().fit(train, validation=validation, seed=0, max_minutes=minutes, progress=False)
            figures["fit_s"] = round(time.monotonic() - started, 1)
        fits[f"{minutes:g} minutes"] = figures | judged(model, test, true_rates, floor)
    if options.save:
        model.save(options.save, overwrite=True)
    record("lorenz", {"data": f"{data.counts}", "split": PAPER_SPLIT, "fits": fits})


def judged(model: LDNS, test, true_rates, floor: dict[str, float]) -> dict:
    model.sample(64, seed=0)  # The first draw of a process takes longer.
    started = time.monotonic()
    draws = [model.sample(len(test), seed=seed) for seed in range(1, NUM_DRAWS + 1)]
    sample_s = (time.monotonic() - started) / NUM_DRAWS
    distances = [compare(test, drawn) for drawn in draws]
    ratios = {name: [d[name] / floor[name] for d in distances] for name in METRICS}
    rates = model.rates(test) * test.bin_size_ms / 1000.0
    pooled, per_unit = r_squared(true_rates, rates)
    return {
        "num_steps": model.num_steps_,
        "sample_ms_a_trial": round(1000 * sample_s / len(test), 2),
        "rates_r2_pooled, held-out trials": round(pooled, 4),
        "rates_r2_mean_over_units, held-out trials": round(per_unit, 4),
        "metrics": {
            name: {
                "floor": round(floor[name], 6),
                "ratio": round(float(np.median(values)), 3),
                "low": round(min(values), 3),
                "high": round(max(values), 3),
            }
            for name, values in ratios.items()
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
