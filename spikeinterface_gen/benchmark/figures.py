"""The figure of a study: what sorters make of each kind of spiking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikeinterface_gen.benchmark.effects import effects_table
from spikeinterface_gen.benchmark.tables import collision_table, performance_table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from spikeinterface_gen.benchmark.study import GenerativeSorterStudy

__all__ = ["plot_study"]

# Told apart with any colour vision (Okabe & Ito).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_CORRELATION_BINS = 6


def plot_study(study: GenerativeSorterStudy) -> Figure:
    """Draw accuracy by kind, effects with intervals, recall in collisions against correlation, and run times.

    Parameters
    ----------
    study : GenerativeSorterStudy
        At least one run.
    """
    from matplotlib.figure import Figure

    table = performance_table(study)
    kinds, sorters = list(dict.fromkeys(table["kind"])), list(dict.fromkeys(table["sorter"]))
    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    axes = figure.subplots(2, 2)
    _accuracies(axes[0, 0], table, sorters, kinds)
    reference = "permuted" if "permuted" in kinds else kinds[0]
    if len(kinds) > 1:
        _effects(axes[0, 1], effects_table(table, reference=reference), sorters, kinds, reference)
    else:
        axes[0, 1].set_axis_off()
    _collisions(axes[1, 0], collision_table(study), kinds)
    _run_times(axes[1, 1], table, sorters, kinds)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(kinds), frameon=False)
    return figure


def _accuracies(axis: Axes, table: pd.DataFrame, sorters: list[str], kinds: list[str]) -> None:
    width = 0.8 / len(kinds)
    for s, sorter in enumerate(sorters):
        for k, kind in enumerate(kinds):
            values = table.loc[(table["sorter"] == sorter) & (table["kind"] == kind), "accuracy"].to_numpy()
            centre = s + (k - 0.5 * (len(kinds) - 1)) * width
            spread = centre + 0.35 * width * np.linspace(-1.0, 1.0, max(len(values), 2))[: len(values)]
            axis.plot(spread, np.sort(values), ".", ms=3, alpha=0.5, color=_colour(k))
            label = kind.replace("_", " ") if s == 0 else None
            axis.plot(
                [centre - 0.4 * width, centre + 0.4 * width], [values.mean()] * 2, color=_colour(k), lw=2.5, label=label
            )
    axis.set(xticks=range(len(sorters)), xticklabels=sorters, ylabel="accuracy", title="Units and their mean")


def _effects(axis: Axes, effects: pd.DataFrame, sorters: list[str], kinds: list[str], reference: str) -> None:
    others = [kind for kind in kinds if kind != reference]
    for row in effects.itertuples():
        y = sorters.index(row.sorter) + (others.index(row.kind) - 0.5 * (len(others) - 1)) * 0.2
        colour = _colour(kinds.index(row.kind))
        axis.plot([row.bootstrap_low, row.bootstrap_high], [y - 0.05] * 2, color=colour, lw=1)
        axis.plot([row.low, row.high], [y, y], color=colour, lw=3)
        axis.plot(row.effect, y, "o", color=colour)
    axis.axvline(0.0, color="0.6", lw=1, zorder=0)
    axis.set(
        yticks=range(len(sorters)),
        yticklabels=sorters,
        xlabel=f"accuracy minus that of {reference.replace('_', ' ')}",
        title="Effects, 95 % intervals (thin: bootstrap)",
    )
    axis.set_ylim(len(sorters) - 0.5, -0.5)


def _collisions(axis: Axes, collisions: pd.DataFrame, kinds: list[str]) -> None:
    known = collisions.dropna(subset=["recall_collision", "correlation"])
    for k, kind in enumerate(kinds):
        own = known[known["kind"] == kind]
        if len(own) < _CORRELATION_BINS:
            continue
        order = np.argsort(own["correlation"].to_numpy())
        for part in (own.iloc[rows] for rows in np.array_split(order, _CORRELATION_BINS)):
            weights = part["num_collisions"].to_numpy()
            centre = part["correlation"].median()
            axis.plot(centre, np.average(part["recall_collision"], weights=weights), "o", color=_colour(k))
            axis.plot(centre, part["recall_alone"].mean(), "_", color=_colour(k), ms=10)
    axis.set(
        xlabel="correlation of the two spike trains",
        ylabel="recall",
        title="Spikes in collision (dots) and alone (dashes)",
    )


def _run_times(axis: Axes, table: pd.DataFrame, sorters: list[str], kinds: list[str]) -> None:
    runs = table.drop_duplicates(["sorter", "kind", "repeat"])
    for s, sorter in enumerate(sorters):
        for k, kind in enumerate(kinds):
            times = runs.loc[(runs["sorter"] == sorter) & (runs["kind"] == kind), "run_time_s"].to_numpy()
            centre = s + (k - 0.5 * (len(kinds) - 1)) * 0.8 / len(kinds)
            axis.plot(np.full(len(times), centre), times, "o", ms=4, color=_colour(k))
    axis.set(xticks=range(len(sorters)), xticklabels=sorters, ylabel="s", title="Run time of a sorter")
    axis.set_ylim(bottom=0.0)


def _colour(k: int) -> str:
    return _COLOURS[k % len(_COLOURS)]
