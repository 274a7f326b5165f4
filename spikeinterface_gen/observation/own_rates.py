r"""What is left of λ to a unit itself, once history comes on top: λ stays what is expected.

The λ of latents says how many spikes come, those of bursts included and those that refractoriness prevents left out.
Were history simply put on top of it, it would count twice: rates would follow late, by the length of bursts, and would
not get as high as they should. With the factor and the sum of :mod:`~spikeinterface_gen.observation.history`, a unit
therefore is given

.. math::

    \lambda^\circ_t = \frac{\max\big(\lambda_t - \sum_\tau \alpha_\tau p_{t-\tau},\; \varepsilon \lambda_t\big)}{f_t},
    \qquad f_t \approx \Big\langle \exp \min\big(\textstyle\sum_\tau h_\tau s_{t-\tau}, c\big) \Big\rangle ,

where p are the counts that are expected of the bins before: what bursts add is taken away, and the rest divided by
the mean of the factor. With :math:`e_\tau = \exp \min(h_\tau, c) - 1` and
:math:`q_t = \sum_\tau e_\tau p_{t-\tau}`, that mean is :math:`e^q` over spikes that come independently, and
:math:`1 + q` where the bins before hold one at most. In between,

.. math::

    f = \big(1 + (1 - \rho)\, q\big)^{1 / (1 - \rho)}, \qquad
    \rho = \frac{\sum_t \sum_{i \ne j} e_i e_j\, s_{t-i} s_{t-j}}{\sum_t \sum_{i \ne j} e_i e_j\, p_{t-i} p_{t-j}} ,

the generating function of binomial counts, of which :math:`\rho` of the pairs are there that chance would make: to
second order in e it is right whatever the distribution.
"""

from __future__ import annotations

import numpy as np

__all__ = ["MAX_LOG_GAIN", "counts_of", "lagged", "mean_gains", "own_rates", "pair_ratio"]

MAX_LOG_GAIN = 0.7
"""c: no history raises a rate by more than this factor's logarithm."""

# Where λ is known badly, the unit's own spikes say more: filters and bursts that cancel each other, with λ° far from λ,
# would be fitted to that.
MIN_LOG_GAIN = -1.0
# ε: of what is expected, the share that bursts leave at least.
MIN_OWN_SHARE = 0.1
# Nearer to Poisson than this share of missing pairs is Poisson, to single precision.
NEARLY_POISSON = 1e-3


def counts_of(rates: np.ndarray, binary: bool) -> np.ndarray:
    """p: expected counts, where λ of binary data is events."""
    return -np.expm1(-rates) if binary else rates


def mean_gains(filters: np.ndarray) -> np.ndarray:
    """e: by what share a spike 1, 2, … bins ago changes the rate, of the shape of the filters."""
    return np.expm1(np.minimum(filters, MAX_LOG_GAIN))


def lagged(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum over lags of 1 to K bins of weights times values, from bin K on.

    Parameters
    ----------
    values : array, shape (trials, bins) or (trials, bins, units)
    weights : array, shape (K,) or (units, K)

    Returns
    -------
    array, shape (trials, bins − K) or (trials, bins − K, units)
    """
    K, bins = weights.shape[-1], values.shape[1]
    weights = weights.astype(values.dtype)
    result = np.zeros_like(values[:, K:])
    for lag in range(1, K + 1):
        result += weights[..., lag - 1] * values[:, K - lag : bins - lag]
    return result


def own_rates(rates: np.ndarray, q: np.ndarray, added: np.ndarray, ratio: np.ndarray | float) -> np.ndarray:
    """λ°.

    Parameters
    ----------
    rates : array, positive
        λ.
    q : array, of the shape of ``rates``
    added : array, of that shape
        Σ α p: what bursts add.
    ratio : array of float or float
        ρ, between 0 and 1.
    """
    missing = np.maximum(1.0 - ratio, NEARLY_POISSON).astype(rates.dtype)
    log_f = np.log(np.maximum(1.0 + missing * q, 0.01)) / missing
    return np.maximum(rates - added, MIN_OWN_SHARE * rates) * np.exp(-np.clip(log_f, MIN_LOG_GAIN, MAX_LOG_GAIN))


def pair_ratio(gains: np.ndarray, before: np.ndarray, q: np.ndarray, q_of_squares: np.ndarray) -> float:
    """ρ of a unit, between 0 and 1: as many pairs as by chance, or fewer.

    Parameters
    ----------
    gains : array, shape (K,)
        e.
    before : array, shape (entries with a past, K)
        Counts of the bins before; entries without a past have no pairs.
    q : array, shape (entries,)
    q_of_squares : array, shape (entries,)
        Σ e² p².
    """
    chance = float((np.square(q, dtype=np.float64) - q_of_squares).sum())
    if chance < 1e-3:
        return 1.0
    there = np.square(before @ gains.astype(before.dtype)) - np.square(before) @ np.square(gains).astype(before.dtype)
    return float(np.clip(there.sum(dtype=np.float64) / chance, 0.0, 1.0))
