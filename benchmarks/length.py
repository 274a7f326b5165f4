"""Sixteen times the length it learned from: LDNS on windows of the Lorenz attractor, drawn in one piece.

    python benchmarks/length.py [--minutes 10] [--trials 100] [--times 16]

Windows of 256 bins of one stationary process (the Lorenz system standardised over the whole set). Trials of 4096 bins,
drawn and simulated, are compared with other simulated ones; beside them, drawn trials of one window's length. "Drift"
is the population's rate in each sixteenth of the trials relative to that of all: the largest deviation.
"""

import argparse
import time

import numpy as np
from _record import record

from spikeinterface_gen import LDNS, SpikeCounts, load_dataset, validate

BINS = 256
METRICS = ("population_count", "correlation", "isi_mean", "isi_sd", "rate", "fano_factor", "autocorrelogram")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--times", type=int, default=16)
    parser.add_argument("--windows", type=int, default=3500, help="to learn from")
    options = parser.parse_args()
    windows = load_dataset("lorenz", standardise="all", num_trials=options.windows)
    model = LDNS().fit(windows, seed=0, max_minutes=options.minutes, progress=False)
    figures = {"data": f"{windows}", "fit_minutes_at_most": options.minutes, "trials": options.trials}
    for times in (1, options.times):
        figures[f"{times} times the length"] = judged(model, times * BINS, options.trials)
    record("length", figures)


def judged(model: LDNS, num_bins: int, num_trials: int) -> dict:
    # Trials of a seed begin as the windows do: what the model has seen is left out.
    simulated = load_dataset("lorenz", standardise="all", num_trials=2 * num_trials, num_bins=num_bins + 2 * BINS)
    real, other = (
        SpikeCounts(part.counts[:, 2 * BINS :], part.bin_size_ms, trial_locked=False)
        for part in (simulated[:num_trials], simulated[num_trials:])
    )
    started = time.monotonic()
    drawn = model.sample(num_trials, durations=num_bins * real.bin_size_ms / 1000.0, seed=1)
    seconds = time.monotonic() - started
    table = validate(real, drawn, train=other, num_splits=20, thorough=False).table
    return {
        "bins": num_bins,
        "sample_s": round(seconds, 1),
        "metrics": {
            name: {key: round(float(table.loc[name, key]), 5) for key in ("value", "floor", "ratio", "low", "high")}
            for name in METRICS
        },
        "drift": {"drawn": drift(drawn), "simulated": drift(real)},
        "spikes, drawn to simulated": round(float(drawn.rates_hz.sum() / real.rates_hz.sum()), 4),
    }


def drift(counts: SpikeCounts) -> float:
    parts = counts.counts.reshape(counts.num_trials, 16, -1, counts.num_units).mean(axis=(0, 2, 3), dtype=np.float64)
    return round(float(np.abs(parts / parts.mean() - 1).max()), 4)


if __name__ == "__main__":
    main()
