"""
Continuous recordings: no trials
================================

Spontaneous activity has no trials. It is cut into windows to learn from.
"""

import os
from pathlib import Path

import neo
import numpy as np
from matplotlib.figure import Figure

import spikeinterface_gen as sig

output = Path(os.environ.get("EXAMPLES_OUTPUT", "."))

# %%
# Two minutes of twelve units that are silent together and active together, at times of their own.

rng = np.random.default_rng(0)
noise = rng.normal(size=12000 + 400)
drive = np.convolve(noise, np.exp(-np.arange(400) / 40), mode="same")[:12000]
rates_hz = 8.0 * np.exp(0.8 * drive / drive.std())[:, None] * rng.uniform(0.5, 1.5, 12)
spikes = rng.poisson(rates_hz * 0.01)
trains = [
    neo.SpikeTrain(np.sort(np.repeat(np.arange(12000), n) + rng.random(n.sum())) * 0.01, units="s", t_stop=120.0)
    for n in spikes.T
]

# %%
# ``window_s`` cuts them into windows. These share no time origin, and the container knows it.

counts = sig.SpikeCounts.from_neo(trains, bin_size_ms=50.0, window_s=2.0)
print(counts, "locked to a trial" if counts.trial_locked else "no time origin", sep=", ")

# %%
# A model of such windows has no notion of where in a trial it is.

small = {"channels": 32, "num_blocks": 1, "denoiser_channels": 32, "num_latents": 2, "history_bins": 0}
steps = {"autoencoder": 80, "refit": 10, "denoiser": 250}
model = sig.LDNS(**small).fit(counts, num_steps=steps, seed=0, progress=False)
synthetic = model.sample(60, seed=1)
print(synthetic)

# %%
# So it may also run longer than any window. Whether it stays itself has to be looked at: its rate must not depend on
# the length. A model that was trained for seconds need not pass.

for duration_s in (2.0, 4.0, 8.0):
    longer = model.sample(12, durations=duration_s, seed=2)
    print(f"{duration_s:.0f} s: {longer.rates_hz.mean():.1f} Hz, recorded {counts.rates_hz.mean():.1f} Hz")

# %%
# Ten seconds of recorded activity, and five windows that were drawn (dotted: their borders). In blue the count of all
# spikes.

figure = Figure(figsize=(9, 4), layout="constrained")
recorded_count = spikes[:1000].reshape(200, 5, 12).sum(axis=1)
for ax, title, activity in zip(
    figure.subplots(2, 1, sharex=True),
    ("recorded", "synthetic, five windows"),
    (recorded_count, synthetic.counts[:5].reshape(200, 12)),
    strict=True,
):
    bins, units = np.nonzero(activity)
    ax.plot(bins * 0.05, units, "|", color="black", markersize=4, markeredgewidth=0.6)
    ax.fill_between(np.arange(200) * 0.05, activity.sum(axis=1) / 8 - 5, -5, color="#0072B2", alpha=0.5, linewidth=0)
    for border_s in (2, 4, 6, 8):
        ax.axvline(border_s, color="grey", linewidth=0.6, linestyle=":")
    ax.set(title=title, ylabel="unit", ylim=(-5.5, 12), yticks=[0, 4, 8], xlim=(0, 10))
ax.set_xlabel("time (s)")
figure.savefig(output / "continuous_recording.png", dpi=110)
