"""From expected counts to counts: low rates, the population's gain, spike history and synchrony together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from spikeinterface_gen.observation.history import SpikeHistory
from spikeinterface_gen.observation.low_rates import LowRates
from spikeinterface_gen.observation.population_gain import PopulationGain
from spikeinterface_gen.observation.synchrony import Synchrony
from spikeinterface_gen.randomness import uniforms

__all__ = ["CountModel"]


@dataclass(frozen=True)
class CountModel:
    """How the counts of a trial are drawn, given λ from the latents.

    Attributes
    ----------
    history : SpikeHistory
        What a unit's own last spikes do to its rate.
    synchrony : Synchrony
        What units share within a bin.
    gain : PopulationGain
        How rates follow those of all units. Default: not.
    low : LowRates
        How much lower low rates are, before that gain. Default: not.
    """

    history: SpikeHistory
    synchrony: Synchrony
    gain: PopulationGain = field(default_factory=PopulationGain)
    low: LowRates = field(default_factory=LowRates)

    @classmethod
    def independent(cls, num_units: int, binary: bool) -> Self:
        """Poisson or, where ``binary``, Bernoulli counts, given their rates."""
        return cls(SpikeHistory.none(num_units, binary), Synchrony.none(num_units))

    def draw(
        self,
        rates: np.ndarray,
        seed: int,
        stage: str,
        first: int = 0,
        given: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> np.ndarray:
        """Draw counts of trials ``first``, ``first + 1``, …, uint8 or uint16, shape (trials, bins, units).

        Parameters
        ----------
        rates : array, shape (trials, bins, units)
            λ, expected counts before low rates, gain and history.
        seed, stage
            The draw follows from them and the number of the trial.
        first : int
            Number of the first trial.
        given : (counts, known), optional
            Counts that are known already; see :meth:`SpikeHistory.simulate`.
        """
        return self.history.simulate(self.gained(rates), self.variates(rates.shape, seed, stage, first), given)[0]

    def gained(self, rates: np.ndarray) -> np.ndarray:
        """λ that history is put on, of the shape of ``rates``, (…, units)."""
        return self.gain.applied(self.low.applied(rates))

    def variates(self, shape: tuple[int, ...], seed: int, stage: str, first: int = 0) -> np.ndarray:
        """Coupled uniforms, shape (trials, K + bins, units), for rates of this ``shape``; see :meth:`draw`."""
        trials, bins, units = shape
        rows = self.history.num_bins + bins
        return np.stack([self.synchrony.couple(uniforms(seed, stage, first + k, (rows, units))) for k in range(trials)])
