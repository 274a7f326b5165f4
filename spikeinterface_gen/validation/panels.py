"""Panels of single statistics. They draw what was computed elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikeinterface_gen.plotting import COLOURS, whole_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spikeinterface_gen.validation.comparison import Comparison
    from spikeinterface_gen.validation.report import ValidationReport

__all__ = [
    "clipped_interval",
    "correlograms",
    "density_levels",
    "histogram",
    "intervals",
    "pairs",
    "psth",
    "ratios",
    "scatter",
    "spectrum",
]

FLAGGED = "#AA3377"
_GROUP_STYLES = ("-", "--", "-.", ":")
_ORDER = ("other real", "real", "synthetic")
_FEW_PAIRS = 500
_GRID = 45
_FLOOR_SHARES = (0.5, 0.95)


# ---- one value a unit, pair or triplet -------------------------------------------------------


def scatter(
    ax: Axes,
    report: ValidationReport,
    attribute: str,
    metric: str,
    title: str,
    unit: str = "",
    *,
    scale: float = 1.0,
    logarithmic: bool = False,
) -> None:
    """Synthetic and other real values against real ones, a point a unit."""
    real = getattr(report.profiles["real"], attribute) * scale
    sides = {name: getattr(report.profiles[name], attribute) * scale for name in ("other real", "synthetic")}
    _title(ax, report, metric, title)
    _sides_labels(ax, unit)
    everything = np.concatenate([real, *sides.values()])
    everything = everything[np.isfinite(everything) & ((everything > 0) | (not logarithmic))]
    if not everything.size:
        return
    for name, values in sides.items():
        size = float(np.clip(2000 / len(real), 2, 14))
        ax.scatter(real, values, s=size, color=COLOURS[name], alpha=0.55, linewidths=0, rasterized=True)
    low, high = np.quantile(everything, [0.002, 0.998])
    margin = 0.04 * (high - low)
    limits = (low / 1.15, high * 1.15) if logarithmic else (low - margin, high + margin)
    if logarithmic:
        ax.set(xscale="log", yscale="log")
        _plain_numbers(ax, *limits)
    ax.plot(limits, limits, color="black", linewidth=0.7, zorder=3)
    if limits[0] < limits[1]:
        ax.set(xlim=limits, ylim=limits)


def pairs(ax: Axes, report: ValidationReport, attribute: str, metric: str, title: str) -> None:
    """Pairs are many: synthetic against real as density, other real against real as contours."""
    real, synthetic, other = (getattr(report.profiles[name], attribute) for name in ("real", "synthetic", "other real"))
    defined = np.isfinite(real) & np.isfinite(synthetic) & np.isfinite(other)
    if defined.sum() < _FEW_PAIRS:
        scatter(ax, report, attribute, metric, title)
        return
    _title(ax, report, metric, title)
    _sides_labels(ax, "")
    real, synthetic, other = real[defined], synthetic[defined], other[defined]
    low, high = np.quantile(np.concatenate([real, synthetic, other]), [0.005, 0.995])
    if not low < high:
        return
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("synthetic", ["#FBE3D2", COLOURS["synthetic"], "#5A2500"])
    extent = (low, high, low, high)
    ax.hexbin(real, synthetic, gridsize=_GRID, bins="log", mincnt=1, cmap=colours, extent=extent, rasterized=True)
    edges = np.linspace(low, high, _GRID + 1)
    density, levels = density_levels(real, other, edges)
    centres = (edges[1:] + edges[:-1]) / 2
    if levels[0] < levels[1]:
        ax.contour(centres, centres, density.T, levels=levels, colors="#333333", linewidths=1.0)
    ax.plot((low, high), (low, high), color="black", linewidth=0.7)
    ax.set(xlim=(low, high), ylim=(low, high))
    agreement = report.comparisons[metric].agreement if metric in report.comparisons else np.nan
    ax.set_xlabel(f"real; lines hold {100 * _FLOOR_SHARES[0]:g} and {100 * _FLOOR_SHARES[1]:g} %\nof the floor's pairs")
    if np.isfinite(agreement):
        box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1.0}
        ax.text(0.03, 0.98, f"agreement {agreement:.2f}", transform=ax.transAxes, va="top", fontsize=6.5, bbox=box)


def density_levels(x: np.ndarray, y: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Smoothed histogram, and the levels above which it holds 95 % and 50 % of the points, ascending."""
    from scipy.ndimage import gaussian_filter

    density = gaussian_filter(np.histogram2d(x, y, bins=(edges, edges))[0], 1.2)
    falling = np.sort(density.ravel())[::-1]
    held = np.cumsum(falling) / falling.sum()
    return density, [float(falling[np.searchsorted(held, share)]) for share in sorted(_FLOOR_SHARES, reverse=True)]


