import copy
import pickle
import time
from pathlib import Path

import neo
import numpy as np
import pytest
import quantities as pq
from elephant.conversion import BinnedSpikeTrain
from hypothesis import given
from hypothesis import strategies as st
from neo.test.tools import assert_neo_object_is_compliant

from spikeinterface_gen import SpikeCounts, is_synthetic, synthesize_like
from spikeinterface_gen.convert.neo_files import read_neo, write_neo
from spikeinterface_gen.provenance import provenance


def _train(times, t_stop=1.0, t_start=0.0, units="s", **rest):
    return neo.SpikeTrain(times, units=units, t_start=t_start, t_stop=t_stop, **rest)


# ---- from Neo --------------------------------------------------------------------------------


def _block(trials, t_starts_s, unit_order):
    """A block with the spikes of each trial given as {unit_id: times in ms}, trains in this order of units."""
    block = neo.Block(subject="mouse 7")
    for k, (spikes, t_start_s) in enumerate(zip(trials, t_starts_s, strict=True)):
        segment = neo.Segment(contrast=0.25 * k, stimulus="left")
        for unit_id in unit_order[k]:
            times = (np.array(spikes[unit_id]) + 1000 * t_start_s) * pq.ms
            segment.spiketrains.append(
                neo.SpikeTrain(
                    times,
                    t_start=t_start_s * pq.s,
                    t_stop=(t_start_s + 0.05) * pq.s,
                    unit_id=unit_id,
                    area=f"area {unit_id}",
                )
            )
        block.segments.append(segment)
    return block


TRIALS = [
    {"a": [0.0, 9.9, 10.0, 49.9], "b": [25.0]},
    {"a": [], "b": [1.0, 2.0, 3.0]},
    {"a": [30.0], "b": []},
]
EXPECTED = np.zeros((3, 5, 2), dtype=int)
EXPECTED[0, [0, 1, 4], 0] = [2, 1, 1]
EXPECTED[0, 2, 1] = 1
EXPECTED[1, 0, 1] = 3
EXPECTED[2, 3, 0] = 1


@pytest.mark.parametrize("unit_order", [["ab", "ab", "ab"], ["ab", "ba", "ba"], ["ab", "b", "a"]])
@pytest.mark.parametrize("t_starts_s", [(0.0, 0.0, 0.0), (1.0, 3.5, 100.123), (-0.5, -0.5, -0.5), (-2.0, -1.0, 0.0)])
def test_segments_are_trials_whatever_their_times_and_the_order_of_units(unit_order, t_starts_s):
    counts = SpikeCounts.from_neo(_block(TRIALS, t_starts_s, unit_order), 10.0)
    np.testing.assert_array_equal(counts.counts, EXPECTED)
    np.testing.assert_array_equal(counts.unit_ids, ["a", "b"])
    np.testing.assert_array_equal(counts.unit_properties["area"], ["area a", "area b"])
    np.testing.assert_array_equal(counts.covariates["contrast"], [0.0, 0.25, 0.5])
    np.testing.assert_array_equal(counts.covariates["stimulus"], ["left"] * 3)
    assert counts.annotations["subject"] == "mouse 7"
    assert counts.trial_locked
    if len(set(t_starts_s)) == 1:
        assert counts.t_starts_s is None  # each trial has a clock of its own
    else:
        np.testing.assert_array_equal(counts.t_starts_s, t_starts_s)


def test_all_forms_of_the_same_data_agree():
    block = _block(TRIALS, (0.0, 0.0, 0.0), ["ab"] * 3)
    trains = [list(segment.spiketrains) for segment in block.segments]
    for form in (block, block.segments, trains, [segment.spiketrains for segment in block.segments]):
        np.testing.assert_array_equal(SpikeCounts.from_neo(form, 10.0).counts, EXPECTED)
    for form in (block.segments[0], trains[0], block.segments[0].spiketrains):
        np.testing.assert_array_equal(SpikeCounts.from_neo(form, 10.0).counts, EXPECTED[:1])


@pytest.mark.parametrize(("unit", "factor"), [("s", 1.0), ("ms", 1e3), ("us", 1e6), ("min", 1 / 60)])
def test_any_unit_of_time(unit, factor):
    train = neo.SpikeTrain(
        np.array([0.0, 0.25, 0.999]) * factor, units=unit, t_start=0 * pq.s, t_stop=1000 * pq.ms, dtype=float
    )
    counts = SpikeCounts.from_neo([train], 500.0)
    np.testing.assert_array_equal(counts.counts[0, :, 0], [2, 1])


