"""The reaching simulator: what models without latents reach on it, and LDNS.

    python benchmarks/reaching.py [--minutes 10] [--condition-minutes 5] [--trials 2295]

2008 training and 287 held-out trials of 182 units. The four metrics of the LDNS paper against the held-out trials, each
beside its floor of equally many training trials; of models that draw at random, the median over 20 draws. A PSTH
model has independent Poisson units. The generalised linear model (GLM) has their PSTH, the velocity and speed of the
hand 100 ms before, at and after each bin, taken from the held-out trials themselves, and each unit's own spike history.
"dip" is how often units that are refractory fire in two bins in a row, relative to bins 8 to 12 apart. With LDNS come
trials drawn for unseen trajectories and angles, and what is decoded from them. ``--minutes 0`` leaves LDNS out.
"""

import argparse
import time

import numpy as np
from _decoding import decoded
from _record import record

from spikeinterface_gen import LDNS, SpikeCounts, load_dataset
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.observation.calibration import calibrate
from spikeinterface_gen.observation.count_model import CountModel
from spikeinterface_gen.observation.history_fit import fit_history
from spikeinterface_gen.observation.synchrony import Synchrony
from spikeinterface_gen.validation.distances import compare, compare_real

TRAIN_SHARE = 2008 / 2295
NUM_DRAWS, NUM_FLOORS = 20, 20
GLM_TRIALS, HISTORY_BINS, LAGS_BINS = 200, 10, (-20, 0, 20)
REFRACTORY = 0.5
"""A unit is taken for refractory where the dip of its training trials is lower."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--condition-minutes", type=float, default=5.0)
    parser.add_argument("--trials", type=int, default=2295)
    options = parser.parse_args()
    started = time.monotonic()
    counts = load_dataset("reaching", num_trials=options.trials)
    figures = {"data": f"{counts}", "simulation_s": round(time.monotonic() - started, 1)}
    border = round(TRAIN_SHARE * counts.num_trials)
    train, test = counts[:border], counts[border:]
    refractory = dips(train) < REFRACTORY
    real = compare_real(test, train, num_splits=NUM_FLOORS, seed=0)
    floor = {name: float(np.median(values)) for name, values in real.items()}
    figures |= {"split": [len(train), len(test)], "floor": floor, "refractory units": int(refractory.sum())}
    figures["dip, recorded"] = round(float(dips(test)[refractory].mean()), 4)

    def judge(name: str, started: float, draws: list[SpikeCounts]) -> None:
        found = [compare(test, drawn) for drawn in draws]
        figures[name] = {
            "ratio to floor": {m: round(float(np.median([f[m] for f in found])) / floor[m], 2) for m in floor},
            "dip": round(float(np.median([dips(drawn)[refractory].mean() for drawn in draws])), 4),
            "fit_and_sample_s": round(time.monotonic() - started, 1),
        }
        record("reaching", figures)

    if options.minutes > 0:
        started = time.monotonic()
        model = LDNS().fit(train, seed=0, max_minutes=options.minutes, progress=False)
        figures["stage_metrics"] = model.stage_metrics_.round(3).to_dict("index")
        judge(f"LDNS, {options.minutes:g} minutes", started, drawn_by(model, len(test)))
        figures["decoded from trials drawn for unseen conditions"] = decoded(
            model, train, test, options.condition_minutes
        )
    started = time.monotonic()
    judge("PSTH Poisson", started, drawn_by(PSTHPoisson().fit(train), len(test)))
    started = time.monotonic()
    judge("GLM of PSTH, velocity and spike history", started, generalised_linear_model(train, test))


def drawn_by(model: LDNS | PSTHPoisson, num_trials: int) -> list[SpikeCounts]:
    return [model.sample(num_trials, seed=seed) for seed in range(1, NUM_DRAWS + 1)]


def dips(counts: SpikeCounts) -> np.ndarray:
    """Coincidences of each unit with itself one bin later, relative to the mean at 8 to 12 bins, shape (units,)."""
    spikes = counts.counts.astype(np.float32)

    def coincidences(lag: int) -> np.ndarray:
        return (spikes[:, lag:] * spikes[:, :-lag]).mean(axis=(0, 1))

    return coincidences(1) / np.maximum(np.mean([coincidences(lag) for lag in range(8, 13)], axis=0), 1e-12)


def generalised_linear_model(train: SpikeCounts, test: SpikeCounts) -> list[SpikeCounts]:
    psth = np.maximum(PSTHPoisson().fit(train).expected_counts_, 1e-4)
    some = train[np.linspace(0, len(train) - 1, min(GLM_TRIALS, len(train))).astype(int)]
    x, scale = kinematics(some.covariates["hand_velocity"])
    weights = poisson_regression(x.reshape(-1, x.shape[-1]), some.counts.reshape(-1, some.num_units), psth)

    def rates(counts: SpikeCounts) -> np.ndarray:
        features, _ = kinematics(counts.covariates["hand_velocity"], scale)
        return np.minimum(psth * np.exp(features @ weights), 10.0).astype(np.float32)

    history, _ = fit_history(rates(some), some.counts, np.ones(some.counts.shape, bool), HISTORY_BINS, False)
    model = CountModel(history, Synchrony.none(train.num_units))
    recorded = train.counts.mean(axis=(0, 1), dtype=np.float64)
    variates = model.variates(some.counts.shape, 0, "calibration")
    history = calibrate(history, rates(some), variates, recorded, some.mask)
    model, of_test = CountModel(history, model.synchrony), rates(test)
    return [
        SpikeCounts(model.draw(of_test, seed, "counts"), test.bin_size_ms, test.unit_ids)
        for seed in range(1, NUM_DRAWS + 1)
    ]


def kinematics(velocity: np.ndarray, scale: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Velocity and speed at several lags and a constant, of unit variance, (trials, bins, features), and the scale."""
    moving = np.concatenate([velocity, np.linalg.norm(velocity, axis=-1, keepdims=True)], axis=-1)
    bins = np.arange(velocity.shape[1])
    at = [moving[:, np.clip(bins + lag, 0, len(bins) - 1)] for lag in LAGS_BINS]
    x = np.concatenate([*at, np.ones((*velocity.shape[:2], 1))], axis=-1)
    scale = x.reshape(-1, x.shape[-1]).std(axis=0) if scale is None else scale
    return x / np.where(scale > 0, scale, 1), scale


def poisson_regression(x: np.ndarray, s: np.ndarray, psth: np.ndarray, iterations: int = 12) -> np.ndarray:
    """Weights (features, units) of log expected counts about the PSTH, by Newton steps with a weak Gaussian prior."""
    weights = np.zeros((x.shape[1], s.shape[1]))
    for unit in range(s.shape[1]):
        base = np.tile(psth[:, unit], len(x) // len(psth))
        w = weights[:, unit]
        for _ in range(iterations):
            r = np.minimum(base * np.exp(x @ w), 10.0)
            hessian = (x * r[:, None]).T @ x + np.eye(len(w))
            step = np.linalg.solve(hessian, x.T @ (s[:, unit] - r) - w)
            w += step * min(1.0, 1.0 / np.abs(step).max())
    return weights


if __name__ == "__main__":
    main()
