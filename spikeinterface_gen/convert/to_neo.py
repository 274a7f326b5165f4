"""SpikeCounts to a Neo block: one Segment per trial, one Group per unit.

Spike times are placed into the bins by :func:`spikeinterface_gen.observation.spike_times.place_spikes`;
counting them again gives the counts back, exactly.
"""

from __future__ import annotations

from typing import Any, Literal

import neo
import numpy as np
import quantities as pq

from spikeinterface_gen.convert.lazy_trains import SegmentTrains, UnitTrains
from spikeinterface_gen.convert.metadata import plain, plain_entries, provenance_marks
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.observation.spike_times import PlacedSpikes, place_spikes
from spikeinterface_gen.randomness import resolve_seed

__all__ = ["SESSION_START_KEY", "TRIAL_ORIGIN_KEY", "block_of_placed_spikes", "to_neo"]

SESSION_START_KEY = "session_t_start_s"
"""Annotation of a segment that has a clock of its own: where it started in the session, in s."""

TRIAL_ORIGIN_KEY = "trial_origin_s"
"""Annotation of counts whose trials have clocks of their own: what these show at the start, in s."""


def to_neo(
    counts: SpikeCounts,
    *,
    sampling_frequency: float = 30000.0,
    seed: int | None = 0,
    time: Literal["session", "trial"] = "session",
    watermark_key: str | bytes | None = None,
) -> neo.Block:
    """Place the spikes and return them as a block; see :meth:`SpikeCounts.to_neo`."""
    seed = resolve_seed(seed)
    placed = place_spikes(counts, sampling_frequency=sampling_frequency, seed=seed, watermark_key=watermark_key)
    return block_of_placed_spikes(counts, placed, time=time, placement_seed=seed, watermarked=watermark_key is not None)


def block_of_placed_spikes(
    counts: SpikeCounts,
    placed: PlacedSpikes,
    *,
    time: Literal["session", "trial"] = "session",
    **annotations: Any,
) -> neo.Block:
    """Return the block of spikes that are placed already.

    Parameters
    ----------
    counts : SpikeCounts
        Where trials, units and all that is known about them come from.
    placed : PlacedSpikes
        Spikes with these counts.
    time : {"session", "trial"}
        As in :meth:`SpikeCounts.to_neo`.
    **annotations
        More annotations of the block.

    Raises
    ------
    ValueError
        If ``time`` is neither of the two.
    """
    if time not in ("session", "trial"):
        raise ValueError(f"time must be 'session' or 'trial'; got {time!r}.")
    marks = provenance_marks(counts.annotations)
    block = neo.Block(
        name="synthetic spikes" if marks else "spikes",
        description="Spike times placed into binned counts.",
        **{
            **plain_entries(counts.annotations),
            "bin_size_ms": counts.bin_size_ms,
            "sampling_frequency": placed.sampling_frequency,
            "spike_times_placed": True,
            **annotations,
        },
    )

    names = [str(unit_id) for unit_id in counts.unit_ids]
    units = [_unit_annotations(counts, k) for k in range(counts.num_units)]
    # What is an array cannot be told from an annotation of every spike: it stays with the group.
    on_trains = [{key: value for key, value in unit.items() if not isinstance(value, list)} for unit in units]
    session_starts_s = counts.t_starts_s
    origin_s = float(counts.annotations.get(TRIAL_ORIGIN_KEY, 0.0))
    order = np.lexsort((placed.frame, placed.unit, placed.trial))
    train = placed.trial[order] * counts.num_units + placed.unit[order]
    offsets_s = placed.frame[order] / placed.sampling_frequency
    bounds = np.searchsorted(train, np.arange(counts.num_trials * counts.num_units + 1))

    for trial in range(counts.num_trials):
        t_start_s = origin_s
        if session_starts_s is not None and time == "session":
            t_start_s = float(session_starts_s[trial])
        known = {name: plain(value[trial]) for name, value in counts.covariates.items() if value.ndim < 3}
        if session_starts_s is not None and time == "trial":
            known[SESSION_START_KEY] = float(session_starts_s[trial])
        segment = neo.Segment(
            name=f"trial {trial}", index=trial, **known, trial=trial, spike_times_placed=True, **marks
        )
        own = bounds[trial * counts.num_units : (trial + 1) * counts.num_units + 1]
        segment._set_object_list(
            "_spiketrains",
            SegmentTrains(
                segment,
                t_start_s + offsets_s[own[0] : own[-1]],
                own - own[0],
                t_start_s,
                t_start_s + float(placed.trial_frames[trial] / placed.sampling_frequency),
                placed.sampling_frequency,
                names,
                on_trains,
                {"trial": trial, **marks},
            ),
        )
        _add_signals(segment, counts, trial, t_start_s)
        block.segments.append(segment)

    for k in range(counts.num_units):
        group = neo.Group(name=names[k], allowed_types=(neo.SpikeTrain,), **units[k], **marks)
        group._set_object_list("_spiketrains", UnitTrains(block.segments, k))
        block.groups.append(group)
    return block


def _unit_annotations(counts: SpikeCounts, position: int) -> dict[str, Any]:
    """What is known about a unit, as plain values."""
    known = {name: plain(value[position]) for name, value in counts.unit_properties.items()}
    return {**known, "unit_id": plain(counts.unit_ids[position])}


def _add_signals(segment: neo.Segment, counts: SpikeCounts, trial: int, t_start_s: float) -> None:
    """Covariates that vary within the trial become analog signals, one sample a bin."""
    for name, value in counts.covariates.items():
        if value.ndim == 3:
            signal = neo.AnalogSignal(
                value[trial, : counts.num_bins[trial]].astype(float),
                units="dimensionless",
                t_start=t_start_s * pq.s,
                sampling_period=counts.bin_size_ms * pq.ms,
                name=name,
                covariate=True,
            )
            signal.segment = segment
            segment.analogsignals.append(signal)
