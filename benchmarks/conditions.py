"""The bundled session conditioned on contrast side × feedback and on trial time, beside no conditions at all.

    python benchmarks/conditions.py [--folds 5] [--repeats 1] [--minutes 4] [--first-fold-only]

Every trial is tested once a repeat: a classifier learns side, feedback, or both from the recorded trials of the other
folds, and is tested on recorded trials of the fold and on trials that a model of the other folds drew for their side
and feedback, ten each. The loss in accuracy has a one-sided 95 % bound from resampled trials. Of the same models, each
with one autoencoder: slow drift, D_KL of the population count, correlations and memorisation with conditions (drawn as
recorded, as a session, or left out) and without, over random folds and for the last fifth of the session.
"""

import argparse
import time

import numpy as np
from _record import record
from _session import recorded_session

from spikeinterface_gen import LDNS, SpikeCounts, validate
from spikeinterface_gen.counts import SESSION_TIME
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.decoding import _classify
from spikeinterface_gen.validation.trial_features import root_window_counts

METRICS = ("drift", "population_count", "correlation", "isi_mean", "rate", "fano_factor")
TARGETS = ("side", "feedback", "side and feedback")
DRAWN_FOR_EACH = 10
NUM_RESAMPLES = 4000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--first-fold-only", action="store_true", help="a quick look: one split, no bound")
    options = parser.parse_args()
    counts = session()
    splits = [split for r in range(options.repeats) for split in folds(counts, options.folds, r)]
    if options.first_fold_only:
        splits = splits[:1]
    hits = {target: {"recorded": [], "drawn": [], "drawn, time too": [], "trial": []} for target in TARGETS}
    judged = []
    for train, test in splits:
        model, plain, seconds = models(train, options.minutes)
        decode(hits, model, counts, train, test)
        judged.append({**figures(model, plain, counts[train], counts[test]), "seconds": seconds})
        print(judged[-1], flush=True)
    early, late = counts.split((0.8, 0.2), by="time")
    by_time = None
    if not options.first_fold_only:
        model, plain, _ = models(np.argsort(counts.t_starts_s)[: len(early)], options.minutes)
        by_time = figures(model, plain, early, late)
    record(
        "conditions",
        {
            "data": f"{counts}",
            "folds": options.folds,
            "repeats": options.repeats,
            "splits tested": len(splits),
            "fit_minutes_at_most": options.minutes,
            "accuracy of classifiers of recorded trials": {target: losses(hits[target]) for target in TARGETS},
            "random folds, median": medians(judged),
            "last fifth of the session": by_time,
            "folds, each": judged,
        },
    )


def session() -> SpikeCounts:
    counts = recorded_session()
    side = np.sign(counts.covariates["contrast_left"] - counts.covariates["contrast_right"]).astype(int)
    return counts.with_covariates(
        side=np.array(["right", "equal", "left"])[side + 1],
        feedback=np.where(counts.covariates["feedback_type"] > 0, "reward", "none"),
    )


