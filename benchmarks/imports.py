"""What importing this package costs on top of SpikeInterface, and how soon a first synthetic Neo block is there.

    python benchmarks/imports.py [--processes 9]

Each process imports ``spikeinterface.full`` and then ``spikeinterface_gen.full``, which also registers the analyzer
extension. Others, as fresh, draw a hundred trials of all units from the bundled model of the session as a Neo block,
whose spike trains are made when looked at, and look at those of a trial. Wall time is what a user waits for, and
depends on what else the machine does; processor time does not.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

from _record import record

BAR_S = 0.3
CODE = """
import json, sys, time

def timed(name):
    wall, cpu = time.perf_counter(), time.process_time()
    __import__(name)
    return time.perf_counter() - wall, time.process_time() - cpu

seconds = {name: timed(name) for name in ("spikeinterface.full", "spikeinterface_gen.full")}
loaded = [name for name in ("torch", "lightning", "elephant", "neo") if name in sys.modules]
print(json.dumps({"seconds": seconds, "loaded": loaded}))
"""
FIRST_BLOCK_BAR_S = 10.0
FIRST_BLOCK = """
import spikeinterface_gen as sig

block = sig.load_model("steinmetz2019").sample(100, seed=0).to_neo()
print(sum(len(train) for train in block.segments[0].spiketrains))
"""


def first_block_s() -> float:
    """Seconds from the start of a process to its end, with a synthetic block in between."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", FIRST_BLOCK], check=True, capture_output=True)
    return time.perf_counter() - started


def one_process() -> dict:
    """Seconds of each import, wall and processor, and which heavy packages came along."""
    printed = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=9, help="fresh processes; medians are over them")
    options = parser.parse_args()
    one_process()  # compiled files are written, and files read into the cache of the disk
    runs = [one_process() for _ in range(options.processes)]
    seconds = {
        name: {
            clock: {
                "median": round(statistics.median(values), 4),
                "smallest": round(min(values), 4),
                "largest": round(max(values), 4),
            }
            for clock, values in zip(
                ("wall", "processor"), zip(*(r["seconds"][name] for r in runs), strict=True), strict=True
            )
        }
        for name in ("spikeinterface.full", "spikeinterface_gen.full")
    }
    over = seconds["spikeinterface_gen.full"]
    first_blocks = [first_block_s() for _ in range(3)]
    record(
        "imports",
        {
            "processes": options.processes,
            "import_seconds": {
                "spikeinterface.full": seconds["spikeinterface.full"],
                "spikeinterface_gen.full, after it": over,
            },
            "heavy_packages_that_come_along": sorted({name for r in runs for name in r["loaded"]}),
            "bar_seconds": BAR_S,
            "first_neo_block_of_100_trials_s": {
                "median": round(statistics.median(first_blocks), 2),
                "largest": round(max(first_blocks), 2),
                "bar": FIRST_BLOCK_BAR_S,
            },
            "within_bar": {clock: over[clock]["median"] <= BAR_S for clock in over},
        },
    )


if __name__ == "__main__":
    main()
