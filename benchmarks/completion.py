"""Co-smoothing and forecasting with one trained model, in bits per spike (Neural Latents Benchmark).

    OMP_NUM_THREADS=1 python benchmarks/completion.py [--minutes 4] [--samples 8]

The bundled session, units of at least 1 Hz, an 80/20 split. A quarter of the units is predicted from the others, and
the last quarter of each held-out trial from the first three; beside it what the PSTH says, and the rates of the
encoder with the unknown entries hidden, as it was trained with, which is no sample but one estimate.
"""

import argparse

import numpy as np
from _record import record
from _session import recorded_session

from spikeinterface_gen import LDNS, bits_per_spike
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.randomness import uniforms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--samples", type=int, default=8)
    options = parser.parse_args()
    train, test = recorded_session().split((0.8, 0.2), seed=0)
    model = LDNS().fit(train, seed=0, max_minutes=options.minutes, progress=False)
    psth = PSTHPoisson().fit(train).expected_counts_ * (1000.0 / test.bin_size_ms)
    units = np.broadcast_to(uniforms(0, "held out", 0, (test.num_units,)) >= 0.25, test.counts.shape[1:])
    bins = np.broadcast_to((np.arange(test.max_bins) < 0.75 * test.max_bins)[:, None], test.counts.shape[1:])
    figures = {}
    for task, known in (("co-smoothing", units), ("forecast", bins)):
        predictions = {
            "completion": model.complete_rates(test, known, num_samples=options.samples, seed=0),
            "one sample": model.complete_rates(test, known, num_samples=1, seed=0),
            "PSTH": np.broadcast_to(psth[: test.max_bins], test.counts.shape),
        }
        if task == "co-smoothing":
            networks, share = model.networks_, 1 - known.mean()
            z = networks.encode(test.counts * known.astype(test.counts.dtype), test.mask, share_hidden=float(share))
            predictions["encoder"] = networks.expected_counts(z) * (1000.0 / test.bin_size_ms)
        figures[task] = {name: round(bits_per_spike(test, r, scored=~known), 4) for name, r in predictions.items()}
        print(task, figures[task], flush=True)
    record("completion", {"data": f"{test}", "bits_per_spike": figures})


if __name__ == "__main__":
    main()
