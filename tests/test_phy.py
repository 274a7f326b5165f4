"""Generated recordings as Phy opens them."""

import numpy as np
import pytest
from spikeinterface.core import generate_recording
from spikeinterface.core.testing import check_recordings_equal
from spikeinterface.extractors import read_phy

from spikeinterface_gen import SpikeCounts, export_recording_to_phy, generate_from_counts, is_synthetic
from spikeinterface_gen.extractors import GenerativeRecordingExtractor


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_folder_for_phy(tmp_path):
    rng = np.random.default_rng(0)
    array = rng.poisson(0.2, (2, 60, 5))
    array[:, :, 1] = 0
    recording = generate_from_counts(SpikeCounts(array, 10.0), folder=tmp_path / "session", seed=0)
    folder = export_recording_to_phy(recording, tmp_path / "phy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["phy", "session"]
    assert is_synthetic(folder)
    assert is_synthetic(folder / "params.py")
    parameters: dict = {}
    exec((folder / "params.py").read_text(), parameters)  # as Phy does
    assert parameters["dat_path"] == "recording.dat"
    traces = np.fromfile(folder / "recording.dat", dtype=parameters["dtype"]).reshape(-1, parameters["n_channels_dat"])
    assert np.array_equal(traces, recording.get_traces())
    # The silent unit has nothing to show; clusters count on without a gap.
    sorting = read_phy(folder)
    truth = recording.sorting.select_units([0, 2, 3, 4])
    assert len(sorting.unit_ids) == 4
    for mine, theirs in zip(sorting.unit_ids, truth.unit_ids, strict=True):
        assert np.array_equal(sorting.get_unit_spike_train(mine), truth.get_unit_spike_train(theirs))
    assert np.load(folder / "templates.npy").shape[0] == 4
    assert (folder / "pc_features.npy").is_file()
    assert sorting.get_property("origin").tolist() == ["synthetic, counts"] * 4
    check_recordings_equal(recording, GenerativeRecordingExtractor(tmp_path / "session"))

    with pytest.raises(FileExistsError, match="name a new folder"):
        export_recording_to_phy(recording, folder)
    with pytest.raises(ValueError, match="layout='session'"):
        export_recording_to_phy(GenerativeRecordingExtractor(tmp_path / "session", layout="trials"), tmp_path / "b")
    with pytest.raises(ValueError, match="does not say that it is synthetic"):
        export_recording_to_phy(generate_recording(durations=[1.0]), tmp_path / "b")
    with pytest.raises(ValueError, match="no spikes"):
        export_recording_to_phy(recording, tmp_path / "b", sorting=recording.sorting.select_units([1]))
    assert not (tmp_path / "b").exists()
