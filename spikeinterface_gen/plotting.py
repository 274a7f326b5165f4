"""Figures of spikes and of validation reports. They draw what was computed elsewhere and compute nothing.

Real spikes are blue, synthetic ones vermilion and the floor (other real trials) grey: colours of Okabe and
Ito (2008), told apart with any colour vision. What is flagged has another marker besides its colour.
Figures are made without pyplot, so that nothing is left open.
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

    from spikeinterface_gen.validation.comparison import Comparison
    from spikeinterface_gen.validation.report import ValidationReport

__all__ = ["figure_style", "new_figure", "plot_rasters", "plot_validation"]

REAL, SYNTHETIC, FLOOR, FLAGGED = "#0072B2", "#D55E00", "#8C8C8C", "#AA3377"
_GROUP_STYLES = ("-", "--", "-.", ":")
_COLOURS = {"real": REAL, "synthetic": SYNTHETIC, "other real": FLOOR}
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
        _rasters(left, right, real, synthetic, num_trials, first_trial, max_units)
    return figure


def plot_validation(report: ValidationReport) -> Figure:
    """Draw a validation report on one page.

    Parameters
    ----------
    report : ValidationReport
        From :func:`~spikeinterface_gen.validation.report.validate`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with figure_style():
        figure = new_figure(11.0, 17.0)
        rows: Any = figure.subfigures(6, 1, height_ratios=[0.22, 1.3, 1, 1, 1, 1.9])
        origin = (
            "held-out against training trials" if report.has_train else "one half of the real trials against the other"
        )
        heading = (
            f"Synthetic against real spikes: {report.num_trials} trials a side, {report.real.num_units} units, "
            f"bins of {report.real.bin_size_ms:g} ms"
        )
        rows[0].text(0.01, 0.9, heading, fontsize=12, fontweight="bold", va="top")
        for name, x, words in (("real", 0.01, "real"), ("synthetic", 0.06, "synthetic"), ("other real", 0.145, origin)):
            words = f"floor: {words}" if name == "other real" else words
            rows[0].text(x, 0.25, f"■ {words}", fontsize=9, va="center", color=_COLOURS[name])

        left, right = rows[1].subplots(1, 2, sharex=True, sharey=True)
        _rasters(left, right, report.real, report.synthetic, 3, 0, None)
        population, rates, correlations = rows[2].subplots(1, 3)
        _population(population, report)
        _scatter(rates, report, "rates_hz", "Firing rate", "Hz", "rate", logarithmic=True)
        _correlations(correlations, report)
        intervals, isi_mean, isi_sd = rows[3].subplots(1, 3)
        _intervals(intervals, report)
        _scatter(isi_mean, report, "isi_mean_s", "Mean interval", "ms", "isi_mean", scale=1000.0)
        _scatter(isi_sd, report, "isi_sd_s", "S.d. of intervals", "ms", "isi_sd", scale=1000.0)
        fano, cv2, auto = rows[4].subplots(1, 3)
        _scatter(fano, report, "fano_factors", "Fano factor", "", "fano_factor", logarithmic=True)
        _scatter(cv2, report, "cv2", "CV2", "", "cv2")
        _correlograms(auto, report, "autocorrelograms", "Autocorrelogram", first_lag=1)
        cross, ratios = rows[5].subplots(1, 2, width_ratios=[1, 1.5])
        _correlograms(cross, report, "cross_correlograms", "Cross-correlogram", first_lag=0)
        _ratios(ratios, report)
    return figure


# ---- panels ----------------------------------------------------------------------------------


def _rasters(
    left: Axes,
    right: Axes,
    real: SpikeCounts,
    synthetic: SpikeCounts,
    num_trials: int,
    first_trial: int,
    max_units: int | None,
) -> None:
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
            color=_COLOURS[name.lower()],
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
    _whole_numbers(left.yaxis)


def _population(ax: Axes, report: ValidationReport) -> None:
    for name in ("other real", "real", "synthetic"):
        shares = report.profiles[name].population_shares
        ax.step(
            np.arange(len(shares)), shares, where="mid", color=_COLOURS[name], linewidth=1.3, label=_label(report, name)
        )
    _title(ax, report, "population_count", "Population spike count")
    ax.set(xlabel="spikes of all units in a bin", ylabel="share of bins", ylim=(0, None))
    occupied = [np.flatnonzero(p.population_shares > 2e-4) for p in report.profiles.values()]
    ax.set_xlim(min(o[0] for o in occupied) - 1, max(o[-1] for o in occupied) + 1)
    _whole_numbers(ax.xaxis)
    ax.legend(loc="upper right")


