"""A validation report as HTML: its table for notebooks, and one self-contained page."""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikeinterface_gen.files import write_file

if TYPE_CHECKING:
    from spikeinterface_gen.validation.comparison import Comparison
    from spikeinterface_gen.validation.report import ValidationReport

__all__ = ["table_html", "write_page"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.meta, .how { color: #555; font-size: .88rem; }
.synthetic { background: #fdf0e6; border-left: 4px solid #D55E00; padding: .4rem .8rem; }
table.validation { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
table.validation th, table.validation td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
table.validation th:first-child, table.validation td:first-child { text-align: left; }
table.validation tr.flagged td:first-child { font-weight: bold; }
img { max-width: 100%; height: auto; }
@media print {
  body { margin: 0; max-width: none; font-size: 10pt; }
  h2 { break-after: avoid; }
  img { max-height: 25cm; }
}
"""

_HOW = """
<b>Value</b>: distance of the synthetic from the real trials. <b>Floor</b>: distance of other real trials, equally many,
from the same real trials, so what a perfect model would get. <b>Ratio</b>: value / floor. All three are medians over
random splits; the interval holds 95 %. <b>Further</b>: the whole interval lies above 1 (each metric for itself, 2.5 %
false alarms). <b>Excess</b>: √(value² − floor²) in units of the s.d. of the true values over units or pairs.
<b>Agreement</b>: correlation of real and synthetic values over units or pairs, corrected for sampling noise on both
sides; 1 is perfect.
<b>Of ceiling</b>: the plain correlation, as a share of that between real and real.
A dash: not defined, or noise covers everything.
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
        "further",
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
        f"{c.ratio:.2f}",
        f"{c.low:.2f} – {c.high:.2f}",
        "◆ yes" if c.flagged else "no",
        _number(c.excess),
        _number(c.agreement),
        _number(c.of_ceiling),
        f"{c.num_elements} {c.metric.elements}",
    ]
    mark = ' class="flagged"' if c.flagged else ""
    return f"<tr{mark}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _number(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "–"


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
    membership = f"<h2>Memorisation</h2><p>{escape(report.membership.summary())}</p>" if report.membership else ""
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
{membership}
<h2>Figures</h2>
<p><img alt="Rasters, distributions and correlations of real and synthetic spikes, and the ratio of every metric"
src="data:image/png;base64,{image}"></p>
</body>
</html>
"""
