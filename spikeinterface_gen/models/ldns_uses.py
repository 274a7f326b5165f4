"""What can be done with a fitted LDNS beside drawing trials: moving, dials, streaming, sessions, completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from spikeinterface_gen.devices import move_to
from spikeinterface_gen.models.ldns_sampling import LDNSSampling

if TYPE_CHECKING:
    from spikeinterface_gen.counts import SpikeCounts
    from spikeinterface_gen.models.running import RunningSession
    from spikeinterface_gen.models.streaming import SpikeStream

__all__ = ["LDNSUses"]


class LDNSUses(LDNSSampling):
    """Methods of :class:`~spikeinterface_gen.LDNS` that a fitted model has beside drawing trials."""

    def to(self, device: Any) -> Self:
        """Move the networks to a device, "cpu" or "cuda", and return self.

        A fit leaves them where it trained them, ``load`` on the CPU. Latents of a seed agree across kinds of device
        to rounding; counts are drawn on the CPU in any case.

        Raises
        ------
        ValueError
            If there is no such device here, or it cannot hold the networks, which then stay where they are.
        """
        move_to(device, self._ready())
        return self

    def adjusted(
        self,
        *,
        rate_gain: float = 1.0,
        correlation_gain: float = 1.0,
        unit_ids: npt.ArrayLike | None = None,
        num_units: int | None = None,
        seed: int = 0,
    ) -> Self:
        r"""Return a model with dials turned, for experiments; this one stays as it is.

        With λ the expected counts that follow from latents, ⟨⟩ the mean over generated trials, and R the synchrony,

        .. math::

            \ln \lambda' = \langle \ln \lambda \rangle + c\, (\ln \lambda - \langle \ln \lambda \rangle) + b, \qquad
            R'_{ij} = c\, R_{ij} \quad (i \ne j),

        where b is such that free runs have g times the mean counts of those of this model.

        Parameters
        ----------
        rate_gain : float
            g, of the mean rates of all units.
        correlation_gain : float
            c: 1 as learned, 0 units of constant rate that share nothing, above 1 more than was recorded. It keeps mean
            rates.
        unit_ids : sequence, optional
            Only these units, in this order. Default: all.
        num_units : int, optional
            More units than these are: the further ones are resampled, with the decoder's weights, spike history and
            properties of a unit drawn at random and the mean rate of one that is similar in rate. Unit property
            ``derived`` marks them, ``source_unit`` names the unit. They share synchrony with none.
        seed : int
            Of the trials that means are taken over, and of what is resampled.

        Returns
        -------
        LDNS
            Can be sampled, saved and loaded like any. Its encoder takes counts as they were recorded, of the units
            that it now has.

        Raises
        ------
        ValueError
            If a gain is negative or not finite, or ``num_units`` is below the number of units.
        KeyError
            If there is no such unit.
        """
        from spikeinterface_gen.models.dials import adjusted

        return adjusted(self, rate_gain, correlation_gain, unit_ids, num_units, seed)

    def stream(self) -> SpikeStream:
        """Return what takes one bin of spikes after the other and gives latents and rates at once.

        Raises
        ------
        ValueError
            If the encoder looks ahead: fit with ``causal=True``.

        Examples
        --------
        >>> from spikeinterface_gen import LDNS, load_dataset
        >>> counts = load_dataset("steinmetz2019")[:30, :20]
        >>> model = LDNS(causal=True, channels=16, denoiser_channels=16).fit(counts, num_steps=2, progress=False)
        >>> latents, rates_hz = model.stream().push(counts.counts[0, 0])
        >>> rates_hz.shape
        (20,)
        """
        from spikeinterface_gen.models.streaming import SpikeStream

        return SpikeStream(self._ready(), self.population_)

    def run(
        self,
        *,
        block_s: float | None = None,
        covariates: Mapping[str, Any] | None = None,
        seed: int | None = None,
        steps: int | None = None,
        snapshot: Mapping[str, Any] | None = None,
    ) -> RunningSession:
        """Return an endless session: an iterator of blocks, in constant memory, without a seam between them.

        Parameters
        ----------
        block_s : float, optional
            Length of a block in s, at least that of the trials it was fitted to. Default: four times that.
        covariates : mapping from str to value, optional
            Conditions that hold throughout the session, of those that are constant over trials. Default: unknown.
        seed : int, optional
            The session follows from it. Default: a fresh one.
        steps : int, optional
            Of the sampler.
        snapshot : mapping, optional
            Where to go on: ``session.snapshot()`` of a session of the same model, seed, covariates and block length.

        Returns
        -------
        RunningSession

        Raises
        ------
        ValueError
            If the model is locked to trials, the block is too short, a covariate varies within trials, or
            :meth:`sample` would not take it.
        """
        from spikeinterface_gen.models.running import RunningSession

        return RunningSession(self, block_s, covariates, seed, steps, snapshot)

    def complete(
        self, counts: SpikeCounts, known: npt.ArrayLike, *, steps: int | None = None, seed: int | None = None
    ) -> SpikeCounts:
        """Draw what is not known of trials from what is: forecasts, or some units from the others.

        Latents are drawn from their distribution given the known counts (see
        :mod:`spikeinterface_gen.diffusion.posterior`), then the unknown counts given latents and known counts.

        Parameters
        ----------
        counts : SpikeCounts
            Of all units; what is not known is not looked at. Covariates, and times of the trials, are known where the
            model is conditioned on them; those of another session are to be left out.
        known : array of bool
            (bins,) for the first bins, say, (units,) for some units, or any shape that broadcasts to (trials, bins,
            units), such as (bins, units). Where there are as many bins as units, give the full shape.
        steps : int, optional
            Of the sampler.
        seed : int, optional
            Another one is another completion. Default: a fresh one, kept in the annotations.

        Returns
        -------
        SpikeCounts
            The known counts and completions of the others.
        """
        from spikeinterface_gen.models.completion import complete

        return complete(self, counts, known, steps, seed)

    def complete_rates(
        self,
        counts: SpikeCounts,
        known: npt.ArrayLike,
        *,
        num_samples: int = 8,
        steps: int | None = None,
        seed: int | None = None,
    ) -> np.ndarray:
        """Rates in Hz given the known counts: the mean over ``num_samples`` draws of the latents.

        What co-smoothing and forecasts are scored by (:func:`spikeinterface_gen.bits_per_spike`). Parameters as for
        :meth:`complete`; float32, shape (trials, bins, units), before spike history.
        """
        from spikeinterface_gen.models.completion import complete_rates

        return complete_rates(self, counts, known, num_samples, steps, seed)
