"""What :func:`~spikeinterface_gen.validate` found: tables, words, figures and a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.provenance import is_synthetic
from spikeinterface_gen.validation.breakdown import Part
from spikeinterface_gen.validation.comparison import Comparison
from spikeinterface_gen.validation.decoding import UseReport
from spikeinterface_gen.validation.estimates import Estimate
from spikeinterface_gen.validation.permutation import MaximumTest
from spikeinterface_gen.validation.privacy import Membership
from spikeinterface_gen.validation.profile import Profile
from spikeinterface_gen.validation.two_sample import TwoSampleReport

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["ValidationReport", "maybe_swapped"]

_COLUMNS = "value floor ratio low high flagged p detectable excess agreement of_ceiling n elements unit".split()


def maybe_swapped(real: SpikeCounts, synthetic: SpikeCounts) -> bool:
    """Whether the real trials say that they are synthetic, and the synthetic ones do not."""
    return is_synthetic(real) and not is_synthetic(synthetic)


@dataclass(frozen=True)
class ValidationReport:
    """Result of :func:`~spikeinterface_gen.validate`.

    Attributes
    ----------
    comparisons : dict from str to Comparison
        What the rows of :attr:`table` were made of, with the values of all splits.
    test : MaximumTest
        The permutation test behind what is flagged.
    averages : dict from str to (Estimate, Estimate)
        Each statistic on average over its elements, of real and of synthetic trials, with jackknife intervals.
    parts : list of Part
        The same distances by area and by condition, where known.
    num_copies : int
        Synthetic trials that equal a real or training trial spike by spike.
    membership : Membership or None
        Whether the model memorised; None without ``train``.
    whole_trials : TwoSampleReport or None
        Two-sample tests of whole trials, at 5 % for themselves; None where trials are too few.
    use : list of UseReport
        What decoders learn from synthetic trials; empty without ``train``.
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
    test: MaximumTest
    averages: dict[str, tuple[Estimate, Estimate]]
    parts: list[Part]
    num_copies: int
    membership: Membership | None
    whole_trials: TwoSampleReport | None
    use: list[UseReport]
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
        ``flagged``: the permutation test of the maximum over all metrics tells the trials apart by this one, with
        adjusted probability ``p`` at most 0.05 (memorisation, which shares these 5 %, is in :attr:`flagged`);
        ``detectable``: the smallest difference beyond sampling noise that it would flag in four cases out of five, in
        the unit of value and floor; ``excess`` and ``agreement``: see
        :mod:`spikeinterface_gen.validation.reliability`; ``of_ceiling``: plain correlation of real and synthetic
        values, as a share of that of real and other real ones; ``n`` of what ``elements`` says; ``unit`` of value and
        floor.
        """
        import pandas as pd

        rows = [
            (
                *(c.value, c.floor, c.ratio, c.low, c.high, c.flagged, c.p, c.detectable),
                *(c.excess, c.agreement, c.of_ceiling, c.num_elements, c.metric.elements, c.metric.unit),
            )
            for c in self.comparisons.values()
        ]
        return pd.DataFrame(rows, index=pd.Index(self.comparisons, name="metric"), columns=_COLUMNS)

    @property
    def statistics(self) -> pd.DataFrame:
        """What each statistic is on average over units, pairs or bins: real and synthetic, with 95 % intervals.

        By the grouped jackknife over trials, of up to three times ``num_trials`` of either side.
        """
        import pandas as pd

        columns = pd.MultiIndex.from_product([("real", "synthetic"), ("value", "low", "high")])
        rows = [
            [float(number) for side in sides for number in (side.value, side.low, side.high)]
            for sides in self.averages.values()
        ]
        return pd.DataFrame(rows, index=pd.Index(self.averages, name="metric"), columns=columns, dtype=float)

    @property
    def by_part(self) -> pd.DataFrame:
        """Value, floor and ratio of some metrics within each area and each condition, where these are known."""
        import pandas as pd

        rows = [(p.of, p.name, p.metric.name, p.value, p.floor, p.ratio, p.num_elements) for p in self.parts]
        table = pd.DataFrame(rows, columns=["of", "part", "metric", "value", "floor", "ratio", "n"])
        return table.set_index(["of", "part", "metric"])

    @property
    def memorised(self) -> bool:
        """Whether synthetic trials are copies of real ones, or give away which trials the model was trained on.

        Without ``train``: or are closer to real trials, as a whole, than fresh ones would be. At 1 %.
        """
        if self.membership is not None:
            return self.num_copies > 0 or self.membership.found
        return self.num_copies > 0 or (self.whole_trials is not None and self.whole_trials.too_close)

    @property
    def maybe_swapped(self) -> bool:
        """Whether only the trials given as real say that they are synthetic."""
        return maybe_swapped(self.real, self.synthetic)

    @property
    def flagged(self) -> list[str]:
        """Names of what tells synthetic from fresh real trials: "memorisation", metrics, the most conspicuous first.

        Anything at all in at most 5 % of cases where there is nothing to find.
        """
        flagged = [c for c in self.comparisons.values() if c.flagged]
        memorised = ["memorisation"] if self.memorised else []
        return memorised + [c.metric.name for c in sorted(flagged, key=lambda c: -c.score)]

    def summary(self) -> str:
        """Return what was found, the verdict first, in one paragraph that a methods section could carry."""
        from spikeinterface_gen.validation.words import summary

        return summary(self)

    def plot(self) -> Figure:
        """Return one page of figures."""
        from spikeinterface_gen.validation.figures import plot_validation

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
        return (
            f"ValidationReport: {len(self.comparisons)} metrics on {self.num_trials} trials a side, "
            f"{len(self.flagged)} flagged; see .table, .statistics, .by_part, .whole_trials, .use, .membership, "
            ".summary(), .plot(), .to_html(path)"
        )
