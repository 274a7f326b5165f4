"""Noise with a spectrum and a spatial covariance, any stretch of which can be computed alone.

Block *k* is a periodic Gaussian process of ``BLOCK_FRAMES`` frames: random Fourier coefficients, a
function of (seed, k), times the square root of the spectrum, back to time. Blocks follow each other every
``_HOP`` frames and are cross-faded over the rest with weights whose squares sum to 1, so that the variance
stays the same. Channels are mixed by the symmetric square root of the covariance between them.

Two things make this exact and fast. Coefficients are uniform bytes rather than normal variates: each
sample sums thousands of them and is normal by the central limit theorem, at an eighth of the random bits.
And before mixing, noise and mixing weights are rounded to whole numbers whose products sum to less than
2²⁴: such sums are exact in single precision, whatever the order in which a matrix product adds, so
that any number of threads gives the same bits.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
import scipy.fft

from spikeinterface_gen.randomness import random_bits, uniforms
from spikeinterface_gen.rendering.noise_model import BLOCK_FRAMES, NoiseModel

__all__ = ["Noise"]

_FADE = 160
_HOP = BLOCK_FRAMES - _FADE

# Steps to one standard deviation of the unmixed noise, and how many standard deviations must fit.
_STEPS = 256.0
_FITTING = 8.0
_CHANNELS_AT_ONCE = 64
_TILES = 8
_KEPT_BLOCKS = 3


class Noise:
    """Noise of a recording, in steps of its traces.

    Parameters
    ----------
    model : NoiseModel
        Levels, correlation and spectrum, with channels from one end of the probe to the other.
    gain_uv_per_bit : float
        µV of a step of the traces.
    mode : {"fresh", "tiled"}
        Whether every block is new, or one of a few, begun anywhere.
    seed : int
        Of the noise.
    """

    def __init__(self, model: NoiseModel, gain_uv_per_bit: float, mode: str, seed: int) -> None:
        self._seed = seed
        self._num_channels = len(model.levels_uv)
        self._tiled = mode == "tiled"
        self._root_spectrum = _root_spectrum(model.power)
        self._mixing, mixing_scale = _whole_number_mixing(model.correlation)
        scale = model.levels_uv / gain_uv_per_bit / _STEPS / mixing_scale
        # One factor where channels are alike is faster than one for each.
        self._scale = np.float32(scale[0]) if np.all(scale == scale[0]) else scale.astype(np.float32)
        self._silent = not scale.any()
        angle = 0.5 * np.pi * (np.arange(_FADE) + 0.5) / _FADE
        self._rising = np.sin(angle).astype(np.float32)[:, None] * self._scale
        self._falling = np.cos(angle).astype(np.float32)[:, None] * self._scale
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, np.ndarray] = OrderedDict()

    def traces(self, start: int, stop: int) -> np.ndarray:
        """Noise of the frames from ``start`` to ``stop``, in trace steps, float32, shape (frames, channels)."""
        out = np.empty((stop - start, self._num_channels), dtype=np.float32)
        if self._silent:
            out[:] = 0
            return out
        for k in range(start // _HOP, (stop - 1) // _HOP + 1):
            origin = k * _HOP
            a, b = max(start - origin, 0), min(stop - origin, _HOP)
            block = self._block(k)
            target = out[origin + a - start : origin + b - start]
            np.multiply(block[a:b], self._scale, out=target)
            if a < _FADE:
                fading = self._block(k - 1)
                end = min(b, _FADE)
                target[: end - a] = block[a:end] * self._rising[a:end]
                target[: end - a] += fading[_HOP + a : _HOP + end] * self._falling[a:end]
        return out

    def _block(self, k: int) -> np.ndarray:
        """Block ``k``, unscaled, from the last few or computed; safe to call from several threads."""
        with self._lock:
            if k in self._blocks:
                self._blocks.move_to_end(k)
                return self._blocks[k]
        block = self._tile_of(k) if self._tiled else self._fresh(k + 1)
        with self._lock:
            self._blocks[k] = block
            kept = _KEPT_BLOCKS + (_TILES if self._tiled else 0)
            while len(self._blocks) > kept:
                oldest = next(key for key in self._blocks if not self._tiled or key >= -1)
                del self._blocks[oldest]
        return block

    def _tile_of(self, k: int) -> np.ndarray:
        """One of a few blocks, begun anywhere: a periodic process may start at any of its frames."""
        which, where = uniforms(self._seed, "noise tiles", k + 1, (2,))
        # Tiles are kept under keys that no block has.
        key = -2 - int(which * _TILES)
        with self._lock:
            tile = self._blocks.get(key)
        if tile is None:
            # Twice over, so that a shift is a view.
            tile = np.tile(self._fresh(int(which * _TILES)), (2, 1))
            with self._lock:
                self._blocks[key] = tile
        shift = int(where * BLOCK_FRAMES)
        return tile[shift : shift + BLOCK_FRAMES]

    def _fresh(self, index: int) -> np.ndarray:
        """A block of noise, mixed over channels, float32, whole numbers, shape (frames, channels)."""
        num_bytes = self._num_channels * BLOCK_FRAMES
        raw = random_bits(self._seed, "noise", index, num_bytes // 8)
        coefficients = raw.view(np.int8).reshape(self._num_channels, BLOCK_FRAMES)
        spectrum = np.zeros((self._num_channels, BLOCK_FRAMES // 2 + 1), dtype=np.complex64)
        parts = spectrum.view(np.float32)[:, :BLOCK_FRAMES]
        np.add(coefficients, np.float32(0.5), out=parts, dtype=np.float32)
        parts *= self._root_spectrum
        noise = scipy.fft.irfft(spectrum, n=BLOCK_FRAMES, axis=1, overwrite_x=True)
        np.rint(noise, out=noise)
        mixed = np.empty((BLOCK_FRAMES, self._num_channels), dtype=np.float32)
        for begin, end, source, weights in self._mixing:
            np.matmul(noise[source].T, weights, out=mixed[:, begin:end])
        return mixed


def _root_spectrum(power: np.ndarray) -> np.ndarray:
    """Factor of each real and imaginary part such that noise has the s.d. ``_STEPS``, float32, (BLOCK_FRAMES,)."""
    # Bytes moved by one half are uniform on ±127.5 in steps of 1; each coefficient enters twice, as its conjugate.
    variance_of_bytes = (256.0**2 - 1.0) / 12.0
    variance = 4.0 * variance_of_bytes * power.sum() / BLOCK_FRAMES**2
    return np.repeat(np.sqrt(power / variance) * _STEPS, 2).astype(np.float32)


def _whole_number_mixing(correlation: np.ndarray) -> tuple[list, float]:
    """Mixing of channels, by groups: (begin, end, slice of sources, float32 whole numbers), and their scale."""
    values, vectors = np.linalg.eigh(correlation)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    scale = 2.0 ** np.floor(np.log2(2.0**24 / (_FITTING * _STEPS * np.abs(root).sum(axis=0).max()) - 1e-9))
    whole = np.rint(root * scale)
    groups = []
    for begin in range(0, len(whole), _CHANNELS_AT_ONCE):
        end = min(begin + _CHANNELS_AT_ONCE, len(whole))
        sources = np.flatnonzero(whole[:, begin:end].any(axis=1))
        source = slice(int(sources[0]), int(sources[-1]) + 1)
        groups.append((begin, end, source, np.ascontiguousarray(whole[source, begin:end], dtype=np.float32)))
    return groups, scale
