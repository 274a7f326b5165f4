"""Figures of spikes, and the style of all figures.

Real spikes are blue, synthetic ones vermilion and the floor (other real trials) grey: colours of Okabe and
Ito (2008), told apart with any colour vision. Figures are made without pyplot, so that nothing is left open.
Those of validation reports are in :mod:`spikeinterface_gen.validation.figures`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.validation.distances import check_same_population
from spikeinterface_gen.validation.interspike import interior_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "FLOOR",
    "REAL",
    "SYNTHETIC",
    "draw_rasters",
    "figure_style",
    "new_figure",
    "plot_rasters",
    "whole_numbers",
]

REAL, SYNTHETIC, FLOOR = "#0072B2", "#D55E00", "#8C8C8C"
COLOURS = {"real": REAL, "synthetic": SYNTHETIC, "other real": FLOOR}
_STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "mathtext.default": "regular",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "figure.dpi": 110,
    "savefig.dpi": 150,
    "svg.fonttype": "none",
}


def plot_rasters(
    real: SpikeCounts,
    synthetic: SpikeCounts,
    *,
    num_trials: int = 3,
    first_trial: int = 0,
    max_units: int | None = None,
) -> Figure:
    """Draw spikes of a few real trials beside spikes of as many synthetic ones.

    Parameters
    ----------
    real, synthetic : SpikeCounts
        The same units and bin size.
    num_trials : int
        Trials of either side, one after the other.
    first_trial : int
        The first of them.
    max_units : int, optional
        Draw only the units with the highest real rates.

    Returns
    -------
    matplotlib.figure.Figure
        Units are sorted by their real rate, the fastest at the bottom, on both sides alike.
    """
    check_same_population(real, synthetic)
    with figure_style():
        figure = new_figure(10.0, 4.5)
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        draw_rasters(left, right, real, synthetic, num_trials, first_trial, max_units)
    return figure


def draw_rasters(
    left: Axes,
    right: Axes,
    real: SpikeCounts,
    synthetic: SpikeCounts,
    num_trials: int,
    first_trial: int,
    max_units: int | None,
) -> None:
    """Draw spikes of real and of synthetic trials, as :func:`plot_rasters` does, into axes that share theirs."""
    order = np.argsort(-real.rates_hz, kind="stable")[:max_units]
    sides = [counts[first_trial : first_trial + num_trials] for counts in (real, synthetic)]
    # The axes are shared: one scale for both, also where trials differ in length.
    duration = max(chosen.max_bins * chosen.bin_size_ms for chosen in sides)
    end = max(chosen.num_trials for chosen in sides) * duration
    for ax, counts, chosen, name in ((left, real, sides[0], "Real"), (right, synthetic, sides[1], "Synthetic")):
        train, times = interior_times(chosen.counts[:, :, order])
        trial, row = np.divmod(train, len(order))
        # Rasters of many units would be grey: thin marks, and smaller ones the more there are.
        ax.plot(
            trial * duration + times * chosen.bin_size_ms,
            row,
            linestyle="none",
            marker="|",
            markersize=float(np.clip(300 / len(order), 1.2, 6)),
            markeredgewidth=0.8,
            color=COLOURS[name.lower()],
            rasterized=True,
        )
        for border in range(1, chosen.num_trials):
            ax.axvline(border * duration, color="black", linewidth=0.8)
        ax.set(
            title=f"{name}: trials {first_trial + 1} to {first_trial + chosen.num_trials} of {counts.num_trials}, "
            f"{counts.rates_hz[order].mean():.1f} Hz on average",
            xlabel="time, trials end to end (ms)",
            xlim=(0, end),
            ylim=(-1, len(order)),
        )
    left.set_ylabel("unit, fastest at the bottom")
    whole_numbers(left.yaxis)


def whole_numbers(axis: Axis) -> None:
    """Put ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def new_figure(width: float, height: float) -> Figure:
    """A figure of this size in inches that pyplot does not know of."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def figure_style() -> Any:
    """Context in which figures have the style of this package."""
    from matplotlib import rc_context

    return rc_context(_STYLE)
