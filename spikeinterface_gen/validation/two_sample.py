"""Can synthetic trials be told from real ones? Two-sample tests of whole trials, with permutation p-values.

Statistic by statistic, synthetic trials may look right and still be told from real ones by what trials are as
a whole. Four distances of :mod:`~spikeinterface_gen.validation.sample_distances` look for that, on the features of
:mod:`~spikeinterface_gen.validation.trial_features` and, where a model can encode trials, on its latents.

The p-value of a distance is the share of relabellings of real and synthetic trials that leave them at least as
far apart; relabelling stays within the folds of the classifier's cross-validation, so that these stay balanced. The
test is exact: real trials in the place of synthetic ones give p ≤ α in α of cases, whatever the distance. For the
family of all distances, the smallest of their p-values is set against the smallest ones of the same relabellings
(Westfall and Young 1993): ``p_joint``.

Value and floor are of equally many trials, over random splits as everywhere in this package: the floor is the
distance of training trials (without them, of one half of the real trials) from real ones.

Synthetic trials that are *closer* to real ones than chance allows are copies of them: ``p_closer`` of each distance
tells, and ``p_joint_closer`` for all of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.randomness import normals
from spikeinterface_gen.validation.distances import check_same_population
from spikeinterface_gen.validation.labelings import MAX_TRIALS, MIN_TRIALS, choose, draw_folds, draw_splits, relabel
from spikeinterface_gen.validation.sample_distances import (
    TrialMoments,
    classifier_auc,
    frechet_distance,
    mean_discrepancy,
    median_squared_distance,
    sliced_wasserstein,
    trial_moments,
)
from spikeinterface_gen.validation.trial_features import trial_features
from spikeinterface_gen.validation.words import capital

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MIN_TRIALS", "Encoder", "TwoSampleReport", "TwoSampleTest", "two_sample_tests"]

_NUM_DIRECTIONS = 100
_LEVEL = 0.05
_LEVEL_CLOSER = 0.01

Distance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(positions of trials, is_first (trials, labelings), folds) → distances (labelings,)."""


class Encoder(Protocol):
    """What can turn trials into latents, such as a fitted :class:`~spikeinterface_gen.LDNS`."""

    def encode(self, counts: SpikeCounts) -> np.ndarray:
        """Return latents, shape (trials, bins, k)."""


@dataclass(frozen=True)
class TwoSampleTest:
    """One distance between real and synthetic trials.

    Attributes
    ----------
    name, label : str
        Row of the table, and words for figures and text.
    distance : float
        Of all real from all synthetic trials: what the p-values are of.
    null : array of float64, shape (permutations,)
        The same after relabelling the trials at random.
    values, floors : array of float64, shape (splits,)
        Distance of synthetic, and of other real trials, from as many real ones; empty where real trials are too
        few to be split.
    num_real, num_synthetic : int
        Trials that ``distance`` is of.
    """

    name: str
    label: str
    distance: float
    null: np.ndarray
    values: np.ndarray
    floors: np.ndarray
    num_real: int
    num_synthetic: int

    @property
    def p_value(self) -> float:
        """Probability of a distance at least as large if nothing distinguishes real and synthetic trials."""
        return float((1 + np.sum(self.null >= self.distance)) / (1 + len(self.null)))

    @property
    def p_closer(self) -> float:
        """Probability of a distance at most as large: where it is tiny, synthetic trials are copies of real ones."""
        return float((1 + np.sum(self.null <= self.distance)) / (1 + len(self.null)))

    @property
    def value(self) -> float:
        """Distance of synthetic from real trials, median over splits (without splits: of all)."""
        return float(np.median(self.values)) if len(self.values) else self.distance

    @property
    def floor(self) -> float:
        """Distance of real from real trials, median over splits; NaN without splits."""
        return float(np.median(self.floors)) if len(self.floors) else float("nan")

    @property
    def flagged(self) -> bool:
        """Whether this distance tells synthetic from real trials, tested for itself at 5 %."""
        return self.p_value <= _LEVEL

    def summary(self) -> str:
        """Return the test in one sentence."""
        floor = f"; {self.floor:.3g} between real trials" if len(self.floors) else ""
        sign = "≤" if self.distance > self.null.max() else "="
        return f"{self.label}: {self.value:.3g}{floor} (p {sign} {self.p_value:.2g})"


