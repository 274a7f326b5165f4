"""All that spikes are rendered with: probe, units, templates, motion, and noise or a recording behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.rendering.given_templates import (
    drifting,
    generated_by_spikeinterface,
    given_templates,
    spikeinterface_templates,
)
from spikeinterface_gen.rendering.motion import UnitMotion, check_motion, resolve_motion, template_displacements_um
from spikeinterface_gen.rendering.noise import Noise
from spikeinterface_gen.rendering.noise_model import (
    NoiseModel,
    check_noise_recording,
    measured_noise,
    parametric_noise,
)
from spikeinterface_gen.rendering.parameters import (
    OF_OWN_NOISE,
    OF_OWN_TEMPLATES,
    OF_OWN_TRACES,
    RenderingParameters,
)
from spikeinterface_gen.rendering.parent import (
    ParentTraces,
    check_length,
    check_parent,
    load_parent,
    parent_as_dict,
    parent_probe,
)
from spikeinterface_gen.rendering.probes import (
    check_probe,
    check_room,
    contact_positions_um,
    default_probe,
    place_units,
)
from spikeinterface_gen.rendering.renderer import Renderer
from spikeinterface_gen.rendering.spatial_model import make_templates
from spikeinterface_gen.rendering.templates import Templates

if TYPE_CHECKING:
    from probeinterface import Probe
    from spikeinterface.core import BaseRecording, Motion

__all__ = ["Scene", "SceneSettings", "make_scene"]


@dataclass(frozen=True, eq=False)
class SceneSettings:
    """What a user asks for, checked as far as it can be before there are spikes.

    Attributes
    ----------
    templates : None, "spikeinterface", spikeinterface.core.Templates or SortingAnalyzer
        None for our own spatial model.
    probe : Probe, optional
        Default: that of the parent recording or of the templates, else one sized for the units.
    motion : None, "rigid", "nonrigid" or Motion
        Drift.
    noise : BaseRecording, optional
        A recording whose noise is imitated.
    parent : BaseRecording, optional
        A recording that the spikes are added to.
    parameters : RenderingParameters
        Everything that has a number.
    """

    templates: Any
    probe: Probe | None
    motion: Any
    noise: BaseRecording | None
    parent: BaseRecording | None
    parameters: RenderingParameters

    @classmethod
    def checked(
        cls,
        rendering: Mapping[str, Any],
        sampling_frequency: float,
        *,
        templates: Any = None,
        probe: Probe | None = None,
        motion: Any = None,
        noise_recording: BaseRecording | None = None,
        parent_recording: BaseRecording | None = None,
    ) -> SceneSettings:
        """Return the settings, or raise a TypeError or ValueError that names what does not fit."""
        parameters = RenderingParameters.from_keywords(rendering)
        if _given(templates):
            spikeinterface_templates(templates, sampling_frequency)
        if templates is not None:
            _none_of(rendering, OF_OWN_TEMPLATES, "templates are given")
        check_motion(motion)
        if parent_recording is not None:
            check_parent(parent_recording, sampling_frequency)
            _none_of(rendering, OF_OWN_TRACES, "spikes are added to parent_recording")
            if noise_recording is not None:
                raise TypeError("noise_recording does not apply where spikes are added to parent_recording.")
        if probe is not None:
            check_probe(probe)
        noise = noise_recording
        if noise is not None:
            check_noise_recording(noise)
        if noise is None and parent_recording is None and hasattr(templates, "has_recording"):
            noise = templates.recording if templates.has_recording() else None
        if noise is not None and not np.isclose(noise.sampling_frequency, sampling_frequency, rtol=1e-6):
            raise ValueError(
                f"noise_recording is sampled at {noise.sampling_frequency:g} Hz and the recording to be at "
                f"{sampling_frequency:g} Hz; pass sampling_frequency={noise.sampling_frequency:g}."
            )
        if parent_recording is None and (noise is not None or _levels_uv(templates) is not None):
            _none_of(rendering, OF_OWN_NOISE, "noise is that of a recording")
        return cls(templates, probe, motion, noise, parent_recording, parameters)


@dataclass(frozen=True, eq=False)
class Scene:
    """What a saved session holds beside its spikes.

    Attributes
    ----------
    probe : Probe
        Contacts.
    locations_um : array, shape (units, 3)
        Where the units rest.
    templates : Templates
        Their waveforms.
    parameters : RenderingParameters
        Everything that has a number.
    motion : Motion, optional
        Drift.
    noise : NoiseModel, optional
        Measured noise; None where the parameters say what it is like.
    parent : dict, optional
        Description of the recording that the spikes are added to.
    """

    probe: Probe
    locations_um: np.ndarray
    templates: Templates
    parameters: RenderingParameters
    motion: Motion | None = None
    noise: NoiseModel | None = None
    parent: dict[str, Any] | None = None

    def renderer(
        self,
        frames: np.ndarray,
        units: np.ndarray,
        amplitudes: np.ndarray,
        sampling_frequency: float,
        seed: int,
        parameters: RenderingParameters,
        parent: BaseRecording | None = None,
    ) -> Renderer:
        """Return what renders these spikes; ``parameters`` may differ from the saved ones, ``parent`` be loaded."""
        background: Noise | ParentTraces
        if self.parent is not None:
            background = ParentTraces(parent or load_parent(self.parent), self.templates.order)
        else:
            order = self.templates.order
            if self.noise is None:
                model = parametric_noise(contact_positions_um(self.probe)[order], sampling_frequency, parameters)
            else:
                across = self.noise.correlation[np.ix_(order, order)]
                model = NoiseModel(self.noise.levels_uv[order], across, self.noise.power)
            background = Noise(model, parameters.gain_uv_per_bit, parameters.noise_mode, seed)
        motion = None if self.motion is None else UnitMotion(self.motion, self.locations_um)
        return Renderer(frames, units, amplitudes, self.templates, background, sampling_frequency, parameters, motion)


def make_scene(
    settings: SceneSettings, counts: SpikeCounts, num_frames: int, sampling_frequency: float, seed: int
) -> Scene:
    """Draw, or take from what was given, all that the spikes of these counts are rendered with.

    Parameters
    ----------
    settings : SceneSettings
        From :meth:`SceneSettings.checked`.
    counts : SpikeCounts
        Its units and their properties.
    num_frames : int
        Length of the session.
    sampling_frequency : float
        In Hz.
    seed : int
        Of templates, places, motion and the stretches on which noise is measured.

    Raises
    ------
    TypeError, ValueError
        If probe, templates, noise and parent do not fit each other, the units or the length.
    """
    parameters = settings.parameters
    probe = settings.probe or _probe_of(settings, counts.num_units, sampling_frequency)
    contacts_um = contact_positions_um(probe)
    for name, recording in (("parent_recording", settings.parent), ("noise_recording", settings.noise)):
        if recording is not None and recording.get_num_channels() != len(contacts_um):
            raise ValueError(
                f"{name} has {recording.get_num_channels()} channels and the probe {len(contacts_um)}; "
                "leave probe= out, or select channels of the recording."
            )
    if settings.parent is not None:
        check_length(settings.parent, num_frames)
    motion = resolve_motion(settings.motion, num_frames / sampling_frequency, contacts_um, parameters, seed)
    displacements_um = template_displacements_um(motion, parameters.drift_step_um)
    axis = 1 if motion is None else motion.dim

    if not _given(settings.templates):
        check_room(counts.num_units, len(contacts_um))
        locations_um = place_units(counts, contacts_um, seed)
        if settings.templates is None:
            templates = make_templates(
                locations_um, contacts_um, sampling_frequency, parameters, seed, displacements_um, axis
            )
        else:
            templates = generated_by_spikeinterface(
                locations_um, contacts_um, sampling_frequency, seed, displacements_um, axis
            )
    else:
        given = given_templates(settings.templates, counts.unit_ids, sampling_frequency, contacts_um)
        locations_um = given.locations_um
        templates = drifting(given, contacts_um, displacements_um, axis)
    noise = None if settings.noise is None else measured_noise(settings.noise, seed)
    levels_uv = _levels_uv(settings.templates)
    if noise is None and settings.parent is None and levels_uv is not None:
        noise = replace(parametric_noise(contacts_um, sampling_frequency, parameters), levels_uv=levels_uv)
    return Scene(
        probe=probe,
        locations_um=locations_um,
        templates=templates,
        parameters=parameters,
        motion=motion,
        noise=noise,
        parent=None if settings.parent is None else parent_as_dict(settings.parent),
    )


def _probe_of(settings: SceneSettings, num_units: int, sampling_frequency: float) -> Probe:
    """The probe that comes with a parent recording, or with templates, in the order of their channels."""
    if settings.parent is not None:
        return parent_probe(settings.parent)
    if not _given(settings.templates):
        return default_probe(num_units) if settings.noise is None else parent_probe(settings.noise, "noise_recording")
    probe = spikeinterface_templates(settings.templates, sampling_frequency).probe
    if probe is None:
        raise ValueError("templates come without a probe; pass probe=.")
    probe = probe.copy()
    probe.set_device_channel_indices(np.arange(probe.get_contact_count()))
    return probe


def _given(templates: Any) -> bool:
    """Whether templates are somebody's own, rather than to be made."""
    return templates is not None and not (isinstance(templates, str) and templates == "spikeinterface")


def _levels_uv(templates: Any) -> np.ndarray | None:
    """Noise levels that an analyzer has computed, of use where it has lost its recording, shape (channels,)."""
    if not (hasattr(templates, "has_extension") and templates.has_extension("noise_levels") and templates.return_in_uV):
        return None
    return np.asarray(templates.get_extension("noise_levels").get_data(), dtype=np.float64)


def _none_of(rendering: Mapping[str, Any], names: tuple[str, ...], why: str) -> None:
    unfit = [name for name in rendering if name in names]
    if unfit:
        raise TypeError(f"{unfit[0]} does not apply: {why}. Leave it out.")