def test_units_are_matched_by_id_then_by_name_then_by_position():
    named = [[_train([0.1], name="x"), _train([], name="y")], [_train([], name="y"), _train([0.1], name="x")]]
    counts = SpikeCounts.from_neo(named, 500.0)
    np.testing.assert_array_equal(counts.unit_ids, ["x", "y"])
    np.testing.assert_array_equal(counts.counts[:, 0], [[1, 0], [1, 0]])

    nameless = [[_train([0.1]), _train([])], [_train([]), _train([0.1])]]
    counts = SpikeCounts.from_neo(nameless, 500.0)
    np.testing.assert_array_equal(counts.unit_ids, [0, 1])
    np.testing.assert_array_equal(counts.counts[:, 0], [[1, 0], [0, 1]])

    keyed = [[_train([0.1], cluster=7), _train([], cluster=9)], [_train([], cluster=9), _train([0.1], cluster=7)]]
    counts = SpikeCounts.from_neo(keyed, 500.0, unit_key="cluster")
    np.testing.assert_array_equal(counts.unit_ids, [7, 9])
    np.testing.assert_array_equal(counts.counts[:, 0], [[1, 0], [1, 0]])


def test_a_long_segment_is_cut_into_windows():
    rng = np.random.default_rng(0)
    times_s = [np.sort(rng.uniform(5.0, 15.25, n)) for n in (300, 50)]
    trains = [_train(times, t_start=5.0, t_stop=15.25) for times in times_s]
    counts = SpikeCounts.from_neo(trains, 20.0, window_s=2.0)
    assert counts.counts.shape == (5, 100, 2)  # the last quarter of a second is left out
    assert not counts.trial_locked
    np.testing.assert_allclose(counts.t_starts_s, [5.0, 7.0, 9.0, 11.0, 13.0])
    for k in range(2):
        expected = np.histogram(times_s[k], 5.0 + np.arange(6) * 2.0)[0]
        np.testing.assert_array_equal(counts.counts[:, :, k].sum(1), expected)


def test_the_sampling_rate_of_the_trains_sets_the_frames():
    # 1.6 ms is nearest to frame 2 of 1 kHz, which opens the second bin.
    for stated, expected in ((1 * pq.kHz, [0, 1]), (1 * pq.Hz, [1, 0]), (30 * pq.kHz, [1, 0])):
        counts = SpikeCounts.from_neo([_train([0.0016], t_stop=0.004, sampling_rate=stated)], 2.0)
        np.testing.assert_array_equal(counts.counts[0, :, 0], expected)
    counts = SpikeCounts.from_neo([_train([0.0016], t_stop=0.004)], 2.0, sampling_frequency=1000.0)
    np.testing.assert_array_equal(counts.counts[0, :, 0], [0, 1])


def test_trains_that_cover_different_times_are_counted_where_all_do_with_a_warning():
    trains = [_train([0.05, 0.15, 0.95], t_stop=1.0), _train([0.15, 0.25], t_start=0.1, t_stop=0.9)]
    with pytest.warns(UserWarning, match=r"disagree .*0\.1 to 0\.9 s.* and 1 more") as warned:
        counts = SpikeCounts.from_neo([trains, trains], 100.0)
    assert len(warned) == 1
    assert counts.counts.shape == (2, 8, 2)
    np.testing.assert_array_equal(counts.counts.sum(1), [[1, 2], [1, 2]])


def test_intervals_and_refractory_periods_of_the_source_are_kept():
    rng = np.random.default_rng(1)
    times_s = np.cumsum(0.002 + rng.exponential(0.03, 5000))
    counts = SpikeCounts.from_neo([_train(times_s, t_stop=times_s[-1] + 1)], 20.0, window_s=1.0)
    assert counts.unit_properties["short_interval_counts"].shape == (1, 20)
    assert counts.unit_properties["short_interval_counts"].sum() == np.sum(np.diff(np.rint(times_s * 30000)) < 300)
    assert counts.unit_properties["refractory_period_ms"][0] == pytest.approx(2.0, abs=0.1)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 5.0, 12.5]), st.floats(-5, 5))
