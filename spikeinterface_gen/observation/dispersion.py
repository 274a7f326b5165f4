r"""How much counts of a bin vary, given what is expected: slots, and gains of further spikes.

A neuron that has fired cannot fire again at once, so that a fast one fits fewer spikes into a bin than chance would;
another answers with a burst. A bin of m slots, each filled with probability :math:`1 - e^{-r/m}`, holds
:math:`b \sim \text{Binomial}(m, 1 - e^{-r/m})` spikes: the Bernoulli model of binary data for one slot, the Poisson
model for infinitely many. A bin is empty with probability :math:`e^{-r}` for any m. Beside them, once a bin holds k
spikes, a further one is :math:`g_k` times as likely, as a hazard, as those slots would make it:

.. math::

    P(s \ge k + 1 \mid s \ge k) = 1 - P(b = k \mid b \ge k)^{\,g_k}, \qquad P(s \ge 1) = 1 - e^{-r} .

With :math:`g = 1` these are the slots alone. A unit that mostly holds back and rarely bursts has
:math:`g_1 < 1`, which no number of slots can say that also allows the burst.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from scipy.special import gammaln, xlogy

__all__ = ["NUM_GAINS", "Dispersion", "fit_dispersion", "further"]

NUM_GAINS = 3
"""Gains of a second, of a third, and of every further spike."""

CANDIDATES = np.array([1, 2, 3, 4, 5, 6, 8, 10, 14, 20])
# Gains in log-likelihood, in nats, that slots must bring over none, and gains over slots alone.
MIN_GAIN_OF_SLOTS, MIN_GAIN_OF_GAINS = 3.0, 6.0
MAX_PROBABILITY = 0.98
# Further spikes, at a gain of one, that the prior of a gain is worth.
PRIOR_SPIKES = 3.0
GAIN_RANGE = (0.02, 20.0)
# Mean and variance are looked up on a grid of r, from its least.
NUM_GRID, LEAST = 512, 1e-6
# Largest r of which the mean can be inverted.
MAX_R = 60.0
NEGLIGIBLE = 1e-9


@dataclass(frozen=True)
class Dispersion:
    """Slots and gains of all units.

    Attributes
    ----------
    slots : array of float, shape (units,)
        m: 1 for Bernoulli, infinite for Poisson.
    gains : array of float, shape (units, NUM_GAINS)
        g.
    """

    slots: np.ndarray
    gains: np.ndarray

    @classmethod
    def of_slots(cls, slots: np.ndarray) -> Self:
        """Slots without gains: 1 for Bernoulli, infinite for Poisson; shape (units,)."""
        slots = np.asarray(slots, np.float64)
        return cls(slots, np.ones((len(slots), NUM_GAINS)))

    def of_units(self, index: np.ndarray | slice) -> Self:
        """Those of some of the units."""
        return type(self)(self.slots[index], self.gains[index])

    @cached_property
    def gained(self) -> np.ndarray:
        """Whether a unit has gains, shape (units,)."""
        return (self.gains != 1).any(axis=1) & (self.slots > 1)

    def survival(self, r: np.ndarray) -> Iterator[np.ndarray]:
        """Yield P(s ≥ 1), P(s ≥ 2), … for r, shape (…, units), until they are negligible."""
        above = -np.expm1(-r)
        for k, remaining in enumerate(further(r, self.slots), start=1):
            if not above.max(initial=0) > NEGLIGIBLE:
                return
            yield above
            above = above * (1 - remaining ** self.gains[:, min(k, NUM_GAINS) - 1])

    def mean(self, r: np.ndarray) -> np.ndarray:
        """Mean counts of bins of r, shape (…, units)."""
        finite = np.isfinite(self.slots)
        result = r
        if finite.any():
            m = np.where(finite, self.slots, 1.0).astype(r.dtype)
            result = np.where(finite, -m * np.expm1(-r / m), r)
        return self._gained(result, r, lambda above, k: above)

    def of_mean(self, mean: np.ndarray) -> np.ndarray:
        """r of which counts have this mean, shape (…, units): the inverse of :meth:`mean`, by interpolation.

        What no bin of so many slots can hold is cut off.
        """
        if not (np.isfinite(self.slots).any() or self.gained.any()):
            return mean
        table, most = self._by_mean
        mean = np.minimum(mean, most)
        place = np.sqrt(mean / most) * np.float32(NUM_GRID)
        below = np.minimum(place.astype(np.int32), NUM_GRID - 1)
        share, unit = place - below, np.arange(len(most))
        return ((1 - share) * table[below, unit] + share * table[below + 1, unit]) * mean

    @cached_property
    def _by_mean(self) -> tuple[np.ndarray, np.ndarray]:
        """r over the mean, at squares of evenly spread places, (places, units), and the largest mean, (units,)."""
        r = np.append(0.0, np.geomspace(LEAST, MAX_R, 2 * NUM_GRID))
        means = self.mean(np.broadcast_to(r[:, None], (len(r), len(self.slots))))
        most = np.minimum(means[-1], MAX_PROBABILITY * self.slots)
        places = np.linspace(0, 1, NUM_GRID + 1) ** 2
        # At zero the ratio is that of the least mean above it.
        places[0] = places[1]
        table = [np.interp(m * places, of_r, r) / (m * places) for m, of_r in zip(most, means.T, strict=True)]
        return np.stack(table, axis=1).astype(np.float32), most.astype(np.float32)

    def mean_and_variance(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of counts of bins of r, each of shape (…, units)."""
        mean = self.mean(r)
        squares = mean**2 * (1 - 1 / self.slots.astype(r.dtype)) + mean
        return mean, self._gained(squares, r, lambda above, k: (2 * k - 1) * above) - mean**2

    def _gained(
        self, result: np.ndarray, r: np.ndarray, summand: Callable[[np.ndarray, int], np.ndarray]
    ) -> np.ndarray:
        """``result`` with the sum over k of ``summand`` in the units that have gains."""
        units = np.flatnonzero(self.gained)
        if not units.size:
            return result
        result = np.array(result)
        grid = np.geomspace(LEAST, max(float(r.max(initial=0)), 2 * LEAST), NUM_GRID)
        own = self.of_units(units)
        column = np.broadcast_to(grid[:, None], (NUM_GRID, len(units)))
        table = np.zeros((NUM_GRID, len(units)))
        for k, above in enumerate(own.survival(column), start=1):
            table += summand(above, k)
        # Relative to r, which makes it nearly constant: constant below the grid.
        table /= grid[:, None]
        log_grid = np.log(grid)
        for position, unit in enumerate(units):
            log_r = np.log(np.maximum(r[..., unit], LEAST))
            result[..., unit] = r[..., unit] * np.interp(log_r, log_grid, table[:, position])
        return result


