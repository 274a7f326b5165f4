"""Traces of any stretch of a recording: noise, or a recording, plus templates where their units have drifted to."""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.rendering.motion import UnitMotion
from spikeinterface_gen.rendering.noise import Noise
from spikeinterface_gen.rendering.parameters import RenderingParameters
from spikeinterface_gen.rendering.parent import ParentTraces
from spikeinterface_gen.rendering.templates import Templates

__all__ = ["Renderer"]


class Renderer:
    """Computes traces on demand. Every sample is the same whichever stretch it is part of.

    Between two displacements *d_k* and *d_{k+1}* of the templates, a unit that has drifted by *d* has

        v = (1 − s) v_k + s v_{k+1},      s = (d − d_k) / (d_{k+1} − d_k).

    Parameters
    ----------
    frames, units : array of int, shape (spikes,)
        Frame and unit position of each spike, frames non-decreasing; may be memory-mapped.
    amplitudes : array of float32, shape (spikes,)
        Amplitude of each spike relative to the template.
    templates : Templates
        Waveforms.
    background : Noise or ParentTraces
        What the spikes are added to.
    sampling_frequency : float
        In Hz.
    parameters : RenderingParameters
        Gain and offset, where the background is noise.
    motion : UnitMotion, optional
        Where the units have drifted to.
    """

    def __init__(
        self,
        frames: np.ndarray,
        units: np.ndarray,
        amplitudes: np.ndarray,
        templates: Templates,
        background: Noise | ParentTraces,
        sampling_frequency: float,
        parameters: RenderingParameters,
        motion: UnitMotion | None = None,
    ) -> None:
        self._frames = frames
        self._units = units
        self._amplitudes = amplitudes
        self._sampling_frequency = sampling_frequency
        self._motion = motion
        self._background = background
        self._first = templates.first
        self._displacements_um = templates.displacements_um
        self._num_before = templates.num_before
        self._in_order = bool(np.array_equal(templates.order, np.arange(len(templates.order))))
        self._position = np.argsort(templates.order)
        self._offset = np.float32(0.0)
        self._templates = templates.waveforms_uv
        if isinstance(background, ParentTraces):
            gains = background.gains_uv
            if not np.all(gains == gains[0]):
                width = templates.waveforms_uv.shape[3]
                of_unit = gains[templates.first[:, None] + np.arange(width)]
                self._templates = (templates.waveforms_uv / of_unit[None, :, None]).astype(np.float32)
                gains = np.ones(1)
            self._gain = float(gains[0])
        else:
            self._gain = parameters.gain_uv_per_bit
            self._offset = np.float32(parameters.offset_uv / parameters.gain_uv_per_bit)

    @property
    def dtype(self) -> np.dtype:
        """Type of the traces."""
        return self._background.dtype if isinstance(self._background, ParentTraces) else np.dtype(np.int16)

    def traces(self, start: int, stop: int, channels: slice | np.ndarray | None = None) -> np.ndarray:
        """Traces of the frames from ``start`` to ``stop``, of ``dtype``, shape (frames, channels).

        Sums are in single precision and always in the same order, noise first and then spike by spike: the
        rounded result does not depend on where the stretch begins or which channels are asked for.
        """
        if isinstance(self._background, ParentTraces):
            out = np.zeros((stop - start, len(self._position)), dtype=np.float32)
            self._add_spikes(out, start, stop)
            traces = self._background.with_spikes(start, stop, out)
            return traces if channels is None else traces[:, channels]
        out = self._background.traces(start, stop)
        self._add_spikes(out, start, stop)
        if self._offset:
            out -= self._offset
        np.rint(out, out=out)
        np.clip(out, -32768.0, 32767.0, out=out)
        traces = out.astype(np.int16)
        if self._in_order:
            return traces if channels is None else traces[:, channels]
        return traces[:, self._position if channels is None else self._position[channels]]

    def _add_spikes(self, out: np.ndarray, start: int, stop: int) -> None:
        num_samples, width = self._templates.shape[2:]
        num_after = num_samples - self._num_before
        a, b = np.searchsorted(self._frames, [start - num_after + 1, stop + self._num_before])
        frames, units = np.asarray(self._frames[a:b]), np.asarray(self._units[a:b])
        position, here, beyond = self._between_displacements(frames, units)
        scale = np.asarray(self._amplitudes[a:b], dtype=np.float64) / self._gain
        here, beyond = (scale * here).astype(np.float32), (scale * beyond).astype(np.float32)
        relative = (frames - (start + self._num_before)).tolist()
        total = stop - start
        for frame, unit, k, w, v in zip(relative, units.tolist(), position, here, beyond, strict=True):
            first = self._first[unit]
            low, high = max(frame, 0), min(frame + num_samples, total)
            target = out[low:high, first : first + width]
            target += w * self._templates[k, unit, low - frame : high - frame]
            if v:
                target += v * self._templates[k + 1, unit, low - frame : high - frame]

    def _between_displacements(self, frames: np.ndarray, units: np.ndarray) -> tuple[list, np.ndarray, np.ndarray]:
        """The displacement of the templates below that of each spike, and the weights of it and of the next one."""
        if self._motion is None:
            return [0] * len(frames), np.ones(len(frames)), np.zeros(len(frames))
        moved_um = self._motion.at(frames / self._sampling_frequency, units)
        grid = self._displacements_um
        place = (moved_um - grid[0]) / (grid[1] - grid[0])
        k = np.clip(np.floor(place).astype(np.int64), 0, len(grid) - 2)
        beyond = np.clip(place - k, 0.0, 1.0)
        return k.tolist(), 1.0 - beyond, beyond
