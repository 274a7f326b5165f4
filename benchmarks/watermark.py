"""How little of a marked session suffices to find its watermark, how often one is seen where none is, and what shows.

    python benchmarks/watermark.py [--repeats 20]

The counts are those of the bundled session, so that rates and trial lengths are real.
"""

import argparse
import time

import numpy as np
from _record import record
from scipy import stats

from spikeinterface_gen import SpikeCounts, find_watermark, load_dataset
from spikeinterface_gen.observation.spike_times import PlacedSpikes, place_spikes

KEY = "the key of this benchmark"
MIN_RATE_HZ = 1.0


def part(placed: PlacedSpikes, kept: np.ndarray) -> PlacedSpikes:
    return PlacedSpikes(
        placed.trial[kept], placed.unit[kept], placed.frame[kept], placed.sampling_frequency, placed.trial_frames,
        placed.gap_frames, placed.refractory_period_ms, placed.forced_violations,
    )  # fmt: skip


def found_share(placed: PlacedSpikes, counts: SpikeCounts, units: int, trials: int, repeats: int) -> dict[str, float]:
    """Share of random choices of units and trials in which the mark is found at 1e-6, and the median p-value."""
    rng = np.random.default_rng(units * 1000 + trials)
    results = []
    for _ in range(repeats):
        chosen_units = rng.choice(counts.num_units, units, replace=False)
        chosen_trials = rng.choice(counts.num_trials, trials, replace=False)
        kept = np.isin(placed.unit, chosen_units) & np.isin(placed.trial, chosen_trials)
        results.append(find_watermark(part(placed, kept), KEY, bin_size_ms=counts.bin_size_ms))
    return {
        "units": units,
        "trials": trials,
        "found_share": float(np.mean([result.found for result in results])),
        "median_p": float(np.median([result.p_value for result in results])),
        "median_spikes_compared": float(np.median([result.num_spikes for result in results])),
    }


def intervals(placed: PlacedSpikes) -> np.ndarray:
    order = np.lexsort((placed.frame, placed.unit, placed.trial))
    train = (placed.trial * 10_000 + placed.unit)[order]
    return np.diff(placed.frame[order])[np.diff(train) == 0]


def same(a: np.ndarray, b: np.ndarray, edges: np.ndarray) -> float:
    table = np.stack([np.histogram(values, edges)[0] for values in (a, b)])
    return float(stats.chi2_contingency(table[:, table.sum(axis=0) > 10]).pvalue)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats

    counts = load_dataset("steinmetz2019")
    counts = counts.select_units(counts.unit_ids[counts.rates_hz >= MIN_RATE_HZ])
    started = time.perf_counter()
    plain = place_spikes(counts, seed=1)
    without_s = time.perf_counter() - started
    started = time.perf_counter()
    marked = place_spikes(counts, seed=1, watermark_key=KEY)
    with_s = time.perf_counter() - started
    started = time.perf_counter()
    whole = find_watermark(marked, KEY, bin_size_ms=counts.bin_size_ms)
    search_s = time.perf_counter() - started

    sizes = [(685, 300), (342, 150), (100, 100), (30, 100), (10, 100), (10, 30), (100, 10)]
    alarms = [find_watermark(plain, f"key {k}", bin_size_ms=counts.bin_size_ms).p_value for k in range(repeats)]
    alarms += [find_watermark(marked, f"key {k}", bin_size_ms=counts.bin_size_ms).p_value for k in range(repeats)]

    # Sessions of different seeds, pooled: what recurs between them is marked alike only where nonces agree.
    pooled = {
        "with the key": [place_spikes(counts, seed=k, watermark_key=KEY) for k in range(repeats)],
        "without": [place_spikes(counts, seed=1000 + k) for k in range(repeats)],
    }
    size = round(counts.bin_size_ms * plain.sampling_frequency / 1000.0)
    edges = np.arange(0, 3001, 30)
    visible = {
        name: stats.chisquare(np.bincount(np.concatenate([p.frame % size for p in side]), minlength=size))
        for name, side in pooled.items()
    }
    record(
        "watermark",
        {
            "data": f"counts of the bundled session, {counts.num_units} units, {counts.num_trials} trials",
            "spikes": len(plain),
            "placing_s": round(without_s, 2),
            "placing_with_key_s": round(with_s, 2),
            "searching_whole_session_s": round(search_s, 2),
            "whole_session": {"p": whole.p_value, "spikes_compared": whole.num_spikes},
            "parts": [found_share(marked, counts, *each, repeats) for each in sizes],
            "false_alarms": {
                "searches": len(alarms),
                "smallest_p": float(min(alarms)),
                "p_below_0.05": float(np.mean(np.array(alarms) < 0.05)),
            },
            "pooled_sessions": repeats,
            "places_in_bins_chi2_over_degrees_of_freedom": {
                name: float(test.statistic / (size - 1)) for name, test in visible.items()
            },
            "intervals_with_and_without_key_p": same(
                *(np.concatenate([intervals(p) for p in side]) for side in pooled.values()), edges
            ),
        },
    )


if __name__ == "__main__":
    main()
