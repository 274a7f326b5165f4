"""The saved session: everything comes back, damage is noticed, writing is all or nothing."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.extractors import GenerativeRecordingExtractor
from spikeinterface_gen.generation import generate_from_counts
from spikeinterface_gen.session import Session, SessionError, cache_folder
from spikeinterface_gen.session_files import read_arrays

FILES = [
    "spike_frames.npy",
    "spike_units.npy",
    "spike_amplitudes.npy",
    "rendered_block.npy",
    "trials.npz",
    "units.npz",
    "templates.npz",
    "waveforms.npy",
    "probe.json",
    "session.json",
]


@pytest.fixture
def folder(counts, tmp_path) -> Path:
    generate_from_counts(counts, seed=2, folder=tmp_path / "session", gap_s=0.05)
    return tmp_path / "session"


def test_counts_and_all_that_is_known_come_back(counts, folder):
    session = Session(folder)
    back = session.counts
    assert np.array_equal(back.counts, counts.counts)
    assert back == counts.with_annotations(**back.annotations)
    assert session.annotations["synthetic"] is True
    assert session.annotations["dataset"] == "test"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    placed = session.placed_spikes
    assert np.array_equal(placed.session_frame, session.frames)
    assert placed.start_frames.tolist() == [0, 5100, 10200, 15300, 18900]
    assert np.array_equal(placed.refractory_period_ms, [1.5, 2.0, 1.5, 1.0])


def test_names_of_any_type_are_stored_without_code(tmp_path):
    counts = SpikeCounts(
        np.ones((2, 3, 2), dtype=int),
        10.0,
        covariates={"who": np.array(["Ann", "Bo"], dtype=object), "path": np.ones((2, 3, 2))},
        unit_properties={"area": np.array(["CA1", "Größe"], dtype=object)},
        annotations={"not": object()},
    )
    generate_from_counts(counts, seed=0, folder=tmp_path / "a")
    back = Session(tmp_path / "a").counts
    assert back.covariates["who"].tolist() == ["Ann", "Bo"]
    assert back.covariates["path"].shape == (2, 3, 2)
    assert back.unit_properties["area"].tolist() == ["CA1", "Größe"]


def test_a_session_without_spikes_is_one_too(tmp_path):
    recording = generate_from_counts(SpikeCounts(np.zeros((2, 3, 2), dtype=int), 10.0), seed=0, folder=tmp_path / "a")
    assert recording.sorting.count_num_spikes_per_unit() == {0: 0, 1: 0}
    assert recording.get_traces().shape == (1800, 32)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_a_truncated_and_a_missing_file_are_noticed(folder, name):
    path = folder / name
    data = path.read_bytes()
    middle = data.index(b"30000") if name == "session.json" else len(data) // 2
    path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    with pytest.raises(SessionError, match=f"has changed since it was written .{name}"):
        Session(folder)
    path.write_bytes(data[:-5])
    with pytest.raises(SessionError, match=r"changed|no session"):
        Session(folder)
    path.unlink()
    with pytest.raises(SessionError, match=f"{name} is missing|has no readable {name}"):
        Session(folder)
    path.write_bytes(data)
    assert Session(folder).num_frames == 22500


def test_a_session_that_changes_after_it_was_opened_is_noticed(counts, folder):
    recording = GenerativeRecordingExtractor(folder)
    other = GenerativeRecordingExtractor(folder)
    assert recording.get_traces(0, 0, 10).shape == (10, 32)
    generate_from_counts(counts, seed=9, folder=folder, overwrite=True)
    for ask in (lambda: recording.get_traces(0, 0, 10), lambda: recording.sorting):
        with pytest.raises(SessionError, match=r"has changed since it was opened.*Open it again"):
            ask()
    again = GenerativeRecordingExtractor(folder)
    with open(folder / "spike_amplitudes.npy", "r+b") as file:
        file.seek(200)
        file.write(b"x")
    for recording in (other, again):
        with pytest.raises(SessionError, match="has changed since it was opened"):
            recording.get_traces(0, 0, 10)


def test_a_forged_pickle_is_never_loaded(folder):
    np.save(folder / "spike_units.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SessionError, match=r"cannot be read as an array.*allow_pickle"):
        read_arrays(folder / "spike_units.npy")
    with pytest.raises(SessionError):
        Session(folder)


def test_traces_that_would_differ_from_those_saved_are_noticed(folder, monkeypatch):
    monkeypatch.setattr("spikeinterface_gen.rendering.noise._HOP", 3000)
    session = Session(folder)
    with pytest.raises(SessionError, match="renders to other traces"):
        session.renderer()


def test_what_is_no_session_is_told_apart(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="no such session"):
        Session(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SessionError, match="is no session"):
        Session(tmp_path / "empty")
    settings = json.loads((folder / "session.json").read_text())
    (folder / "session.json").write_text(json.dumps({**settings, "format_version": 99}))
    with pytest.raises(SessionError, match=r"format version 99.*Update"):
        Session(folder)


def test_nothing_is_overwritten_unasked(counts, folder, tmp_path):
    before = (folder / "session.json").read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        generate_from_counts(counts, seed=3, folder=folder)
    assert (folder / "session.json").read_bytes() == before
    generate_from_counts(counts, seed=3, folder=folder, overwrite=True)
    assert Session(folder).settings["seed"] == 3
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("dear")
    with pytest.raises(FileExistsError, match="is no session"):
        generate_from_counts(counts, seed=3, folder=tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "dear"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["session", "thesis"]


def test_an_unwritable_folder_is_a_clear_error(counts, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="could not be written"):
        generate_from_counts(counts, seed=3, folder=tmp_path / "file" / "session")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_session_and_no_other(folder):
    # A limit on the size of files stands in for a disk that fills up during the save.
    code = f"""
import resource, signal
import numpy as np
from spikeinterface_gen import SpikeCounts, generate_from_counts
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))
try:
    counts = SpikeCounts(np.ones((50, 60, 4), dtype=int), 10.0)
    generate_from_counts(counts, seed=1, folder={str(folder)!r}, overwrite=True)
except OSError as error:
    print("failed:", error)
"""
    before = (folder / "session.json").read_bytes()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "could not be written" in done.stdout
    assert "Nothing was changed" in done.stdout
    assert (folder / "session.json").read_bytes() == before
    assert Session(folder).settings["seed"] == 2
    assert [path.name for path in folder.parent.iterdir()] == ["session"]


def test_without_a_folder_it_goes_to_the_cache_and_says_where(counts, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SPIKEINTERFACE_GEN_CACHE", str(tmp_path / "cache"))
    first, second = (generate_from_counts(counts, seed=1) for _ in range(2))
    folders = [recording.to_dict()["kwargs"]["folder_path"] for recording in (first, second)]
    assert folders[0] != folders[1]
    assert capsys.readouterr().out.splitlines() == [f"Synthetic session saved in {name}" for name in folders]
    assert all(Path(name).parent == tmp_path / "cache" for name in folders)
    monkeypatch.delenv("SPIKEINTERFACE_GEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == Path("/elsewhere/spikeinterface_gen")
