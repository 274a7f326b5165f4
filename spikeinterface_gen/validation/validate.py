"""How far synthetic spikes can be trusted, in one call: :func:`validate`."""

from __future__ import annotations

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.validation.breakdown import by_area, by_condition, conditions, skipped_covariates
from spikeinterface_gen.validation.comparison import Comparison, compare_metrics
from spikeinterface_gen.validation.copies import num_copies
from spikeinterface_gen.validation.decoding import UseReport
from spikeinterface_gen.validation.design import Design, equal_number
from spikeinterface_gen.validation.distances import check_same_population
from spikeinterface_gen.validation.estimates import Estimate, summarise
from spikeinterface_gen.validation.layout import MAX_CORRELATION_UNITS, MAX_PAIR_UNITS, Layout
from spikeinterface_gen.validation.lengths import alike_in_length
from spikeinterface_gen.validation.metrics import METRICS, PAPER_METRICS
from spikeinterface_gen.validation.permutation import LEVEL, MaximumTest, permutation_test
from spikeinterface_gen.validation.privacy import membership_inference
from spikeinterface_gen.validation.profile import correlation_groups, profile
from spikeinterface_gen.validation.report import ValidationReport, maybe_swapped
from spikeinterface_gen.validation.two_sample import Encoder, TwoSampleReport, two_sample_tests
from spikeinterface_gen.validation.use import use_of
from spikeinterface_gen.validation.words import SWAPPED

__all__ = ["validate"]


def validate(
    real: SpikeCounts,
    synthetic: SpikeCounts,
    *,
    train: SpikeCounts | None = None,
    encoder: Encoder | None = None,
    num_splits: int = 20,
    num_permutations: int = 199,
    num_lags: int | None = None,
    seed: int = 0,
    paper: bool = False,
    thorough: bool = True,
) -> ValidationReport:
    """Compare synthetic spikes with real ones, each statistic beside what real trials would reach.

    Parameters
    ----------
    real : SpikeCounts
        Trials that the model never saw.
    synthetic : SpikeCounts
        Of the same units and bin size. Where one side has more trials, equally many are drawn of both for
        every split.
    train : SpikeCounts, optional
        The real trials that the model was fitted to. Floors are then distances of training from ``real``
        trials, at most half of ``train`` at a time, and memorisation is tested. Without it, ``real`` is halved.
    encoder : Encoder, optional
        What turns trials into latents, such as a fitted model other than the one tested: adds the Fréchet distance of
        latents to the tests of whole trials.
    num_splits : int
        Random splits, at least 2.
    num_permutations : int
        Random relabellings of real and synthetic trials behind ``flagged``, at least 99.
    num_lags : int, optional
        Lags of auto- and cross-correlograms, in bins, fewer than the longest trial has. Default: 10, and no more than
        half of a trial. Time and memory for cross-correlograms grow with it.
    seed : int
        The splits and relabellings follow from it.
    paper : bool
        The four metrics of the LDNS paper as published; see :mod:`spikeinterface_gen.validation.distances`.
    thorough : bool
        Test whole trials too (:func:`two_sample_tests`), and with ``train`` what synthetic trials teach
        (:func:`co_smoothing`, :func:`decode_covariate`).

    Returns
    -------
    ValidationReport

    Raises
    ------
    TypeError
        If a side is no SpikeCounts.
    ValueError
        If the populations differ in units or bin size, if ``real`` and ``train`` share trials, if there are too few
        trials for any floor, or trials are too short for so many lags.

    Examples
    --------
    >>> from spikeinterface_gen.models.psth import PSTHPoisson
    >>> rng = np.random.Generator(np.random.PCG64(0))
    >>> recorded = SpikeCounts(rng.poisson(0.3, (60, 20, 4)), bin_size_ms=10.0)
    >>> train, real = recorded.split((0.5, 0.5))
    >>> report = validate(real, PSTHPoisson().fit(train).sample(30, seed=0), train=train)
    >>> bool(report.table.loc["rate", "flagged"])
    False
    """
    if num_splits < 2:
        raise ValueError(f"num_splits must be at least 2; got {num_splits}.")
    if num_permutations < 99:
        raise ValueError(f"num_permutations must be at least 99 for a test at 5 %; got {num_permutations}.")
    check_same_population(real, synthetic)
    if train is not None:
        check_same_population(real, train, "train")
        shared = num_copies(real, train)
        if shared:
            raise ValueError(
                f"{shared} of the {real.num_trials} trials of real are in train as well; real must hold trials that "
                "the model never saw: split first (counts.split), or leave train out."
            )
    num_train = None if train is None else train.num_trials
    number = equal_number(real.num_trials, synthetic.num_trials, num_train)
    if number < 1:
        raise ValueError(
            f"{real.num_trials} real and {num_train or 'no'} training trials are too few for a floor; "
            "it needs two trials in train, or without it two in real."
        )
    real, synthetic, train, notes = alike_in_length(real, synthetic, train)
    if maybe_swapped(real, synthetic):
        notes.append(SWAPPED)
    if num_lags is not None and not 1 <= num_lags < real.max_bins:
        raise ValueError(
            f"num_lags must lie between 1 and {real.max_bins - 1}, for trials of {real.max_bins} bins; got {num_lags}."
        )
    sides = [counts for counts in (real, synthetic, train) if counts is not None]
    layout = Layout.of(*sides, num_lags=num_lags, seed=seed)
    design = Design(real, synthetic, train, number, seed=seed, layout=layout)
    metrics = {**METRICS, **(PAPER_METRICS if paper else {})}
    if not layout.trial_locked:
        locked = [metric.label for metric in metrics.values() if metric.needs_time_origin]
        notes.append(f"Left out, because trials share no time origin: {', '.join(locked)}.")
        metrics = {name: metric for name, metric in metrics.items() if not metric.needs_time_origin}
    test = permutation_test(metrics, design, num_permutations=num_permutations)
    comparisons, left_out = compare_metrics(metrics, design, test, num_splits=num_splits)
    averages, of_averages = _averages(design, comparisons)
    parts, of_parts = by_area(design, real.unit_properties["area"]) if "area" in real.unit_properties else ([], [])
    of_conditions, of_rare = by_condition(real, synthetic, train, conditions(real, synthetic), seed, num_lags)
    of_parts += skipped_covariates(real, synthetic) + of_rare
    copies = num_copies(synthetic, *(side for side in (real, train) if side is not None))
    membership = None
    if train is not None and min(real.num_trials, train.num_trials) >= 3:
        membership = membership_inference(synthetic, train, real, seed=seed)
    whole_trials: TwoSampleReport | None = None
    use: list[UseReport] = []
    of_extras: list[str] = []
    if thorough:
        whole_trials, of_extras = _whole_trials(real, synthetic, train, encoder, num_permutations, num_splits, seed)
        if train is not None:
            use, of_use = use_of(train, synthetic, real, seed=seed)
            of_extras += of_use

    notes += [
        f"Left out is {', '.join(metrics[name].label for name, why in left_out.items() if why == reason)}: {reason}."
        for reason in dict.fromkeys(left_out.values())
    ]
    notes += _notes(layout, test, comparisons) + of_averages + of_parts + of_extras
    if train is not None and membership is None:
        notes.append("Memorisation was not tested: fewer than 3 training or held-out trials.")
    first = design.splits(1)[0]
    everything = design.statistics(design.everything(design.real))[0]
    groups = correlation_groups(everything.correlations(), len(layout.correlation_units))
    groups = [layout.correlation_units[group] for group in groups]
    shown = dict(zip(("real", "synthetic", "other real"), design.statistics(np.stack(first)), strict=True))
    return ValidationReport(
        comparisons=comparisons,
        test=test,
        averages=averages,
        parts=parts + of_conditions,
        num_copies=copies,
        membership=membership,
        whole_trials=whole_trials,
        use=use,
        notes=notes,
        real=real,
        synthetic=synthetic,
        profiles={name: profile(side, groups) for name, side in shown.items()},
        groups=groups,
        num_trials=number,
        num_splits=num_splits,
        seed=seed,
        has_train=train is not None,
    )