def _intervals(ax: Axes, report: ValidationReport) -> None:
    for name in ("other real", "real", "synthetic"):
        shares = report.profiles[name].isi_shares
        lengths = report.profiles[name].isi_lengths_bins * report.real.bin_size_ms
        shown = shares > 0
        ax.plot(lengths[shown], shares[shown], color=_COLOURS[name], linewidth=1.3, label=_label(report, name))
    _title(ax, report, "isi_distribution", "Inter-spike intervals")
    ax.set(xlabel="interval (ms)", ylabel="share for each bin, mean over units", yscale="log")


def _scatter(
    ax: Axes,
    report: ValidationReport,
    attribute: str,
    title: str,
    unit: str,
    metric: str,
    *,
    scale: float = 1.0,
    logarithmic: bool = False,
) -> None:
    real = getattr(report.profiles["real"], attribute) * scale
    sides = {name: getattr(report.profiles[name], attribute) * scale for name in ("other real", "synthetic")}
    size = float(np.clip(2000 / len(real), 2, 14))
    for name, values in sides.items():
        ax.scatter(
            real,
            values,
            s=size,
            color=_COLOURS[name],
            alpha=0.55,
            linewidths=0,
            rasterized=True,
            label=_label(report, name),
        )
    everything = np.concatenate([real, *sides.values()])
    everything = everything[np.isfinite(everything) & ((everything > 0) | (not logarithmic))]
    if everything.size:
        low, high = np.quantile(everything, [0.002, 0.998])
        margin = 0.04 * (high - low)
        limits = (low / 1.15, high * 1.15) if logarithmic else (low - margin, high + margin)
        if logarithmic:
            ax.set(xscale="log", yscale="log")
            _logarithmic(ax, *limits)
        ax.plot(limits, limits, color="black", linewidth=0.7, zorder=3)
        if limits[0] < limits[1]:
            ax.set(xlim=limits, ylim=limits)
    _title(ax, report, metric, title)
    inside = f", {unit}" if unit else ""
    ax.set(xlabel=f"real{inside}", ylabel=f"synthetic, other real{inside}")


def _correlations(ax: Axes, report: ValidationReport) -> None:
    """Pairs of units are many: shown as density, with the floor as contours beneath."""
    real, synthetic = (report.profiles[name].correlations for name in ("real", "synthetic"))
    defined = np.isfinite(real) & np.isfinite(synthetic)
    _title(ax, report, "correlation", "Pairwise correlation")
    ax.set(xlabel="real", ylabel="synthetic")
    if not defined.any():
        return
    low, high = np.quantile(np.concatenate([real[defined], synthetic[defined]]), [0.001, 0.999])
    if not low < high:
        ax.plot(real[defined], synthetic[defined], "o", color=SYNTHETIC, markersize=3)
        return
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("synthetic", ["#FBE3D2", SYNTHETIC, "#5A2500"])
    image = ax.hexbin(
        real[defined],
        synthetic[defined],
        gridsize=45,
        bins="log",
        mincnt=1,
        cmap=colours,
        extent=(low, high, low, high),
    )
    bar = ax.figure.colorbar(image, ax=ax, label="pairs", shrink=0.75, pad=0.02)
    most = max(float(np.max(np.asarray(image.get_array()))), 1.0)
    ticks = [m * 10.0**e for e in range(7) for m in (1, 2, 5) if m * 10.0**e <= most]
    bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])
    bar.minorticks_off()
    ax.plot((low, high), (low, high), color="black", linewidth=0.7)
    ax.set(xlim=(low, high), ylim=(low, high))
    comparison = report.comparisons.get("correlation")
    if comparison is not None and np.isfinite(comparison.agreement):
        ax.text(
            0.03,
            0.97,
            f"agreement, corrected for\nsampling noise: {comparison.agreement:.2f}",
            transform=ax.transAxes,
            va="top",
            fontsize=7,
        )


