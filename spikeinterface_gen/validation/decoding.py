"""Are synthetic trials of use? Decoders trained on them, tested on recorded trials.

:func:`decode_covariate` asks whether the covariate of a trial, or its course, can be read from real activity by a
decoder that has seen synthetic trials only (train on synthetic, test on real), and whether synthetic trials beside
the real ones help. :func:`co_smoothing` asks the same of a predictor of units from the other units.

All decoders are linear in features that are standardised on their own training trials, with a penalty chosen by
cross-validation within these. Test trials are those that neither the model nor any decoder saw. Intervals are
bootstraps over test trials, the same resampled trials for all decoders, so that differences have one as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.distances import check_same_population
from spikeinterface_gen.validation.trial_features import root_window_counts

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "REAL",
    "REAL_AND_SYNTHETIC",
    "SYNTHETIC",
    "UseReport",
    "bootstrap_trials",
    "check_sides",
    "decode_covariate",
    "smoothed_counts",
    "training_sets",
]

REAL, SYNTHETIC, REAL_AND_SYNTHETIC = "real", "synthetic", "real and synthetic"
"""What a decoder was trained on."""

_NUM_RESAMPLES = 1000
_MAX_CLASSES = 10
_PENALTIES = 10.0 ** np.arange(-3, 5)
_SMOOTHING_MS = 50.0


@dataclass(frozen=True)
class UseReport:
    """How well what was learned from real trials, from synthetic ones, and from both does on unseen real trials.

    Attributes
    ----------
    task, score : str
        What is predicted, and the measure of success.
    chance : float
        Score of predicting without looking at the activity.
    scores : dict from str to float
        By what was trained on: "real", "synthetic", "real and synthetic".
    resampled : dict from str to array, shape (resamples,)
        Scores of resampled test trials, the same ones for all.
    num_train, num_synthetic, num_test : int
        Trials.
    """

    task: str
    score: str
    chance: float
    scores: dict[str, float]
    resampled: dict[str, np.ndarray]
    num_train: int
    num_synthetic: int
    num_test: int

    @property
    def share(self) -> float:
        """What synthetic trials teach above chance, as a share of what real ones do; NaN where these teach nothing."""
        of_real = self.scores[REAL] - self.chance
        return (self.scores[SYNTHETIC] - self.chance) / of_real if of_real > 0 else float("nan")

    @property
    def gain(self) -> tuple[float, float, float]:
        """Score of real and synthetic trials together less that of real ones alone, and its 95 % interval."""
        difference = self.resampled[REAL_AND_SYNTHETIC] - self.resampled[REAL]
        low, high = np.quantile(difference, [0.025, 0.975])
        return self.scores[REAL_AND_SYNTHETIC] - self.scores[REAL], float(low), float(high)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each training set: score, 95 % interval ``low`` to ``high``, score above chance."""
        import pandas as pd

        rows = {
            name: (value, *np.quantile(self.resampled[name], [0.025, 0.975]), value - self.chance)
            for name, value in self.scores.items()
        }
        columns = ["score", "low", "high", "above_chance"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("trained_on")

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {value:.3g}" for name, value in self.scores.items())
        return f"UseReport of {self.task}: {self.score} of {scores}; chance {self.chance:.3g}; see .table, .summary()"

    def _repr_html_(self) -> str:
        from spikeinterface_gen.html_repr import report_html

        return report_html(self)

    def summary(self) -> str:
        """Return what was found, in two sentences."""
        intervals = {name: np.quantile(values, [0.025, 0.975]) for name, values in self.resampled.items()}
        told = ", ".join(
            f"{self.scores[name]:.3g} [{low:.3g}, {high:.3g}] from {what}"
            for (name, (low, high)), what in zip(
                intervals.items(),
                (f"{self.num_train} real trials", f"{self.num_synthetic} synthetic ones", "both together"),
                strict=True,
            )
        )
        gain, low, high = self.gain
        verdict = "help" if low > 0 else "do harm" if high < 0 else "make no clear difference"
        share = f" Synthetic trials teach {100 * self.share:.0f} % of what real ones do." if self.share > 0 else ""
        return (
            f"{self.task}, tested on {self.num_test} unseen real trials ({self.score}, chance {self.chance:.3g}): "
            f"{told}.{share} Beside real trials, synthetic ones {verdict} ({gain:+.3g} [{low:+.3g}, {high:+.3g}])."
        )


def decode_covariate(
    train: SpikeCounts, synthetic: SpikeCounts, test: SpikeCounts, covariate: str, *, seed: int = 0
) -> UseReport:
    """Decode a covariate from real trials with decoders that learned from real trials, synthetic trials, or both.

    A covariate of strings or booleans, or of at most 10 different whole numbers, is told apart by logistic
    regression on √ spike counts in quarters of the trial (score: balanced accuracy); others by ridge regression
    (score: R², mean over columns), those that vary within trials bin by bin, from counts smoothed over 50 ms.

    Parameters
    ----------
    train, synthetic, test : SpikeCounts
        The same units and bin size, each with the covariate; synthetic trials were generated for theirs. ``test``
        are real trials that the generator never saw.
    covariate : str
        Its name.
    seed : int
        Of the bootstrap.

    Returns
    -------
    UseReport

    Raises
    ------
    ValueError
        If populations differ, the covariate is missing on a side or has another shape or kind, holds NaN, is the
        same in all trials, or if trials are too few for cross-validation.
    """
    sides = {"train": train, "synthetic": synthetic, "test": test}
    check_sides(sides)
    targets = _targets(sides, covariate)
    groups = {name: np.arange(counts.num_trials) for name, counts in sides.items()}
    if targets["train"].ndim == 3:
        features = {name: smoothed_counts(counts)[counts.mask] for name, counts in sides.items()}
        groups = {name: np.nonzero(counts.mask)[0] for name, counts in sides.items()}
        targets = {name: targets[name][counts.mask] for name, counts in sides.items()}
    else:
        features = {name: root_window_counts(counts) for name, counts in sides.items()}
    sets = training_sets(features, targets, groups)
    is_class = _is_class(targets["train"])
    resamples = bootstrap_trials(test.num_trials, seed)
    scores, resampled = {}, {}
    for name, (x, y, group) in sets.items():
        fit = _classify if is_class else _regress
        predicted = fit(x, y, group, features["test"])
        measure = _balanced_accuracy if is_class else _r_squared
        values = measure(targets["test"], predicted, groups["test"], resamples)
        scores[name], resampled[name] = float(values[0]), values[1:]
    return UseReport(
        task=f"Decoding of {covariate}",
        score="balanced accuracy" if is_class else "R²",
        chance=1.0 / len(np.unique(targets["test"])) if is_class else 0.0,
        scores=scores,
        resampled=resampled,
        num_train=train.num_trials,
        num_synthetic=synthetic.num_trials,
        num_test=test.num_trials,
    )


def training_sets(*values: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, ...]]:
    """Rows of "train" and "synthetic" by what is trained on; the last of ``values`` numbers the trials of the rows."""
    *others, trials = values
    shifted = trials | {"synthetic": trials["synthetic"] + trials["train"].max() + 1}
    real, synthetic = (tuple(value[side] for value in (*others, shifted)) for side in ("train", "synthetic"))
    both = tuple(np.concatenate(pair) for pair in zip(real, synthetic, strict=True))
    return {REAL: real, SYNTHETIC: synthetic, REAL_AND_SYNTHETIC: both}


