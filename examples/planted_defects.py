"""
Validate: what a report finds, and what it does not
===================================================

Trials of a simulated population are spoilt on purpose, each time in one respect. A report has to say in which.
"""

import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import spikeinterface_gen as sig
from spikeinterface_gen.validation.planted import DEFECTS, Simulator

output = Path(os.environ.get("EXAMPLES_OUTPUT", "."))

# %%
# Trials of 10 units in bins of 1 ms: some to learn from, some held out, and new ones, first flawless and then not.

simulator = Simulator(num_units=10, num_bins=300)
train, held_out = simulator.draw(50, 1), simulator.draw(50, 2)
candidates = {"nothing": simulator.draw(50, 3)}
for name in ("refractoriness removed", "trials shuffled per unit", "two units swapped"):
    candidates[name] = DEFECTS[name].make(simulator, 50, 3)

# %%
# Each is compared with the held-out trials. What is flagged comes from one permutation test over all metrics,
# which flags anything at all in 5 % of cases where nothing is wrong.

metrics = {
    "rate": "rates",
    "lv": "Lv",
    "autocorrelogram": "autocorrelogram",
    "correlation_20_bins": "correlation",
    "spike_time_tiling": "tiling",
    "synchrony": "synchrony",
}
ratios, flagged = [], []
for name, synthetic in candidates.items():
    report = sig.validate(held_out, synthetic, train=train, num_splits=6, num_permutations=99, thorough=False)
    ratios.append([report.comparisons[metric].ratio for metric in metrics])
    flagged.append([report.comparisons[metric].flagged for metric in metrics])
    print(f"{name}: {', '.join(report.flagged[:4]) or 'nothing flagged'}")

# %%
# A report also says how small a difference it could have found with so many trials. Where that is large, not to be
# flagged means little: these are few and short trials, in which shuffling goes unnoticed. In a hundred trials of 1 s
# of 30 units it does not (:doc:`/validation`).

print(report.table[["value", "floor", "detectable", "unit"]].dropna().loc[["rate", "isi_mean", "cv2"]].to_string())

# %%
# Ratios to the floor; a cross marks what is flagged.

figure = Figure(figsize=(9, 3.2), layout="constrained")
ax = figure.subplots()
image = ax.imshow(np.log2(np.maximum(ratios, 1e-3)), cmap="PuOr_r", vmin=-2.5, vmax=2.5, aspect="auto")
for row, column in np.argwhere(flagged):
    ax.plot(column, row, "x", color="black", markersize=9)
ax.set_xticks(range(len(metrics)), metrics.values())
ax.set_yticks(range(len(candidates)), candidates)
ax.set_ylabel("what was spoilt")
bar = figure.colorbar(image, ax=ax, label="distance / floor", ticks=[-2, -1, 0, 1, 2])
bar.ax.set_yticklabels(["¼", "½", "1", "2", "4"])
figure.savefig(output / "planted_defects.png", dpi=110)
