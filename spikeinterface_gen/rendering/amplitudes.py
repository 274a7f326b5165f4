"""How the amplitude of a unit varies from spike to spike."""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.observation.spike_times import PlacedSpikes
from spikeinterface_gen.randomness import normals
from spikeinterface_gen.rendering.parameters import RenderingParameters

__all__ = ["spike_amplitudes"]

# Earlier spikes that still tell: older ones have faded at any rate that a refractory period allows.
_REMEMBERED = 4
_LARGEST_DEVIATION = 3.0


def spike_amplitudes(placed: PlacedSpikes, parameters: RenderingParameters, seed: int) -> np.ndarray:
    """Return the amplitude of each spike relative to its unit's template, float32, shape (spikes,).

    The amplitude is (1 + σ z) (1 − b (1 − exp(−s))), with *z* standard normal, cut at ±3, *σ*
    ``amplitude_variation``, *b* ``burst_attenuation``, and *s* = Σ exp(−Δt/τ) over the preceding spikes of
    the unit at Δt before, *τ* ``burst_recovery_ms``: a spike right after others is smaller. The amplitudes
    of a trial do not depend on the trials after it.
    """
    sizes = np.bincount(placed.trial, minlength=len(placed.trial_frames))
    parts = [normals(seed, "spike amplitudes", int(t), (int(sizes[t]),)) for t in np.flatnonzero(sizes)]
    z = np.concatenate(parts) if parts else np.zeros(0)
    amplitude = 1.0 + parameters.amplitude_variation * np.clip(z, -_LARGEST_DEVIATION, _LARGEST_DEVIATION)

    order = np.argsort(placed.unit, kind="stable")
    unit, time_ms = placed.unit[order], placed.session_frame[order] * 1000.0 / placed.sampling_frequency
    fatigue = np.zeros(len(unit))
    for k in range(1, _REMEMBERED + 1):
        same = unit[k:] == unit[:-k]
        fatigue[k:] += same * np.exp(-(np.where(same, time_ms[k:] - time_ms[:-k], 0.0)) / parameters.burst_recovery_ms)
    amplitude[order] *= 1.0 - parameters.burst_attenuation * -np.expm1(-fatigue)
    return np.maximum(amplitude, 0.05).astype(np.float32)
