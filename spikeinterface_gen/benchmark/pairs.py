"""Recordings of a model beside their controls, several times over: what a study is made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeinterface_gen.benchmark.controls import CONTROLS, make_controls
from spikeinterface_gen.randomness import resolve_seed

if TYPE_CHECKING:
    from spikeinterface_gen.extractors import GenerativeRecordingExtractor
    from spikeinterface_gen.generation import SamplesCounts

__all__ = ["paired_recordings"]


def paired_recordings(
    model: SamplesCounts | str | Path,
    n_trials: int,
    folder: str | Path,
    *,
    repeats: int = 1,
    seed: int = 0,
    kinds: Sequence[str] = CONTROLS,
    **generation: Any,
) -> dict[tuple[str, int], GenerativeRecordingExtractor]:
    """Draw recordings and their controls; each repeat has trials, templates and noise of its own.

    Called again, it opens the sessions that are there and makes those that are not.

    Parameters
    ----------
    model : fitted model, str or path
        As in :func:`~spikeinterface_gen.generate_with_ldns`.
    n_trials : int
        Trials of each recording.
    folder : str or path
        One folder for each repeat is made in here, with one session for each kind.
    repeats : int
        How many.
    seed : int
        Repeat *k* is drawn with ``seed + k``.
    kinds : sequence of str
        As in :func:`~spikeinterface_gen.make_controls`.
    **generation
        For :func:`~spikeinterface_gen.generate_with_ldns`: ``unit_ids``, ``probe``, ``motion``,
        ``noise_level_uv``, …

    Returns
    -------
    dict
        (kind, repeat) → recording, for :func:`~spikeinterface_gen.benchmark_sorters`.

    Raises
    ------
    ValueError
        If ``repeats`` is below 1, or a session in the folder is of another seed or number of trials.
    """
    from spikeinterface_gen.extractors import GenerativeRecordingExtractor
    from spikeinterface_gen.generation import generate_with_ldns

    if repeats < 1:
        raise ValueError(f"repeats must be at least 1; got {repeats}.")
    seed, home = resolve_seed(seed), Path(folder).expanduser().absolute()
    named = {}
    for repeat in range(repeats):
        here, own_seed = home / f"repeat-{repeat}", seed + repeat
        if (here / "as_is").exists():
            recording = GenerativeRecordingExtractor(here / "as_is")
            found = (recording.get_annotation("placement_seed"), len(recording.trials))
            if found != (own_seed, n_trials):
                raise ValueError(
                    f"{here / 'as_is'} holds {found[1]} trials of seed {found[0]}, not {n_trials} of {own_seed}; "
                    "choose another folder."
                )
        else:
            recording = generate_with_ldns(model, n_trials, seed=own_seed, folder=here / "as_is", **generation)
        missing = [kind for kind in kinds if kind != "as_is" and not (here / kind).exists()]
        make_controls(recording, missing, own_seed, folder=here)
        for kind in kinds:
            named[kind, repeat] = GenerativeRecordingExtractor(here / kind)
    return named
