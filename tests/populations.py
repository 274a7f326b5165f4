"""Counts that several tests learn from."""

import numpy as np

from spikeinterface_gen import SpikeCounts


def with_two_slow_latents(trials=60, bins=20, units=24, seed=0, **keywords):
    """Counts of units that share two slow latents; ``keywords`` are those of SpikeCounts."""
    rng = np.random.default_rng(seed)
    t = np.arange(bins) / bins
    phase = rng.uniform(0, 2 * np.pi, (trials, 1, 2))
    latents = np.sin(2 * np.pi * t[:, None] + phase)
    rates = np.exp(np.log(0.3) + 0.9 * latents @ rng.standard_normal((2, units)))
    return SpikeCounts(rng.poisson(rates), 10.0, **keywords)
