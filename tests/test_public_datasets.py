"""Readers of MC_Maze and of attempted speech, on small files of the schema of the real ones; Lorenz at any length."""

from datetime import UTC, datetime

import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from scipy.io import savemat

from spikeinterface_gen import load_dataset
from spikeinterface_gen.datasets import lorenz

ONSETS_S = (1.0, 2.5, 4.0, 5.5)


def write_maze(path, *, split=True, unit="m/s", conversion=1e-3, series="hand_vel"):
    """Four trials; the hand moves along (t, −2t) mm/s, so that every sample tells its time."""
    file = NWBFile("Jenkins, full", "mc_maze", datetime(2009, 9, 18, tzinfo=UTC))
    file.add_unit_column("heldout", "whether held out by the benchmark")
    times_s = [np.array([0.76, 0.9, 2.3, 4.2501]), np.array([1.44, 1.452, 5.3]), np.empty(0)]
    for k, times in enumerate(times_s):
        file.add_unit(spike_times=times, obs_intervals=[[0.0, 10.0]], heldout=k == 2)
    columns = ["move_onset_time", "maze_id", "trial_type", "trial_version", "num_barriers"] + ["split"] * split
    for column in columns:
        file.add_trial_column(column, column)
    for k, onset in enumerate(ONSETS_S):
        known = {"move_onset_time": onset, "maze_id": 7 + k, "trial_type": k, "trial_version": k % 3, "num_barriers": k}
        known |= {"split": ["val", "train", "none", "train"][k]} if split else {}
        file.add_trial(start_time=onset - 0.5, stop_time=onset + 0.6, **known)
    behavior = file.create_processing_module("behavior", "hand and eye")
    t = np.arange(10000) / 1000.0
    data = np.column_stack([t, -2 * t])
    behavior.add(TimeSeries(name=series, data=data, unit=unit, conversion=conversion, rate=1000.0, starting_time=0.0))
    with NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def test_mc_maze_is_cut_round_move_onset_training_trials_first(tmp_path):
    counts = load_dataset("mc_maze", path=write_maze(tmp_path / "maze.nwb"))
    assert counts.counts.shape == (4, 140, 3)
    assert counts.covariates["maze_id"].tolist() == [8, 10, 7, 9]
    assert counts.annotations["num_train"] == 2
    np.testing.assert_allclose(counts.t_starts_s, np.array([2.5, 5.5, 1.0, 4.0]) - 0.25)
    first = counts[2]  # onset at 1.0 s: a trial from 0.75 s to 1.45 s
    assert np.argwhere(first.counts[0]).tolist() == [[2, 0], [30, 0], [138, 1]]
    assert counts.unit_properties["heldout"].tolist() == [False, False, True]
    # In m/s, 100 ms after the middle of each bin.
    expected = counts.t_starts_s[:, None] + (np.arange(140) + 0.5) * 0.005 + 0.1
    np.testing.assert_allclose(counts.covariates["hand_velocity"][..., 0], 1e-3 * expected, rtol=1e-5)
    np.testing.assert_allclose(counts.covariates["reach_angle"], np.arctan2(-2, 1), rtol=1e-5)
    in_mm = load_dataset("mc_maze", path=write_maze(tmp_path / "mm.nwb", unit="mm/s", conversion=1.0), bin_size_ms=10.0)
    np.testing.assert_allclose(
        in_mm.covariates["hand_velocity"][:, 0], counts.covariates["hand_velocity"][:, :2].mean(axis=1), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": False}, "does not say in a column split"),
        ({"series": "cursor_pos"}, r"no series 'hand_vel' .* there are \['cursor_pos'\]"),
        ({"unit": "furlong"}, "unit 'furlong'"),
    ],
)
def test_other_nwb_files_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        load_dataset("mc_maze", path=write_maze(tmp_path / "maze.nwb", **changes))


# ---- speech ----------------------------------------------------------------------------------


def write_speech(path, lengths, seed):
    rng = np.random.default_rng(seed)
    crossings = np.empty((1, len(lengths)), dtype=object)
    for k, bins in enumerate(lengths):
        crossings[0, k] = rng.poisson(0.5, (bins, 256)).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    sentences = np.array([f"sentence {seed} {k}" for k in range(len(lengths))])
    blocks = np.arange(len(lengths))[:, None] + 1
    savemat(path, {"tx1": crossings, "sentenceText": sentences, "blockIdx": blocks, "spikePow": crossings})
    return crossings[0]


