import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spikeinterface.core import NumpyRecording, NumpySorting, load
from spikeinterface.core.testing import check_sortings_equal

from spikeinterface_gen import SpikeCounts

FS = 30000.0


def _sorting(*segments, unit_ids=("a", "b")):
    """A sorting from (frames, unit positions) of each segment."""
    frames, labels = zip(*segments, strict=True)
    return NumpySorting.from_samples_and_labels(
        [np.asarray(f, dtype=np.int64) for f in frames],
        [np.array([unit_ids[k] for k in own], dtype=str) for own in labels],
        FS,
        unit_ids=list(unit_ids),
    )


def _with_recording(sorting, num_samples, t_starts=None):
    recording = NumpyRecording([np.zeros((n, 1), dtype="int16") for n in num_samples], FS, t_starts=t_starts)
    sorting.register_recording(recording)
    return sorting


# ---- from a sorting --------------------------------------------------------------------------


def test_segments_are_trials():
    sorting = _sorting(([0, 299, 300, 1499], [0, 0, 1, 0]), ([600], [1]))
    _with_recording(sorting, [1500, 1200], t_starts=[2.0, 5.0])
    counts = SpikeCounts.from_sorting(sorting, 10.0)
    np.testing.assert_array_equal(counts.num_bins, [5, 4])
    np.testing.assert_array_equal(counts.counts[:, :, 0], [[2, 0, 0, 0, 1], [0] * 5])
    np.testing.assert_array_equal(counts.counts[:, :, 1], [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0]])
    np.testing.assert_array_equal(counts.unit_ids, ["a", "b"])
    np.testing.assert_array_equal(counts.t_starts_s, [2.0, 5.0])
    assert counts.trial_locked


def test_segments_without_recording_need_their_durations():
    sorting = _sorting(([10], [0]), ([20], [1]))
    with pytest.raises(ValueError, match="register_recording"):
        SpikeCounts.from_sorting(sorting, 10.0)
    counts = SpikeCounts.from_sorting(sorting, 10.0, durations_s=[0.05, 0.03])
    np.testing.assert_array_equal(counts.num_bins, [5, 3])
    assert counts.t_starts_s is None
    with pytest.raises(ValueError, match="durations_s"):
        SpikeCounts.from_sorting(sorting, 10.0, durations_s=[0.05])


def _uniform_sorting(duration_s=20.0, t_start=None):
    rng = np.random.default_rng(0)
    frames = np.sort(rng.choice(int(duration_s * FS), size=4000, replace=False))
    labels = rng.integers(0, 2, size=4000)
    sorting = _sorting((frames, labels))
    if t_start is not None:
        _with_recording(sorting, [int(duration_s * FS)], t_starts=[t_start])
    return sorting, frames, labels


def test_trials_are_cut_from_a_long_segment_and_may_overlap():
    sorting, frames, labels = _uniform_sorting(t_start=100.0)
    trials = pd.DataFrame(
        {
            "start": [101.0, 101.5, 110.25],
            "stop": [102.0, 102.5, 110.75],
            "side": ["l", "r", "l"],
            "contrast": [0, 1, 2],
        }
    )
    counts = SpikeCounts.from_sorting(sorting, 20.0, trials=trials, covariates={"block": [1, 1, 2]})
    np.testing.assert_array_equal(counts.num_bins, [50, 50, 25])
    np.testing.assert_array_equal(counts.t_starts_s, trials["start"])
    np.testing.assert_array_equal(counts.covariates["side"], ["l", "r", "l"])
    np.testing.assert_array_equal(counts.covariates["contrast"], [0, 1, 2])
    np.testing.assert_array_equal(counts.covariates["block"], [1, 1, 2])
    for trial, start_s in enumerate(trials["start"]):
        for unit in range(2):
            edges = (start_s - 100.0) * FS + np.arange(counts.num_bins[trial] + 1) * 600
            own = frames[(labels == unit) & (frames < edges[-1])]
            expected = np.histogram(own, edges)[0]
            np.testing.assert_array_equal(counts.counts[trial, : len(expected), unit], expected)


@pytest.mark.parametrize("columns", [("start", "stop"), ("start_s", "stop_s"), ("start_time", "stop_time")])
def test_trials_as_arrays_and_as_tables_agree(columns):
    sorting, _, _ = _uniform_sorting(t_start=0.0)
    windows = np.array([[1.0, 2.0], [5.0, 6.0]])
    from_array = SpikeCounts.from_sorting(sorting, 20.0, trials=windows)
    assert SpikeCounts.from_sorting(sorting, 20.0, trials=pd.DataFrame(windows, columns=list(columns))) == from_array
    assert SpikeCounts.from_sorting(sorting, 20.0, trials=windows.tolist()) == from_array


