"""An hour of retinal waves, drawn block by block: how often waves come, and what is between them.

    python benchmarks/retinal_waves.py --retina FILE.h5 [--minutes 8] [--hours 1] [--fitted FOLDER]

A recording of waves, clipped to 0 or 1 in bins of 20 ms and cut into windows of 10 s, a fifth of them held out. A wave
begins where the count of the population over 100 ms rises above its median by five times its median deviation, both of
the training windows. Each figure compares the held-out windows with equally many of the generated hour and, the floor,
with equally many training windows: medians over 200 random choices, and their ratio. "seams" compares the rate within
half a second of the borders of blocks with that elsewhere.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from _record import record
from shapes import retina

from spikeinterface_gen import LDNS, SpikeCounts, validate
from spikeinterface_gen.randomness import uniforms

SMOOTHED_BINS = 5
DEVIATIONS = 5.0
NUM_CHOICES = 200
FIGURES = ("wave rate", "mean interval", "intervals", "autocorrelation up to 1 s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--retina", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--fitted", help="folder of a model that was fitted so before")
    parser.add_argument("--save", help="folder for the model")
    options = parser.parse_args()
    train, held_out = retina(options.retina).split((0.8, 0.2), seed=0)
    figures = {"data": f"{train}", "held_out_windows": len(held_out)}
    if options.fitted:
        model = LDNS.load(options.fitted)
    else:
        started = time.monotonic()
        model = LDNS().fit(train, seed=0, max_minutes=options.minutes, progress=False)
        figures["fit_s"] = round(time.monotonic() - started, 1)
    if options.save:
        model.save(options.save, overwrite=True)
    started = time.monotonic()
    drawn, seams = hour(model, train, options.hours)
    figures["draw_s"] = round(time.monotonic() - started, 1)
    threshold = wave_threshold(train)
    told = {name: statistics(part, threshold) for name, part in (("held out", held_out), ("drawn", drawn))}
    figures["waves a minute"] = {name: round(60 * float(rate.mean()), 2) for name, (rate, _, _) in told.items()}
    figures["mean interval, s"] = {name: round(mean_interval(found), 3) for name, (_, found, _) in told.items()}
    figures["seams, rate relative to elsewhere"] = round(seams, 4)
    figures["ratio to floor"] = ratios(*(statistics(part, threshold) for part in (held_out, train, drawn)))
    table = validate(held_out, drawn[: len(train)], train=train, thorough=False).table
    figures["validation"] = {
        name: round(float(table.loc[name, "ratio"]), 3)
        for name in ("population_count", "correlation", "isi_mean", "isi_sd", "fano_factor", "autocorrelogram")
    }
    record("retinal_waves", figures)


def hour(model: LDNS, train: SpikeCounts, hours: float) -> tuple[SpikeCounts, float]:
    """A running session cut into windows as long as those of the training, and its rate at borders of blocks."""
    session = model.run(seed=1)
    bins = round(hours * 3_600_000 / train.bin_size_ms)
    blocks = [next(session).counts[0] for _ in range(-(-bins // session.block_bins))]
    counts = np.concatenate(blocks)
    near = round(500 / train.bin_size_ms)
    to_border = np.abs((np.arange(len(counts)) + near) % session.block_bins - near)
    population = counts.sum(axis=1, dtype=np.float64)
    at_border = (to_border <= near) & (np.arange(len(counts)) > session.block_bins / 2)
    whole = bins // train.max_bins * train.max_bins
    windows = counts[:whole].reshape(-1, train.max_bins, train.num_units)
    drawn = SpikeCounts(windows, train.bin_size_ms, train.unit_ids, trial_locked=False)
    return drawn, float(population[at_border].mean() / population[~at_border].mean())


def smoothed(counts: SpikeCounts) -> np.ndarray:
    """Count of the population over 100 ms, shape (windows, bins)."""
    total = np.cumsum(np.pad(counts.counts.sum(axis=2, dtype=np.int64), ((0, 0), (1, 0))), axis=1)
    return total[:, SMOOTHED_BINS:] - total[:, :-SMOOTHED_BINS]


def wave_threshold(train: SpikeCounts) -> float:
    population = smoothed(train)
    median = np.median(population)
    return float(median + DEVIATIONS * 1.4826 * np.median(np.abs(population - median)))


def statistics(counts: SpikeCounts, threshold: float) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Waves/s of each window, intervals between its waves in s, and products of the population's count at lags."""
    above = smoothed(counts) > threshold
    bin_s = counts.bin_size_ms / 1000.0
    onsets = [np.flatnonzero(row[1:] & ~row[:-1]) for row in above]
    # A wave that dips below the threshold for a moment is one wave.
    onsets = [found[np.diff(found, prepend=-1000) > 2 * SMOOTHED_BINS] for found in onsets]
    rate = np.array([len(found) for found in onsets]) / (counts.max_bins * bin_s)
    population = counts.counts.sum(axis=2, dtype=np.float64)
    lags = range(round(1.0 / bin_s) + 1)
    products = [(population[:, lag:] * population[:, : population.shape[1] - lag]).mean(axis=1) for lag in lags]
    return rate, [np.diff(found) * bin_s for found in onsets], np.column_stack([population.mean(axis=1), *products])


def mean_interval(intervals: list[np.ndarray]) -> float:
    return float(np.concatenate(intervals).mean())


def autocorrelation(sums: np.ndarray) -> np.ndarray:
    mean, *products = sums.mean(axis=0)
    covariance = np.array(products) - mean**2
    return covariance[1:] / covariance[0]


def distances(one: tuple, other: tuple) -> dict[str, float]:
    from scipy.stats import wasserstein_distance

    return {
        "wave rate": abs(one[0].mean() - other[0].mean()),
        "mean interval": abs(mean_interval(one[1]) - mean_interval(other[1])),
        "intervals": wasserstein_distance(np.concatenate(one[1]), np.concatenate(other[1])),
        "autocorrelation up to 1 s": np.sqrt(np.square(autocorrelation(one[2]) - autocorrelation(other[2])).mean()),
    }


def ratios(held_out: tuple, train: tuple, drawn: tuple) -> dict[str, dict[str, float]]:
    number = len(held_out[0])

    def chosen(part: tuple, which: np.ndarray) -> tuple:
        return part[0][which], [part[1][i] for i in which], part[2][which]

    found: dict[str, dict[str, list[float]]] = {name: {"floor": [], "drawn": []} for name in FIGURES}
    for choice in range(NUM_CHOICES):
        for label, part in (("floor", train), ("drawn", drawn)):
            order = np.argsort(uniforms(0, f"benchmark waves {label}", choice, (len(part[0]),)))
            for name, value in distances(held_out, chosen(part, order[:number])).items():
                found[name][label].append(float(value))
    told = {}
    for name, values in found.items():
        floor, value = (float(np.median(values[label])) for label in ("floor", "drawn"))
        told[name] = {"floor": round(floor, 5), "drawn": round(value, 5), "ratio": round(value / floor, 3)}
    return told


if __name__ == "__main__":
    main()
