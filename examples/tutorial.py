"""
Ten minutes: from a recorded session to a synthetic recording
=============================================================

A recorded population goes in; new trials of it come out, as spike trains and as a recording whose ground truth is
known, with a report on how far they can be trusted.
"""

import os
from pathlib import Path

import numpy as np
from elephant.statistics import cv2, isi

import spikeinterface_gen as sig

output = Path(os.environ.get("EXAMPLES_OUTPUT", "."))

# %%
# Recorded spikes
# ---------------
# The package brings one session: a mouse that tells which of two gratings has the higher contrast, recorded with
# Neuropixels probes (Steinmetz et al. 2019). To be done in seconds we take 24 of its fastest units.
# A ``SpikeCounts`` is what everything here works on: spikes in each bin of each trial, with what is known about
# trials and units. :doc:`/howto/neo`, :doc:`/howto/spikeinterface` and :doc:`/howto/nwb` make one from your data.

counts = sig.load_dataset("steinmetz2019")
fast = np.argsort(-counts.rates_hz)[:48:2]
counts = counts.select_units(counts.unit_ids[fast])
print(counts)

# %%
# Some trials are put aside first. The model must never see them: they are what it is judged by.

train, held_out = counts.split((0.8, 0.2), seed=0)
print(train, held_out, sep="\n")

# %%
# Learn
# -----
# LDNS learns latents that the units share, a diffusion model that draws new latents, and how counts follow from
# them, each unit's own history included (:doc:`/model`). A network so small, trained so briefly, is
# enough to see it work, not to do it justice: ``LDNS().fit(train, max_minutes=4)`` gives one like those of
# :doc:`/how_good`.

small = {"channels": 32, "num_blocks": 1, "denoiser_channels": 32}
steps = {"autoencoder": 100, "refit": 20, "denoiser": 120}
model = sig.LDNS(**small).fit(train, num_steps=steps, seed=0, progress=False)
model.stage_metrics_.round(2)

# %%
# The table says where quality is lost: distances from trials that were kept for stopping, after each stage, relative to
# the distance of other real trials in the last row. 1 is as good as real.
#
# Draw new trials
# ---------------

synthetic = model.sample(len(held_out), seed=1)
sig.plot_rasters(held_out, synthetic, num_trials=4).savefig(output / "rasters.png")

# %%
# The seed decides: trial 7 of seed 1 is the same whenever, and however many, are drawn. Neo and Elephant take them from
# here, and every object says what it is.

block = synthetic.to_neo()
trains = block.segments[0].spiketrains
print([round(float(cv2(isi(train), with_nan=True)), 2) for train in trains[:5]])
print(sig.is_synthetic(block), block.annotations["model"], block.annotations["seed"])

# %%
# Judge them
# ----------
# Every distance is set beside its floor, the distance of other real trials; a permutation test over all metrics says
# which of them tell synthetic from real trials. :doc:`/howto/validate` explains each column.

report = sig.validate(held_out, synthetic, train=train)
report.table[["value", "floor", "ratio", "low", "high", "flagged"]].round(3)

# %%
# ``report.summary()`` puts that into words that a methods section could carry; ``report.to_html("report.html")``
# writes a page of it, and ``report.plot()`` draws what is below. Diamonds are flagged, and after seconds of training
# many are: correlations are there, the regular firing of fast units (CV2) is not yet.

report.plot().savefig(output / "report.png", dpi=80)

# %%
# A recording with ground truth
# -----------------------------
# Spikes get times inside their bins, waveforms, a probe and noise. Traces are computed when they are read, so that
# hours cost nothing until then. It is a SpikeInterface recording: sort it, and compare with ``recording.sorting``.

folder = output / "recording"
recording = sig.generate_with_ldns(model, 20, seed=2, folder=folder, overwrite=True)
print(recording, recording.sorting, sep="\n")
recording.trials.head()