def bootstrap_trials(num_trials: int, seed: int) -> np.ndarray:
    """How often each trial occurs in each resample, all once in the first, float64, (1 + resamples, trials)."""
    drawn = (uniforms(seed, "validation/bootstrap", 0, (_NUM_RESAMPLES, num_trials)) * num_trials).astype(np.int64)
    weights = np.ones((1 + _NUM_RESAMPLES, num_trials))
    for k, trials in enumerate(drawn):
        weights[k + 1] = np.bincount(trials, minlength=num_trials)
    return weights


def check_sides(sides: dict[str, SpikeCounts]) -> None:
    """Raise a ValueError unless all sides are of the population of "test", with at least ten trials each."""
    for name, counts in sides.items():
        check_same_population(sides["test"], counts, name)
        if counts.num_trials < 10:
            raise ValueError(f"{name} has {counts.num_trials} trials; at least 10 are needed.")


# ---- covariates ------------------------------------------------------------------------------


def _targets(sides: dict[str, SpikeCounts], covariate: str) -> dict[str, np.ndarray]:
    targets = {}
    for name, counts in sides.items():
        if covariate not in counts.covariates:
            known = ", ".join(map(repr, counts.covariates)) or "none"
            remedy = " Synthetic trials have those that they were generated for." if name == "synthetic" else ""
            raise ValueError(f"{name} has no covariate {covariate!r} (it has: {known}).{remedy}")
        targets[name] = counts.covariates[covariate]
    shapes = {name: (y.ndim, y.shape[2:] if y.ndim == 3 else y.shape[1:]) for name, y in targets.items()}
    kinds = {"numbers" if y.dtype.kind in "iuf" else y.dtype.kind for y in targets.values()}
    if len(set(shapes.values())) > 1 or len(kinds) > 1:
        found = ", ".join(f"{name}: {y.dtype} {y.shape}" for name, y in targets.items())
        raise ValueError(f"covariate {covariate!r} must be of one kind and shape on all sides; got {found}.")
    for name, y in targets.items():
        if y.dtype.kind == "f" and not np.all(np.isfinite(y[sides[name].mask] if y.ndim == 3 else y)):
            raise ValueError(f"covariate {covariate!r} of {name} holds NaN; leave these trials out.")
    if len(np.unique(targets["train"])) < 2 or len(np.unique(targets["test"])) < 2:
        raise ValueError(f"covariate {covariate!r} is the same in all trials: there is nothing to decode.")
    return targets


