"""Time of a bin in a stream of spikes, on one core, against the duration of a bin; and its distance from the batch.

    OMP_NUM_THREADS=1 python benchmarks/streaming.py [--bins 2000]

Encoders of the default width and depth, causal, untrained: what a bin costs does not depend on the weights.
"""

import argparse
import time

import numpy as np
import torch
from _record import record

from spikeinterface_gen import LDNS, SpikeCounts
from spikeinterface_gen.models.ldns_networks import build_networks
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.models.streaming import SpikeStream

SIZES = {"100 units": 100, "400 units": 400, "1000 units": 1000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bins", type=int, default=2000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = {}
    for name, num_units in SIZES.items():
        rng = np.random.default_rng(0)
        small = SpikeCounts(rng.poisson(0.1, (8, 20, num_units)), 10.0, trial_locked=False)
        population = Population.of(small, small.max_bins)
        networks = build_networks(LDNS(causal=True).settings(), population, binary=False).eval()
        spikes = SpikeCounts(rng.poisson(0.1, (1, options.bins, num_units)), 10.0, trial_locked=False)
        stream, latents, cpu_ms = SpikeStream(networks, population), [], []
        for counts in spikes.counts[0]:
            started = time.process_time()
            latents.append(stream.push(counts)[0])
            cpu_ms.append(1000 * (time.process_time() - started))
        difference = np.abs(np.array(latents) - networks.encode(spikes.counts)[0]).max()
        figures[name] = {
            "cpu_ms_a_bin, median": round(float(np.median(cpu_ms)), 3),
            "cpu_ms_a_bin, 99 %": round(float(np.quantile(cpu_ms, 0.99)), 3),
            "largest_difference_from_the_batch, latents": float(f"{difference:.1e}"),
        }
    record("streaming", {"bins": options.bins, "sizes": figures})


if __name__ == "__main__":
    main()
