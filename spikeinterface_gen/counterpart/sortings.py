"""Sortings and analyzers with other spikes: units, properties, segments and times of the recorded ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from spikeinterface.core import BaseRecording, BaseSorting, append_recordings, create_sorting_analyzer
from spikeinterface.core.base import minimum_spike_dtype

from spikeinterface_gen.convert.from_sorting import from_sorting, known_num_frames
from spikeinterface_gen.convert.to_sorting import PlacedSorting
from spikeinterface_gen.counterpart.pieces import Recorded, placement_annotations
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.frames import seconds_to_frames
from spikeinterface_gen.generation import generate_from_counts
from spikeinterface_gen.rendering.scene import SceneSettings
from spikeinterface_gen.session_files import check_target

if TYPE_CHECKING:
    from spikeinterface.core import SortingAnalyzer

__all__ = ["RecordedAnalyzer", "RecordedSorting"]

# Properties of channels that come with the new traces, or describe the noise of the old ones.
_OWN_PROPERTIES = ("gain_to_uV", "offset_to_uV", "contact_vector", "location")


class RecordedSorting:
    """A SpikeInterface sorting.

    Parameters
    ----------
    sorting : BaseSorting
    durations_s : array of float, shape (segments,), optional
        Length of its segments in s, where it does not know.
    """

    def __init__(self, sorting: BaseSorting, durations_s: npt.ArrayLike | None = None) -> None:
        self.sorting = sorting
        self._durations_s = durations_s

    @property
    def num_segments(self) -> int:
        """Number of segments."""
        return self.sorting.get_num_segments()

    def read(self, bin_size_ms: float, *, continuous: bool) -> Recorded:
        """Count the spikes of the segments; a ``continuous`` one of unknown length ends with its last spike."""
        sorting, frequency = self.sorting, float(self.sorting.sampling_frequency)
        durations_s = self._durations_s
        if durations_s is None and continuous:
            known = [known_num_frames(sorting, k) for k in range(self.num_segments)]
            ends = [
                spikes["sample_index"].max(initial=-1) + 1 for spikes in sorting.to_spike_vector(concatenated=False)
            ]
            durations_s = [
                (end if frames is None else frames) / frequency for frames, end in zip(known, ends, strict=True)
            ]
        counts = from_sorting(sorting, bin_size_ms, durations_s=durations_s)
        num_frames = (
            [known_num_frames(sorting, k) for k in range(self.num_segments)]
            if durations_s is None
            else seconds_to_frames(durations_s, frequency)
        )
        starts_s = [float(sorting.get_start_time(k)) for k in range(self.num_segments)]
        return Recorded(counts, np.array(num_frames, dtype=np.int64), np.array(starts_s), frequency)

    def with_counts(self, counts: SpikeCounts, recorded: Recorded, seed: int, watermark_key: str | bytes | None) -> Any:
        """Return a sorting of the same units and segments whose spikes have these counts, a trial a segment."""
        placed = recorded.placed(counts, seed, watermark_key)
        spikes = np.zeros(len(placed), dtype=minimum_spike_dtype)
        spikes["segment_index"] = placed.trial
        spikes["sample_index"] = placed.frame
        spikes["unit_index"] = placed.unit
        return self._like(spikes, recorded, placement_annotations(counts, seed, watermark_key))

    def _like(self, spikes: np.ndarray, recorded: Recorded, annotations: Mapping[str, Any]) -> PlacedSorting:
        """A sorting with these spikes and all else as recorded."""
        old = self.sorting
        own = {key: old.get_annotation(key) for key in old.get_annotation_keys()}
        new = PlacedSorting(
            spikes,
            recorded.sampling_frequency,
            old.unit_ids,
            num_samples=recorded.num_frames,
            t_starts_s=recorded.starts_s,
            unit_properties={key: old.get_property(key) for key in old.get_property_keys()},
            annotations={**own, **annotations},
        )
        if old.has_recording():
            # It knows the duration and the time of each sample.
            new.register_recording(old._recording)
        return new


class RecordedAnalyzer(RecordedSorting):
    """A SortingAnalyzer with templates.

    Parameters
    ----------
    analyzer : SortingAnalyzer
    rendering : mapping
        What else :func:`spikeinterface_gen.generate_from_counts` is told.
    folder : str or path, optional
        Of the session that is rendered, as in :func:`spikeinterface_gen.generate_from_counts`.
    overwrite : bool
        Whether a session that is there is replaced.
    extensions : sequence of str, optional
        What to compute for the new one; default: what this one has, with the same parameters.
    """

    def __init__(
        self,
        analyzer: SortingAnalyzer,
        rendering: Mapping[str, Any],
        folder: str | Path | None = None,
        overwrite: bool = False,
        extensions: Sequence[str] | None = None,
    ) -> None:
        lengths = [analyzer.get_num_samples(k) for k in range(analyzer.get_num_segments())]
        super().__init__(analyzer.sorting, np.array(lengths) / analyzer.sampling_frequency)
        # What is missing, or in the way, shows before a model is fitted.
        if folder is not None:
            check_target(folder, overwrite=overwrite)
        numbers = {name: value for name, value in rendering.items() if name != "motion"}
        SceneSettings.checked(numbers, analyzer.sampling_frequency, templates=analyzer, motion=rendering.get("motion"))
        self._rendering = rendering
        self._parameters = _parameters(analyzer, extensions)
        self._analyzer = analyzer
        self._folder = folder
        self._overwrite = overwrite

    def read(self, bin_size_ms: float, *, continuous: bool) -> Recorded:
        """Count the spikes of the segments, whose clocks are those of the recording where there is one."""
        recorded = super().read(bin_size_ms, continuous=continuous)
        if not self._analyzer.has_recording():
            return recorded
        recording = self._analyzer.recording
        starts_s = [float(recording.get_start_time(k)) for k in range(self.num_segments)]
        return replace(recorded, starts_s=np.array(starts_s))

    def with_counts(self, counts: SpikeCounts, recorded: Recorded, seed: int, watermark_key: str | bytes | None) -> Any:
        """Return an analyzer of rendered spikes that have these counts, a trial a segment."""
        recording = generate_from_counts(
            counts,
            layout="trials",
            seed=seed,
            folder=self._folder,
            overwrite=self._overwrite,
            sampling_frequency=recorded.sampling_frequency,
            watermark_key=watermark_key,
            templates=self._analyzer,
            **self._rendering,
        )
        spikes = recording.sorting.to_spike_vector()
        spikes = spikes[spikes["sample_index"] < recorded.num_frames[spikes["segment_index"]]]
        new = create_sorting_analyzer(
            self._like(spikes, recorded, placement_annotations(counts, seed, watermark_key)),
            _like_recording(self._analyzer, recording, recorded),
            format="memory",
            sparsity=self._analyzer.sparsity,
            sparse=self._analyzer.is_sparse(),
            return_in_uV=self._analyzer.return_in_uV,
        )
        try:
            new.compute(self._parameters)
        except Exception as error:
            error.add_note(
                f"raised when the extensions {list(self._parameters)} of the recorded analyzer were computed again; "
                "extensions=() leaves them out, extensions=[…] chooses."
            )
            raise
        return new


def _parameters(analyzer: SortingAnalyzer, extensions: Sequence[str] | None) -> dict[str, dict[str, Any]]:
    """What an analyzer has computed, those of ``extensions`` where given, and with which parameters."""
    known = list(analyzer.get_loaded_extension_names())
    if analyzer.format != "memory":
        known += [name for name in analyzer.get_saved_extension_names() if name not in known]
    missing = [name for name in extensions or () if name not in known]
    if missing:
        raise ValueError(f"extensions holds {missing[0]!r}, which the analyzer has not computed; it has {known}.")
    params = {name: dict(analyzer.get_extension(name).params) for name in (known if extensions is None else extensions)}
    if "spike_train_statistics" in params:
        # What was a population is there in words only.
        del params["spike_train_statistics"]["reference"]
    return params


def _like_recording(analyzer: SortingAnalyzer, recording: BaseRecording, recorded: Recorded) -> BaseRecording:
    """Cut a recording to the lengths of the segments, and call its channels and times as the recorded ones."""
    whole = [recording.get_num_samples(k) for k in range(recording.get_num_segments())]
    if not np.array_equal(whole, recorded.num_frames):
        parts = [
            recording.select_segments([k]).frame_slice(0, int(frames)) for k, frames in enumerate(recorded.num_frames)
        ]
        recording = append_recordings(parts) if len(parts) > 1 else parts[0]
    recording = recording.rename_channels(analyzer.channel_ids)
    for k, start_s in enumerate(recorded.starts_s):
        if analyzer.has_recording() and analyzer.recording.has_time_vector(k):
            recording.set_times(analyzer.recording.get_times(k), segment_index=k)
        else:
            recording.shift_times(float(start_s - recording.get_start_time(k)), segment_index=k)
    for name, values in analyzer.rec_attributes["properties"].items():
        if name not in _OWN_PROPERTIES and not name.startswith("noise_level"):
            recording.set_property(name, values)
    return recording
