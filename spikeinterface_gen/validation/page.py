"""A validation report as HTML: its table for notebooks, and one self-contained page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeinterface_gen.files import write_file
from spikeinterface_gen.validation.decoding import REAL, REAL_AND_SYNTHETIC, SYNTHETIC
from spikeinterface_gen.validation.figures import section_figures
from spikeinterface_gen.validation.metrics import METRICS
from spikeinterface_gen.validation.words import verdict

if TYPE_CHECKING:
    from spikeinterface_gen.validation.comparison import Comparison
    from spikeinterface_gen.validation.estimates import Estimate
    from spikeinterface_gen.validation.report import ValidationReport
    from spikeinterface_gen.validation.two_sample import TwoSampleReport, TwoSampleTest

__all__ = ["table_html", "write_page"]

# Of averages; distances of histograms have another unit than their means.
_UNITS = {
    **{name: metric.unit for name, metric in METRICS.items() if metric.elements != "bins"},
    "population_count": "spikes",
    "synchrony": "units",
    "isi_distribution": "share",
}

# Sharp on most screens, and a page of some 2 MB.
_DPI = 120

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 1.2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .4rem; }
h3 { font-size: .95rem; margin: 1rem 0 .3rem; }
p { max-width: 62rem; margin: .5rem 0; }
.verdict { font-size: 1.12rem; font-weight: 600; border-left: 5px solid #0072B2; padding: .3rem .8rem; }
.verdict.told { border-color: #AA3377; }
.meta, .how, details { color: #555; font-size: .88rem; } details { max-width: 62rem; margin: .5rem 0; }
summary { cursor: pointer; } details ul { margin: .3rem 0; padding-left: 1.2rem; }
.synthetic { background: #fdf0e6; border-left: 5px solid #D55E00; padding: .3rem .8rem; font-size: .88rem;
  overflow-wrap: anywhere; }
table.validation { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; }
table.validation th, table.validation td { padding: .2rem .55rem; text-align: right; border-bottom: 1px solid #ddd; }
table.validation th { vertical-align: bottom; }
table.validation td { white-space: nowrap; }
table.validation th:first-child, table.validation td:first-child { text-align: left; padding-left: 0; }
table.validation { display: block; overflow-x: auto; }
table.parts { font-size: .78rem; }
table.validation tr.flagged td:first-child { font-weight: bold; }
p.figure { max-width: none; break-inside: avoid; } img { max-width: 100%; height: auto; }
@page { size: A4; margin: 1.3cm; }
@media print {
  html { font-size: 11px; }
  body { margin: 0; padding: 0; max-width: none; font-size: 9pt; }
  h2, h3 { break-after: avoid; }
  p, details { max-width: none; }
  details::details-content { content-visibility: visible; display: block; block-size: auto; }
  table.validation { display: table; font-size: 6.2pt; }
  table.validation thead { display: table-header-group; }
  table.validation th, table.validation td { padding: .12rem .3rem; }
  table.validation td:first-child { white-space: normal; }
  table.validation tr { break-inside: avoid; }
  table.parts { font-size: 5.8pt; }
  img { max-height: 25cm; }
}
"""

_HOW = """
<b>Value</b>: distance of the synthetic from the real trials. <b>Floor</b>: distance of other real trials, equally
many, from the same real trials, so what a perfect model would get. <b>Ratio</b>: value / floor. All three are medians
over random splits; the interval holds 95 %. <b>Told apart</b>: a permutation test of the maximum over all metrics
tells synthetic from real trials by this one; anything at all is flagged, memorisation included, in at most 5 % of
cases where there is nothing to find. The ratio is of splits with equally many trials on all sides, while the test has
all trials and knows the noise: a metric may be flagged although its ratio is near 1. A fitted model also carries the
sampling error of its training trials, so that with many synthetic trials even a perfect kind of model can be told
apart. <b>Smallest</b>: difference beyond sampling noise, in the unit of value and floor, that so many trials would
show in four cases out of five; a smaller one may be there unseen. <b>Excess</b>: √(value² − floor²) in units of the
s.d. of the true values over units or pairs. <b>Agreement</b>: correlation of real and synthetic values over units or
pairs, corrected for sampling noise on both sides; 1 is perfect. <b>Of ceiling</b>: the plain correlation, as a share
of that between real and real. A dash: no unit, not defined, or noise covers everything.
"""