def folds(counts: SpikeCounts, number: int, repeat: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions of training and of test trials; every condition is spread over the folds."""
    order = np.argsort(uniforms(repeat, "benchmark folds", 0, (len(counts),)))
    order = order[np.argsort(labels(counts, "side and feedback")[order], kind="stable")]
    fold = np.empty(len(counts), int)
    fold[order] = np.arange(len(counts)) % number
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(number)]


def models(train: np.ndarray, minutes: float) -> tuple[LDNS, LDNS, float]:
    """A model with conditions, and one without on the same latents."""
    counts = session()[np.sort(train)]
    started = time.monotonic()
    model = LDNS().fit(counts, covariates=["side", "feedback"], max_minutes=minutes, progress=False)
    seconds = round(time.monotonic() - started, 1)
    return model, model.fit_conditions(counts, session_time=False, progress=False), seconds


# ---- conditions can be read from what was drawn for them ---------------------------------------


def labels(counts: SpikeCounts, target: str) -> np.ndarray:
    if target != "side and feedback":
        return counts.covariates[target]
    return np.char.add(np.char.add(counts.covariates["side"], ", "), counts.covariates["feedback"])


def decode(hits: dict, model: LDNS, counts: SpikeCounts, train: np.ndarray, test: np.ndarray) -> None:
    """Add to ``hits``, for each test trial, whether it was told right, and how many of those drawn for it were."""
    recorded, unseen = counts[train], counts[test]
    repeated = np.repeat(np.arange(len(test)), DRAWN_FOR_EACH)
    given = {name: unseen.covariates[name][repeated] for name in ("side", "feedback")}
    drawn = model.sample(len(repeated), covariates=given, seed=1)
    timed = model.sample(len(repeated), covariates={**given, SESSION_TIME: unseen.t_starts_s[repeated]}, seed=1)
    features = [root_window_counts(part) for part in (unseen, drawn, timed)]
    for target in TARGETS:
        truth = labels(unseen, target)
        told = _classify(
            root_window_counts(recorded), labels(recorded, target), np.arange(len(train)), np.concatenate(features)
        )
        borders = [len(test), len(test) + len(repeated)]
        right = np.split(told == np.concatenate([truth, truth[repeated], truth[repeated]]), borders)
        hits[target]["recorded"].extend(right[0])
        for name, part in (("drawn", right[1]), ("drawn, time too", right[2])):
            hits[target][name].extend(part.reshape(len(test), DRAWN_FOR_EACH).mean(axis=1))
        hits[target]["trial"].extend(test)


def losses(found: dict[str, list]) -> dict[str, float]:
    """Accuracies, and their difference with its bound; a trial tested in several repeats is resampled as one."""
    trial = np.array(found["trial"])
    number = np.bincount(trial)
    present = np.flatnonzero(number)
    means = {
        name: np.bincount(trial, weights=np.array(found[name], float))[present] / number[present]
        for name in ("recorded", "drawn", "drawn, time too")
    }
    resamples = (uniforms(0, "benchmark resamples", 0, (NUM_RESAMPLES, len(present))) * len(present)).astype(int)
    told = {f"accuracy, {name}": rounded(values.mean()) for name, values in means.items()}
    for name in ("drawn", "drawn, time too"):
        lost = means["recorded"] - means[name]
        told[f"loss, {name}"] = rounded(lost.mean())
        told[f"loss, {name}, one-sided 95 % bound"] = rounded(np.quantile(lost[resamples].mean(axis=1), 0.95))
    return told


# ---- nothing else gets worse -------------------------------------------------------------------


def figures(model: LDNS, plain: LDNS, train: SpikeCounts, held_out: SpikeCounts) -> dict:
    number = len(train)
    drawn = {
        "without conditions": plain.sample(number, seed=1),
        "with, as recorded": model.sample(number, seed=1),
        "with, as a session": model.sample(number, seed=1, session=True),
        "with, left out": model.sample(number, seed=1, covariates={}),
    }
    return {name: judge(held_out, synthetic, train) for name, synthetic in drawn.items()}


def judge(held_out: SpikeCounts, synthetic: SpikeCounts, train: SpikeCounts) -> dict[str, float]:
    report = validate(held_out, synthetic, train=train, num_splits=20)
    told = {f"{name} ratio": rounded(report.table.loc[name, "ratio"]) for name in METRICS}
    told["correlation excess"] = rounded(report.table.loc["correlation", "excess"])
    if report.membership is not None:
        told["membership_inference_auc"] = rounded(report.membership.auc)
    return told


def medians(judged: list[dict]) -> dict:
    names = [name for name in judged[0] if name != "seconds"]
    return {
        name: {key: rounded(np.median([fold[name][key] for fold in judged])) for key in judged[0][name]}
        for name in names
    }


def rounded(value: float) -> float:
    return round(float(value), 4)


if __name__ == "__main__":
    main()
