"""Which planted defects the permutation test finds, at how many trials, and how often it finds one where none is.

    OMP_NUM_THREADS=1 python benchmarks/power.py [--trials 1000 300 100] [--seeds 5] [--false-alarms 60 100 200]

Trials of 1 ms bins from the simulator of ``spikeinterface_gen.validation.planted``: real trials, and as many with a
defect. "flagged" is the share of seeds in which anything was flagged, "named" that in which something that is about
the defect was, "first" how often each metric was the most conspicuous one. Copies of training trials are what the
comparison with training trials must find: their spikes are real. Real trials in the place of synthetic ones are
compared with real and with training trials, so that all that can be flagged has the chance; intervals of shares are
Clopper and Pearson's (95 %).

Every comparison is written to results/power_outcomes.jsonl as soon as it is made: stopped and called again, the
benchmark goes on where it was, as long as the code that it measures is the same.
"""

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
from _record import RESULTS, record
from scipy.stats import binomtest

import spikeinterface_gen.validation as package
from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.validation.copies import num_copies
from spikeinterface_gen.validation.design import Design
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.metrics import METRICS
from spikeinterface_gen.validation.permutation import LEVEL, MaximumTest, permutation_test
from spikeinterface_gen.validation.planted import DEFECTS, Simulator, training_seed
from spikeinterface_gen.validation.privacy import membership_inference

OUTCOMES = RESULTS / "power_outcomes.jsonl"
MEASURED = """coincidences copies design events interspike layout metrics permutation planted privacy sample_distances
statistics sums trial_features""".split()
REAL = "real against real"
EFFECTS = ("rate", "psth", "isi_mean", "cv2", "correlation", "cross_correlogram", "drift", "fano_factor")


def code() -> str:
    """Hash of what is measured: outcomes of other code are not mixed with those of this one."""
    folder = Path(package.__file__).parent
    return hashlib.sha256(b"".join((folder / f"{name}.py").read_bytes() for name in MEASURED)).hexdigest()[:16]


def tested(real: SpikeCounts, synthetic: SpikeCounts) -> MaximumTest:
    design = Design(real, synthetic, None, real.num_trials, seed=0, layout=Layout.of(real, synthetic))
    return permutation_test(METRICS, design, num_permutations=199)


def flagged(test: MaximumTest) -> list[str]:
    """Names of what was flagged, the most conspicuous first."""
    return sorted((name for name, p in test.p.items() if p <= LEVEL), key=lambda name: -test.scores[name])


def memorised(synthetic: SpikeCounts, train: SpikeCounts, real: SpikeCounts) -> list[str]:
    copied = num_copies(synthetic, train) > 0 or membership_inference(synthetic, train, real).found
    return ["memorisation"] if copied else []


def planted(simulator: Simulator, name: str, num_trials: int, seed: int) -> dict:
    """What is flagged of trials with this defect."""
    defect = DEFECTS[name]
    real, synthetic = drawn(simulator, num_trials, 500 + seed), defect.make(simulator, num_trials, seed)
    if "memorisation" in defect.named_by:
        return {"flagged": memorised(synthetic, simulator.draw(2 * num_trials, training_seed(seed)), real)}
    return {"flagged": flagged(tested(real, synthetic))}


def nothing(simulator: Simulator, num_trials: int, seed: int) -> dict:
    """What is flagged of real trials in the place of synthetic ones, and the smallest effects that would have been."""
    real, synthetic, train = (simulator.draw(num_trials, 20_000 + 3 * seed + side) for side in range(3))
    test = tested(real, synthetic)
    return {
        "flagged": flagged(test) + memorised(synthetic, train, real),
        "detectable": {name: float(f"{test.detectable[name]:.3g}") for name in EFFECTS},
    }


@lru_cache(maxsize=1)  # all defects of a seed share the real trials
def drawn(simulator: Simulator, num_trials: int, seed: int) -> SpikeCounts:
    return simulator.draw(num_trials, seed)


