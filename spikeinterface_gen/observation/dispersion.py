r"""How much counts of a bin vary, given what is expected: slots of a binomial distribution.

A neuron that has fired cannot fire again at once, so that a fast one fits fewer spikes into a bin than chance would.
A bin of m slots, each filled with probability :math:`1 - e^{-r/m}`, holds

.. math::

    s \sim \text{Binomial}(m,\; 1 - e^{-r/m}), \qquad
    \langle s \rangle = m\,(1 - e^{-r/m}), \qquad
    \mathrm{Var}(s) = \langle s \rangle\,(1 - \langle s \rangle / m) .

One slot is the Bernoulli model of binary data, and infinitely many are the Poisson model. A bin is empty with
probability :math:`e^{-r}` for any m.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, xlogy

__all__ = ["fit_slots", "mean_counts"]

CANDIDATES = np.array([1, 2, 3, 4, 5, 6, 8, 10, 14, 20])
# Gain in log-likelihood, in nats, that slots must bring over none.
MIN_GAIN = 3.0
MAX_PROBABILITY = 0.98


def mean_counts(r: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Mean counts of bins of r and m, which broadcast; m may be infinite."""
    finite = np.isfinite(slots)
    if not finite.any():
        return r
    m = np.where(finite, slots, 1.0).astype(r.dtype)
    return np.where(finite, -m * np.expm1(-r / m), r)


def fit_slots(mean: np.ndarray, s: np.ndarray) -> float:
    """Most likely number of slots of a unit, infinite where no number is clearly better.

    Parameters
    ----------
    mean : array, shape (entries,)
        Expected counts.
    s : array, shape (entries,)
        Counts.
    """
    best, most = np.inf, float((xlogy(s, mean) - mean - gammaln(s + 1)).sum()) + MIN_GAIN
    for m in CANDIDATES[s.max(initial=0) <= CANDIDATES]:
        p = np.minimum(mean / m, MAX_PROBABILITY)
        ways = gammaln(m + 1) - gammaln(s + 1) - gammaln(m - s + 1)
        likelihood = float((ways + xlogy(s, p) + (m - s) * np.log1p(-p)).sum())
        if likelihood > most:
            best, most = float(m), likelihood
    return best
