"""LDNS with default settings on populations of other shapes than the bundled one, beside a PSTH Poisson model.

    python benchmarks/shapes.py [--minutes 4] [--shapes 30x100x20 …] [--sessions steinmetz2019/*.npz] [--retina FILE.h5]

Shapes are units × trials × bins: sparse units of log-normal rates that read out a Lorenz attractor, as many trials to
learn from as the shape says, and 500 others, or as many as there are, to judge by. Sessions are files of counts of
(trials, bins, units) of Steinmetz et al. (2019), of which units of at least 1 Hz are used, and a fifth of the trials
held out. The retina, a recording of waves, is clipped to 0 or 1 in bins of 20 ms and cut into windows of 10 s.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from _record import median_and_range, record
from _session import active_units

from spikeinterface_gen import LDNS, SpikeCounts, load_dataset, validate
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.observation.draw import draw_poisson
from spikeinterface_gen.randomness import normals, uniforms
from spikeinterface_gen.validation.privacy import membership_inference

SHAPES = ("30x100x20", "1700x100x40", "700x300x40", "100x10000x100")
NUM_HELD_OUT = 500
NUM_DRAWS = 5
BIN_SIZE_MS = 20.0
# Of the logarithm of rates in Hz: mean and s.d. over units; and how strongly units are driven.
LOG_RATE, LOG_RATE_SD, DRIVE = np.log(3.0), 1.0, 0.7
# Expected counts of a bin, at most.
MAX_RATE = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--shapes", nargs="*", default=SHAPES)
    parser.add_argument("--sessions", type=Path, nargs="*", default=[])
    parser.add_argument("--retina", type=Path)
    options = parser.parse_args()
    sources = {shape: lambda shape=shape: simulated(*map(int, shape.split("x"))) for shape in options.shapes}
    sources |= {path.stem: lambda path=path: session(path).split((0.8, 0.2), seed=0) for path in options.sessions}
    if options.retina is not None:
        sources["retina, binary"] = lambda: retina(options.retina).split((0.8, 0.2), seed=0)
    figures = {}
    for name, source in sources.items():
        figures[name] = judged(*source(), options.minutes)
        print(name, figures[name], flush=True)
        record("shapes", {"fit_minutes_at_most": options.minutes, "populations": figures})


def simulated(num_units: int, num_trials: int, num_bins: int) -> tuple[SpikeCounts, SpikeCounts]:
    number = num_trials + min(num_trials, NUM_HELD_OUT)
    latents = load_dataset("lorenz", num_trials=number, num_bins=num_bins, return_truth=True).latents
    weights = loadings(num_units)
    counts = np.empty((number, num_bins, num_units), np.uint8)
    for trial in range(number):
        expected = rates(latents[trial], weights).astype(np.float32)
        counts[trial] = draw_poisson(expected, uniforms(0, "shapes: counts", trial, expected.shape))
    population = SpikeCounts(counts, BIN_SIZE_MS)
    return population[:num_trials], population[num_trials:]


def loadings(num_units: int) -> np.ndarray:
    """Log mean counts of a bin, less half the variance of what latents add, and loadings on these: (1 + 3, units)."""
    directions = DRIVE * normals(0, "shapes: readout", 0, (3, num_units)).astype(np.float64)
    log_rate = LOG_RATE + LOG_RATE_SD * normals(0, "shapes: rates", 0, (num_units,)) + np.log(BIN_SIZE_MS / 1000.0)
    return np.vstack([log_rate - np.square(directions).sum(axis=0) / 2, directions])


def rates(latents: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Expected counts of a bin, shape (…, units), of latents, (…, 3), with :func:`loadings`, (1 + 3, units)."""
    return np.minimum(np.exp(weights[0] + latents @ weights[1:]), MAX_RATE)


def session(path: Path) -> SpikeCounts:
    with np.load(path, allow_pickle=False) as file:
        counts = SpikeCounts(file["counts"], 10.0, t_starts_s=file["trial_t_start_s"])
    return active_units(counts)


def retina(path: Path) -> SpikeCounts:
    counts = load_dataset("retinal_waves", path=path)
    return SpikeCounts(np.minimum(counts.counts, 1), counts.bin_size_ms, num_bins=counts.num_bins, trial_locked=False)


def judged(train: SpikeCounts, held_out: SpikeCounts, minutes: float) -> dict:
    started = time.monotonic()
    model = LDNS().fit(train, seed=0, max_minutes=minutes, progress=False)
    fit_s = time.monotonic() - started
    return {
        "data": f"{train}",
        "held_out_trials": len(held_out),
        "fit_s": round(fit_s, 1),
        "num_steps": model.num_steps_,
        "observation": f"{model.observation_}",
        "LDNS": figures_of(model, train, held_out),
        "PSTH Poisson": figures_of(PSTHPoisson().fit(train), train, held_out),
    }


def figures_of(model, train: SpikeCounts, held_out: SpikeCounts) -> dict:
    number = min(len(train), 1000)
    report = validate(held_out, model.sample(number, seed=1), train=train, thorough=False)
    figures = {
        f"{name} ratio": round(float(report.table.loc[name, "ratio"]), 3)
        for name in ("population_count", "correlation", "isi_mean", "isi_sd", "fano_factor", "autocorrelogram")
        if name in report.table.index
    }
    for key in ("agreement", "excess"):
        figures[f"correlation {key}"] = round(float(report.table.loc["correlation", key]), 3)
    draws = (model.sample(number, seed=seed) for seed in range(NUM_DRAWS))
    auc = [membership_inference(drawn, train, held_out).auc for drawn in draws]
    figures["membership_inference_auc"] = median_and_range(auc, 3)
    return figures


if __name__ == "__main__":
    main()