def further(r: np.ndarray, slots: np.ndarray | float) -> Generator[np.ndarray, np.ndarray | None, None]:
    """Yield P(b = k | b ≥ k) of the slots alone for k = 1, 2, …; one where no slot is left.

    Sent a mask of r, it goes on with these entries alone.
    """
    m = np.broadcast_to(np.asarray(slots, np.float64), r.shape)
    finite = np.isfinite(m)
    odds = np.where(finite, np.where(finite, m, 1.0) * np.expm1(r / m), r)
    at_least = first = -np.expm1(-r)
    exactly = np.exp(-r) * odds
    k = 1
    while True:
        following = odds / (k + 1) * np.maximum(1 - k / m, 0)
        # P(b = k + 1) / P(b = k) falls with k: a bound, and all there is where rounding has eaten the tail.
        least = np.maximum(1 - following, 0)
        ratio = np.divide(exactly, at_least, out=np.array(least), where=(at_least > 1e-12 * first) & (k < m))
        kept = yield np.clip(ratio, least, 1.0)
        if kept is not None:
            m, odds, first, at_least, exactly, following = (
                values[kept] for values in (m, odds, first, at_least, exactly, following)
            )
        at_least = at_least - exactly
        exactly = exactly * following
        k += 1


def fit_dispersion(r: np.ndarray, s: np.ndarray) -> tuple[float, np.ndarray]:
    """Most likely slots and gains of a unit: none where they are not clearly better.

    Parameters
    ----------
    r : array, shape (entries,)
        Expected counts.
    s : array, shape (entries,)
        Counts.

    Returns
    -------
    slots : float
    gains : array, shape (NUM_GAINS,)
    """
    slots = _fit_slots(r, s)
    return slots, _fit_gains(r, s, slots)


def _fit_slots(mean: np.ndarray, s: np.ndarray) -> float:
    best, most = np.inf, float((xlogy(s, mean) - mean - gammaln(s + 1)).sum()) + MIN_GAIN_OF_SLOTS
    for m in CANDIDATES[s.max(initial=0) <= CANDIDATES]:
        p = np.minimum(mean / m, MAX_PROBABILITY)
        ways = gammaln(m + 1) - gammaln(s + 1) - gammaln(m - s + 1)
        likelihood = float((ways + xlogy(s, p) + (m - s) * np.log1p(-p)).sum())
        if likelihood > most:
            best, most = float(m), likelihood
    return best


def _fit_gains(r: np.ndarray, s: np.ndarray, slots: float) -> np.ndarray:
    """Maximise likelihood and prior, a Gamma of mean 1, by expectation-maximisation: hazards count hidden events."""
    ones = np.ones(NUM_GAINS)
    r = r[s > 0] * _scale_to_occupied(r, s)
    s = s[s > 0]
    # Hazards −ln P(b = k | b ≥ k) of bins that did hold a further spike, and the sum over those that did not.
    went_on: list[list[np.ndarray]] = [[] for _ in range(NUM_GAINS)]
    stayed = np.zeros(NUM_GAINS)
    for k, remaining in enumerate(further(r, slots), start=1):
        reached = s >= k
        if not reached.any() or k >= slots:
            break
        hazard = -np.log(np.clip(remaining[reached], 1e-300, 1 - 1e-12))
        level = min(k, NUM_GAINS) - 1
        went_on[level].append(hazard[s[reached] > k])
        stayed[level] += hazard[s[reached] == k].sum()
    gains, gained = ones.copy(), 0.0
    for level, hazards in enumerate(map(np.concatenate, filter(None, went_on))):
        g = 1.0
        for _ in range(50):
            events = (g * hazards / -np.expm1(-g * hazards)).sum()
            g = (PRIOR_SPIKES + events) / (PRIOR_SPIKES + hazards.sum() + stayed[level])
        gains[level] = g = float(np.clip(g, *GAIN_RANGE))
        gained += np.log(np.expm1(-g * hazards) / np.expm1(-hazards)).sum() - (g - 1) * stayed[level]
    return gains if gained > MIN_GAIN_OF_GAINS else ones


def _scale_to_occupied(r: np.ndarray, s: np.ndarray) -> float:
    """Factor of r that makes as many bins hold a spike as did."""
    occupied = float((s > 0).sum())
    log_scale = 0.0
    for _ in range(20):
        scaled = r * np.exp(log_scale)
        slope = (scaled * np.exp(-scaled)).sum()
        step = (occupied + np.expm1(-scaled).sum()) / max(slope, 1e-12)
        log_scale += float(np.clip(step, -1, 1))
        if abs(step) < 1e-6:
            break
    return float(np.exp(log_scale))
