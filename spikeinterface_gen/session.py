"""The saved synthetic session: a folder with everything that a recording is rendered from.

    session.json          settings, provenance, sha256 of every other file and of itself
    spike_frames.npy      frame of each spike in the session, int64, non-decreasing
    spike_units.npy       position of its unit, int32
    spike_amplitudes.npy  its amplitude relative to the template, float32
    trials.npz            start frame and number of bins of each trial; covariates
    units.npz             ids, properties and locations (µm), refractory periods, forced violations
    templates.npz         waveforms in µV on the channels around each unit
    probe.json            probeinterface
    rendered_block.npy    a few rendered frames, int16: whoever opens the session must get the same

Nothing in it is code: arrays are read without pickle, the rest is JSON. It is written to a temporary
sibling and renamed, so that a folder of this name is always whole.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeinterface_gen.convert.metadata import plain_entries
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.frames import bin_edge_frames, count_spikes
from spikeinterface_gen.observation.spike_times import PlacedSpikes
from spikeinterface_gen.rendering.parameters import RenderingParameters
from spikeinterface_gen.rendering.probes import contact_positions_um
from spikeinterface_gen.rendering.renderer import Renderer
from spikeinterface_gen.rendering.templates import Templates
from spikeinterface_gen.session_files import SessionError, read_arrays, read_settings, whole_folder, write_settings

if TYPE_CHECKING:
    from probeinterface import Probe

__all__ = ["Session", "SessionError", "cache_folder", "write_session"]

_ARRAYS = ("spike_frames.npy", "spike_units.npy", "spike_amplitudes.npy", "rendered_block.npy")
_FILES = (*_ARRAYS, "trials.npz", "units.npz", "templates.npz", "probe.json")
_CHECKED_FRAMES = 1000


def cache_folder() -> Path:
    """Return where sessions go for which no folder is named.

    ``$SPIKEINTERFACE_GEN_CACHE`` if that is set, else ``spikeinterface_gen`` in ``$XDG_CACHE_HOME`` or
    ``~/.cache``.
    """
    chosen = os.environ.get("SPIKEINTERFACE_GEN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikeinterface_gen"


class Session:
    """A saved session, read-only.

    Parameters
    ----------
    folder_path : str or path
        Folder written by :func:`write_session`.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    SessionError
        If it is no session, a file is missing, or any byte has changed since it was written.
    """

    def __init__(self, folder_path: str | Path) -> None:
        self.folder = Path(folder_path)
        self.settings = read_settings(self.folder, _FILES)
        self.frames, self.units, self.amplitudes, self._rendered = (read_arrays(self.folder / name) for name in _ARRAYS)
        self._trials = read_arrays(self.folder / "trials.npz")
        self._units = read_arrays(self.folder / "units.npz")

    # ---- what it holds -----------------------------------------------------------------------

    @property
    def sampling_frequency(self) -> float:
        """Frames per second, in Hz."""
        return float(self.settings["sampling_frequency"])

    @property
    def num_frames(self) -> int:
        """Length of the session in frames."""
        return int(self.start_frames[-1] + self.trial_frames[-1])

    @property
    def unit_ids(self) -> np.ndarray:
        """Names of the units, shape (units,)."""
        return self._units["unit_ids"]

    @property
    def unit_locations_um(self) -> np.ndarray:
        """Positions x, y and distance from the probe of each unit in µm, shape (units, 3)."""
        return self._units["locations_um"]

    @property
    def unit_properties(self) -> dict[str, np.ndarray]:
        """What is known about units, by name."""
        return _named(self._units, "property:")

    @property
    def forced_violations(self) -> np.ndarray:
        """Intervals of each unit that the counts forced below its refractory period, shape (units,)."""
        return self._units["forced_violations"]

    @property
    def start_frames(self) -> np.ndarray:
        """First frame of each trial, int64, shape (trials,)."""
        return self._trials["start_frames"]

    @property
    def num_bins(self) -> np.ndarray:
        """Bins of each trial, int64, shape (trials,)."""
        return self._trials["num_bins"]

    @property
    def bin_edges(self) -> np.ndarray:
        """Frames, from the start of a trial, at which the bins of the longest trial begin and end."""
        return bin_edge_frames(int(self.num_bins.max()), self.settings["bin_size_ms"], self.sampling_frequency)

    @property
    def trial_frames(self) -> np.ndarray:
        """Length of each trial in frames, int64, shape (trials,)."""
        return self.bin_edges[self.num_bins]

    @property
    def covariates(self) -> dict[str, np.ndarray]:
        """What is known about trials, by name."""
        return _named(self._trials, "covariate:")

    @property
    def annotations(self) -> dict[str, Any]:
        """Provenance and other facts about the whole; ``synthetic`` is True."""
        return dict(self.settings["annotations"])

    @property
    def parameters(self) -> RenderingParameters:
        """How spikes become traces."""
        return RenderingParameters(**self.settings["rendering"])

    @property
    def probe(self) -> Probe:
        """The probe."""
        from probeinterface import read_probeinterface

        return read_probeinterface(self.folder / "probe.json").probes[0]

    @property
    def templates(self) -> Templates:
        """Waveforms of the units."""
        arrays = read_arrays(self.folder / "templates.npz")
        return Templates(arrays["order"], arrays["first"], arrays["waveforms_uv"], int(arrays["num_before"]))

    @property
    def placed_spikes(self) -> PlacedSpikes:
        """The spikes by trial, as :func:`place_spikes` drew them."""
        frames = np.asarray(self.frames)
        trial = np.searchsorted(self.start_frames, frames, side="right") - 1
        return PlacedSpikes(
            trial=trial,
            unit=np.asarray(self.units).astype(np.int64),
            frame=frames - self.start_frames[trial],
            sampling_frequency=self.sampling_frequency,
            trial_frames=self.trial_frames,
            gap_frames=int(self.settings["gap_frames"]),
            refractory_period_ms=self._units["refractory_period_ms"],
            forced_violations=self.forced_violations,
        )

    @property
    def counts(self) -> SpikeCounts:
        """The counts that the session was made from."""
        return self._counts(self._trials.get("t_starts_s"))

    @property
    def counts_on_session_clock(self) -> SpikeCounts:
        """The same, with trials starting where they lie in this session rather than in a recorded one."""
        return self._counts(self.start_frames / self.sampling_frequency)

    def _counts(self, t_starts_s: np.ndarray | None) -> SpikeCounts:
        placed = self.placed_spikes
        binned = count_spikes(
            placed.trial,
            placed.unit,
            placed.frame,
            self.bin_edges,
            num_trials=len(self.num_bins),
            num_units=len(self.unit_ids),
        )
        return SpikeCounts(
            binned,
            self.settings["bin_size_ms"],
            unit_ids=self.unit_ids,
            num_bins=self.num_bins,
            covariates=self.covariates,
            unit_properties=self.unit_properties,
            t_starts_s=t_starts_s,
            trial_locked=self.settings["trial_locked"],
            annotations=self.annotations,
        )

    def renderer(self, **changes: Any) -> Renderer:
        """Return what renders the traces, checked against the frames that were rendered at saving.

        Parameters
        ----------
        **changes
            Rendering parameters other than the saved ones; see :meth:`RenderingParameters.changed`. The
            check is left out when there are any.
        """
        parameters = self.parameters.changed(**changes)
        renderer = Renderer(
            self.frames,
            self.units,
            self.amplitudes,
            self.templates,
            contact_positions_um(self.probe),
            self.sampling_frequency,
            parameters,
            self.settings["seed"],
        )
        if parameters == self.parameters:
            again = _checked_frames(renderer, self.frames, self.num_frames).astype(np.int32)
            # Another processor may round the last bit of a sum differently: one step is no change.
            if again.shape != self._rendered.shape or np.abs(again - self._rendered).max(initial=0) > 1:
                raise SessionError(
                    f"{self.folder} renders to other traces than when it was saved: it was written by a version of "
                    "spikeinterface_gen that renders differently. Save the recording to binary or zarr with that "
                    "version, or generate the session anew."
                )
        return renderer


def write_session(
    folder: str | Path,
    counts: SpikeCounts,
    placed: PlacedSpikes,
    amplitudes: np.ndarray,
    probe: Probe,
    locations_um: np.ndarray,
    templates: Templates,
    parameters: RenderingParameters,
    seed: int,
    *,
    overwrite: bool = False,
) -> Path:
    """Write a session folder, whole or not at all.

    Parameters
    ----------
    folder : str or path
        Where; its parents are made.
    counts, placed, amplitudes, probe, locations_um, templates, parameters, seed
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
        "locations_um": locations_um,
        "refractory_period_ms": placed.refractory_period_ms,
        "forced_violations": placed.forced_violations,
        **{f"property:{name}": value for name, value in counts.unit_properties.items()},
    }
    settings: dict[str, Any] = {
        "sampling_frequency": placed.sampling_frequency,
        "bin_size_ms": counts.bin_size_ms,
        "gap_frames": placed.gap_frames,
        "trial_locked": counts.trial_locked,
        "seed": seed,
        "rendering": parameters.as_dict(),
        "annotations": plain_entries(counts.annotations),
    }
    frames = placed.session_frame
    num_frames = int(placed.start_frames[-1] + placed.trial_frames[-1])
    contacts_um = contact_positions_um(probe)
    renderer = Renderer(
        frames, placed.unit, amplitudes, templates, contacts_um, placed.sampling_frequency, parameters, seed
    )
    with whole_folder(folder, overwrite=overwrite) as temporary:
        np.save(temporary / "spike_frames.npy", frames, allow_pickle=False)
        np.save(temporary / "spike_units.npy", placed.unit.astype(np.int32), allow_pickle=False)
        np.save(temporary / "spike_amplitudes.npy", amplitudes.astype(np.float32), allow_pickle=False)
        np.save(temporary / "rendered_block.npy", _checked_frames(renderer, frames, num_frames), allow_pickle=False)
        np.savez(temporary / "trials.npz", allow_pickle=False, **trials)
        np.savez(temporary / "units.npz", allow_pickle=False, **units)
        np.savez(
            temporary / "templates.npz",
            allow_pickle=False,
            order=templates.order,
            first=templates.first,
            waveforms_uv=templates.waveforms_uv,
            num_before=np.array(templates.num_before),
        )
        _write_probe(temporary / "probe.json", probe)
        write_settings(temporary, settings, _FILES)
    return Path(folder).expanduser().absolute()


def _checked_frames(renderer: Renderer, frames: np.ndarray, num_frames: int) -> np.ndarray:
    """Traces around the middle one of the spikes: what a session renders to, in short."""
    middle = int(frames[len(frames) // 2]) if len(frames) else 0
    start = max(0, min(middle - _CHECKED_FRAMES // 2, num_frames - _CHECKED_FRAMES))
    return renderer.traces(start, min(start + _CHECKED_FRAMES, num_frames))


def _write_probe(path: Path, probe: Probe) -> None:
    from probeinterface import ProbeGroup, write_probeinterface

    group = ProbeGroup()
    group.add_probe(probe)
    write_probeinterface(path, group)


def _named(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