_PARTS = """
Ratio of value to floor, in brackets the units of an area, or the trials a side of a condition. Not tested: of many
ratios some are large by chance.
"""


def table_html(report: ValidationReport) -> str:
    """Return the table as HTML, numbers rounded for reading."""
    head = (
        *("metric", "value", "floor", "unit", "ratio", "95 % interval", "told apart", "p"),
        *("smallest", "excess", "agreement", "of ceiling", "n"),
    )
    rows = "\n".join(_row(c) for c in report.comparisons.values())
    return (
        '<table class="validation"><thead><tr>'
        + "".join(f"<th>{cell}</th>" for cell in head)
        + f"</tr></thead><tbody>\n{rows}\n</tbody></table>"
    )


def _row(c: Comparison) -> str:
    cells = [
        escape(c.metric.label),
        f"{c.value:.3g}",
        f"{c.floor:.3g}",
        escape(c.metric.unit) or "–",
        _number(c.ratio),
        f"{c.low:.2f} – {c.high:.2f}" if np.isfinite(c.low) else "–",
        "◆ yes" if c.flagged else "no" if np.isfinite(c.p) else "–",
        _number(c.p, 3),
        _number(c.detectable, 3),
        _number(c.excess),
        _number(c.agreement),
        _number(c.of_ceiling),
        f"{c.num_elements} {c.metric.elements if c.num_elements != 1 else c.metric.elements.removesuffix('s')}",
    ]
    mark = ' class="flagged"' if c.flagged else ""
    return f"<tr{mark}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _number(value: float, digits: int = 2) -> str:
    """Two decimals, or so many significant digits."""
    if not np.isfinite(value):
        return "–"
    # A zero has no sign.
    return f"{round(value, 2) + 0.0:.2f}" if digits == 2 else f"{value:.{digits}g}"


def _averages_html(report: ValidationReport) -> str:
    """Each statistic on average, real and synthetic, with its interval."""

    def cell(estimate: Estimate) -> str:
        interval = f" [{estimate.low:.3g}, {estimate.high:.3g}]" if np.isfinite(estimate.low) else ""
        return f"{estimate.value:.3g}{interval}"

    rows = (
        (report.comparisons[name].metric.label.split(" (D_KL")[0], cell(real), cell(synthetic), _UNITS.get(name) or "–")
        for name, (real, synthetic) in report.averages.items()
    )
    return _table(("statistic", "real", "synthetic", "unit"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], style: str = "validation") -> str:
    cells = "".join(f"<th>{escape(word)}</th>" for word in head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(word)}</td>" for word in row) + "</tr>" for row in rows)
    return f'<table class="{style}"><thead><tr>{cells}</tr></thead><tbody>\n{body}\n</tbody></table>'


def _whole_trials_html(whole: TwoSampleReport) -> str:
    """Distances between whole trials, as a section."""

    def floor_of(test: TwoSampleTest) -> str:
        if not len(test.floors):
            return "–"
        low, high = np.quantile(test.floors, [0.025, 0.975])
        return f"{test.floor:.3g} [{low:.3g}, {high:.3g}]"

    table = _table(
        ("distance", "value", "floor, 95 % of splits", "p"),
        ((t.label, f"{t.value:.3g}", floor_of(t), f"{t.p_value:.2g}") for t in whole.tests.values()),
    )
    first = next(iter(whole.tests.values()))
    trials = f"{first.num_real} real and {first.num_synthetic} synthetic trials"
    return (
        f"<h2>Whole trials</h2>{table}<p class='how'>Each trial as one point: counts of units in quarters of the "
        f"trial, what they share, and the timing of the population. p: {len(first.null)} relabellings of {trials}; all "
        f"distances together: p = {whole.p_joint:.2g}, a test by itself at 5 %. Value and floor: "
        f"{whole.num_trials or 'no'} trials a side. An AUC of 0.5 is chance.</p>"
    )


