"""How far synthetic spikes can be trusted, in one call: :func:`validate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.validation.comparison import Comparison, compare_metric
from spikeinterface_gen.validation.distances import (
    MAX_CORRELOGRAM_UNITS,
    METRICS,
    PAPER_METRICS,
    check_same_population,
    draw_split,
    equal_number,
)
from spikeinterface_gen.validation.privacy import Membership, membership_inference
from spikeinterface_gen.validation.profile import Profile, correlation_groups, profile
from spikeinterface_gen.validation.statistics import TrialStatistics, default_num_lags

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["ValidationReport", "validate"]

_COLUMNS = "value floor ratio low high flagged excess agreement of_ceiling n elements unit".split()


@dataclass(frozen=True)
class ValidationReport:
    """Result of :func:`validate`.

    Attributes
    ----------
    comparisons : dict from str to Comparison
        What the rows of :attr:`table` were made of, with the values of all splits.
    membership : Membership or None
        Whether the model memorised; None without ``train``.
    notes : list of str
        What was left out or cut, and why.
    real, synthetic : SpikeCounts
        What was compared.
    profiles : dict from str to Profile
        "real", "synthetic" and "other real": what the figures show, of the trials of the first split.
    groups : list of array
        Positions of the units in the groups of the correlograms.
    num_trials, num_splits, seed : int
        Trials on either side of every comparison, number of splits, and the seed that they follow from.
    has_train : bool
        Whether floors are of training trials against ``real``, rather than of halves of ``real``.
    """

    comparisons: dict[str, Comparison]
    membership: Membership | None
    notes: list[str]
    real: SpikeCounts
    synthetic: SpikeCounts
    profiles: dict[str, Profile]
    groups: list[np.ndarray]
    num_trials: int
    num_splits: int
    seed: int
    has_train: bool

    @property
    def table(self) -> pd.DataFrame:
        """One row a metric.

        ``value``: distance of synthetic from real trials; ``floor``: of other real trials from them;
        ``ratio`` of the two (all three medians over the splits) and its 95 % interval ``low`` to ``high``;
        ``flagged``: ``low`` is above 1; ``excess`` and ``agreement``: see
        :mod:`spikeinterface_gen.validation.reliability`; ``of_ceiling``: plain correlation of real and
        synthetic values, as a share of that of real and other real ones; ``n`` of what ``elements`` says;
        ``unit`` of value and floor.
        """
        import pandas as pd

        rows = [
            (
                *(c.value, c.floor, c.ratio, c.low, c.high, c.flagged, c.excess, c.agreement, c.of_ceiling),
                *(c.num_elements, c.metric.elements, c.metric.unit),
            )
            for c in self.comparisons.values()
        ]
        return pd.DataFrame(rows, index=pd.Index(self.comparisons, name="metric"), columns=_COLUMNS)

    def summary(self) -> str:
        """Return what was found, in one paragraph that a methods section could carry."""
        flagged = [c.metric.label for c in self.comparisons.values() if c.flagged]
        passed = [c.metric.label for c in self.comparisons.values() if not c.flagged]
        floor = "held-out and training trials" if self.has_train else "two halves of the real trials"
        parts = [
            f"{self.num_trials} synthetic trials{self._source()} were compared with as many real trials of "
            f"{self.real.num_units} units in bins of {self.real.bin_size_ms:g} ms. Each distance is given beside its "
            f"floor, the distance between equally many {floor} (median of the ratio over {self.num_splits} random "
            "splits, 95 % interval in brackets)."
        ]
        for name in PAPER_METRICS:
            if name in self.comparisons:
                c = self.comparisons[name]
                parts.append(f"{_capital(c.metric.label)}: {c.ratio:.2f} × floor [{c.low:.2f}, {c.high:.2f}].")
        correlation = self.comparisons.get("correlation")
        if correlation is not None and np.isfinite(correlation.agreement):
            parts.append(
                "Corrected for sampling noise, synthetic and real pairwise correlations agree at "
                f"{correlation.agreement:.2f}, and differ by {correlation.excess:.2f} s.d. of the real ones."
            )
        if flagged:
            parts.append(f"Further from real trials than real trials are from one another: {', '.join(flagged)}.")
        if passed:
            parts.append(f"Not told apart from real trials by: {', '.join(passed)}.")
        parts.append(
            f"(Each of the {len(self.comparisons)} metrics is tested for itself, at 2.5 % false alarms.)"
            if self.comparisons
            else "No metric could be computed."
        )
        if self.membership is not None:
            parts.append(self.membership.summary())
        parts.extend(self.notes)
        return " ".join(parts)

    def plot(self) -> Figure:
        """Return one page of figures."""
        from spikeinterface_gen.plotting import plot_validation

        return plot_validation(self)

    def to_html(self, path: str | Path) -> Path:
        """Write one self-contained page with summary, table and figures; return its path.

        An existing page is replaced only once the new one is complete.
        """
        from spikeinterface_gen.validation.page import write_page

        return write_page(self, Path(path))

    def _repr_html_(self) -> str:
        from spikeinterface_gen.validation.page import table_html

        return table_html(self)

    def __repr__(self) -> str:
        flagged = sum(c.flagged for c in self.comparisons.values())
        return (
            f"ValidationReport: {len(self.comparisons)} metrics on {self.num_trials} trials a side, {flagged} flagged; "
            "see .table, .summary(), .plot(), .to_html(path)"
        )

    def _source(self) -> str:
        annotations = self.synthetic.annotations
        if "model" not in annotations:
            return ""
        seed = f", seed {annotations['seed']}" if "seed" in annotations else ""
        return f" ({annotations['model']}{seed})"


def validate(
    real: SpikeCounts,
    synthetic: SpikeCounts,
    *,
    train: SpikeCounts | None = None,
    num_splits: int = 20,
    seed: int = 0,
    paper: bool = False,
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
    num_splits : int
        Random splits, at least 2.
    seed : int
        The splits follow from it.
    paper : bool
        The four metrics of the LDNS paper as published; see :mod:`spikeinterface_gen.validation.distances`.

    Returns
    -------
    ValidationReport

    Raises
    ------
    ValueError
        If the populations differ in units or bin size, or there are too few trials for any floor.

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
    check_same_population(real, synthetic)
    if train is not None:
        check_same_population(real, train, "train")
    num_train = None if train is None else train.num_trials
    number = equal_number(real.num_trials, synthetic.num_trials, num_train)
    if number < 1:
        raise ValueError(
            f"{real.num_trials} real and {num_train or 'no'} training trials are too few for a floor; "
            "it needs two trials in train, or without it two in real."
        )
    real, synthetic, train, notes = _same_longest(real, synthetic, train)
    given = [counts for counts in (real, synthetic, train) if counts is not None]
    window = min(int(counts.num_bins.min()) for counts in given)
    sides = [TrialStatistics(counts, window_bins=window, num_lags=default_num_lags(real.max_bins)) for counts in given]
    ours, theirs, others = sides[0], sides[1], sides[-1] if train is not None else sides[0]
    splits = [draw_split(number, real.num_trials, synthetic.num_trials, num_train, seed, k) for k in range(num_splits)]

    comparisons: dict[str, Comparison] = {}
    for name, metric in {**METRICS, **(PAPER_METRICS if paper else {})}.items():
        outcome = compare_metric(metric, ours, theirs, others, splits, seed=seed)
        if isinstance(outcome, str):
            notes.append(f"{_capital(metric.label)} is left out: {outcome}.")
            continue
        comparisons[name] = outcome

    if real.num_units > MAX_CORRELOGRAM_UNITS:
        notes.append(f"Cross-correlograms are of {MAX_CORRELOGRAM_UNITS} units, evenly spread over all.")
    left_out = [
        f"{c.metric.label} ({c.num_left_out} {c.metric.elements})" for c in comparisons.values() if c.num_left_out
    ]
    if left_out:
        notes.append(f"Left out on all sides, because one has too few spikes, in: {', '.join(left_out)}.")

    membership = None
    if train is not None:
        if min(real.num_trials, train.num_trials) >= 3:
            membership = membership_inference(synthetic, train, real, seed=seed)
        else:
            notes.append("Memorisation was not tested: fewer than 3 training or held-out trials.")
    first = splits[0]
    groups = correlation_groups(ours.correlations(), real.num_units)
    return ValidationReport(
        comparisons=comparisons,
        membership=membership,
        notes=notes,
        real=real,
        synthetic=synthetic,
        profiles={
            "real": profile(ours, first.real, groups),
            "synthetic": profile(theirs, first.synthetic, groups),
            "other real": profile(others, first.other_real, groups),
        },
        groups=groups,
        num_trials=number,
        num_splits=num_splits,
        seed=seed,
        has_train=train is not None,
    )


def _same_longest(
    real: SpikeCounts, synthetic: SpikeCounts, train: SpikeCounts | None
) -> tuple[SpikeCounts, SpikeCounts, SpikeCounts | None, list[str]]:
    """Cut all to the shortest of the longest trials: longer ones would hold longer intervals."""
    given = [counts for counts in (real, synthetic, train) if counts is not None]
    longest = min(counts.max_bins for counts in given)
    notes = []
    if any(counts.max_bins > longest for counts in given):
        notes.append(f"Trials were cut to their first {longest} bins, the longest trial that all sides have.")
    cut = [_first_bins(counts, longest) for counts in given]
    return cut[0], cut[1], cut[2] if train is not None else None, notes


def _first_bins(counts: SpikeCounts, num_bins: int) -> SpikeCounts:
    if counts.max_bins <= num_bins:
        return counts
    return SpikeCounts(
        counts.counts[:, :num_bins],
        counts.bin_size_ms,
        unit_ids=counts.unit_ids,
        num_bins=np.minimum(counts.num_bins, num_bins),
        unit_properties=counts.unit_properties,
        t_starts_s=counts.t_starts_s,
        trial_locked=counts.trial_locked,
        annotations=counts.annotations,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
