"""A validation report as HTML: its table for notebooks, and one self-contained page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikeinterface_gen.files import write_file
from spikeinterface_gen.validation.decoding import REAL, REAL_AND_SYNTHETIC, SYNTHETIC
from spikeinterface_gen.validation.metrics import METRICS

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

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
p { max-width: 58rem; }
.meta, .how { color: #555; font-size: .88rem; }
.synthetic { background: #fdf0e6; border-left: 4px solid #D55E00; padding: .4rem .8rem; }
table.validation { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; }
table.validation th, table.validation td { padding: .2rem .55rem; text-align: right; border-bottom: 1px solid #ddd; }
table.validation th { vertical-align: bottom; }
table.validation td { white-space: nowrap; }
table.validation th:first-child, table.validation td:first-child { text-align: left; padding-left: 0; }
table.validation { display: block; overflow-x: auto; }
table.parts { font-size: .78rem; }
table.parts th { font-weight: normal; }
table.validation tr.flagged td:first-child { font-weight: bold; }
p.figure { max-width: none; } img { max-width: 100%; height: auto; }
@page { size: A4; margin: 1.3cm; }
@media print {
  html { font-size: 12px; }
  body { margin: 0; padding: 0; max-width: none; font-size: 9pt; }
  h2 { break-after: avoid; }
  p { max-width: none; }
  table.validation { display: table; font-size: 6.2pt; }
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
cases where there is nothing to find. <b>Smallest</b>: difference beyond sampling noise, in the unit of value and
floor, that so many trials would show in four cases out of five; a smaller one may be there unseen. <b>Excess</b>:
√(value² − floor²) in units of the s.d. of the true values over units or pairs. <b>Agreement</b>: correlation of real
and synthetic values over units or pairs, corrected for sampling noise on both sides; 1 is perfect. <b>Of ceiling</b>:
the plain correlation, as a share of that between real and real. A dash: not defined, or noise covers everything.
"""


def table_html(report: ValidationReport) -> str:
    """Return the table as HTML, numbers rounded for reading."""
    head = [
        "metric",
        "value",
        "floor",
        "",
        "ratio",
        "95 % interval",
        "told apart",
        "p",
        "smallest",
        "excess",
        "agreement",
        "of ceiling",
        "n",
    ]
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
        escape(c.metric.unit),
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
    return f"{value:.2f}" if digits == 2 else f"{value:.{digits}g}"


def _averages_html(report: ValidationReport) -> str:
    """Each statistic on average, real and synthetic, with its interval."""

    def cell(estimate: Estimate) -> str:
        interval = f" [{estimate.low:.3g}, {estimate.high:.3g}]" if np.isfinite(estimate.low) else ""
        return f"{estimate.value:.3g}{interval}"

    rows = "\n".join(
        f"<tr><td>{escape(report.comparisons[name].metric.label.split(' (D_KL')[0])}</td>"
        f"<td>{cell(real)}</td><td>{cell(synthetic)}</td><td>{escape(_UNITS.get(name, ''))}</td></tr>"
        for name, (real, synthetic) in report.averages.items()
    )
    head = "".join(f"<th>{word}</th>" for word in ("statistic", "real", "synthetic", ""))
    return f'<table class="validation"><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(word)}</th>" for word in head)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(word)}</td>" for word in row) + "</tr>" for row in rows)
    return f'<table class="validation"><thead><tr>{cells}</tr></thead><tbody>\n{body}\n</tbody></table>'


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
    """Ratios by area and condition: a row for each, a column for each metric."""
    rows = list(dict.fromkeys((part.of, part.name, part.num_elements) for part in report.parts))
    columns = list(dict.fromkeys(part.metric.name for part in report.parts))
    ratios = {(part.of, part.name, part.metric.name): part.ratio for part in report.parts}
    labels = [METRICS[name].label for name in columns]
    head = "".join(f"<th>{escape(word)}</th>" for word in ("part", "n", *labels))
    body = "\n".join(
        f"<tr><td>{escape(f'{of} {name}')}</td><td>{n} {'units' if of == 'area' else 'trials'}</td>"
        + "".join(f"<td>{_number(ratios.get((of, name, column), float('nan')))}</td>" for column in columns)
        + "</tr>"
        for of, name, n in rows
    )
    return f'<table class="validation parts"><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>'


def write_page(report: ValidationReport, path: Path) -> Path:
    """Write the report as one page that needs nothing beside it; return its path.

    Raises
    ------
    OSError
        If it cannot be written; a page that was there before is left as it was.
    """
    write_file(path, _page(report).encode("utf-8"))
    return path


def _page(report: ValidationReport) -> str:
    png = io.BytesIO()
    report.plot().savefig(png, format="png", dpi=130)
    image = base64.b64encode(png.getvalue()).decode("ascii")
    annotations = report.synthetic.annotations
    shown = [
        f"{key}: {annotations[key]}" for key in ("model", "model_sha256", "seed", "versions") if key in annotations
    ]
    provenance = escape("; ".join(shown)) or "unknown"
    title = f"Validation of {report.synthetic.num_trials} synthetic trials of {report.real.num_units} units"
    whole = "" if report.whole_trials is None else _whole_trials_html(report.whole_trials)
    use = _use_html(report) if report.use else ""
    membership = f"<h2>Memorisation</h2><p>{escape(report.membership.summary())}</p>" if report.membership else ""
    parts = (
        f"<h2>By area and condition</h2>{_parts_html(report)}<p class='how'>Ratio of value to floor.</p>"
        if report.parts
        else ""
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{_STYLE}</style></head>
<body>
<h1>{escape(title)}</h1>
<p class="meta">Against {report.real.num_trials} real trials; {report.num_trials} trials on either side of every
comparison, {report.num_splits} splits, seed {report.seed}.</p>
<p class="synthetic">Synthetic spikes. Made by {provenance}.</p>
<h2>Summary</h2>
<p>{escape(report.summary())}</p>
<h2>Metrics</h2>
{table_html(report)}
<p class="how">{_HOW}</p>
<h2>Averages</h2>
{_averages_html(report)}
<p class="how">Mean over units, pairs or bins (of drifts: root mean square), with 95 % intervals by the
grouped jackknife over trials.</p>
{whole}{use}{membership}{parts}
<h2>Figures</h2>
<p class="figure"><img alt="Rasters, distributions and correlations of real and synthetic spikes; ratios of all metrics"
src="data:image/png;base64,{image}"></p>
</body>
</html>
"""
