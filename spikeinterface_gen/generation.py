"""From a fitted model, or from any counts, to a recording with ground truth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.observation.spike_times import PlacedSpikes, place_spikes
from spikeinterface_gen.provenance import provenance
from spikeinterface_gen.randomness import resolve_seed
from spikeinterface_gen.rendering.amplitudes import spike_amplitudes
from spikeinterface_gen.rendering.scene import SceneSettings, make_scene
from spikeinterface_gen.session import unused_folder
from spikeinterface_gen.session_files import check_target
from spikeinterface_gen.session_writing import write_session

if TYPE_CHECKING:
    from probeinterface import Probe
    from spikeinterface.core import BaseRecording, Motion, SortingAnalyzer, Templates

    from spikeinterface_gen.extractors import GenerativeRecordingExtractor, GenerativeSortingExtractor

    Pair: TypeAlias = tuple[GenerativeRecordingExtractor, GenerativeSortingExtractor]

__all__ = ["generate_from_counts", "generate_with_ldns"]


class SamplesCounts(Protocol):
    """Anything that draws synthetic counts; ``durations``, ``covariates`` and the like are passed on where given."""

    def sample(self, num_trials: int, *, seed: int) -> SpikeCounts:
        """Draw counts."""


@overload
def generate_with_ldns(
    model: SamplesCounts | str | Path, n_trials: int, *, return_sorting: Literal[True], **options: Any
) -> Pair: ...


@overload
def generate_with_ldns(
    model: SamplesCounts | str | Path, n_trials: int, *, return_sorting: Literal[False] = False, **options: Any
) -> GenerativeRecordingExtractor: ...


def generate_with_ldns(
    model: SamplesCounts | str | Path,
    n_trials: int,
    *,
    layout: Literal["session", "trials"] = "session",
    durations: Any = None,
    covariates: Mapping[str, npt.ArrayLike] | None = None,
    session: bool = False,
    guidance: float = 1.0,
    seed: int | None = None,
    folder: str | Path | None = None,
    probe: Probe | None = None,
    sampling_frequency: float = 30000.0,
    unit_ids: npt.ArrayLike | None = None,
    gap_s: float = 0.0,
    overwrite: bool = False,
    watermark_key: str | bytes | None = None,
    templates: Templates | SortingAnalyzer | Literal["spikeinterface"] | None = None,
    motion: Motion | Literal["rigid", "nonrigid"] | None = None,
    noise_recording: BaseRecording | None = None,
    parent_recording: BaseRecording | None = None,
    return_sorting: bool = False,
    **rendering: Any,
) -> GenerativeRecordingExtractor | Pair:
    """Draw trials from a model and return them as a recording whose ground truth is known.

    Parameters
    ----------
    model : fitted model, str or path
        A fitted model, the folder of a saved one, or the name of a bundled one.
    n_trials : int
        Number of trials.
    layout : {"session", "trials"}
        One segment with the trials one after the other, or one segment per trial.
    durations, covariates, session, guidance
        Passed on to ``model.sample``: lengths of the trials, what they are conditioned on, whether they follow the slow
        changes of the session, and the weight of the conditions.
    seed : int, optional
        The same seed gives the same recording. None draws one; it is stored in the annotations.
    folder, probe, sampling_frequency, unit_ids, gap_s, overwrite, watermark_key
        As in :func:`generate_from_counts`.
    templates, motion, noise_recording, parent_recording, return_sorting, **rendering
        As in :func:`generate_from_counts`.

    Returns
    -------
    GenerativeRecordingExtractor, or a pair of it and a GenerativeSortingExtractor
        Its traces are computed when asked for; ``.sorting`` is the ground truth.

    Examples
    --------
    With a model that was fitted to trials before::

        recording = generate_with_ldns("my_model", 100, seed=0)
        recording.sorting.get_unit_spike_train(unit_id=0)
    """
    # A mistake in a keyword shows before the model is asked for minutes of work.
    _check_layout(layout)
    scene: dict[str, Any] = {
        "templates": templates,
        "probe": probe,
        "motion": motion,
        "noise_recording": noise_recording,
        "parent_recording": parent_recording,
    }
    SceneSettings.checked(rendering, sampling_frequency, **scene)
    seed = resolve_seed(seed)
    if folder is not None:
        check_target(folder, overwrite=overwrite)
    source: Any = model
    if isinstance(model, (str, Path)):
        from spikeinterface_gen.models import load_model

        source = load_model(model)
    given: dict[str, Any] = {"durations": durations, "covariates": covariates}
    given |= {"session": session or None, "guidance": None if guidance == 1.0 else guidance}
    counts = source.sample(n_trials, seed=seed, **{name: value for name, value in given.items() if value is not None})
    return generate_from_counts(
        counts,
        layout=layout,
        seed=seed,
        folder=folder,
        sampling_frequency=sampling_frequency,
        unit_ids=unit_ids,
        gap_s=gap_s,
        overwrite=overwrite,
        watermark_key=watermark_key,
        return_sorting=return_sorting,
        **scene,
        **rendering,
    )


@overload
def generate_from_counts(counts: SpikeCounts, *, return_sorting: Literal[True], **options: Any) -> Pair: ...


@overload
def generate_from_counts(
    counts: SpikeCounts, *, return_sorting: Literal[False] = False, **options: Any
) -> GenerativeRecordingExtractor: ...


@overload
def generate_from_counts(
    counts: SpikeCounts, *, return_sorting: bool, **options: Any
) -> GenerativeRecordingExtractor | Pair: ...


def generate_from_counts(
    counts: SpikeCounts,
    *,
    layout: Literal["session", "trials"] = "session",
    seed: int | None = None,
    folder: str | Path | None = None,
    probe: Probe | None = None,
    sampling_frequency: float = 30000.0,
    unit_ids: npt.ArrayLike | None = None,
    gap_s: float = 0.0,
    overwrite: bool = False,
    watermark_key: str | bytes | None = None,
    templates: Templates | SortingAnalyzer | Literal["spikeinterface"] | None = None,
    motion: Motion | Literal["rigid", "nonrigid"] | None = None,
    noise_recording: BaseRecording | None = None,
    parent_recording: BaseRecording | None = None,
    return_sorting: bool = False,
    **rendering: Any,
) -> GenerativeRecordingExtractor | Pair:
    """Place the spikes of any counts in time and render them as a recording.

    Parameters
    ----------
    counts : SpikeCounts
        Synthetic or real. The recording is synthetic in either case and says so.
    layout : {"session", "trials"}
        One segment with the trials one after the other, or one segment per trial.
    seed : int, optional
        Of spike times, templates, amplitudes and noise. None draws one, which is stored.
    folder : str or path, optional
        Where the session is saved. Default: a folder of its own in
        :func:`spikeinterface_gen.session.cache_folder`, which is printed.
    probe : probeinterface.Probe, optional
        Default: that of ``parent_recording``, of ``templates`` or of ``noise_recording``, else
        :func:`spikeinterface_gen.rendering.probes.default_probe`, sized for the units.
    sampling_frequency : float
        Frames per second, in Hz.
    unit_ids : sequence, optional
        Render these units only. Their spike times are the same as among all units.
    gap_s : float
        Pause between trials in s.
    overwrite : bool
        Whether a session that is in ``folder`` already is replaced.
    watermark_key : str or bytes, optional
        Mark the spike times, for :func:`~spikeinterface_gen.find_watermark` to find by the same key.
    templates : Templates, SortingAnalyzer or "spikeinterface", optional
        Whose waveforms the units have. Units are given the templates of their ids where there are such, else
        in order. An analyzer also gives its probe and its noise. "spikeinterface" is SpikeInterface's own
        generator. Default: :mod:`spikeinterface_gen.rendering.spatial_model`.
    motion : Motion, "rigid" or "nonrigid", optional
        Drift of the tissue along the probe: given, or drawn
        (:mod:`spikeinterface_gen.rendering.motion`). Default: none.
    noise_recording : BaseRecording, optional
        A recording whose noise is imitated: level, correlation between channels, spectrum.
    parent_recording : BaseRecording, optional
        A recording that the spikes are added to, in its gains and type. Its own spikes are not in the ground
        truth. The session refers to it and does not copy it.
    return_sorting : bool
        Whether to return ``recording, sorting``, as SpikeInterface's own generators do.
    **rendering
        Fields of :class:`spikeinterface_gen.rendering.parameters.RenderingParameters`, such as
        ``noise_level_uv=10.0``.

    Returns
    -------
    GenerativeRecordingExtractor, or a pair of it and a GenerativeSortingExtractor
        ``.sorting`` is the ground truth.

    Raises
    ------
    TypeError, ValueError
        If a keyword is not a rendering parameter or does not apply, or if templates, probe, motion, recordings
        and units do not fit each other.
    FileExistsError, OSError
        If ``folder`` exists or cannot be written; nothing half-written is left.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from spikeinterface_gen import SpikeCounts, generate_from_counts
    >>> counts = SpikeCounts(np.ones((3, 50, 4), dtype=int), bin_size_ms=20.0)
    >>> recording = generate_from_counts(counts, seed=0, folder=tempfile.mkdtemp() + "/session")
    >>> recording.get_traces(start_frame=0, end_frame=300).shape
    (300, 32)
    >>> recording.sorting.get_unit_spike_train(unit_id=0).shape
    (150,)
    """
    from spikeinterface_gen.extractors import GenerativeRecordingExtractor

    _check_layout(layout)
    settings = SceneSettings.checked(
        rendering,
        sampling_frequency,
        templates=templates,
        probe=probe,
        motion=motion,
        noise_recording=noise_recording,
        parent_recording=parent_recording,
    )
    seed = resolve_seed(seed)
    if folder is not None:
        check_target(folder, overwrite=overwrite)
    placed = place_spikes(
        counts, sampling_frequency=sampling_frequency, seed=seed, gap_s=gap_s, watermark_key=watermark_key
    )
    amplitudes = spike_amplitudes(placed, settings.parameters, seed)
    if unit_ids is not None:
        kept = counts.unit_positions(unit_ids)
        chosen = counts.select_units(unit_ids)
        placed, amplitudes = _only_units(placed, amplitudes, kept, counts.num_units)
        counts = chosen
    # Real counts, perhaps, or some that do not say what drew them, but spike times and traces are ours.
    known = counts.annotations if counts.annotations.get("synthetic") else {}
    if not {"model", "model_sha256", "seed"} <= set(known):
        counts = counts.with_annotations(**{**provenance("counts", _counts_hash(counts), seed), **known})
    counts = counts.with_annotations(placement_seed=seed, watermarked=watermark_key is not None)
    if parent_recording is not None:
        # What else fires in it is not in the ground truth: a comparison must not count it as wrong.
        counts = counts.with_annotations(hybrid=True)

    num_frames = int(placed.start_frames[-1] + placed.trial_frames[-1])
    scene = make_scene(settings, counts, num_frames, sampling_frequency, seed)
    if folder is None:
        model = str(counts.annotations.get("model", "counts")).lower()
        folder = unused_folder(f"{model}-{counts.num_trials}-trials-seed-{seed}")
        print(f"Synthetic session saved in {folder}")
    path = write_session(folder, counts, placed, amplitudes, scene, seed, overwrite=overwrite)
    recording = GenerativeRecordingExtractor(path, layout=layout)
    return (recording, recording.sorting) if return_sorting else recording


def _check_layout(layout: str) -> None:
    if layout not in ("session", "trials"):
        raise ValueError(f"layout must be 'session' or 'trials'; got {layout!r}.")


def _only_units(
    placed: PlacedSpikes, amplitudes: np.ndarray, kept: np.ndarray, num_units: int
) -> tuple[PlacedSpikes, np.ndarray]:
    """The spikes of the units at these positions, numbered in this order."""
    new = np.full(num_units, -1, dtype=np.int64)
    new[kept] = np.arange(len(kept))
    spikes = np.flatnonzero(new[placed.unit] >= 0)
    unit = new[placed.unit[spikes]]
    spikes = spikes[np.lexsort((unit, placed.frame[spikes], placed.trial[spikes]))]
    chosen = PlacedSpikes(
        trial=placed.trial[spikes],
        unit=new[placed.unit[spikes]],
        frame=placed.frame[spikes],
        sampling_frequency=placed.sampling_frequency,
        trial_frames=placed.trial_frames,
        gap_frames=placed.gap_frames,
        refractory_period_ms=placed.refractory_period_ms[kept],
        forced_violations=placed.forced_violations[kept],
    )
    return chosen, amplitudes[spikes]


def _counts_hash(counts: SpikeCounts) -> str:
    return hashlib.sha256(counts.counts.tobytes()).hexdigest()
