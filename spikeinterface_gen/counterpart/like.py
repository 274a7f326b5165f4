"""A synthetic object in place of a recorded one: the same kind and structure, other spikes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from spikeinterface_gen.convert.from_sorting import trial_windows
from spikeinterface_gen.convert.stretches import whole_window_bins
from spikeinterface_gen.counterpart.drawing import Source, check_units, draw, source_of
from spikeinterface_gen.counterpart.pieces import Pieces, Recorded, segments_as_trials, trials_and_gaps, windows
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.randomness import resolve_seed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["synthesize_like"]

_DEFAULT_BIN_MS = 10.0
_DEFAULT_WINDOW_S = 2.0

# With fewer segments than this they are taken for continuous recordings, and with fewer windows these are shorter.
_ENOUGH_TRIALS = 10
_ENOUGH_WINDOWS = 20

Kind = TypeVar("Kind")


def synthesize_like(
    obj: Kind,
    model: Any = None,
    *,
    seed: int | None = None,
    bin_size_ms: float | None = None,
    trials: npt.ArrayLike | pd.DataFrame | None = None,
    window_s: float | None = None,
    max_minutes: float | None = None,
    unit_key: str | None = None,
    durations_s: npt.ArrayLike | None = None,
    watermark_key: str | bytes | None = None,
    folder: str | Path | None = None,
    overwrite: bool = False,
    extensions: Sequence[str] | None = None,
    **rendering: Any,
) -> Kind:
    """Return a synthetic object of the same kind and structure: code that ran on the recorded one runs on it.

    A model is fitted to the spikes, or a given one is used, and what it draws takes their place. The rest stays:
    segments, unit ids, names, annotations, groups, events and epochs of a Neo block; unit of time, ``t_start``,
    ``t_stop`` and type of numbers of each spike train; segments, properties and start times of a sorting; templates,
    probe, noise, channel ids, sparsity and extensions of an analyzer. Everything says that it is synthetic
    (:func:`~spikeinterface_gen.is_synthetic`).

    Parameters
    ----------
    obj : neo.Block, neo.Segment, list of neo.SpikeTrain, BaseSorting or SortingAnalyzer
        What was recorded. Lists of segments, and lists of lists of spike trains (a trial each), are taken too.
    model : model, str or path, optional
        A fitted model that knows these units; the folder of a saved one; or one that is not fitted yet, which is
        fitted in place. Default: :class:`~spikeinterface_gen.LDNS`, fitted.
    seed : int, optional
        Of fit, draw, spike times and noise. None draws one, which the annotations keep.
    bin_size_ms : float, optional
        Width of the bins that spikes are counted in, in ms. Default: that of a fitted model, else 10 ms.
    trials : array of shape (trials, 2), or DataFrame, optional
        Trials within the segments, as :meth:`SpikeCounts.from_sorting` takes them: start and stop in s, on the clock
        of the data. Each is drawn where it was recorded, to the nearest bin; what lies between is filled with other
        trials of the model, cut to fit.
    window_s : float, optional
        Take segments for continuous recordings and cut them into windows of this length, in whole bins. Default:
        segments are trials where there are at least 10, or where a model of trials is given; else windows of 2 s
        (less where that makes fewer than 20), or as long as those that the given model was fitted to.
    max_minutes : float, optional
        Bounds the fit of the default model.
    unit_key : str, optional
        For Neo: annotation (or "name") that tells which trains are one unit, as in :meth:`SpikeCounts.from_neo`.
    durations_s : array of shape (segments,), optional
        For sortings without a recording: length of the segments in s. Default, for a continuous one: to its last
        spike.
    watermark_key : str or bytes, optional
        Mark the spike times, for :func:`~spikeinterface_gen.find_watermark` to find by the same key.
    folder : str or path, optional
        For an analyzer: where the session is saved that its recording is rendered from. Default: a folder of its
        own in :func:`spikeinterface_gen.session.cache_folder`, which is printed.
    overwrite : bool
        For an analyzer: whether a session that is in ``folder`` is replaced.
    extensions : sequence of str, optional
        For an analyzer: which of its extensions are computed for the new one. Default: all, with the same parameters.
    **rendering
        For an analyzer: ``motion`` and the numbers that :func:`~spikeinterface_gen.generate_from_counts` takes, such
        as ``amplitude_variation=0.05``.

    Returns
    -------
    object
        Of the same kind. A sorting is held in memory; an analyzer too, and its ``recording`` is rendered when read.

    Raises
    ------
    TypeError
        If ``obj`` or ``model`` is of another kind, or an option does not apply to it.
    ValueError
        If the model does not know the units or has other bins, if trials overlap or lie outside the data, if a
        duration is needed and unknown, or if templates are missing.
    FileExistsError
        If there is something at ``folder``, unless it is a session and ``overwrite``.

    Notes
    -----
    Continuous recordings are drawn in windows that are joined. Refractory periods hold across the borders, but
    latents begin anew there: what is slower than a window is not in the synthetic data, and correlations over a lag
    *l* are too small by the share *l* / ``window_s`` of pairs of bins that a border comes between. Choose windows that
    are long against the lags of interest.

    Annotations of segments stay as recorded. A conditional model draws each trial for the covariates that it was fitted
    to and that the recorded trial has (annotations of its segment, columns of ``trials``), and for its time in the
    session. Other models draw without regard to them: a difference between conditions is then not in the synthetic
    data.

    Array annotations and waveforms have one entry a spike; synthetic spikes carry those of recorded spikes of the same
    unit, drawn at random. Signals of a block are copies of the recorded ones, and a sorting keeps the recording that
    is registered with it, for durations and times.

    Examples
    --------
    >>> import neo
    >>> import numpy as np
    >>> from spikeinterface_gen import synthesize_like
    >>> from spikeinterface_gen.models.psth import PSTHPoisson
    >>> times_ms = np.arange(0.0, 9000.0, 70.0)
    >>> trains = [neo.SpikeTrain(times_ms, units="ms", t_stop=9000.0, name=f"unit {k}") for k in range(5)]
    >>> synthetic = synthesize_like(trains, PSTHPoisson(), seed=1)
    >>> synthetic[3].name, synthetic[3].t_stop
    ('unit 3', array(9000.) * ms)
    """
    options = {
        "unit_key": unit_key,
        "durations_s": durations_s,
        "folder": folder,
        "overwrite": overwrite or None,
        "extensions": extensions,
    }
    data = _opened(obj, {name: value for name, value in options.items() if value is not None}, rendering)
    if trials is not None and window_s is not None:
        raise ValueError("trials and window_s exclude each other: give the times of trials, or one length for all.")
    if max_minutes is not None and model is not None:
        raise TypeError("max_minutes bounds the fit of the default model; fit the given one with it beforehand.")
    seed = resolve_seed(seed)
    source = source_of(model)
    bin_ms = _bin_size_ms(source, bin_size_ms)
    cut_into = _cut_into(source, data.num_segments, trials, window_s)
    recorded = data.read(bin_ms, continuous=cut_into != "segments")
    check_units(source, recorded.counts.unit_ids)
    pieces = _pieces(cut_into, source, recorded, trials, window_s)
    if not source.fitted:
        settings = {"seed": seed, "max_minutes": max_minutes} if model is None else {}
        source.model.fit(pieces.cut(recorded), **settings)
    drawn = draw(source.model, pieces.num_bins, bin_ms, recorded.counts.unit_ids, seed, pieces.known(recorded))
    return data.with_counts(pieces.joined(drawn, recorded), recorded, seed, watermark_key)


class _Opened(Protocol):
    """A recorded object, to be read, and made again with other spikes."""

    @property
    def num_segments(self) -> int:
        """Number of its segments."""

    def read(self, bin_size_ms: float, *, continuous: bool) -> Recorded:
        """Count the spikes of the segments."""

    def with_counts(self, counts: SpikeCounts, recorded: Recorded, seed: int, watermark_key: str | bytes | None) -> Any:
        """Return an object of the same kind with spikes that have these counts, a trial a segment."""


def _opened(obj: Any, options: dict[str, Any], rendering: dict[str, Any]) -> _Opened:
    """Tell what was given, and that the options apply to it."""
    from spikeinterface.core import BaseRecording, BaseSorting, SortingAnalyzer

    if isinstance(obj, SortingAnalyzer):
        from spikeinterface_gen.counterpart.sortings import RecordedAnalyzer

        _check_options(options, ("folder", "overwrite", "extensions"), "an analyzer")
        return RecordedAnalyzer(obj, rendering, **options)
    if isinstance(obj, BaseSorting):
        from spikeinterface_gen.counterpart.sortings import RecordedSorting

        _check_options(options | rendering, ("durations_s",), "a sorting")
        return RecordedSorting(obj, **options)
    if isinstance(obj, BaseRecording):
        raise TypeError(
            "obj is a recording, in which nothing says where the spikes are; give its sorting, or a SortingAnalyzer of "
            "both to have traces drawn too."
        )
    if isinstance(obj, SpikeCounts):
        raise TypeError(
            "obj is a SpikeCounts; fit a model and sample it: LDNS().fit(counts).sample(len(counts)) is a SpikeCounts."
        )
    from spikeinterface_gen.counterpart.neo_objects import RecordedNeo

    _check_options(options | rendering, ("unit_key",), "Neo objects")
    return RecordedNeo(obj, **options)


def _check_options(options: dict[str, Any], apply: tuple[str, ...], words: str) -> None:
    unfit = [name for name in options if name not in apply]
    if unfit:
        raise TypeError(f"{unfit[0]} does not apply to {words}. Leave it out.")


def _bin_size_ms(source: Source, bin_size_ms: float | None) -> float:
    if source.bin_size_ms is None:
        return _DEFAULT_BIN_MS if bin_size_ms is None else bin_size_ms
    if bin_size_ms is not None and not np.isclose(bin_size_ms, source.bin_size_ms):
        raise ValueError(
            f"bin_size_ms={bin_size_ms:g} was asked for, and the model was fitted to {source.bin_size_ms:g} ms; "
            "leave bin_size_ms out to take these, or leave model out to have one fitted."
        )
    return source.bin_size_ms


def _cut_into(source: Source, num_segments: int, trials: Any, window_s: float | None) -> str:
    """Whether pieces are whole "segments", "trials" within them, or "windows"."""
    if source.trial_locked is False and trials is not None:
        raise ValueError(
            "trials are given, and the model was fitted to windows without a common time origin; leave model out, or "
            "give one that was fitted to trials."
        )
    if source.trial_locked and window_s is not None:
        raise ValueError(
            f"window_s={window_s:g} was asked for, and the model was fitted to trials with a common time origin; leave "
            "model out, or give one that was fitted to windows (SpikeCounts.from_…(window_s=…))."
        )
    if trials is not None:
        return "trials"
    if window_s is not None:
        return "windows"
    locked = num_segments >= _ENOUGH_TRIALS if source.trial_locked is None else source.trial_locked
    return "segments" if locked else "windows"


def _pieces(cut_into: str, source: Source, recorded: Recorded, trials: Any, window_s: float | None) -> Pieces:
    counts = recorded.counts
    if cut_into == "segments":
        return segments_as_trials(recorded)
    if cut_into == "trials":
        return trials_and_gaps(recorded, trial_windows(trials, counts.num_trials))
    if window_s is not None:
        return windows(recorded, whole_window_bins(window_s, counts.bin_size_ms))
    if source.longest_bins is not None:
        return windows(recorded, min(source.longest_bins, int(counts.num_bins.max())))
    usual = round(1000.0 * _DEFAULT_WINDOW_S / counts.bin_size_ms)
    return windows(recorded, max(1, min(usual, int(counts.num_bins.sum()) // _ENOUGH_WINDOWS)))
