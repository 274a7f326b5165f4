"""Recordings and sortings of a session, as SpikeInterface's users use them."""

import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import spikeinterface.full as si
from spikeinterface.core.testing import check_recordings_equal, check_sortings_equal

from spikeinterface_gen import (
    GenerativeRecordingExtractor,
    GenerativeSortingExtractor,
    SpikeCounts,
    generate_from_counts,
)
from spikeinterface_gen.session import SessionError

LAYOUTS = ["session", "trials"]


@pytest.fixture(scope="module", autouse=True)
def one_quiet_job():
    before = si.get_global_job_kwargs()
    si.set_global_job_kwargs(n_jobs=1, progress_bar=False)
    yield
    si.set_global_job_kwargs(**before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    rng = np.random.default_rng(0)
    num_bins = np.array([100, 100, 80, 100])
    array = rng.poisson(0.08, (4, 100, 6))
    array[np.arange(100) >= num_bins[:, None]] = 0
    counts = SpikeCounts(
        array,
        10.0,
        unit_ids=[f"u{k}" for k in range(6)],
        num_bins=num_bins,
        covariates={"contrast": np.arange(4) / 4, "target": rng.normal(size=(4, 2)), "hand": np.zeros((4, 100, 2))},
        unit_properties={"area": np.array(["CA1", "CA1", "DG", "DG", "DG", "VISp"])},
        t_starts_s=np.array([7.0, 9.0, 12.0, 20.0]),
    )
    path = tmp_path_factory.mktemp("sessions") / "a"
    generate_from_counts(counts, seed=5, folder=path, gap_s=0.2)
    return path


@pytest.fixture(params=LAYOUTS)
def recording(request, folder) -> GenerativeRecordingExtractor:
    return GenerativeRecordingExtractor(folder, layout=request.param)


# ---- contract --------------------------------------------------------------------------------


def test_both_layouts_have_the_same_traces_and_times(folder):
    session, trials = (GenerativeRecordingExtractor(folder, layout=layout) for layout in LAYOUTS)
    assert session.get_num_segments() == 1
    assert trials.get_num_segments() == 4
    table = session.trials
    for k, row in trials.trials.iterrows():
        assert row["start_s"] == table["start_s"][k] == trials.get_start_time(segment_index=k)
        assert row["stop_frame"] == trials.get_num_samples(k)
        assert np.array_equal(
            trials.get_traces(segment_index=k),
            session.get_traces(start_frame=table["start_frame"][k], end_frame=table["stop_frame"][k]),
        )
    for unit_id in session.sorting.unit_ids:
        whole = session.sorting.get_unit_spike_train(unit_id, return_times=True)
        parts = [trials.sorting.get_unit_spike_train(unit_id, segment_index=k, return_times=True) for k in range(4)]
        assert np.allclose(np.concatenate(parts), whole, atol=1e-9)
    assert table.columns.tolist() == [
        "start_s", "stop_s", "segment_index", "start_frame", "stop_frame", "contrast", "target_0", "target_1",
    ]  # fmt: skip
    assert table["stop_s"].tolist() == pytest.approx([1.0, 2.2, 3.2, 4.4])


def test_any_slice_in_any_order_and_any_channels(recording):
    segment = recording.get_num_segments() - 1
    whole = recording.get_traces(segment_index=segment)
    assert whole.dtype == recording.get_dtype() == np.dtype("int16")
    rng = np.random.default_rng(0)
    ids = recording.channel_ids
    for _ in range(30):
        a, b = np.sort(rng.integers(0, len(whole) + 1, 2))
        chosen = rng.permutation(len(ids))[: rng.integers(1, len(ids) + 1)]
        fresh = GenerativeRecordingExtractor(**recording._kwargs) if rng.random() < 0.2 else recording
        part = fresh.get_traces(segment, int(a), int(b), channel_ids=ids[chosen])
        assert np.array_equal(part, whole[a:b, chosen])
    assert np.array_equal(recording.get_traces(segment, None, 100), whole[:100])
    assert np.array_equal(recording.get_traces(segment, len(whole) - 5, None), whole[-5:])


def test_threads_see_the_same_traces(recording):
    expected = recording.get_traces(0)
    starts = [int(start) for start in np.random.default_rng(0).permutation(np.arange(0, len(expected), 700))]
    for _ in range(2):
        shared = GenerativeRecordingExtractor(**recording._kwargs)
        with ThreadPoolExecutor(4) as pool:
            parts = list(pool.map(lambda start, shared=shared: shared.get_traces(0, start, start + 700), starts))
        assert all(np.array_equal(part, expected[s : s + 700]) for s, part in zip(starts, parts, strict=True))


def test_pickle_json_and_dictionaries_build_it_again(recording, tmp_path):
    sorting = recording.sorting
    for load in (lambda obj: pickle.loads(pickle.dumps(obj)), lambda obj: si.load(obj.to_dict())):
        check_recordings_equal(recording, load(recording))
        check_sortings_equal(sorting, load(sorting))
    recording.dump_to_json(tmp_path / "recording.json")
    sorting.dump_to_json(tmp_path / "sorting.json")
    check_recordings_equal(recording, si.load(tmp_path / "recording.json"))
    check_sortings_equal(sorting, si.load(tmp_path / "sorting.json"))
    again = si.load(tmp_path / "recording.json")
    assert again.get_annotation("synthetic") is True
    assert np.array_equal(again.get_channel_gains(), recording.get_channel_gains())
    assert np.array_equal(again.get_channel_locations(), recording.get_channel_locations())


def test_a_fresh_process_loads_it_without_torch(recording, tmp_path):
    recording.dump_to_json(tmp_path / "recording.json")
    code = (
        "import sys, json, spikeinterface.core as si\n"
        f"recording = si.load({str(tmp_path / 'recording.json')!r})\n"
        "traces = recording.get_traces(0, 3000, 9000)\n"
        "modules = [name for name in ('torch', 'lightning', 'neo', 'pandas') if name in sys.modules]\n"
        "print(json.dumps([int(traces.astype('int64').sum()), traces[::997].tolist(), 'torch' in modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    total, rows, torch_imported = json.loads(done.stdout)
    traces = recording.get_traces(0, 3000, 9000)
    assert total == traces.astype("int64").sum()
    assert rows == traces[::997].tolist()
    assert not torch_imported


def test_rendering_can_be_changed_when_a_session_is_opened(folder):
    quiet = GenerativeRecordingExtractor(folder, noise_level_uv=0.0, gain_uv_per_bit=0.1)
    plain = GenerativeRecordingExtractor(folder)
    noise_uv = plain.get_traces(return_in_uV=True) - quiet.get_traces(return_in_uV=True)
    assert np.allclose(noise_uv.std(axis=0), 8.0, rtol=0.06)
    check_recordings_equal(quiet, si.load(quiet.to_dict()))
    with pytest.raises(TypeError, match="fixed when a session is generated"):
        GenerativeRecordingExtractor(folder, amplitude_median_uv=50.0)
    with pytest.raises(TypeError, match="'noise' is not a rendering parameter"):
        GenerativeRecordingExtractor(folder, noise=5.0)
    with pytest.raises(ValueError, match="layout"):
        GenerativeRecordingExtractor(folder, layout="trial")
    with pytest.raises(ValueError, match="layout"):
        GenerativeSortingExtractor(folder, layout="trial")
    with pytest.raises(SessionError, match="is no session"):
        GenerativeSortingExtractor(folder.parent)


def test_the_sorting_agrees_with_the_counts(recording):
    sorting = recording.sorting
    counts = recording.counts
    expected = counts.counts.sum(axis=(0, 1))
    assert list(sorting.count_num_spikes_per_unit().values()) == expected.tolist()
    assert sorting.get_property("area").tolist() == ["CA1", "CA1", "DG", "DG", "DG", "VISp"]
    assert sorting.get_property("gt_unit_locations").shape == (6, 3)
    vector = sorting.to_spike_vector()
    built = GenerativeSortingExtractor(**sorting._kwargs)
    built._cached_spike_vector = None
    assert np.array_equal(built.to_spike_vector(), vector)
    train = sorting.get_unit_spike_train("u3", segment_index=0, start_frame=3000, end_frame=20000)
    assert np.all((train >= 3000) & (train < 20000))


# ---- Neo -------------------------------------------------------------------------------------


def test_neo_spike_trains_agree_with_the_sorting(recording):
    sorting = recording.sorting
    lists = recording.spiketrains
    assert len(lists) == recording.get_num_segments()
    for k, trains in enumerate(lists):
        assert len(trains) == 6
        for unit_id, train in zip(sorting.unit_ids, trains, strict=True):
            expected = sorting.get_unit_spike_train(unit_id, segment_index=k, return_times=True)
            assert np.allclose(train.rescale("s").magnitude, expected, atol=1e-9)
            assert train.annotations["unit_id"] == unit_id
            assert train.annotations["synthetic"] is True
            assert float(train.t_start) == pytest.approx(recording.get_start_time(segment_index=k))


def test_to_neo_has_a_segment_per_trial_on_the_clock_of_the_session(recording):
    block = recording.to_neo()
    assert [float(segment.t_start) for segment in block.segments] == pytest.approx([0.0, 1.2, 2.4, 3.4])
    assert [segment.annotations["contrast"] for segment in block.segments] == [0.0, 0.25, 0.5, 0.75]
    times = [np.concatenate([s.spiketrains[k].magnitude for s in block.segments]) for k in range(6)]
    whole = GenerativeSortingExtractor(recording._kwargs["folder_path"])
    for k, unit_id in enumerate(whole.unit_ids):
        assert np.allclose(times[k], whole.get_unit_spike_train(unit_id, return_times=True), atol=1e-9)


# ---- SpikeInterface around it ----------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"pool_engine": "process", "mp_context": "fork"},
        {"pool_engine": "process", "mp_context": "spawn"},
        {"pool_engine": "thread"},
        {"format": "zarr", "pool_engine": "thread"},
    ],
    ids=lambda options: "-".join(options.values()),
)
def test_saved_copies_are_equal(folder, tmp_path, options):
    recording = GenerativeRecordingExtractor(folder)
    saved = recording.save(folder=tmp_path / "saved", n_jobs=2, chunk_duration="0.9s", verbose=False, **options)
    check_recordings_equal(recording, saved)
    assert saved.get_annotation("synthetic") is True
    assert np.array_equal(saved.get_channel_gains(), recording.get_channel_gains())


