"""What was generated says so, in memory and on disk; what was not, does not."""

import json
import os
import pickle

import neo
import numpy as np
import pytest
import spikeinterface.core as sc

from spikeinterface_gen import SpikeCounts, generate_from_counts, is_synthetic, mark_synthetic
from spikeinterface_gen.provenance import provenance


@pytest.fixture(scope="module")
def real() -> SpikeCounts:
    return SpikeCounts(np.random.default_rng(0).poisson(0.3, (2, 30, 3)), 10.0, unit_ids=list("abc"))


@pytest.fixture(scope="module")
def synthetic(real) -> SpikeCounts:
    return real.with_annotations(**provenance("LDNS", "0" * 64, 3))


@pytest.fixture(scope="module")
def recording(synthetic, tmp_path_factory):
    return generate_from_counts(synthetic, folder=tmp_path_factory.mktemp("session") / "a", seed=0)


# ---- Neo -------------------------------------------------------------------------------------


def test_parts_of_neo_blocks(real, synthetic):
    block = synthetic.to_neo()
    segment = block.segments[1]
    for part in (block, segment, block.groups[0], segment.spiketrains[0], segment.spiketrains, list(block.segments)):
        assert is_synthetic(part)
    assert is_synthetic(segment.spiketrains[0].time_slice(None, None))
    # The block alone forgets.
    block.annotations.clear()
    assert is_synthetic(block)
    assert not is_synthetic(real.to_neo())
    assert not is_synthetic(neo.Block())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_read_and_not_executed(real, synthetic, tmp_path, protocol):
    for counts, expected in ((synthetic, True), (real, False)):
        path = tmp_path / f"{expected}.pkl"
        path.write_bytes(pickle.dumps(counts.to_neo(), protocol=protocol))
        assert is_synthetic(path) is expected
        # Behind a copy of the word that means nothing.
        path.write_bytes(pickle.dumps([["synthetic", False], {"synthetic": expected}], protocol=protocol))
        assert is_synthetic(path) is expected

    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    path = tmp_path / "harmful.pkl"
    path.write_bytes(pickle.dumps({"annotations": {"synthetic": True}, "other": Harmful()}, protocol=protocol))
    assert is_synthetic(path)
    path.write_bytes(pickle.dumps({"synthetic": Harmful()}, protocol=protocol))
    assert not is_synthetic(path)
    assert not (tmp_path / "executed").exists()


def test_files_of_neo(real, synthetic, tmp_path):
    for counts, expected in ((synthetic, True), (real, False)):
        block = counts.to_neo()
        neo.io.PickleIO(str(tmp_path / "a.pkl")).write_block(block)
        neo.io.NeoMatlabIO(str(tmp_path / "a.mat")).write_block(block)
        (tmp_path / "a.nix").unlink(missing_ok=True)
        with neo.io.NixIO(str(tmp_path / "a.nix"), "ow") as writer:
            writer.write_block(block)
        for name in ("a.pkl", "a.mat", "a.nix"):
            assert is_synthetic(tmp_path / name) is expected
        with neo.io.NixIO(str(tmp_path / "a.nix"), "ro") as reader:
            assert is_synthetic(reader.read_block()) is expected
        assert is_synthetic(neo.io.NeoMatlabIO(str(tmp_path / "a.mat")).read_block()) is expected


def test_without_h5py_the_text_in_the_file_tells(synthetic, tmp_path, monkeypatch):
    import sys

    from spikeinterface_gen.convert.neo_files import write_neo

    write_neo(synthetic.to_neo(), tmp_path / "a.nix")
    (tmp_path / "a.nix.provenance.json").unlink()
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert is_synthetic(tmp_path / "a.nix")


# ---- SpikeInterface --------------------------------------------------------------------------


def test_sortings_and_what_is_made_of_them(real, synthetic, recording):
    for sorting in (synthetic.to_sorting(layout="session"), recording.sorting):
        made = (
            sorting.select_units(sorting.unit_ids[:1]),
            sorting.frame_slice(0, 100),
            sc.NumpySorting.from_sorting(sorting, with_metadata=True),
            sc.aggregate_units([sorting, sorting]),
            sorting.save(format="memory"),
        )
        assert all(is_synthetic(each) for each in (sorting, *made))
    assert not is_synthetic(real.to_sorting())
    joined = (
        sc.concatenate_recordings([recording, recording]),
        sc.append_recordings([recording, recording]),
        sc.aggregate_channels([recording]),
        recording.frame_slice(0, 100),
        recording.select_channels(recording.channel_ids[:2]),
    )
    assert all(is_synthetic(each) for each in joined)


