"""LDNS on attempted speech (Willett et al. 2023), as in its paper, from files of your own (Dryad, competitionData).

    python benchmarks/human_speech.py path/to/competitionData [--minutes 60] [--sessions 4]

128 channels of area 6v, bins of 20 ms, trials of at most 512 bins; training and test trials are those of the
competition. ``--sessions`` takes only so many of the sessions, the first ones.
"""

import argparse

import numpy as np
from _paper import paper_table

from spikeinterface_gen import SpikeCounts, load_dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--sessions", type=int)
    options = parser.parse_args()
    train, test = (
        of_sessions(load_dataset("human_speech", path=options.path, split=split), options.sessions)
        for split in ("train", "test")
    )
    paper_table("human_speech", train, test, minutes=options.minutes, published={})


def of_sessions(counts: SpikeCounts, number: int | None) -> SpikeCounts:
    sessions = np.unique(counts.covariates["session"])
    return counts[np.isin(counts.covariates["session"], sessions[:number])]


if __name__ == "__main__":
    main()
