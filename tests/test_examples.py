"""Every example runs by itself and leaves a figure; what the pages say in code is up to date."""

import ast
import json
import re
import runpy
import sys
from pathlib import Path

import matplotlib
import pytest

import spikeinterface_gen

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PAGES = sorted((ROOT / "docs").glob("*.rst")) + sorted((ROOT / "docs").glob("howto/*.rst"))

matplotlib.use("Agg")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_leaves_a_figure(path, tmp_path, monkeypatch):
    monkeypatch.setenv("EXAMPLES_OUTPUT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    figures = list(tmp_path.glob("*.png"))
    assert figures
    assert all(figure.stat().st_size > 5000 for figure in figures)


def test_examples_are_few_and_short():
    assert len(EXAMPLES) <= 12
    for path in EXAMPLES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 100, path.name


def test_the_gallery_shows_every_example_in_an_order(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    from gallery_figures import ORDER

    assert set(ORDER) <= {path.name for path in EXAMPLES}
    sys.modules.pop("gallery_figures")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_on_a_page_compiles_and_names_what_there_is(page):
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^( *)\.\. code-block:: python\n\n((?:\1 +.*\n|\n)+)", text, re.MULTILINE):
        lines = block[1].splitlines()
        depth = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        tree = ast.parse("\n".join(line[depth:] for line in lines))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sig":
                assert hasattr(spikeinterface_gen, node.attr), f"{page.name}: sig.{node.attr}"


def test_figures_on_pages_come_from_results_that_are_there(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    from benchmark_results import look_up, shown

    told = json.loads((ROOT / "benchmarks" / "results" / "lorenz.json").read_text(encoding="utf-8"))
    assert look_up("lorenz/fits/10 minutes/sample_ms_a_trial") == told["fits"]["10 minutes"]["sample_ms_a_trial"]
    with pytest.raises(KeyError, match=r"no 'fitz' in lorenz\.json; there is"):
        look_up("lorenz/fitz")
    assert [shown(value) for value in (0.01234, 1.234, 12345, [0.5, 2])] == [
        "0.012",
        "1.23",
        "12\u202f345",
        "0.5 to 2",
    ]
    for page in PAGES:
        for text in re.findall(r":result:`([^`]+)`", page.read_text(encoding="utf-8")):
            assert look_up(text.split("|")[-1]) is not None
    sys.modules.pop("benchmark_results")