def test_speech_is_read_from_all_sessions(tmp_path):
    root = tmp_path / "competitionData"
    first = write_speech(root / "train" / "t12.2022.04.28.mat", [30, 513, 20], 1)
    second = write_speech(root / "train" / "t12.2022.05.05.mat", [25], 2)
    write_speech(root / "test" / "t12.2022.04.28.mat", [10], 3)
    counts = load_dataset("human_speech", path=root)
    assert counts.counts.shape == (3, 30, 128)
    assert counts.bin_size_ms == 20.0
    assert counts.num_bins.tolist() == [30, 20, 25]
    for trial, source in enumerate((first[0], first[2], second[0])):
        np.testing.assert_array_equal(counts.counts[trial, : len(source)], source[:, :128])
    assert counts.covariates["session"].tolist() == ["t12.2022.04.28", "t12.2022.04.28", "t12.2022.05.05"]
    assert counts.covariates["block"].tolist() == [1, 3, 1]
    assert counts.covariates["sentence"].tolist() == ["sentence 1 0", "sentence 1 2", "sentence 2 0"]
    assert len(load_dataset("human_speech", path=root, split="test")) == 1
    one = load_dataset("human_speech", path=root / "train" / "t12.2022.04.28.mat", max_bins=None, num_channels=None)
    assert one.counts.shape == (3, 513, 256)


def test_other_files_are_no_speech(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no \.mat files"):
        load_dataset("human_speech", path=tmp_path)
    (tmp_path / "a.mat").write_text("nothing")
    with pytest.raises(ValueError, match=r"no \.mat file that can be read"):
        load_dataset("human_speech", path=tmp_path)
    savemat(tmp_path / "a.mat", {"tx1": np.zeros((2, 2))})
    with pytest.raises(ValueError, match="lacks sentenceText, blockIdx"):
        load_dataset("human_speech", path=tmp_path)
    savemat(tmp_path / "a.mat", {"tx1": np.zeros((2, 2)), "sentenceText": ["a"], "blockIdx": [[1]]})
    with pytest.raises(ValueError, match="contradicts itself"):
        load_dataset("human_speech", path=tmp_path)


# ---- Lorenz, standardised over the whole set -------------------------------------------------


@pytest.fixture(scope="module")
def stationary():
    return load_dataset("lorenz", num_trials=150, standardise="all", return_truth=True)


def test_the_attractor_has_the_moments_it_is_scaled_by(stationary):
    z = stationary.latents
    # Of 150 windows; x and y switch lobes slowly, z has a spread of half a period.
    np.testing.assert_allclose(z.mean(axis=(0, 1)), 0, atol=0.12)
    np.testing.assert_allclose(z.std(axis=(0, 1)), 1, atol=0.03)
    # Windows differ in their means, which scaling trial by trial would have hidden, and no bin is special.
    assert z.mean(axis=1)[:, 0].std() > 0.3
    np.testing.assert_allclose(z.std(axis=0)[0], 1, atol=0.2)
    assert not stationary.counts.trial_locked


def test_longer_trials_of_the_attractor_have_the_same_statistics_and_beginnings(stationary):
    longer = load_dataset("lorenz", num_trials=4, num_bins=1024, standardise="all", return_truth=True)
    np.testing.assert_allclose(longer.latents[:, :256], stationary.latents[:4], atol=1e-5)
    np.testing.assert_allclose(longer.latents.std(axis=(0, 1)), 1, atol=0.12)
    np.testing.assert_allclose(longer.rates.mean((0, 1)), stationary.rates.mean((0, 1)), rtol=0.25)
    with pytest.raises(ValueError, match="'trial' or 'all'; got 'bin'"):
        load_dataset("lorenz", standardise="bin")
    with pytest.raises(ValueError, match="num_bins must be at least 1"):
        load_dataset("lorenz", num_bins=0)


def test_points_may_be_dropped():
    starts = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(
        lorenz.integrate_lorenz(starts, 5, num_dropped=3), lorenz.integrate_lorenz(starts, 8)[:, 3:]
    )
