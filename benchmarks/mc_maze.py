"""The MC_Maze rows of the LDNS paper's table, from a file of your own (DANDI 000128, about 1 GB).

    python benchmarks/mc_maze.py sub-Jenkins_ses-full_desc-train_behavior+ecephys.nwb [--minutes 30]
    python benchmarks/mc_maze.py --simulated        # the reaching simulator instead, which needs no file

2008 training trials of 140 bins of 5 ms and 182 units, 287 others.
"""

import argparse

from _paper import paper_table

from spikeinterface_gen import load_dataset

NUM_TRAIN = 2008
# Stored output of the authors' notebooks: D_KL of population counts, correlations, mean and s.d. of intervals in s.
PUBLISHED = {
    "AutoLFADS": [0.0040, 0.00264, 0.039, 0.029],
    "LDNS": [0.0038, 0.00251, 0.037, 0.023],
    "LDNS with spike history": [0.0016, 0.00250, 0.0245, 0.0235],
    "two halves of the real data": [0.00014, 0.00234, 0.0128, 0.0136],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?")
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--minutes", type=float)
    options = parser.parse_args()
    if options.simulated == (options.path is not None):
        parser.error("name the NWB file, or give --simulated")
    counts = load_dataset("reaching") if options.simulated else load_dataset("mc_maze", path=options.path)
    name = "reaching_paper_table" if options.simulated else "mc_maze"
    published = {} if options.simulated else PUBLISHED
    paper_table(name, counts[:NUM_TRAIN], counts[NUM_TRAIN:], minutes=options.minutes, published=published)


if __name__ == "__main__":
    main()
