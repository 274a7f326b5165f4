"""Traces of any stretch of a recording: noise plus templates, rounded to int16."""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.rendering.noise import Noise
from spikeinterface_gen.rendering.parameters import RenderingParameters
from spikeinterface_gen.rendering.templates import Templates

__all__ = ["Renderer"]


class Renderer:
    """Computes traces on demand. Every sample is the same whichever stretch it is part of.

    Parameters
    ----------
    frames, units : array of int, shape (spikes,)
        Frame and unit position of each spike, frames non-decreasing; may be memory-mapped.
    amplitudes : array of float32, shape (spikes,)
        Amplitude of each spike relative to the template.
    templates : Templates
        Waveforms.
    contacts_um : array, shape (channels, 2)
        Positions of the channels.
    sampling_frequency : float
        In Hz.
    parameters : RenderingParameters
        Noise, gain and offset.
    seed : int
        Of the noise.
    """

    def __init__(
        self,
        frames: np.ndarray,
        units: np.ndarray,
        amplitudes: np.ndarray,
        templates: Templates,
        contacts_um: np.ndarray,
        sampling_frequency: float,
        parameters: RenderingParameters,
        seed: int,
    ) -> None:
        self._frames = frames
        self._units = units
        self._amplitudes = amplitudes
        self._templates = templates.waveforms_uv / np.float32(parameters.gain_uv_per_bit)
        self._first = templates.first
        self._num_before = templates.num_before
        self._in_order = bool(np.array_equal(templates.order, np.arange(len(templates.order))))
        self._position = np.argsort(templates.order)
        self._offset = np.float32(parameters.offset_uv / parameters.gain_uv_per_bit)
        self._noise = Noise(contacts_um[templates.order], sampling_frequency, parameters, seed)

    def traces(self, start: int, stop: int, channels: slice | np.ndarray | None = None) -> np.ndarray:
        """Traces of the frames from ``start`` to ``stop``, int16, shape (frames, channels).

        Sums are in single precision and always in the same order, noise first and then spike by spike: the
        rounded result does not depend on where the stretch begins or which channels are asked for.
        """
        out = self._noise.traces(start, stop)
        num_samples, width = self._templates.shape[1:]
        num_after = num_samples - self._num_before
        a, b = np.searchsorted(self._frames, [start - num_after + 1, stop + self._num_before])
        frames = np.asarray(self._frames[a:b]) - (start + self._num_before)
        units, amplitudes = self._units[a:b], np.asarray(self._amplitudes[a:b], dtype=np.float32)
        total = stop - start
        for frame, unit, amplitude in zip(frames.tolist(), units.tolist(), amplitudes, strict=True):
            first = self._first[unit]
            low, high = max(frame, 0), min(frame + num_samples, total)
            out[low:high, first : first + width] += amplitude * self._templates[unit, low - frame : high - frame]
        if self._offset:
            out -= self._offset
        np.rint(out, out=out)
        np.clip(out, -32768.0, 32767.0, out=out)
        traces = out.astype(np.int16)
        if self._in_order:
            return traces if channels is None else traces[:, channels]
        return traces[:, self._position if channels is None else self._position[channels]]
