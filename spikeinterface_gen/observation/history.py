r"""Spike history: what a unit's own last spikes do to its rate, beyond the shared latents.

.. math::

    \mu_t = \lambda^\circ_t \exp\!\Big(b + \min\big(\textstyle\sum_{\tau=1}^{K} h_\tau s_{t-\tau},\; c\big)\Big)
          + \sum_{\tau=1}^{K} \alpha_\tau s_{t-\tau},
    \qquad \alpha_\tau \ge 0, \quad \sum_\tau \alpha_\tau \le \alpha_{\max} < 1

are the counts that are expected of a unit, given its spikes before. Over all that it may have fired before, they are
λ: of that, :math:`\lambda^\circ` is what history leaves to the unit itself
(:mod:`~spikeinterface_gen.observation.own_rates`). The factor is for what holds a unit back (refractoriness,
adaptation) and changes it a little; the sum is for bursts, which come of single spikes however low λ is: a unit of 1 Hz
that fires its next spike within 10 ms every other time is beyond any factor that is safe for a unit of 20 Hz. Both are
stable: the factor is bounded by :math:`e^c`, and of a self-exciting process each spike brings on fewer than one
(Hawkes 1971).

Filters are fitted to recorded spikes (:mod:`~spikeinterface_gen.observation.history_fit`), and then calibrated in free
runs on sampled rates (:mod:`~spikeinterface_gen.observation.calibration`).

References
----------
Gerhard, Deger & Truccolo, *On the stability and dynamics of stochastic spiking neuron models*, PLoS Comput Biol 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeinterface_gen.observation.dispersion import Dispersion
from spikeinterface_gen.observation.draw import draw_counts
from spikeinterface_gen.observation.own_rates import MAX_LOG_GAIN, counts_of, lagged, mean_gains, own_rates

__all__ = ["MAX_OFFSPRING", "MAX_RATE", "SpikeHistory"]

MAX_RATE = 50.0
"""Expected counts of a bin beyond which no rate goes."""

MAX_OFFSPRING = 0.9
r""":math:`\alpha_{\max}`: spikes that one spike brings on, at most."""

# Entries whose λ° is found at once: what fits into a cache.
BLOCK_ENTRIES = 1 << 18
# Least mean gain by a bin that was not seen.
MIN_MEAN_GAIN = 0.05


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
    pair_ratio : array of float, shape (units,)
        ρ, of :mod:`~spikeinterface_gen.observation.own_rates`.
    dispersion : Dispersion
        Of counts about μ.
    binary : bool
        Whether bins say only whether there were events.
    """

    filters: np.ndarray
    excitation: np.ndarray
    bias: np.ndarray
    pair_ratio: np.ndarray
    dispersion: Dispersion
    binary: bool = False

    @classmethod
    def none(cls, num_units: int, binary: bool = False) -> SpikeHistory:
        """Units that do not feel their past."""
        empty, slots = np.zeros((num_units, 0)), np.full(num_units, 1.0 if binary else np.inf)
        return cls(empty, empty, np.zeros(num_units), np.ones(num_units), Dispersion.of_slots(slots), binary)

    def of_units(self, index: np.ndarray) -> SpikeHistory:
        """That of some of the units."""
        return SpikeHistory(
            self.filters[index],
            self.excitation[index],
            self.bias[index],
            self.pair_ratio[index],
            self.dispersion.of_units(index),
            self.binary,
        )

    @property
    def num_bins(self) -> int:
        """K, how many bins back a spike is felt."""
        return self.filters.shape[1]

    def simulate(
        self, rates: np.ndarray, uniforms: np.ndarray, given: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run free: draw counts bin by bin.

        Before the first bin, K bins at its rate run unseen, and what was before these does what it does on average: a
        trial cut out of ongoing activity does not start with a silent past.

        Parameters
        ----------
        rates : array, shape (trials, bins, units)
            λ, expected counts over all that may have been before.
        uniforms : array, shape (trials, K + bins, units)
            In (0, 1).
        given : (counts, known), optional
            Arrays of the shape of ``rates``: where ``known`` is true, the counts are these, and are felt as such.

        Returns
        -------
        counts : array of uint8 or uint16, shape (trials, bins, units)
        r : array of float32, shape (trials, bins, units)
            With history; :meth:`Dispersion.mean` of it are expected counts.
        """
        K = self.num_bins
        if K == 0:
            r = self.run(rates, None)[1]
            drawn = draw_counts(r, uniforms, self.dispersion)
            return (drawn if given is None else np.where(given[1], given[0], drawn)), r
        trials, bins, units = rates.shape
        counts = np.zeros((trials, bins, units), np.float32)
        expected = np.empty((trials, bins, units), np.float32)
        own = self._own_rates(rates)
        # What the spikes drawn so far do to each coming bin. Few bins hold any: only these are spread.
        log_gain = np.zeros((trials, K + bins + K, units), np.float32)
        added = np.zeros_like(log_gain)
        log_gain[:, :K], added[:, :K] = self._of_unseen_past(rates[:, 0])
        filters, excitation, bias = (x.astype(np.float32) for x in (self.filters, self.excitation, self.bias))
        for t in range(K + bins):
            gain = np.exp(bias + np.minimum(log_gain[:, t], MAX_LOG_GAIN))
            r = self._drawn_from(np.minimum(own[:, t] * gain + added[:, t], MAX_RATE))
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

    def run(self, rates: np.ndarray, uniforms: np.ndarray | None) -> tuple[np.ndarray | None, np.ndarray]:
        """Counts and r of :meth:`simulate`; without history r follows from ``rates`` alone, and no counts are drawn."""
        if self.num_bins == 0:
            gain = np.exp(self.bias.astype(np.float32))
            return None, self._drawn_from(np.minimum(rates * gain, np.float32(MAX_RATE)))
        if uniforms is None:
            raise ValueError(f"uniforms is missing: a history of {self.num_bins} bins has to be run bin by bin.")
        return self.simulate(rates, uniforms)

    def _drawn_from(self, mu: np.ndarray) -> np.ndarray:
        """r, of which counts of bins are drawn, for expected counts μ, shape (…, units)."""
        return mu if self.binary else self.dispersion.of_mean(mu)

    def _of_unseen_past(self, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean log gain and added counts in the first K bins by bins before these, both of shape (trials, K, units).

        ``rates`` are those of the first bin, shape (trials, units).
        """
        p = counts_of(rates, self.binary)[..., None]
        filters, excitation = (x.astype(np.float32) for x in (self.filters, self.excitation))
        gain = np.log(np.maximum(1.0 + p * mean_gains(filters), MIN_MEAN_GAIN))
        # Bin t is reached by lags of more than t bins.
        log_gain, added = (np.cumsum(x[..., ::-1], axis=2)[..., ::-1] for x in (gain, p * excitation))
        return log_gain.swapaxes(1, 2), added.swapaxes(1, 2)

    def _own_rates(self, rates: np.ndarray) -> np.ndarray:
        """λ°, float32, shape (trials, K + bins, units), with the K bins before the first."""
        trials, bins, units = rates.shape
        K = self.num_bins
        own = np.empty((trials, K + bins, units), np.float32)
        gains = mean_gains(self.filters)
        step = max(1, BLOCK_ENTRIES // ((2 * K + bins) * units))
        for start in range(0, trials, step):
            block = rates[start : start + step].astype(np.float32, copy=False)
            block = np.concatenate([np.repeat(block[:, :1], 2 * K, axis=1), block], axis=1)
            p = counts_of(block, self.binary)
            q, added = lagged(p, gains), lagged(p, self.excitation)
            own[start : start + step] = own_rates(block[:, K:], q, added, self.pair_ratio)
        return own
