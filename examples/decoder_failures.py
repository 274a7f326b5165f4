"""
A decoder that has met its failures before
==========================================

Electrodes break, gains drift, units come and go. A decoder that has been trained on synthetic trials with such failures
stands them better than one that has only seen the good days, and pays for it on the good days; recorded trials say
how much of either.
"""

import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import spikeinterface_gen as sig
from spikeinterface_gen.models.psth import PSTHPoisson

output = Path(os.environ.get("EXAMPLES_OUTPUT", "."))

# %%
# On which side was the higher contrast? The bundled session says it in its spikes. Trials with equal contrasts are left
# out, and a third of the others is for testing only.

session = sig.load_dataset("steinmetz2019")
session = session.select_units(session.unit_ids[np.argsort(-session.rates_hz)[:100]])
more_right = session.covariates["contrast_right"] - session.covariates["contrast_left"]
train, test = session[more_right != 0].split((0.65, 0.35), seed=0)


def sides(trials):
    """1 where the right contrast is the higher one."""
    return (trials.covariates["contrast_right"] > trials.covariates["contrast_left"]).astype(int)


# %%
# Synthetic trials for either side. One model for each is the simplest way to condition on what is to be decoded.

made = {side: PSTHPoisson().fit(train[sides(train) == side]).sample(300, seed=1).counts for side in (0, 1)}


# %%
# Three failures, each of a strength from 0 to 1. They act on counts, whether these were recorded or drawn.


def lost_electrodes(counts, strength, rng):
    """Units in a row fall silent together, as when the contacts they are on break."""
    lost = int(strength * counts.shape[2])
    silent = (rng.integers(counts.shape[2]) + np.arange(lost)) % counts.shape[2]
    return np.where(np.isin(np.arange(counts.shape[2]), silent), 0, counts)


def gain_drift(counts, strength, rng):
    """Each unit keeps a share of its spikes: thinned counts are what a lower rate would have given."""
    return rng.binomial(counts, 1 - strength * rng.random(counts.shape[2]))


def unit_turnover(counts, strength, rng):
    """The sorter finds another neuron in the place of some units."""
    changed = rng.permutation(counts.shape[2])[: int(strength * counts.shape[2])]
    other = counts.copy()
    other[:, :, changed] = counts[:, :, rng.permutation(changed)]
    return other


# %%
# Two decoders: of recorded trials alone, and of these with synthetic trials that have failed in one way or another.

failures = {"lost electrodes": lost_electrodes, "gain drift": gain_drift, "unit turnover": unit_turnover}
rng = np.random.default_rng(0)
failed = {
    side: [failures[list(failures)[k % 3]](c[k : k + 1], rng.random(), rng) for k in range(300)]
    for side, c in made.items()
}
spikes = np.concatenate([train.counts, *failed[0], *failed[1]]).sum(axis=1)
labels = np.concatenate([sides(train), np.repeat([0, 1], 300)])
decoders = {}
for name, number in (("recorded trials", len(train)), ("with synthetic failures", len(labels))):
    decoders[name] = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(spikes[:number], labels[:number])

# %%
# Both are tested on the same recorded trials, which have failed 20 times over at each strength.

figure = Figure(figsize=(9, 3.2), layout="constrained")
strengths = np.linspace(0, 0.9, 7)
for ax, (failure, fail) in zip(figure.subplots(1, 3, sharey=True), failures.items(), strict=True):
    spoilt = [[fail(test.counts, s, np.random.default_rng(k)).sum(axis=1) for k in range(20)] for s in strengths]
    for name, decoder in decoders.items():
        right = [[np.mean(decoder.predict(x) == sides(test)) for x in at] for at in spoilt]
        ax.plot(strengths, np.mean(right, axis=1), "o-", markersize=3, label=name)
        print(f"{failure}, {name}: {np.mean(right[0]):.2f} unspoilt, {np.mean(right[-1]):.2f} at {strengths[-1]:.1f}")
    ax.axhline(0.5, color="grey", linewidth=0.8)
    ax.set(title=failure, xlabel="strength", ylim=(0.4, 1))
figure.axes[0].set_ylabel("share decoded right")
figure.axes[0].legend(frameon=False, fontsize=8)
figure.savefig(output / "decoder_failures.png", dpi=110)
