"""How trials are drawn, split, folded and relabelled for two-sample tests; everything follows from a seed."""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.randomness import uniforms

__all__ = ["MAX_TRIALS", "MIN_TRIALS", "choose", "draw_folds", "draw_splits", "relabel"]

MIN_TRIALS = 10
"""Trials that either side needs: two for each fold of the classifier."""
MAX_TRIALS = 1000
"""Trials of either side that are used, at most: the work grows with their square."""

_NUM_FOLDS = 5


def draw_splits(sizes: list[int], num_splits: int, seed: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Positions of equally many real, synthetic and other real trials, for each split; none if these are too few.

    ``sizes`` are those of real, synthetic and (if any) training trials, which lie one after the other. At most half
    of the training trials are drawn: the floors must differ, or nothing would be known of their spread.
    """
    has_train = len(sizes) == 3
    number = min(sizes[0] if has_train else sizes[0] // 2, sizes[1], *(size // 2 for size in sizes[2:]))
    if number < MIN_TRIALS:
        return []
    splits = []
    for k in range(num_splits):
        orders = [
            np.argsort(uniforms(seed, f"validation/two-sample-split/{side}", k, (size,)))
            for side, size in enumerate(sizes)
        ]
        other = sizes[0] + sizes[1] + orders[2][:number] if has_train else orders[0][number : 2 * number]
        splits.append((orders[0][:number], sizes[0] + orders[1][:number], other))
    return splits


def draw_folds(num_first: int, num_second: int, seed: int, index: int) -> np.ndarray:
    """Fold of each trial; every fold holds an equal share of both samples."""
    parts = [
        np.argsort(uniforms(seed, f"validation/folds/{side}", index, (number,))) % _NUM_FOLDS
        for side, number in enumerate((num_first, num_second))
    ]
    return np.concatenate(parts)


def relabel(is_first: np.ndarray, folds: np.ndarray, num_permutations: int, seed: int) -> np.ndarray:
    """The labels, then relabellings within folds, (trials, 1 + num_permutations)."""
    result = np.empty((len(is_first), 1 + num_permutations), bool)
    result[:, 0] = is_first
    by_fold = np.argsort(folds, kind="stable")
    for k in range(num_permutations):
        shuffled = np.lexsort((uniforms(seed, "validation/relabel-trials", k, (len(folds),)), folds))
        result[by_fold, k + 1] = is_first[shuffled]
    return result


def choose(num_trials: int, seed: int, name: str) -> np.ndarray:
    """Positions of the trials of a side that are used: all, or ``MAX_TRIALS`` of more."""
    if num_trials <= MAX_TRIALS:
        return np.arange(num_trials)
    return np.sort(np.argsort(uniforms(seed, f"validation/two-sample/{name}", 0, (num_trials,)))[:MAX_TRIALS])
