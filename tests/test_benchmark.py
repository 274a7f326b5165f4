"""Controls, and a small study of one quick sorter."""

from io import BytesIO

import matplotlib
import numpy as np
import pandas as pd
import pytest
import spikeinterface.full as si
from scipy import stats
from spikeinterface.benchmark import SorterStudy

from spikeinterface_gen import (
    GenerativeRecordingExtractor,
    GenerativeSorterStudy,
    SpikeCounts,
    benchmark_sorters,
    generate_from_counts,
    make_controls,
)
from spikeinterface_gen.benchmark.effects import effects_table
from spikeinterface_gen.benchmark.pairs import paired_recordings
from spikeinterface_gen.benchmark.tables import spike_train_correlations
from spikeinterface_gen.models.psth import PSTHPoisson

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> GenerativeRecordingExtractor:
    """Units that share a gain in each trial, and follow a common time course."""
    rng = np.random.default_rng(0)
    gain = rng.gamma(2.0, 0.5, (60, 1, 1))
    course = 1.0 + np.sin(np.linspace(0, np.pi, 20))[:, None]
    counts = SpikeCounts(
        rng.poisson(0.1 * gain * course * np.linspace(0.5, 1.5, 6)),
        10.0,
        unit_ids=list("abcdef"),
        unit_properties={"short_interval_counts": np.full((6, 20), 3.0)},
        covariates={"side": np.arange(60) % 2},
    )
    path = tmp_path_factory.mktemp("sessions") / "a"
    return generate_from_counts(
        counts, seed=1, folder=path, noise_level_uv=4.0, motion="rigid", drift_um_per_hour=100.0
    )


@pytest.fixture(scope="module")
def controls(recording, tmp_path_factory) -> dict[str, GenerativeRecordingExtractor]:
    return make_controls(recording, seed=2, folder=tmp_path_factory.mktemp("controls"))


# ---- controls --------------------------------------------------------------------------------


def test_controls_share_everything_but_their_spikes(recording, controls):
    assert list(controls) == ["as_is", "permuted", "psth_poisson", "homogeneous_poisson"]
    assert controls["as_is"] is recording
    own = recording._session
    for kind, control in controls.items():
        session = control._session
        assert np.array_equal(session.templates.waveforms_uv, own.templates.waveforms_uv)
        assert session.motion == own.motion
        assert session.parameters == own.parameters
        assert control.get_total_samples() == recording.get_total_samples()
        assert np.allclose(control.counts.rates_hz, recording.counts.rates_hz, rtol=0.25), kind
        assert control.get_annotation("synthetic") is True
        if kind != "as_is":
            assert control.get_annotation("control") == kind
    # Where no unit fires, the noise is the same to the bit.
    busy = np.zeros(recording.get_total_samples(), dtype=bool)
    for control in controls.values():
        for frame in control.sorting.to_spike_vector()["sample_index"]:
            busy[max(frame - 60, 0) : frame + 100] = True
    assert (~busy).sum() > 1000
    traces = [control.get_traces()[~busy] for control in controls.values()]
    assert all(np.array_equal(part, traces[0]) for part in traces[1:])


def test_permuted_units_keep_their_own_trains(recording, controls):
    own, permuted = recording._session, controls["permuted"]._session
    a, b = own.placed_spikes, permuted.placed_spikes
    for unit in range(6):
        trains = []
        for placed, amplitudes in ((a, own.amplitudes), (b, permuted.amplitudes)):
            of_unit = placed.unit == unit
            trains.append(
                [
                    (
                        placed.frame[of_unit & (placed.trial == t)].tolist(),
                        amplitudes[of_unit & (placed.trial == t)].tolist(),
                    )
                    for t in range(60)
                ]
            )
        assert sorted(map(str, trains[0])) == sorted(map(str, trains[1]))
        assert trains[0] != trains[1]
    assert permuted.forced_violations.sum() == 0


