"""What a model gives away of its training trials that is told everything but the loadings of the units.

    python benchmarks/membership_floor.py [--shapes 700x300x40 …]

The simulated populations of shapes.py: sparse units that read out the three latents of a Lorenz attractor. Three models
of the right form draw as many new trials of the true process as there are training trials: the truth itself; the truth
with the mean rates of the training trials; and one of which all loadings are fitted to the training trials, by Poisson
regression on their true latents. No model that has to find the latents as well can be expected to give away less.
"""

import argparse

import numpy as np
from _record import median_and_range, record
from shapes import BIN_SIZE_MS, NUM_HELD_OUT, loadings, rates, simulated

from spikeinterface_gen import SpikeCounts, load_dataset
from spikeinterface_gen.observation.draw import draw_poisson
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.privacy import membership_inference

SHAPES = ("30x100x20", "1700x100x40", "700x300x40")
NUM_DRAWS = 5
# Of the squared loadings of log rates, per bin.
PENALTY = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="*", default=SHAPES)
    options = parser.parse_args()
    populations = {shape: judged(*map(int, shape.split("x"))) for shape in options.shapes}
    record("membership_floor", {"draws": NUM_DRAWS, "membership AUC": populations})


def judged(num_units: int, num_trials: int, num_bins: int) -> dict[str, dict]:
    train, held_out = simulated(num_units, num_trials, num_bins)
    known = num_trials + min(num_trials, NUM_HELD_OUT)
    number = known + NUM_DRAWS * num_trials
    latents = load_dataset("lorenz", num_trials=number, num_bins=num_bins, return_truth=True).latents
    true = loadings(num_units)
    found = fitted(latents[:num_trials], train.counts)
    scaled = true.copy()
    expected = rates(latents[:num_trials], true).mean(axis=(0, 1))
    scaled[0] += np.log(np.maximum(train.counts.mean(axis=(0, 1)), 1e-6) / expected)
    figures = {}
    for name, model in (("truth", true), ("rates of training trials", scaled), ("loadings fitted", found)):
        auc = []
        for k in range(NUM_DRAWS):
            z = latents[known + k * num_trials :][:num_trials]
            drawn = rates(z, model)
            counts = draw_poisson(drawn, uniforms(0, f"membership floor: {name}", k, drawn.shape))
            auc.append(membership_inference(SpikeCounts(counts, BIN_SIZE_MS), train, held_out).auc)
        figures[name] = median_and_range(auc, 3)
        print(f"{num_units}x{num_trials}x{num_bins}", name, figures[name], flush=True)
    return figures


def fitted(latents: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Weights of each unit, shape (1 + 3, units), by Poisson regression."""
    from sklearn.linear_model import PoissonRegressor

    z = latents.reshape(-1, latents.shape[-1])
    columns = []
    for s in counts.reshape(len(z), -1).T.astype(float):
        if s.any():
            unit = PoissonRegressor(alpha=PENALTY, max_iter=300).fit(z, s)
            columns.append(np.append(unit.intercept_, unit.coef_))
        else:
            columns.append(np.append(np.log(0.5 / len(z)), np.zeros(z.shape[1])))
    return np.stack(columns, axis=1)


if __name__ == "__main__":
    main()
