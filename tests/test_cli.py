"""The command line: files in, files out."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spikeinterface.core as sc

from spikeinterface_gen import SpikeCounts, is_synthetic, load_dataset, load_model, read_neo
from spikeinterface_gen.cli import main
from spikeinterface_gen.cli.inputs import ReadOptions, read_counts
from spikeinterface_gen.extractors import GenerativeRecordingExtractor


def run(capsys, *arguments) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A recorded session as NWB, a model fitted to it by the command line, and a key."""
    folder = tmp_path_factory.mktemp("cli")
    counts = load_dataset("lorenz", num_trials=60)
    counts = SpikeCounts(counts.counts[:, :30, :8], 10.0, unit_ids=[f"u{k}" for k in range(8)])
    counts.to_nwb(folder / "session.nwb")
    (folder / "key.txt").write_text("a secret\n")
    assert main(["fit", str(folder / "session.nwb"), str(folder / "model"), "--num-steps", "4", "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def synthetic(folder) -> Path:
    path = folder / "synthetic.nix"
    arguments = ["generate", folder / "model", path, "--trials", 10, "--seed", 1, "--quiet"]
    assert main([str(a) for a in (*arguments, "--watermark-key-file", folder / "key.txt")]) == 0
    return path


def test_fit_tells_what_it_did_and_replaces_nothing_unasked(folder, capsys):
    code, out, _ = run(capsys, "fit", folder / "session.nwb", folder / "again", "--num-steps", 2, "--json", "--quiet")
    assert code == 0
    result = json.loads(out)
    assert (result["trained_on"], result["held_out"], result["data"]["units"]) == (48, 12, 8)
    assert result["stage_metrics"]
    for target, words in ((folder / "model", "--overwrite"), (folder, "it is no model")):
        code, _, err = run(capsys, "fit", folder / "session.nwb", target)
        assert code == 2
        assert words in err
    code, _, err = run(capsys, "fit", folder / "session.nwb", folder / "again", "--min-rate-hz", 1e4, "--overwrite")
    assert code == 2
    assert "lower --min-rate-hz" in err


def test_generate_writes_what_the_name_asks_for(folder, synthetic, capsys):
    block = read_neo(synthetic)
    assert is_synthetic(synthetic)
    assert len(block.segments) == 10
    assert block.annotations["watermarked"] is True
    common = ["--trials", 4, "--seed", 1, "--quiet"]
    code, out, _ = run(
        capsys, "generate", folder / "model", folder / "recording", *common, "--units", "u1", "u7", "--json",
        "--set", "noise_level_uv=3.5", "--set", "noise_spectrum=white", "--gap-s", 0.1,
    )  # fmt: skip
    assert code == 0
    assert json.loads(out)["seed"] == 1
    recording = GenerativeRecordingExtractor(folder / "recording")
    assert recording.sorting.unit_ids.tolist() == ["u1", "u7"]
    assert recording._session.parameters.noise_level_uv == 3.5
    assert run(capsys, "generate", folder / "model", folder / "out.nwb", *common)[0] == 0
    # The same seed: the same trials in every format, however many.
    expected = SpikeCounts.from_neo(block, 10.0)[:4]
    assert np.array_equal(SpikeCounts.from_nwb(folder / "out.nwb", 10.0).counts, expected.counts)
    assert np.array_equal(recording.counts.counts, expected.select_units(["u1", "u7"]).counts)

    for arguments, words in (
        (["out.nwb"], "--overwrite"),
        (["out.csv"], r"the suffix must be .nwb"),
        (["b", "--units", "u1", "x"], "--units x: no such units; there are u0"),
        (["b", "--set", "noise"], "expected NAME=VALUE"),
        (["b", "--set", "noise=1"], "'noise' is not a rendering parameter"),
        (["b.nix", "--gap-s", "1"], "holds spikes alone"),
        (["b", "--watermark-key-file", "nothing"], "nothing"),
    ):
        code, _, err = run(capsys, "generate", folder / "model", folder / arguments[0], *common, *arguments[1:])
        assert code == 2
        assert words in err
    assert not (folder / "b").exists()


@pytest.fixture(scope="module")
def behaving(folder) -> Path:
    """A session of trials on two sides, and a model of that, which started from the other one."""
    rng = np.random.default_rng(0)
    side = np.array(["left", "right"])[np.arange(48) % 2]
    counts = SpikeCounts(
        rng.poisson(np.where(side == "right", 0.6, 0.1)[:, None, None], (48, 30, 6)),
        10.0,
        covariates={
            "side": side,
            "rewarded": np.arange(48) % 3 == 0,
            "contrast": rng.uniform(size=48),
            "angle": rng.uniform(-3, 3, 48),
            "place": rng.normal(size=(48, 2)),
        },
        t_starts_s=np.arange(48.0),
    )
    counts.to_nwb(folder / "behaving.nwb")
    arguments = ["fit", folder / "behaving.nwb", folder / "behaving", "--num-steps", 25, "--quiet", "--train-share", 1]
    asked = [
        "--covariates",
        "side",
        "rewarded",
        "contrast",
        "angle=circular",
        "place",
        "--start-from",
        folder / "model",
    ]
    assert main([str(a) for a in (*arguments, *asked)]) == 0
    return folder / "behaving"


def test_fit_learns_covariates_and_starts_from_another_model(folder, behaving, capsys):
    model, earlier = load_model(behaving), load_model(folder / "model")
    kinds = {name: covariate.kind for name, covariate in model.conditions_.covariates.items()}
    assert kinds.pop("session_time_s") == "session_time"
    assert list(kinds.values()) == ["categorical", "categorical", "continuous", "circular", "continuous"]
    assert model.started_from_.sha256 == earlier.sha256()
    code, out, _ = run(
        capsys, "fit", folder / "behaving.nwb", folder / "timeless", "--num-steps", 1, "--no-session-time", "--json",
        "--quiet",
    )  # fmt: skip
    assert code == 0
    assert (json.loads(out)["conditions"], json.loads(out)["started_from"]) == ([], None)
    code, _, err = run(capsys, "generate", folder / "timeless", folder / "no", "--trials", 2, "--session", "--quiet")
    assert code == 2
    assert "--session and --guidance need a conditional model" in err
    for arguments, words in (
        (["--covariates", "colour"], "--covariates colour: the data have no such covariate; they have side"),
        (["--covariates", "angle=round"], "--covariates angle=round: the kind must be one of categorical"),
        (["--start-from", "nothing"], "--start-from nothing: there is no folder"),
        (
            ["--start-from", folder / "model", "--num-latents", 7],
            "start_from has num_latents=4; this LDNS has num_latents=7",
        ),
    ):
        code, _, err = run(capsys, "fit", folder / "behaving.nwb", folder / "no", "--quiet", *arguments)
        assert code == 2
        assert words in err
    assert not (folder / "no").exists()


def test_generate_draws_for_conditions(folder, behaving, capsys):
    def drawn(name, *conditions):
        arguments = ("generate", behaving, folder / name, "--trials", 6, "--seed", 1, "--quiet", *conditions)
        code, _, err = run(capsys, *arguments)
        return err if code else SpikeCounts.from_nwb(folder / name, 10.0)

    asked = {"side": "right", "rewarded": "true", "contrast": 0.5, "angle": -1, "place": "0.1,-0.2"}
    conditions = [word for name, value in asked.items() for word in ("--condition", f"{name}={value}")]
    counts = drawn("for_all.nwb", *conditions, "--guidance", 1.2)
    expected = load_model(behaving).sample(
        6,
        covariates={"side": "right", "rewarded": True, "contrast": 0.5, "angle": -1, "place": [0.1, -0.2]},
        guidance=1.2,
        seed=1,
    )
    assert np.array_equal(counts.counts, expected.counts)
    assert set(counts.covariates["side"]) == {"right"}
    times = load_model(behaving).sample(6, session=True, seed=1).covariates["session_time_s"]
    np.testing.assert_allclose(drawn("timed.nwb", "--session").covariates["session_time_s"], times)
    for arguments, words in (
        (["--condition", "side"], "--condition side: expected NAME=VALUE; the model knows side (categorical"),
        (["--condition", "colour=red"], "--condition colour=red: the model was fitted without 'colour'; it knows side"),
        (["--condition", "side=up"], "--condition side=up: covariates['side'] is 'up' in trial 0; the model has seen"),
        (["--condition", "contrast=high"], "--condition contrast=high: expected a number (continuous, 0"),
        (
            ["--condition", "contrast=90"],
            "--condition contrast=90: covariates['contrast'] is 90 in trial 0; the model saw",
        ),
        (["--condition", "place=1"], "--condition place=1: covariates['place'] must have shape"),
        (["--session", "--condition", "session_time_s=3"], "--session sets it already"),
        (["--guidance", -1], "--guidance must be a number of at least 0; got -1"),
    ):
        assert words in drawn("no.nwb", *arguments)
    assert not (folder / "no.nwb").exists()


def test_validate_compares_with_the_trials_that_fit_left_out(folder, synthetic, capsys):
    page = folder / "report.html"
    common = ["--splits", 2, "--quiet", "--strict", "--json"]
    code, out, _ = run(capsys, "validate", folder / "session.nwb", synthetic, *common, "--output", page)
    result = json.loads(out)
    assert code == bool(result["flagged"])
    assert "rate" in result["table"]
    assert "10 synthetic trials" in result["summary"]
    assert page.stat().st_size > 10_000
    lively = SpikeCounts.from_nwb(folder / "session.nwb", bin_size_ms=10.0)
    lively = SpikeCounts(lively.counts + 1, 10.0, unit_ids=lively.unit_ids)
    code, out, err = run(capsys, "validate", lively.to_nwb(folder / "lively.nwb"), synthetic, *common)
    assert code == 1, err
    assert "rate" in json.loads(out)["flagged"]
    other = SpikeCounts(np.ones((3, 5, 2), dtype=int), 10.0).to_nwb(folder / "other.nwb")
    code, _, err = run(capsys, "validate", other, synthetic)
    assert code == 2
    assert "8 synthetic units are not among the real ones" in err


def test_info_of_everything(folder, synthetic, capsys):
    def info(*arguments):
        code, out, err = run(capsys, "info", *arguments, "--json")
        return code, json.loads(out) if out else err

    code, model = info(folder / "model")
    assert (code, model["kind"], model["model"], model["units"]) == (0, "model", "LDNS", 8)
    assert model["latents"] == load_model(folder / "model").networks_.num_latents
    assert model["trial_s"] == load_model(folder / "model").population_.max_bins * model["bin_size_ms"] / 1000
    code, data = info(folder / "session.nwb", "--check")
    assert (code, data["synthetic"], data["trials"], data["units"]) == (1, False, 60, 8)
    for path in (synthetic, *(folder / name for name in ("recording", "out.nwb") if (folder / name).exists())):
        code, data = info(path, "--check")
        assert (code, data["synthetic"], data["model"], data["seed"]) == (0, True, "LDNS", 1)
    code, data = info(synthetic, "--watermark-key-file", folder / "key.txt")
    assert data["watermark_found"]
    code, data = info(folder / "session.nwb", "--watermark-key-file", folder / "key.txt")
    assert not data["watermark_found"]
    known = info("steinmetz2019")[1]
    assert known["units"] == 983
    bundled = known["bundled_model"]
    assert (bundled["units"], bundled["latents"], bundled["trial_s"]) == (983, 16, 0.4)
    assert bundled["conditions"] == {"session_time_s": "session time, 53.9898 to 1244.42"}
    assert "no file, folder or dataset" in info(folder / "nothing")[1]
    assert "cannot be read as spikes" in info(folder / "key.txt")[1]
    code, out, _ = run(capsys, "info", "steinmetz2019")
    assert "synthetic" in out
    assert "bundled model of this name" in out


def test_other_inputs(tmp_path, counts, capsys):
    sorting = counts.to_sorting(layout="session")
    sorting.save(folder=tmp_path / "sorting")
    sorting.dump_to_pickle(tmp_path / "sorting.pkl")
    sorting.save(folder=tmp_path / "sorting.zarr", format="zarr")
    counts.to_sorting().save(folder=tmp_path / "trials.zarr", format="zarr")
    for name in ("sorting", "sorting.zarr"):
        code, out, _ = run(capsys, "info", tmp_path / name, "--json", "--bin-size-ms", 10)
        assert code == 0
        assert json.loads(out)["units"] == 4
    # SpikeInterface does not save how long segments are.
    code, _, err = run(capsys, "info", tmp_path / "trials.zarr")
    assert code == 2
    assert "give --duration-s, a number for each segment, or --trials FILE.csv" in err
    code, _, err = run(capsys, "info", tmp_path / "sorting.pkl")
    assert code == 2
    assert "--trust-pickle" in err
    code, _, err = run(capsys, "info", "steinmetz2019", "--bin-size-ms", "5")
    assert code == 2
    assert "binned at 10 ms already" in err


def test_info_tells_what_a_model_can_be_asked_for(behaving, capsys):
    code, out, _ = run(capsys, "info", behaving)
    assert code == 0
    facts = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert facts["trial_s"] == "0.3"
    assert "side: categorical: 'left', 'right'" in facts["conditions"]
    assert "angle: circular, in radians" in facts["conditions"]


def test_trials_and_durations_of_sortings(tmp_path, capsys):
    frames = np.sort(np.random.default_rng(0).choice(100_000, 600, replace=False))
    sorting = sc.NumpySorting.from_unit_dict({"a": frames[::2], "b": frames[1::2]}, 10_000.0)
    sorting.save(folder=tmp_path / "sorting")
    table = tmp_path / "trials.csv"
    table.write_text("start,stop,side,contrast\n1.0,2.0,left,0.5\n4.0,5.0,right,1\n")

    def read(**options):
        return read_counts(str(tmp_path / "sorting"), ReadOptions(100.0, **options))

    counts = read(trials=str(table))
    expected = SpikeCounts.from_sorting(sorting, 100.0, trials=[[1.0, 2.0], [4.0, 5.0]])
    assert np.array_equal(counts.counts, expected.counts)
    assert counts.covariates["side"].tolist() == ["left", "right"]
    assert counts.covariates["contrast"].tolist() == [0.5, 1.0]
    assert read(durations_s=[12.0]).max_bins == 120
    common = ("info", tmp_path / "sorting", "--json", "--bin-size-ms", 100)
    code, out, _ = run(capsys, *common, "--trials", table)
    assert (code, json.loads(out)["trials"], json.loads(out)["covariates"]) == (0, 2, ["contrast", "side"])
    code, out, _ = run(capsys, *common, "--duration-s", 12)
    assert (code, json.loads(out)["max_bins"]) == (0, 120)
    table.write_text("begin,end\n1.0,2.0\n")
    for arguments, words in (
        (["--trials", table], "trials must have a column named one of ('start', 'start_s', 'start_time')"),
        (["--trials", tmp_path / "none.csv"], "none.csv"),
        (["--duration-s", 1, 2], "a positive number of seconds for each of the 1 segments"),
        (["--align-to", "go"], "--align-to does not apply to"),
        ([], "give --duration-s"),
    ):
        code, _, err = run(capsys, *common, *arguments)
        assert code == 2
        assert words in err
    table.write_text("")
    assert "no table of comma-separated values" in run(capsys, *common, "--trials", table)[2]
    code, _, err = run(capsys, "info", "steinmetz2019", "--duration-s", 2)
    assert (code, "--duration-s does not apply to steinmetz2019, a bundled dataset; its trials are cut" in err) == (
        2,
        True,
    )


def test_an_analyzer_knows_how_long_it_is(tmp_path, capsys):
    recording, sorting = sc.generate_ground_truth_recording(durations=[3.0, 2.0], num_units=3, seed=0)
    sc.create_sorting_analyzer(sorting, recording, format="binary_folder", folder=tmp_path / "analyzer", sparse=False)
    assert read_counts(str(tmp_path / "analyzer"), ReadOptions(100.0)).num_bins.tolist() == [30, 20]
    # As where the file of the recording was moved.
    for file in (tmp_path / "analyzer").glob("recording.*"):
        file.unlink()
    counts = read_counts(str(tmp_path / "analyzer"), ReadOptions(100.0))
    assert counts.num_bins.tolist() == [30, 20]
    assert counts.counts.sum() == len(sorting.to_spike_vector())


def test_windows_around_events_of_nwb(folder, capsys):
    arguments = ["--align-to", "start_time", "--around-s", "0.05", "0.25"]
    code, out, _ = run(capsys, "info", folder / "session.nwb", "--json", *arguments)
    expected = SpikeCounts.from_nwb(folder / "session.nwb", 10.0, align_to="start_time", around_s=(0.05, 0.25))
    assert (code, json.loads(out)["max_bins"], json.loads(out)["trials"]) == (0, 20, len(expected))
    code, _, err = run(capsys, "info", folder / "session.nwb", *arguments[:2])
    assert (code, "align_to and around_s go together" in err) == (2, True)


def test_help_and_wrong_use(capsys):
    for command in ("fit", "generate", "validate", "benchmark", "info", "demo"):
        with pytest.raises(SystemExit) as left:
            main([command, "--help"])
        assert left.value.code == 0
        text = capsys.readouterr().out
        assert "examples:" in text
        assert "exit codes:" in text
        assert max(map(len, text.splitlines())) <= 120
        if command in ("generate", "benchmark"):
            assert "noise_level_uv=8.0" in text
            assert "motion (rigid or nonrigid)" in text
    for wrong in ([], ["sort"], ["generate", "model"]):
        with pytest.raises(SystemExit) as left:
            main(wrong)
        assert left.value.code == 2
    code, _, err = run(capsys, "benchmark", "model", "study", "--trials", 3, "--sorters", "nonesuch")
    assert code == 2
    assert "--sorters nonesuch: no such sorter" in err
    with pytest.raises(FileNotFoundError):
        main(["info", "nothing", "--debug"])


def test_it_starts_at_once_and_without_torch():
    code = (
        "import sys, time; started = time.perf_counter(); from spikeinterface_gen.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: print('torch' in sys.modules, 'spikeinterface' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "spikeinterface-gen"
    assert done.stdout.split()[-2:] == ["False", "False"]
