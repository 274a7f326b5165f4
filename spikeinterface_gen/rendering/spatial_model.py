"""Our own templates: real waveform shapes, spread over the channels by a model of the field around a cell.

A unit at distance *r* from a channel appears there as its waveform *w(t)*, smaller, later and wider::

    v(t) = A · a(r) · w((t − r'/c) / (1 + β r')),      a(r) = (g(r) − g(R)) / (1 − g(R)),   g(r) = 1 / (1 + (r/r₀)²)

with *A* the amplitude on the best channel, *r₀* ``amplitude_decay_um``, *R* ``amplitude_reach_um``, *c*
``propagation_um_per_ms`` and *β* ``widening_per_100_um``; *r'* is measured from the best channel of the unit
where it does not drift, so that the trough of the best channel is in the middle frame. Near a cell the
field falls as 1/r, further away as 1/r² (Pettersen & Einevoll, *Biophys. J.* 94, 2008); *g* passes from
one to the other and stays finite. Waveforms are those of 625 units of macaque cortex (Lee et al., eLife
2021), bundled with the package. A unit that drifts by *d* µm is the same unit at another place: the
template is computed there, not interpolated from channel to channel.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import ndtr, ndtri

from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.rendering.parameters import RenderingParameters
from spikeinterface_gen.rendering.templates import STILL, Templates, channel_order, pack

__all__ = ["make_templates"]

_WAVEFORMS = Path(__file__).parent.parent / "data" / "wavemap" / "waveforms_625x48.npy"
_WAVEFORM_HZ = 30000.0
_MS_BEFORE = 1.0
_MS_AFTER = 2.0


def make_templates(
    locations_um: np.ndarray,
    contacts_um: np.ndarray,
    sampling_frequency: float,
    parameters: RenderingParameters,
    seed: int,
    displacements_um: np.ndarray = STILL,
    axis: int = 1,
) -> Templates:
    """Draw a waveform and an amplitude for each unit and spread them over the channels.

    Parameters
    ----------
    locations_um : array, shape (units, 3)
        Units: x, y in the plane of the probe and the distance from it.
    contacts_um : array, shape (channels, 2)
        Contacts.
    sampling_frequency : float
        Of the templates, in Hz.
    parameters : RenderingParameters
        Amplitudes and the spatial model.
    seed : int
        Of the draw. Unit *k* has the same waveform and amplitude whatever the number of units.
    displacements_um : array, shape (displacements,)
        Where the units drift to, along ``axis`` (0 for x, 1 for y).
    axis : int
        Direction of the drift.
    """
    shapes = _shapes()
    u = uniforms(seed, "templates", 0, (len(locations_um), 2))
    shape = np.minimum((u[:, 0] * len(shapes)).astype(int), len(shapes) - 1)
    amplitude_uv = _amplitudes_uv(u[:, 1], parameters)

    num_before = round(_MS_BEFORE * sampling_frequency / 1000.0)
    num_samples = num_before + round(_MS_AFTER * sampling_frequency / 1000.0)
    time_ms = (np.arange(num_samples) - num_before) * 1000.0 / sampling_frequency
    taper = _taper(time_ms)

    order = channel_order(contacts_um)
    home_um = _distance_um(locations_um, contacts_um[order])
    nearest_um = home_um.min(axis=1)
    # A unit that no channel reaches is seen, barely, by the nearest one.
    full = np.maximum(_decay(nearest_um, parameters), 1e-6)
    moved = np.repeat(locations_um[None], len(displacements_um), axis=0)
    moved[:, :, axis] += displacements_um[:, None]
    distance_um = np.stack([_distance_um(locations, contacts_um[order]) for locations in moved])
    gain = _decay(distance_um, parameters)
    gain = np.where((distance_um == nearest_um[:, None]) & (gain == 0), 1e-6, gain) / full[:, None]

    def waveforms_of(unit: int, on: np.ndarray) -> np.ndarray:
        extra_um = distance_um[:, unit][:, None, on] - nearest_um[unit]
        delay_ms = extra_um / parameters.propagation_um_per_ms
        stretch = 1.0 + parameters.widening_per_100_um * extra_um / 100.0
        shaped = shapes[shape[unit]]((time_ms[:, None] - delay_ms) / stretch)
        return amplitude_uv[unit] * gain[:, unit][:, None, on] * shaped * taper[:, None]

    return pack((gain > 0).any(axis=0), order, num_samples, num_before, displacements_um, waveforms_of)


def _distance_um(locations_um: np.ndarray, contacts_um: np.ndarray) -> np.ndarray:
    offsets = contacts_um[None] - locations_um[:, None, :2]
    return np.sqrt((offsets**2).sum(axis=2) + locations_um[:, 2:] ** 2)


def _amplitudes_uv(u: np.ndarray, parameters: RenderingParameters) -> np.ndarray:
    """Log-normal amplitudes between their bounds, by inversion of the truncated distribution."""
    if parameters.amplitude_spread == 0:
        return np.full(len(u), np.clip(parameters.amplitude_median_uv, parameters.amplitude_min_uv, None))
    bounds = np.log(np.array([parameters.amplitude_min_uv, parameters.amplitude_max_uv]))
    low, high = ndtr((bounds - np.log(parameters.amplitude_median_uv)) / parameters.amplitude_spread)
    z = ndtri(low + u * (high - low))
    amplitudes = parameters.amplitude_median_uv * np.exp(parameters.amplitude_spread * z)
    return np.clip(amplitudes, parameters.amplitude_min_uv, parameters.amplitude_max_uv)


def _decay(distance_um: np.ndarray, parameters: RenderingParameters) -> np.ndarray:
    def g(r: np.ndarray | float) -> np.ndarray | float:
        return 1.0 / (1.0 + (r / parameters.amplitude_decay_um) ** 2)

    far = g(parameters.amplitude_reach_um)
    return np.maximum((g(distance_um) - far) / (1.0 - far), 0.0)


def _taper(time_ms: np.ndarray) -> np.ndarray:
    """1, falling to 0 in the first and last quarter of a millisecond: templates begin and end at 0."""
    edge = np.minimum(time_ms + _MS_BEFORE, _MS_AFTER - time_ms) / 0.25
    return np.sin(0.5 * np.pi * np.clip(edge, 0.0, 1.0)) ** 2


@lru_cache(maxsize=1)
def _shapes() -> list:
    """Waveforms as functions of time in ms, trough −1 at 0, running out to 0 on both sides."""
    waveforms = np.load(_WAVEFORMS, allow_pickle=False)
    # A few are upside down (axons, most likely) or have no clear trough.
    # The last samples of some bend back to 0 at once.
    waveforms = waveforms[:, :-3]
    waveforms = waveforms[(waveforms.min(axis=1) < -0.9) & (waveforms.max(axis=1) < -0.9 * waveforms.min(axis=1))]
    before, after = 10, 30
    rise = np.sin(0.5 * np.pi * np.arange(before) / before) ** 2
    fall = np.cos(0.5 * np.pi * np.arange(1, after + 1) / after) ** 2
    padded = np.concatenate([waveforms[:, :1] * rise, waveforms, waveforms[:, -1:] * fall], axis=1)
    time_ms = np.arange(padded.shape[1]) * 1000.0 / _WAVEFORM_HZ
    return [_Shape(time_ms, waveform) for waveform in padded]


class _Shape:
    """A waveform as a function of time in ms; 0 outside the time it is known for."""

    def __init__(self, time_ms: np.ndarray, waveform: np.ndarray) -> None:
        spline = CubicSpline(time_ms, waveform, bc_type="clamped")
        fine_ms = np.linspace(time_ms[0], time_ms[-1], 20 * len(time_ms))
        trough = int(spline(fine_ms).argmin())
        self._spline = spline
        self._trough_ms = float(fine_ms[trough])
        self._depth = float(-spline(fine_ms[trough]))
        self._range_ms = (float(time_ms[0]), float(time_ms[-1]))

    def __call__(self, time_ms: np.ndarray) -> np.ndarray:
        t = time_ms + self._trough_ms
        inside = (t >= self._range_ms[0]) & (t <= self._range_ms[1])
        return np.where(inside, self._spline(np.clip(t, *self._range_ms)) / self._depth, 0.0)