def _whole_trials(
    real: SpikeCounts,
    synthetic: SpikeCounts,
    train: SpikeCounts | None,
    encoder: Encoder | None,
    num_permutations: int,
    num_splits: int,
    seed: int,
) -> tuple[TwoSampleReport | None, list[str]]:
    try:
        report = two_sample_tests(
            real,
            synthetic,
            train=train,
            encoder=encoder,
            num_permutations=num_permutations,
            num_splits=num_splits,
            seed=seed,
        )
    except ValueError as error:
        # The populations are known to fit each other: there is too little to compare. What is wrong with an encoder
        # is for who gave it.
        if encoder is not None:
            raise
        return None, [f"Whole trials were not compared: {error}"]
    return report, []


def _averages(
    design: Design, comparisons: dict[str, Comparison]
) -> tuple[dict[str, tuple[Estimate, Estimate]], list[str]]:
    """Each statistic on average, with its interval, where groups of trials allow one; and what is left out."""
    metrics = [c.metric for c in comparisons.values()]
    found: dict[str, tuple[Estimate, Estimate]] = {}
    # A single group has nothing to be compared with.
    if design.number > 1:
        real, synthetic = (summarise(design, side, metrics) for side in (design.real, design.synthetic))
        found = {name: (real[name], synthetic[name]) for name in comparisons}
    defined = {name: sides for name, sides in found.items() if all(np.isfinite(side.high) for side in sides)}
    labels = [c.metric.label for name, c in comparisons.items() if name not in defined]
    if not labels:
        return defined, []
    if not defined:
        return defined, ["Too few trials for averages with intervals."]
    return defined, [f"Too few trials for averages with intervals of: {', '.join(labels)}."]


def _notes(layout: Layout, test: MaximumTest, comparisons: dict[str, Comparison]) -> list[str]:
    notes = []
    if not test.is_possible:
        notes.append(f"Nothing could be flagged: so few trials cannot show any difference at {100 * LEVEL:g} %.")
    if layout.num_units > MAX_CORRELATION_UNITS:
        notes.append(f"Pairwise correlations are of {MAX_CORRELATION_UNITS} units, evenly spread over all.")
    if layout.num_units > MAX_PAIR_UNITS:
        notes.append(f"All else that is of pairs or triplets is of {MAX_PAIR_UNITS} units, evenly spread over all.")
    floorless = [c.metric.label for c in comparisons.values() if not np.isfinite(c.ratio)]
    if floorless:
        notes.append(f"Without a ratio, because most real trials do not differ in it at all: {', '.join(floorless)}.")
    left_out = [
        f"{c.metric.label} ({c.num_left_out} {c.metric.elements})" for c in comparisons.values() if c.num_left_out
    ]
    if left_out:
        notes.append(f"Left out on all sides, because one has too few spikes, in: {', '.join(left_out)}.")
    return notes
