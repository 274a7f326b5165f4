r"""Spike history made right in free runs: units fire as often as recorded ones, and spikes follow one another as often.

A filter fitted on recorded spikes drives its own differently. Biases b are therefore shifted until the mean counts of
free runs are the recorded ones.

Filters and bursts were fitted with a λ that is inferred without the spikes to be predicted, and that varies less than
the λ that is drawn: the rest of what a unit keeps up over several bins fell to its history, and in free runs comes
twice. With the pairs of spikes

.. math::

    A_\tau = \langle s_t\, s_{t-\tau} \rangle, \qquad
    E_\tau = A_\tau - \frac1K \sum_{\tau' = K+1}^{2K} A_{\tau'}, \qquad \tau = 1, \dots, K,

of which there are more within the reach of a history than beyond it, what a spike does :math:`\tau` bins later is
scaled down, run by run, until that excess of free runs is the one to reach,

.. math::

    e^{h_\tau} \leftarrow g_\tau e^{h_\tau}, \quad \alpha_\tau \leftarrow g_\tau \alpha_\tau, \qquad
    \log g_\tau = \eta \log \frac{A_\tau - E_\tau + E^*_\tau}{A_\tau} .

Pairs that go on beyond its reach are of λ, and not for history to mend. Nor is there a reason why a spike should do
more than was fitted, which could let a unit run away.

The excess to reach is the recorded one so far as it is known. With :math:`A^\circ, E^\circ` of free runs with the
history as it was fitted, let :math:`y_\tau = (E^\mathrm{rec}_\tau - E^\circ_\tau) / A^\circ_\tau` of each unit, with
its sampling error over trials. Then :math:`E^*_\tau = E^\circ_\tau + \hat y_\tau A^\circ_\tau`, where :math:`\hat y`
is what is expected of y if units are normally distributed, with a mean and variance that are estimated from all of
them (DerSimonian & Laird 1986).

References
----------
DerSimonian & Laird, *Meta-analysis in clinical trials*, Controlled Clinical Trials 1986.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from spikeinterface_gen.observation.history import SpikeHistory

__all__ = ["PairsTarget", "SpikePairs", "calibrate", "pairs_target", "spike_pairs"]

# Largest change of a bias, or of a logarithm of A, by one run.
MAX_STEP = 0.5
# Largest change of a bias at which means are right, and mean change of filters at which pairs are.
CONVERGED = 3e-3
# η: lags add to one another, so that full steps would go too far.
PAIRS_STEP = 0.7
# Least logarithm of g over all runs.
MIN_LOG_G = -1.0
# Pairs that a unit has to have in free runs for its excess to say something.
MIN_PAIRS = 5.0


class SpikePairs(NamedTuple):
    """Pairs of spikes of each unit, each of shape (units, K).

    Attributes
    ----------
    all : array of float64
        A.
    excess : array of float64
        E.
    error : array of float64
        Standard error of E over trials.
    """

    all: np.ndarray
    excess: np.ndarray
    error: np.ndarray


class PairsTarget(NamedTuple):
    """What pairs of spikes shall be like.

    Attributes
    ----------
    excess : array of float64, shape (units, K)
        E*.
    fitted : SpikeHistory
        Of which spikes do no less, within bounds, and no more.
    """

    excess: np.ndarray
    fitted: SpikeHistory


def calibrate(
    history: SpikeHistory,
    rates: np.ndarray,
    uniforms: np.ndarray | None,
    target: np.ndarray,
    valid: np.ndarray,
    *,
    pairs: PairsTarget | None = None,
    iterations: int = 8,
) -> SpikeHistory:
    """Shift the biases until each unit's mean in free runs is its recorded one, and its filters until pairs are right.

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
        The first bins of each trial.
    pairs : PairsTarget, optional
        By default the filters stay.
    iterations : int
        Runs, at most.

    Returns
    -------
    SpikeHistory
    """
    for _ in range(iterations):
        counts, r = history.run(rates, uniforms)
        drawn, filters = history.dispersion.mean(r), history.filters
        # A silent unit has no rate to reach; its decoder already says next to none.
        step = _steps(target, drawn[valid].mean(axis=0, dtype=np.float64))
        history = replace(history, bias=history.bias + step)
        if pairs is not None and counts is not None:
            history = _with_pairs(history, pairs, spike_pairs(counts, drawn, valid, history.num_bins))
        if np.abs(step).max() < CONVERGED and np.abs(history.filters - filters).sum() <= CONVERGED * filters.size:
            break
    return history


def spike_pairs(counts: np.ndarray, now: np.ndarray, valid: np.ndarray, num_lags: int) -> SpikePairs:
    """Mean over bins of counts, or what is expected of them, times the counts 1 to K bins before.

    Parameters
    ----------
    counts, now : array, shape (trials, bins, units)
        Counts, and these or their expectation given the bins before.
    valid : array of bool, shape (trials, bins)
        The first bins of each trial.
    num_lags : int
        K, less than half of the bins.

    Returns
    -------
    SpikePairs
    """
    now = np.where(valid[..., None], now, 0).astype(np.float32, copy=False)
    before = counts.astype(np.float32, copy=False)

    def of_trials(lag: int) -> np.ndarray:
        """Share of each trial in A, shape (trials, units)."""
        return np.einsum("tbu,tbu->tu", now[:, lag:], before[:, :-lag]) / np.float32(max(1, valid[:, lag:].sum()))

    num_trials, _, num_units = counts.shape
    pairs = SpikePairs(*np.empty((3, num_units, num_lags)))
    beyond = sum(of_trials(num_lags + lag) for lag in range(1, num_lags + 1)) / np.float32(max(1, num_lags))
    for k in range(num_lags):
        shares = of_trials(k + 1)
        excess = shares - beyond
        pairs.all[:, k] = shares.sum(axis=0, dtype=np.float64)
        pairs.excess[:, k] = excess.sum(axis=0, dtype=np.float64)
        pairs.error[:, k] = np.sqrt(num_trials) * excess.std(axis=0, dtype=np.float64)
    return pairs


def pairs_target(history: SpikeHistory, fitted: SpikePairs, recorded: SpikePairs, num_bins: int) -> PairsTarget:
    """Target for free runs of a history as it was fitted, from their pairs and those of ``num_bins`` recorded bins."""
    known = (fitted.all * num_bins >= MIN_PAIRS).all(axis=1)
    excess = fitted.excess.copy()
    if known.sum() < 2:
        return PairsTarget(excess, history)
    A = fitted.all[known]
    y = (recorded.excess - fitted.excess)[known] / A
    precision = 1 / np.maximum((recorded.error**2 + fitted.error**2)[known] / A**2, 1e-12)
    total = precision.sum(axis=0)
    mean = (precision * y).sum(axis=0) / total
    spread = (precision * (y - mean) ** 2).sum(axis=0) - (len(y) - 1)
    variance = np.maximum(0.0, spread / (total - (precision**2).sum(axis=0) / total))
    shrunk = mean + variance / (variance + 1 / precision) * (y - mean)
    excess[known] += shrunk * A
    excess[~known] += mean * fitted.all[~known]
    return PairsTarget(excess, history)


def _steps(target: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Logarithm of what is to be reached relative to what was found, within bounds; zero where either is zero."""
    moves = (target > 0) & (found > 0)
    step = np.zeros_like(found)
    step[moves] = np.log(target[moves] / found[moves])
    return np.clip(step, -MAX_STEP, MAX_STEP)


def _with_pairs(history: SpikeHistory, target: PairsTarget, found: SpikePairs) -> SpikeHistory:
    """History after one step from pairs of spikes as they are found towards the target."""
    step = PAIRS_STEP * _steps(found.all - found.excess + target.excess, found.all)
    before = history.filters - target.fitted.filters
    log_g = np.clip(before + step, MIN_LOG_G, 0.0)
    return replace(history, filters=target.fitted.filters + log_g, excitation=target.fitted.excitation * np.exp(log_g))