def test_only_the_recording_itself_has_joint_firing(controls):
    def common_variance(counts: SpikeCounts) -> float:
        per_trial = counts.counts.sum(axis=1, dtype=float)
        return per_trial.sum(axis=1).var() / per_trial.var(axis=0).sum()

    found = {kind: common_variance(control.counts) for kind, control in controls.items()}
    assert found["as_is"] > 2.0
    assert all(0.6 < found[kind] < 1.5 for kind in ("permuted", "psth_poisson", "homogeneous_poisson")), found
    courses = {kind: control.counts.counts.mean(axis=(0, 2)) for kind, control in controls.items()}
    depth = {kind: course[8:12].mean() / course[[0, 1, -2, -1]].mean() for kind, course in courses.items()}
    assert depth["permuted"] == pytest.approx(depth["as_is"])
    assert depth["psth_poisson"] > 1.2
    assert 0.85 < depth["homogeneous_poisson"] < 1.15


def test_controls_repeat_with_their_seed_and_keep_the_layout_and_rendering(recording, tmp_path):
    changed = GenerativeRecordingExtractor(recording._kwargs["folder_path"], layout="trials", noise_mode="tiled")
    first, again, other = (
        make_controls(changed, ["permuted"], seed, folder=tmp_path / name)["permuted"]
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert first.get_num_segments() == 60
    assert first._kwargs["noise_mode"] == "tiled"
    assert np.array_equal(first.sorting.to_spike_vector(), again.sorting.to_spike_vector())
    assert not np.array_equal(first.sorting.to_spike_vector(), other.sorting.to_spike_vector())
    with pytest.raises(FileExistsError):
        make_controls(changed, ["permuted"], 5, folder=tmp_path / "a")


def test_wrong_controls_are_named(recording, tmp_path):
    with pytest.raises(ValueError, match="kinds must be some of"):
        make_controls(recording, ["shuffled"], 1, folder=tmp_path)
    with pytest.raises(TypeError, match="GenerativeRecordingExtractor"):
        make_controls(si.generate_recording(durations=[0.1]), seed=1, folder=tmp_path)
    ragged = [np.ones((n, 2), dtype=int) for n in (5, 6, 7)]
    unequal = generate_from_counts(SpikeCounts(ragged, 10.0), seed=0, folder=tmp_path / "r")
    with pytest.raises(ValueError, match="no two of the 3 trials are of one length"):
        make_controls(unequal, seed=1, folder=tmp_path)


def test_refractory_periods_hold_across_the_seams_of_permuted_trials(tmp_path):
    rng = np.random.default_rng(0)
    counts = SpikeCounts(rng.poisson(0.5, (200, 3, 2)), 10.0, unit_properties={"refractory_period_ms": np.full(2, 3.0)})
    recording = generate_from_counts(counts, seed=0, folder=tmp_path / "a")
    control = make_controls(recording, ["permuted"], 3, folder=tmp_path)["permuted"]
    assert control._session.forced_violations.sum() <= recording._session.forced_violations.sum()


def test_pairs_are_drawn_once_and_opened_afterwards(tmp_path):
    model = PSTHPoisson().fit(SpikeCounts(np.random.default_rng(0).poisson(0.2, (20, 15, 3)), 10.0))
    first = paired_recordings(model, 6, tmp_path, repeats=2, seed=3, kinds=["as_is", "permuted"], noise_level_uv=4.0)
    assert list(first) == [("as_is", 0), ("permuted", 0), ("as_is", 1), ("permuted", 1)]
    assert not np.array_equal(first["as_is", 0].counts.counts, first["as_is", 1].counts.counts)
    templates = {key: recording._session.templates.waveforms_uv for key, recording in first.items()}
    assert np.array_equal(templates["as_is", 1], templates["permuted", 1])
    assert not np.array_equal(templates["as_is", 0], templates["as_is", 1])
    again = paired_recordings(None, 6, tmp_path, repeats=2, seed=3, kinds=["permuted", "as_is"])
    assert np.array_equal(again["permuted", 1].get_traces(), first["permuted", 1].get_traces())
    with pytest.raises(ValueError, match="holds 6 trials of seed 3, not 7 of 3"):
        paired_recordings(model, 7, tmp_path, seed=3)


# ---- tables and effects ----------------------------------------------------------------------


def test_correlations_are_those_of_binned_counts(recording):
    sorting = recording.sorting
    found = spike_train_correlations(sorting, [recording.get_num_samples()], 10.0)
    expected = np.corrcoef(recording.counts.counts.reshape(-1, 6).T)
    assert np.allclose(found, expected, atol=1e-9)


def made_up(effect: float, run_sigma: float, num_repeats: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for repeat in range(num_repeats):
        units = rng.normal(0.7, 0.15, 20)
        for kind, shift in (("as_is", effect), ("permuted", 0.0)):
            values = units + shift + rng.normal(0, run_sigma) + rng.normal(0, 0.02, 20)
            rows += [("good", kind, str(repeat), k, value) for k, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["sorter", "kind", "repeat", "unit_id", "accuracy"])


def paired(table: pd.DataFrame) -> pd.Series:
    wide = table.pivot(index=["repeat", "unit_id"], columns="kind", values="accuracy")
    return wide["as_is"] - wide["permuted"]


def test_the_mixed_model_is_the_analysis_of_variance_where_that_is_exact():
    # What all units of a run share decides: the effect is that of the means of the repeats.
    table = made_up(0.05, 0.05, 6, seed=1)
    row = effects_table(table).iloc[0]
    means = paired(table).groupby("repeat").mean()
    exact = stats.ttest_1samp(means, 0.0)
    assert row["effect"] == pytest.approx(means.mean(), abs=1e-6)
    assert [row["low"], row["high"]] == pytest.approx(list(exact.confidence_interval(0.95)), abs=2e-3)
    assert row["p_value"] == pytest.approx(exact.pvalue, abs=0.01)
    # Twenty units of one run are twenty differences, and no more is claimed.
    single = made_up(0.02, 0.0, 1)
    exact = stats.ttest_1samp(paired(single), 0.0)
    row = effects_table(single).iloc[0]
    assert [row["low"], row["high"]] == pytest.approx(list(exact.confidence_interval(0.95)))
    assert (row["num_units"], row["num_repeats"]) == (20, 1)


def test_intervals_hold_what_they_promise():
    effects = [effects_table(made_up(0.03, 0.02, 5, seed=k), num_bootstrap=100).iloc[0] for k in range(60)]
    covered = np.mean([row["low"] <= 0.03 <= row["high"] for row in effects])
    assert 0.88 <= covered <= 1.0
    assert np.mean([row["low"] > 0 for row in effects]) > 0.2
    # A sorter that is always right has no effect, and that is no error.
    perfect = made_up(0.0, 0.0, 3).assign(accuracy=1.0)
    assert effects_table(perfect).iloc[0][["effect", "low", "high"]].tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="reference must be one of"):
        effects_table(made_up(0.0, 0.01, 2), reference="real")
    with pytest.raises(ValueError, match="metric must be one of"):
        effects_table(made_up(0.0, 0.01, 2), metric="speed")


# ---- a study ---------------------------------------------------------------------------------


def test_a_study_runs_goes_on_after_failures_and_is_resumed(controls, tmp_path, capsys):
    jobs = {"n_jobs": 1}
    recordings = {kind: controls[kind] for kind in ("as_is", "permuted")}
    failing = {"simple": {}, "spykingcircus2": {"docker_image": "no-such-image"}}
    with pytest.warns(UserWarning, match="spykingcircus2 as_is 0 failed"):
        benchmark_sorters({"as_is": controls["as_is"]}, failing, tmp_path / "study", job_kwargs=jobs)
    study = benchmark_sorters(recordings, "simple", tmp_path / "study", job_kwargs=jobs)
    assert isinstance(study, SorterStudy)
    assert sorted(study.done) == [("simple", "as_is", "0"), ("simple", "permuted", "0")]
    assert list(study.failures) == [("spykingcircus2", "as_is", "0")]
    table = study.table()
    assert len(table) == 12
    assert table["accuracy"].between(0, 1).all()
    assert table["accuracy"].max() > 0.7
    assert (table.groupby("kind")["num_spikes"].sum() == recordings["as_is"].sorting.count_total_num_spikes()).all()
    collisions = study.collisions(lag_ms=1.0)
    assert set(collisions.columns) >= {"correlation", "recall_collision", "recall_alone", "num_collisions"}
    assert collisions["recall_collision"].dropna().between(0, 1).all()
    assert len(study.effects()) == 1
    study.plot().savefig(tmp_path / "study.png", dpi=40)
    assert study.get_count_units().loc[("simple", "as_is", "0"), "num_gt"] == 6
    assert not (tmp_path / "study" / "traces").exists()

    # A run that was cut off is done again, and nothing else is.
    capsys.readouterr()
    cut_off = tmp_path / "study" / "study" / "results" / study.key_to_str(("simple", "permuted", "0"))
    (cut_off / "run.json").unlink()
    study = benchmark_sorters(recordings, "simple", tmp_path / "study", job_kwargs=jobs)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("simple")] == [
        "simple permuted 0"
    ]
    again = GenerativeSorterStudy(tmp_path / "study")
    pd.testing.assert_frame_equal(again.table(), study.table())
    with pytest.raises(ValueError, match="holds a study of another recording named 'as_is-0'"):
        benchmark_sorters({"as_is": controls["permuted"]}, "simple", tmp_path / "study")
    with pytest.raises(ValueError, match="has other parameters"):
        benchmark_sorters(recordings, {"simple": {"seed": 3}}, tmp_path / "study")

    # It can be moved, and where something could execute code it is not opened.
    (tmp_path / "study").rename(tmp_path / "moved")
    pd.testing.assert_frame_equal(GenerativeSorterStudy(tmp_path / "moved").table(), study.table())
    analyzer = tmp_path / "moved" / "analyzers" / "as_is-0"
    told = (analyzer / "recording.json").read_text()
    for name, content, match in (
        ("recording.pickle", b"cos\nsystem\n(S'true'\ntR.", "is a pickle"),
        ("sorting/properties/evil.npy", object_array(), "is no array of plain values"),
        (
            "recording.json",
            told.replace("spikeinterface_gen.extractors.", "spikeinterface_gen.models.").encode(),
            "names",
        ),
        ("recording.json", b'{"class": "spikeinterface.core.loading.load", "kwargs": {}}', "no recording or sorting"),
    ):
        (analyzer / name).write_bytes(content)
        with pytest.raises(ValueError, match=match):
            GenerativeSorterStudy(tmp_path / "moved")
        (analyzer / name).unlink()
    with pytest.raises(FileNotFoundError, match="no study by benchmark_sorters"):
        GenerativeSorterStudy(tmp_path)


def object_array() -> bytes:
    file = BytesIO()
    np.save(file, np.array([{}]), allow_pickle=True)
    return file.getvalue()


def test_wrong_sorters_and_recordings_are_named_before_anything_runs(controls, tmp_path):
    for sorters, match in (
        ("kilosort9", "'kilosort9' is no sorter.*did you mean 'kilosort"),
        (["simple", "combinato"], "'combinato' is not installed.*docker_image"),
        ([], "sorters is empty"),
    ):
        with pytest.raises(ValueError, match=match):
            benchmark_sorters(controls, sorters, tmp_path / "a")
    with pytest.raises(ValueError, match="recordings is empty"):
        benchmark_sorters({}, "simple", tmp_path / "a")
    with pytest.raises(ValueError, match="without slashes"):
        benchmark_sorters({"a/b": controls["as_is"]}, "simple", tmp_path / "a")
    with pytest.raises(TypeError, match=r"recordings\['a'\] must be a GenerativeRecordingExtractor"):
        benchmark_sorters({"a": si.generate_recording(durations=[0.1])}, "simple", tmp_path / "a")
    assert not (tmp_path / "a").exists()
