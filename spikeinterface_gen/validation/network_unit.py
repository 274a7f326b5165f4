"""Recorded and synthetic populations as models of NetworkUnit, whose tests then run on them.

NetworkUnit (https://github.com/INM-6/NetworkUnit, ``pip install "spikeinterface-gen[networkunit]"``) compares
network models, statistic by statistic, through Elephant: a test, paired with a score, judges two models::

    from networkunit import scores, tests

    class rate_test(tests.TestM2M, tests.firing_rate_test):
        score_type = scores.ks_distance

    real = network_unit_model(recorded_block, name="recorded")
    synthetic = network_unit_model(counts, name="synthetic")
    score = rate_test().judge([real, synthetic]).iloc[0, 1]

It knows neither trials nor floors: :func:`~spikeinterface_gen.validate` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

if TYPE_CHECKING:
    import neo

__all__ = ["network_unit_model", "unit_trains"]


def network_unit_model(
    population: SpikeCounts | neo.Block, *, name: str, trials: Literal["joined", "each"] = "joined"
) -> Any:
    """Return a population as a model that NetworkUnit's tests can judge.

    Parameters
    ----------
    population : SpikeCounts or neo.Block
        Of a block, every segment is a trial that holds the same units in the same order.
    name : str
        Name of the model in tables of scores.
    trials : {"joined", "each"}
        "joined": one train per unit, with its trials end to end, for rates, correlations and spectra. "each": one
        train per unit and trial, for statistics of intervals, of which those across trials would be none.

    Returns
    -------
    sciunit.Model
        With the capability ``ProducesSpikeTrains``.

    Raises
    ------
    ImportError
        If NetworkUnit is not installed.
    TypeError, ValueError
        As of :func:`unit_trains`.
    """
    try:
        import sciunit
        from networkunit.capabilities.ProducesSpikeTrains import ProducesSpikeTrains
    except ImportError as error:
        raise ImportError(
            'network_unit_model needs NetworkUnit: pip install "spikeinterface-gen[networkunit]".'
        ) from error
    trains = unit_trains(population, trials=trials)

    class RecordedPopulation(sciunit.Model, ProducesSpikeTrains):
        def produce_spiketrains(self, **_: Any) -> list[neo.SpikeTrain]:
            return trains

    return RecordedPopulation(name=name)


def unit_trains(
    population: SpikeCounts | neo.Block, *, trials: Literal["joined", "each"] = "joined"
) -> list[neo.SpikeTrain]:
    """Return the trains of a population in one list, as NetworkUnit and much of Elephant want them.

    Parameters
    ----------
    population, trials
        See :func:`network_unit_model`.

    Returns
    -------
    list of neo.SpikeTrain
        "joined": of all units, each from 0 s to the length of all trials together. "each": of all units of the
        first trial, then of the second, and so on, each from 0 s to the end of its trial. In s, with the
        annotations of the unit, and ``synthetic=True`` where the population is.

    Raises
    ------
    TypeError
        If ``population`` is something else.
    ValueError
        If segments of the block differ in their number of units or hold none, or ``trials`` is neither of the two.
    """
    import neo

    if trials not in ("joined", "each"):
        raise ValueError(f"trials must be 'joined' or 'each'; got {trials!r}.")
    block = population.to_neo(time="trial") if isinstance(population, SpikeCounts) else population
    if not isinstance(block, neo.Block):
        raise TypeError(
            f"population must be a SpikeCounts or a neo.Block; got {type(population).__name__}. "
            "SpikeCounts.from_sorting(sorting, …) makes the former of a SpikeInterface sorting."
        )
    by_trial = [list(segment.spiketrains) for segment in block.segments]
    sizes = {len(trains) for trains in by_trial}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(
            f"every segment must hold the same units, at least one; the segments hold {sorted(sizes)} trains. "
            "SpikeCounts.from_neo(block, …) matches units by their names."
        )
    starts_s = [max(_seconds(train.t_start) for train in trains) for trains in by_trial]
    lengths_s = [
        min(_seconds(train.t_stop) for train in trains) - start
        for trains, start in zip(by_trial, starts_s, strict=True)
    ]
    times_s = [
        [_within(train, start, length) for train in trains]
        for trains, start, length in zip(by_trial, starts_s, lengths_s, strict=True)
    ]
    if trials == "each":
        return [
            neo.SpikeTrain(times, t_stop=length, units="s", **train.annotations)
            for trains, found, length in zip(by_trial, times_s, lengths_s, strict=True)
            for train, times in zip(trains, found, strict=True)
        ]
    offsets_s = np.concatenate([[0.0], np.cumsum(lengths_s)])
    joined = []
    for unit, train in enumerate(by_trial[0]):
        times = np.concatenate([found[unit] + offset for found, offset in zip(times_s, offsets_s[:-1], strict=True)])
        known = {key: value for key, value in train.annotations.items() if key != "trial"}
        joined.append(neo.SpikeTrain(times, t_stop=offsets_s[-1], units="s", **known))
    return joined


def _seconds(time: Any) -> float:
    return float(time.rescale("s").magnitude)


def _within(train: neo.SpikeTrain, start_s: float, length_s: float) -> np.ndarray:
    """Times since the start of the trial in s, of the spikes within it."""
    times = train.rescale("s").magnitude - start_s
    return times[(times >= 0.0) & (times <= length_s)]
