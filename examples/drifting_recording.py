"""
A recording that drifts, with all its truth
===========================================

Recorded counts are rendered as traces on a Neuropixels probe that moves through the tissue.
"""

import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from probeinterface import generate_multi_columns_probe

import spikeinterface_gen as sig

output = Path(os.environ.get("EXAMPLES_OUTPUT", "."))

# %%
# Any counts can be rendered: a model's, or recorded ones. These are from the bundled session.

session = sig.load_dataset("steinmetz2019")
counts = session[:60].select_units(session.unit_ids[np.argsort(-session.rates_hz)[:20]])

# %%
# Templates, probe, noise, drift: all of them can be your own (:doc:`/howto/benchmark_sorters`). Left to themselves they
# are drawn from defaults that look like cortex, each with its unit in its name.

probe = generate_multi_columns_probe(2, 24, xpitch=32, ypitch=20)
recording = sig.generate_from_counts(
    counts,
    seed=3,
    folder=output / "recording",
    overwrite=True,
    probe=probe,
    motion="nonrigid",
    drift_um_per_hour=300.0,
    noise_level_uv=9.0,
)
print(recording)

# %%
# The truth that comes with it: spikes, trials, where units are, and how the tissue moved.

print(recording.sorting)
print(recording.trials[["start_s", "stop_s", "contrast_left"]].head(3))
print(recording.sorting.get_property("gt_unit_locations")[:2].round(0))
print(recording.motion)

# %%
# Traces of 40 ms with the true spikes on them, and the drift over the whole session.

frames = (60000, 61200)
traces_uv = recording.get_traces(start_frame=frames[0], end_frame=frames[1], return_in_uV=True)
figure = Figure(figsize=(9, 4.6), layout="constrained")
left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
time_ms = np.arange(len(traces_uv)) / recording.sampling_frequency * 1000
depth_um = recording.get_channel_locations()[:, 1]
for channel in range(0, 48, 2):
    left.plot(time_ms, traces_uv[:, channel] / 8 + depth_um[channel], color="0.3", linewidth=0.5)
sorting, locations_um = recording.sorting, recording.sorting.get_property("gt_unit_locations")
for unit, location_um in zip(sorting.unit_ids, locations_um, strict=True):
    spikes = sorting.get_unit_spike_train(unit_id=unit, start_frame=frames[0], end_frame=frames[1])
    left.plot((spikes - frames[0]) / 30, np.full(len(spikes), location_um[1]), "v", markersize=5)
left.set(xlabel="time (ms)", ylabel="depth (µm)", title="traces of one column, true spikes at their unit's depth")
motion = recording.motion
for k, depth in enumerate(motion.spatial_bins_um):
    right.plot(motion.temporal_bins_s[0], motion.displacement[0][:, k], label=f"at {depth:.0f} µm")
right.set(xlabel="time (s)", ylabel="displacement (µm)", title="true drift")
right.legend(frameon=False, fontsize=7)
figure.savefig(output / "drifting_recording.png", dpi=110)
