"""validate(): what the report says, and that it can be had of awkward data."""

import re
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure

import spikeinterface_gen
from spikeinterface_gen import SpikeCounts, plot_rasters
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.validation.distances import METRICS, compare, floors
from spikeinterface_gen.validation.figures import section_figures
from spikeinterface_gen.validation.panels import clipped_interval, density_levels
from spikeinterface_gen.validation.profile import correlation_groups, profile
from spikeinterface_gen.validation.statistics import TrialStatistics

# So few relabellings, and the statistics alone, are enough for most of what is tested here.
validate = partial(spikeinterface_gen.validate, num_permutations=99, thorough=False)


def session(num_trials=200, units=16, bins=30, seed=0):
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(num_trials, bins // 10, 2)).repeat(10, axis=1)
    rates = 0.2 * np.exp(0.9 * latents @ rng.normal(size=(2, units)))
    return SpikeCounts(rng.poisson(rates), 10.0, unit_ids=[f"u{k}" for k in range(units)])


@pytest.fixture(scope="module")
def parts():
    return session(seed=2).split((0.6, 0.2, 0.2), seed=0)


@pytest.fixture(scope="module")
def report(parts):
    train, real, _ = parts
    return validate(real, PSTHPoisson().fit(train).sample(40, seed=1), train=train, thorough=True)


def test_the_table_has_every_metric_and_is_what_compare_and_floors_say(parts, report):
    train, real, _ = parts
    table = report.table
    assert list(table.index) == list(METRICS)
    assert list(table.columns[:6]) == ["value", "floor", "ratio", "low", "high", "flagged"]
    assert np.isfinite(table[["value", "floor", "ratio", "low", "high"]].to_numpy(float)).all()
    assert table["flagged"].dtype == bool
    assert (table["flagged"] == (table["p"] <= 0.05)).all()
    assert np.isfinite(table[["p", "detectable"]].to_numpy(float)).all()
    assert (table["detectable"] > 0).all()
    values = compare(real, report.synthetic)
    for name in ("population_count", "correlation"):
        assert table.loc[name, "value"] == pytest.approx(values[name])
        draws = floors(real, train, name)
        assert table.loc[name, "floor"] == pytest.approx(np.median(draws))
        assert table.loc[name, "ratio"] == pytest.approx(np.median(values[name] / draws))


def test_what_independent_units_lack_is_flagged_and_rates_are_not(report):
    flagged = report.table["flagged"]
    assert flagged[["population_count", "correlation"]].all()
    assert not flagged["rate"]
    assert 0.25 < report.membership.auc < 0.75
    assert not report.memorised
    assert report.whole_trials.flagged
    assert not report.whole_trials.too_close
    (use,) = report.use
    assert use.scores["real"] > 0
    assert use.share < 0.5


def test_real_trials_are_not_flagged(parts):
    train, real, other = parts
    assert validate(real, other, train=train).flagged == []
    assert validate(real, other).flagged == []


def test_the_paper_definitions(parts, report):
    train, real, _ = parts
    published = validate(real, report.synthetic, train=train, paper=True, num_splits=5).table
    values = compare(real, report.synthetic, paper=True)
    assert published.loc["population_count", "value"] == pytest.approx(values["population_count"])
    assert published.loc["correlation", "value"] < report.table.loc["correlation", "value"]
    assert list(published.index) == list(METRICS)


def test_the_summary_says_what_was_compared(report):
    summary = report.summary()
    for words in ("40 synthetic trials (PSTHPoisson, seed 1)", "16 units", "bins of 10 ms", "20 splits",
                  "5 % false alarms", "pairwise correlation", "would often be missed", "membership-inference AUC",
                  "As a whole, trials are told apart (p = ", "bits per spike in prediction of"):  # fmt: skip
        assert words in summary
    assert "\n" not in summary
    assert "nan" not in summary
    assert "flagged" in repr(report)


def test_the_verdict_comes_first_and_the_summary_is_short(parts, report):
    number = int(report.table["flagged"].sum())
    assert number > 3
    first = report.comparisons[report.flagged[0]].metric.label
    assert report.summary().startswith(
        f"Told apart from real trials by {number} of {len(report.table)} metrics; most clearly by {first}, "
    )
    assert len(report.summary().split()) < 200
    _, real, other = parts
    assert validate(real, other).summary().startswith("Not told apart from real trials by any of 23 metrics. ")


def test_sides_that_seem_swapped_are_said_so(parts):
    _, real, other = parts
    marked = real.with_annotations(synthetic=True)
    report = validate(marked, other, num_splits=2)
    assert report.notes[0].startswith("The sides may be swapped")
    assert report.summary().startswith("The sides may be swapped")
    for one, two in ((other, marked), (marked, marked), (real, other)):
        assert not replace(report, real=one, synthetic=two).maybe_swapped


def test_lags_can_be_given(parts):
    _, real, other = parts
    report = validate(real, other, num_splits=2, num_lags=3)
    assert report.profiles["real"].autocorrelograms.shape == (4, 3)
    longer = validate(real, other, num_splits=2, num_lags=25)
    assert longer.profiles["real"].cross_correlograms.shape == (4, 26)
    wanted = METRICS["autocorrelogram"].average(TrialStatistics(real, num_lags=25).autocorrelograms())
    assert longer.statistics.loc["autocorrelogram", ("real", "value")] == pytest.approx(wanted)
    for number in (0, 30):
        with pytest.raises(ValueError, match=f"between 1 and 29, for trials of 30 bins; got {number}"):
            validate(real, other, num_lags=number)


def test_unequal_numbers_are_compared_at_equal_ones(parts):
    train, real, _ = parts
    report = validate(real, PSTHPoisson().fit(train).sample(100, seed=1), train=train, num_splits=5)
    assert report.num_trials == 40
    assert len(np.unique(report.comparisons["rate"].values)) == 5
    assert {p.num_trials for p in report.profiles.values()} == {40}
    few = validate(real, PSTHPoisson().fit(train).sample(10, seed=1), train=train[:30], num_splits=5)
    assert few.num_trials == 10


def test_without_train_real_trials_are_halved(parts):
    _, real, other = parts
    report = validate(real, other, num_splits=5)
    assert report.num_trials == 20
    assert report.membership is None
    assert "two halves" in report.summary()


def test_the_same_seed_gives_the_same_report(parts):
    _, real, other = parts
    first, second = (validate(real, other, num_splits=4, seed=3) for _ in range(2))
    assert first.table.equals(second.table)
    assert not first.table.equals(validate(real, other, num_splits=4, seed=4).table)


# ---- awkward data ----------------------------------------------------------------------------


def test_trials_of_different_lengths_are_cut_alike(parts):
    _, real, other = parts
    longer = SpikeCounts(np.concatenate([other.counts, other.counts], axis=1), 10.0, unit_ids=other.unit_ids)
    report = validate(real, longer, num_splits=4)
    assert report.table.equals(validate(real, other, num_splits=4).table)
    assert any("cut to their first 30 bins" in note for note in report.notes)


def test_without_a_common_time_origin_nothing_is_said_of_the_time_in_a_trial(parts):
    _, real, other = parts
    real, other = (SpikeCounts(c.counts, 10.0, trial_locked=False) for c in (real, other))
    report = validate(real, other, num_splits=3)
    assert list(report.table.index) == [name for name in METRICS if not METRICS[name].needs_time_origin]
    assert "psth" not in report.table.index
    assert any("share no time origin: rate over a trial (PSTH)" in note for note in report.notes)
    report.plot()


def test_ragged_trials_work():
    counts = session(60, seed=1)
    lengths = np.random.default_rng(0).integers(12, 31, 60)
    values = counts.counts.copy()
    values[np.arange(30) >= lengths[:, None]] = 0
    real, other = SpikeCounts(values, 10.0, num_bins=lengths).split((0.5, 0.5))
    assert np.isfinite(validate(real, other, num_splits=4).table["ratio"].to_numpy()).all()


def test_silent_units_are_left_out_and_said_so(parts):
    train, real, other = parts
    muted = [np.where(np.arange(16) == 3, 0, c.counts) for c in (real, other, train)]
    real, other, train = (SpikeCounts(c, 10.0) for c in muted)
    report = validate(real, other, train=train, num_splits=4)
    assert any("mean interval (1 units)" in note for note in report.notes)
    assert np.isfinite(report.table["ratio"].to_numpy()).all()


def test_statistics_that_few_spikes_do_not_allow_are_left_out():
    rng = np.random.default_rng(2)
    real, other = (SpikeCounts(rng.poisson(0.03, (60, 6, 5)), 10.0) for _ in range(2))
    report = validate(real, other, num_splits=4)
    assert "cv2" not in report.table.index
    (note,) = [note for note in report.notes if note.startswith("Left out is")]
    assert "CV2" in note
    assert note.endswith("too few spikes, or trials too short.")
    assert np.isfinite(report.table["ratio"].to_numpy()).all()
    assert "1 note says what was left out" in report.summary()
    assert isinstance(report.plot(), Figure)


@pytest.mark.parametrize("trials", [2, 3])
def test_few_trials_give_what_they_can(trials):
    rng = np.random.default_rng(3)
    real, other = (SpikeCounts(rng.poisson(0.6, (trials, 50, 4)), 10.0) for _ in range(2))
    report = validate(real, other, num_splits=6)
    assert "fano_factor" not in report.table.index  # of a single trial
    assert report.flagged == []
    assert any("so few trials cannot show any difference" in note for note in report.notes)
    assert "nan" not in report.summary()
    table = report.table
    assert np.isfinite(table.loc[table["floor"] > 0, "ratio"].to_numpy()).all()
    report.plot()


@pytest.mark.parametrize("changed", [lambda one: 2 * one, lambda one: np.roll(one, 7, axis=1)])
def test_what_real_trials_never_vary_in_is_flagged_without_a_ratio(changed):
    once = np.zeros((60, 30, 5), np.uint8)
    once[:, 15] = 1
    report = validate(SpikeCounts(once, 10.0), SpikeCounts(changed(once), 10.0), num_splits=4)
    assert "psth" in report.flagged
    assert np.isnan(report.table.loc["psth", "ratio"])
    assert report.table.loc["psth", "floor"] == 0
    assert any(note.startswith("Without a ratio") for note in report.notes)
    assert "nan" not in report.summary()
    assert ">nan" not in report._repr_html_()
    report.plot()


def varying(num_trials, shortest, seed, bins=60):
    """One Poisson process, in trials of ``shortest`` to ``bins`` bins."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(shortest, bins + 1, num_trials)
    counts = rng.poisson(0.25, (num_trials, bins, 8)) * (np.arange(bins) < lengths[:, None])[:, :, None]
    return SpikeCounts(counts, 10.0, num_bins=lengths)


@pytest.mark.parametrize(("of_real", "of_synthetic"), [(60, 20), (20, 60)])
def test_lengths_of_trials_are_no_difference(of_real, of_synthetic):
    flagged = 0
    for seed in range(8):
        real, synthetic = varying(80, of_real, 2 * seed), varying(80, of_synthetic, 2 * seed + 1)
        report = validate(real, synthetic, num_splits=2)
        assert any("differ in length by more than chance" in note for note in report.notes)
        assert np.array_equal(np.sort(report.real.num_bins), np.sort(report.synthetic.num_bins))
        flagged += bool(report.flagged)
    assert flagged <= 2  # 8 chances of 5 %: more in 1 of 170 cases


def test_trials_alike_in_length_are_not_cut():
    real, synthetic = varying(80, 20, 0), varying(50, 20, 1)
    report = validate(real, synthetic, num_splits=2)
    assert np.array_equal(report.real.num_bins, real.num_bins)
    assert not any("differ in length" in note for note in report.notes)


def test_trials_in_both_real_and_train_are_refused(parts):
    train, _, other = parts
    with pytest.raises(ValueError, match=r"3 of the 3 trials of real are in train as well; .* split first"):
        validate(train[:3], other, train=train)


def test_what_is_no_spike_counts_is_told_how_to_become_one(parts):
    _, real, other = parts
    with pytest.raises(TypeError, match=r"synthetic must be a SpikeCounts; got Block. .* SpikeCounts.from_neo"):
        validate(real, PSTHPoisson().fit(real).sample(2, seed=0).to_neo())
    with pytest.raises(TypeError, match=r"real must be a SpikeCounts; got ndarray"):
        validate(real.counts, other)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("trials", "training"), [(1, 2), (2, 4)])
def test_averages_are_left_out_where_trials_are_too_few(trials, training):
    rng = np.random.default_rng(3)
    real, other, train = (SpikeCounts(rng.poisson(0.2, (n, 50, 4)), 10.0) for n in (trials, 5, training))
    report = validate(real, other, train=train, thorough=True)
    assert np.isfinite(report.statistics.to_numpy()).all()
    (note,) = [note for note in report.notes if note.startswith("Too few trials for averages")]
    assert report.statistics.empty if trials == 1 else "noise correlation" in note
    assert "Too few trials to tell anything" in report.summary()
    report.plot()


def test_nothing_at_all_is_said_so():
    silent = SpikeCounts(np.zeros((8, 10, 3), np.uint8), 10.0)
    report = validate(silent, silent, num_splits=3)
    assert report.table.empty
    assert "No metric could be computed" in report.summary()
    report.plot()
    assert "<table" in report._repr_html_()


def test_one_unit_has_no_pairs(parts):
    _, real, other = parts
    report = validate(real[:, ["u2"]], other[:, ["u2"]], num_splits=4)
    assert "correlation" not in report.table.index
    assert "rate" in report.table.index
    report.plot()


def test_cross_correlograms_of_many_units_are_of_a_sample(monkeypatch):
    from spikeinterface_gen.validation import layout
    from spikeinterface_gen.validation import validate as of_validate

    for module in (layout, of_validate):
        monkeypatch.setattr(module, "MAX_PAIR_UNITS", 6)
    real, other = session(80).split((0.5, 0.5))
    result = validate(real, other, num_splits=3)
    assert result.table.loc["cross_correlogram", "n"] == 15
    assert result.table.loc["correlation", "n"] == 120
    assert "All else that is of pairs or triplets is of 6 units, evenly spread over all." in result.notes
    assert not any("Left out" in note for note in result.notes)


def test_what_cannot_be_compared_is_an_error(parts):
    train, real, other = parts
    with pytest.raises(ValueError, match="same units in the same order"):
        validate(real, other[:, ["u1", "u2"]])
    with pytest.raises(ValueError, match="bins of 10 ms and train of 5 ms"):
        validate(real, other, train=SpikeCounts(train.counts, 5.0, unit_ids=train.unit_ids))
    with pytest.raises(ValueError, match="too few for a floor"):
        validate(real[:1], other)
    with pytest.raises(ValueError, match="num_splits must be at least 2"):
        validate(real, other, num_splits=1)
    with pytest.raises(ValueError, match="num_permutations must be at least 99"):
        validate(real, other, num_permutations=50)


def test_real_trials_in_place_of_synthetic_ones_are_called_copies(parts):
    train, real, _ = parts
    report = validate(real, real, num_splits=4)
    assert report.num_copies == 40
    assert report.flagged == ["memorisation"]
    assert "40 synthetic trials equal a real trial spike by spike" in report.summary()
    copied = validate(real, train[:40], train=train, num_splits=4)
    assert copied.num_copies == 40
    assert copied.membership.found
    assert copied.flagged == ["memorisation"]
    of_both = SpikeCounts(np.concatenate([train.counts[:10], real.counts[:30]]), 10.0, unit_ids=real.unit_ids)
    assert validate(real, of_both, train=train, num_splits=2).num_copies == 40


def test_real_trials_that_were_touched_up_are_no_copies_but_too_close(parts):
    _, real, _ = parts
    counts = real.counts.copy()
    for trial in counts:
        first = np.argwhere(trial)[0]
        trial[tuple(first)] -= 1
    report = validate(real, SpikeCounts(counts, 10.0, unit_ids=real.unit_ids), num_splits=2, thorough=True)
    assert report.num_copies == 0
    assert report.flagged == ["memorisation"]
    assert "they look like copies" in report.summary()


def test_one_condition_is_no_division(parts):
    train, real, other = (
        SpikeCounts(c.counts, 10.0, covariates={"side": np.full(c.num_trials, "left"), "depth": np.ones(c.num_trials)})
        for c in parts
    )
    report = validate(real, other, train=train, num_splits=2, thorough=True)
    assert report.by_part.empty
    assert [use.score for use in report.use] == ["bits per spike"]
    assert report.notes == ["No rows by side, depth (one value in all trials)."]
    assert np.isfinite(report.table["ratio"].to_numpy()).all()


def test_conditions_are_decoded(parts, monkeypatch):
    from spikeinterface_gen.validation import use

    monkeypatch.setattr(use, "_MAX_COVARIATES", 1)
    train, real, other = (
        SpikeCounts(c.counts, 10.0, covariates={name: np.arange(c.num_trials) % 2 for name in "ab"}) for c in parts
    )
    reports, notes = use.use_of(train[:40], other, real)
    assert [report.task for report in reports[1:]] == ["Decoding of a"]
    assert notes == ["Of 2 covariates 1 were decoded; decode_covariate has the others."]


def test_what_few_trials_do_not_allow_is_said(parts):
    train, real, other = parts
    report = validate(real[:8], other, train=train, num_splits=2, thorough=True)
    assert report.whole_trials is None
    assert report.use == []
    assert any(note.startswith("Whole trials were not compared: real has 8 trials") for note in report.notes)
    assert any(note.startswith("Co-smoothing is left out: test has 8 trials") for note in report.notes)


def test_an_encoder_adds_the_distance_of_its_latents(parts):
    _, real, other = parts

    class Sums:
        def encode(self, counts):
            return counts.counts.sum(axis=2, keepdims=True).astype(float)

    report = validate(real, other, encoder=Sums(), num_splits=2, thorough=True)
    assert "frechet_distance" in report.whole_trials.tests

    class Wrong:
        def encode(self, counts):
            raise ValueError("of another population")

    with pytest.raises(ValueError, match="of another population"):
        validate(real, other, encoder=Wrong(), num_splits=2, thorough=True)


def test_averages_have_intervals_that_hold_the_truth(parts, report):
    statistics = report.statistics
    assert list(statistics.index) == list(report.table.index)
    assert (statistics["real", "low"] < statistics["real", "value"]).all()
    assert statistics.loc["rate", ("real", "value")] == pytest.approx(parts[1].rates_hz.mean())
    assert statistics.loc["fano_factor", ("real", "low")] > statistics.loc["fano_factor", ("synthetic", "high")]


def test_areas_and_conditions_have_rows_of_their_own(parts):
    _, real, other = parts
    areas = np.repeat(["CA1", "VISp"], 8)
    real, other = (
        SpikeCounts(c.counts, 10.0, unit_properties={"area": areas}, covariates={"side": np.arange(40) % 2})
        for c in (real, other)
    )
    table = validate(real, other, num_splits=4).by_part
    assert set(table.index.get_level_values("of")) == {"area", "side"}
    assert table.loc[("area", "CA1", "rate"), "n"] == 8
    assert np.isfinite(table.to_numpy()).all()


# ---- figures and pages -----------------------------------------------------------------------


def test_figures_carry_sizes_units_and_floors(report):
    figure = report.plot()
    words = " ".join(t.get_text() for t in figure.findobj(match=lambda a: hasattr(a, "get_text")))
    for expected in ("40 trials a side", "16 units", "(ms)", "Hz", "floor", "n = 120 pairs", "training trials"):
        assert expected in words
    rasters = plot_rasters(report.real, report.synthetic, num_trials=2, max_units=5)
    assert len(rasters.axes) == 2
    assert rasters.axes[0].get_xlim() == (0, 600)
    assert rasters.axes[0].get_ylim() == (-1, 5)


def test_the_page_stands_alone(report, tmp_path):
    path = replace(report, notes=["No <rows>."]).to_html(tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    assert "<details><summary>What was left out or cut (1)</summary><ul><li>No &lt;rows&gt;.</li></ul>" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "data:image/png;base64," in page
    assert report.membership.summary().split(" (")[0] in page
    # A row each and a head: metrics, averages, distances of whole trials, use.
    assert page.count("<tr") == 2 * (len(report.table) + 1) + 4 + 2
    assert page.count("<table") == page.count("<thead>") == 4
    assert "<th></th>" not in page
    assert page.count("<th>unit</th>") == 2
    words = " ".join(page.split())
    assert "so many trials would show" in words
    assert "flagged although its ratio is near 1" in words
    assert "sampling error of its training trials" in words
    assert "Synthetic spikes. Made by PSTHPoisson, seed 1, python 3" in page
    assert page.index("Told apart from real trials by") < page.index("<h2>Metrics")
    assert path.stat().st_size < 4e6
    assert list(tmp_path.iterdir()) == [path]


def test_there_is_a_figure_of_every_kind_of_statistic(report):
    figures = section_figures(report)
    titles = [ax.get_title(loc="left") for figure in figures.values() for ax in figure.axes]
    for title in ("PSTH", "Slow drift", "Power spectrum", "Synchrony", "Spike time tiling", "Triplets", "Lv",
                  "Whole trials", "Use", "Memorisation"):  # fmt: skip
        assert titles.count(title) == 1
    panels = [ax for ax in report.plot().axes if ax.get_title(loc="left")]
    assert len(panels) == len([title for title in titles if title])
    for ax in panels:
        assert ax.get_xlabel()


def test_an_interval_beyond_the_limits_ends_in_an_arrow():
    ax = Figure().subplots()
    clipped_interval(ax, 0, 0.7, 480.0, (0.5, 4.0), "black")
    bar, arrow = ax.lines
    np.testing.assert_allclose(bar.get_xdata(), [0.7, 4.0])
    assert arrow.get_marker() == ">"
    assert list(arrow.get_xdata()) == [4.0]
    clipped_interval(ax, 1, 0.7, 3.0, (0.5, 4.0), "black")
    assert len(ax.lines) == 3


def test_contours_hold_the_shares_that_they_say():
    x, y = np.random.default_rng(0).normal(size=(2, 200_000))
    density, (outer, inner) = density_levels(x, y, np.linspace(-5, 5, 101))
    assert density[density >= outer].sum() / density.sum() == pytest.approx(0.95, abs=0.005)
    # Half of a two-dimensional Gaussian lies within 1.18 s.d.
    area = np.sum(density >= inner) * 0.1**2
    assert area == pytest.approx(np.pi * 2 * np.log(2), rel=0.08)


def test_profiles_of_poisson_units_are_flat():
    rng = np.random.default_rng(1)
    counts = SpikeCounts(rng.poisson(0.2, (200, 64, 10)), 10.0)
    found = profile(TrialStatistics(counts), [np.arange(10)])
    np.testing.assert_allclose(found.relative_power, 1.0, atol=0.1)
    np.testing.assert_allclose(found.frequencies_hz[[0, -1]], np.array([2, 31]) / 0.64)
    assert len(found.psth_hz) == 32
    assert found.psth_bin_ms == 20.0
    np.testing.assert_allclose(found.psth_hz, 20.0, rtol=0.1)
    assert found.complexity_shares.sum() == pytest.approx(1.0)


def test_a_page_that_cannot_be_written_leaves_the_old_one(report, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    import os

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        report.to_html(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_names_in_data_are_escaped(parts, tmp_path):
    _, real, other = parts
    named = other.with_annotations(synthetic=True, model="<script>alert(1)</script>")
    page = validate(real, named, num_splits=2).to_html(tmp_path / "r.html").read_text()
    assert "<script" not in page


def test_groups_follow_the_strength_of_correlations():
    matrix = np.zeros((8, 8))
    matrix[:2, :2], matrix[2:4, 2:4], matrix[4:6, 4:6] = 0.9, -0.5, 0.1
    groups = correlation_groups(matrix[np.triu_indices(8, 1)], 8)
    assert [g.tolist() for g in groups] == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_validating_imports_no_torch():
    code = "import sys, spikeinterface_gen as g; g.validate; g.plot_rasters; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