def _is_class(values: np.ndarray) -> bool:
    if values.ndim > 1:
        return False
    whole = values.dtype.kind in "iub" or (values.dtype.kind == "f" and bool(np.all(values == np.round(values))))
    return values.dtype.kind == "U" or (whole and len(np.unique(values)) <= _MAX_CLASSES)


# ---- features --------------------------------------------------------------------------------


def smoothed_counts(counts: SpikeCounts) -> np.ndarray:
    """Counts smoothed by a Gaussian of 50 ms, renormalised at the ends of the trial, (trials, bins, units)."""
    from scipy.ndimage import gaussian_filter1d

    width = _SMOOTHING_MS / counts.bin_size_ms
    smooth = gaussian_filter1d(counts.counts.astype(np.float64), width, axis=1, mode="constant")
    weight = gaussian_filter1d(counts.mask.astype(np.float64), width, axis=1, mode="constant")
    return smooth / np.maximum(weight, 1e-12)[:, :, None]


# ---- decoders --------------------------------------------------------------------------------


def _classify(x: np.ndarray, y: np.ndarray, groups: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    fewest = int(np.unique(y, return_counts=True)[1].min())
    if len(np.unique(y)) < 2 or fewest < 2:
        raise ValueError(f"every class needs at least 2 trials to train on; the rarest has {fewest}.")
    z, z_test = _standardised(x, x_test)
    search = GridSearchCV(
        LogisticRegression(class_weight="balanced", max_iter=300, tol=1e-3),
        {"C": 10.0 ** np.arange(-4, 1)},
        scoring="balanced_accuracy",
        cv=StratifiedKFold(min(5, fewest)),
    )
    return search.fit(z, y).predict(z_test)


def _regress(x: np.ndarray, y: np.ndarray, groups: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, GroupKFold

    z, z_test = _standardised(x, x_test)
    search = GridSearchCV(Ridge(), {"alpha": _PENALTIES}, cv=GroupKFold(5))
    return search.fit(z, y.reshape(len(y), -1), groups=groups).predict(z_test)


def _standardised(x: np.ndarray, x_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features of mean 0 and variance 1 over the training rows, float64; of more features than rows, their rotation.

    The penalty of a linear decoder is the same after a rotation, and only directions that the training rows span can be
    learned.
    """
    from sklearn.preprocessing import StandardScaler

    # In single precision the equations of a weak penalty are singular.
    scaler = StandardScaler().fit(x.astype(np.float64))
    z, z_test = scaler.transform(x.astype(np.float64)), scaler.transform(x_test.astype(np.float64))
    if z.shape[1] <= len(z):
        return z, z_test
    directions = np.linalg.svd(z, full_matrices=False)[2].T
    return z @ directions, z_test @ directions


# ---- scores over resampled test trials --------------------------------------------------------


def _balanced_accuracy(y: np.ndarray, predicted: np.ndarray, groups: np.ndarray, resamples: np.ndarray) -> np.ndarray:
    """Mean over classes of the share of their trials that are decoded right, (resamples,)."""
    weights = resamples[:, groups]
    shares = []
    for value in np.unique(y):
        of_class = weights * (y == value)
        number = of_class.sum(axis=1)
        right = (of_class * (predicted == value)).sum(axis=1)
        shares.append(np.divide(right, number, out=np.full(len(number), np.nan), where=number > 0))
    return np.nanmean(shares, axis=0)


def _r_squared(y: np.ndarray, predicted: np.ndarray, groups: np.ndarray, resamples: np.ndarray) -> np.ndarray:
    """1 − residual over total variance, mean over columns, (resamples,)."""
    y = y.reshape(len(y), -1).astype(np.float64)
    num_groups = resamples.shape[1]

    def by_trial(values: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(groups, column, minlength=num_groups) for column in values.T], axis=1)

    number = resamples @ np.bincount(groups, minlength=num_groups)
    residual = resamples @ by_trial(np.square(y - predicted.reshape(y.shape)))
    mean = (resamples @ by_trial(y)) / number[:, None]
    total = resamples @ by_trial(np.square(y)) - number[:, None] * mean**2
    return np.mean(1.0 - residual / np.maximum(total, np.finfo(np.float64).tiny), axis=1)
