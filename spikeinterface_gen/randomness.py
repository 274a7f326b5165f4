"""Counter-based random numbers, keyed by what they are for.

Every random number that reaches a user is a function of ``(seed, stage, index)`` alone: the stage
names its purpose, the index is the trial (or the block of a running session) that it belongs to.
Trial 7 of seed 3 is therefore the same whether it is drawn alone, in a batch or on another shard.

The bits come from Philox-4×64, whose stream numpy guarantees; the transforms to uniform and normal
variates are written out here, because numpy does not promise that its own stay the same.
"""

from __future__ import annotations

import hashlib
import secrets

import numpy as np

__all__ = ["derived_seed", "normals", "random_bits", "resolve_seed", "uniforms"]


def resolve_seed(seed: int | None) -> int:
    """Return ``seed``, or a fresh one below 2³¹ where it is None, to be stored with the result.

    Raises
    ------
    TypeError, ValueError
        If ``seed`` is not an integer, or is negative.
    """
    if seed is None:
        return secrets.randbelow(2**31)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be an integer or None; got {type(seed).__name__}.")
    if seed < 0:
        raise ValueError(f"seed must not be negative; got {seed}.")
    return int(seed)


def derived_seed(seed: int, purpose: str) -> int:
    """Another seed, below 2³², that follows from ``seed`` and what it is for."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=4).digest(), "little")


def random_bits(seed: int, stage: str, index: int, size: int) -> np.ndarray:
    """Random bits, uint64, shape (size,); the other parameters are those of :func:`uniforms`."""
    digest = hashlib.blake2b(f"{seed}/{stage}".encode(), digest_size=16).digest()
    # The index counts in the upper words of the counter: streams of different indices never overlap.
    philox = np.random.Philox(key=int.from_bytes(digest, "little"), counter=[0, 0, int(index), 0])
    return philox.random_raw(size)


def uniforms(seed: int, stage: str, index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform variates in the open interval (0, 1), float64, in steps of 2⁻⁵².

    Parameters
    ----------
    seed : int
        The user's seed.
    stage : str
        What the numbers are for, such as "latents" or "counts".
    index : int
        Trial or block that they belong to.
    shape : tuple of int
        Shape of the result; a longer one begins with the numbers of a shorter one.
    """
    bits = random_bits(seed, stage, index, int(np.prod(shape, dtype=np.int64)))
    # The upper 52 bits, shifted by half a step, fill a double exactly: neither 0 nor 1 can occur.
    return (((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52).reshape(shape)


def normals(seed: int, stage: str, index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal variates, float32, by the Box–Muller transform of pairs of 32-bit uniforms.

    Parameters and the meaning of ``shape`` are those of :func:`uniforms`.
    """
    size = int(np.prod(shape, dtype=np.int64))
    bits = random_bits(seed, stage, index, (size + 1) // 2)
    u1 = ((bits >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32
    u2 = (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) * (2.0 * np.pi * 2.0**-32)
    radius = np.sqrt(-2.0 * np.log(u1))
    pairs = np.stack([radius * np.cos(u2), radius * np.sin(u2)], axis=-1)
    return pairs.reshape(-1)[:size].astype(np.float32).reshape(shape)
