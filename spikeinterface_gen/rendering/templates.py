"""Templates as the renderer needs them: the waveform of every unit on the channels around it, wherever it drifts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["STILL", "Templates", "channel_order", "pack"]

STILL = np.zeros(1)
"""The displacements in µm of units that do not move."""


@dataclass(frozen=True, eq=False)
class Templates:
    """Waveforms in µV of each unit on a contiguous range of ordered channels, at each of some displacements.

    Attributes
    ----------
    order : array of int64, shape (channels,)
        Channels from one end of the probe to the other; the ranges below count in this order.
    first : array of int64, shape (units,)
        Where the range of each unit begins.
    waveforms_uv : array of float32, shape (displacements, units, samples, widest range)
        0 beyond the unit's own channels; may be memory-mapped.
    num_before : int
        Frames before the one at which a spike is said to be.
    displacements_um : array of float64, shape (displacements,)
        Equally spaced and increasing; ``[0]`` where units do not move.
    """

    order: np.ndarray
    first: np.ndarray
    waveforms_uv: np.ndarray
    num_before: int
    displacements_um: np.ndarray

    def dense_uv(self, displacement_um: float = 0.0) -> np.ndarray:
        """Waveforms on all channels, in the order of the channels, in µV, shape (units, samples, channels).

        Parameters
        ----------
        displacement_um : float
            One of ``displacements_um``; the nearest is taken.
        """
        position = int(np.abs(self.displacements_um - displacement_um).argmin())
        _, num_units, num_samples, width = self.waveforms_uv.shape
        dense = np.zeros((num_units, num_samples, len(self.order)), dtype=np.float32)
        for unit, first in enumerate(self.first):
            dense[unit][:, self.order[first : first + width]] = self.waveforms_uv[position, unit]
        return dense


def channel_order(contacts_um: np.ndarray) -> np.ndarray:
    """Channels from one end of the probe to the other, shank after shank, int64, shape (channels,)."""
    x = np.unique(contacts_um[:, 0])
    # Columns that are more than 100 µm apart are shanks.
    shank = np.append(0, np.cumsum(np.diff(x) > 100.0))[np.searchsorted(x, contacts_um[:, 0])]
    return np.lexsort((contacts_um[:, 0], contacts_um[:, 1], shank))


def pack(
    support: np.ndarray,
    order: np.ndarray,
    num_samples: int,
    num_before: int,
    displacements_um: np.ndarray,
    waveforms_of: Callable[[int, np.ndarray], np.ndarray],
) -> Templates:
    """Put waveforms together on the channels where they are not 0.

    Parameters
    ----------
    support : array of bool, shape (units, channels)
        Channels, in order, on which a unit has a waveform at any displacement.
    order, num_samples, num_before, displacements_um
        As in :class:`Templates`.
    waveforms_of : callable
        ``waveforms_of(unit, channels)`` gives the waveforms in µV of a unit on these channels, counted in
        order, shape (displacements, samples, len(channels)).
    """
    num_channels = support.shape[1]
    some = support.any(axis=1)
    first = np.where(some, support.argmax(axis=1), 0)
    last = np.where(some, num_channels - support[:, ::-1].argmax(axis=1), 1)
    width = int((last - first).max(initial=1))
    first = np.minimum(first, num_channels - width)
    waveforms = np.zeros((len(displacements_um), len(support), num_samples, width), dtype=np.float32)
    for unit in range(len(support)):
        on = np.flatnonzero(support[unit, first[unit] : first[unit] + width])
        waveforms[:, unit][:, :, on] = waveforms_of(unit, on + first[unit])
    return Templates(
        order=order,
        first=first,
        waveforms_uv=waveforms,
        num_before=num_before,
        displacements_um=np.asarray(displacements_um, dtype=np.float64),
    )