def test_trials_in_several_segments_say_where_they_lie():
    sorting = _with_recording(_sorting(([10], [0]), ([20, 40], [1, 1])), [3000, 3000])
    trials = pd.DataFrame(
        {
            "start": [0.0, 0.0],
            "stop": [0.05, 0.05],
            "segment_index": [1, 0],
            "start_frame": [0, 0],
            "stop_frame": [1500, 1500],
        }
    )
    counts = SpikeCounts.from_sorting(sorting, 10.0, trials=trials)
    np.testing.assert_array_equal(counts.counts.sum(1), [[0, 2], [1, 0]])
    assert not counts.covariates
    with pytest.raises(ValueError, match="segment_index"):
        SpikeCounts.from_sorting(sorting, 10.0, trials=[[0.0, 0.05]])
    with pytest.raises(ValueError, match="integers from 0 to 1"):
        SpikeCounts.from_sorting(sorting, 10.0, trials=trials.assign(segment_index=[0, 2]))


def test_a_recording_with_a_time_vector_sets_the_clock():
    sorting = _sorting(([0, 15000, 29999], [0, 0, 1]))
    recording = NumpyRecording([np.zeros((30000, 1), dtype="int16")], FS)
    times_s = np.arange(30000) / FS
    times_s[15000:] += 7.0  # a pause in the middle
    recording.set_times(times_s, segment_index=0)
    sorting.register_recording(recording)
    counts = SpikeCounts.from_sorting(sorting, 100.0, trials=[[7.5, 8.0]])
    np.testing.assert_array_equal(counts.counts[0].sum(0), [1, 1])


def test_one_long_segment_is_cut_into_windows():
    sorting, frames, labels = _uniform_sorting(duration_s=20.5, t_start=3.0)
    counts = SpikeCounts.from_sorting(sorting, 20.0, window_s=2.0)
    assert counts.counts.shape == (10, 100, 2)
    assert not counts.trial_locked
    np.testing.assert_allclose(counts.t_starts_s, 3.0 + 2.0 * np.arange(10))
    expected = np.histogram2d(frames / FS, labels, bins=[np.arange(11) * 2.0, [0, 1, 2]])[0]
    np.testing.assert_array_equal(counts.counts.sum(1), expected)


def test_without_a_recording_the_last_spike_ends_the_last_window():
    sorting, frames, _ = _uniform_sorting()
    counts = SpikeCounts.from_sorting(sorting, 20.0, window_s=1.0)
    assert counts.num_trials == (frames[-1] + 1) // 30000


def test_properties_and_annotations_come_along():
    sorting, _, _ = _uniform_sorting(t_start=0.0)
    sorting.set_property("area", np.array(["VISp", "CA1"]))
    sorting.set_property("depth_um", np.array([100.0, 250.0]))
    sorting.annotate(animal="mouse 7", unplain=object())
    counts = SpikeCounts.from_sorting(sorting, 20.0, window_s=1.0, unit_properties={"depth_um": [1.0, 2.0]})
    np.testing.assert_array_equal(counts.unit_properties["area"], ["VISp", "CA1"])
    np.testing.assert_array_equal(counts.unit_properties["depth_um"], [1.0, 2.0])
    assert counts.unit_properties["short_interval_counts"].shape == (2, 20)
    assert np.all(counts.unit_properties["refractory_period_ms"] == 0.5)  # uniform spikes have none
    assert counts.annotations == {"animal": "mouse 7"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": [[1.0, 2.0]], "window_s": 1.0}, "exclude each other"),
        ({"trials": [1.0, 2.0]}, "one row a trial"),
        ({"trials": np.zeros((0, 2))}, "at least one"),
        ({"trials": [[2.0, 1.0]]}, "stop after it starts"),
        ({"trials": [[1.0, np.nan]]}, "finite times"),
        ({"trials": [[-1.0, 1.0]]}, "does not lie within"),
        ({"trials": [[19.5, 20.5]]}, "does not lie within"),
        ({"trials": [[1.0, 1.005]]}, "less than one bin"),
        ({"trials": pd.DataFrame({"onset": [1.0], "stop": [2.0]})}, "column named"),
        ({"trials": [[1.0, 2.0]], "covariates": {"x": [1, 2]}}, "covariates"),
        ({"window_s": 100.0}, "longer than the recording"),
        ({"window_s": 0.033}, "whole number of bins"),
    ],
)
def test_cuts_that_make_no_sense_are_refused(options, message):
    sorting, _, _ = _uniform_sorting(t_start=0.0)
    with pytest.raises(ValueError, match=message):
        SpikeCounts.from_sorting(sorting, 20.0, **options)


def test_what_is_no_sorting_is_refused():
    with pytest.raises(TypeError, match="SpikeInterface sorting"):
        SpikeCounts.from_sorting(np.zeros(3), 20.0)
    with pytest.raises(ValueError, match="no units"):
        SpikeCounts.from_sorting(NumpySorting(np.zeros(0, _sorting(([1], [0])).to_spike_vector().dtype), FS, []), 20.0)


