"""Co-smoothing: can some units be predicted from the others by what synthetic trials taught?

A fifth of the units is held out. A Poisson regression predicts their counts, bin by bin, from the leading principal
components of the smoothed counts of the others, ``s ~ Poisson(exp(b + w·z))``. It is trained on real trials, on
synthetic ones, and on both, and scored on unseen real trials in bits per spike over a constant rate
(Pei et al. 2021, Neural Latents Benchmark)::

    (log L(model) − log L(mean counts of the test trials)) / (spikes · ln 2)
"""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.decoding import (
    UseReport,
    bootstrap_trials,
    check_sides,
    smoothed_counts,
    training_sets,
)

__all__ = ["co_smoothing"]

_HELD_OUT_SHARE = 0.2
_MAX_HELD_OUT = 20
_NUM_COMPONENTS = 20
_PENALTY = 1e-3
_MAX_BINS = 20_000


def co_smoothing(train: SpikeCounts, synthetic: SpikeCounts, test: SpikeCounts, *, seed: int = 0) -> UseReport:
    """Predict held-out units of real trials by regressions learned from real trials, synthetic trials, or both.

    Parameters
    ----------
    train, synthetic, test : SpikeCounts
        The same units and bin size. ``test`` are real trials that the generator never saw. Of training trials as
        many are used as make 20 000 bins.
    seed : int
        Of the held-out units (a fifth of those that fire on all sides, at most 20), and of the bootstrap.

    Returns
    -------
    UseReport
        Its scores are bits per spike; chance is 0.

    Raises
    ------
    ValueError
        If populations differ, there are fewer than ten trials on a side, or fewer than four units fire on all sides.
    """
    sides = {"train": train, "synthetic": synthetic, "test": test}
    check_sides(sides)
    held_out = _held_out(sides, seed)
    held_in = np.setdiff1d(np.arange(test.num_units), held_out)
    sides |= {name: _first_trials(sides[name]) for name in ("train", "synthetic")}
    inputs = {name: smoothed_counts(counts)[:, :, held_in][counts.mask] for name, counts in sides.items()}
    outputs = {name: counts.counts[:, :, held_out][counts.mask] for name, counts in sides.items()}
    trials = {name: np.nonzero(counts.mask)[0] for name, counts in sides.items()}

    resamples = bootstrap_trials(test.num_trials, seed)
    observed = outputs["test"].astype(np.float64)
    constant = _log_likelihood(observed, observed.mean(axis=0))
    spikes = resamples @ np.bincount(trials["test"], observed.sum(axis=1), test.num_trials)
    scores, resampled = {}, {}
    for name, (x, y, _) in training_sets(inputs, outputs, trials).items():
        gain = _log_likelihood(observed, _predicted(x, y, inputs["test"])) - constant
        values = resamples @ np.bincount(trials["test"], gain, test.num_trials) / (np.maximum(spikes, 1) * np.log(2))
        scores[name], resampled[name] = float(values[0]), values[1:]
    return UseReport(
        task=f"Prediction of {len(held_out)} units from {len(held_in)} others",
        score="bits per spike",
        chance=0.0,
        scores=scores,
        resampled=resampled,
        num_train=sides["train"].num_trials,
        num_synthetic=sides["synthetic"].num_trials,
        num_test=test.num_trials,
    )


def _held_out(sides: dict[str, SpikeCounts], seed: int) -> np.ndarray:
    """Positions of the held-out units, in order."""
    active = np.flatnonzero(np.all([counts.rates_hz > 0 for counts in sides.values()], axis=0))
    if len(active) < 4:
        raise ValueError(f"co-smoothing needs at least 4 units that fire on all sides; got {len(active)}.")
    number = min(max(1, round(_HELD_OUT_SHARE * len(active))), _MAX_HELD_OUT)
    order = np.argsort(uniforms(seed, "validation/held-out-units", 0, (len(active),)))
    return np.sort(active[order[:number]])


def _first_trials(counts: SpikeCounts) -> SpikeCounts:
    """As many of the trials, evenly spread over all, as hold about ``_MAX_BINS`` bins."""
    number = min(counts.num_trials, max(10, int(_MAX_BINS / counts.num_bins.mean())))
    return counts[np.linspace(0, counts.num_trials - 1, number).round().astype(np.int64)]


def _predicted(x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """Expected counts of the held-out units in the bins of the test trials, (bins, units)."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import PoissonRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # A unit that is silent in training spans a direction of no variance, which scaling would blow up.
    varies = np.ptp(x, axis=0) > 0
    x, x_test = x[:, varies], x_test[:, varies]
    components = min(_NUM_COMPONENTS, x.shape[1])
    features = make_pipeline(StandardScaler(), PCA(components, svd_solver="covariance_eigh"), StandardScaler()).fit(x)
    z, z_test = features.transform(x), features.transform(x_test)
    regression = PoissonRegressor(alpha=_PENALTY, solver="newton-cholesky", max_iter=50)
    return np.stack([regression.fit(z, unit).predict(z_test) for unit in y.T.astype(np.float64)], axis=1)


def _log_likelihood(counts: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Poisson log likelihood of each bin, all units together, without its constant, shape (bins,)."""
    expected = np.broadcast_to(np.maximum(expected, 1e-9), counts.shape)
    return np.sum(counts * np.log(expected) - expected, axis=1)