def _correlograms(ax: Axes, report: ValidationReport, attribute: str, title: str, *, first_lag: int) -> None:
    for name in ("other real", "real", "synthetic"):
        for values, style in zip(getattr(report.profiles[name], attribute), _GROUP_STYLES, strict=False):
            lags = (first_lag + np.arange(len(values))) * report.real.bin_size_ms
            ax.plot(lags, values, color=_COLOURS[name], linestyle=style, linewidth=1.1)
    ax.axhline(0, color="black", linewidth=0.5, zorder=0)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.45 * (high - low))  # room for the legend
    _title(ax, report, attribute.removesuffix("s"), title)
    ax.set(xlabel="lag (ms)", ylabel="coefficient, group mean")
    for k, style in enumerate(_GROUP_STYLES[: len(report.groups)]):
        strength = ("strongest", "second", "third", "weakest")[k] if len(report.groups) == 4 else f"{k + 1}"
        ax.plot([], [], color="black", linestyle=style, linewidth=1.0, label=f"{strength} quarter")
    ax.legend(loc="upper right", title="by correlation:", title_fontsize=7)


def _ratios(ax: Axes, report: ValidationReport) -> None:
    comparisons = list(report.comparisons.values())[::-1]
    for row, c in enumerate(comparisons):
        colour = FLAGGED if c.flagged else "black"
        ax.plot([max(c.low, 1e-3), max(c.high, 1e-3)], [row, row], color=colour, linewidth=1.6)
        ax.plot(max(c.ratio, 1e-3), row, "D" if c.flagged else "o", color=colour, markersize=5)
    ax.axvline(1.0, color=FLOOR, linewidth=1.2, zorder=0)
    ax.set_xscale("log")
    largest = max([2.0, *(c.high for c in comparisons if np.isfinite(c.high))])
    smallest = min([0.5, *(c.low for c in comparisons if c.low > 0)])
    ax.set(
        title="All metrics (diamonds: flagged by the permutation test)",
        xlabel=f"value / floor, median and 95 % interval over {report.num_splits} splits",
        yticks=range(len(comparisons)),
        yticklabels=[c.metric.label for c in comparisons],
        ylim=(-0.7, len(comparisons) - 0.3),
        xlim=(smallest / 1.1, largest * 1.1),
    )
    numbers = ax.secondary_yaxis("right")
    numbers.set_yticks(range(len(comparisons)), [_row(c) for c in comparisons], fontsize=7)
    numbers.spines["right"].set_visible(False)
    numbers.tick_params(length=0)
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if smallest / 1.1 <= t <= largest * 1.1]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_xticks([], minor=True)


# ---- details ---------------------------------------------------------------------------------


def _row(c: Comparison) -> str:
    unit = f" {c.metric.unit}" if c.metric.unit else ""
    ratio = f" = {c.ratio:.2f} [{c.low:.2f}, {c.high:.2f}]" if np.isfinite(c.ratio) else ""
    return f"{c.value:.3g} / {c.floor:.3g}{unit}{ratio}"


def _label(report: ValidationReport, name: str) -> str:
    return f"{name} (n = {report.profiles[name].num_trials} trials)"


def _title(ax: Axes, report: ValidationReport, metric: str, title: str) -> None:
    c = report.comparisons.get(metric)
    ax.set_title(title)
    found = "left out" if c is None else f"{c.ratio_words.split(' [')[0]}\nn = {_thousands(c)}"
    ax.set_title(found, loc="right", fontsize=7, fontweight="normal", color=FLAGGED if c and c.flagged else "black")


def _thousands(c: Comparison) -> str:
    number = f"{c.num_elements / 1000:.0f}k" if c.num_elements >= 10_000 else f"{c.num_elements}"
    return f"{number} {c.metric.elements if c.num_elements != 1 else c.metric.elements.removesuffix('s')}"


def _logarithmic(ax: Axes, low: float, high: float) -> None:
    """Logarithmic axes with plain numbers at 1, 2 and 5."""
    ticks = [m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5) if low <= m * 10.0**e <= high]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks([], minor=True)
        axis.set_ticks(ticks, [f"{t:g}" for t in ticks])


def _whole_numbers(axis: Axis) -> None:
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