@dataclass(frozen=True)
class TwoSampleReport:
    """Result of :func:`two_sample_tests`.

    Attributes
    ----------
    tests : dict from str to TwoSampleTest
        ``classifier_auc``, ``sliced_wasserstein``, ``mean_discrepancy`` and, with latents, ``frechet_distance``.
    p_joint : float
        p-value of the family: of the smallest of the p-values.
    p_joint_closer : float
        Probability that trials are as close by all distances together: sum of the distances, each in s.d. over
        relabellings.
    num_trials : int
        Trials on either side of values and floors; 0 where real trials are too few to be split.
    notes : tuple of str
        What was left out, and why.
    """

    tests: dict[str, TwoSampleTest]
    p_joint: float
    p_joint_closer: float
    num_trials: int
    notes: tuple[str, ...]

    @property
    def flagged(self) -> bool:
        """Whether synthetic trials can be told from real ones, at 5 % for the family of all distances."""
        return self.p_joint <= _LEVEL

    @property
    def too_close(self) -> bool:
        """Whether synthetic trials are closer to the real ones than chance allows (1 %, for all distances together)."""
        return self.p_joint_closer <= _LEVEL_CLOSER

    @property
    def table(self) -> pd.DataFrame:
        """One row a distance: value, floor and its central 95 %, p-value, flagged, trials of value and floor."""
        import pandas as pd

        rows = []
        for test in self.tests.values():
            low, high = np.quantile(test.floors, [0.025, 0.975]) if len(test.floors) else (np.nan, np.nan)
            rows.append((test.value, test.floor, low, high, test.p_value, test.flagged, self.num_trials))
        columns = ["value", "floor", "floor_low", "floor_high", "p_value", "flagged", "n"]
        return pd.DataFrame(rows, index=pd.Index(self.tests, name="distance"), columns=columns)

    def __repr__(self) -> str:
        told = "told apart" if self.flagged else "not told apart"
        return (
            f"TwoSampleReport: {len(self.tests)} distances, {told} (family-wise p = {self.p_joint:.2g}); see .table, "
            ".summary()"
        )

    def _repr_html_(self) -> str:
        from spikeinterface_gen.html_repr import report_html

        return report_html(self)

    def summary(self) -> str:
        """Return what was found, in one paragraph that a methods section could carry."""
        first = next(iter(self.tests.values()))
        parts = [
            f"Whole trials were compared by {len(self.tests)} distances ({first.num_real} real and "
            f"{first.num_synthetic} synthetic trials, {len(first.null)} relabellings).",
            capital("; ".join(test.summary() for test in self.tests.values())) + ".",
            f"Together they {'tell' if self.flagged else 'do not tell'} synthetic from real trials "
            f"(family-wise p = {self.p_joint:.2g}).",
        ]
        if self.too_close:
            parts.append(
                "Synthetic trials are closer to the real ones than fresh real trials would be: they look like copies."
            )
        return " ".join([*parts, *self.notes])


def two_sample_tests(
    real: SpikeCounts,
    synthetic: SpikeCounts,
    *,
    train: SpikeCounts | None = None,
    encoder: Encoder | None = None,
    latents: Mapping[str, np.ndarray] | None = None,
    num_permutations: int = 999,
    num_splits: int = 20,
    seed: int = 0,
) -> TwoSampleReport:
    """Try to tell synthetic from real trials by what they are as a whole.

    Parameters
    ----------
    real, synthetic : SpikeCounts
        The same units and bin size, at least ten trials each; of more than 1000, so many are drawn. ``real`` are
        trials that the model never saw.
    train : SpikeCounts, optional
        Trials it saw: for the floors. Without them, real trials are halved.
    encoder : Encoder, optional
        Adds the Fréchet distance of its latents. Better none than the model that made the trials, if another one
        is at hand: its encoder may be blind to what its decoder lacks.
    latents : mapping, optional
        Latents in the place of an encoder: "real", "synthetic" and, where ``train`` is given, "train"; each of
        shape (trials, k) or (trials, bins, k).
    num_permutations, num_splits : int
        Relabellings of trials, at least 19 (to recognise copies, 99), and random splits for value and floor.
    seed : int
        Of whatever is drawn.

    Returns
    -------
    TwoSampleReport

    Raises
    ------
    ValueError
        If the populations differ, trials are too few, or latents do not fit the trials.
    """
    sides = {"real": real, "synthetic": synthetic, **({"train": train} if train is not None else {})}
    for name, counts in sides.items():
        if name != "real":
            check_same_population(real, counts, name)
        if counts.num_trials < MIN_TRIALS:
            raise ValueError(f"{name} has {counts.num_trials} trials; two-sample tests need at least {MIN_TRIALS}.")
    if num_permutations < 19:
        raise ValueError(f"num_permutations must be at least 19, for a p-value of 5 %; got {num_permutations}.")
    if encoder is not None and latents is not None:
        raise ValueError("encoder and latents exclude each other: give the latents, or what computes them.")
    if latents is not None:
        _check_latents(latents, sides)

    chosen = {name: choose(counts.num_trials, seed, name) for name, counts in sides.items()}
    sides = {name: counts[chosen[name]] for name, counts in sides.items()}
    moments = None
    if encoder is not None:
        moments = [trial_moments(encoder.encode(counts), counts.mask) for counts in sides.values()]
    elif latents is not None:
        moments = [
            trial_moments(z[chosen[name]], sides[name].mask if z.ndim == 3 else None)
            for name, z in ((name, np.asarray(latents[name])) for name in sides)
        ]
    distances = _distances(np.concatenate(trial_features(list(sides.values()))), moments, seed)

    sizes = [counts.num_trials for counts in sides.values()]
    everyone = np.arange(sizes[0] + sizes[1])
    folds = draw_folds(sizes[0], sizes[1], seed, 0)
    labelings = relabel(np.arange(len(everyone)) < sizes[0], folds, num_permutations, seed)
    outcomes = {name: distance(everyone, labelings, folds) for name, distance in distances.items()}

    notes = []
    splits = draw_splits(sizes, num_splits, seed)
    if not splits:
        notes.append(f"Floors of whole-trial distances are left out: they need {2 * MIN_TRIALS} real trials.")
    compared = {name: np.empty((len(splits), 2)) for name in distances}
    for k, sets in enumerate(splits):
        number = len(sets[0])
        halves, split_folds = (np.arange(2 * number) < number)[:, None], draw_folds(number, number, seed, k + 1)
        for side in (0, 1):
            pair = np.concatenate([sets[0], sets[side + 1]])
            for name, distance in distances.items():
                compared[name][k, side] = distance(pair, halves, split_folds)[0]
    if num_permutations + 1 < 1 / _LEVEL_CLOSER:
        notes.append(f"{num_permutations} relabellings are too few to recognise copies; that needs 99.")
    together = np.stack(list(outcomes.values()))
    return TwoSampleReport(
        tests={
            name: TwoSampleTest(
                name=name,
                label=_LABELS[name],
                distance=float(found[0]),
                null=found[1:],
                values=compared[name][:, 0],
                floors=compared[name][:, 1],
                num_real=sizes[0],
                num_synthetic=sizes[1],
            )
            for name, found in outcomes.items()
        },
        p_joint=_joint_p_value(together),
        p_joint_closer=_p_value_of_closeness(together),
        num_trials=len(splits[0][0]) if splits else 0,
        notes=tuple(notes),
    )


