"""Spike histories and draws that several tests share."""

import numpy as np

from spikeinterface_gen.observation.dispersion import Dispersion
from spikeinterface_gen.observation.history import SpikeHistory
from spikeinterface_gen.randomness import uniforms


def draws(trials, bins, units, seed=0):
    return np.stack([uniforms(seed, "test", t, (bins, units)) for t in range(trials)])


def history(filters, excitation=None, bias=None, ratio=1.0, binary=False):
    units = len(filters)
    return SpikeHistory(
        filters,
        np.zeros(filters.shape) if excitation is None else excitation,
        np.zeros(units) if bias is None else bias,
        np.full(units, ratio),
        Dispersion.of_slots(np.full(units, 1.0 if binary else np.inf)),
        binary,
    )
