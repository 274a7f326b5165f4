"""Recordings that differ from a given one in how their units fire together, and in nothing else.

The kinds::

    as_is                the recording itself
    permuted             the trials of each unit in an order of its own: the same trains of every unit, spike by
                         spike with their amplitudes, but whatever ties units together within a trial is gone
    psth_poisson         independent Poisson units that follow their average over trials
    homogeneous_poisson  independent Poisson units of constant rate

Probe, templates, drift, noise (to the bit) and rates are the same in all four. What they share beside, by
chance or by the trial's time course, is their own matter: whether joint firing counts is the difference
between the first two.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.frames import count_spikes
from spikeinterface_gen.observation.draw import draw_poisson
from spikeinterface_gen.observation.spike_times import PlacedSpikes, place_spikes
from spikeinterface_gen.randomness import resolve_seed, uniforms
from spikeinterface_gen.rendering.amplitudes import spike_amplitudes
from spikeinterface_gen.session import unused_folder
from spikeinterface_gen.session_files import check_target
from spikeinterface_gen.session_writing import write_session

if TYPE_CHECKING:
    from spikeinterface_gen.extractors import GenerativeRecordingExtractor
    from spikeinterface_gen.session import Session

__all__ = ["CONTROLS", "make_controls"]

CONTROLS = ("as_is", "permuted", "psth_poisson", "homogeneous_poisson")

# Tries to move a spike train whose first spike comes too soon after the trial before.
_TRIES = 50


def make_controls(
    recording: GenerativeRecordingExtractor,
    kinds: Sequence[str] = CONTROLS,
    seed: int | None = None,
    *,
    folder: str | Path | None = None,
    overwrite: bool = False,
) -> dict[str, GenerativeRecordingExtractor]:
    """Make recordings with the same templates, noise and rates, whose units fire together less and less.

    Parameters
    ----------
    recording : GenerativeRecordingExtractor
        From :func:`~spikeinterface_gen.generate_with_ldns`, say.
    kinds : sequence of str
        Of "as_is", "permuted", "psth_poisson", "homogeneous_poisson"; see
        :mod:`spikeinterface_gen.benchmark.controls`.
    seed : int, optional
        Of permutations and Poisson draws. None draws one; the annotations hold it.
    folder : str or path, optional
        Each control is a session in a folder of its name in here. Default: beside other sessions in
        :func:`spikeinterface_gen.session.cache_folder`, which is printed.
    overwrite : bool
        Whether sessions that are there already are replaced.

    Returns
    -------
    dict
        Kind → recording, in the layout of the one given and in the order of ``kinds``.

    Raises
    ------
    TypeError, ValueError
        If the recording is not ours, a kind is unknown or named twice, or the trials cannot be permuted
        because no two are of one length.
    FileExistsError
        If something is there that may not be replaced.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from spikeinterface_gen import SpikeCounts, generate_from_counts, make_controls
    >>> counts = SpikeCounts(np.ones((6, 20, 4), dtype=int), bin_size_ms=20.0)
    >>> home = tempfile.mkdtemp()
    >>> recording = generate_from_counts(counts, seed=0, folder=home + "/session")
    >>> controls = make_controls(recording, seed=1, folder=home + "/controls")
    >>> list(controls)
    ['as_is', 'permuted', 'psth_poisson', 'homogeneous_poisson']
    """
    from spikeinterface_gen.extractors import GenerativeRecordingExtractor

    if not isinstance(recording, GenerativeRecordingExtractor):
        raise TypeError(
            "recording must be a GenerativeRecordingExtractor, from generate_with_ldns or generate_from_counts; got "
            f"{type(recording).__name__}."
        )
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    unknown = [kind for kind in kinds if kind not in CONTROLS]
    if unknown or len(set(kinds)) != len(kinds):
        raise ValueError(f"kinds must be some of {CONTROLS}, each once; got {kinds}.")
    seed = resolve_seed(seed)
    session = recording._session
    options = dict(recording._kwargs)
    layout = options.pop("layout")
    del options["folder_path"]
    own = f"controls-of-{session.folder.name}-seed-{seed}"
    home = unused_folder(own) if folder is None else Path(folder).expanduser().absolute()
    for kind in kinds:
        if kind != "as_is":
            check_target(home / kind, overwrite=overwrite)
    controls = {}
    for kind in kinds:
        if kind == "as_is":
            controls[kind] = recording
            continue
        counts, placed, amplitudes = _spikes_of(kind, session, seed)
        marks = {"control": kind, "control_seed": seed, "control_of": session.settings["sha256"]}
        write_session(
            home / kind,
            counts.with_annotations(**marks),
            placed,
            amplitudes,
            session.scene,
            session.settings["seed"],
            overwrite=overwrite,
        )
        controls[kind] = GenerativeRecordingExtractor(home / kind, layout=layout, **options)
    if folder is None:
        print(f"Controls saved in {home}")
    return controls


def _spikes_of(kind: str, session: Session, seed: int) -> tuple[SpikeCounts, PlacedSpikes, np.ndarray]:
    if kind == "permuted":
        return _permuted(session, seed)
    from spikeinterface_gen.models.psth import HomogeneousPoisson, PSTHPoisson
    from spikeinterface_gen.provenance import provenance

    source = session.counts
    model = (PSTHPoisson() if kind == "psth_poisson" else HomogeneousPoisson()).fit(source)
    drawn = []
    for trial, length in enumerate(source.num_bins):
        expected = model.expected_counts_[:length]
        drawn.append(draw_poisson(expected, uniforms(seed, f"control, {kind}", trial, expected.shape)))
    # Intervals of the source's own histogram would not be those of a Poisson process.
    properties = {name: v for name, v in source.unit_properties.items() if name != "short_interval_counts"}
    counts = SpikeCounts(
        drawn,
        source.bin_size_ms,
        unit_ids=source.unit_ids,
        covariates=source.covariates,
        unit_properties=properties,
        t_starts_s=source.t_starts_s,
        trial_locked=source.trial_locked,
        annotations={
            **source.annotations,
            **provenance(type(model).__name__, session.settings["sha256"], seed),
            "placement_seed": seed,
            "watermarked": False,
        },
    )
    gap_s = session.settings["gap_frames"] / session.sampling_frequency
    placed = place_spikes(counts, sampling_frequency=session.sampling_frequency, seed=seed, gap_s=gap_s)
    return counts, placed, spike_amplitudes(placed, session.parameters, seed)


def _permuted(session: Session, seed: int) -> tuple[SpikeCounts, PlacedSpikes, np.ndarray]:
    """The spikes with the trials of each unit in another order, among trials of one length."""
    placed, source = session.placed_spikes, session.counts
    lengths = source.num_bins
    _, place, number = np.unique(lengths, return_inverse=True, return_counts=True)
    alone = int(np.sum(number[place] == 1))
    if alone == len(lengths):
        raise ValueError(
            f"no two of the {len(lengths)} trials are of one length, so that none can take the place of another: "
            "generate the recording with durations= of one value."
        )
    if alone:
        warnings.warn(
            f"{alone} of {len(lengths)} trials share their length with no other and stay as they are, joint firing "
            "and all; generate the recording with durations= of one value to permute them too.",
            stacklevel=3,
        )
    refractory = np.maximum(1, np.ceil(placed.refractory_period_ms * session.sampling_frequency / 1000.0 - 1e-9))
    trial = placed.trial.copy()
    for unit in range(source.num_units):
        spikes = np.flatnonzero(placed.unit == unit)
        order = _trial_order(placed, lengths, spikes, int(refractory[unit]), seed, unit)
        # Place k is taken by the trial order[k]: a spike of that trial moves to k.
        trial[spikes] = np.argsort(order)[placed.trial[spikes]]
    order = np.lexsort((placed.unit, placed.frame, trial))
    moved = replace(placed, trial=trial[order], unit=placed.unit[order], frame=placed.frame[order])
    moved = replace(moved, forced_violations=_violations(moved, refractory))
    array = count_spikes(
        moved.trial,
        moved.unit,
        moved.frame,
        session.bin_edges,
        num_trials=source.num_trials,
        num_units=source.num_units,
    )
    counts = SpikeCounts(
        array,
        source.bin_size_ms,
        unit_ids=source.unit_ids,
        num_bins=lengths,
        # A trial holds spikes of as many trials as there are units: what was known about trials is not true of them.
        unit_properties=source.unit_properties,
        t_starts_s=source.t_starts_s,
        trial_locked=source.trial_locked,
        annotations=source.annotations,
    )
    return counts, moved, np.asarray(session.amplitudes)[order]


def _trial_order(
    placed: PlacedSpikes, lengths: np.ndarray, spikes: np.ndarray, refractory: int, seed: int, unit: int
) -> np.ndarray:
    """Which trial of a unit takes each place, int64, (trials,): at random, but for refractory periods across seams."""
    num_trials = len(lengths)
    order = np.arange(num_trials)
    u = uniforms(seed, "control, permuted", unit, (num_trials + num_trials * _TRIES,))
    for length in np.unique(lengths):
        places = np.flatnonzero(lengths == length)
        order[places] = places[np.argsort(u[places], kind="stable")]
    first, last = np.full(num_trials, np.inf), np.full(num_trials, -np.inf)
    np.minimum.at(first, placed.trial[spikes], placed.frame[spikes])
    np.maximum.at(last, placed.trial[spikes], placed.frame[spikes])
    starts = placed.start_frames

    def too_close(order: np.ndarray) -> np.ndarray:
        return starts[1:] + first[order[1:]] - starts[:-1] - last[order[:-1]] < refractory

    tries = iter(u[num_trials:])
    seams = np.flatnonzero(too_close(order))
    while len(seams):
        moved = False
        for draw in tries:
            place = int(seams[0]) + 1
            places = np.flatnonzero(lengths == lengths[place])
            other = order.copy()
            swapped = int(places[int(draw * len(places))])
            other[[place, swapped]] = other[[swapped, place]]
            if too_close(other).sum() < len(seams):
                order, moved = other, True
                break
        if not moved:
            break
        seams = np.flatnonzero(too_close(order))
    return order


def _violations(placed: PlacedSpikes, refractory: np.ndarray) -> np.ndarray:
    """Intervals of each unit that are shorter than its refractory period in frames, shape (units,)."""
    order = np.argsort(placed.unit, kind="stable")
    unit, frame = placed.unit[order], placed.session_frame[order]
    short = (unit[1:] == unit[:-1]) & (np.diff(frame) < refractory[unit[1:]])
    return np.bincount(unit[1:][short], minlength=len(refractory))
