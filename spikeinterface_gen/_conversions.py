"""The methods of SpikeCounts that turn it into objects of other packages, and these into it.

They are only the doors: each imports its converter when called, so that a SpikeCounts needs none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy.typing as npt

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    import neo
    import pandas as pd
    from spikeinterface.core import BaseSorting

    from spikeinterface_gen.counts import SpikeCounts


class Conversions:
    """From and to Neo, SpikeInterface and NWB; see :class:`spikeinterface_gen.SpikeCounts`."""

    @classmethod
    def from_neo(
        cls,
        data: neo.Block | neo.Segment | Sequence[Any],
        bin_size_ms: float,
        *,
        window_s: float | None = None,
        unit_key: str | None = None,
        sampling_frequency: float | None = None,
        covariates: Mapping[str, npt.ArrayLike] | None = None,
        unit_properties: Mapping[str, npt.ArrayLike] | None = None,
    ) -> SpikeCounts:
        """Count the spikes of Neo spike trains: each segment is a trial.

        A trial spans the time that all trains of its segment cover; a warning says where they disagree.
        A bin at the end that is not full is left out. A unit without a train in some trial is silent
        there. Annotations of segments become covariates, those of trains (and of a block's groups) unit
        properties, where all have them.

        Parameters
        ----------
        data : neo.Block, neo.Segment or sequence
            A block; one segment; a sequence of segments; a sequence of spike trains (one trial) or of
            such sequences (a trial each). Times may be in any unit and start anywhere.
        bin_size_ms : float
            Width of a bin in ms.
        window_s : float, optional
            Cut each segment into windows of this length, which become the trials and have no common time
            origin. What remains after the last whole window is left out.
        unit_key : str, optional
            Annotation (or "name") that tells which trains are one unit. Default: ``unit_id`` where all
            trains have it, else their names where these are distinct, else their position.
        sampling_frequency : float, optional
            Frames per second to which times are rounded, in Hz. Default: the ``sampling_rate`` of the
            trains (the highest), or 30 kHz where they state none.
        covariates, unit_properties : mapping, optional
            Added to those found, and preferred to them; see :class:`SpikeCounts`.

        Returns
        -------
        SpikeCounts
            With ``refractory_period_ms`` and ``short_interval_counts`` among its unit properties, and with
            ``t_starts_s`` unless all segments start at the same time, each having its own clock.

        Raises
        ------
        TypeError, ValueError
            If ``data`` is something else or empty, if trains of a segment have no time in common or the
            same unit twice, if units cannot be matched, or if a segment is shorter than a bin.
        """
        from spikeinterface_gen.convert.from_neo import from_neo

        return from_neo(
            data,
            bin_size_ms,
            window_s=window_s,
            unit_key=unit_key,
            sampling_frequency=sampling_frequency,
            covariates=covariates,
            unit_properties=unit_properties,
        )

    @classmethod
    def from_sorting(
        cls,
        sorting: BaseSorting,
        bin_size_ms: float,
        *,
        trials: npt.ArrayLike | pd.DataFrame | None = None,
        window_s: float | None = None,
        durations_s: npt.ArrayLike | None = None,
        covariates: Mapping[str, npt.ArrayLike] | None = None,
        unit_properties: Mapping[str, npt.ArrayLike] | None = None,
    ) -> SpikeCounts:
        """Count the spikes of a SpikeInterface sorting: each segment, trial or window is a trial.

        Parameters
        ----------
        sorting : BaseSorting
            Its properties become unit properties, its annotations annotations.
        bin_size_ms : float
            Width of a bin in ms. A bin at the end of a trial that is not full is left out.
        trials : array of shape (trials, 2), or DataFrame, optional
            Start and stop of each trial in s, on the sorting's clock; they may overlap. A DataFrame has
            columns ``start`` and ``stop`` (or ``start_time``, ``stop_time``), with more than one segment
            also ``segment_index``; its other columns become covariates. Default: each segment is a trial.
        window_s : float, optional
            Cut each segment into windows of this length instead, which have no common time origin. What
            remains after the last whole window is left out.
        durations_s : array of shape (segments,), optional
            Length of the segments in s, where the sorting has no recording registered. Needed when
            segments are trials; otherwise a segment then ends with its last spike.
        covariates, unit_properties : mapping, optional
            Added to those found, and preferred to them; see :class:`SpikeCounts`.

        Returns
        -------
        SpikeCounts
            With ``refractory_period_ms`` and ``short_interval_counts`` among its unit properties.

        Raises
        ------
        TypeError, ValueError
            If ``sorting`` is none or has no unit, if a trial stops before it starts, lies outside its
            segment or is shorter than a bin, or if a duration is needed and unknown.
        """
        from spikeinterface_gen.convert.from_sorting import from_sorting

        return from_sorting(
            sorting,
            bin_size_ms,
            trials=trials,
            window_s=window_s,
            durations_s=durations_s,
            covariates=covariates,
            unit_properties=unit_properties,
        )

    @classmethod
    def from_nwb(
        cls,
        path: str | Path,
        bin_size_ms: float,
        *,
        window_s: float | None = None,
        align_to: str | None = None,
        around_s: tuple[float, float] | None = None,
        sampling_frequency: float | None = None,
        covariates: Mapping[str, npt.ArrayLike] | None = None,
        unit_properties: Mapping[str, npt.ArrayLike] | None = None,
    ) -> SpikeCounts:
        """Count the spikes of an NWB file with a ``units`` table, as DANDI has them.

        Each row of the ``trials`` table is a trial, its columns become covariates; columns of ``units``
        become unit properties. Trials in which some unit was not observed (``obs_intervals``) are left out
        with a warning.

        Parameters
        ----------
        path : str or path
        bin_size_ms : float
            Width of a bin in ms. A bin at the end of a trial that is not full is left out.
        window_s : float, optional
            Do without trials: cut the time in which all units were observed into windows of this length,
            which have no common time origin.
        align_to : str, optional
            Column of the trials with the time of an event in s. Trials where it is NaN are left out.
        around_s : tuple of float, optional
            Start and stop relative to that event in s, such as ``(-0.25, 0.45)``.
        sampling_frequency : float, optional
            Frames per second to which times are rounded, in Hz. Default: what the units table states, or
            30 kHz.
        covariates, unit_properties : mapping, optional
            Added to those found, and preferred to them; see :class:`SpikeCounts`.

        Returns
        -------
        SpikeCounts
            With ``refractory_period_ms`` and ``short_interval_counts`` among its unit properties, and
            ``area`` where units or electrodes have a location.

        Raises
        ------
        ImportError
            If pynwb is missing: ``pip install 'spikeinterface-gen[nwb]'``.
        FileNotFoundError, ValueError
            If there is no such file, it is no NWB file, has no units, or no trials where they are needed.
        """
        from spikeinterface_gen.convert.from_nwb import from_nwb

        return from_nwb(
            path,
            bin_size_ms,
            window_s=window_s,
            align_to=align_to,
            around_s=around_s,
            sampling_frequency=sampling_frequency,
            covariates=covariates,
            unit_properties=unit_properties,
        )

    def to_neo(
        self,
        *,
        sampling_frequency: float = 30000.0,
        seed: int | None = 0,
        time: Literal["session", "trial"] = "session",
        watermark_key: str | bytes | None = None,
    ) -> neo.Block:
        """Place the spikes in their bins and return a Neo block.

        One Segment per trial holds one SpikeTrain per unit; one Group per unit holds its trains across
        trials. Trains are annotated with ``unit_id``, ``trial`` and unit properties, segments with
        ``trial`` and covariates (those that vary within trials are analog signals), the block with
        ``annotations``. SpikeTrains are made when they are first looked at.

        Parameters
        ----------
        sampling_frequency : float
            Frames per second, in Hz; every spike time is a whole number of frames after its trial's start.
        seed : int or None
            Of the placement; None draws one. It is kept as the annotation ``placement_seed``.
        time : {"session", "trial"}
            Where ``t_starts_s`` is known: whether a trial starts there, or at 0 with its start in the
            session as an annotation. Trials are comparable bin by bin (a PSTH, say) with "trial".
        watermark_key : str or bytes, optional
            Mark the placement, for :func:`spikeinterface_gen.find_watermark` to find by the same key.

        Returns
        -------
        neo.Block
            ``SpikeCounts.from_neo`` gives the same counts back.
        """
        from spikeinterface_gen.convert.to_neo import to_neo

        return to_neo(
            cast("SpikeCounts", self),
            sampling_frequency=sampling_frequency,
            seed=seed,
            time=time,
            watermark_key=watermark_key,
        )

    def to_sorting(
        self,
        *,
        sampling_frequency: float = 30000.0,
        seed: int | None = 0,
        layout: Literal["trials", "session"] = "trials",
        gap_s: float = 0.0,
        watermark_key: str | bytes | None = None,
    ) -> BaseSorting:
        """Place the spikes in their bins and return a SpikeInterface sorting.

        Unit properties become properties and ``annotations`` annotations; a sorting has no place for
        covariates.

        Parameters
        ----------
        sampling_frequency : float
            Frames per second, in Hz.
        seed : int or None
            Of the placement; None draws one. It is kept as the annotation ``placement_seed``.
        layout : {"trials", "session"}
            One segment per trial, which starts at ``t_starts_s`` where known, or one segment with all
            trials end to end, whose annotation ``trials`` lists their starts and stops in s.
        gap_s : float
            Pause between trials of the layout "session", in s.
        watermark_key : str or bytes, optional
            Mark the placement, for :func:`spikeinterface_gen.find_watermark` to find by the same key.

        Returns
        -------
        BaseSorting
            In memory; it pickles, and ``save`` writes it. ``SpikeCounts.from_sorting`` gives the same
            counts back, with ``trials=sorting.get_annotation("trials")`` for the layout "session".
        """
        from spikeinterface_gen.convert.to_sorting import to_sorting

        return to_sorting(
            cast("SpikeCounts", self),
            sampling_frequency=sampling_frequency,
            seed=seed,
            layout=layout,
            gap_s=gap_s,
            watermark_key=watermark_key,
        )

    def to_nwb(
        self,
        path: str | Path,
        *,
        sampling_frequency: float = 30000.0,
        seed: int | None = 0,
        session_description: str | None = None,
        session_start_time: datetime | None = None,
        watermark_key: str | bytes | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Place the spikes in their bins and write an NWB file with ``units`` and ``trials``.

        That the data are synthetic stands in the description, in the keywords, in a column of the units,
        and with model, seed and versions in the notes.

        Parameters
        ----------
        path : str or path
        sampling_frequency : float
            Frames per second, in Hz.
        seed : int or None
            Of the placement; None draws one, which the notes keep.
        session_description : str, optional
        session_start_time : datetime, optional
            Time 0 of the file. Default: now.
        watermark_key : str or bytes, optional
            Mark the placement, for :func:`spikeinterface_gen.find_watermark` to find by the same key.
        overwrite : bool
            Whether a file that is there is replaced, once the new one is complete.

        Returns
        -------
        Path
            ``SpikeCounts.from_nwb`` gives the same counts back. Trials lie where they were recorded
            (``t_starts_s``), unless that is unknown or they overlap; then end to end.

        Raises
        ------
        ImportError
            If pynwb is missing.
        FileExistsError
            If there is a file, unless ``overwrite``.
        """
        from spikeinterface_gen.convert.to_nwb import to_nwb

        return to_nwb(
            cast("SpikeCounts", self),
            path,
            sampling_frequency=sampling_frequency,
            seed=seed,
            session_description=session_description,
            session_start_time=session_start_time,
            watermark_key=watermark_key,
            overwrite=overwrite,
        )
