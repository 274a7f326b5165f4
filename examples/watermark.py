"""
Synthetic data say so, also when nobody wants them to
=====================================================

Everything that is generated is labelled. Where labels are stripped, a keyed watermark in the spike times remains.
"""

import os
from pathlib import Path

import neo
import numpy as np
from matplotlib.figure import Figure

import spikeinterface_gen as sig
from spikeinterface_gen.models.psth import PSTHPoisson

output = Path(os.environ.get("EXAMPLES_OUTPUT", "."))

# %%
# Synthetic trials, placed in time with a key. Only who has it can look for the mark; the times are as likely as any.

session = sig.load_dataset("steinmetz2019")
session = session.select_units(session.unit_ids[np.argsort(-session.rates_hz)[:30]])
synthetic = PSTHPoisson().fit(session).sample(40, seed=1)
block = synthetic.to_neo(seed=1, time="trial", watermark_key="our lab's key")
print({name: block.annotations[name] for name in ("synthetic", "model", "seed")})
print(sig.is_synthetic(block))

# %%
# Somebody strips the labels, throws away half of the units and most of the trials, and passes off the rest as data.

stolen = neo.Block()
for segment in block.segments[:8]:
    copy = neo.Segment()
    for train in segment.spiketrains[::2]:
        copy.spiketrains.append(neo.SpikeTrain(train.magnitude, units=train.units, t_stop=train.t_stop))
    stolen.segments.append(copy)
print(sig.is_synthetic(stolen))
print(sig.find_watermark(stolen, "our lab's key", bin_size_ms=10.0))
print(sig.find_watermark(stolen, "another key", bin_size_ms=10.0))

# %%
# How much of it has to be left? One trial of a few units will do. The dashed line is where a mark counts as found, once
# in a million searches of data that have none.

numbers = [1, 2, 4, 8, 15]
p_values = {"the key": [], "another key": []}
for number in numbers:
    part = neo.Block()
    part.segments.append(neo.Segment())
    part.segments[0].spiketrains.extend(stolen.segments[0].spiketrains[:number])
    for name, key in (("the key", "our lab's key"), ("another key", "another key")):
        p_values[name].append(max(sig.find_watermark(part, key, bin_size_ms=10.0).p_value, 1e-300))

figure = Figure(figsize=(6, 3.2), layout="constrained")
ax = figure.subplots()
for name, values in p_values.items():
    ax.semilogy(numbers, values, "o-", label=name)
ax.axhline(1e-6, color="grey", linestyle="--", linewidth=0.8)
ax.set(xlabel="units left of one trial of 0.4 s", ylabel="p of the mark that is found")
ax.legend(frameon=False)
figure.savefig(output / "watermark.png", dpi=110)