# ---- to a sorting and back -------------------------------------------------------------------


def _without_trials(counts):
    """What a sorting can hold of the counts."""
    return SpikeCounts(
        counts.counts,
        counts.bin_size_ms,
        unit_ids=counts.unit_ids,
        num_bins=counts.num_bins,
        unit_properties=counts.unit_properties,
        t_starts_s=counts.t_starts_s,
        annotations=counts.annotations,
    )


def test_there_and_back_is_the_same(counts):
    sorting = counts.to_sorting()
    back = SpikeCounts.from_sorting(sorting, 10.0)
    assert back == _without_trials(counts)
    assert back.annotations == counts.annotations


@pytest.mark.parametrize("gap_s", [0.0, 0.25])
def test_a_session_has_all_trials_end_to_end(counts, gap_s):
    sorting = counts.to_sorting(layout="session", gap_s=gap_s)
    assert sorting.get_num_segments() == 1
    windows_s = np.array(sorting.get_annotation("trials"))
    np.testing.assert_allclose(windows_s[1:, 0] - windows_s[:-1, 1], gap_s, atol=1e-9)
    back = SpikeCounts.from_sorting(sorting, 10.0, trials=windows_s)
    np.testing.assert_array_equal(back.counts, counts.counts)
    np.testing.assert_array_equal(back.num_bins, counts.num_bins)
    spikes = sorting.to_spike_vector()
    assert np.all(np.diff(spikes["sample_index"] * 4 + spikes["unit_index"]) > 0)


@given(st.data())
def test_counts_to_times_to_counts_is_exact(data):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 3)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    bin_size_ms = data.draw(st.sampled_from([1.0, 5.0, 20.0, 100 / 3]))
    spikes = rng.poisson(data.draw(st.sampled_from([0.0, 0.05, 0.5, 3.0])), size=shape)
    counts = SpikeCounts(spikes, bin_size_ms)
    sampling_frequency = data.draw(st.sampled_from([20000.0, 24414.0625, 30000.0]))
    for layout in ("trials", "session"):
        sorting = counts.to_sorting(sampling_frequency=sampling_frequency, layout=layout)
        trials = sorting.get_annotation("trials") if layout == "session" else None
        back = SpikeCounts.from_sorting(sorting, bin_size_ms, trials=trials)
        np.testing.assert_array_equal(back.counts, counts.counts)


def test_trials_without_spikes_keep_their_segment():
    sorting = SpikeCounts(np.zeros((3, 4, 2), dtype=int), 10.0).to_sorting()
    assert sorting.get_num_segments() == 3
    assert SpikeCounts.from_sorting(sorting, 10.0).counts.shape == (3, 4, 2)


def test_trains_agree_with_the_spike_vector(counts):
    sorting = counts.to_sorting()
    for segment in range(5):
        for position, unit_id in enumerate(sorting.unit_ids):
            train = sorting.get_unit_spike_train(unit_id, segment_index=segment, use_cache=False)
            assert len(train) == counts.counts[segment, :, position].sum()
            part = sorting.get_unit_spike_train(unit_id, segment, start_frame=300, end_frame=900, use_cache=False)
            np.testing.assert_array_equal(part, train[(train >= 300) & (train < 900)])
    assert sorting.get_start_time(3) == 17.77


def test_it_pickles_and_saves(counts, tmp_path):
    sorting = counts.with_annotations(synthetic=True, model="LDNS").to_sorting()
    copy = pickle.loads(pickle.dumps(sorting))
    check_sortings_equal(sorting, copy)
    assert SpikeCounts.from_sorting(copy, 10.0) == SpikeCounts.from_sorting(sorting, 10.0)
    sorting.save(folder=tmp_path / "sorting")
    loaded = load(tmp_path / "sorting")
    check_sortings_equal(sorting, loaded)
    for other in (copy, loaded):
        assert other.get_annotation("synthetic") is True
        np.testing.assert_array_equal(other.get_property("area"), counts.unit_properties["area"])


def test_the_same_seed_places_the_same_spikes_in_neo_and_in_spikeinterface(counts):
    sorting, block = counts.to_sorting(seed=4), counts.to_neo(seed=4, time="trial")
    for trial in range(5):
        for position, unit_id in enumerate(counts.unit_ids):
            frames = sorting.get_unit_spike_train(unit_id, segment_index=trial)
            times_s = block.segments[trial].spiketrains[position].rescale("s").magnitude
            np.testing.assert_allclose(times_s, frames / FS, rtol=0, atol=1e-12)
    assert sorting.get_annotation("placement_seed") == 4


def test_an_unknown_layout_is_refused(counts):
    with pytest.raises(ValueError, match="layout must be"):
        counts.to_sorting(layout="block")