# ---- curves ----------------------------------------------------------------------------------


def histogram(ax: Axes, report: ValidationReport, attribute: str, metric: str, title: str, what: str) -> None:
    """Share of bins by a number, on a logarithmic scale, where tails are seen."""
    occupied = []
    for name in _ORDER:
        shares = getattr(report.profiles[name], attribute)
        occupied.append(np.flatnonzero(shares))
        shown = np.where(shares > 0, shares, np.nan)
        ax.step(np.arange(len(shares)), shown, where="mid", color=COLOURS[name], linewidth=1.2)
    _title(ax, report, metric, title)
    ax.set(xlabel=f"{what} in a bin", ylabel="share of bins", yscale="log")
    ax.set_xlim(min(o[0] for o in occupied) - 1, max(o[-1] for o in occupied) + 1)
    whole_numbers(ax.xaxis)


def intervals(ax: Axes, report: ValidationReport) -> None:
    """How long intervals are."""
    for name in _ORDER:
        shares = report.profiles[name].isi_shares
        lengths = report.profiles[name].isi_lengths_bins * report.real.bin_size_ms
        ax.plot(lengths[shares > 0], shares[shares > 0], color=COLOURS[name], linewidth=1.2)
    _title(ax, report, "isi_distribution", "Intervals")
    ax.set(xlabel="interval (ms)", ylabel="share for each bin, mean over units", yscale="log")


def psth(ax: Axes, report: ValidationReport) -> None:
    """Rate over the time of a trial."""
    for name in _ORDER:
        values = report.profiles[name].psth_hz
        times = (np.arange(len(values)) + 0.5) * report.profiles[name].psth_bin_ms
        ax.plot(times, values, color=COLOURS[name], linewidth=1.2)
    _title(ax, report, "psth", "PSTH")
    ax.set(xlabel="time in a trial (ms)", ylabel="rate, mean over units (Hz)")


def spectrum(ax: Axes, report: ValidationReport) -> None:
    """Power relative to a Poisson unit of the same rate."""
    for name in _ORDER:
        values = report.profiles[name].relative_power
        ax.plot(report.profiles[name].frequencies_hz, values, color=COLOURS[name], linewidth=1.2)
    ax.axhline(1, color="black", linewidth=0.5, zorder=0)
    _title(ax, report, "power_spectrum", "Power spectrum")
    ax.set(xlabel="frequency (Hz)", ylabel="power / Poisson, mean over units")


def correlograms(
    ax: Axes, report: ValidationReport, attribute: str, metric: str, title: str, *, first_lag: int
) -> None:
    """Coefficients over lags, mean over groups of units by how strongly they correlate with others."""
    for name in _ORDER:
        for values, style in zip(getattr(report.profiles[name], attribute), _GROUP_STYLES, strict=False):
            lags = (first_lag + np.arange(len(values))) * report.real.bin_size_ms
            ax.plot(lags, values, color=COLOURS[name], linestyle=style, linewidth=1.1)
    ax.axhline(0, color="black", linewidth=0.5, zorder=0)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.55 * (high - low))  # room for the legend
    _title(ax, report, metric, title)
    ax.set(xlabel="lag (ms)", ylabel="coefficient, group mean")
    for k, style in enumerate(_GROUP_STYLES[: len(report.groups)]):
        strength = ("strongest", "second", "third", "weakest")[k] if len(report.groups) == 4 else f"{k + 1}"
        ax.plot([], [], color="black", linestyle=style, linewidth=1.0, label=strength)
    ax.legend(loc="upper right", title="quarter of units by correlation:", title_fontsize=6.5, ncols=2, fontsize=6.5)