def _use_html(report: ValidationReport) -> str:
    """What decoders learn from synthetic trials, as a section."""
    rows = []
    for use in report.use:
        row = [use.task, use.score]
        for name in (REAL, SYNTHETIC, REAL_AND_SYNTHETIC):
            low, high = np.quantile(use.resampled[name], [0.025, 0.975])
            row.append(f"{use.scores[name]:.3g} [{low:.3g}, {high:.3g}]")
        rows.append([*row, f"{use.chance:.3g}", f"{use.num_train} / {use.num_synthetic} / {use.num_test}"])
    head = ("task", "score", "trained on real", "on synthetic", "on both", "chance", "n")
    return (
        f"<h2>Use</h2>{_table(head, rows)}<p class='how'>Linear decoders, tested on real trials that neither they nor "
        "the model saw; 95 % bootstrap intervals over these trials. n: real, synthetic and test trials.</p>"
    )


def _parts_html(report: ValidationReport) -> str:
    """Ratios by area and by each covariate: a row for each metric, a column for each part."""
    tables = []
    for of in dict.fromkeys(part.of for part in report.parts):
        parts = [part for part in report.parts if part.of == of]
        ratios = {(part.name, part.metric.name): part.ratio for part in parts}
        columns = {part.name: f"{part.name} ({part.num_elements})" for part in parts}
        labels = {part.metric.name: part.metric.label for part in parts}
        rows = (
            (label, *(_number(ratios.get((name, metric), float("nan"))) for name in columns))
            for metric, label in labels.items()
        )
        tables.append(f"<h3>{escape(of)}</h3>{_table(('metric', *columns.values()), rows, 'validation parts')}")
    return "".join(tables)


def write_page(report: ValidationReport, path: Path) -> Path:
    """Write the report as one page that needs nothing beside it; return its path.

    Raises
    ------
    OSError
        If it cannot be written; a page that was there before is left as it was.
    """
    write_file(path, _page(report).encode("utf-8"))
    return path


def _provenance(annotations: Mapping[str, Any]) -> str:
    """Model, seed and versions in words."""
    shown = [str(annotations["model"])] if "model" in annotations else []
    shown += [f"seed {annotations['seed']}"] if "seed" in annotations else []
    versions = annotations.get("versions")
    if isinstance(versions, Mapping):
        shown += [f"{name} {version}" for name, version in versions.items()]
    elif versions:
        shown.append(str(versions))
    shown += [f"sha256 of the model {annotations['model_sha256']}"] if "model_sha256" in annotations else []
    return ", ".join(shown) or "an unknown generator"


def _notes_html(report: ValidationReport) -> str:
    if not report.notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    return f"<details><summary>What was left out or cut ({len(report.notes)})</summary><ul>{items}</ul></details>"


def _figures_html(report: ValidationReport) -> str:
    """Each section of figures as an image; in lines, so that printed pages break between them."""
    images = []
    for title, figure in section_figures(report).items():
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=_DPI)
        data = base64.b64encode(png.getvalue()).decode("ascii")
        images.append(
            f'<p class="figure"><img alt="{escape(title)}: real, synthetic and other real trials" '
            f'src="data:image/png;base64,{data}"></p>'
        )
    return "\n".join(images)


def _page(report: ValidationReport) -> str:
    title = f"Validation of {report.synthetic.num_trials} synthetic trials of {report.real.num_units} units"
    whole = "" if report.whole_trials is None else _whole_trials_html(report.whole_trials)
    use = _use_html(report) if report.use else ""
    membership = f"<h2>Memorisation</h2><p>{escape(report.membership.summary())}</p>" if report.membership else ""
    parts = f"<h2>By area and condition</h2><p class='how'>{_PARTS}</p>{_parts_html(report)}" if report.parts else ""
    found = verdict(report)
    rest = report.summary().removeprefix(found).strip()
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p class="meta">Against {report.real.num_trials} real trials; {report.num_trials} trials on either side of every
comparison, {report.num_splits} splits, seed {report.seed}.</p>
<p class="verdict{" told" if report.flagged or report.maybe_swapped else ""}">{escape(found)}</p>
<p>{escape(rest)}</p>
{_notes_html(report)}
<p class="synthetic">Synthetic spikes. Made by {escape(_provenance(report.synthetic.annotations))}.</p>
<h2>Metrics</h2>
{table_html(report)}
<p class="how">{_HOW}</p>
<h2>Figures</h2>
{_figures_html(report)}
<h2>Averages</h2>
{_averages_html(report)}
<p class="how">Mean over units, pairs or bins (of drifts: root mean square), with 95 % intervals by the
grouped jackknife over trials.</p>
{whole}{use}{membership}{parts}
</body>
</html>
"""
