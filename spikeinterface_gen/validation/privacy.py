"""Memorisation: can one tell from synthetic trials which real trials the model was trained on?

A membership-inference attack. If training trials lie closer to the synthetic ones than held-out trials of
the same session do, the model has kept something of them beyond what the session has in common.

Each trial is described by the square roots of its spike counts, per unit and quarter of a trial (the
square root evens out the Poisson noise of fast and slow units). The attacker's score of a real trial is
its distance to the nearest synthetic one, relative to its mean distance to its five nearest real
trials: some trials are close to everything, and that says nothing about membership. Training and
held-out trials are treated alike, so that splits at random give an AUC of one half without memorisation,
also where a session drifts. A split into early and late trials does not.

Which real trials were trained on is known, so the labels "training" and "held out" can be relabelled at random: what
the attack reaches then, is what it reaches where there is nothing to find. Two numbers are set against that: the AUC
of the attacker's score, and the share of synthetic trials whose nearest real trial is a training trial. The larger of
the two, counted in standard deviations over relabellings, gives one exact p-value, and memorisation counts as found
where it is at most 1 %.

The AUC has a ceiling: ``m`` synthetic trials can copy at most ``m`` of the ``n`` training trials, so
``½ + ½ min(1, m / n)`` is the most to be expected. For a verdict, give as many synthetic trials as there
were training trials. The share of synthetic trials whose nearest real trial is a training trial has no
such ceiling.

What is found need not be a copy. A model that learned from few trials has learned their sampling noise as well, and
training trials then lie closer to what it draws than fresh ones do, although it kept no single trial: independent
Poisson units that follow the PSTH leave an AUC of 0.53 on average after 40 trials of 60 units, and of 0.51 after 160
(25 simulated sessions each). The attack says that training trials leave a trace;
:func:`~spikeinterface_gen.validation.copies.num_copies` says whether they were copied.

What is not found may be there: nearest-neighbour distances may pass sets that a stronger attack tells apart (Yao et al.
2025, arXiv:2505.01524). A low AUC shows no memorisation that this attack could find, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.distances import check_same_population
from spikeinterface_gen.validation.permutation import MEMORISATION_LEVEL
from spikeinterface_gen.validation.sample_distances import squared_distances
from spikeinterface_gen.validation.trial_features import root_window_counts

__all__ = ["Membership", "membership_inference"]

_NUM_NEIGHBOURS = 5
_NUM_RELABELLINGS = 999
_MAX_TRIALS = 3000


@dataclass(frozen=True)
class Membership:
    """Outcome of a membership-inference attack.

    Attributes
    ----------
    auc, low, high : float
        Area under the ROC curve of telling training from held-out trials, 0.5 for no memorisation, and
        its 95 % interval (DeLong et al. 1988).
    auc_ceiling : float
        What to expect if every synthetic trial were a copy.
    closer_to_train : float
        Share of synthetic trials whose nearest real trial is a training trial.
    chance_low, chance_high : float
        Where that share lies in 95 % of cases if training and held-out trials are relabelled at random.
    p_value : float
        Probability that the attack reaches as much where there is nothing to find, by relabelling.
    num_train, num_held_out, num_synthetic : int
        Trials used.
    """

    auc: float
    low: float
    high: float
    auc_ceiling: float
    closer_to_train: float
    chance_low: float
    chance_high: float
    p_value: float
    num_train: int
    num_held_out: int
    num_synthetic: int

    @property
    def found(self) -> bool:
        """Whether the attack tells training from held-out trials better than chance, at 1 %."""
        return self.p_value <= MEMORISATION_LEVEL

    def summary(self) -> str:
        """Return what was found, and in plain words what it allows to be said."""
        if self.found:
            verdict = (
                "Training trials can be told from held-out ones by their distance to the synthetic trials: these give "
                "away which trials the model was trained on, and should be treated like the recorded data"
            )
        else:
            verdict = (
                "No memorisation was found: training trials cannot be told from held-out ones by their distance to "
                "the synthetic trials, which rules out wholesale copies and is no guarantee of privacy"
            )
        return (
            f"{verdict} (membership-inference AUC {self.auc:.2f}, 95 % interval {self.low:.2f} to {self.high:.2f}; "
            f"chance is 0.5, and {self.auc_ceiling:.2f} would be expected if all {self.num_synthetic} synthetic trials "
            f"were copies). The nearest real trial of {100 * self.closer_to_train:.0f} % of the synthetic trials is a "
            f"training trial ({100 * self.chance_low:.0f} to {100 * self.chance_high:.0f} % expected by chance; "
            f"p = {self.p_value:.2g} for both, by {_NUM_RELABELLINGS} relabellings, and at most "
            f"{MEMORISATION_LEVEL:g} counts)."
        )


def membership_inference(
    synthetic: SpikeCounts, train: SpikeCounts, held_out: SpikeCounts, *, seed: int = 0
) -> Membership:
    """Attack synthetic trials: tell the trials that their model was trained on from held-out ones.

    Parameters
    ----------
    synthetic, train, held_out : SpikeCounts
        The same units and bin size. ``train`` and ``held_out`` are random parts of one session, at least
        three trials each; of more than 3000, so many are drawn.
    seed : int
        Of that draw and of the relabellings.

    Returns
    -------
    Membership

    Raises
    ------
    ValueError
        If the populations differ, or trials are too few.
    """
    from scipy.stats import rankdata

    for name, counts in (("train", train), ("held_out", held_out)):
        check_same_population(synthetic, counts, name)
        if counts.num_trials < 3:
            raise ValueError(f"{name} has {counts.num_trials} trials; membership inference needs at least 3.")
    train, held_out, synthetic = (
        _at_most(counts, seed, name)
        for counts, name in ((train, "train"), (held_out, "held-out"), (synthetic, "synthetic"))
    )
    real = np.concatenate([root_window_counts(train), root_window_counts(held_out)])
    to_synthetic = np.sqrt(squared_distances(real, root_window_counts(synthetic)))
    is_train = np.arange(len(real)) < train.num_trials

    scores = -to_synthetic.min(axis=1) / np.maximum(_to_nearest_others(real), 1e-9)
    auc, low, high = _auc(scores[is_train], scores[~is_train])
    labels = np.stack(
        [is_train]
        + [
            is_train[np.argsort(uniforms(seed, "validation/relabel", k, (len(real),)))]
            for k in range(_NUM_RELABELLINGS)
        ]
    )
    closer = labels[:, to_synthetic.argmin(axis=0)].mean(axis=1)
    chance_low, chance_high = np.quantile(closer[1:], [0.025, 0.975])
    return Membership(
        auc=auc,
        low=low,
        high=high,
        auc_ceiling=0.5 + 0.5 * min(1.0, synthetic.num_trials / train.num_trials),
        closer_to_train=float(closer[0]),
        chance_low=float(chance_low),
        chance_high=float(chance_high),
        p_value=_p_value(labels @ rankdata(scores), closer),
        num_train=train.num_trials,
        num_held_out=held_out.num_trials,
        num_synthetic=synthetic.num_trials,
    )


def _at_most(counts: SpikeCounts, seed: int, name: str) -> SpikeCounts:
    if counts.num_trials <= _MAX_TRIALS:
        return counts
    order = np.argsort(uniforms(seed, f"validation/membership/{name}", 0, (counts.num_trials,)))
    return counts[np.sort(order[:_MAX_TRIALS])]


def _p_value(*attacks: np.ndarray) -> float:
    """Share of labellings under which the best of several attacks does at least as well as under the true one.

    Each attack has a value for every labelling, the true one first.
    """
    values = np.stack(attacks)
    sd = values.std(axis=1, keepdims=True)
    z = (values - values.mean(axis=1, keepdims=True)) / np.where(sd > 0, sd, 1.0)
    best = z.max(axis=0)
    # Equal outcomes may differ by rounding.
    return float(np.mean(best >= best[0] - 1e-9))


def _to_nearest_others(real: np.ndarray) -> np.ndarray:
    """Mean distance of each trial to its nearest neighbours among all other real trials, shape (trials,)."""
    distances = np.sqrt(squared_distances(real, real))
    np.fill_diagonal(distances, np.inf)
    neighbours = min(_NUM_NEIGHBOURS, len(real) - 1)
    return np.partition(distances, neighbours - 1, axis=1)[:, :neighbours].mean(axis=1)


def _auc(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float, float]:
    """AUC and its 95 % interval by DeLong's variance."""
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    auc = float(wins.mean())
    variance = wins.mean(axis=1).var(ddof=1) / len(positive) + wins.mean(axis=0).var(ddof=1) / len(negative)
    reach = 1.96 * float(np.sqrt(variance))
    return auc, max(0.0, auc - reach), min(1.0, auc + reach)