def test_counts_agree_with_elephant_away_from_its_rounding(seed, bin_size_ms, t_start_s):
    rng = np.random.default_rng(seed)
    # Spikes half a frame or more from every border: there, rounding to frames and Elephant's tolerance agree.
    frames = rng.choice(30000, size=200, replace=False)
    border = np.rint(frames / (bin_size_ms * 30)) * bin_size_ms * 30
    frames = np.sort(frames[np.abs(frames - border) > 1])
    train = _train(t_start_s + frames / 30000, t_start=t_start_s, t_stop=t_start_s + 1.0)
    num_bins = int(1000 / bin_size_ms)
    elephant = BinnedSpikeTrain(train, bin_size=bin_size_ms * pq.ms, n_bins=num_bins, t_start=train.t_start)
    ours = SpikeCounts.from_neo([train], bin_size_ms).counts[0, :, 0]
    np.testing.assert_array_equal(ours, elephant.to_array()[0])


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ([], {}, "no segment"),
        (neo.Block(), {}, "no segment"),
        ([neo.Segment()], {}, "no spike train"),
        ([[_train([0.1])], []], {}, "trial 1 holds no spike train"),
        ([_train([0.1], t_stop=0.2), _train([0.5], t_start=0.4)], {}, "no time in common"),
        ([_train([0.1], unit_id=1), _train([0.1], unit_id=1)], {}, "several spike trains with 'unit_id' = 1"),
        ([_train([0.1])], {"unit_key": "cluster"}, "no 'cluster'"),
        ([[_train([0.1])], [_train([0.1]), _train([0.1])]], {}, "unit_key"),
        ([_train([0.001], t_stop=0.005)], {}, "less than one bin"),
        ([_train([0.001])], {"window_s": 2.0}, "longer than the recording"),
        ([_train([0.001])], {"window_s": 0.015}, "whole number of bins"),
        ([_train([0.001])], {"window_s": -1.0}, "whole number of bins"),
        ([_train([0.001])], {"covariates": {"x": [1, 2]}}, r"covariates\['x'\]"),
        ([_train([0.001])], {"unit_properties": {"area": ["A", "B"]}}, r"unit_properties\['area'\]"),
        ([_train([0.001])], {"sampling_frequency": 10.0}, "shorter than one frame"),
    ],
)
def test_data_that_cannot_be_counted_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        SpikeCounts.from_neo(data, 10.0, **options)


@pytest.mark.parametrize("data", [5, "spikes.nix", [1.0, 2.0], [[_train([0.1]), 3]]])
def test_other_types_are_refused(data):
    with pytest.raises(TypeError, match=r"SpikeTrain|neo\.Block"):
        SpikeCounts.from_neo(data, 10.0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_train([0.1]), r"a single neo\.SpikeTrain .*\[train\]"),
        ("spikes.nwb", r"a path was given \('spikes\.nwb'\).*read_neo .*SpikeCounts\.from_nwb"),
        (Path("spikes.nix"), r"a path was given \('spikes\.nix'\)"),
        ([neo.Block(), neo.Block()], r"a list of 2 neo\.Block .*in a loop.*for segment in block\.segments"),
    ],
)
@pytest.mark.parametrize("function", [lambda data: SpikeCounts.from_neo(data, 10.0), synthesize_like])
def test_what_is_nearly_right_is_told_what_to_give(function, data, message):
    with pytest.raises(TypeError, match=message):
        function(data)


def test_spikes_at_nan_are_refused():
    train = _train([0.1, 0.2])
    train[1] = np.nan * pq.s
    with pytest.raises(ValueError, match="NaN"):
        SpikeCounts.from_neo([train], 10.0)


# ---- to Neo and back -------------------------------------------------------------------------


@pytest.mark.parametrize("clock", ["session", "trial"])
@pytest.mark.parametrize("sampling_frequency", [30000.0, 24414.0625])
def test_there_and_back_is_the_same(counts, clock, sampling_frequency):
    block = counts.to_neo(time=clock, sampling_frequency=sampling_frequency)
    back = SpikeCounts.from_neo(block, counts.bin_size_ms)
    assert back == counts
    assert back.annotations == counts.annotations


