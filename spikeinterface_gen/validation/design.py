"""Which trials stand against which: matched groups of trials, and sets of these groups.

The ``n`` trials of either side of a comparison are cut into at most 20 groups at random. Of a side with more
trials, further ``n`` are cut alike, up to three times. All that is drawn afterwards are sets of whole groups, one
for each place of the cut, so that every set holds exactly ``n`` trials: splits of real, synthetic and other real
trials, halves for reliability, jackknives, and relabellings of real and synthetic groups. Groups that change
places are of one size, and exchangeable where their trials are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.statistics import TrialStatistics
from spikeinterface_gen.validation.sums import SpikeSums, StackedSums

__all__ = ["Design", "Groups", "Side", "Split", "batches", "equal_number"]

_MAX_GROUPS = 20
_MAX_COPIES = 3
_BATCH = 16


def equal_number(num_real: int, num_synthetic: int, num_train: int | None) -> int:
    """Trials on either side of a comparison.

    At most half of ``train`` (without it, of ``real``): the real trials drawn for the floor must differ from
    one split to the next, or nothing would be known of its spread.
    """
    return min(num_real, num_synthetic, num_train // 2) if num_train is not None else min(num_real // 2, num_synthetic)


class Split(NamedTuple):
    """Weights of groups, shape (groups,): three sets of as many trials."""

    real: np.ndarray
    synthetic: np.ndarray
    other_real: np.ndarray


@dataclass(frozen=True)
class Side:
    """Groups of trials of one population.

    Attributes
    ----------
    trials : list of array of int
        Positions of the trials in each group.
    sizes : array of int, shape (groups,)
        Trials in each group.
    first : int
        Position of the first of them among the groups of all sides.
    copies : int
        How often ``n`` trials are in it.
    """

    trials: list[np.ndarray]
    sizes: np.ndarray
    first: int
    copies: int

    @property
    def positions(self) -> np.ndarray:
        """Positions among the groups of all sides."""
        return self.first + np.arange(len(self.sizes))


class Groups:
    """Groups of real and training trials, their sums, and the sets drawn of them.

    Parameters
    ----------
    sides : mapping from str to SpikeCounts
        Of one population: "real", and where there are other real trials "train"; without these, real ones are halved.
    number : int
        Trials of a set.
    seed : int
        Everything drawn follows from it.
    layout : Layout
    exact : bool
        See :class:`~spikeinterface_gen.validation.sums.StackedSums`.
    """

    def __init__(
        self, sides: Mapping[str, SpikeCounts], number: int, *, seed: int, layout: Layout, exact: bool = False
    ) -> None:
        self.seed = seed
        self.number = number
        self.sides: dict[str, Side] = {}
        groups: list[SpikeSums] = []
        for name, counts in sides.items():
            self.sides[name] = _cut(counts.num_trials, number, seed, name, len(groups))
            groups.extend(SpikeSums(counts, layout, trials) for trials in self.sides[name].trials)
        self.real = self.sides["real"]
        self.train = self.sides.get("train")
        self.num_groups = len(groups)
        self.sums = StackedSums(groups, exact=exact)

    @property
    def overlap(self) -> float:
        """Share of the other real trials that two splits have in common on average; 0 for halves drawn anew."""
        return 0.0 if self.train is None else 1.0 / self.train.copies

    def statistics(self, weights: np.ndarray) -> list[TrialStatistics]:
        """Statistics of sets of groups; ``weights`` has shape (sets, groups)."""
        return [TrialStatistics.of_sums(sums) for sums in self.sums.of(weights)]

    def real_splits(self, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Draw sets of real and of other real trials, ``number`` times; weights, shape (groups,)."""
        return [self._real_split(k) for k in range(number)]

    def everything(self, side: Side) -> np.ndarray:
        """Weights of all groups of a side, shape (1, groups)."""
        return self._weights(side.positions)[None]

    def jackknife(self, side: Side) -> np.ndarray:
        """Weights of all groups of a side but one, each in turn, shape (groups of the side, groups)."""
        return self.everything(side) - np.eye(self.num_groups)[side.positions]

    def halves(self, side: Side, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights of two disjoint halves of a side, drawn ``number`` times, each of shape (number, groups)."""
        first, second = np.zeros((2, number, self.num_groups))
        for k in range(number):
            for _, pool in self._classes(side.positions, side.sizes, "halves", k):
                half = len(pool) // 2
                first[k, pool[:half]] = second[k, pool[half : 2 * half]] = 1.0
        return first, second

    def _real_split(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = self._draw(self.real, "real", index)
        if self.train is None:
            return drawn[0], drawn[1]
        return drawn[0], self._draw(self.train, "train", index)[0]

    def _draw(self, side: Side, stage: str, index: int) -> list[np.ndarray]:
        """Weights of disjoint sets of ``number`` trials, as many as the side has."""
        sets: list[list[np.ndarray]] = [[] for _ in range(side.copies)]
        for _, pool in self._classes(side.positions, side.sizes, stage, index):
            for chosen, part in zip(sets, np.split(pool, side.copies), strict=True):
                chosen.append(part)
        return [self._weights(np.concatenate(chosen)) for chosen in sets]

    def _classes(
        self, positions: np.ndarray, sizes: np.ndarray, stage: str, index: int
    ) -> list[tuple[int, np.ndarray]]:
        """Each size, and the positions of its groups in random order."""
        keys = uniforms(self.seed, f"validation/{stage}", index, (len(positions),))
        order = np.argsort(keys)
        return [(int(size), positions[order[sizes[order] == size]]) for size in np.unique(sizes)]

    def _weights(self, positions: np.ndarray) -> np.ndarray:
        weights = np.zeros(self.num_groups)
        weights[positions] = 1.0
        return weights


class Design(Groups):
    """Groups of real, synthetic and training trials, their sums, and the sets drawn of them.

    Parameters
    ----------
    real, synthetic : SpikeCounts
        Of one population.
    train : SpikeCounts, optional
        Other real trials. Without them, ``real`` is halved.
    number, seed, layout
        As of :class:`Groups`.
    """

    def __init__(
        self,
        real: SpikeCounts,
        synthetic: SpikeCounts,
        train: SpikeCounts | None,
        number: int,
        *,
        seed: int,
        layout: Layout,
    ) -> None:
        sides = {"real": real, "synthetic": synthetic, **({} if train is None else {"train": train})}
        super().__init__(sides, number, seed=seed, layout=layout)
        self.synthetic = self.sides["synthetic"]

    def splits(self, number: int) -> list[Split]:
        """Draw sets of real, synthetic and other real trials, ``number`` times."""
        return [
            Split(real, self._draw(self.synthetic, "synthetic", k)[0], other_real)
            for k, (real, other_real) in enumerate(self.real_splits(number))
        ]

    def over_splits(self, number: int) -> Iterator[tuple[TrialStatistics, TrialStatistics, TrialStatistics]]:
        """Statistics of real, synthetic and other real trials, of one split after the other."""
        splits = self.splits(number)
        for part in batches(np.arange(number)):
            sides = [self.statistics(np.stack([splits[k][side] for k in part])) for side in range(3)]
            yield from zip(*sides, strict=True)

    def relabellings(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the real and of the synthetic trials, then of ``number`` random relabellings of all of them.

        Returns
        -------
        real, synthetic : array, shape (1 + number, groups)
        """
        positions = np.concatenate([self.real.positions, self.synthetic.positions])
        sizes = np.concatenate([self.real.sizes, self.synthetic.sizes])
        all_groups = self._weights(positions)
        real = np.zeros((1 + number, self.num_groups))
        real[0] = self._weights(self.real.positions)
        for k in range(number):
            for size, pool in self._classes(positions, sizes, "permutation", k):
                real[1 + k, pool[: np.sum(self.real.sizes == size)]] = 1.0
        return real, all_groups - real

    def num_relabellings(self) -> float:
        """How many relabellings there are."""
        from scipy.special import comb

        sizes = np.unique(self.real.sizes)
        of_real, of_synthetic = (
            [int(np.sum(side.sizes == size)) for size in sizes] for side in (self.real, self.synthetic)
        )
        ways = [comb(ours + theirs, ours) for ours, theirs in zip(of_real, of_synthetic, strict=True)]
        return float(np.prod(ways))


def batches(weights: np.ndarray) -> list[np.ndarray]:
    """Sets that are summed at once: enough for speed, few enough for memory."""
    return [weights[start : start + _BATCH] for start in range(0, len(weights), _BATCH)]


def _cut(num_trials: int, number: int, seed: int, name: str, first: int) -> Side:
    copies = min(num_trials // number, _MAX_COPIES)
    order = np.argsort(uniforms(seed, f"validation/groups of {name}", 0, (num_trials,)))
    parts = np.array_split(np.arange(number), min(number, _MAX_GROUPS))
    trials = [np.sort(order[copy * number + part]) for copy in range(copies) for part in parts]
    return Side(trials, np.array([len(t) for t in trials]), first, copies)
