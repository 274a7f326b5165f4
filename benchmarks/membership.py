"""How much of their training trials models give away, against how well their trials correlate as recorded ones do.

    OMP_NUM_THREADS=1 python benchmarks/membership.py [--splits 3] [--minutes 4]

The bundled session, units of at least 1 Hz, 80/20 splits at random: LDNS with several numbers of latents, a PSTH
Poisson model, and factor analysis with as many factors, the standard linear model of shared variability: of the square
roots of counts in quarters of trials about their mean (Anscombe's), with Gaussian factors that have the covariance of
the inferred ones over a trial, and Poisson spikes. As many trials are drawn as there are training trials.
"""

import argparse
import time

import numpy as np
from _record import median_and_range, record
from _session import recorded_session

from spikeinterface_gen import LDNS, SpikeCounts, validate
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.randomness import normals, uniforms
from spikeinterface_gen.validation.privacy import membership_inference

QUARTERS, NUM_DRAWS = 4, 3
LATENTS, FACTORS = (8, 2, 16), (1, 2, 4, 8, 16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=4.0)
    options = parser.parse_args()
    counts = recorded_session()
    splits = [counts.split((0.8, 0.2), seed=seed) for seed in range(options.splits)]
    figures = {"data": f"{counts}", "splits": options.splits, "draws": NUM_DRAWS, "models": {}}

    def judge(name: str, draw) -> None:
        """``draw``: of training trials and a seed."""
        started = time.monotonic()
        found = [judged(draw(train), train, held_out) for train, held_out in splits]
        figures["models"][name] = {key: median_and_range([f[key] for f in found], 3) for key in found[0]}
        figures["models"][name]["seconds"] = round(time.monotonic() - started, 1)
        print(name, figures["models"][name], flush=True)

    judge("PSTH Poisson", lambda train: sampler_of(PSTHPoisson().fit(train), len(train)))
    for factors in FACTORS:
        judge(f"factor analysis, {factors}", lambda train, factors=factors: FactorModel(train, factors).draw)
    for latents in LATENTS:

        def fitted(train: SpikeCounts, latents: int = latents):
            model = LDNS(num_latents=latents).fit(train, seed=0, max_minutes=options.minutes, progress=False)
            return sampler_of(model, len(train))

        judge(f"LDNS, {latents}", fitted)
    record("membership", figures)


def sampler_of(model, num_trials: int):
    return lambda seed: model.sample(num_trials, seed=seed)


def judged(draw, train: SpikeCounts, held_out: SpikeCounts) -> dict[str, float]:
    drawn = [draw(seed) for seed in range(1, NUM_DRAWS + 1)]
    table = validate(held_out, drawn[0], train=train, num_splits=20, thorough=False).table
    return {
        "auc": float(np.mean([membership_inference(part, train, held_out).auc for part in drawn])),
        "agreement": float(table.loc["correlation", "agreement"]),
        "excess": float(table.loc["correlation", "excess"]),
        "population count, × floor": float(table.loc["population_count", "ratio"]),
    }


class FactorModel:
    """Poisson spikes of rates whose square roots are a mean and Gaussian factors, in quarters of a trial."""

    def __init__(self, train: SpikeCounts, num_factors: int) -> None:
        from sklearn.decomposition import FactorAnalysis

        self.like = train
        trials, bins, units = train.counts.shape
        self.border = np.arange(QUARTERS + 1) * bins // QUARTERS
        quarters = np.add.reduceat(train.counts.astype(float), self.border[:-1], axis=1)
        self.mean = quarters.mean(axis=0)
        deviation = np.sqrt(quarters + 0.375) - np.sqrt(self.mean + 0.375)
        model = FactorAnalysis(num_factors).fit(deviation.reshape(-1, units))
        self.loadings = model.components_
        factors = model.transform(deviation.reshape(-1, units)).reshape(trials, -1)
        precision = np.eye(num_factors) + self.loadings / model.noise_variance_ @ self.loadings.T
        # Inferred factors vary less than the true ones by what is not known of each.
        covariance = np.cov(factors.T) + np.kron(np.eye(QUARTERS), np.linalg.inv(precision))
        self.root = np.linalg.cholesky(covariance)

    def draw(self, seed: int) -> SpikeCounts:
        trials, bins, units = self.like.counts.shape
        factors = normals(seed, "factors", 0, (trials, len(self.root))) @ self.root.T
        factors = factors.reshape(trials, QUARTERS, -1)
        rates = np.maximum((np.sqrt(self.mean + 0.375) + factors @ self.loadings) ** 2 - 0.375, 0)
        rates *= self.mean / np.maximum(rates.mean(axis=0), 1e-9)
        length = np.diff(self.border)
        expected = np.repeat(rates / length[:, None], length, axis=1)
        from scipy.stats import poisson

        counts = poisson.ppf(uniforms(seed, "counts", 0, (trials, bins, units)), expected)
        return SpikeCounts(counts.astype(np.uint8), self.like.bin_size_ms, self.like.unit_ids)


if __name__ == "__main__":
    main()
