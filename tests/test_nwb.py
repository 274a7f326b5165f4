"""NWB files in and out."""

from datetime import UTC, datetime

import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile, TimeSeries, validate
from pynwb.file import Subject

from spikeinterface_gen import SpikeCounts, find_watermark, is_synthetic
from spikeinterface_gen.convert.from_nwb import read_spike_trains
from spikeinterface_gen.provenance import provenance

START = datetime(2026, 1, 2, tzinfo=UTC)


def dandi_file(*, trials: bool = True, units: bool = True, observed: bool = True) -> tuple[NWBFile, list[np.ndarray]]:
    """A small file of the kind that archives hold, and its spike times."""
    file = NWBFile("a session", "id-1", START, keywords=["test"], notes="written by hand")
    file.subject = Subject(subject_id="m1", species="Mus musculus", age="P90D", sex="F")
    device = file.create_device("probe")
    group = file.create_electrode_group("shank0", "a shank", location="VISp", device=device)
    for k in range(4):
        file.add_electrode(location=["CA1", "VISp"][k // 2], group=group, group_name="shank0")
    rng = np.random.default_rng(0)
    times_s = [np.sort(rng.uniform(0.0, 20.0, n)) for n in (400, 250, 0, 100)]
    if units:
        file.add_unit_column("quality", "by hand")
        file.add_unit_column("depth", "in um")
        for k, times in enumerate(times_s):
            more = {"obs_intervals": [[0.0, 9.5], [10.0, 20.0]]} if observed else {}
            file.add_unit(
                spike_times=times, electrodes=[3 - k], quality="good", depth=10.0 * k, id=10 + k,
                waveform_mean=np.zeros((5, 1)), **more,
            )  # fmt: skip
    if trials:
        file.add_trial_column("choice", "left or right")
        file.add_trial_column("go_time", "event")
        for k, start in enumerate((1.0, 4.0, 8.9, 12.0)):
            file.add_trial(
                start_time=start, stop_time=start + 1.0, choice="lr"[k % 2], go_time=np.nan if k == 1 else start + 0.5
            )
    file.add_acquisition(TimeSeries(name="lick", data=np.zeros(10), unit="V", rate=10.0))
    return file, times_s


def written(file: NWBFile, path):
    with NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


@pytest.fixture
def path(tmp_path):
    return written(dandi_file()[0], tmp_path / "session.nwb")


def test_trials_units_and_what_is_known_about_them(path):
    times_s = dandi_file()[1]
    with pytest.warns(UserWarning, match="0 trials without times and 1 that were not observed"):
        counts = SpikeCounts.from_nwb(path, 20.0)
    assert counts.num_trials == 3
    assert counts.t_starts_s.tolist() == [1.0, 4.0, 12.0]
    assert counts.unit_ids.tolist() == [10, 11, 12, 13]
    for trial, start in enumerate(counts.t_starts_s):
        for unit in range(4):
            expected = np.histogram(times_s[unit], start + np.arange(51) * 0.02)[0]
            assert np.abs(counts.counts[trial, :, unit] - expected).sum() <= 1  # a spike on an edge
    assert counts.covariates["choice"].tolist() == ["l", "r", "r"]
    assert np.isnan(counts.covariates["go_time"][1])
    assert counts.unit_properties["area"].tolist() == ["VISp", "VISp", "CA1", "CA1"]
    assert counts.unit_properties["depth"].tolist() == [0.0, 10.0, 20.0, 30.0]
    assert "waveform_mean" not in counts.unit_properties
    assert counts.unit_properties["short_interval_counts"].shape == (4, 20)
    assert counts.annotations["session_description"] == "a session"
    assert counts.trial_locked
    assert "synthetic" not in counts.annotations
    assert not is_synthetic(path)


def test_windows_around_an_event(path):
    with pytest.warns(UserWarning, match="1 trials without times and 1 that were not observed"):
        counts = SpikeCounts.from_nwb(path, 10.0, align_to="go_time", around_s=(-0.25, 0.45))
    assert counts.t_starts_s.tolist() == [1.25, 12.25]
    assert counts.max_bins == 70
    assert "go_time" not in counts.covariates


def test_continuous_recordings(path, tmp_path):
    counts = SpikeCounts.from_nwb(path, 20.0, window_s=2.0)
    # 9.5 s and 10 s were observed.
    assert counts.t_starts_s.tolist() == [0.0, 2.0, 4.0, 6.0, 10.0, 12.0, 14.0, 16.0, 18.0]
    assert not counts.trial_locked
    bare = written(dandi_file(trials=False, observed=False)[0], tmp_path / "bare.nwb")
    assert SpikeCounts.from_nwb(bare, 20.0, window_s=5.0).num_trials == 3
    with pytest.raises(ValueError, match="has no trials; give window_s"):
        SpikeCounts.from_nwb(bare, 20.0)


def test_files_that_cannot_be_read_say_why(path, tmp_path):
    with pytest.raises(ValueError, match="has no units with spike_times"):
        SpikeCounts.from_nwb(written(dandi_file(units=False)[0], tmp_path / "raw.nwb"), 10.0)
    with pytest.raises(FileNotFoundError):
        SpikeCounts.from_nwb(tmp_path / "nothing.nwb", 10.0)
    (tmp_path / "text.nwb").write_text("no NWB")
    with pytest.raises(ValueError, match="no NWB file that can be read"):
        SpikeCounts.from_nwb(tmp_path / "text.nwb", 10.0)
    with pytest.raises(ValueError, match=r"no column of the trials; there are start_time, .*go_time"):
        SpikeCounts.from_nwb(path, 10.0, align_to="cue", around_s=(0, 1))
    with pytest.raises(ValueError, match="go together"):
        SpikeCounts.from_nwb(path, 10.0, align_to="go_time")
    with pytest.raises(ValueError, match="a later stop"):
        SpikeCounts.from_nwb(path, 10.0, align_to="go_time", around_s=(1.0, 0.0))
    with pytest.raises(ValueError, match="exclude each other"):
        SpikeCounts.from_nwb(path, 10.0, align_to="go_time", around_s=(0.0, 1.0), window_s=1.0)
    with pytest.raises(ValueError, match="none of the 4 trials"):
        SpikeCounts.from_nwb(path, 10.0, align_to="start_time", around_s=(30.0, 31.0))


def test_units_with_one_id_are_called_by_their_rows(tmp_path):
    file, times_s = dandi_file()
    file.units.id.data[:] = [7, 8, 7, 8]  # two probes, numbered one by one
    path = written(file, tmp_path / "probes.nwb")
    with pytest.warns(
        UserWarning, match=r"probes\.nwb' has the id 7 more than once \(4 units, 2 ids\).*rows"
    ) as warned:
        counts = SpikeCounts.from_nwb(path, 20.0, window_s=1.0)
    assert warned[0].filename == __file__
    assert counts.unit_ids.tolist() == [0, 1, 2, 3]
    assert counts.unit_properties["nwb_id"].tolist() == [7, 8, 7, 8]
    within = [np.sum((t < 9.0) | ((t >= 10.0) & (t < 20.0))) for t in times_s]
    assert np.abs(counts.counts.sum((0, 1)) - within).max() <= 1
    assert counts[:, counts.unit_properties["nwb_id"] == 8].unit_ids.tolist() == [1, 3]
    with pytest.warns(UserWarning, match="has the id 7 more than once"):
        trains = read_spike_trains(path).spiketrains
    assert [train.annotations["unit_id"] for train in trains] == [0, 1, 2, 3]
    # What is read can be written and read again.
    again = SpikeCounts.from_nwb(counts.to_nwb(tmp_path / "again.nwb"), 20.0)
    assert again.unit_properties["nwb_id"].tolist() == [7, 8, 7, 8]


# ---- out -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "sampling_frequency"), [("recorded", 24414.0625), ("unknown", 30000.0), ("overlapping", 30000.0)]
)
def test_round_trip(counts, tmp_path, sampling_frequency, where):
    starts = {"recorded": counts.t_starts_s, "unknown": None, "overlapping": np.array([1.0, 1.01, 2.0, 3.0, 4.0])}
    rng = np.random.default_rng(1)
    hand = rng.normal(size=(5, 12, 2)) * counts.mask[:, :, None]
    given = SpikeCounts(
        counts.counts,
        10.0,
        unit_ids=counts.unit_ids if where == "recorded" else [3, 7, 5, 4],
        num_bins=counts.num_bins,
        covariates={**counts.covariates, "hand": hand},
        unit_properties=counts.unit_properties,
        t_starts_s=starts[where],
        annotations=counts.annotations,
    )
    path = given.to_nwb(tmp_path / "a" / "b.nwb", sampling_frequency=sampling_frequency, session_start_time=START)
    assert [item.name for item in path.parent.iterdir()] == ["b.nwb"]
    again = SpikeCounts.from_nwb(path, 10.0)
    assert np.array_equal(again.counts, given.counts)
    assert np.array_equal(again.num_bins, given.num_bins)
    assert np.array_equal(again.unit_ids, given.unit_ids)
    for name, values in given.covariates.items():
        assert np.array_equal(again.covariates[name], values)
    for name, values in given.unit_properties.items():
        assert np.array_equal(again.unit_properties[name], values, equal_nan=values.dtype.kind == "f")
    assert "short_interval_counts" not in again.unit_properties
    assert again.annotations["versions"] == {"numpy": "2"}
    if where == "recorded":
        assert np.allclose(again.t_starts_s, given.t_starts_s)
    assert not is_synthetic(path)
    if where == "recorded":
        assert not validate(path=str(path))
    with pytest.raises(FileExistsError, match="overwrite=True"):
        given.to_nwb(path)


def test_names_that_nwb_means_otherwise_come_back(counts, tmp_path):
    names = ("start_time", "tags", "reach/x", "colnames", "a_index", "covariate_tags", "timeseries")
    covariates = {name: np.arange(5) + 10.0 * k for k, name in enumerate(names)}
    covariates["hand/x:y"] = np.ones((5, 12, 1)) * counts.mask[:, :, None]
    properties = {
        name: np.arange(4) + 10 * k
        for k, name in enumerate(
            ("spike_times", "electrodes", "unit_name", "synthetic", "waveform_width", "name", "µm")
        )
    }
    given = SpikeCounts(
        counts.counts, 10.0, counts.unit_ids, counts.num_bins, covariates=covariates, unit_properties=properties
    )
    again = SpikeCounts.from_nwb(given.to_nwb(tmp_path / "a.nwb"), 10.0)
    assert np.array_equal(again.counts, given.counts)
    assert again.unit_ids.tolist() == given.unit_ids.tolist()
    assert again.covariates.keys() == covariates.keys()
    assert again.unit_properties.keys() == properties.keys()
    for found, expected in ((again.covariates, covariates), (again.unit_properties, properties)):
        for name, values in expected.items():
            assert np.array_equal(found[name], values), name
    assert len(again.t_starts_s) == 5


def test_synthetic_files_say_so_wherever_one_looks(tmp_path, monkeypatch):
    rng = np.random.default_rng(2)
    counts = SpikeCounts(rng.poisson(0.1, (20, 80, 6)), 10.0, annotations=provenance("LDNS", "0" * 64, 3))
    path = counts.to_nwb(tmp_path / "synthetic.nwb", watermark_key="key", seed=None)
    assert is_synthetic(path)
    with NWBHDF5IO(str(path), "r") as io:
        file = io.read()
        assert file.session_description.startswith("SYNTHETIC")
        assert "synthetic data" in file.keywords[:]
        assert file.units["synthetic"][:].all()
    again = SpikeCounts.from_nwb(path, 10.0)
    assert np.array_equal(again.counts, counts.counts)
    assert is_synthetic(again)
    assert again.annotations["model_sha256"] == "0" * 64
    # Once read and written by others.
    assert is_synthetic(again.to_nwb(tmp_path / "again.nwb"))
    trains = read_spike_trains(path)
    assert find_watermark(trains, "key").found
    assert not find_watermark(trains, "another key").found
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    assert is_synthetic(path)
