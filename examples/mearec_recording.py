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

other = sig.generate_from_counts(counts, seed=2, folder=output / "other", overwrite=True, templates="spikeinterface")
analyzer_like = other._session.templates
dense_uv, before = analyzer_like.dense_uv(), analyzer_like.num_before
frequency = recording.sampling_frequency
contacts_um = recording.get_channel_locations()
milliseconds = [1000 * n / frequency for n in (before, dense_uv.shape[1] - before)]
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
        "locations": recording.sorting.get_property("gt_unit_locations")[:, [2, 0, 1]],
        "rotations": np.zeros((5, 3)),
        "celltypes": np.array(["unit"] * 5),
    },
    info={"params": {"dt": 1000 / frequency, "cut_out": milliseconds, "drifting": False}, "electrodes": electrodes},
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
print(rendered.recordings.shape)

# %%
# One channel, twice: other waveforms and other noise, at the same times.

figure = Figure(figsize=(8, 3.4), layout="constrained")
axes = figure.subplots(2, 1, sharex=True)
channel = int(np.abs(dense_uv[0]).max(axis=0).argmax())
frames = recording.sorting.get_unit_spike_train(unit_id=recording.sorting.unit_ids[0])[:4]
window = slice(frames[0] - 200, frames[-1] + 200)
ours_uv = recording.get_traces(start_frame=window.start, end_frame=window.stop, return_in_uV=True)
for ax, traces_uv, name in zip(
    axes, (ours_uv, rendered.recordings[window]), ("spikeinterface_gen", "MEArec"), strict=True
):
    ax.plot(np.arange(window.start, window.stop) / frequency * 1000, traces_uv[:, channel], color="0.3", linewidth=0.6)
    ax.plot(frames / frequency * 1000, np.full(len(frames), 60.0), "v", markersize=5)
    ax.set(ylabel=f"{name}\n(µV)")
axes[1].set_xlabel("time (ms)")
figure.savefig(output / "mearec_recording.png", dpi=110)