def test_the_sorting_can_be_saved(recording, tmp_path):
    saved = recording.sorting.save(folder=tmp_path / "sorting")
    check_sortings_equal(recording.sorting, saved)


def test_preprocessing_noise_levels_motion_and_plots(folder):
    import matplotlib

    matplotlib.use("Agg")
    recording = GenerativeRecordingExtractor(folder)
    levels = si.get_noise_levels(recording, return_in_uV=True, method="mad")
    assert np.all((levels > 7.0) & (levels < 11.0))
    filtered = si.common_reference(si.bandpass_filter(recording, 400.0, 5000.0))
    whitened = si.whiten(filtered, dtype="float32")
    assert np.allclose(whitened.get_traces(0, 5000, 6000), whitened.get_traces(0, 3000, 8000)[2000:3000], atol=0.1)
    corrected = si.correct_motion(recording, preset="rigid_fast")
    assert corrected.get_num_samples() == recording.get_num_samples()
    assert si.plot_traces({"raw": recording}, backend="matplotlib", time_range=(0.0, 0.1)) is not None


@pytest.mark.filterwarnings("ignore::UserWarning")  # the recording is short for some metrics
def test_an_analyzer_computes_everything_recovers_the_truth_and_keeps_its_recording(folder, tmp_path):
    recording = GenerativeRecordingExtractor(folder)
    sorting = recording.sorting
    analyzer = si.create_sorting_analyzer(sorting, recording, folder=tmp_path / "analyzer", format="binary_folder")
    extensions = [
        "random_spikes", "waveforms", "templates", "noise_levels", "amplitude_scalings", "correlograms",
        "isi_histograms", "principal_components", "spike_amplitudes", "spike_locations", "template_metrics",
        "template_similarity", "unit_locations", "quality_metrics",
    ]  # fmt: skip
    # The default similarity would be compiled for longer than everything else here takes.
    own = {"template_similarity": {"method": "cosine"}}
    analyzer.compute({name: own.get(name, {}) for name in extensions})

    found = analyzer.get_extension("templates")
    true = recording._session.templates
    before = min(found.nbefore, true.num_before)
    after = min(found.nafter, true.waveforms_uv.shape[2] - true.num_before)
    averages = found.get_data()[:, found.nbefore - before : found.nbefore + after]
    truths = true.dense_uv()[:, true.num_before - before : true.num_before + after]
    assert all(np.corrcoef(a.ravel(), t.ravel())[0, 1] > 0.97 for a, t in zip(averages, truths, strict=True))
    positions = analyzer.get_extension("unit_locations").get_data()[:, :2]
    assert np.median(np.linalg.norm(positions - sorting.get_property("gt_unit_locations")[:, :2], axis=1)) < 15.0
    metrics = analyzer.get_extension("quality_metrics").get_data()
    assert metrics["isi_violations_ratio"].max() == 0.0
    assert metrics["snr"].min() > 3.0

    again = si.load(tmp_path / "analyzer")
    assert again.has_recording()
    check_recordings_equal(again.recording, recording)
    assert set(extensions) <= set(again.get_loaded_extension_names())
