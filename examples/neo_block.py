"""
Neo: the analysis that ran on recorded data runs on synthetic data
==================================================================

An analysis of a Neo block, written for recorded data, is given synthetic data in its place.
"""

import os
from pathlib import Path

import neo
import numpy as np
import quantities as pq
from elephant.statistics import time_histogram
from matplotlib.figure import Figure

import spikeinterface_gen as sig
from spikeinterface_gen.models.psth import PSTHPoisson

output = Path(os.environ.get("EXAMPLES_OUTPUT", "."))

# %%
# The data of the lab: one segment a trial, spike times in ms on the clock of the session, names for units.

rng = np.random.default_rng(0)
recorded = neo.Block(name="monkey 7, day 3")
for trial in range(40):
    start_ms = 500.0 + 1700.0 * trial
    segment = neo.Segment(name=f"trial {trial}", side=["left", "right"][trial % 2])
    for unit, rate_hz in enumerate([8, 15, 25, 40]):
        number = rng.poisson(rate_hz)
        # Most spikes follow the cue, which comes half a second into the trial.
        times_ms = np.where(rng.random(number) < 0.6, rng.normal(600, 80, number), rng.uniform(0, 1000, number))
        times_ms = np.sort(start_ms + times_ms[(times_ms > 0) & (times_ms < 1000)])
        train = neo.SpikeTrain(times_ms, units="ms", t_start=start_ms, t_stop=start_ms + 1000.0, name=f"unit {unit}")
        train.annotate(unit_id=f"unit {unit}")
        segment.spiketrains.append(train)
    recorded.segments.append(segment)


def histograms(block):
    """Rate of each unit over the trial in Hz, by Elephant."""
    rates = []
    for unit in range(len(block.segments[0].spiketrains)):
        trains = [segment.spiketrains[unit] for segment in block.segments]
        trains = [train.time_shift(-train.t_start) for train in trains]
        rates.append(time_histogram(trains, bin_size=20 * pq.ms, output="rate").rescale("Hz").magnitude[:, 0])
    return np.array(rates)


# %%
# Segments become trials, their annotations covariates, and times any whole number of bins.

counts = sig.SpikeCounts.from_neo(recorded, bin_size_ms=10.0)
print(counts, counts.covariates["side"][:4], counts.t_starts_s[:3])

# %%
# Any model of the package will do here; this one knows each unit's time course and nothing else, and is done at once.

synthetic = PSTHPoisson().fit(counts).sample(40, seed=1).to_neo()
print(synthetic.segments[0].spiketrains[0].annotations)

# %%
# The same function, two blocks.

figure = Figure(figsize=(9, 3.2), layout="constrained")
panels = figure.subplots(1, 2, sharey=True)
for ax, block, title in zip(panels, (recorded, synthetic), ("recorded", "synthetic"), strict=True):
    for unit, rates_hz in enumerate(histograms(block)):
        ax.step(np.arange(len(rates_hz)) * 20, rates_hz, where="post", label=f"unit {unit}")
    ax.set(title=title, xlabel="time in the trial (ms)", ylabel="rate (Hz)")
    ax.label_outer()
panels[0].legend(frameon=False)
figure.savefig(output / "neo_block.png", dpi=110)

# %%
# Files keep the label. ``write_neo`` puts beside them what a format would lose.

path = sig.write_neo(synthetic, output / "synthetic.nix", overwrite=True)
print(path.name, sig.is_synthetic(path))
