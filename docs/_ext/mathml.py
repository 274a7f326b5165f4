"""Formulas as MathML, which browsers draw themselves: pages need no script from elsewhere, and read well offline."""

from __future__ import annotations

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

# Sizes of brackets are MathML's own business.
_SIZES = re.compile(r"\\[bB]igg?[lr]?(?![a-zA-Z])")


def visit_inline(writer: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in the text."""
    writer.body.append(convert(_SIZES.sub("", node.astext())))
    raise nodes.SkipNode


def visit_block(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula of its own; lines and columns as in AMS ``align``."""
    text = _SIZES.sub("", node.astext().strip())
    if r"\\" in text or "&" in text:
        text = rf"\begin{{align*}}{text}\end{{align*}}"
    writer.body.append(f'<div class="math">{convert(text, display="block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer; ``html_math_renderer = "mathml"`` chooses it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
