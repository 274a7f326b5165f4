"""The figures of a validation report: sections of small multiples, on one page or each by itself.

Every panel has real, synthetic and other real trials (the floor) in the same colours, and in its title the ratio of
the table, a diamond where the metric is flagged, and what n stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spikeinterface_gen.plotting import COLOURS, draw_rasters, figure_style, new_figure
from spikeinterface_gen.validation import panels, trial_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

    from spikeinterface_gen.validation.report import ValidationReport

__all__ = ["plot_validation", "section_figures"]

_WIDTH = 11.0
_HEADING = 0.32
_NUM_COLUMNS = 4


@dataclass(frozen=True)
class _Section:
    """Panels under one heading.

    Attributes
    ----------
    title : str
    height : float
        In inches, without the heading.
    draw : callable
        ``(sub-figure, report) → None``.
    has_key : bool
        Whether colours and sample sizes are those of the heading.
    """

    title: str
    height: float
    draw: Callable[[SubFigure, ValidationReport], None]
    has_key: bool = True


def plot_validation(report: ValidationReport) -> Figure:
    """Draw a validation report on one page.

    Parameters
    ----------
    report : ValidationReport
        From :func:`~spikeinterface_gen.validation.validate.validate`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return _figure(report, _sections(report))


def section_figures(report: ValidationReport) -> dict[str, Figure]:
    """Draw each section of the page as a figure of its own, by title."""
    return {section.title: _figure(report, [section]) for section in _sections(report)}


def _figure(report: ValidationReport, sections: list[_Section]) -> Figure:
    with figure_style():
        heights = [height for section in sections for height in (_HEADING, section.height)]
        figure = new_figure(_WIDTH, sum(heights))
        rows: Any = figure.subfigures(len(heights), 1, height_ratios=heights)
        for section, heading, body in zip(sections, rows[::2], rows[1::2], strict=True):
            _heading(heading, report, section)
            section.draw(body, report)
    return figure


def _heading(figure: SubFigure, report: ValidationReport, section: _Section) -> None:
    """Title, and the key of colours with the sample sizes, where panels share them."""
    figure.text(0.005, 0.5, section.title, fontsize=11, fontweight="bold", va="center")
    if not section.has_key:
        return
    floor = "held-out against training trials" if report.has_train else "one half of the real trials against the other"
    n = report.num_trials
    for x, name, words in (
        (0.36, "real", f"real ({n} trials)"),
        (0.49, "synthetic", f"synthetic ({n} trials)"),
        (0.645, "other real", f"floor: {floor} ({n} trials)"),
    ):
        figure.text(x, 0.5, f"■ {words}", fontsize=8.5, va="center", color=COLOURS[name])


def _sections(report: ValidationReport) -> list[_Section]:
    sections = [
        # The grey line of the ratios explains itself, and the tests of whole trials have sizes of their own.
        _Section(
            f"All metrics, {report.num_trials} trials a side", 0.6 + 0.19 * len(report.comparisons), _ratios, False
        ),
        _Section(f"Spikes of {report.real.num_units} units", 2.5, _spikes),
        _Section("Rates", 2.5, _rates),
        _Section("Timing within trials", 5.0, _timing),
        _Section(f"Pairs of units, bins of {report.real.bin_size_ms:g} ms", 2.6, _pairs),
        _Section("Population", 2.5, _population),
    ]
    if report.whole_trials is not None or report.use or report.membership is not None:
        sections.append(_Section("Whole trials, use, memorisation", 2.4, _trials, False))
    return sections


def _ratios(figure: SubFigure, report: ValidationReport) -> None:
    panels.ratios(figure.subplots(), report)


def _spikes(figure: SubFigure, report: ValidationReport) -> None:
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    draw_rasters(left, right, report.real, report.synthetic, 3, 0, None)


def _rates(figure: SubFigure, report: ValidationReport) -> None:
    rate, psth, drift, spectrum = figure.subplots(1, _NUM_COLUMNS)
    panels.scatter(rate, report, "rates_hz", "rate", "Firing rate", "Hz", logarithmic=True)
    panels.psth(psth, report)
    panels.scatter(drift, report, "drifts_hz", "drift", "Slow drift", "Hz, half a cosine")
    panels.spectrum(spectrum, report)


def _timing(figure: SubFigure, report: ValidationReport) -> None:
    (intervals, mean, sd, cv2), (lv, fano, auto, cross) = figure.subplots(2, _NUM_COLUMNS)
    panels.intervals(intervals, report)
    panels.scatter(mean, report, "isi_mean_s", "isi_mean", "Mean interval", "ms", scale=1000.0)
    panels.scatter(sd, report, "isi_sd_s", "isi_sd", "S.d. of intervals", "ms", scale=1000.0)
    panels.scatter(cv2, report, "cv2", "cv2", "CV2")
    panels.scatter(lv, report, "lv", "lv", "Lv")
    panels.scatter(fano, report, "fano_factors", "fano_factor", "Fano factor", logarithmic=True)
    panels.correlograms(auto, report, "autocorrelograms", "autocorrelogram", "Autocorrelogram", first_lag=1)
    panels.correlograms(cross, report, "cross_correlograms", "cross_correlogram", "Cross-correlogram", first_lag=0)


def _pairs(figure: SubFigure, report: ValidationReport) -> None:
    correlation, signal, noise, tiling = figure.subplots(1, _NUM_COLUMNS)
    panels.pairs(correlation, report, "correlations", "correlation", "Correlation")
    panels.pairs(signal, report, "signal_correlations", "signal_correlation", "Signal correlation")
    panels.pairs(noise, report, "noise_correlations", "noise_correlation", "Noise correlation")
    panels.pairs(tiling, report, "spike_time_tilings", "spike_time_tiling", "Spike time tiling")


def _population(figure: SubFigure, report: ValidationReport) -> None:
    count, synchrony, coupling, triplets = figure.subplots(1, _NUM_COLUMNS)
    panels.histogram(count, report, "population_shares", "population_count", "Spike count", "spikes of all units")
    panels.histogram(synchrony, report, "complexity_shares", "synchrony", "Synchrony", "units that fire")
    panels.scatter(coupling, report, "population_couplings", "population_coupling", "Population coupling")
    panels.scatter(triplets, report, "triplet_correlations", "triplet_correlation", "Triplets")


def _trials(figure: SubFigure, report: ValidationReport) -> None:
    whole, use, membership = figure.subplots(1, 3)
    for ax, draw, known in (
        (whole, trial_panels.whole_trials, report.whole_trials is not None),
        (use, trial_panels.use, bool(report.use)),
        (membership, trial_panels.membership, report.membership is not None),
    ):
        if known:
            draw(ax, report)
        else:
            ax.remove()
