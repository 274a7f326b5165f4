r"""Spike history: what a unit's own last spikes do to its rate, beyond the shared latents.

.. math::

    r_t = \lambda_t \exp\!\Big(b + \min\big(\textstyle\sum_{\tau=1}^{K} h_\tau s_{t-\tau},\; c\big)\Big)
          + \sum_{\tau=1}^{K} \alpha_\tau s_{t-\tau},
    \qquad \alpha_\tau \ge 0, \quad \sum_\tau \alpha_\tau \le \alpha_{\max} < 1

for each unit. The factor is for what holds a unit back (refractoriness, adaptation) and changes it a little; the sum is
for bursts, which come of single spikes however low λ is: a unit of 1 Hz that fires its next spike within 10 ms every
other time is beyond any factor that is safe for a unit of 20 Hz. Both are stable: the factor is bounded by
:math:`e^c`, and of a self-exciting process each spike brings on fewer than one (Hawkes 1971).

Filters are fitted by penalised likelihood, with λ as offset; λ must come from an encoder that did not see the entries
to be predicted, since one that saw the spikes has explained them already. Units of a population have much in common:
the prior of :math:`h_\tau` is Gaussian with the mean and variance that filters have over units, which
expectation-maximisation finds (empirical Bayes). A slow unit among refractory ones is then taken for one of them, and
where there is no history, little is found. It tells the spikes of the two terms apart, too: of the events of a bin, the
share of each in :math:`r_t` is its own. A binary bin that holds a spike holds
:math:`r / (1 - e^{-r})` events. The factor is kept, and the sum beside it, only where the likelihood of all
units together gains more than the parameters would of data without history (Akaike's criterion): a little of both in
every unit, of noise alone, adds up over the population. The biases are then calibrated in free runs on sampled rates: a
filter fitted on recorded spikes drives its own differently.

References
----------
Akaike, *A new look at the statistical model identification*, IEEE Trans Autom Control 1974.
Gerhard, Deger & Truccolo, *On the stability and dynamics of stochastic spiking neuron models*, PLoS Comput Biol 2017.
Veen & Schoenberg, *Estimation of space-time branching process models in seismology using an EM-type algorithm*,
J Am Stat Assoc 2008.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import xlogy

from spikeinterface_gen.observation.dispersion import Dispersion, fit_dispersion
from spikeinterface_gen.observation.draw import draw_counts

__all__ = ["CANDIDATES", "SpikeHistory", "calibrate", "fit_history"]

CANDIDATES = ("none", "factor", "factor and sum")
"""The histories that a fit chooses from."""

MAX_LOG_GAIN = 0.7
MAX_OFFSPRING = 0.9
# Spikes without any offspring that the prior of the excitation is worth.
PRIOR_SPIKES = 5.0
# Standard deviation of h_1 in units of which nothing is known; so many of them the prior has seen before any of the
# population. How often it is updated.
PRIOR_SD, PRIOR_UNITS, PRIOR_ROUNDS = 0.5, 5, 2
MAX_ITERATIONS = 12
# Largest change of a bias, filter or excitation at which their fit has converged: a tenth of what data can tell.
CONVERGED = 1e-3
# Expected counts of a bin beyond which no rate goes.
MAX_RATE = 50.0


@dataclass(frozen=True)
class SpikeHistory:
    """Filters and biases of all units.

    Attributes
    ----------
    filters : array of float, shape (units, bins)
        h: log gain of the rate by a spike 1, 2, … bins ago. No columns: no history.
    excitation : array of float, shape (units, bins)
        α: expected counts that a spike 1, 2, … bins ago adds.
    bias : array of float, shape (units,)
        b.
    dispersion : Dispersion
        Of counts about r.
    """

    filters: np.ndarray
    excitation: np.ndarray
    bias: np.ndarray
    dispersion: Dispersion

    @classmethod
    def none(cls, num_units: int, slots: float = np.inf) -> SpikeHistory:
        """Units that do not feel their past."""
        empty = np.zeros((num_units, 0))
        return cls(empty, empty, np.zeros(num_units), Dispersion.of_slots(np.full(num_units, slots)))

    def of_units(self, index: np.ndarray) -> SpikeHistory:
        """That of some of the units."""
        return SpikeHistory(
            self.filters[index], self.excitation[index], self.bias[index], self.dispersion.of_units(index)
        )

    @property
    def num_bins(self) -> int:
        """K, how many bins back a spike is felt."""
        return self.filters.shape[1]

    def simulate(
        self, rates: np.ndarray, uniforms: np.ndarray, given: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run free: draw counts bin by bin.

        Before the first bin, K bins at its rate run unseen: a trial cut out of ongoing activity does not start
        with a silent past.

        Parameters
        ----------
        rates : array, shape (trials, bins, units)
            λ, expected counts before history.
        uniforms : array, shape (trials, K + bins, units)
            In (0, 1).
        given : (counts, known), optional
            Arrays of the shape of ``rates``: where ``known`` is true, the counts are these, and are felt as such.

        Returns
        -------
        counts : array of uint8 or uint16, shape (trials, bins, units)
        expected : array of float32, shape (trials, bins, units)
            r, with history.
        """
        K = self.num_bins
        if K == 0:
            expected = self.expected(rates, None)
            drawn = draw_counts(expected, uniforms, self.dispersion)
            return (drawn if given is None else np.where(given[1], given[0], drawn)), expected
        trials, bins, units = rates.shape
        counts = np.zeros((trials, bins, units), np.float32)
        expected = np.empty((trials, bins, units), np.float32)
        # What the spikes drawn so far do to each coming bin. Few bins hold any: only these are spread.
        log_gain = np.zeros((trials, K + bins + K, units), np.float32)
        added = np.zeros_like(log_gain)
        filters, excitation, bias = (x.astype(np.float32) for x in (self.filters, self.excitation, self.bias))
        for t in range(K + bins):
            gain = np.exp(bias + np.minimum(log_gain[:, t], MAX_LOG_GAIN))
            r = np.minimum(rates[:, max(0, t - K)] * gain + added[:, t], MAX_RATE)
            s = draw_counts(r, uniforms[:, t], self.dispersion)
            if given is not None and t >= K:
                s = np.where(given[1][:, t - K], given[0][:, t - K], s)
            trial, unit = np.nonzero(s)
            spikes = s[trial, unit, None]
            log_gain[trial, t + 1 : t + 1 + K, unit] += spikes * filters[unit]
            added[trial, t + 1 : t + 1 + K, unit] += spikes * excitation[unit]
            if t >= K:
                counts[:, t - K], expected[:, t - K] = s, r
        return counts.astype(np.uint8 if counts.max(initial=0) < 256 else np.uint16), expected

    def expected(self, rates: np.ndarray, uniforms: np.ndarray | None) -> np.ndarray:
        """Expected counts of :meth:`simulate`; without history they follow from ``rates`` alone."""
        if self.num_bins == 0:
            return np.minimum(rates * np.exp(self.bias.astype(np.float32)), np.float32(MAX_RATE))
        if uniforms is None:
            raise ValueError(f"uniforms is missing: a history of {self.num_bins} bins has to be run bin by bin.")
        return self.simulate(rates, uniforms)[1]


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
    past = np.lib.stride_tricks.sliding_window_view(counts[:, :-1], K, axis=1) if K else None
    units = []
    for unit in range(num_units):
        use = predicted[:, K:, unit]
        rate = np.maximum(rates[:, K:, unit][use].astype(np.float64), 1e-9)
        s = counts[:, K:, unit][use].astype(np.float64)
        units.append(_Entries.of(rate, s, np.zeros((len(s), 0)) if past is None else past[:, :, unit][use][:, ::-1]))
    none = [unit.without_past().fitted(_Prior.weak(0), binary) for unit in units]
    candidates = {
        "none": none,
        "factor": _fit_population(units, K, binary, excites=False) if K else none,
        "factor and sum": _fit_population(units, K, binary, excites=True) if K else none,
    }
    # The prior's means were fitted as well.
    scores = {name: sum(fit.score for fit in fits) - K * (name != "none") for name, fits in candidates.items()}
    gains = {name: score - scores["none"] for name, score in scores.items()}
    chosen = candidates[max(gains, key=lambda name: gains[name])]
    dispersion = Dispersion.of_slots(np.ones(num_units))
    if not binary:
        fitted = [fit_dispersion(fit.r.astype(np.float64), unit.s) for fit, unit in zip(chosen, units, strict=True)]
        dispersion = Dispersion(*(np.array(values) for values in zip(*fitted, strict=True)))
    history = SpikeHistory(
        np.stack([fit.h for fit in chosen]),
        np.stack([fit.alpha for fit in chosen]),
        np.array([fit.b for fit in chosen]),
        dispersion,
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
    """b, h and its posterior variance, α and r, float32 of shape (entries,), of a unit, and its score.

    That is its log-likelihood less the number of parameters.
    """

    b: float
    h: np.ndarray
    variance: np.ndarray
    alpha: np.ndarray
    r: np.ndarray
    score: float


def _fit_population(units: list[_Entries], K: int, binary: bool, *, excites: bool) -> list[_UnitFit]:
    """Fits of all units under the prior that they have in common. Without ``excites``, α is zero."""
    weak = prior = _Prior.weak(K)
    fits = [unit.fitted(prior, binary, excites=excites) for unit in units]
    for _ in range(PRIOR_ROUNDS):
        prior = weak.updated(fits)
        fits = [unit.fitted(prior, binary, excites=excites, start=fit) for unit, fit in zip(units, fits, strict=True)]
    return fits


@dataclass(frozen=True)
class _Entries:
    """λ and counts of a unit, shape (entries,), and the counts before, of those that have any.

    Attributes
    ----------
    rate, s : array of float64, shape (entries,)
    with_past : array of bool, shape (entries,)
    before : array of float32, shape (entries with a past, K)
    """

    rate: np.ndarray
    s: np.ndarray
    with_past: np.ndarray
    before: np.ndarray

    @classmethod
    def of(cls, rate: np.ndarray, s: np.ndarray, before: np.ndarray) -> _Entries:
        """From the counts before all entries, shape (entries, K)."""
        with_past = (before > 0).sum(axis=1) > 0
        # Sums over entries are taken in single precision, which halves their time; what is solved for is not.
        return cls(rate, s, with_past, before[with_past].astype(np.float32))

    def without_past(self) -> _Entries:
        """The same, of a unit that does not feel its past."""
        return _Entries(self.rate, self.s, np.zeros(len(self.s), bool), np.zeros((0, 0), np.float32))

    def fitted(self, prior: _Prior, binary: bool, *, excites: bool = False, start: _UnitFit | None = None) -> _UnitFit:
        """Fit of the unit, by Newton steps for b and h and expectation-maximisation for α."""
        K = self.before.shape[1]
        # Without a past there is only the bias to learn from: such entries, the most, enter by their sums.
        idle_rate, idle_counts = self.rate[~self.with_past], self.s[~self.with_past]
        idle_spiked = idle_counts > 0
        rate, s_past = (x[self.with_past].astype(np.float32) for x in (self.rate, self.s))
        design = np.concatenate([np.ones((len(s_past), 1), np.float32), self.before], axis=1)
        centre, precision = np.append(0.0, prior.mean), np.append(1e-6, 1 / prior.variance)
        spikes_before = self.before.sum(axis=0) + PRIOR_SPIKES * np.arange(1, K + 1) ** 0.5
        if start is None:
            w, alpha = np.zeros(K + 1), np.full(K, 0.1 / max(K, 1) if excites else 0.0)
        else:
            w, alpha = np.append(start.b, start.h), start.alpha
        for _ in range(MAX_ITERATIONS):
            base = _gained(rate, w, self.before)
            r = base + self.before @ alpha.astype(np.float32)
            events = _events(s_past, r) if binary else s_past
            alpha_before = alpha
            alpha = alpha * (self.before.T @ (events / r)) / spikes_before
            alpha *= min(1.0, MAX_OFFSPRING / max(alpha.sum(), 1e-12))
            idle = idle_rate * np.exp(w[0])
            idle_sum = _events(idle_counts, idle)[idle_spiked].sum() if binary else idle_counts.sum()
            gradient = design.T @ (events * base / r - base) - precision * (w - centre)
            information = np.asarray((design * base[:, None]).T @ design, np.float64)
            information[0, 0] += idle.sum()
            gradient[0] += idle_sum - idle.sum()
            step = np.linalg.solve(information + np.diag(precision), gradient)
            w = w + step * min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))
            if max(np.abs(step).max(), np.abs(alpha - alpha_before).max(initial=0)) < CONVERGED:
                break
        r = np.empty(len(self.s))
        r[~self.with_past] = idle_rate * np.exp(w[0])
        r[self.with_past] = _gained(rate, w, self.before) + self.before @ alpha.astype(np.float32)
        likelihood = xlogy(self.s, -np.expm1(-r)) - (1 - self.s) * r if binary else xlogy(self.s, r) - r
        posterior = np.linalg.inv(information + np.diag(precision))
        # The prior leaves the filter less than K parameters, and without excitation half of α is at its bound of zero.
        num_parameters = np.trace(posterior @ information) + K / 2 * excites
        return _UnitFit(
            b=w[0],
            h=w[1:],
            variance=posterior.diagonal()[1:],
            alpha=alpha,
            r=r.astype(np.float32),
            score=float(likelihood.sum() - num_parameters),
        )


