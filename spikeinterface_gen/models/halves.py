"""Latents of trials of which half of the entries is hidden, to judge what they say of the hidden ones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.models.ldns_networks import LDNSNetworks
from spikeinterface_gen.randomness import uniforms

__all__ = ["encoded_halves"]


def encoded_halves(
    networks: LDNSNetworks, counts: SpikeCounts, seed: int, stream: str
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Hide one random half of the entries, then the other.

    Yields
    ------
    hidden : array of bool, shape (trials, bins, units)
    latents : array of float32, shape (trials, bins, latents)
        Of the entries that are not hidden.
    """
    shape = counts.counts.shape[1:]
    hidden = np.stack([uniforms(seed, stream, trial, shape) < 0.5 for trial in range(len(counts))])
    for side in (hidden, ~hidden):
        yield side, networks.encode(counts.counts * ~side, counts.mask, share_hidden=0.5)
