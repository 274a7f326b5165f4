r"""Spike history: what a unit's own last spikes do to its rate, beyond the shared latents.

.. math::

    r_t = \lambda_t \exp\!\Big(\min\big(b + \textstyle\sum_{\tau=1}^{K} h_\tau s_{t-\tau},\; c\big)\Big)

for each unit, with the bound c that keeps a run from feeding on itself. Filters are fitted as a penalised GLM with
offset ln λ; λ must come from an encoder that did not see the entries to be predicted, since one that saw the
spikes has explained them already. The biases are then calibrated in free runs on sampled rates: a filter fitted on
recorded spikes drives its own differently.

References
----------
Gerhard, Deger & Truccolo, *On the stability and dynamics of stochastic spiking neuron models*, PLoS Comput Biol 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.observation.draw import draw_bernoulli, draw_poisson

__all__ = ["SpikeHistory", "calibrate", "fit_history"]

MAX_LOG_GAIN = 1.5
MAX_EXPECTED_COUNTS = 50.0


@dataclass(frozen=True)
class SpikeHistory:
    """Filters and biases of all units.

    Attributes
    ----------
    filters : array of float, shape (units, bins)
        h: log gain of the rate by a spike 1, 2, … bins ago. No columns: no history.
    bias : array of float, shape (units,)
        b.
    binary : bool
        Whether a bin holds at most one spike (Bernoulli) or any number (Poisson).
    """

    filters: np.ndarray
    bias: np.ndarray
    binary: bool

    @property
    def num_bins(self) -> int:
        """K, how many bins back a spike is felt."""
        return self.filters.shape[1]

    def expected(self, rate: np.ndarray, past: np.ndarray) -> np.ndarray:
        """Expected counts r of one bin.

        Parameters
        ----------
        rate : array, shape (trials, units)
            λ.
        past : array, shape (trials, K, units)
            Counts of the last K bins, the most recent one last.
        """
        drive = np.einsum("nku,uk->nu", past, self.filters[:, ::-1], optimize=True)
        return np.minimum(rate * np.exp(np.minimum(self.bias + drive, MAX_LOG_GAIN)), MAX_EXPECTED_COUNTS)

    def simulate(self, rates: np.ndarray, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run free: draw counts bin by bin.

        Before the first bin, K bins at its rate run unseen: a trial cut out of ongoing activity does not start
        with a silent past.

        Parameters
        ----------
        rates : array, shape (trials, bins, units)
            λ, expected counts before history.
        uniforms : array, shape (trials, K + bins, units)
            In (0, 1).

        Returns
        -------
        counts : array of uint8 or uint16, shape (trials, bins, units)
        expected : array of float32, shape (trials, bins, units)
            r, with history.
        """
        draw = draw_bernoulli if self.binary else draw_poisson
        K = self.num_bins
        if K == 0:
            expected = np.minimum(rates * np.exp(self.bias), MAX_EXPECTED_COUNTS)
            return draw(expected, uniforms), expected
        trials, bins, units = rates.shape
        counts = np.zeros((trials, K + K + bins, units), np.float32)
        expected = np.empty((trials, bins, units), np.float32)
        for t in range(K + bins):
            r = self.expected(rates[:, max(0, t - K)], counts[:, t : t + K])
            counts[:, t + K] = draw(r, uniforms[:, t])
            if t >= K:
                expected[:, t - K] = r
        drawn = counts[:, 2 * K :]
        return drawn.astype(np.uint8 if drawn.max(initial=0) < 256 else np.uint16), expected


def fit_history(
    rates: np.ndarray,
    counts: np.ndarray,
    predicted: np.ndarray,
    num_bins: int,
    binary: bool,
    *,
    prior_sd: float = 0.5,
    iterations: int = 12,
) -> SpikeHistory:
    """Fit filters and biases by penalised likelihood (Fisher scoring, all units at once).

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

    Returns
    -------
    SpikeHistory
    """
    num_units = counts.shape[2]
    K = min(num_bins, max(0, counts.shape[1] // 3))
    precision = np.concatenate([[1e-6], (np.arange(1, K + 1) ** 0.5) / prior_sd**2])
    weights = np.zeros((num_units, K + 1))
    past = np.lib.stride_tricks.sliding_window_view(counts[:, :-1], K, axis=1) if K else None
    for unit in range(num_units):
        use = predicted[:, K:, unit]
        rate, s = rates[:, K:, unit][use].astype(np.float64), counts[:, K:, unit][use].astype(np.float64)
        design = np.ones((len(s), K + 1))
        if past is not None:
            design[:, 1:] = past[:, :, unit][use][:, ::-1]
        weights[unit] = _poisson_regression(design, np.maximum(rate, 1e-9), s, precision, binary, iterations)
    return SpikeHistory(weights[:, 1:], weights[:, 0], binary)


def _poisson_regression(
    design: np.ndarray, rate: np.ndarray, s: np.ndarray, precision: np.ndarray, binary: bool, iterations: int
) -> np.ndarray:
    """Weights w of the GLM r = rate · exp(design · w), with a Gaussian prior of these precisions."""
    w = np.zeros(design.shape[1])
    for _ in range(iterations):
        r = rate * np.exp(np.minimum(design @ w, MAX_LOG_GAIN))
        if binary:
            slope = np.where(s > 0, r / np.expm1(np.maximum(r, 1e-9)), -r)
            curvature = r * r / np.expm1(np.maximum(r, 1e-9))
        else:
            slope, curvature = s - r, r
        gradient = design.T @ slope - precision * w
        hessian = (design * curvature[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(hessian, gradient)
        w = w + step * min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-4:
            break
    return w


def calibrate(
    history: SpikeHistory,
    rates: np.ndarray,
    uniforms: np.ndarray,
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
    target : array, shape (units,)
        Recorded mean counts per bin.
    valid : array of bool, shape (trials, bins)

    Returns
    -------
    SpikeHistory
    """
    bias = history.bias.copy()
    for _ in range(iterations):
        _, expected = SpikeHistory(history.filters, bias, history.binary).simulate(rates, uniforms)
        drawn = -np.expm1(-expected) if history.binary else expected
        mean = drawn[valid].mean(axis=0, dtype=np.float64)
        # A silent unit has no rate to reach; its decoder already says next to none.
        moves = (target > 0) & (mean > 0)
        step = np.zeros_like(bias)
        step[moves] = np.log(target[moves] / mean[moves])
        bias += np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-3:
            break
    return SpikeHistory(history.filters, bias, history.binary)
