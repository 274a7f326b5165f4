"""Which planted defects the permutation test finds, at how many trials, and how often it finds one where none is.

    OMP_NUM_THREADS=1 python benchmarks/power.py [--trials 100 300 1000] [--seeds 1] [--false-alarms 20]

Trials of 1 ms bins from the simulator of ``spikeinterface_gen.validation.planted``; real trials, and as many with a
defect. "flagged" is the share of seeds in which anything was flagged, "named" that in which a metric that is about
the defect was, "first" the most conspicuous metrics of the first seed. Copies of training trials are what the
comparison with training trials must find: their spikes are real. Every size is recorded when it is done, and sizes
that are not measured anew stay as they were.
"""

import argparse
import json
import time

import numpy as np
from _record import RESULTS, record

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.validation.copies import num_copies
from spikeinterface_gen.validation.design import Design
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.metrics import METRICS
from spikeinterface_gen.validation.permutation import LEVEL, MaximumTest, permutation_test
from spikeinterface_gen.validation.planted import DEFECTS, Simulator, training_seed
from spikeinterface_gen.validation.privacy import membership_inference


def tested(real: SpikeCounts, synthetic: SpikeCounts) -> MaximumTest:
    design = Design(real, synthetic, None, real.num_trials, seed=0, layout=Layout.of(real, synthetic))
    return permutation_test(METRICS, design, num_permutations=199)


def flagged(test: MaximumTest) -> list[str]:
    """Names of what was flagged, the most conspicuous first."""
    return sorted((name for name, p in test.p.items() if p <= LEVEL), key=lambda name: -test.scores[name])


def found(simulator: Simulator, name: str, num_trials: int, seed: int) -> list[str]:
    defect = DEFECTS[name]
    real, synthetic = simulator.draw(num_trials, 500 + seed), defect.make(simulator, num_trials, seed)
    if "memorisation" not in defect.named_by:
        return flagged(tested(real, synthetic))
    train = simulator.draw(2 * num_trials, training_seed(seed))
    copied = num_copies(synthetic, train) > 0 or membership_inference(synthetic, train, real).found
    return ["memorisation"] if copied else []


def power(simulator: Simulator, num_trials: int, seeds: int) -> dict[str, dict]:
    figures = {}
    for name, defect in DEFECTS.items():
        all_found = [found(simulator, name, num_trials, seed) for seed in range(seeds)]
        figures[name] = {
            "flagged": float(np.mean([bool(names) for names in all_found])),
            "named": float(np.mean([any(metric in defect.named_by for metric in names) for names in all_found])),
            "first": all_found[0][:4],
        }
        print(num_trials, name, figures[name], flush=True)
    return figures


def false_alarms(simulator: Simulator, num_trials: int, number: int) -> dict[str, float | dict[str, float]]:
    """Share of real-versus-real comparisons in which anything is flagged, and the smallest effects seen."""
    tests = [tested(*(simulator.draw(num_trials, 2000 + 2 * k + side) for side in (0, 1))) for k in range(number)]
    share = float(np.mean([bool(flagged(test)) for test in tests]))
    print(num_trials, "real against real", share, flush=True)
    names = ("rate", "isi_mean", "correlation", "cross_correlogram", "drift", "fano_factor")
    return {
        "comparisons": number,
        "share flagged": share,
        "smallest differences flagged in 4 of 5 cases, median": {
            name: float(f"{np.median([test.detectable[name] for test in tests]):.3g}") for name in names
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--false-alarms", type=int, default=20, help="comparisons of real with real, at each size")
    parser.add_argument("--units", type=int, default=30)
    options = parser.parse_args()
    simulator = Simulator(options.units)
    for num_trials in options.trials:
        started = time.process_time()
        figures = {"seeds": options.seeds, "planted defects": power(simulator, num_trials, options.seeds)}
        if options.false_alarms:
            figures["real against real"] = false_alarms(simulator, num_trials, options.false_alarms)
        figures["processor_s"] = round(time.process_time() - started, 1)
        keep(f"{options.units} units, {num_trials} trials", figures)


def keep(size: str, figures: dict) -> None:
    path = RESULTS / "power.json"
    known = json.loads(path.read_text(encoding="utf-8"))["sizes"] if path.exists() else {}
    data = "simulated trials of 1 s in bins of 1 ms, about 10 Hz"
    record("power", {"data": data, "sizes": {**known, size: figures}})


if __name__ == "__main__":
    main()
