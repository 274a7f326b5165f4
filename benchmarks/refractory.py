"""Intervals below the refractory period, beside the fewest that any placement with these counts has.

    python benchmarks/refractory.py

Of the bundled session, and of Poisson counts that leave little room, or none. Trials lie end to end, or apart.
"""

import numpy as np
from _record import record

from spikeinterface_gen import SpikeCounts, load_dataset
from spikeinterface_gen.frames import bin_edge_frames
from spikeinterface_gen.observation.spike_times import PlacedSpikes, place_spikes


def main() -> None:
    session = load_dataset("steinmetz2019")
    rng = np.random.default_rng(0)
    cases = {"bundled session, 983 units, 1.5 ms": session}
    for mean, period_ms in ((1.0, 1.5), (2.0, 3.0)):
        array = np.minimum(rng.poisson(mean, (100, 50, 20)), 7)
        properties = {"refractory_period_ms": np.full(20, period_ms)}
        cases[f"up to 7 in 10 ms, {mean:g} on average, {period_ms:g} ms"] = SpikeCounts(
            array, 10.0, unit_properties=properties
        )
    told = {}
    for name, counts in cases.items():
        for frequency, gap_s in ((30000.0, 0.0), (30000.0, 0.01), (7572.0, 0.01)):
            placed = place_spikes(counts, sampling_frequency=frequency, seed=0, gap_s=gap_s)
            fewest, short = fewest_violations(counts, placed), placed.forced_violations
            told[f"{name}, {frequency:g} Hz, trials {1000 * gap_s:g} ms apart"] = {
                "spikes": len(placed),
                "short intervals, all reported": int(short.sum()),
                "fewest possible": int(fewest.sum()),
                "of units that need have none": int(short[fewest == 0].sum()),
            }
    record("refractory", told)


def fewest_violations(counts: SpikeCounts, placed: PlacedSpikes) -> np.ndarray:
    """Least number of intervals below the refractory period of each unit, shape (units,).

    Each spike as early as its bin and the one before it allow; a violation only where it would be too late.
    """
    edges = bin_edge_frames(counts.max_bins, counts.bin_size_ms, placed.sampling_frequency)
    period = np.maximum(1, np.ceil(placed.refractory_period_ms * placed.sampling_frequency / 1000.0 - 1e-9)).astype(int)
    fewest = np.zeros(counts.num_units, dtype=np.int64)
    for unit in range(counts.num_units):
        trial, k = np.nonzero(counts.counts[:, :, unit])
        spikes = counts.counts[trial, k, unit]
        low = np.repeat(placed.start_frames[trial] + edges[k], spikes)
        # Those that follow in the bin need a frame each.
        follow = np.repeat(np.cumsum(spikes), spikes) - np.arange(1, spikes.sum() + 1)
        high = np.repeat(placed.start_frames[trial] + edges[k + 1] - 1, spikes) - follow
        last = -(10**9)
        for earliest, latest in zip(low.tolist(), high.tolist(), strict=True):
            place = max(earliest, last + int(period[unit]))
            if place > latest:
                fewest[unit] += 1
                place = max(earliest, last + 1)
            last = place
    return fewest


if __name__ == "__main__":
    main()
