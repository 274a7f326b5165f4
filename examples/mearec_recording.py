"""
The same spikes, rendered by MEArec
===================================

MEArec (Buccino & Einevoll, *Neuroinformatics* 19, 2021) renders spike trains with templates from simulated neurons.
It takes ours as they are: they are Neo's. ``pip install MEArec`` installs it.
"""

import os
from pathlib import Path

import MEArec
import numpy as np
from matplotlib.figure import Figure
from spikeinterface.core.generate import generate_templates

import spikeinterface_gen as sig

output = Path(os.environ.get("EXAMPLES_OUTPUT", "."))

# %%
# Two seconds of five units, as recorded in the bundled session: or whatever a model draws.

session = sig.load_dataset("steinmetz2019")
counts = session[:5].select_units(session.unit_ids[np.argsort(-session.rates_hz)[:5]])
recording = sig.generate_from_counts(counts, seed=2, folder=output / "session", overwrite=True)
spiketrains = list(recording.spiketrains[0])
for train in spiketrains:
    # MEArec puts inhibitory units last: where all are of one type, units stay where they are.
    train.annotate(cell_type="E")
print(spiketrains[0])

# %%
# Templates are usually those of MEArec, simulated with NEURON: ``MEArec.gen_recordings(templates="templates.h5", …)``.
# To need nothing but MEArec here, it is handed SpikeInterface's, at the places of our units.

frequency, before_ms, after_ms = recording.sampling_frequency, 1.0, 3.0
contacts_um = recording.get_channel_locations()
places_um = recording.sorting.get_property("gt_unit_locations")
dense_uv = generate_templates(contacts_um, places_um, frequency, ms_before=before_ms, ms_after=after_ms, seed=2)
electrodes = {
    "electrode_name": "ours",
    "pos": contacts_um.tolist(),
    "plane": "yz",
    "center": False,
    "shape": "square",
    "size": 6.0,
    "type": "mea",
}
templates = MEArec.TemplateGenerator(
    temp_dict={
        "templates": dense_uv.transpose(0, 2, 1).astype(float),
        "locations": places_um[:, [2, 0, 1]],
        "rotations": np.zeros((5, 3)),
        "celltypes": np.array(["unit"] * 5),
    },
    info={
        "params": {"dt": 1000 / frequency, "cut_out": [before_ms, after_ms], "drifting": False},
        "electrodes": electrodes,
    },
)

# %%
# Noise, jitter and modulation of amplitudes are MEArec's own.

settings = MEArec.get_default_recordings_params()
settings["recordings"] |= {"noise_level": 8.0, "noise_color": True, "fs": frequency}
settings["templates"] |= {"n_jitters": 1}
settings["seeds"] = {"spiketrains": 0, "templates": 0, "convolution": 0, "noise": 0}
rendered = MEArec.gen_recordings(
    params=settings,
    tempgen=templates,
    spgen=MEArec.SpikeTrainGenerator(spiketrains=spiketrains),
    template_ids=np.arange(5),
    tmp_mode=None,
    verbose=False,
)

# %%
# One channel, twice: other waveforms and other noise, at the same times. On average over its spikes, the trough of a
# unit is where the ground truth says, in both.

figure = Figure(figsize=(9, 3.6), layout="constrained")
axes = figure.subplots(2, 2, sharex="col", width_ratios=[2, 1])
channel = int(np.abs(dense_uv[0]).max(axis=0).argmax())
frames = recording.sorting.get_unit_spike_train(unit_id=recording.sorting.unit_ids[0])
frames = frames[(frames > 100) & (frames < len(rendered.recordings) - 100)]
shown = slice(frames[0] - 100, frames[0] + 3000)
for row, name, traces_uv in zip(
    axes, ("ours", "MEArec"), (recording.get_traces(return_in_uV=True), rendered.recordings), strict=True
):
    row[0].plot(np.arange(shown.start, shown.stop) / 30, traces_uv[shown, channel], color="0.3", linewidth=0.6)
    row[0].plot(frames[frames < shown.stop] / 30, np.full(np.sum(frames < shown.stop), 60.0), "v", markersize=5)
    average_uv = np.mean([traces_uv[frame - 30 : frame + 60, channel] for frame in frames], axis=0)
    row[1].plot(np.arange(-30, 60) / 30, average_uv)
    row[0].set(ylabel=f"{name} (µV)")
    print(f"{name}: trough {average_uv.argmin() - 30} frames after the true spike times")
axes[1, 0].set_xlabel("time (ms)")
axes[1, 1].set_xlabel("time from the spike (ms)")
figure.savefig(output / "mearec_recording.png", dpi=110)
