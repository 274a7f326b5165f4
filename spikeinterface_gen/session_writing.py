"""Write a synthetic session: see :mod:`spikeinterface_gen.session` for what is in its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeinterface_gen.convert.metadata import plain_entries
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.observation.spike_times import PlacedSpikes
from spikeinterface_gen.rendering.renderer import Renderer
from spikeinterface_gen.rendering.scene import Scene
from spikeinterface_gen.session_files import whole_folder, write_settings

if TYPE_CHECKING:
    from probeinterface import Probe

__all__ = ["ALWAYS", "MOTION", "NOISE", "PARENT", "SOMETIMES", "checked_frames", "write_session"]

ALWAYS = (
    "spike_frames.npy",
    "spike_units.npy",
    "spike_amplitudes.npy",
    "rendered_block.npy",
    "waveforms.npy",
    "trials.npz",
    "units.npz",
    "templates.npz",
    "probe.json",
)
MOTION, NOISE, PARENT = SOMETIMES = ("motion.npz", "noise.npz", "parent_recording.json")
_CHECKED_FRAMES = 1000


def write_session(
    folder: str | Path,
    counts: SpikeCounts,
    placed: PlacedSpikes,
    amplitudes: np.ndarray,
    scene: Scene,
    seed: int,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a session folder, whole or not at all.

    Parameters
    ----------
    folder : str or path
        Where; its parents are made.
    counts, placed, amplitudes, scene, seed
        What :mod:`spikeinterface_gen.generation` puts together.
    overwrite : bool
        Whether a session that is there already is replaced. Anything else there is never touched.

    Returns
    -------
    Path
        The folder, absolute.

    Raises
    ------
    FileExistsError
        If something is there that may not be replaced.
    OSError
        If the folder cannot be written: nothing is left behind, and what was there stays.
    """
    trials = {"start_frames": placed.start_frames, "num_bins": counts.num_bins}
    if counts.t_starts_s is not None:
        trials["t_starts_s"] = counts.t_starts_s
    trials |= {f"covariate:{name}": value for name, value in counts.covariates.items()}
    units = {
        "unit_ids": counts.unit_ids,
        "locations_um": scene.locations_um,
        "refractory_period_ms": placed.refractory_period_ms,
        "forced_violations": placed.forced_violations,
        **{f"property:{name}": value for name, value in counts.unit_properties.items()},
    }
    templates = scene.templates
    packing = {
        "order": templates.order,
        "first": templates.first,
        "num_before": np.array(templates.num_before),
        "displacements_um": templates.displacements_um,
    }
    settings: dict[str, Any] = {
        "sampling_frequency": placed.sampling_frequency,
        "bin_size_ms": counts.bin_size_ms,
        "gap_frames": placed.gap_frames,
        "trial_locked": counts.trial_locked,
        "seed": seed,
        "rendering": scene.parameters.as_dict(),
        "annotations": plain_entries(counts.annotations),
    }
    frames = placed.session_frame
    num_frames = int(placed.start_frames[-1] + placed.trial_frames[-1])
    renderer = scene.renderer(frames, placed.unit, amplitudes, placed.sampling_frequency, seed, scene.parameters)
    with whole_folder(folder, overwrite=overwrite) as temporary:
        np.save(temporary / "spike_frames.npy", frames, allow_pickle=False)
        np.save(temporary / "spike_units.npy", placed.unit.astype(np.int32), allow_pickle=False)
        np.save(temporary / "spike_amplitudes.npy", amplitudes.astype(np.float32), allow_pickle=False)
        np.save(temporary / "rendered_block.npy", checked_frames(renderer, frames, num_frames), allow_pickle=False)
        np.save(temporary / "waveforms.npy", templates.waveforms_uv, allow_pickle=False)
        for name, arrays in (("trials", trials), ("units", units), ("templates", packing)):
            np.savez(temporary / f"{name}.npz", allow_pickle=False, **arrays)
        _write_probe(temporary / "probe.json", scene.probe)
        _write_optional(temporary, scene)
        written = [name for name in SOMETIMES if (temporary / name).exists()]
        write_settings(temporary, settings, [*ALWAYS, *written])
    return Path(folder).expanduser().absolute()


def _write_optional(folder: Path, scene: Scene) -> None:
    """Write what only some sessions have."""
    if scene.motion is not None:
        np.savez(
            folder / MOTION,
            allow_pickle=False,
            displacement_um=scene.motion.displacement[0],
            temporal_bins_s=scene.motion.temporal_bins_s[0],
            spatial_bins_um=scene.motion.spatial_bins_um,
            direction=np.array(scene.motion.direction),
        )
    if scene.noise is not None:
        np.savez(
            folder / NOISE,
            allow_pickle=False,
            levels_uv=scene.noise.levels_uv,
            correlation=scene.noise.correlation,
            power=scene.noise.power,
        )
    if scene.parent is not None:
        (folder / PARENT).write_text(json.dumps(scene.parent), encoding="utf-8")


def checked_frames(renderer: Renderer, frames: np.ndarray, num_frames: int) -> np.ndarray:
    """Traces around the middle one of the spikes: what a session renders to, in short."""
    middle = int(frames[len(frames) // 2]) if len(frames) else 0
    start = max(0, min(middle - _CHECKED_FRAMES // 2, num_frames - _CHECKED_FRAMES))
    return renderer.traces(start, min(start + _CHECKED_FRAMES, num_frames))


def _write_probe(path: Path, probe: Probe) -> None:
    from probeinterface import ProbeGroup, write_probeinterface

    group = ProbeGroup()
    group.add_probe(probe)
    write_probeinterface(path, group)