def test_saved_sortings(real, synthetic, tmp_path):
    for counts, expected in ((synthetic, True), (real, False)):
        sorting = counts.to_sorting(layout="session")
        for save_as in ("numpy_folder", "npz_folder", "zarr"):
            path = tmp_path / f"{save_as} {expected}{'.zarr' if save_as == 'zarr' else ''}"
            sorting.save(folder=path, format=save_as)
            assert is_synthetic(path) is expected
            assert is_synthetic(sc.load(path)) is expected
        sorting.dump_to_pickle(tmp_path / "sorting.pkl")
        assert is_synthetic(tmp_path / "sorting.pkl") is expected


@pytest.mark.parametrize("save_as", ["binary", "zarr", "json", "pickle"])
def test_saved_recordings(recording, tmp_path, save_as):
    path = tmp_path / {"binary": "saved", "zarr": "saved.zarr", "json": "saved.json", "pickle": "saved.pkl"}[save_as]
    if save_as in ("binary", "zarr"):
        recording.save(folder=path, format=save_as, verbose=False, progress_bar=False, n_jobs=1)
    elif save_as == "json":
        recording.dump_to_json(path)
    else:
        recording.dump_to_pickle(path)
    assert is_synthetic(path)
    assert is_synthetic(sc.load(path))


def test_session_folders_and_the_files_in_them(recording):
    folder = recording._session.folder
    assert is_synthetic(folder)
    assert is_synthetic(folder / "spike_frames.npy")
    assert not is_synthetic(folder.parent)


def test_analyzers(recording, tmp_path):
    options = {"sparse": False, "job_kwargs": {"n_jobs": 1, "progress_bar": False}}
    assert is_synthetic(sc.create_sorting_analyzer(recording.sorting, recording, format="memory", **options))
    for name, save_as in (("a", "binary_folder"), ("a.zarr", "zarr")):
        sc.create_sorting_analyzer(recording.sorting, recording, format=save_as, folder=tmp_path / name, **options)
        assert is_synthetic(tmp_path / name)
        assert is_synthetic(sc.load(tmp_path / name))


# ---- put back where a format drops it --------------------------------------------------------


def test_marks_for_formats_that_keep_none(synthetic, tmp_path):
    sorting = synthetic.to_sorting(layout="session")
    sc.NpzSortingExtractor.write_sorting(sorting, tmp_path / "truth.npz")
    assert not is_synthetic(tmp_path / "truth.npz")
    mark = mark_synthetic(tmp_path / "truth.npz", sorting)
    assert mark.name == "truth.npz.provenance.json"
    assert is_synthetic(tmp_path / "truth.npz")
    kept = json.loads(mark.read_text())
    assert kept["model"] == "LDNS"
    assert kept["versions"] == synthetic.annotations["versions"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "traces.raw").write_bytes(b"0")
    assert mark_synthetic(tmp_path / "folder", sorting.select_units(["a"])).name == "synthetic.json"
    assert is_synthetic(tmp_path / "folder")
    assert is_synthetic(tmp_path / "folder" / "traces.raw")


def test_the_watermark_tells_where_no_label_does():
    counts = SpikeCounts(np.random.default_rng(1).poisson(0.1, (20, 100, 8)), 10.0)
    bare = sc.NumpySorting.from_sorting(counts.to_sorting(watermark_key="key"))
    assert not is_synthetic(bare)
    assert is_synthetic(bare, watermark_key="key")


def test_nothing_else_is_taken_for_synthetic(real, tmp_path):
    with pytest.raises(FileNotFoundError):
        is_synthetic(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        mark_synthetic(tmp_path / "nothing", real)
    (tmp_path / "a.json").write_text('{"annotations": {"synthetic": false}, "class": "spikeinterface_gen.other"}')
    (tmp_path / "b.json").write_text("{broken")
    (tmp_path / "c.pkl").write_bytes(pickle.dumps({"synthetic": True})[:-1])
    (tmp_path / "d.pkl").write_bytes(b"\x80\x05synthetic nonsense")
    (tmp_path / "e.nix").write_bytes(b"\x89HDF\r\n\x1a\n synthetic nonsense")
    (tmp_path / "f.mat").write_bytes(b"MATLAB 5.0 synthetic nonsense".ljust(200))
    (tmp_path / "g.txt").write_text("synthetic")
    (tmp_path / "h.pkl").write_bytes(b"")
    # A pickle that breaks off after the label was still ours.
    assert [path.name for path in sorted(tmp_path.iterdir()) if is_synthetic(path)] == ["c.pkl"]
    assert not is_synthetic(real)
    assert not is_synthetic(np.zeros(3))
    with pytest.raises(ValueError, match="does not say that it is synthetic"):
        mark_synthetic(tmp_path / "g.txt", real)