def _gained(rate: np.ndarray, w: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Rates times the factor of history, for (b, h) and the counts before, all float32."""
    log_gain = np.minimum(before @ w[1:].astype(np.float32), np.float32(MAX_LOG_GAIN))
    return rate * np.exp(np.float32(w[0]) + log_gain)


def _events(s: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Expected events of expectation ``r`` in bins that say only whether there was one."""
    return s * r / -np.expm1(-np.maximum(r, 1e-12))


def calibrate(
    history: SpikeHistory,
    rates: np.ndarray,
    uniforms: np.ndarray | None,
    target: np.ndarray,
    valid: np.ndarray,
    *,
    iterations: int = 8,
) -> SpikeHistory:
    """Shift the biases until each unit's mean in free runs is its recorded one.

    Parameters
    ----------
    history : SpikeHistory
    rates : array, shape (trials, bins, units)
        λ from sampled latents.
    uniforms : array, shape (trials, K + bins, units)
        None where there is no history.
    target : array, shape (units,)
        Recorded mean counts per bin.
    valid : array of bool, shape (trials, bins)

    Returns
    -------
    SpikeHistory
    """
    bias = history.bias.copy()
    for _ in range(iterations):
        expected = replace(history, bias=bias).expected(rates, uniforms)
        drawn = history.dispersion.mean(expected)
        mean = drawn[valid].mean(axis=0, dtype=np.float64)
        # A silent unit has no rate to reach; its decoder already says next to none.
        moves = (target > 0) & (mean > 0)
        step = np.zeros_like(bias)
        step[moves] = np.log(target[moves] / mean[moves])
        bias += np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 3e-3:
            break
    return replace(history, bias=bias)
