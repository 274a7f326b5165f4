"""What objects say of themselves at a prompt and in a notebook: enough, escaped, and well-formed."""

from xml.etree import ElementTree

import numpy as np
import pytest

from spikeinterface_gen import (
    LDNS,
    SpikeCounts,
    TwoSampleReport,
    TwoSampleTest,
    UseReport,
    generate_from_counts,
    load_dataset,
)
from spikeinterface_gen.html_repr import describe, sparkline_svg
from spikeinterface_gen.models.psth import HomogeneousPoisson, PSTHPoisson


def parsed(html: str) -> tuple[ElementTree.Element, str]:
    """Elements and text of HTML that is XML as well."""
    root = ElementTree.fromstring(f"<div>{html}</div>")
    return root, " ".join(" ".join(root.itertext()).split())


def test_counts(counts):
    _, text = parsed(counts._repr_html_())
    assert repr(counts) in text
    for fact in ("5, 0.07 to 0.12 s each", "4: a, b, c, d", "1 silent", "starts of trials 10.1 to 21.5 s"):
        assert fact in text
    assert "covariate choice left, right" in text
    assert "covariate target float64 (5, 2)" in text
    assert "unit property area CA1, VISp, root" in text
    assert "dataset test" in text


def test_names_are_escaped():
    counts = SpikeCounts(np.ones((2, 3, 1), np.uint8), 10.0, unit_ids=["<b>&"], annotations={"note": "<script>"})
    html = counts._repr_html_()
    assert "<script>" not in html
    assert "<b>&" in parsed(html)[1]


def test_silent_counts_have_a_flat_curve():
    html = SpikeCounts(np.zeros((2, 3, 2), np.uint8), 10.0)._repr_html_()
    curve = parsed(html)[0].find(".//polyline")
    assert {point.split(",")[1] for point in curve.get("points").split()} == {"39.0"}
    assert "2 silent" in html


def test_curves_lie_in_their_frame():
    curve = parsed(sparkline_svg(np.array([0.0, 2.0, 1.0]), "a label"))[0].find(".//polyline")
    points = [tuple(map(float, point.split(","))) for point in curve.get("points").split()]
    assert points == [(0.0, 39.0), (120.0, 1.0), (240.0, 20.0)]


def test_models_show_their_settings_and_whether_they_are_fitted():
    _, text = parsed(LDNS(num_latents=3)._repr_html_())
    assert "num_latents 3" in text
    assert "no; call fit(counts)" in text


@pytest.mark.parametrize("kind", [PSTHPoisson, HomogeneousPoisson])
def test_baselines_show_the_same(kind, counts):
    assert "no; call fit(counts)" in parsed(kind()._repr_html_())[1]
    model = kind().fit(counts)
    _, text = parsed(model._repr_html_())
    assert repr(model) in text
    assert f"smoothing_bins_ {model.smoothing_bins_}" in text


@pytest.mark.parametrize("layout", ["session", "trials"])
def test_recordings_say_that_they_are_synthetic(tmp_path, counts, layout):
    recording = generate_from_counts(counts, folder=tmp_path / "session", seed=0, layout=layout)
    assert repr(recording).endswith("Synthetic: 5 trials of 4 units from counts, seed 0")
    html = recording._repr_html_()
    assert "Synthetic: 5 trials of 4 units" in html
    assert "Channel IDs" in html  # what SpikeInterface shows comes after it
    assert repr(recording.sorting).endswith("Synthetic: 5 trials of 4 units from counts, seed 0")
    html = recording.sorting._repr_html_()
    assert html.index("Synthetic: 5 trials of 4 units") < html.index("Unit IDs")


def test_values_are_described_in_short():
    assert describe(np.arange(12.0).reshape(3, 4)) == "float64 (3, 4), 0 to 11"
    assert describe(np.array(["b", "a", "b"])) == "a, b"
    assert describe(np.array([np.nan, 1.0])) == "float64 (2), 1"
    assert describe(0.25) == "0.25"
    assert describe({"numpy": "2.4", "torch": "2.13"}) == "numpy 2.4, torch 2.13"
    assert len(describe("x" * 500)) == 120


def test_reports_show_what_was_found_and_their_table():
    test = TwoSampleTest("auc", "classifier", 0.7, np.full(99, 0.5), np.full(3, 0.7), np.full(3, 0.5), 10, 12)
    report = TwoSampleReport({"auc": test}, 0.01, 1.0, 10, ("a < b",))
    assert repr(report).startswith("TwoSampleReport: 1 distances, told apart (family-wise p = 0.01)")
    page, text = parsed(report._repr_html_())
    assert "10 real and 12 synthetic trials" in text
    assert "a < b" in text
    assert [row.find("th").text for row in page.iter("tr") if row.find("td") is not None] == ["auc"]

    scores = {"real": 0.8, "synthetic": 0.7, "real and synthetic": 0.85}
    use = UseReport("side", "accuracy", 0.5, scores, {name: np.full(4, s) for name, s in scores.items()}, 9, 8, 7)
    assert "accuracy of real 0.8, synthetic 0.7, real and synthetic 0.85; chance 0.5" in repr(use)
    assert use.summary() in parsed(use._repr_html_())[1]


def test_simulated_data_are_told_in_a_line():
    dataset = load_dataset("lorenz", num_trials=2, return_truth=True)
    assert repr(dataset) == f"SimulatedDataset with true rates and 3 latents. {dataset.counts!r}"
    assert "true rates and 3 latents" in parsed(dataset._repr_html_())[1]
