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
to be predicted, since one that saw the spikes has explained them already. Expectation-maximisation tells the spikes of
the two terms apart: of the events of a bin, the share of each in :math:`r_t` is its own. A binary bin that holds a
spike holds :math:`r / (1 - e^{-r})` events. The factor is kept, and the sum beside it, only where the likelihood of all
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
    *,
    prior_sd: float = 0.5,
    iterations: int = 25,
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
    prior_sd : float
        Standard deviation of the Gaussian prior of h_1; it shrinks as τ^{-1/2}, since late effects are weak.
    iterations : int
        Of expectation-maximisation.

    Returns
    -------
    history : SpikeHistory
    gains : dict of str to float
        Gain in log-likelihood over none, in nats, less the number of parameters, of each of :data:`CANDIDATES`.
    """
    num_units = counts.shape[2]
    K = min(num_bins, max(0, counts.shape[1] // 3))
    past = np.lib.stride_tricks.sliding_window_view(counts[:, :-1], K, axis=1) if K else None
    candidates: dict[str, list[_UnitFit]] = {name: [] for name in CANDIDATES}
    for unit in range(num_units):
        use = predicted[:, K:, unit]
        rate = np.maximum(rates[:, K:, unit][use].astype(np.float64), 1e-9)
        s = counts[:, K:, unit][use].astype(np.float64)
        before = np.zeros((len(s), 0)) if past is None else past[:, :, unit][use][:, ::-1]
        for name, felt, excites in zip(CANDIDATES, (before[:, :0], before, before), (False, False, True), strict=True):
            candidates[name].append(_fit_unit(rate, s, felt, prior_sd, binary, iterations, excites=excites))
    scores = {name: sum(fit.score for fit in fits) for name, fits in candidates.items()}
    gains = {name: score - scores["none"] for name, score in scores.items()}
    chosen = candidates[max(gains, key=lambda name: gains[name])]
    dispersion = Dispersion.of_slots(np.ones(num_units))
    if not binary:
        fitted = [
            fit_dispersion(fit.r.astype(np.float64), counts[:, K:, unit][predicted[:, K:, unit]].astype(np.float64))
            for unit, fit in enumerate(chosen)
        ]
        dispersion = Dispersion(*(np.array(values) for values in zip(*fitted, strict=True)))
    history = SpikeHistory(
        np.stack([fit.h for fit in chosen]),
        np.stack([fit.alpha for fit in chosen]),
        np.array([fit.b for fit in chosen]),
        dispersion,
    )
    return history, gains


@dataclass(frozen=True)
class _UnitFit:
    """b, h, α and r, float32 of shape (entries,), of a unit, and its log-likelihood less the number of parameters."""

    b: float
    h: np.ndarray
    alpha: np.ndarray
    r: np.ndarray
    score: float


def _fit_unit(
    rate: np.ndarray,
    s: np.ndarray,
    before: np.ndarray,
    prior_sd: float,
    binary: bool,
    iterations: int,
    *,
    excites: bool,
) -> _UnitFit:
    """Fit a unit of λ and counts, both of shape (entries,), and of the counts ``before``, shape (entries, K).

    Without ``excites``, α is zero.
    """
    K = before.shape[1]
    # Without a past there is only the bias to learn from: such entries, the most, enter by their sums.
    with_past = (before > 0).sum(axis=1) > 0
    idle_rate, idle_events = rate[~with_past], s[~with_past]
    idle_spiked = idle_events > 0
    # Sums over entries are taken in single precision, which halves their time; what is solved for is not.
    rate, s_past = rate[with_past].astype(np.float32), s[with_past].astype(np.float32)
    before = before[with_past].astype(np.float32)
    design = np.concatenate([np.ones((len(s_past), 1), np.float32), before], axis=1)
    lags = np.arange(1, K + 1)
    precision = np.concatenate([[1e-6], lags**0.5 / prior_sd**2])
    spikes_before = before.sum(axis=0) + PRIOR_SPIKES * lags**0.5
    w, alpha = np.zeros(K + 1), np.full(K, 0.1 / max(K, 1) if excites else 0.0)
    for _ in range(iterations):
        base = _gained(rate, w, before)
        r = base + before @ alpha.astype(np.float32)
        events = _events(s_past, r) if binary else s_past
        alpha_before = alpha
        alpha = alpha * (before.T @ (events / r)) / spikes_before
        alpha *= min(1.0, MAX_OFFSPRING / max(alpha.sum(), 1e-12))
        idle = idle_rate * np.exp(w[0])
        idle_sum = _events(idle_events, idle)[idle_spiked].sum() if binary else idle_events.sum()
        gradient = design.T @ (events * base / r - base) - precision * w
        information = np.asarray((design * base[:, None]).T @ design, np.float64)
        information[0, 0] += idle.sum()
        gradient[0] += idle_sum - idle.sum()
        step = np.linalg.solve(information + np.diag(precision), gradient)
        w = w + step * min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))
        if max(np.abs(step).max(), np.abs(alpha - alpha_before).max(initial=0)) < CONVERGED:
            break
    r = np.empty(len(with_past))
    r[~with_past] = idle_rate * np.exp(w[0])
    r[with_past] = _gained(rate, w, before) + before @ alpha.astype(np.float32)
    likelihood = xlogy(s, -np.expm1(-r)) - (1 - s) * r if binary else xlogy(s, r) - r
    # The prior leaves the filter less than K parameters, and without excitation half of α is at its bound of zero.
    num_parameters = np.trace(np.linalg.solve(information + np.diag(precision), information)) + K / 2 * excites
    return _UnitFit(w[0], w[1:], alpha, r.astype(np.float32), float(likelihood.sum() - num_parameters))


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
