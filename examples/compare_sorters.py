"""
Compare sorters: does it matter that units fire together?
=========================================================

The same templates, the same noise and, unit by unit, the same spike trains; only what units do at the same time is
gone. The difference in accuracy is what joint firing costs a sorter.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import spikeinterface_gen as sig

output = Path(os.environ.get("EXAMPLES_OUTPUT", "."))
folder = Path(tempfile.mkdtemp())

# %%
# Five units that are often active together, for a quarter of a minute.

rng = np.random.default_rng(0)
common = rng.gamma(0.5, 2.0, (38, 40, 1))
counts = sig.SpikeCounts(rng.poisson(0.08 * common * np.ones(5)), bin_size_ms=10.0)
recording = sig.generate_from_counts(counts, seed=1, folder=folder / "as_is", noise_level_uv=6.0)
recordings = sig.make_controls(recording, ["as_is", "permuted"], seed=2, folder=folder / "controls")
print(recording)

# %%
# Spikes within 1 ms of another unit's, before and after trials are permuted unit by unit.

for kind, control in recordings.items():
    frames = np.sort(control.sorting.to_spike_vector()["sample_index"])
    print(f"{kind}: {len(frames)} spikes, {np.mean(np.diff(frames) < 30):.0%} of them closer than 1 ms to the next")

# %%
# A study is SpikeInterface's own ``SorterStudy``. It can be stopped and called again, and a sorter that fails is
# noted and left behind. Real studies take minutes of recording, good sorters and several repeats
# (:doc:`/howto/benchmark_sorters`); this one takes the quickest sorter, so that it is done in seconds.

study = sig.benchmark_sorters(recordings, "simple", folder / "study", job_kwargs={"n_jobs": 1}, progress=False)
table = study.table()
print(table[["sorter", "kind", "unit_id", "accuracy", "precision", "recall"]].round(2).to_string(index=False))

# %%
# Unit by unit, on both recordings.

figure = Figure(figsize=(5, 3.4), layout="constrained")
ax = figure.subplots()
for unit, rows in table.groupby("unit_id"):
    ax.plot(rows["kind"], rows["accuracy"], "o-", label=f"unit {unit}")
ax.set(ylabel="accuracy of the sorter", ylim=(0.5, 1.03), xlabel="how units fire", xlim=(-0.3, 1.3))
ax.set_xticks([0, 1], ["as generated", "each unit's trials\nin another order"])
ax.legend(frameon=False, fontsize=7)
figure.savefig(output / "compare_sorters.png", dpi=110)
