"""Few trials of new units, learned from random weights and from a model of other units of the bundled session.

    python benchmarks/start_from.py [--seeds 3]

Two disjoint sets of units stand for two sessions; trials are disjoint too. Early stopping and the losses look at the
trials of the second set that neither learns from.
"""

import argparse

import numpy as np
from _record import median_and_range, record

from spikeinterface_gen import LDNS, load_dataset
from spikeinterface_gen.validation.distances import compare

UNITS, TRIALS, NEW_TRIALS, MIN_RATE_HZ = 200, 180, 30, 2.0
SETTINGS = {"num_latents": 12, "channels": 64}
STEPS = (20, 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    counts = load_dataset("steinmetz2019")
    units = rng.permutation(np.flatnonzero(counts.rates_hz > MIN_RATE_HZ))
    trials = rng.permutation(counts.num_trials)
    earlier = counts[trials[:TRIALS], units[:UNITS]]
    new = counts[trials[TRIALS:], units[UNITS : 2 * UNITS]]
    few, held_out = new[:NEW_TRIALS], new[NEW_TRIALS:]
    start = LDNS(**SETTINGS).fit(
        earlier, num_steps={"autoencoder": 150, "refit": 20, "denoiser": 300}, accelerator="cpu", progress=False
    )
    means = np.maximum(few.counts.mean(axis=(0, 1)), 0.5 / few.counts[..., 0].size)
    constant = float(np.mean(means - held_out.counts.mean(axis=(0, 1)) * np.log(means)))
    fits: dict = {}
    for steps in STEPS:
        for seed in range(options.seeds):
            for name, model in (("random weights", None), ("start_from", start)):
                fitted = LDNS(**SETTINGS).fit(
                    few,
                    start_from=model,
                    validation=held_out,
                    seed=seed,
                    num_steps={"autoencoder": steps, "denoiser": 3 * steps},
                    accelerator="cpu",
                    progress=False,
                )
                losses = {stage: report.best_loss for stage, report in fitted.reports_.items()}
                found = {
                    "gain_over_constant_rates, nats an entry": constant - losses["autoencoder"],
                    "loss_of_the_denoiser": losses["denoiser"],
                    **compare(held_out, fitted.sample(300, seed=1)),
                }
                fits.setdefault(f"{steps} steps", {}).setdefault(name, []).append(found)
    figures: dict = {}
    for steps, by_start in fits.items():
        figures[steps] = {
            name: {key: round(float(np.median([one[key] for one in each])), 5) for key in each[0]}
            for name, each in by_start.items()
        }
        key = "gain_over_constant_rates, nats an entry"
        pairs = zip(by_start["start_from"], by_start["random weights"], strict=True)
        ratios = [tuned[key] / fresh[key] for tuned, fresh in pairs]
        figures[steps]["gain, times that from random weights"] = median_and_range(ratios, 3)
    data = f"two sets of {UNITS} units of steinmetz2019; {TRIALS} trials of one, {NEW_TRIALS} of the other"
    record("start_from", {"data": data, "settings": SETTINGS, "seeds": options.seeds, "fits": figures})


if __name__ == "__main__":
    main()
