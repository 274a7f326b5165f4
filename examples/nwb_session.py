"""
NWB: trials aligned to an event, and back into a file
=====================================================

A file with a units table and a trials table, as DANDI has them, cut around the go cue of each trial.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from pynwb import NWBHDF5IO, NWBFile

import spikeinterface_gen as sig
from spikeinterface_gen.models.psth import PSTHPoisson

output = Path(os.environ.get("EXAMPLES_OUTPUT", "."))

# %%
# A small file of that kind. Units fire after the cue, some of them on trials to the left, some to the right.

rng = np.random.default_rng(0)
start_s = 2.0 * np.arange(120)
cue_s = start_s + rng.uniform(0.4, 0.8, 120)
side = np.array(["left", "right"])[rng.integers(0, 2, 120)]
file = NWBFile("a delayed choice", "session-1", datetime(2026, 1, 5, tzinfo=UTC))
file.add_trial_column("go_cue_time", "when the cue came on")
file.add_trial_column("side", "which side was chosen")
for trial in range(120):
    file.add_trial(
        start_time=start_s[trial], stop_time=start_s[trial] + 1.5, go_cue_time=cue_s[trial], side=side[trial]
    )
for unit in range(8):
    preferred = ["left", "right"][unit % 2]
    number = rng.poisson(np.where(side == preferred, 9, 2))
    driven = np.repeat(cue_s, number) + rng.normal(0.2, 0.06, number.sum())
    times_s = np.concatenate([rng.uniform(0, 240, 1200), driven])
    file.add_unit(spike_times=np.sort(times_s[times_s > 0]), obs_intervals=[[0.0, 241.0]])
path = output / "recorded.nwb"
with NWBHDF5IO(path, "w") as io:
    io.write(file)

# %%
# Read it: one trial from 0.2 s before to 0.6 s after each cue. The columns of the trials table are the covariates.

counts = sig.SpikeCounts.from_nwb(path, bin_size_ms=20.0, align_to="go_cue_time", around_s=(-0.2, 0.6))
print(counts, sorted(counts.covariates), sep="\n")

# %%
# One model for each side, drawn from as often as the side occurred.

parts = {name: counts[counts.covariates["side"] == name] for name in ("left", "right")}
synthetic = {name: PSTHPoisson().fit(part).sample(len(part), seed=1) for name, part in parts.items()}

figure = Figure(figsize=(9, 3.2), layout="constrained")
time_ms = -200 + 20 * np.arange(counts.max_bins)
for ax, (title, sides) in zip(
    figure.subplots(1, 2, sharey=True), (("recorded", parts), ("synthetic", synthetic)), strict=True
):
    for (name, part), colour in zip(sides.items(), ("#0072B2", "#D55E00"), strict=True):
        rates_hz = part.counts[:, :, 0].mean(axis=0) * 1000 / part.bin_size_ms
        ax.step(time_ms, rates_hz, where="post", color=colour, label=f"chose {name}")
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set(title=f"{title}, unit 0", xlabel="time after the cue (ms)", ylabel="rate (Hz)")
    ax.label_outer()
    ax.legend(frameon=False)
figure.savefig(output / "nwb_session.png", dpi=110)

# %%
# Back into a file, which says in four places that it is synthetic.

written = synthetic["left"].to_nwb(output / "synthetic.nwb", overwrite=True)
print(sig.SpikeCounts.from_nwb(written, bin_size_ms=20.0), sig.is_synthetic(written), sep="\n")
