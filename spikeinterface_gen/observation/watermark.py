r"""A keyed watermark in where spikes lie inside their bins, which spike times alone give away to who has the key.

Let spike *i* of a unit be alone in its bin, and let the spikes before and after it be at least 10 ms away from
that bin. Given all other spikes, its place in the bin is then uniform. So it may be drawn anew, and is, for
every second spike of a trial (those in between stay where they are):

.. math::

    p_i = \text{low}_i + \lfloor u_i F \rfloor, \qquad
    u_i = \mathrm{PRF}_\text{key}\big(\lfloor \text{low}_i - p_{i-1} \rfloor,\ \lfloor p_{i+1} - \text{low}_i \rfloor
    \big)

with *F* the frames of the bin, the two distances in whole ms, and PRF a pseudo-random function: BLAKE2b with the
key. A pair of distances is used once, for the first spike that has it, so that all :math:`u_i` are independent and
uniform to who lacks the key: what is drawn has the distribution that it had without a key, jointly, and no
statistic can tell. (Pairs may recur between sessions marked with one key; who has many of them and looks for the
mark at each pair by itself could notice.)

To find it, every spike of that kind is compared with where the key would put it. With *x* its place and
*r = ⌊uF⌋*, let *a* and *b* be the shares of the places *r′* with :math:`|r' - x| < |r - x|` and
:math:`|r' - x| \le |r - x|`. Without a mark, the predictions know nothing of the spikes: whatever the data, a
number *v* uniform between *a* and *b* is uniform between 0 and 1, and :math:`-\sum \log v` has the distribution
Gamma(n, 1) (Fisher's method). Its expectation given *a* and *b*, which is compared with that distribution, varies
a little less. This needs neither units nor trials to be known or complete, and, as distances count in ms, no
exact times.
"""

from __future__ import annotations

import hashlib

import numpy as np
from scipy import special, stats

__all__ = ["key_bytes", "marked", "tail_probability"]

MARGIN_MS = 10.0
"""Distance of the neighbours from the bin of a marked spike: beyond it, intervals have no preferred length."""


def key_bytes(key: str | bytes) -> bytes:
    """Return a key of 32 bytes.

    Raises
    ------
    TypeError, ValueError
        If ``key`` is neither text nor bytes, or is empty.
    """
    if not isinstance(key, (str, bytes)):
        raise TypeError(f"the key of a watermark must be text or bytes; got {type(key).__name__}.")
    if not key:
        raise ValueError("the key of a watermark must not be empty; take some words or secrets.token_hex(16).")
    return hashlib.blake2b(key.encode() if isinstance(key, str) else key, digest_size=32).digest()


def marked(
    frame: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    first: np.ndarray,
    refractory: np.ndarray,
    key: str | bytes,
    sampling_frequency: float,
) -> np.ndarray:
    """Return the frames with the mark; spikes come chain after chain (a chain: one unit in one trial).

    Parameters
    ----------
    frame : array of int64, shape (spikes,)
        In time order within a chain, counted from the start of the trial.
    low, high : array of int64, shape (spikes,)
        First and last frame of the bin of each spike.
    first : array of bool, shape (spikes,)
        Whether the spike begins a chain.
    refractory : array of int64, shape (spikes,)
        Refractory period of the unit of each spike in frames.
    key : str or bytes
    sampling_frequency : float
        Frames per second, in Hz.
    """
    secret = key_bytes(key)
    margin = np.maximum(refractory, _margin_frames(sampling_frequency))
    position = np.arange(len(frame)) - np.flatnonzero(first)[np.cumsum(first) - 1]
    free = _free_spikes(frame, low, high, first, margin)
    free = free[position[free] % 2 == 1]
    chosen, u = _predictions(frame, low, free, secret, sampling_frequency)
    frame = frame.copy()
    frame[chosen] = low[chosen] + (u * (high - low + 1)[chosen]).astype(np.int64)
    return frame


def tail_probability(
    frame: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    first: np.ndarray,
    secret: bytes,
    sampling_frequency: float,
) -> tuple[float, int]:
    """How probable such an agreement with the key is without a mark, and the number of spikes it rests on.

    Parameters as in :func:`marked`; ``secret`` is from :func:`key_bytes`. With no spike to compare, it is 1.
    """
    free = _free_spikes(frame, low, high, first, np.int64(_margin_frames(sampling_frequency)))
    chosen, u = _predictions(frame, low, free, secret, sampling_frequency)
    if not len(chosen):
        return 1.0, 0
    size = (high - low + 1)[chosen]
    x = frame[chosen] - low[chosen]
    away = np.abs((u * size).astype(np.int64) - x)
    b = (np.minimum(size - 1, x + away) - np.maximum(0, x - away) + 1) / size
    a = np.where(away > 0, np.minimum(size - 1, x + away - 1) - np.maximum(0, x - away + 1) + 1, 0) / size
    # ∫ −log v dv from a to b, over b − a.
    scores = 1.0 - (special.xlogy(b, b) - special.xlogy(a, a)) / (b - a)
    return float(stats.gamma.sf(scores.sum(), len(chosen))), len(chosen)


def _margin_frames(sampling_frequency: float) -> int:
    return int(np.ceil(MARGIN_MS * sampling_frequency / 1000.0))


def _free_spikes(
    frame: np.ndarray, low: np.ndarray, high: np.ndarray, first: np.ndarray, margin: np.ndarray | np.int64
) -> np.ndarray:
    """Positions of the spikes that are alone in their bin and far from both neighbours, which they must have."""
    inner = np.zeros(len(frame), dtype=bool)
    inner[1:-1] = ~first[1:-1] & ~first[2:]
    before, after = np.roll(frame, 1), np.roll(frame, -1)
    return np.flatnonzero(inner & (low - before >= margin) & (after - high >= margin))


def _predictions(
    frame: np.ndarray, low: np.ndarray, free: np.ndarray, secret: bytes, sampling_frequency: float
) -> tuple[np.ndarray, np.ndarray]:
    """The first spike of each pair of distances, in order, and its uniform number from the key."""
    neighbours = np.stack([low[free] - frame[free - 1], frame[np.minimum(free + 1, len(frame) - 1)] - low[free]])
    distances_ms = np.floor(neighbours * 1000.0 / sampling_frequency).astype("<i8")
    _, unique = np.unique(distances_ms[0] << 32 | distances_ms[1], return_index=True)
    unique.sort()
    messages = np.ascontiguousarray(distances_ms[:, unique].T).tobytes()
    digests = b"".join(
        hashlib.blake2b(messages[k : k + 16], key=secret, digest_size=8, person=b"spike placement").digest()
        for k in range(0, len(messages), 16)
    )
    bits = np.frombuffer(digests, dtype="<u8")
    return free[unique], ((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
