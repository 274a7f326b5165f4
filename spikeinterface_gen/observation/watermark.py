r"""A keyed watermark in where spikes lie inside their bins, which spike times alone give away to who has the key.

Let spike *i* of a unit be alone in its bin, and let the spikes before and after it be at least 10 ms away from
that bin. Given all other spikes, its place in the bin is then uniform. So it may be drawn anew, and is, for
every second spike of a trial (those in between stay where they are):

.. math::

    p_i = \text{low}_i + \lfloor u_i F \rfloor, \qquad
    u_i = \mathrm{PRF}_\text{key}\big(\text{low}_i - p_{i-1},\ p_{i+1} - \text{low}_i,\ \text{nonce}\big)

with *F* the frames of the bin, the two distances in whole steps of 0.1 ms, and PRF a pseudo-random function:
BLAKE2b with the key, mixed with the nonce, one of 256 by the seed. A pair of distances is used once, for the first
spike that has it, so that to who lacks the key all :math:`u_i` are independent and uniform: what is drawn has,
jointly, the distribution that it had without a key, and no statistic can tell. Between sessions marked with one
key, pairs do recur; nonces see to it that few of these are marked alike.

To find it, every spike of that kind is compared with where the key would put it. With *x* its place and
*r = ⌊uF⌋*, let *a* and *b* be the shares of the places *r′* with :math:`|r' - x| < |r - x|` and
:math:`|r' - x| \le |r - x|`. Without a mark, the predictions know nothing of the spikes: whatever the data, a
number *v* uniform between *a* and *b* is uniform between 0 and 1, and :math:`-\sum \log v` has the distribution
Gamma(n, 1) (Fisher's method). Its expectation given *a* and *b*, which is compared with that distribution, varies
a little less. This needs neither units nor trials to be known or complete, and, as distances count in steps, no
exact times.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from spikeinterface_gen.randomness import uniforms

__all__ = ["NUM_NONCES", "KeyedPlaces", "key_bytes", "keyed_places", "marked"]

MARGIN_MS = 10.0
"""Distance of the neighbours from the bin of a marked spike: beyond it, intervals have no preferred length."""

NUM_NONCES = 256

_STEPS_PER_MS = 10.0


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
    seed: int,
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
    seed : int
        The nonce follows from it.
    """
    secret = key_bytes(key)
    margin = np.maximum(refractory, _margin_frames(sampling_frequency))
    position = np.arange(len(frame)) - np.flatnonzero(first)[np.cumsum(first) - 1]
    free = _free_spikes(frame, low, high, first, margin)
    chosen, bits = _predictions(frame, low, free[position[free] % 2 == 1], secret, sampling_frequency)
    nonce = int(uniforms(seed, "watermark", 0, (1,))[0] * NUM_NONCES)
    frame = frame.copy()
    frame[chosen] = low[chosen] + (_uniform(bits, nonce) * (high - low + 1)[chosen]).astype(np.int64)
    return frame


@dataclass(frozen=True, eq=False)
class KeyedPlaces:
    """Where spikes that could be marked lie in their bins, and what the key says about each; shape (spikes,).

    Attributes
    ----------
    place : array of int64
        Frame counted from the start of the bin.
    size : array of int64
        Frames of the bin.
    bits : array of uint64
        From the key and the neighbours.
    """

    place: np.ndarray
    size: np.ndarray
    bits: np.ndarray

    def __len__(self) -> int:
        return len(self.place)

    def likeliest(self) -> tuple[float, int]:
        """The nonce that agrees best, after how well it does: about standard normal where there is no mark."""
        if not len(self):
            return 0.0, 0
        away = np.abs((_uniform(self.bits, np.arange(NUM_NONCES)[:, None]) * self.size).astype(np.int64) - self.place)
        scores = -np.log((2 * away + 1) / self.size).sum(axis=1)
        nonce = int(np.argmax(scores))
        return float(scores[nonce] - len(self)) / len(self) ** 0.5, nonce

    def tail_probability(self, nonce: int) -> float:
        """How probable an agreement with key and nonce as good as this is without a mark; 1 for no spike."""
        if not len(self):
            return 1.0
        x, size = self.place, self.size
        away = np.abs((_uniform(self.bits, nonce) * size).astype(np.int64) - x)
        b = (np.minimum(size - 1, x + away) - np.maximum(0, x - away) + 1) / size
        a = np.where(away > 0, np.minimum(size - 1, x + away - 1) - np.maximum(0, x - away + 1) + 1, 0) / size
        # ∫ −log v dv from a to b, over b − a.
        scores = 1.0 - (special.xlogy(b, b) - special.xlogy(a, a)) / (b - a)
        return float(stats.gamma.sf(scores.sum(), len(scores)))


def keyed_places(
    frame: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    first: np.ndarray,
    secret: bytes,
    sampling_frequency: float,
    at_most: int | None = None,
) -> KeyedPlaces:
    """Return those of the spikes that could be marked, the first ``at_most``.

    Other parameters as in :func:`marked`; ``secret`` is from :func:`key_bytes`.
    """
    free = _free_spikes(frame, low, high, first, np.int64(_margin_frames(sampling_frequency)))
    chosen, bits = _predictions(frame, low, free[:at_most], secret, sampling_frequency)
    return KeyedPlaces(frame[chosen] - low[chosen], (high - low + 1)[chosen], bits)


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
    """The first spike of each pair of distances, in order, and its random bits from the key."""
    neighbours = np.stack([low[free] - frame[free - 1], frame[np.minimum(free + 1, len(frame) - 1)] - low[free]])
    # Half a frame further on no distance lies on the border between two steps, where rounding would decide.
    steps = np.floor((neighbours + 0.5) * (1000.0 * _STEPS_PER_MS / sampling_frequency)).astype("<i8")
    _, unique = np.unique(steps[0] << 32 | steps[1], return_index=True)
    unique.sort()
    messages = np.ascontiguousarray(steps[:, unique].T).tobytes()
    digests = b"".join(
        hashlib.blake2b(messages[k : k + 16], key=secret, digest_size=8, person=b"spike placement").digest()
        for k in range(0, len(messages), 16)
    )
    return free[unique], np.frombuffer(digests, dtype="<u8")


def _uniform(bits: np.ndarray, nonce: int | np.ndarray) -> np.ndarray:
    """Uniform variates in (0, 1) from secret bits and the nonce, by the finaliser of SplitMix64."""
    z = bits + np.atleast_1d(np.asarray(nonce + 1, np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