class Outcomes:
    """Comparisons that were made, in a file that grows by a line with each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.code = code()
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self.known = {}
        for line in lines:
            try:
                outcome = json.loads(line)
            except ValueError:
                continue  # cut short when the benchmark was stopped
            if outcome["code"] == self.code:
                self.known[outcome["size"], outcome["case"], outcome["seed"]] = outcome

    def add(self, size: str, case: str, seed: int, measure: Callable[..., dict], *arguments: object) -> None:
        """Measure a comparison, unless it was measured before."""
        key = size, case, seed
        if key in self.known:
            return
        started = time.process_time()
        outcome = {"code": self.code, "size": size, "case": case, "seed": seed, **measure(*arguments)}
        outcome["processor_s"] = round(time.process_time() - started, 2)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(outcome) + "\n")
        print(size, case, seed, outcome["flagged"][:4], f"{outcome['processor_s']} s", flush=True)
        self.known[key] = outcome

    def of(self, size: str, case: str) -> list[dict]:
        return [outcome for key, outcome in sorted(self.known.items()) if key[:2] == (size, case)]

    def sizes(self) -> list[str]:
        return sorted({size for size, _, _ in self.known}, key=lambda size: int(size.split()[2]))


def share(hits: Iterable[bool]) -> dict[str, float | int | list[float]]:
    hits = list(hits)
    interval = binomtest(sum(hits), len(hits)).proportion_ci()
    return {
        "comparisons": len(hits),
        "flagged": sum(hits),
        "share": round(sum(hits) / len(hits), 4),
        "interval": [round(interval.low, 4), round(interval.high, 4)],
    }


def power(outcomes: list[dict], named_by: tuple[str, ...]) -> dict:
    found = [outcome["flagged"] for outcome in outcomes]
    return {
        "seeds": len(found),
        "flagged": float(np.mean([bool(names) for names in found])),
        "named": float(np.mean([bool({*names} & {*named_by}) for names in found])),
        "first": dict(Counter(names[0] for names in found if names).most_common()),
    }


def summarised(outcomes: Outcomes) -> dict:
    """All that is known: power by defect and size, false alarms by size and together."""
    sizes = {}
    for size in outcomes.sizes():
        of_real = outcomes.of(size, REAL)
        by_defect = {name: (outcomes.of(size, name), defect.named_by) for name, defect in DEFECTS.items()}
        everything = [*of_real, *(outcome for of_defect, _ in by_defect.values() for outcome in of_defect)]
        sizes[size] = {
            "planted defects": {name: power(*found) for name, found in by_defect.items() if found[0]},
            "processor_s of a comparison, median": float(np.median([o["processor_s"] for o in everything])),
        }
        if of_real:
            sizes[size][REAL] = share(bool(outcome["flagged"]) for outcome in of_real)
            sizes[size]["smallest differences flagged in 4 of 5 cases, median"] = {
                name: float(f"{np.median([outcome['detectable'][name] for outcome in of_real]):.3g}")
                for name in EFFECTS
            }
    all_real = [outcome for size in sizes for outcome in outcomes.of(size, REAL)]
    together = {f"{REAL}, all sizes": share(bool(outcome["flagged"]) for outcome in all_real)} if all_real else {}
    return {"data": "simulated trials of 1 s in bins of 1 ms, about 10 Hz", **together, "sizes": sizes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 300, 100])
    parser.add_argument("--seeds", type=int, default=5, help="of each defect, at each size")
    parser.add_argument(
        "--false-alarms", type=int, nargs="+", default=[60, 100, 200], help="comparisons of real with real, by size"
    )
    parser.add_argument("--units", type=int, default=30)
    options = parser.parse_args()
    if len(options.false_alarms) != len(options.trials):
        parser.error("--false-alarms needs a number for each of --trials")
    simulator, outcomes = Simulator(options.units), Outcomes(OUTCOMES)
    sizes = [f"{options.units} units, {num_trials} trials" for num_trials in options.trials]
    for size, num_trials in zip(sizes, options.trials, strict=True):
        for seed in range(options.seeds):
            for name in DEFECTS:
                outcomes.add(size, name, seed, planted, simulator, name, num_trials, seed)
    record("power", summarised(outcomes))
    for size, num_trials, number in zip(sizes, options.trials, options.false_alarms, strict=True):
        for seed in range(number):
            outcomes.add(size, REAL, seed, nothing, simulator, num_trials, seed)
            if seed % 20 == 19:
                record("power", summarised(outcomes))
    record("power", summarised(outcomes))


if __name__ == "__main__":
    main()
