"""Figures of benchmarks in the text, read from ``benchmarks/results``: none is typed in.

The role gives one number, the directive a table with its source. A path runs through the JSON file with slashes::

    :result:`lorenz/fits/10 minutes/fit_s`
    :result:`ratio|lorenz/fits/10 minutes/metrics/correlation/ratio`   # how to show it; see FORMATS

    .. results:: bundled_session
       :under: random splits, median over fits
       :columns: LDNS; PSTH Poisson

       population spike count: population_count ratio/median
       rates: rate ratio/median

With ``:rows-first:`` the key of a column comes below that of the row.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def shown(value: Any) -> str:
    """Two or three digits; a pair is an interval."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        if isinstance(value, list) and len(value) == 2:
            return f"{shown(value[0])} to {shown(value[1])}"
        return str(value)
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.2g}"


FORMATS: dict[str, Callable[[Any], str]] = {
    "": shown,
    "percent": lambda value: f"{100 * value:.0f}\u202f%",
    "signed": lambda value: f"{value:+.3f}".replace("-", "\u2212"),
    "ratio": lambda value: f"{value:.2f}",
    "times": lambda value: f"{value:.1f}",
    "round": lambda value: f"{value:,.0f}".replace(",", "\u202f"),
}


def look_up(path: str) -> Any:
    """Value at ``file/key/key``; a key that is not there is an error that names what is."""
    file, *keys = path.split("/")
    found = json.loads((RESULTS / f"{file}.json").read_text(encoding="utf-8"))
    for key in keys:
        if isinstance(found, list):
            found = found[int(key)]
            continue
        if not isinstance(found, dict) or key not in found:
            there = ", ".join(map(repr, found)) if isinstance(found, dict) else repr(found)
            raise KeyError(f"{path}: no {key!r} in {file}.json; there is {there}")
        found = found[key]
    return found


class Result(SphinxRole):
    """One number."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_dependency(str(RESULTS / f"{self.text.split('|')[-1].split('/')[0]}.json"))
        form, _, path = self.text.rpartition("|")
        try:
            return [nodes.Text(FORMATS[form](look_up(path)))], []
        except (KeyError, ValueError, OSError) as error:
            message = self.inliner.reporter.error(f"result: {error}", line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]


class Results(SphinxDirective):
    """A table whose rows are ``label: path`` and whose columns are keys above these."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {  # noqa: RUF012 - as docutils has it
        "under": directives.unchanged,
        "columns": directives.unchanged_required,
        "titles": directives.unchanged,
        "corner": directives.unchanged,
        "format": directives.unchanged,
        "rows-first": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        file = self.arguments[0]
        path = RESULTS / f"{file}.json"
        self.env.note_dependency(str(path))
        columns = [column.strip() for column in self.options["columns"].split(";")]
        titles = [title.strip() for title in self.options.get("titles", self.options["columns"]).split(";")]
        form = FORMATS[self.options.get("format", "").strip()]
        head = [file, *filter(None, [self.options.get("under", "").strip()])]
        rows = [[self.options.get("corner", ""), *titles]]
        try:
            for line in filter(None, map(str.strip, self.content)):
                label, _, keys = line.rpartition(":")
                pairs = [(column, keys.strip()) for column in columns]
                pairs = [pair[::-1] for pair in pairs] if "rows-first" in self.options else pairs
                values = [form(look_up("/".join([*head, *pair]))) for pair in pairs]
                rows.append([label.strip(), *values])
            told = json.loads(path.read_text(encoding="utf-8"))
        except (KeyError, ValueError, OSError) as error:
            raise self.error(f"results: {error}") from None
        machine = told["machine"]
        source = (
            f"benchmarks/results/{file}.json: measured {told['date']} on {machine['cores']} cores "
            f"({machine['processor']}, load {machine['load_1_min']}), without a GPU."
        )
        return [_table(rows), nodes.paragraph("", source, classes=["result-source"])]


def _table(rows: list[list[str]]) -> nodes.table:
    group = nodes.tgroup(cols=len(rows[0]))
    group += [nodes.colspec(colwidth=3 if k == 0 else 1) for k in range(len(rows[0]))]
    parts = [nodes.thead(), nodes.tbody()]
    for k, row in enumerate(rows):
        entries = [nodes.entry("", nodes.paragraph("", text)) for text in row]
        parts[min(k, 1)] += nodes.row("", *entries)
    group += parts
    return nodes.table("", group, classes=["results"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register role and directive."""
    app.add_role("result", Result())
    app.add_directive("results", Results)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
