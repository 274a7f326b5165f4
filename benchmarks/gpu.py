"""A GPU beside the CPU of the same machine: one fit, and drawing as many trials as the paper does.

    python benchmarks/gpu.py [--minutes 5] [--trials 2000] [--device cuda]

The reaching simulator in the shape of MC_Maze: 2008 training trials of 140 bins and 182 units. ``fit`` says how many
steps each stage took in so many minutes on the GPU, and the held-out loss it came to. Then the same model draws trials
on both devices: latents, and whole trials with the counts, whose drawing is the CPU's part. Medians of three draws; the
first, which compiles and caches, is told by itself. "latents apart" is the largest difference between those of both
devices, relative to their standard deviation. The metrics of trials drawn on either device tell whether that matters.
"""

import argparse
import statistics
import sys
import time

import numpy as np
import torch
from _record import record

from spikeinterface_gen import LDNS, load_dataset
from spikeinterface_gen.devices import has_bfloat16
from spikeinterface_gen.validation.distances import compare, floors

NUM_TRAIN = 2008
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU is here: this benchmark needs one (--device cpu tries the script itself).")
    counts = load_dataset("reaching")
    train, test = counts[:NUM_TRAIN], counts[NUM_TRAIN:]
    started = time.monotonic()
    model = LDNS().fit(train, seed=0, max_minutes=options.minutes, accelerator=device.type, progress=False)
    fit = {"fit_s": round(time.monotonic() - started, 1)}
    for name, report in model.reports_.items():
        fit[name] = {"steps": report.steps, "best held-out loss": round(float(report.best_loss), 4)}
    floor = {name: float(np.median(floors(test, train, name))) for name in compare(test, train[: len(test)])}
    drawn, latents = {}, []
    for where in dict.fromkeys([device, torch.device("cpu")]):
        model.to(where)
        latents.append(model.sample_latents(256, seed=1))
        metrics = compare(test, model.sample(len(test), seed=1))
        drawn[str(where)] = {
            "latents": timed(lambda: model.sample_latents(options.trials, seed=1), where),
            "trials": timed(lambda: model.sample(options.trials, seed=1), where),
            "ratio to floor": {name: round(metrics[name] / floor[name], 3) for name in floor},
        }
    apart = float(np.abs(latents[0] - latents[-1]).max() / latents[0].std())
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "none"
    record(
        "gpu",
        {
            "gpu": name,
            "bfloat16": has_bfloat16(device),
            "data": f"{train}",
            "fit": fit,
            f"drawing {options.trials} trials": drawn,
            "latents apart": round(apart, 6),
        },
    )


def timed(draw, device: torch.device) -> dict:
    """Seconds of the first draw and the median of those after it; GPU memory at its highest, in MiB."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for _ in range(REPEATS + 1):
        started = time.monotonic()
        draw()  # Ends with a copy to the CPU, for which the GPU is waited for.
        seconds.append(time.monotonic() - started)
    told = {"first_s": round(seconds[0], 3), "median_s": round(statistics.median(seconds[1:]), 3)}
    if device.type == "cuda":
        told["memory_mib"] = round(torch.cuda.max_memory_allocated(device) / 2**20)
    return told


if __name__ == "__main__":
    main()
