r"""Rates of a unit below their median made lower, so that it is silent for as long, and as regularly, as recorded.

Where a unit has no spikes, latents say little of how low its rate is, and what is expected of it is not as low as it
was: λ of encoded trials, and of drawn ones, which are learned from them, is too rarely low (on the Lorenz system the
10 % quantile is 39 % too high), and intervals between spikes vary too little. With the median :math:`\tilde\lambda_i`
of the λ of a unit over drawn trials,

.. math::

    \lambda_i \mapsto \lambda_i \min(\lambda_i / \tilde\lambda_i,\, 1)^q , \qquad 0 \le q \le 0.3,

and mean rates are made what they were by the biases that come after. One q serves all units. It is the one at which the
coefficients of variation of their intervals in free runs are on average those of recorded ones,

.. math::

    y(q) = \Big\langle \log \frac{\mathrm{CV}_i(q)}{\mathrm{CV}_i} \Big\rangle_i, \qquad
    q = \frac{\sigma_q^2}{\sigma_q^2 + \sigma^2}\, \frac{-y(0)}{y'} ,

units counted by their intervals, where :math:`\sigma` is the standard error of :math:`y(0) / y'` over trials, and
:math:`\sigma_q` how large q is expected to be. Intervals that vary too much already are not for this to mend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from spikeinterface_gen.validation.interspike import interior_times

__all__ = ["Intervals", "LowRates", "fit_low_rates", "intervals"]

MAX_POWER, PRIOR_SD = 0.3, 0.1
# At which y' is looked for.
STEP = 0.1
# Trials are put into so many groups for the standard error; a unit has to have so many intervals without each.
NUM_GROUPS, MIN_INTERVALS = 8, 20
# Bins that the median is looked at in, at most.
MAX_BINS = 20_000


@dataclass(frozen=True)
class LowRates:
    """How much lower rates below the median are.

    Attributes
    ----------
    power : float
        q; 0 for none.
    median : array of float64, shape (units,)
        Of λ, expected counts of a bin; of no consequence where q is 0.
    """

    power: float = 0.0
    median: np.ndarray = field(default_factory=lambda: np.ones(1))

    @classmethod
    def of(cls, power: float, rates: np.ndarray) -> LowRates:
        """With the medians of these rates, shape (bins, units)."""
        return cls(power, np.median(rates[:: -(-len(rates) // MAX_BINS)], axis=0).astype(np.float64))

    def applied(self, rates: np.ndarray) -> np.ndarray:
        """λ with low rates lower, of the shape of ``rates``, (…, units)."""
        if not self.power:
            return rates
        factor = np.minimum(rates / np.maximum(self.median, 1e-12).astype(rates.dtype), 1)
        return rates * np.power(np.maximum(factor, 1e-6, out=factor), rates.dtype.type(self.power), out=factor)


class Intervals(NamedTuple):
    """Sums over intervals of each unit in each group of trials, each of shape (groups, units): number, bins, bins²."""

    number: np.ndarray
    total: np.ndarray
    squares: np.ndarray

    def without_groups(self) -> Intervals:
        """Sums over all other groups."""
        return Intervals(*(x.sum(axis=0) - x for x in self))

    def log_cv(self) -> np.ndarray:
        """Logarithm of the coefficient of variation, shape (groups, units); NaN where there is none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(np.maximum(self.squares * self.number / np.square(self.total) - 1, 0)) / 2


def intervals(counts: np.ndarray) -> Intervals:
    """Of trials of counts, shape (trials, bins, units), with zeros beyond their ends."""
    num_units = counts.shape[2]
    train, times = interior_times(counts)
    within = train[1:] == train[:-1]
    trial, unit = np.divmod(train[1:][within], num_units)
    owner, interval = trial % NUM_GROUPS * num_units + unit, np.diff(times)[within]
    shape, length = (NUM_GROUPS, num_units), NUM_GROUPS * num_units
    weights = (None, interval, np.square(interval))
    return Intervals(*(np.bincount(owner, w, length).reshape(shape).astype(np.float64) for w in weights))


def fit_low_rates(free: Callable[[float], Intervals], recorded: Intervals) -> float:
    """q.

    Parameters
    ----------
    free : callable
        From q to intervals of free runs, of which means are right.
    recorded : Intervals
    """
    without = free(0.0)
    y, error = _too_regular(without, recorded)
    if not y < 0:
        return 0.0
    slope = (_too_regular(free(STEP), recorded)[0] - y) / STEP
    if not slope > 0:
        return 0.0
    q, sd = -y / slope, error / slope
    return float(min(q * PRIOR_SD**2 / (PRIOR_SD**2 + sd**2), MAX_POWER))


def _too_regular(free: Intervals, recorded: Intervals) -> tuple[float, float]:
    """y and its standard error, by leaving out each group of recorded and of free trials; NaN if nothing is known."""
    rest, rest_free = recorded.without_groups(), free.without_groups()
    found, expected = rest_free.log_cv(), rest.log_cv()
    known = (np.minimum(rest.number, rest_free.number) >= MIN_INTERVALS).all(axis=0)
    known &= (np.isfinite(found) & np.isfinite(expected)).all(axis=0)
    if not known.any():
        return np.nan, np.nan
    weights = rest.number[:, known].sum(axis=0)
    values = [(x[:, known] @ weights) / weights.sum() for x in (found, expected)]
    variance = sum((NUM_GROUPS - 1) * x.var() for x in values)
    return float(values[0].mean() - values[1].mean()), float(np.sqrt(variance))
