"""What noise is like: its level on each channel, its correlation between channels, its spectrum.

Either of a simple form with a few parameters, or measured on a recording. Spikes in the recording would
count as noise: values beyond four standard deviations (of the noise, from the median absolute deviation) are
cut there before anything is measured. Of recordings in whole numbers, the median of deviations is one as well, and
where the noise is a step or two, says next to nothing: they are spread evenly over their steps first, and the
variance Δ²/12 of steps Δ is taken off twice, once for this and once for the rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft

from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.rendering.parameters import RenderingParameters

if TYPE_CHECKING:
    from spikeinterface.core import BaseRecording

__all__ = ["BLOCK_FRAMES", "NoiseModel", "check_noise_recording", "measured_noise", "parametric_noise"]

BLOCK_FRAMES = 4096
"""Frames of a block of noise: its spectrum has half as many coefficients, that of frequency 0 first."""

_STRETCHES = 24
_CUT_SIGMAS = 4.0


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """Stationary Gaussian noise with one spectrum.

    Attributes
    ----------
    levels_uv : array, shape (channels,)
        Standard deviation on each channel.
    correlation : array, shape (channels, channels)
        Between channels at the same time.
    power : array, shape (BLOCK_FRAMES // 2,)
        Relative power at the frequencies 0, f/n, 2f/n, … of blocks of n frames at f Hz.
    """

    levels_uv: np.ndarray
    correlation: np.ndarray
    power: np.ndarray


def parametric_noise(contacts_um: np.ndarray, sampling_frequency: float, parameters: RenderingParameters) -> NoiseModel:
    """Noise that is alike on all channels, and correlated between them.

    The correlation at a distance *d* is ``noise_shared`` exp(−d / ``noise_decay_um``).

    Parameters
    ----------
    contacts_um : array, shape (channels, 2)
        Positions of the channels.
    sampling_frequency : float
        In Hz.
    parameters : RenderingParameters
        Level, spectrum and covariance.
    """
    distance_um = np.linalg.norm(contacts_um[:, None] - contacts_um[None], axis=2)
    correlation = parameters.noise_shared * np.exp(-distance_um / parameters.noise_decay_um)
    np.fill_diagonal(correlation, 1.0)
    f = scipy.fft.rfftfreq(BLOCK_FRAMES, 1.0 / sampling_frequency)[:-1]
    power = np.ones(len(f))
    if parameters.noise_spectrum == "cortex":
        f = np.maximum(f, 1e-9)
        power = (1.0 + 1500.0 / f) / (1.0 + (300.0 / f) ** 4) / (1.0 + (f / 8000.0) ** 4)
    power[0] = 0.0
    return NoiseModel(np.full(len(contacts_um), parameters.noise_level_uv), correlation, power)


def check_noise_recording(recording: Any) -> None:
    """Raise if this is no recording on which noise can be measured.

    Raises
    ------
    TypeError, ValueError
        If it is no recording, or none of its segments is as long as a block of noise.
    """
    from spikeinterface.core import BaseRecording

    if not isinstance(recording, BaseRecording):
        raise TypeError(f"noise_recording must be a SpikeInterface recording; got {type(recording).__name__}.")
    longest = max(recording.get_num_samples(k) for k in range(recording.get_num_segments()))
    if longest < BLOCK_FRAMES:
        raise ValueError(
            f"noise_recording must have a segment of at least {BLOCK_FRAMES} frames for its noise to be measured; "
            f"the longest has {longest}. Set noise_level_uv instead."
        )


def measured_noise(recording: BaseRecording, seed: int) -> NoiseModel:
    """Measure the noise of a recording on stretches of it, drawn at random.

    Parameters
    ----------
    recording : BaseRecording
        With gains, or in µV already.
    seed : int
        Of the draw of the stretches.

    Raises
    ------
    TypeError, ValueError
        If :func:`check_noise_recording` does.
    """
    check_noise_recording(recording)
    segments = [
        (k, recording.get_num_samples(k))
        for k in range(recording.get_num_segments())
        if recording.get_num_samples(k) >= BLOCK_FRAMES
    ]
    in_uv = recording.has_scaleable_traces()
    steps = _steps(recording, in_uv)
    stretches, deviations = [], []
    for k, (which, where) in enumerate(uniforms(seed, "noise stretches", 0, (_STRETCHES, 2))):
        segment, length = segments[int(which * len(segments))]
        start = int(where * (length - BLOCK_FRAMES + 1))
        traces = recording.get_traces(segment, start, start + BLOCK_FRAMES, return_in_uV=in_uv).astype(np.float32)
        spread = traces
        if steps.any():
            spread = traces + (uniforms(seed, "noise dither", k, traces.shape) - 0.5) * steps
        # Each stretch around its own median: offsets and slow waves are not what the band of spikes holds.
        middle = np.median(spread, axis=0)
        deviations.append(np.median(np.abs(spread - middle), axis=0))
        stretches.append((traces - middle).astype(np.float32))
    # The normal distribution has its median absolute deviation at 0.6745 standard deviations.
    variance = (np.median(deviations, axis=0) / 0.6744897501960817) ** 2 - steps**2 / 6.0
    alive = np.any([np.ptp(traces, axis=0) > 0 for traces in stretches], axis=0)
    # Noise of less than a fifth of a step shows now and then, and how large it is cannot be told.
    levels = np.where(alive, np.sqrt(np.maximum(variance, (0.2 * steps) ** 2)), 0.0)
    alive = levels > 0
    num_channels = len(levels)
    covariance, power = np.zeros((num_channels, num_channels)), np.zeros(BLOCK_FRAMES // 2)
    window = np.hanning(BLOCK_FRAMES).astype(np.float32)[:, None]
    for traces in stretches:
        scaled = np.clip(traces / np.where(alive, levels, 1.0), -_CUT_SIGMAS, _CUT_SIGMAS).astype(np.float32)
        covariance += scaled.T @ scaled
        spectrum = scipy.fft.rfft(scaled[:, alive] * window, axis=0)[:-1]
        power += (spectrum.real**2 + spectrum.imag**2).sum(axis=1)
    deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    correlation = covariance / deviation / deviation[:, None]
    np.fill_diagonal(correlation, 1.0)
    if not alive.any():
        power[:] = 1.0
    power[0] = 0.0
    return NoiseModel(levels.astype(np.float64), correlation, power / power.mean())


def _steps(recording: BaseRecording, in_uv: bool) -> np.ndarray:
    """Steps between neighbouring values on each channel, in the unit of the traces; 0 where they are no integers."""
    num_channels = recording.get_num_channels()
    if recording.get_dtype().kind not in "iu":
        return np.zeros(num_channels)
    return np.abs(np.asarray(recording.get_channel_gains(), dtype=np.float64)) if in_uv else np.ones(num_channels)
