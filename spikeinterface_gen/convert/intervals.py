"""What spike times say about a unit's short intervals, kept with the counts that no longer show them.

Two unit properties are computed where a source has spike times:

``short_interval_counts``, shape (units, 20)
    Number of inter-spike intervals in steps of 0.5 ms from 0 to 10 ms.
``refractory_period_ms``, shape (units,)
    Estimated from the same intervals, NaN where there are too few spikes to tell.
"""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.observation.spike_times import SHORT_INTERVAL_EDGES_MS

__all__ = ["interval_properties"]

_LONGEST_REFRACTORY_MS = 5.0
_SHORTEST_REFRACTORY_MS = 0.5
_ALLOWED_SHARE = 0.005
_ENOUGH_EXPECTED = 5.0


def interval_properties(
    runs: np.ndarray,
    units: np.ndarray,
    frames: np.ndarray,
    *,
    num_units: int,
    duration_s: float,
    sampling_frequency: float,
) -> dict[str, np.ndarray]:
    """Short intervals and refractory period of each unit.

    Parameters
    ----------
    runs : array of int, shape (spikes,)
        Uninterrupted stretch of the recording that each spike belongs to; intervals do not cross runs.
    units : array of int, shape (spikes,)
        Position of the unit of each spike.
    frames : array of int, shape (spikes,)
        Frame of each spike, within its run.
    num_units : int
        Number of units, those without spikes included.
    duration_s : float
        Length of all runs together in s.
    sampling_frequency : float
        Frames per second, in Hz.

    Returns
    -------
    dict
        ``short_interval_counts``, int64, (units, 20), and ``refractory_period_ms``, float64, (units,).
    """
    order = np.lexsort((frames, runs, units))
    units, runs, frames = units[order], runs[order], frames[order]
    within = (units[1:] == units[:-1]) & (runs[1:] == runs[:-1])
    intervals_ms = np.diff(frames)[within] * 1000.0 / sampling_frequency
    unit_of = units[1:][within]

    # A whole number of frames can fall on an edge exactly: keep it above, whatever the last bit says.
    steps = np.floor(intervals_ms / SHORT_INTERVAL_EDGES_MS[1] + 1e-9).astype(np.int64)
    num_steps = len(SHORT_INTERVAL_EDGES_MS) - 1
    short = steps < num_steps
    histogram = np.bincount(unit_of[short] * num_steps + steps[short], minlength=num_units * num_steps)

    num_spikes = np.bincount(units, minlength=num_units)
    relevant = intervals_ms < _LONGEST_REFRACTORY_MS
    bounds = np.searchsorted(unit_of[relevant], np.arange(num_units + 1))
    relevant_ms = intervals_ms[relevant]
    refractory_ms = np.array(
        [
            _refractory_period_ms(relevant_ms[bounds[k] : bounds[k + 1]], int(num_spikes[k]), duration_s)
            for k in range(num_units)
        ]
    )
    return {
        "short_interval_counts": histogram.reshape(num_units, num_steps),
        "refractory_period_ms": refractory_ms,
    }


def _refractory_period_ms(intervals_ms: np.ndarray, num_spikes: int, duration_s: float) -> float:
    """The longest time within which a unit hardly ever fires twice.

    A Poisson train of the same rate λ would have E(t) = n (1 − exp(−λt)) intervals shorter than t. The
    estimate is the largest t at which the observed number is at most 0.5 % of E(t), so that a few
    intervals too short to be real (contamination) do not decide. As the first interval after the
    refractory period is waited for by 1/(nλ) on average, that wait is taken off; the result lies
    between 0.5 and 5 ms, and is NaN where even E(5 ms) is below 5.

    Parameters
    ----------
    intervals_ms : array of float
        The intervals of this unit below 5 ms, in any order.
    """
    rate_per_ms = num_spikes / (duration_s * 1000.0)
    if num_spikes * -np.expm1(-rate_per_ms * _LONGEST_REFRACTORY_MS) < _ENOUGH_EXPECTED:
        return float("nan")
    candidates_ms = np.append(np.sort(intervals_ms), _LONGEST_REFRACTORY_MS)
    allowed = _ALLOWED_SHARE * num_spikes * -np.expm1(-rate_per_ms * candidates_ms)
    # Intervals below the j-th candidate number j.
    last = int(np.flatnonzero(np.arange(len(candidates_ms)) <= allowed)[-1])
    longest_ms = candidates_ms[last]
    if last < len(intervals_ms):
        longest_ms -= 1.0 / (num_spikes * rate_per_ms)
    return float(np.clip(longest_ms, _SHORTEST_REFRACTORY_MS, _LONGEST_REFRACTORY_MS))