@given(st.data())
def test_counts_to_times_to_counts_is_exact(data):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 3)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    bin_size_ms = data.draw(st.sampled_from([1.0, 5.0, 20.0, 100 / 3]))
    spikes = rng.poisson(data.draw(st.sampled_from([0.0, 0.05, 0.5, 3.0])), size=shape)
    num_bins = rng.integers(1, shape[1] + 1, size=shape[0])
    spikes[np.arange(shape[1]) >= num_bins[:, None]] = 0
    counts = SpikeCounts([trial[:n] for trial, n in zip(spikes, num_bins, strict=True)], bin_size_ms)
    block = counts.to_neo(sampling_frequency=data.draw(st.sampled_from([20000.0, 24414.0625, 30000.0])), seed=1)
    back = SpikeCounts.from_neo(block, bin_size_ms)
    np.testing.assert_array_equal(back.counts, counts.counts)
    np.testing.assert_array_equal(back.num_bins, counts.num_bins)


def test_covariates_within_trials_become_analog_signals_and_return():
    rng = np.random.default_rng(0)
    counts = SpikeCounts(
        [rng.poisson(0.2, (n, 2)) for n in (8, 5)], 20.0, covariates={"velocity": rng.normal(size=(2, 8, 3))}
    )
    counts.covariates["velocity"][1, 5:] = 0
    block = counts.to_neo()
    signal = block.segments[1].analogsignals[0]
    assert signal.shape == (5, 3)
    assert signal.sampling_period.rescale("ms").item() == pytest.approx(20.0)
    np.testing.assert_array_equal(
        SpikeCounts.from_neo(block, 20.0).covariates["velocity"], counts.covariates["velocity"]
    )


def test_trials_with_clocks_of_their_own_keep_their_origin():
    source = _block(TRIALS, (-0.5, -0.5, -0.5), ["ab"] * 3)
    block = SpikeCounts.from_neo(source, 10.0).to_neo()
    assert all(segment.spiketrains[0].t_start.rescale("s").item() == -0.5 for segment in block.segments)


def test_the_block_is_what_neo_expects(counts):
    block = counts.to_neo(seed=5)
    assert_neo_object_is_compliant(block)
    assert (len(block.segments), len(block.groups)) == (5, 4)
    train = block.segments[3].spiketrains[1]
    assert train is block.groups[1].spiketrains[3]
    assert train.segment is block.segments[3]
    assert train.annotations["unit_id"] == "b"
    assert train.annotations["trial"] == 3
    assert train.annotations["area"] == "CA1"
    assert train.sampling_rate == 30 * pq.kHz
    assert train.t_start.rescale("s").item() == 17.77
    assert train.t_stop.rescale("s").item() == pytest.approx(17.84)
    assert block.segments[1].annotations["choice"] == "right"
    assert block.annotations["placement_seed"] == 5
    frames = (train.times.rescale("s").magnitude - 17.77) * 30000
    assert np.abs(frames - np.rint(frames)).max(initial=0) < 1e-5


def test_every_part_of_what_is_synthetic_says_so(counts):
    synthetic = counts.with_annotations(synthetic=True, model="LDNS", model_sha256="0" * 64, seed=3)
    block = synthetic.to_neo()
    for part in (block, block.segments[0], block.groups[0], block.segments[0].spiketrains[0]):
        assert part.annotations["synthetic"] is True
        assert part.annotations["model_sha256"] == "0" * 64
    for form in (block, block.segments, [segment.spiketrains for segment in block.segments]):
        assert SpikeCounts.from_neo(form, 10.0).annotations["synthetic"] is True
    assert "synthetic" not in counts.to_neo().segments[0].spiketrains[0].annotations


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda block: pickle.loads(pickle.dumps(block))])
def test_copies_need_nothing_of_this_package(counts, copied):
    block = copied(counts.to_neo())
    kinds = {type(container.spiketrains) for container in (*block.segments, *block.groups)}
    assert {kind.__module__ for kind in kinds} == {"neo.core.spiketrainlist"}
    assert block.groups[1].spiketrains[3] is block.segments[3].spiketrains[1]
    assert SpikeCounts.from_neo(block, 10.0) == counts


def test_trains_are_made_when_they_are_looked_at():
    counts = SpikeCounts(np.zeros((2000, 2, 200), dtype=np.uint8), 10.0)
    started = time.perf_counter()
    block = counts.to_neo()
    assert len(block.segments[7].spiketrains) == 200
    assert len(block.groups[7].spiketrains) == 2000
    assert block.segments[7].spiketrains[199].annotations["unit_id"] == 199
    assert time.perf_counter() - started < 5.0  # 400 000 trains made at once take 45 s


