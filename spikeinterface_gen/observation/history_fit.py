r"""Fitting spike history to recorded spikes.

Filters are fitted by penalised likelihood, with λ as offset; λ must come from an encoder that did not see the entries
to be predicted, since one that saw the spikes has explained them already. Units of a population have much in common:
the prior of :math:`h_\tau` is Gaussian with the mean and variance that filters have over units, which
expectation-maximisation finds (empirical Bayes). A slow unit among refractory ones is then taken for one of them, and
where there is no history, little is found. It tells the spikes of the two terms apart, too: of the events of a bin, the
share of each in :math:`\mu_t` is its own. Of binary data, λ and μ are events, of which a bin says only whether there
were any: one that holds a spike holds :math:`\mu / (1 - e^{-\mu})`.

The factor is kept, and the sum beside it, only where the likelihood of all units together gains more than the
parameters would of data without history (Akaike's criterion): a little of both in every unit, of noise alone, adds up
over the population.

References
----------
Akaike, *A new look at the statistical model identification*, IEEE Trans Autom Control 1974.
Veen & Schoenberg, *Estimation of space-time branching process models in seismology using an EM-type algorithm*,
J Am Stat Assoc 2008.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import xlogy

from spikeinterface_gen.observation.dispersion import Dispersion, fit_dispersion
from spikeinterface_gen.observation.history import MAX_OFFSPRING, SpikeHistory
from spikeinterface_gen.observation.own_rates import (
    MAX_LOG_GAIN,
    counts_of,
    lagged,
    mean_gains,
    own_rates,
    pair_ratio,
)

__all__ = ["CANDIDATES", "fit_history"]

CANDIDATES = ("none", "factor", "factor and sum")
"""The histories that a fit chooses from."""

# Spikes without any offspring that the prior of the excitation is worth.
PRIOR_SPIKES = 5.0
# Standard deviation of h_1 in units of which nothing is known; so many of them the prior has seen before any of the
# population. How often it is updated.
PRIOR_SD, PRIOR_UNITS, PRIOR_ROUNDS = 0.5, 5, 2
MAX_ITERATIONS = 12
# Largest change of a bias, filter or excitation at which their fit has converged: a tenth of what data can tell.
CONVERGED = 1e-3


def fit_history(
    rates: np.ndarray,
    counts: np.ndarray,
    predicted: np.ndarray,
    num_bins: int,
    binary: bool,
) -> tuple[SpikeHistory, dict[str, float]]:
    """Fit filters, excitation and biases by penalised likelihood, then the dispersion of counts.

    Parameters
    ----------
    rates : array, shape (trials, bins, units)
        λ inferred without the entries to be predicted.
    counts : array, shape (trials, bins, units)
    predicted : array of bool, shape (trials, bins, units)
        The entries that λ did not see; only these are predicted, from the counts of all bins before.
    num_bins : int
        K.
    binary : bool

    Returns
    -------
    history : SpikeHistory
    gains : dict of str to float
        Gain in log-likelihood over none, in nats, less the number of parameters, of each of :data:`CANDIDATES`.
    """
    num_units = counts.shape[2]
    K = min(num_bins, max(0, counts.shape[1] // 3))
    units = [
        _Entries.of(rates[:, :, unit], counts[:, :, unit], predicted[:, K:, unit], K, binary)
        for unit in range(num_units)
    ]
    none = [unit.without_past().fitted(_Prior.weak(0)) for unit in units]
    candidates = {
        "none": none,
        "factor": _fit_population(units, K, excites=False) if K else none,
        "factor and sum": _fit_population(units, K, excites=True) if K else none,
    }
    # The prior's means were fitted as well.
    scores = {name: sum(fit.score for fit in fits) - K * (name != "none") for name, fits in candidates.items()}
    gains = {name: score - scores["none"] for name, score in scores.items()}
    chosen = candidates[max(gains, key=lambda name: gains[name])]
    dispersion = Dispersion.of_slots(np.ones(num_units))
    if not binary:
        fitted = [fit_dispersion(fit.mu.astype(np.float64), unit.s) for fit, unit in zip(chosen, units, strict=True)]
        dispersion = Dispersion(*(np.array(values) for values in zip(*fitted, strict=True)))
    history = SpikeHistory(
        np.stack([fit.h for fit in chosen]),
        np.stack([fit.alpha for fit in chosen]),
        np.array([fit.b for fit in chosen]),
        np.array([fit.pair_ratio for fit in chosen]),
        dispersion,
        binary,
    )
    return history, gains


@dataclass(frozen=True)
class _Prior:
    """Mean and variance of the filters of all units, both of shape (K,)."""

    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def weak(cls, K: int) -> _Prior:
        """That of units of which nothing is known; late effects are weak."""
        return cls(np.zeros(K), PRIOR_SD**2 * np.arange(1, K + 1) ** -0.5)

    def updated(self, fits: list[_UnitFit]) -> _Prior:
        """That of which the filters of these units, and :data:`PRIOR_UNITS` of this prior, are the likeliest draws."""
        h, variance = (np.stack([getattr(fit, name) for fit in fits]) for name in ("h", "variance"))
        number = len(fits) + PRIOR_UNITS
        mean = h.sum(axis=0) / number
        spread = np.square(h - mean) + variance
        return _Prior(mean, (spread.sum(axis=0) + PRIOR_UNITS * (self.variance + mean**2)) / number)


@dataclass(frozen=True)
class _UnitFit:
    """b, h and its posterior variance, α, ρ and μ, float32 of shape (entries,), of a unit, and its score.

    That is its log-likelihood less the number of parameters.
    """

    b: float
    h: np.ndarray
    variance: np.ndarray
    alpha: np.ndarray
    pair_ratio: float
    mu: np.ndarray
    score: float


def _fit_population(units: list[_Entries], K: int, *, excites: bool) -> list[_UnitFit]:
    """Fits of all units under the prior that they have in common. Without ``excites``, α is zero."""
    weak = prior = _Prior.weak(K)
    fits = [unit.fitted(prior, excites=excites) for unit in units]
    for _ in range(PRIOR_ROUNDS):
        prior = weak.updated(fits)
        fits = [unit.fitted(prior, excites=excites, start=fit) for unit, fit in zip(units, fits, strict=True)]
    return fits


@dataclass(frozen=True)
class _Entries:
    """Counts and λ of a unit, and the counts before, of the entries that have any.

    Attributes
    ----------
    rates : array of float32, shape (trials, bins)
        λ of all bins.
    use : array of bool, shape (trials, bins − K)
        What is predicted: the entries.
    s : array of float64, shape (entries,)
    with_past : array of bool, shape (entries,)
    before : array of float32, shape (entries with a past, K)
    binary : bool
    """

    rates: np.ndarray
    use: np.ndarray
    s: np.ndarray
    with_past: np.ndarray
    before: np.ndarray
    binary: bool

    @classmethod
    def of(cls, rates: np.ndarray, counts: np.ndarray, use: np.ndarray, K: int, binary: bool) -> _Entries:
        """From λ and counts, shape (trials, bins), of a unit."""
        s = counts[:, K:][use].astype(np.float64)
        before = np.zeros((len(s), 0))
        if K:
            before = np.lib.stride_tricks.sliding_window_view(counts[:, :-1], K, axis=1)[use][:, ::-1]
        with_past = (before > 0).sum(axis=1) > 0
        # Sums over entries are taken in single precision, which halves their time; what is solved for is not.
        before = before[with_past].astype(np.float32)
        return cls(np.maximum(rates, 1e-9).astype(np.float32), use, s, with_past, before, binary)

    def without_past(self) -> _Entries:
        """The same, of a unit that does not feel its past."""
        return replace(self, with_past=np.zeros(len(self.s), bool), before=np.zeros((0, 0), np.float32))

    def fitted(self, prior: _Prior, *, excites: bool = False, start: _UnitFit | None = None) -> _UnitFit:
        """Fit of the unit, by Newton steps for b and h and expectation-maximisation for α.

        λ° follows from h and α, and is taken for known in each step: pairs of spikes at every lag then come as often as
        they do in the recording.
        """
        K = self.before.shape[1]
        # Without a past there is only the bias to learn from: such entries, the most, enter by their sums.
        idle_counts, s_past = self.s[~self.with_past], self.s[self.with_past].astype(np.float32)
        idle_spiked = idle_counts > 0
        design = np.concatenate([np.ones((len(s_past), 1), np.float32), self.before], axis=1)
        centre, precision = np.append(0.0, prior.mean), np.append(1e-6, 1 / prior.variance)
        spikes_before = self.before.sum(axis=0) + PRIOR_SPIKES * np.arange(1, K + 1) ** 0.5
        if start is None:
            w, alpha = np.zeros(K + 1), np.full(K, 0.1 / max(K, 1) if excites else 0.0)
        else:
            w, alpha = np.append(start.b, start.h), start.alpha
        # λ of the entries, and the counts expected of all bins, the ones before the entries among them.
        used, p = self.rates[:, self.rates.shape[1] - self.use.shape[1] :][self.use], counts_of(self.rates, self.binary)
        ratio = 1.0 if start is None else self._pair_ratio(p, start.h)
        for _ in range(MAX_ITERATIONS):
            rate, idle_rate = self._own_rates(used, p, w[1:], alpha, ratio)
            base, idle = _gained(rate, w, self.before), idle_rate * np.exp(w[0])
            mu = base + self.before @ alpha.astype(np.float32)
            events = _events(s_past, mu) if self.binary else s_past
            alpha_before = alpha
            alpha = alpha * (self.before.T @ (events / mu)) / spikes_before
            alpha *= min(1.0, MAX_OFFSPRING / max(alpha.sum(), 1e-12))
            idle_sum = _events(idle_counts, idle)[idle_spiked].sum() if self.binary else idle_counts.sum()
            gradient = design.T @ (events * base / mu - base) - precision * (w - centre)
            information = np.asarray((design * base[:, None]).T @ design, np.float64)
            information[0, 0] += idle.sum()
            gradient[0] += idle_sum - idle.sum()
            step = np.linalg.solve(information + np.diag(precision), gradient)
            w = w + step * min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))
            if max(np.abs(step).max(), np.abs(alpha - alpha_before).max(initial=0)) < CONVERGED:
                break
        rate, idle_rate = self._own_rates(used, p, w[1:], alpha, ratio)
        mu = np.empty(len(self.s))
        mu[~self.with_past] = idle_rate * np.exp(w[0])
        mu[self.with_past] = _gained(rate, w, self.before) + self.before @ alpha.astype(np.float32)
        likelihood = xlogy(self.s, -np.expm1(-mu)) - (1 - self.s) * mu if self.binary else xlogy(self.s, mu) - mu
        posterior = np.linalg.inv(information + np.diag(precision))
        # The prior leaves the filter less than K parameters, and without excitation half of α is at its bound of zero.
        num_parameters = np.trace(posterior @ information) + K / 2 * excites
        return _UnitFit(
            b=w[0],
            h=w[1:],
            variance=posterior.diagonal()[1:],
            alpha=alpha,
            pair_ratio=ratio,
            mu=mu.astype(np.float32),
            score=float(likelihood.sum() - num_parameters),
        )

    def _own_rates(
        self, rate: np.ndarray, p: np.ndarray, h: np.ndarray, alpha: np.ndarray, ratio: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """λ° of the entries with a past, and of those without, from λ of all entries."""
        if len(h):
            q, added = (lagged(p, weights)[self.use] for weights in (mean_gains(h), alpha))
            rate = own_rates(rate, q, added, ratio)
        return rate[self.with_past], rate[~self.with_past]

    def _pair_ratio(self, p: np.ndarray, h: np.ndarray) -> float:
        gains = mean_gains(h)
        q, q_of_squares = lagged(p, gains)[self.use], lagged(np.square(p), np.square(gains))[self.use]
        return pair_ratio(gains, self.before, q, q_of_squares)


def _gained(rate: np.ndarray, w: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Rates times the factor of history, for (b, h) and the counts before, all float32."""
    log_gain = np.minimum(before @ w[1:].astype(np.float32), np.float32(MAX_LOG_GAIN))
    return rate * np.exp(np.float32(w[0]) + log_gain)


def _events(s: np.ndarray, mu: np.ndarray) -> np.ndarray:
    """Expected events of expectation ``mu`` in bins that say only whether there was one."""
    return s * mu / -np.expm1(-np.maximum(mu, 1e-12))
