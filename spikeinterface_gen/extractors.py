"""Saved sessions as SpikeInterface recordings and sortings.

Both are built from a path and scalars alone, so that SpikeInterface can write them down as JSON and build
them again in another process; neither imports torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from spikeinterface.core import BaseRecording, BaseRecordingSegment, BaseSorting
from spikeinterface.core.base import minimum_spike_dtype

from spikeinterface_gen.convert.from_sorting import TRIALS_KEY
from spikeinterface_gen.convert.to_sorting import PlacedSegment
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.rendering.motion import segment_motion
from spikeinterface_gen.rendering.probes import contact_positions_um
from spikeinterface_gen.rendering.renderer import Renderer
from spikeinterface_gen.session import Session

if TYPE_CHECKING:
    import neo
    import pandas as pd
    from neo.core.spiketrainlist import SpikeTrainList
    from spikeinterface.core import Motion

__all__ = ["GenerativeRecordingExtractor", "GenerativeSortingExtractor"]

Layout = Literal["session", "trials"]


class GenerativeRecordingExtractor(BaseRecording):
    """Traces of a synthetic session, rendered when they are asked for.

    Parameters
    ----------
    folder_path : str or path
        Folder written by :func:`~spikeinterface_gen.generate_with_ldns`.
    layout : {"session", "trials"}
        "session": one segment, trials one after the other as they were saved. "trials": one segment per
        trial, cut from the same traces; each has its start in the session as its start time.
    **rendering
        Rendering parameters other than the saved ones: level, spectrum and correlation of the noise, gain
        and offset (:class:`~spikeinterface_gen.rendering.parameters.RenderingParameters`).

    Raises
    ------
    FileNotFoundError, SessionError
        If there is no session, or it has changed since it was saved.
    TypeError
        If a rendering parameter is unknown or fixed by the session.
    """

    def __init__(self, folder_path: str | Path, *, layout: Layout = "session", **rendering: Any) -> None:
        folder = Path(folder_path).expanduser().absolute()
        session = Session(folder)
        bounds = _segment_bounds(session, layout)
        self._session = session
        renderer = session.renderer(**rendering)
        parameters = session.changed_parameters(**rendering)
        parent = session.parent_recording
        probe = session.probe
        channel_ids = np.arange(len(contact_positions_um(probe))) if parent is None else parent.channel_ids
        super().__init__(session.sampling_frequency, channel_ids, renderer.dtype)
        for start, stop in bounds:
            self.add_recording_segment(_RenderedSegment(session, renderer, int(start), int(stop), layout))
        if probe.device_channel_indices is None:
            probe.set_device_channel_indices(np.arange(len(channel_ids)))
        self.set_probe(probe)
        if parent is None:
            self.set_channel_gains(parameters.gain_uv_per_bit)
            self.set_channel_offsets(parameters.offset_uv)
            is_filtered = session.scene.noise is not None or parameters.noise_spectrum == "cortex"
        else:
            self.set_channel_gains(parent.get_channel_gains())
            self.set_channel_offsets(parent.get_channel_offsets())
            is_filtered = bool(parent.is_filtered())
        self.annotate(is_filtered=is_filtered, **session.annotations)
        self._kwargs = {"folder_path": str(folder), "layout": layout, **rendering}

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n{_origin(self._session)}"

    def _repr_html_(self, display_name: bool = True) -> str:
        from spikeinterface_gen.html_repr import recording_html

        return recording_html(_origin(self._session), self.counts) + super()._repr_html_(display_name)

    @property
    def sorting(self) -> GenerativeSortingExtractor:
        """The ground truth, in the same layout."""
        self._session.check_unchanged()
        return GenerativeSortingExtractor(self._session.folder, layout=self._kwargs["layout"])

    @property
    def trials(self) -> pd.DataFrame:
        """The trials: index ``trial``; columns ``start_s`` and ``stop_s``, frames, segment, and covariates.

        ``start_s`` and ``stop_s`` are on the clock of the session, the same in both layouts;
        ``start_frame`` and ``stop_frame`` count in the segment ``segment_index``. Covariates of shape
        (trials, k) give k columns; those that vary within a trial are in ``.counts.covariates``.
        """
        return _trials_table(self._session, self._kwargs["layout"])

    @property
    def motion(self) -> Motion | None:
        """How the tissue moved along the probe, in the same layout, or None where it did not."""
        session = self._session
        if session.motion is None or self._kwargs["layout"] == "session":
            return session.motion
        bounds = _segment_bounds(session, "trials") / session.sampling_frequency
        return segment_motion(session.motion, [(float(start), float(stop)) for start, stop in bounds])

    @property
    def counts(self) -> SpikeCounts:
        """The counts that the spikes were placed by."""
        return self._session.counts

    @property
    def spiketrains(self) -> list[SpikeTrainList]:
        """Lazy Neo spike trains, one list per segment and one train per unit in it."""
        import neo

        from spikeinterface_gen.convert.lazy_trains import SegmentTrains
        from spikeinterface_gen.convert.metadata import provenance_marks

        session, layout = self._session, self._kwargs["layout"]
        frequency = session.sampling_frequency
        marks = provenance_marks(session.annotations)
        frames, units = np.asarray(session.frames), np.asarray(session.units)
        unit_ids = session.unit_ids.tolist()
        trains = []
        for k, (start, stop) in enumerate(_segment_bounds(session, layout)):
            a, b = np.searchsorted(frames, [start, stop])
            order = np.argsort(units[a:b], kind="stable")
            trains.append(
                SegmentTrains(
                    neo.Segment(name=f"segment {k}", index=k, **marks),
                    frames[a:b][order] / frequency,
                    np.searchsorted(units[a:b][order], np.arange(len(unit_ids) + 1)),
                    float(start / frequency),
                    float(stop / frequency),
                    frequency,
                    [str(unit_id) for unit_id in unit_ids],
                    [{"unit_id": unit_id} for unit_id in unit_ids],
                    marks,
                )
            )
        return trains

    def to_neo(self) -> neo.Block:
        """Return the ground truth as a Neo block with one Segment per trial, on the clock of the session."""
        from spikeinterface_gen.convert.to_neo import block_of_placed_spikes

        session = self._session
        return block_of_placed_spikes(session.counts_on_session_clock, session.placed_spikes)


class GenerativeSortingExtractor(BaseSorting):
    """Ground truth of a synthetic session.

    Parameters
    ----------
    folder_path : str or path
        Folder written by :func:`~spikeinterface_gen.generate_with_ldns`.
    layout : {"session", "trials"}
        As in :class:`GenerativeRecordingExtractor`.

    Raises
    ------
    FileNotFoundError, SessionError
        If there is no session, or it has changed since it was saved.
    """

    def __init__(self, folder_path: str | Path, *, layout: Layout = "session") -> None:
        folder = Path(folder_path).expanduser().absolute()
        session = Session(folder)
        bounds = _segment_bounds(session, layout)
        self._origin = _origin(session)
        super().__init__(session.sampling_frequency, session.unit_ids)
        spikes = np.zeros(len(session.frames), dtype=minimum_spike_dtype)
        spikes["sample_index"] = session.frames
        spikes["unit_index"] = session.units
        if layout == "trials":
            spikes["segment_index"] = np.searchsorted(bounds[:, 0], session.frames, side="right") - 1
            spikes["sample_index"] -= bounds[spikes["segment_index"], 0]
        slices = np.searchsorted(spikes["segment_index"], np.arange(len(bounds) + 1))
        for k, (start, stop) in enumerate(bounds):
            t_start_s = _t_start_s(start, session.sampling_frequency, layout)
            num_samples = int(stop - start)
            self.add_sorting_segment(
                PlacedSegment(spikes[slices[k] : slices[k + 1]], self.unit_ids, num_samples, t_start_s)
            )
        # SpikeInterface would build this from the trains of all units and segments, one by one.
        self._cached_spike_vector = spikes
        for name, values in session.unit_properties.items():
            self.set_property(name, values)
        self.set_property("gt_unit_locations", session.unit_locations_um)
        self.annotate(**session.annotations, bin_size_ms=session.settings["bin_size_ms"], spike_times_placed=True)
        if layout == "session":
            # As SpikeCounts.to_sorting has it: from_sorting(…, trials=) takes it back.
            ends = session.start_frames + session.trial_frames
            windows_s = np.column_stack([session.start_frames, ends]) / session.sampling_frequency
            self.annotate(**{TRIALS_KEY: windows_s.tolist()})
        self._kwargs = {"folder_path": str(folder), "layout": layout}

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n{self._origin}"

    def _repr_html_(self, display_name: bool = True) -> str:
        from spikeinterface_gen.html_repr import facts_html

        return facts_html(self._origin, {}) + super()._repr_html_(display_name)


class _RenderedSegment(BaseRecordingSegment):
    """The frames of a session from ``start`` to ``stop``."""

    def __init__(self, session: Session, renderer: Renderer, start: int, stop: int, layout: str) -> None:
        frequency = session.sampling_frequency
        super().__init__(sampling_frequency=frequency, t_start=_t_start_s(start, frequency, layout))
        self._session = session
        self._renderer = renderer
        self._start = start
        self._stop = stop

    def get_num_samples(self) -> int:
        return self._stop - self._start

    def get_traces(
        self,
        start_frame: int | None = None,
        end_frame: int | None = None,
        channel_indices: slice | np.ndarray | None = None,
    ) -> np.ndarray:
        start = 0 if start_frame is None else int(start_frame)
        stop = self.get_num_samples() if end_frame is None else int(end_frame)
        stop = min(stop, self.get_num_samples())
        self._session.check_unchanged()
        return self._renderer.traces(self._start + start, self._start + max(start, stop), channel_indices)


def _origin(session: Session) -> str:
    """Where the spikes come from, in one line."""
    known, num_trials, num_units = session.annotations, len(session.start_frames), len(session.unit_ids)
    model, seed = known.get("model", "counts"), known.get("seed", "unknown")
    return f"Synthetic: {num_trials} trials of {num_units} units from {model}, seed {seed}"


def _segment_bounds(session: Session, layout: str) -> np.ndarray:
    """First and one past the last frame of each segment, int64, shape (segments, 2)."""
    if layout == "session":
        return np.array([[0, session.num_frames]], dtype=np.int64)
    if layout == "trials":
        return np.stack([session.start_frames, session.start_frames + session.trial_frames], axis=1)
    raise ValueError(f"layout must be 'session' or 'trials'; got {layout!r}.")


def _t_start_s(start: int, sampling_frequency: float, layout: str) -> float | None:
    """Start of a segment on the clock of the session in s; a single segment needs none."""
    return float(start / sampling_frequency) if layout == "trials" else None


def _trials_table(session: Session, layout: str) -> pd.DataFrame:
    import pandas as pd

    start, frames = session.start_frames, session.trial_frames
    in_trials = layout == "trials"
    columns: dict[str, np.ndarray] = {
        "start_s": start / session.sampling_frequency,
        "stop_s": (start + frames) / session.sampling_frequency,
        "segment_index": np.arange(len(start)) if in_trials else np.zeros(len(start), dtype=np.int64),
        "start_frame": np.zeros(len(start), dtype=np.int64) if in_trials else start,
        "stop_frame": frames if in_trials else start + frames,
    }
    for name, values in session.covariates.items():
        if values.ndim == 1:
            columns[name] = values
        elif values.ndim == 2:
            columns |= {f"{name}_{k}": values[:, k] for k in range(values.shape[1])}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(start), name="trial"))
