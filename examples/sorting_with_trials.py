"""
SpikeInterface: a sorting with trials
=====================================

A sorting of a whole session, a table of trials, and correlograms of recorded and synthetic units beside each other.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import spikeinterface.full as si
from matplotlib.figure import Figure

import spikeinterface_gen as sig
from spikeinterface_gen.models.psth import PSTHPoisson

output = Path(os.environ.get("EXAMPLES_OUTPUT", "."))

# %%
# A sorting of a session in one piece, as a sorter leaves it: here the bundled session with 0.3 s between trials. It was
# stored as counts, so that times within its bins of 10 ms are drawn.

session = sig.load_dataset("steinmetz2019")
session = session.select_units(session.unit_ids[np.argsort(-session.rates_hz)[:6]])
sorting = session.to_sorting(layout="session", gap_s=0.3)
starts_s, stops_s = np.array(sorting.get_annotation("trials")).T
print(sorting)

# %%
# The trials are a table with ``start`` and ``stop``; all its other columns become covariates.

trials = pd.DataFrame({"start": starts_s, "stop": stops_s, "feedback": session.covariates["feedback_type"]})
counts = sig.SpikeCounts.from_sorting(sorting, bin_size_ms=10.0, trials=trials)
print(counts, list(counts.covariates), list(counts.unit_properties), sep="\n")

# %%
# Synthetic trials become a sorting of the same kind, with as much time between trials.

synthetic = PSTHPoisson().fit(counts).sample(len(counts), seed=1)
synthetic_sorting = synthetic.to_sorting(layout="session", gap_s=0.3)
print(synthetic_sorting.get_annotation("synthetic"), synthetic_sorting.unit_ids)

# %%
# SpikeInterface's own functions run on both. Recorded units hardly fire again within 10 ms, and fluctuate together
# from trial to trial; Poisson units that follow the PSTH know neither. That model is the baseline others have to beat.

figure = Figure(figsize=(9, 4), layout="constrained")
panels = figure.subplots(2, 3, sharex=True)
for name, spikes, colour in (("recorded", sorting, "#0072B2"), ("synthetic", synthetic_sorting, "#D55E00")):
    correlograms, edges_ms = si.compute_correlograms(spikes, window_ms=50.0, bin_ms=1.0)
    for k in range(3):
        panels[0, k].step(edges_ms[:-1], correlograms[k, k], where="post", color=colour, label=name)
        panels[1, k].step(edges_ms[:-1], correlograms[k, k + 1], where="post", color=colour)
        panels[0, k].set_title(f"unit {sorting.unit_ids[k]}", fontsize=9)
        panels[1, k].set_title(f"units {sorting.unit_ids[k]} and {sorting.unit_ids[k + 1]}", fontsize=9)
        panels[1, k].set_xlabel("lag (ms)")
panels[0, 0].set_ylabel("autocorrelogram")
panels[1, 0].set_ylabel("cross-correlogram")
panels[0, 0].legend(frameon=False)
figure.savefig(output / "sorting_with_trials.png", dpi=110)
