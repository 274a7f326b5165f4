"""Trials that are others, spike by spike: such as data that only pass for synthetic."""

from __future__ import annotations

import hashlib

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["num_copies"]

_MIN_SPIKES = 10


def num_copies(counts: SpikeCounts, *others: SpikeCounts) -> int:
    """Return how many trials equal a trial of one of the other sets in every bin of every unit.

    Trials of fewer than 10 spikes do not count: such may be equal by chance.
    """
    known = {fingerprint for other in others for fingerprint in _fingerprints(other)}
    return sum(fingerprint in known for fingerprint in _fingerprints(counts))


def _fingerprints(counts: SpikeCounts) -> list[bytes]:
    spikes = counts.counts.sum(axis=(1, 2), dtype=np.int64)
    # Counts may be of another width on the other side: places and numbers are compared, not bytes of the array.
    return [
        hashlib.blake2b(
            np.flatnonzero(trial).tobytes() + trial[trial > 0].astype(np.int64).tobytes(), digest_size=16
        ).digest()
        for trial in counts.counts[spikes >= _MIN_SPIKES]
    ]
