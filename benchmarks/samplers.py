"""Samplers of one fitted model: steps × sampler × metrics × time, beside the 1000-step reference and the floor.

    OMP_NUM_THREADS=1 python benchmarks/samplers.py [--model NAME] [--minutes 4] [--trials 128] [--repeats 3]

Of the bundled session, an 80/20 split; ``--model`` takes a fit of its training trials (seed 0), such as the bundled
"steinmetz2019", instead of fitting one to units of at least 1 Hz. "variance" is that of the latents, per dimension,
relative to the reference: the largest deviation of the mean over repeats. The metrics are those of the LDNS paper
against held-out trials, the mean over repeats as ratio to the floor, with the s.d. over repeats: what is within it of
the reference is as good.
"""

import argparse
import time

import numpy as np
from _record import record
from _session import recorded_session

from spikeinterface_gen import LDNS, load_dataset, load_model
from spikeinterface_gen.validation.distances import compare, floors

GRID = {
    "modal": (4, 6, 8, 12, 24),
    "angular": (4, 6, 8, 12, 24),
    "dpmpp": (8, 12, 16, 32),
    "heun": (6, 9, 18),
    "ddim": (12, 25, 50, 100),
    "ddpm": (1000,),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--trials", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.model:
        model = load_model(options.model)
        counts = load_dataset("steinmetz2019").select_units(model.population_.unit_ids)
    else:
        counts = recorded_session()
    train, test = counts.split((0.8, 0.2), seed=0)
    if not options.model:
        model = LDNS().fit(train, seed=0, max_minutes=options.minutes, progress=False)
    floor = {metric: float(np.median(floors(test, train, metric))) for metric in compare(test, train[: len(test)])}
    figures = {
        "data": f"{counts}",
        "trials": options.trials,
        "repeats": options.repeats,
        "floor": floor,
        "samplers": {},
    }
    variances = {}
    for sampler in reversed(GRID):
        for steps in GRID[sampler]:
            row, variances[sampler, steps] = judged(model, test, floor, sampler, steps, options)
            reference = variances["ddpm", 1000]
            row["variance"] = round(float(np.abs(variances[sampler, steps] / reference - 1).max()), 3)
            figures["samplers"][f"{sampler}, {steps} steps"] = row
            print(sampler, steps, row, flush=True)
    record("samplers", figures)


def judged(model, test, floor, sampler, steps, options) -> tuple[dict, np.ndarray]:
    variances, seconds, ratios = [], [], {metric: [] for metric in floor}
    for seed in range(options.repeats):
        started = time.process_time()
        latents = model.sample_latents(options.trials, sampler=sampler, steps=steps, seed=seed)
        seconds.append(time.process_time() - started)
        variances.append(latents.var(axis=(0, 1)))
        synthetic = model.sample(len(test), sampler=sampler, steps=steps, seed=seed)
        for metric, value in compare(test, synthetic).items():
            ratios[metric].append(value / floor[metric])
    row = {"cpu_ms_a_trial": round(1000 * min(seconds) / options.trials, 2)}
    for metric, values in ratios.items():
        row[metric] = round(float(np.mean(values)), 3)
        row[f"{metric}, s.d."] = round(float(np.std(values)), 3)
    return row, np.mean(variances, axis=0)


if __name__ == "__main__":
    main()
