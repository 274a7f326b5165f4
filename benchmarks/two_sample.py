"""What two-sample tests of whole trials find, how often they find something where nothing is, and what they cost.

    OMP_NUM_THREADS=1 python benchmarks/two_sample.py [--trials 50 200 1000] [--seeds 4 2 1] [--false-alarms 60]

Planted defects of the simulator of ``spikeinterface_gen.validation.planted`` against as many real trials; the
bundled session against Poisson units that follow its PSTH. "flagged" is the share of seeds with a family-wise
p ≤ 0.05, "by" the mean p-value of each distance. The order of trials and copies of training trials are no
difference between whole trials: "drift removed" and "training trials copied" are for other tests.
"""

import argparse
import resource
import time

import numpy as np
from _record import record
from _session import recorded_session

from spikeinterface_gen import co_smoothing, two_sample_tests
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.validation.planted import DEFECTS, Simulator

PERMUTATIONS = 199


def planted(simulator: Simulator, num_trials: int, seeds: int) -> dict[str, dict]:
    figures = {}
    for name, defect in DEFECTS.items():
        reports = [
            two_sample_tests(
                simulator.draw(num_trials, 500 + seed),
                defect.make(simulator, num_trials, seed),
                num_permutations=PERMUTATIONS,
                num_splits=1,
            )
            for seed in range(seeds)
        ]
        figures[name] = {
            "flagged": float(np.mean([report.flagged for report in reports])),
            "by": {
                test: round(float(np.mean([report.tests[test].p_value for report in reports])), 3)
                for test in reports[0].tests
            },
        }
        print(num_trials, name, figures[name], flush=True)
    return figures


def false_alarms(simulator: Simulator, num_trials: int, number: int) -> dict[str, float]:
    reports = [
        two_sample_tests(
            simulator.draw(num_trials, 2000 + 2 * k),
            simulator.draw(num_trials, 2001 + 2 * k),
            num_permutations=PERMUTATIONS,
            num_splits=1,
        )
        for k in range(number)
    ]
    shares = {
        test: round(float(np.mean([report.tests[test].flagged for report in reports])), 3) for test in reports[0].tests
    }
    joint = round(float(np.mean([report.flagged for report in reports])), 3)
    return {"trials": num_trials, "comparisons": number, "flagged by the family": joint, **shares}


def cost(num_trials: int) -> dict[str, float]:
    """Of 200 units in 1000 bins: one population of four simulators."""
    sides = []
    for side in (0, 1):
        parts = [Simulator(50, 1000, seed=k).draw(num_trials, side).counts for k in range(4)]
        sides.append(SpikeCounts(np.concatenate(parts, axis=2), 1.0))
    started, processor = time.perf_counter(), time.process_time()
    two_sample_tests(*sides)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "processor_s": round(time.process_time() - processor, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def bundled() -> dict[str, str]:
    counts = recorded_session()
    train, real = counts.split((0.7, 0.3), seed=0)
    synthetic = PSTHPoisson().fit(train).sample(train.num_trials, seed=0)
    return {
        "Poisson units that follow the PSTH": two_sample_tests(real, synthetic, train=train).summary(),
        "training trials in their place": two_sample_tests(real, train).summary(),
        "co-smoothing": co_smoothing(train, synthetic, real).summary(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[4, 2, 1])
    parser.add_argument("--false-alarms", type=int, default=60)
    parser.add_argument("--cost-trials", type=int, default=1000)
    options = parser.parse_args()
    simulator = Simulator()
    record(
        "two_sample",
        {
            "data": "30 simulated units, trials of 1 s in bins of 1 ms; the bundled session at 1 Hz and more",
            "permutations": PERMUTATIONS,
            "real against real": false_alarms(simulator, 50, options.false_alarms),
            "bundled session": bundled(),
            "planted defects": {
                f"{number} trials": planted(simulator, number, seeds)
                for number, seeds in zip(options.trials, options.seeds, strict=True)
            },
            f"cost of 200 units × {options.cost_trials} trials × 1 s, 999 permutations, 20 splits": cost(
                options.cost_trials
            ),
        },
    )


if __name__ == "__main__":
    main()