# ---- all metrics -----------------------------------------------------------------------------


def ratios(ax: Axes, report: ValidationReport) -> None:
    """Value over floor of every metric; what goes beyond twice the largest ratio ends in an arrow."""
    comparisons = list(report.comparisons.values())[::-1]
    values = [c.ratio for c in comparisons if c.ratio > 0]
    limits = min([0.5, *(v / 1.5 for v in values)]), max([2.0, *(2.0 * v for v in values)])
    for row, c in enumerate(comparisons):
        colour = FLAGGED if c.flagged else "black"
        if not np.isfinite(c.ratio):
            continue
        clipped_interval(ax, row, c.low, c.high, limits, colour)
        ax.plot(max(c.ratio, limits[0]), row, "D" if c.flagged else "o", color=colour, markersize=4.5)
    ax.axvline(1.0, color=COLOURS["other real"], linewidth=1.2, zorder=0)
    ax.set_xscale("log")
    ax.set(
        xlabel=f"value / floor, median and 95 % interval over {report.num_splits} splits (an arrow: goes on); "
        "diamonds: flagged by the permutation test",
        yticks=range(len(comparisons)),
        yticklabels=[c.metric.label for c in comparisons],
        ylim=(-0.7, len(comparisons) - 0.3),
        xlim=limits,
    )
    numbers = ax.secondary_yaxis("right")
    numbers.set_yticks(range(len(comparisons)), [_row(c) for c in comparisons], fontsize=7)
    numbers.spines["right"].set_visible(False)
    numbers.tick_params(length=0)
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if limits[0] <= t <= limits[1]]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_xticks([], minor=True)


def clipped_interval(ax: Axes, row: float, low: float, high: float, limits: tuple[float, float], colour: str) -> None:
    """Draw an interval in a row; where it leaves the limits, an arrow says that it goes on."""
    ax.plot(np.clip([low, high], *limits), [row, row], color=colour, linewidth=1.6)
    for beyond, limit, marker in ((low < limits[0], limits[0], "<"), (high > limits[1], limits[1], ">")):
        if beyond:
            ax.plot(limit, row, marker, color=colour, markersize=5, clip_on=False)


# ---- details ---------------------------------------------------------------------------------


def _row(c: Comparison) -> str:
    unit = f" {c.metric.unit}" if c.metric.unit else ""
    ratio = f" = {c.ratio:.2f} [{c.low:.2f}, {c.high:.2f}]" if np.isfinite(c.ratio) else ""
    return f"{c.value:.3g} / {c.floor:.3g}{unit}{ratio}"


def _title(ax: Axes, report: ValidationReport, metric: str, title: str) -> None:
    c = report.comparisons.get(metric)
    ax.set_title(title, fontsize=8.5)
    flag = "◆ " if c and c.flagged else ""
    ratio = f"{c.ratio:.2f} × floor" if c and np.isfinite(c.ratio) else "no floor"
    found = "left out" if c is None else f"{flag}{ratio}\nn = {_number(c)}"
    ax.set_title(found, loc="right", fontsize=6.5, fontweight="normal", color=FLAGGED if flag else "black")


def _sides_labels(ax: Axes, unit: str) -> None:
    inside = f" ({unit})" if unit else ""
    ax.set(xlabel=f"real{inside}", ylabel=f"synthetic, floor{inside}")


def _number(c: Comparison) -> str:
    number = f"{c.num_elements / 1000:.0f}k" if c.num_elements >= 10_000 else f"{c.num_elements}"
    return f"{number} {c.metric.elements if c.num_elements != 1 else c.metric.elements.removesuffix('s')}"


def _plain_numbers(ax: Axes, low: float, high: float) -> None:
    """Logarithmic axes with plain numbers at 1, 2 and 5; at 1 alone where these are many."""
    ticks = [m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5) if low <= m * 10.0**e <= high]
    ticks = ticks if len(ticks) <= 7 else [10.0**e for e in range(-6, 7) if low <= 10.0**e <= high]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks([], minor=True)
        axis.set_ticks(ticks, [f"{t:g}" for t in ticks])
