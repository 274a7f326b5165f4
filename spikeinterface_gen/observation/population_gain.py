r"""A gain of all units that follows their common rate, so that populations of drawn trials fire as recorded ones do.

Latents are inferred from spikes, and where there are few of these, what they may have been is on average not as low as
it was: λ of encoded trials, and of drawn ones, which are learned from them, is too rarely low. To vary as much, drawn
latents then have to be too extreme where rates are high. With the expected counts of the whole population,
:math:`\Lambda_t = \sum_i \lambda_{it}`, and :math:`x = (\log \Lambda - m) / s`, where m and s are the mean and s.d. of
:math:`\log \Lambda` over drawn trials, λ becomes

.. math::

    \lambda_{it} \, e^{s\, g(x_t)}, \qquad g(x) = a_1 x + a_2 (x^2 - 1) + a_3 (x^3 - 3 x),

with x bounded, and Λ rising with x. The coefficients are those of which population counts N of free runs are
distributed as recorded ones:

.. math::

    \min_a \; -n \sum_N p(N) \log q_a(N) + \frac{|a|^2}{2 \sigma_a^2}, \qquad
    q_a(N) = \big\langle P(N \mid \Lambda e^{s g}) \big\rangle ,

where p is of recorded bins, and n is how many independent ones they are worth (:func:`independent_bins`), less for the
chance of the drawn ones. N / F is a Poisson count, continued between whole numbers: its mean, and F, the Fano factor,
are those of free runs at this Λ. What q is off without a gain by the counts of free runs themselves, it is corrected
by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaincc

__all__ = ["PopulationGain", "fit_population_gain", "independent_bins"]

# Bound of x.
MAX_X = 3.5
# Of a, for what counts say of it.
SCORE_STEP = 0.02
# Counts of a class of N in free runs from which on these say what that class has, and no Poisson count.
KNOWN_FROM = 50
# σ_a.
PRIOR_SD = 0.1
# Of the slope of log Λ against x that there is without the gain, the share that is left at least.
MIN_SLOPE = 0.2
# Levels of Λ at which the mean and Fano factor of N are known; Λ and classes of N that q is made from.
NUM_LEVELS, NUM_RATES, NUM_CLASSES = 16, 200, 128
FANO_RANGE = (0.2, 5.0)
LEAST = 1e-9


@dataclass(frozen=True)
class PopulationGain:
    """How the rates of all units follow their sum.

    Attributes
    ----------
    coefficients : tuple of float
        a; zeros for no gain.
    centre, scale : float
        m and s.
    """

    coefficients: tuple[float, float, float] = (0.0, 0.0, 0.0)
    centre: float = 0.0
    scale: float = 1.0

    def log_gain(self, log_population: np.ndarray) -> np.ndarray:
        """s g, for log Λ."""
        x = np.clip((log_population - self.centre) / self.scale, -MAX_X, MAX_X)
        a1, a2, a3 = self.coefficients
        return self.scale * (a1 * x + a2 * (x**2 - 1) + a3 * (x**3 - 3 * x))

    def applied(self, rates: np.ndarray) -> np.ndarray:
        """λ with the gain, of the shape of ``rates``, (…, units)."""
        if not any(self.coefficients):
            return rates
        return rates * np.exp(self.log_gain(_log_sum(rates))).astype(rates.dtype)[..., None]

    def of_rates(self, rates: np.ndarray) -> PopulationGain:
        """The same gain for a population that has these rates, shape (bins, units): some of the units, say."""
        log_population = _log_sum(rates)
        return replace(self, centre=float(log_population.mean()), scale=float(max(log_population.std(), LEAST)))


def fit_population_gain(
    drawn: np.ndarray, free: tuple[np.ndarray, np.ndarray], recorded: np.ndarray, valid: np.ndarray, num_drawn: int
) -> PopulationGain:
    """Likeliest gain.

    Parameters
    ----------
    drawn : array, shape (bins,)
        Λ of drawn trials.
    free : (array, array), both of shape (bins of free runs,)
        Λ and N of those that were run.
    recorded : array of int, shape (trials, bins)
        N.
    valid : array of bool, shape (trials, bins)
    num_drawn : int
        Trials that were drawn: their chance is not for a gain to mend, either.

    Returns
    -------
    PopulationGain
        None, where it would be worth less than its parameters (Akaike's criterion).
    """
    log_drawn = np.log(np.maximum(drawn, LEAST))
    none = PopulationGain(centre=float(log_drawn.mean()), scale=float(max(log_drawn.std(), LEAST)))
    levels = (np.arange(NUM_RATES) + 0.5) / NUM_RATES
    level, log_ratio, fano = _counts_given_rate(*free)
    most = 1.5 * max(recorded.max(initial=0), free[1].max(initial=0)) + 10
    edges = np.unique(np.linspace(0, most, NUM_CLASSES).astype(int))
    p = np.histogram(recorded[valid], edges)[0] / valid.sum()
    x = np.linspace(-MAX_X, MAX_X, 50)

    def q(log_rates: np.ndarray, a: np.ndarray) -> np.ndarray:
        moved = log_rates + _with(none, a).log_gain(log_rates)
        expected, F = np.exp(moved + np.interp(moved, level, log_ratio)), np.interp(moved, level, fano)[:, None]
        below = gammaincc(np.maximum((edges - 0.5) / F + 0.5, 1e-3), expected[:, None] / F)
        below[:, 0] = 0.0
        return np.diff(below, axis=1).mean(axis=0)

    log_rates, of_free = (np.quantile(y, levels) for y in (log_drawn, np.log(np.maximum(free[0], LEAST))))
    there, by_model = np.histogram(free[1], edges)[0], q(of_free, np.zeros(3)) * len(free[1])
    correction = (there + KNOWN_FROM) / (by_model + KNOWN_FROM)

    def log_q(a: np.ndarray) -> np.ndarray:
        corrected = q(log_rates, a) * correction
        return np.log(corrected / corrected.sum() + 1e-7)

    scores = np.array([log_q(SCORE_STEP * a) - log_q(-SCORE_STEP * a) for a in np.eye(3)]).T
    classes = np.clip(np.searchsorted(edges, recorded, "right") - 1, 0, len(p) - 1)
    n = independent_bins(scores[classes], valid) / (1 + len(recorded) / num_drawn)

    def loss(a: np.ndarray) -> float:
        slope = (1 + a[0] + 2 * a[1] * x + 3 * a[2] * (x**2 - 1)).min()
        falling = 1e4 * min(slope - MIN_SLOPE, 0.0) ** 2
        return float(falling + (a**2).sum() / (2 * PRIOR_SD**2) - n * (p * log_q(a)).sum())

    simplex = 0.05 * np.vstack([np.zeros(3), np.eye(3)])
    found = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"initial_simplex": simplex, "maxiter": 200})
    return _with(none, found.x) if loss(np.zeros(3)) - found.fun > len(found.x) else none


def independent_bins(scores: np.ndarray, valid: np.ndarray) -> float:
    """n: how many independent bins as many bins of trials are worth to means of scores, (trials, bins, scores).

    Neighbouring bins say the same. By the design effect, the variance of sums over trials relative to what it would be
    of independent bins (Kish, Survey Sampling 1965), on average over scores.
    """
    counted = valid[..., None]
    deviation = np.where(counted, scores - scores.mean(axis=(0, 1), where=counted), 0)
    of_trials, of_bins = np.square(deviation.sum(axis=1)).sum(axis=0), np.square(deviation).sum(axis=(0, 1))
    effect = np.mean(of_trials / np.maximum(of_bins, LEAST))
    return float(valid.sum() / max(effect, 1.0))


def _with(gain: PopulationGain, a: np.ndarray) -> PopulationGain:
    a1, a2, a3 = map(float, a)
    return replace(gain, coefficients=(a1, a2, a3))


def _log_sum(rates: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(rates.sum(axis=-1, dtype=np.float64), LEAST))


def _counts_given_rate(population: np.ndarray, N: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels of log Λ, and at each the logarithm of the mean of N over Λ, and the Fano factor of N about its mean."""
    levels = []
    for part in np.array_split(np.argsort(population), NUM_LEVELS):
        Λ, n = population[part].astype(np.float64), N[part].astype(np.float64)
        mean, deviation = max(n.mean(), LEAST), Λ - Λ.mean()
        # What N varies by because Λ does within the level is no noise.
        slope = (deviation * n).sum() / max((deviation**2).sum(), LEAST)
        fano = (n.var() - slope**2 * Λ.var()) / mean
        rate = np.log(max(Λ.mean(), LEAST))
        levels.append((rate, np.log(mean) - rate, np.clip(fano, *FANO_RANGE)))
    rate, log_ratio, fano = np.array(levels).T
    return rate, log_ratio, fano
