"""What a fit and a draw cost, in time and memory, against trials, bins and units.

    OMP_NUM_THREADS=1 python benchmarks/cost.py [--steps 20] [--axes trials bins units]

Poisson counts, 0.1 a bin. Each point is a process of its own, which fits so many steps of each stage and what follows
them, in at most a minute, and draws 64 trials; a first fit and draw of a few units warm it up. The time of a step is
that of the autoencoder's training and of the denoiser's, evaluations included; memory is the most that the process held
beyond what it held after the warm-up. One size grows at a time. "slope" is that of the logarithms over the larger half
of the sizes: 1 is linear. Axes that are not asked for stay as they were measured before.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import date

import numpy as np
from _record import RESULTS, record

STARTING = {"trials": 200, "bins": 50, "units": 50}
SIZES = {
    "trials": (200, 500, 1000, 2000, 5000, 10_000),
    "bins": (50, 200, 500, 1000, 2000, 5000, 10_000),
    "units": (50, 200, 500, 1000, 2000, 5000),
}
COSTS = {"step_s": "training step, s", "sample_s": "drawing 64 trials, s", "memory_mib": "memory, MiB"}
STAGES = ("autoencoder", "denoiser")
DRAWN = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--axes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--point", type=int, nargs=3, metavar=("TRIALS", "BINS", "UNITS"), help="one point, to stdout")
    options = parser.parse_args()
    if options.point:
        print(json.dumps(point(*options.point, options.steps)))
        return
    figures = {"steps": options.steps, "others are": STARTING, **measured_before(options.axes)}
    for axis in options.axes:
        rows = {}
        for size in SIZES[axis]:
            shape = STARTING | {axis: size}
            if axis == "bins":
                # Fewer trials, so that the longest fit into memory.
                shape["trials"] = 40
            rows[str(size)] = in_a_process(*shape.values(), options.steps)
            print(axis, size, rows[str(size)], flush=True)
        figures[axis] = {"sizes": rows, "slope": slopes(rows), "measured on": f"{date.today()}"}
    plot(figures)
    record("cost", figures)


def measured_before(axes: list[str]) -> dict:
    """Of the other axes."""
    path = RESULTS / "cost.json"
    if set(axes) == set(SIZES) or not path.exists():
        return {}
    before = json.loads(path.read_text(encoding="utf-8"))
    return {axis: before[axis] for axis in SIZES if axis not in axes}


def in_a_process(*arguments: int) -> dict[str, float]:
    *shape, steps = map(str, arguments)
    command = [sys.executable, __file__, "--steps", steps, "--point", *shape]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(told.splitlines()[-1])


def point(num_trials: int, num_bins: int, num_units: int, steps: int) -> dict[str, float]:
    from spikeinterface_gen import LDNS, SpikeCounts

    def population(*shape: int) -> SpikeCounts:
        return SpikeCounts(np.random.default_rng(0).poisson(0.1, shape).astype(np.uint8), 10.0)

    LDNS().fit(population(20, 20, 8), num_steps=2, progress=False).sample(2, seed=0)
    before = most_held_mib()
    counts = population(num_trials, num_bins, num_units)
    started = time.monotonic()
    model = LDNS().fit(counts, seed=0, num_steps=steps, max_minutes=1.0, progress=False)
    fitted = time.monotonic()
    model.sample(DRAWN, seed=0)
    return {
        "step_s": round(sum(model.reports_[stage].seconds / model.reports_[stage].steps for stage in STAGES), 4),
        "fit_s": round(fitted - started, 2),
        "sample_s": round(time.monotonic() - fitted, 2),
        "memory_mib": round(most_held_mib() - before),
    }


def most_held_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def slopes(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    late = slice(len(rows) // 2 - 1, None)
    sizes = np.log([float(size) for size in rows])[late]
    costs = {cost: np.log([max(row[cost], 1e-3) for row in rows.values()])[late] for cost in COSTS}
    return {cost: round(float(np.polyfit(sizes, values, 1)[0]), 2) for cost, values in costs.items()}


def plot(figures: dict) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(COSTS), len(SIZES), figsize=(10, 7.5), sharex="col", sharey="row")
    for column, axis in enumerate(SIZES):
        rows = figures[axis]["sizes"]
        sizes = np.array([float(size) for size in rows])
        for row, (cost, label) in enumerate(COSTS.items()):
            values = np.array([found[cost] for found in rows.values()])
            panel = axes[row, column]
            panel.loglog(sizes, values, "o-", color="C0", ms=4)
            panel.loglog(sizes, values[-1] * sizes / sizes[-1], ":", color="0.5", lw=1)
            panel.set_title(f"slope {figures[axis]['slope'][cost]:g}", fontsize=8)
            if column == 0:
                panel.set_ylabel(label)
        axes[-1, column].set_xlabel(axis)
    figure.suptitle("dotted: linear", fontsize=9)
    figure.tight_layout()
    figure.savefig(RESULTS / "cost.png", dpi=120)


if __name__ == "__main__":
    main()
