"""Where the contacts are, and where the units are among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.randomness import uniforms

if TYPE_CHECKING:
    from probeinterface import Probe

__all__ = ["check_probe", "check_room", "contact_positions_um", "default_probe", "place_units"]

_CHANNELS_PER_SHANK = 384

# Tetrodes in hippocampus, where cells are packed most densely, see about 20 units on 4 channels.
_UNITS_PER_CHANNEL = 8

# Distance of units from the plane of the contacts, and how far beyond their edges a unit may lie.
_DEPTH_RANGE_UM = (8.0, 35.0)
_MARGIN_UM = 10.0

# The least that an area takes along a probe.
_AREA_UM = 100.0


def default_probe(num_units: int) -> Probe:
    """Return a probe with room for a number of units, in the manner of Neuropixels 2.0.

    Two staggered columns 32 µm apart, contacts every 20 µm in each; one channel for each unit, rounded up
    to a multiple of 32; 384 channels on a shank at most, further shanks 250 µm apart. Channels count
    upwards from the tip, shank after shank.
    """
    from probeinterface import generate_multi_shank

    num_channels = 32 * int(np.ceil(max(num_units, 1) / 32))
    num_shanks = int(np.ceil(num_channels / _CHANNELS_PER_SHANK))
    rows = int(np.ceil(num_channels / num_shanks / 2))
    probe = generate_multi_shank(
        num_shank=num_shanks,
        shank_pitch=[250, 0],
        num_columns=2,
        num_contact_per_column=rows,
        xpitch=32,
        ypitch=20,
        y_shift_per_column=[0, 10],
        contact_shapes="square",
        contact_shape_params={"width": 12},
    )
    shank = np.asarray(probe.shank_ids).astype(int)
    x, y = probe.contact_positions.T
    probe = probe.get_slice(np.lexsort((x, y, shank)))
    probe.set_device_channel_indices(np.arange(probe.get_contact_count()))
    return probe


def check_probe(probe: Any) -> None:
    """Raise if this is no probe whose contacts have positions in a plane.

    Raises
    ------
    TypeError, ValueError
        If it is anything else, or as :func:`contact_positions_um` has it.
    """
    from probeinterface import Probe

    if not isinstance(probe, Probe):
        raise TypeError(
            f"probe must be a probeinterface.Probe; got {type(probe).__name__}. A ProbeGroup holds them in .probes; "
            "probeinterface.read_probeinterface reads a file."
        )
    contact_positions_um(probe)


def check_room(num_units: int, num_channels: int) -> None:
    """Raise a ValueError if a probe sees fewer units than these, in any tissue."""
    if num_units > _UNITS_PER_CHANNEL * num_channels:
        raise ValueError(
            f"{num_units} units are more than a probe of {num_channels} channels can hold "
            f"({_UNITS_PER_CHANNEL} units a channel); choose some with unit_ids=, or pass a probe= of at least "
            f"{-(-num_units // _UNITS_PER_CHANNEL)} channels."
        )


def contact_positions_um(probe: Probe) -> np.ndarray:
    """Positions (x, y) of the connected contacts in the order of the channels, in µm, shape (channels, 2).

    Raises
    ------
    ValueError
        If the probe has no contacts, is in three dimensions, or its channels do not count from 0.
    """
    if probe.ndim != 2 or probe.get_contact_count() == 0:
        raise ValueError(
            f"probe must have contacts in a plane; got {probe.get_contact_count()} in {probe.ndim} dimensions."
        )
    scale = {"um": 1.0, "mm": 1e3, "m": 1e6}.get(probe.si_units)
    if scale is None:
        raise ValueError(f"probe must be in um, mm or m; got si_units={probe.si_units!r}.")
    positions = np.asarray(probe.contact_positions, float) * scale
    channels = probe.device_channel_indices
    if channels is None:
        return positions
    channels = np.asarray(channels)
    connected = channels >= 0
    if sorted(channels[connected].tolist()) != list(range(int(connected.sum()))) or not connected.any():
        raise ValueError(
            "probe.device_channel_indices must number the connected contacts 0, 1, 2, … once each; "
            "call probe.set_device_channel_indices(range(number of contacts))."
        )
    return positions[connected][np.argsort(channels[connected])]


def place_units(counts: SpikeCounts, contacts_um: np.ndarray, seed: int) -> np.ndarray:
    """Return where the units are: (x, y) in the plane of the probe and distance z from it, in µm, (units, 3).

    Along the probe (y), a unit is at its ``unit_properties["depth_um"]`` where that is known and within the
    probe; depths that reach beyond the probe are rescaled to fit it, all alike. Units of unknown depth are
    drawn by ``unit_properties["area"]``: among the units of their area whose depth is known, over at least
    100 µm; where there are none, areas lie along the probe in the order in which they first appear, each in a
    stretch in proportion to its number of units. Otherwise units lie anywhere. Across the probe (x), units lie
    near a random contact.

    Parameters
    ----------
    counts : SpikeCounts
        Its units and their properties.
    contacts_um : array, shape (channels, 2)
        From :func:`contact_positions_um`.
    seed : int
        Of the draw.
    """
    u = uniforms(seed, "unit locations", 0, (counts.num_units, 4))
    # Nearby in the plane of a contact drawn at random: this follows shanks and columns of any probe.
    near = contacts_um[np.minimum((u[:, 0] * len(contacts_um)).astype(int), len(contacts_um) - 1)]
    x = near[:, 0] + (2.0 * u[:, 1] - 1.0) * (_MARGIN_UM + 6.0)
    low, high = contacts_um[:, 1].min(), contacts_um[:, 1].max()
    y = low - _MARGIN_UM + _fraction_along(counts, u[:, 2]) * (high - low + 2.0 * _MARGIN_UM)
    depth = np.asarray(counts.unit_properties.get("depth_um", np.full(counts.num_units, np.nan)), float)
    known = np.isfinite(depth)
    if known.any():
        shallow, deep = depth[known].min(), depth[known].max()
        if shallow < low - _MARGIN_UM or deep > high + _MARGIN_UM:
            depth = low + (depth - shallow) * (high - low) / max(deep - shallow, 1e-9)
        y = np.where(known, depth, _among_neighbours(counts, depth, u[:, 2], y, (low, high)))
    z = _DEPTH_RANGE_UM[0] + u[:, 3] * (_DEPTH_RANGE_UM[1] - _DEPTH_RANGE_UM[0])
    return np.stack([x, y, z], axis=1)


def _among_neighbours(
    counts: SpikeCounts, depth: np.ndarray, u: np.ndarray, elsewhere: np.ndarray, bounds: tuple[float, float]
) -> np.ndarray:
    """Positions along the probe among the units of the same area whose depth is known, else ``elsewhere``."""
    area = counts.unit_properties.get("area")
    if area is None:
        return elsewhere
    area, placed = np.asarray(area).astype(str), elsewhere
    for name in np.unique(area[np.isfinite(depth)]):
        own = area == name
        first, last = np.nanmin(depth[own]), np.nanmax(depth[own])
        room = max(0.0, _AREA_UM - (last - first)) / 2.0
        first, last = max(first - room, bounds[0]), min(last + room, bounds[1])
        placed = np.where(own, first + u * (last - first), placed)
    return placed


def _fraction_along(counts: SpikeCounts, u: np.ndarray) -> np.ndarray:
    """Position along the probe from 0 to 1, by area where areas are known."""
    area = counts.unit_properties.get("area")
    if area is None:
        return u
    _, first, codes = np.unique(np.asarray(area).astype(str), return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[codes]
    share = np.bincount(rank) / counts.num_units
    return (np.cumsum(share) - share)[rank] + u * share[rank]