def test_multiplexed_times_are_those_of_the_trains(counts):
    trains = counts.to_neo().segments[0].spiketrains
    positions, times = trains.multiplexed
    np.testing.assert_array_equal(np.bincount(positions, minlength=4), counts.counts[0].sum(0))
    np.testing.assert_array_equal(times[positions == 1].magnitude, trains[1].rescale("s").magnitude)


def test_an_unknown_clock_is_refused(counts):
    with pytest.raises(ValueError, match="time must be"):
        counts.to_neo(time="block")


# ---- files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".nix", ".mat", ".pkl"])
def test_files_give_the_block_back(counts, tmp_path, suffix):
    synthetic = counts.with_annotations(**provenance("LDNS", "0" * 64, 3))
    block = synthetic.to_neo(seed=2)
    train = block.segments[0].spiketrains[0]
    train.array_annotate(amplitude=np.arange(len(train)) * 1.5 * pq.uV, kind=np.array(["x"] * len(train)))
    path = write_neo(block, tmp_path / f"block{suffix}")
    assert is_synthetic(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, f"{path.name}.provenance.json"]
    assert "nix_name" not in block.annotations
    again = read_neo(path, trust_pickle=True)
    assert SpikeCounts.from_neo(again, 10.0) == SpikeCounts.from_neo(block, 10.0)
    assert again.annotations == block.annotations
    found = again.segments[0].spiketrains[0]
    assert found.sampling_rate == 30000 * pq.Hz
    assert found.annotations == train.annotations
    assert found.array_annotations["kind"].tolist() == ["x"] * len(train)
    assert np.allclose(found.array_annotations["amplitude"].rescale("mV").magnitude, np.arange(len(train)) * 1.5e-3)
    assert len(again.groups) == len(block.groups)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_neo(block, path)
    assert not is_synthetic(write_neo(counts.to_neo(), path, overwrite=True))


def test_files_that_cannot_be(counts, tmp_path):
    with pytest.raises(ValueError, match=r"\.nix, \.mat, \.pkl"):
        write_neo(counts.to_neo(), tmp_path / "block.txt")
    with pytest.raises(FileNotFoundError):
        read_neo(tmp_path / "block.nix")
    with pytest.raises(PermissionError, match="trust_pickle"):
        read_neo(write_neo(counts.to_neo(), tmp_path / "block.pkl"))
    assert not is_synthetic(tmp_path / "block.pkl")


def test_units_that_are_missing_in_some_segments_are_told():
    segments = []
    for k in range(3):
        segment = neo.Segment()
        for unit_id in range(3 if k else 2):
            segment.spiketrains.append(neo.SpikeTrain([0.1], units="s", t_stop=1.0, unit_id=unit_id))
        segments.append(segment)
    with pytest.warns(UserWarning, match=r"unit 2 has no spike train in 1 of 3 segments; .* leave out the units"):
        counts = SpikeCounts.from_neo(segments, 100.0)
    assert counts.counts[:, :, 2].sum(axis=1).tolist() == [0, 1, 1]


def test_names_that_do_not_tell_units_apart_are_told():
    trains = [neo.SpikeTrain([0.1 * k], units="s", t_stop=1.0, name="ch 1") for k in range(2)]
    with pytest.warns(UserWarning, match=r"several spike trains of the segment are called 'ch 1'.*unit_key"):
        counts = SpikeCounts.from_neo(trains, 100.0)
    assert counts.unit_ids.tolist() == [0, 1]
    for train in trains:
        train.annotate(unit_id=5)
    with pytest.raises(ValueError, match=r"several spike trains with 'unit_id' = 5; give each unit of a segment"):
        SpikeCounts.from_neo(trains, 100.0)


def test_times_in_ms_that_begin_before_zero():
    train = neo.SpikeTrain([-0.5, 99.5, 250.0], units="ms", t_start=-100.0, t_stop=300.0)
    counts = SpikeCounts.from_neo([train], 100.0)
    assert counts.counts[0, :, 0].tolist() == [1, 1, 0, 1]
    assert counts.t_starts_s.tolist() == [-0.1]
