"""Templates that somebody else made: a SpikeInterface ``Templates``, an analyzer, or SpikeInterface's own generator.

A template is known on the contacts only. Where it drifts, what a contact would see from *d* µm away is
interpolated over the contacts as a sum of fields of the form *g(r) = 1 / (1 + (r/r₀)²)*, one at each contact,
with *r₀* = 30 µm: the form of our own spatial model, so that nothing is invented beyond the probe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from spikeinterface_gen.rendering.templates import STILL, Templates, channel_order, pack

if TYPE_CHECKING:
    from probeinterface import Probe

__all__ = ["GivenTemplates", "drifting", "generated_by_spikeinterface", "given_templates"]

_FIELD_UM = 30.0

# SpikeInterface's own waveforms recover for longer than ours.
_MS_BEFORE = 1.0
_MS_AFTER = 3.0

# Contacts of real probes are closer than the field is wide: without this, noise of templates would be amplified.
_SMOOTHING = 1e-4


@dataclass(frozen=True, eq=False)
class GivenTemplates:
    """Waveforms on all channels, where their units are, and the probe that they were seen on.

    Attributes
    ----------
    waveforms_uv : array of float32, shape (units, samples, channels)
        In µV.
    num_before : int
        Frames before the one of the spike.
    locations_um : array, shape (units, 3)
        Positions of the units.
    probe : Probe or None
        Its contacts are the channels.
    unit_ids : array, shape (units,)
        What the units are called where they come from.
    """

    waveforms_uv: np.ndarray
    num_before: int
    locations_um: np.ndarray
    probe: Probe | None
    unit_ids: np.ndarray


def given_templates(
    source: Any, unit_ids: npt.ArrayLike, sampling_frequency: float, contacts_um: np.ndarray
) -> GivenTemplates:
    """Check templates that were given and choose one for each unit.

    Parameters
    ----------
    source : spikeinterface.core.Templates or SortingAnalyzer
        The templates; an analyzer has computed its extension "templates".
    unit_ids : array, shape (units,)
        Units in need of a template. Where all are among the ids of the templates, each has its own, else they
        are taken in order.
    sampling_frequency : float
        Of the recording to be, in Hz.
    contacts_um : array, shape (channels, 2)
        Contacts of the recording to be.

    Raises
    ------
    TypeError, ValueError
        If it is neither, or its sampling frequency, channels, unit of voltage or number do not fit.
    """
    templates = spikeinterface_templates(source, sampling_frequency)
    if templates.num_channels != len(contacts_um):
        raise ValueError(
            f"templates have {templates.num_channels} channels and the probe {len(contacts_um)}; "
            "leave probe= out to take that of the templates."
        )
    wanted, known = np.asarray(unit_ids).tolist(), np.asarray(templates.unit_ids).tolist()
    if len(wanted) > len(known):
        raise ValueError(
            f"templates hold {len(known)} units and the spikes have {len(wanted)}; choose at most {len(known)} of them "
            "with unit_ids=."
        )
    where = {unit_id: k for k, unit_id in enumerate(known)}
    chosen = [where[u] for u in wanted] if set(wanted) <= set(where) else list(range(len(wanted)))
    waveforms = np.asarray(templates.get_dense_templates(), dtype=np.float32)[chosen]
    if not np.all(np.isfinite(waveforms)):
        raise ValueError("templates hold NaN or infinity; leave out the units without spikes.")
    return GivenTemplates(
        waveforms_uv=waveforms,
        num_before=int(templates.nbefore),
        locations_um=_locations_um(source, waveforms, contacts_um, chosen),
        probe=templates.probe,
        unit_ids=np.asarray(templates.unit_ids)[chosen],
    )


def spikeinterface_templates(source: Any, sampling_frequency: float) -> Any:
    """Return the ``Templates`` of what was given: itself, or those that an analyzer has computed.

    Raises
    ------
    TypeError, ValueError
        If it is neither, the analyzer has not computed them, or they are not in µV or of another frequency in Hz.
    """
    templates = _templates_of(source)
    if not np.isclose(templates.sampling_frequency, sampling_frequency, rtol=1e-6):
        raise ValueError(
            f"templates are sampled at {templates.sampling_frequency:g} Hz and the recording at "
            f"{sampling_frequency:g} Hz; pass sampling_frequency={templates.sampling_frequency:g}."
        )
    if not templates.is_in_uV:
        raise ValueError("templates must be in µV (is_in_uV=True); set the gains of their recording and compute anew.")
    return templates


def _templates_of(source: Any) -> Any:
    from spikeinterface.core import SortingAnalyzer, Templates

    if isinstance(source, Templates):
        return source
    if not isinstance(source, SortingAnalyzer):
        raise TypeError(
            'templates must be a spikeinterface.core.Templates, a SortingAnalyzer, "spikeinterface" or None; got '
            f"{source!r:.80}."
        )
    if not source.has_extension("templates"):
        raise ValueError('the analyzer has no templates; call analyzer.compute(["random_spikes", "templates"]) first.')
    return source.get_extension("templates").get_data(outputs="Templates")


def drifting(given: GivenTemplates, contacts_um: np.ndarray, displacements_um: np.ndarray, axis: int) -> Templates:
    """Pack given templates, interpolated where their units drift to.

    Parameters
    ----------
    given : GivenTemplates
        Where the units rest.
    contacts_um : array, shape (channels, 2)
        Contacts.
    displacements_um : array, shape (displacements,)
        Along ``axis`` (0 for x, 1 for y).
    axis : int
        Direction of the drift.
    """
    order = channel_order(contacts_um)
    _, num_samples, num_channels = given.waveforms_uv.shape
    resting = given.waveforms_uv[:, :, order]
    if np.array_equal(displacements_um, STILL):
        return pack(
            np.any(resting != 0, axis=1),
            order,
            num_samples,
            given.num_before,
            displacements_um,
            lambda unit, on: resting[None, unit][:, :, on],
        )
    from scipy.interpolate import RBFInterpolator

    # What the contacts see of a unit that moved by d is what contacts moved by −d see of it at rest.
    place_um = contacts_um[order]
    weights = RBFInterpolator(
        place_um, np.eye(num_channels), kernel="inverse_quadratic", epsilon=1.0 / _FIELD_UM, smoothing=_SMOOTHING,
        degree=-1,
    )  # fmt: skip
    shift = np.zeros(2)
    shift[axis] = 1.0
    matrices = np.stack(
        [np.eye(num_channels) if d == 0 else weights(place_um - d * shift) for d in displacements_um]
    ).astype(np.float32)
    # Channels that see next to nothing at any displacement are left out, or every unit would be everywhere.
    peaks = np.abs(resting).max(axis=1)
    seen = np.abs(np.einsum("dcs,us->duc", np.abs(matrices), peaks)).max(axis=0)
    support = (seen > 0.01 * peaks.max(axis=1, keepdims=True)) | (peaks > 0)

    def waveforms_of(unit: int, on: np.ndarray) -> np.ndarray:
        return np.einsum("dcs,ts->dtc", matrices[:, on], resting[unit], optimize=True)

    return pack(support, order, num_samples, given.num_before, displacements_um, waveforms_of)


def generated_by_spikeinterface(
    locations_um: np.ndarray,
    contacts_um: np.ndarray,
    sampling_frequency: float,
    seed: int,
    displacements_um: np.ndarray,
    axis: int,
) -> Templates:
    """Templates by ``spikeinterface.core.generate.generate_templates`` with its defaults, at each displacement."""
    from spikeinterface.core.generate import generate_templates

    order = channel_order(contacts_um)
    dense = []
    for d in displacements_um:
        moved = locations_um.copy()
        moved[:, axis] += d
        dense.append(
            generate_templates(
                contacts_um[order], moved, sampling_frequency, ms_before=_MS_BEFORE, ms_after=_MS_AFTER, seed=seed
            )
        )
    waveforms = np.stack(dense)
    peaks = np.abs(waveforms).max(axis=(0, 2))
    return pack(
        peaks > 1e-3 * peaks.max(axis=1, keepdims=True),
        order,
        waveforms.shape[2],
        round(_MS_BEFORE * sampling_frequency / 1000.0),
        displacements_um,
        lambda unit, on: waveforms[:, unit][:, :, on],
    )


def _locations_um(source: Any, waveforms_uv: np.ndarray, contacts_um: np.ndarray, chosen: list[int]) -> np.ndarray:
    """Where the units are: as an analyzer has computed, else the centre of mass of their power; z is 0 if unknown."""
    locations = np.zeros((len(chosen), 3))
    if hasattr(source, "has_extension") and source.has_extension("unit_locations"):
        found = np.asarray(source.get_extension("unit_locations").get_data(), dtype=np.float64)[chosen]
        locations[:, : found.shape[1]] = found[:, :3]
        return locations
    power = np.ptp(waveforms_uv, axis=1).astype(np.float64) ** 2
    total = power.sum(axis=1, keepdims=True)
    locations[:, :2] = power @ contacts_um / np.where(total > 0, total, 1.0)
    return locations
