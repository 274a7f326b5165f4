"""How objects look in a notebook: a title, a table of facts, and a small curve where one says more than a number.

Plain HTML with its styles in place: it shows the same in a notebook, an exported page and on paper, and inherits the
colours of whatever theme is around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from spikeinterface_gen.counts import SpikeCounts

__all__ = ["counts_html", "describe", "facts_html", "model_html", "recording_html", "report_html", "sparkline_svg"]

_MAX_CHARACTERS = 120


def counts_html(counts: SpikeCounts) -> str:
    """Return what a SpikeCounts holds, and the mean rate of its population over the trial."""
    rates = counts.rates_hz
    facts = {
        "trials": f"{counts.num_trials}, {_span(counts.durations_s)} s each"
        + ("" if counts.trial_locked else ", without a common time origin"),
        "bins": f"{counts.bin_size_ms:g} ms, largest count {int(counts.counts.max())}",
        "units": f"{counts.num_units}: {', '.join(map(str, counts.unit_ids[:5]))}"
        + (", …" if counts.num_units > 5 else ""),
        "rates": f"{_span(rates)} Hz, median {np.median(rates):.3g} Hz"
        + (f", {np.sum(rates == 0)} silent" if np.any(rates == 0) else ""),
    }
    if counts.t_starts_s is not None:
        facts["starts of trials"] = f"{_span(counts.t_starts_s)} s"
    facts |= {f"covariate {name}": describe(value) for name, value in counts.covariates.items()}
    facts |= {f"unit property {name}": describe(value) for name, value in counts.unit_properties.items()}
    facts |= {name: describe(value) for name, value in counts.annotations.items()}
    longest = int(counts.num_bins.max())
    trials = counts.mask[:, :longest].sum(axis=0)
    psth_hz = counts.counts[:, :longest].sum(axis=(0, 2), dtype=np.int64) / (
        trials * counts.num_units * counts.bin_size_ms / 1000.0
    )
    curve = sparkline_svg(psth_hz, f"mean rate of a unit over the trial, 0 to {psth_hz.max():.3g} Hz")
    return facts_html(repr(counts), facts, below=curve)


def model_html(model: Any) -> str:
    """Return the settings of a model and what it has learned (what ends in an underscore)."""
    public = {name: value for name, value in vars(model).items() if not name.startswith("_")}
    settings = {name: describe(value) for name, value in public.items() if not name.endswith("_")}
    learned = {name: describe(value) for name, value in public.items() if name.endswith("_")}
    if not learned:
        learned = {"fitted": "no; call fit(counts)"}
    return facts_html(repr(model), settings | learned)


def recording_html(origin: str, counts: SpikeCounts) -> str:
    """Return where a synthetic recording comes from, above what its spikes are."""
    return facts_html(origin, {}, below=counts_html(counts))


def report_html(report: Any) -> str:
    """Return what a report found, in words, above its table."""
    table = report.table.to_html(float_format=lambda value: f"{value:.3g}", border=0)
    return facts_html(repr(report), {}, below=f"<p style='max-width:60em'>{escape(report.summary())}</p>{table}")


def facts_html(title: str, facts: Mapping[str, str], *, below: str = "") -> str:
    """Return a title and a table of facts.

    Parameters
    ----------
    title : str
        First line, bold.
    facts : mapping from str to str
        Names and what to say of them, in this order; texts, which are escaped.
    below : str
        HTML that follows the table.
    """
    cell = "padding:1px 12px 1px 0;text-align:left;vertical-align:top"
    rows = "".join(
        f"<tr style='background:none'><th scope='row' style='{cell};font-weight:normal;opacity:.7'>{escape(name)}</th>"
        f"<td style='{cell}'>{escape(text)}</td></tr>"
        for name, text in facts.items()
    )
    table = f"<table style='border:none;margin:4px 0'>{rows}</table>" if rows else ""
    return (
        "<div style='border:1px solid rgba(128,128,128,.4);padding:8px 12px;display:inline-block'>"
        f"<strong>{escape(title)}</strong>{table}{below}</div>"
    )


def sparkline_svg(values: np.ndarray, label: str) -> str:
    """Return a curve from zero up, 240 × 40 pixels, with its label.

    Parameters
    ----------
    values : array of float, shape (points,), ≥ 0
    label : str
        What it shows, with its unit and range.
    """
    width, height = 240, 40
    heights = np.asarray(values, float) / max(float(np.max(values, initial=0.0)), 1e-12)
    across = np.linspace(0, width, len(heights)) if len(heights) > 1 else np.array([0.0])
    points = " ".join(f"{x:.1f},{height - 1 - (height - 2) * y:.1f}" for x, y in zip(across, heights, strict=True))
    return (
        f"<svg width='{width}' height='{height}' role='img' aria-label='{escape(label)}'>"
        f"<polyline points='{points}' fill='none' stroke='#0072B2' stroke-width='1.5'/></svg>"
        f"<div style='opacity:.7;font-size:smaller'>{escape(label)}</div>"
    )


def describe(value: Any) -> str:
    """Return a short text for a value: itself where it is short, otherwise what kind of thing it is."""
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return str(value)
        if value.ndim == 1 and value.dtype.kind in "biuU" and 0 < len(unique := np.unique(value)) <= 5:
            return ", ".join(map(str, unique))
        numbers = value[np.isfinite(value)] if value.dtype.kind == "f" else value
        span = f", {_span(numbers)}" if value.dtype.kind in "iuf" and numbers.size else ""
        return f"{'text' if value.dtype.kind == 'U' else value.dtype} ({', '.join(map(str, value.shape))}){span}"
    if hasattr(value, "shape") and hasattr(value, "columns"):
        return f"table of {len(value)} rows: {', '.join(map(str, value.columns))}"[:_MAX_CHARACTERS]
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {entry}" for name, entry in value.items())
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"


def _span(values: np.ndarray) -> str:
    """The smallest and the largest value, or the one that they all are."""
    low, high = f"{values.min():.4g}", f"{values.max():.4g}"
    return low if low == high else f"{low} to {high}"
