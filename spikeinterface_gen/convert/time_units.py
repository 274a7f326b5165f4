"""Spike times whose unit is stated wrongly: found by rates that no neuron has.

Milliseconds that are labelled seconds make rates a thousandth of what they are, seconds that are labelled milliseconds
a thousandfold; samples and microseconds are further off. Only what no honest recording reaches is told: half of the
units that fire would have to do so less than 36 times an hour, or more than a thousand times a second.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from spikeinterface_gen.convert.stretches import Stretch

__all__ = ["warn_of_stretches", "warn_of_time_unit"]

_LOWEST_HZ = 0.01
_HIGHEST_HZ = 1000.0
_USUAL_HZ = 5.0  # of a recorded unit, to tell which mistake is likeliest
# The median unit's; fewer spikes say nothing about a rate.
_ENOUGH_SPIKES = 10


def warn_of_stretches(
    stretches: Sequence[Stretch], *, num_units: int, sampling_frequency: float, remedy: str, stacklevel: int
) -> None:
    """Warn where the spikes of stretches have impossible rates; see :func:`warn_of_time_unit`."""
    spikes = np.concatenate([stretch.units for stretch in stretches])
    filled = [stretch.frames for stretch in stretches if len(stretch.frames)]
    warn_of_time_unit(
        np.bincount(spikes, minlength=num_units),
        sum(int(np.ptp(frames)) for frames in filled) / sampling_frequency,
        sum(int(frames.max()) + 1 for frames in filled) / sampling_frequency,
        sampling_frequency=sampling_frequency,
        remedy=remedy,
        stacklevel=stacklevel + 1,
    )


def warn_of_time_unit(
    num_spikes: np.ndarray,
    shortest_s: float,
    longest_s: float,
    *,
    sampling_frequency: float,
    remedy: str,
    stacklevel: int,
) -> None:
    """Warn where the median rate of the units that fire is none that a recording has.

    Parameters
    ----------
    num_spikes : array of int, shape (units,)
        Spikes of each unit.
    shortest_s, longest_s : float
        Time in s from the first to the last spike, and from the start of the recording to the last spike: a rate must
        be too low over the one, or too high over the other, so that silence at the start raises no alarm. What comes
        after the last spike does not count: a duration may be right where the times are not.
    sampling_frequency : float
        Frames per second, in Hz; the factor by which times in samples are wrong.
    remedy : str
        How to state the unit in this kind of data.
    stacklevel : int
        Of the warning, counted from the caller.
    """
    firing = num_spikes[num_spikes > 0]
    if not len(firing) or np.median(firing) < _ENOUGH_SPIKES:
        return
    low_hz = float(np.median(firing)) / max(shortest_s, 1.0 / sampling_frequency)
    high_hz = float(np.median(firing)) / max(longest_s, 1.0 / sampling_frequency)
    samples = f"samples at {sampling_frequency:g} Hz"
    if low_hz < _LOWEST_HZ:
        rate_hz = low_hz
        factors = {"ms": 1e3, samples: sampling_frequency, "µs": 1e6}
        suspected = {f"times in {unit} that are taken for s": factor for unit, factor in factors.items()}
    elif high_hz > _HIGHEST_HZ:
        rate_hz = high_hz
        factors = {"ms": 1e-3, samples: 1.0 / sampling_frequency, "µs": 1e-6}
        suspected = {f"times in s that are taken for {unit}": factor for unit, factor in factors.items()}
    else:
        return
    cause = min(suspected, key=lambda name: abs(np.log(rate_hz * suspected[name] / _USUAL_HZ)))
    factor = suspected[cause]
    warnings.warn(
        f"the median rate of the units that fire is {rate_hz:.3g} Hz, which no recording has: the spike times are "
        f"probably in another unit than stated. Suspected: {cause}, a factor of {max(factor, 1 / factor):g}, which "
        f"would make it {rate_hz * factor:.3g} Hz. {remedy}",
        stacklevel=stacklevel + 1,
    )