_LABELS = {
    "classifier_auc": "classifier two-sample test (AUC)",
    "sliced_wasserstein": "sliced Wasserstein distance",
    "mean_discrepancy": "maximum mean discrepancy",
    "frechet_distance": "Fréchet distance of latents",
}


def _distances(points: np.ndarray, moments: list[TrialMoments] | None, seed: int) -> dict[str, Distance]:
    """The distances by name; they know the trials of all sides by their positions."""
    directions = normals(seed, "validation/directions", 0, (points.shape[1], _NUM_DIRECTIONS)).astype(np.float64)
    directions /= np.linalg.norm(directions, axis=0)
    # One scale for all comparisons, and of all trials alike: the same for value, floor and every relabelling.
    scale = median_squared_distance(points[:: -(-len(points) // MAX_TRIALS)])
    distances: dict[str, Distance] = {
        "classifier_auc": lambda trials, is_first, folds: classifier_auc(points[trials], is_first, folds),
        "sliced_wasserstein": lambda trials, is_first, _: sliced_wasserstein(points[trials], is_first, directions),
        "mean_discrepancy": lambda trials, is_first, _: mean_discrepancy(points[trials], is_first, scale),
    }
    if moments is not None:
        joined = TrialMoments(
            *(np.concatenate([getattr(m, f) for m in moments]) for f in ("number", "total", "squares"))
        )
        distances["frechet_distance"] = lambda trials, is_first, _: frechet_distance(joined[trials], is_first)
    return distances


def _joint_p_value(distances: np.ndarray) -> float:
    """p-value of the smallest p-value; ``distances`` (tests, 1 + permutations), the observed ones first."""
    # Every labelling gets the p-value that it would have had, had it been the observed one.
    sorted_distances = np.sort(distances, axis=1)
    p_values = np.stack(
        [
            1.0 - np.searchsorted(row, found, side="left") / len(row)
            for row, found in zip(sorted_distances, distances, strict=True)
        ]
    )
    smallest = p_values.min(axis=0)
    return float(np.mean(smallest <= smallest[0]))


def _p_value_of_closeness(distances: np.ndarray) -> float:
    """p-value of distances that are small together; ``distances`` as in :func:`_joint_p_value`."""
    sd = distances.std(axis=1, keepdims=True)
    # Copies are closer by every distance, so that the sum knows more than the smallest p-value of few relabellings.
    total = ((distances - distances.mean(axis=1, keepdims=True)) / np.where(sd > 0, sd, 1.0)).sum(axis=0)
    return float(np.mean(total <= total[0] + 1e-9))


def _check_latents(latents: Mapping[str, np.ndarray], sides: Mapping[str, SpikeCounts]) -> None:
    for name, counts in sides.items():
        if name not in latents:
            raise ValueError(f"latents must have an entry for each of {list(sides)}; {name!r} is missing.")
        shape = np.shape(latents[name])
        fits = len(shape) == 2 or (len(shape) == 3 and shape[1] == counts.max_bins)
        if not fits or shape[0] != counts.num_trials:
            raise ValueError(
                f"latents[{name!r}] must have shape ({counts.num_trials}, k) or ({counts.num_trials}, "
                f"{counts.max_bins}, k) as its trials have; got {shape}."
            )
    widths = {np.shape(latents[name])[-1] for name in sides}
    if len(widths) > 1:
        raise ValueError(f"latents must have the same number of dimensions on all sides; got {sorted(widths)}.")
