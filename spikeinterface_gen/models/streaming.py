"""Latents and rates while spikes come in, one bin after the other, as closed loops need them.

The layers of a causal encoder are state-space filters, which can be run as recurrences: a bin then costs the same
however many came before it. The result is that of the batch to rounding.
"""

from __future__ import annotations

import copy
import math
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from spikeinterface_gen.models.ldns_networks import LDNSNetworks
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.nn.blocks import Block
from spikeinterface_gen.nn.ssm import StateSpace
from spikeinterface_gen.observation.history import MAX_RATE

__all__ = ["SpikeStream"]


class SpikeStream:
    """Takes one bin of spikes after the other.

    Attributes
    ----------
    num_bins : int
        Bins taken since the last reset.
    """

    def __init__(self, networks: LDNSNetworks, population: Population) -> None:
        self._encoder = copy.deepcopy(networks.autoencoder.encoder).cpu().eval()
        self._decoder = copy.deepcopy(networks.autoencoder.decoder).cpu().eval()
        self._recurrences: list[_Recurrence] = []
        for block in cast(list[Block], list(self._encoder.blocks)):
            if block.mix_bins.bidirectional:
                raise ValueError(
                    "this model's encoder looks ahead, so that it needs all bins at once; fit LDNS(causal=True) for "
                    "streaming."
                )
            self._recurrences.append(_Recurrence(block.mix_bins))
            # The block calls it as it would the layer itself.
            block.mix_bins = cast(StateSpace, self._recurrences[-1])
        self._num_units = len(population.unit_ids)
        self._bin_size_ms = population.bin_size_ms
        self.reset()

    def reset(self) -> None:
        """Begin anew, as at the start of a trial."""
        self.num_bins = 0
        for recurrence in self._recurrences:
            recurrence.reset()

    @torch.inference_mode()
    def push(self, counts: Any) -> tuple[np.ndarray, np.ndarray]:
        """Take the next bin.

        Parameters
        ----------
        counts : array of int, shape (units,)
            Spikes of each unit of the model in this bin.

        Returns
        -------
        latents : array of float32, shape (latents,)
        rates_hz : array of float32, shape (units,)

        Raises
        ------
        ValueError
            If ``counts`` has another shape, or is negative or not finite.
        """
        s = np.asarray(counts, dtype=np.float32)
        if s.shape != (self._num_units,):
            raise ValueError(f"counts must hold one number for each of the {self._num_units} units; got {s.shape}.")
        if not (np.isfinite(s).all() and s.min() >= 0):
            raise ValueError("counts must be finite and not negative.")
        z = self._encoder(torch.from_numpy(s)[None, None])
        rates = self._decoder(z).clamp_max(math.log(MAX_RATE)).exp() * (1000.0 / self._bin_size_ms)
        self.num_bins += 1
        return z[0, 0].numpy(), rates[0, 0].numpy()


class _Recurrence(nn.Module):
    """A causal state-space layer that remembers its state between calls of one bin."""

    def __init__(self, layer: StateSpace) -> None:
        super().__init__()
        self._layer = layer
        self.reset()

    def reset(self) -> None:
        self.state = self._layer.initial_state(1)

    def forward(self, u: Tensor) -> Tensor:
        y, self.state = self._layer.step(u[:, 0], self.state)
        return y[:, None]
