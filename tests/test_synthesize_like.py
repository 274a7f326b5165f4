"""Synthetic counterparts: of the same structure, with other spikes, fit for code that was written for the recorded."""

from importlib import import_module
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import neo
import numpy as np
import pytest
import quantities as pq
import spikeinterface.full as si
from matplotlib import pyplot as plt
from neo.test.tools import assert_neo_object_is_compliant

from spikeinterface_gen import SpikeCounts, find_watermark, is_synthetic, synthesize_like
from spikeinterface_gen.models.psth import HomogeneousPoisson, PSTHPoisson

NUM_TRIALS, NUM_UNITS = 12, 5


def recorded_block() -> neo.Block:
    """Trials from −0.2 s to 1.003 s in ms, in float32, with all that a block can carry."""
    rng = np.random.default_rng(0)
    block = neo.Block(name="session 7", subject="m1", index=7)
    for k in range(NUM_TRIALS):
        segment = neo.Segment(name=f"trial {k}", index=k, contrast=float(k % 3))
        for u in range(NUM_UNITS):
            number = rng.poisson(24 + 6 * u)
            # Twice as dense in the second half.
            times = np.sort(-200 + 1203 * np.sqrt(rng.uniform(size=number))).astype(np.float32)
            segment.spiketrains.append(
                neo.SpikeTrain(
                    times,
                    units="ms",
                    t_start=-200.0,
                    t_stop=1003.0,
                    name=f"unit {u}",
                    unit_id=10 + u,
                    area="CA1" if u < 2 else "VISp",
                    array_annotations={"amplitude": rng.normal(50.0 + 10 * u, 1.0, number) * pq.uV},
                )
            )
        segment.events.append(neo.Event([0.25] * pq.s, labels=["go"], name="cue"))
        segment.epochs.append(neo.Epoch([0.0] * pq.s, durations=[500.0] * pq.ms, labels=["stimulus"]))
        block.segments.append(segment)
    for u in range(NUM_UNITS):
        group = neo.Group(name=f"unit {u}", allowed_types=(neo.SpikeTrain,), unit_id=10 + u)
        group.spiketrains.extend([segment.spiketrains[u] for segment in block.segments])
        block.groups.append(group)
    for child in (*block.segments, *block.groups):
        child.block = block
    return block


@pytest.fixture(scope="module")
def block():
    return recorded_block()


@pytest.fixture(scope="module")
def ground_truth():
    recording, sorting = si.generate_ground_truth_recording(
        durations=[8.0], num_units=4, num_channels=4, sampling_frequency=24414.0625, seed=1
    )
    recording = recording.rename_channels(["a", "b", "c", "d"])
    recording.shift_times(3.5)
    sorting = sorting.rename_units(["w", "x", "y", "z"])
    sorting.delete_property("main_channel_id")  # names of the channels before
    sorting.register_recording(recording)
    sorting.set_property("area", np.array(["CA1", "CA1", "VISp", "VISp"]))
    sorting.annotate(subject="m1")
    return recording, sorting


@pytest.fixture(scope="module")
def analyzer(ground_truth):
    recording, sorting = ground_truth
    analyzer = si.create_sorting_analyzer(sorting, recording, sparse=True)
    analyzer.compute(["random_spikes", "noise_levels", "templates", "spike_amplitudes", "unit_locations"])
    return analyzer


@pytest.fixture(scope="module")
def pairs(block, continuous_trains, ground_truth, analyzer, tmp_path_factory):
    """Recorded and synthetic objects of each kind."""
    folder = tmp_path_factory.mktemp("like") / "session"
    trains = continuous_trains
    return {
        "block": (block, synthesize_like(block, PSTHPoisson(), seed=1)),
        "trains": (trains, synthesize_like(trains, PSTHPoisson(), seed=1, window_s=0.5)),
        "sorting": (ground_truth[1], synthesize_like(ground_truth[1], HomogeneousPoisson(), seed=1)),
        "analyzer": (analyzer, synthesize_like(analyzer, HomogeneousPoisson(), seed=1, folder=folder)),
    }


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("elephant_statistics", "block"),
        ("elephant_correlation", "trains"),
        ("elephant_unitary_events", "block"),
        ("elephant_gpfa", "block"),
        ("elephant_spade", "trains"),
        ("viziphant_figures", "block"),
        ("spikeinterface_sorting", "sorting"),
        ("spikeinterface_analyzer", "analyzer"),
    ],
)
def test_an_analysis_of_recorded_data_runs_unchanged(script, kind, pairs):
    recorded, synthetic = pairs[kind]
    analyse = import_module(f"tests.analyses.{script}").analyse
    expected, found = analyse(recorded), analyse(synthetic)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        if isinstance(values, list):
            assert found[name] == values, name
        else:
            assert found[name].shape == values.shape, name
            assert np.mean(np.isfinite(found[name])) > 0.9 * np.mean(np.isfinite(values)), name


# ---- structure -------------------------------------------------------------------------------


def test_a_block_keeps_all_but_its_spikes(pairs):
    recorded, synthetic = pairs["block"]
    assert_neo_object_is_compliant(synthetic)
    assert (synthetic.name, synthetic.index, synthetic.annotations["subject"]) == ("session 7", 7, "m1")
    assert is_synthetic(synthetic)
    assert not is_synthetic(recorded)
    assert len(synthetic.segments) == NUM_TRIALS
    for old, new in zip(recorded.segments, synthetic.segments, strict=True):
        assert (new.name, new.index, new.block) == (old.name, old.index, synthetic)
        assert new.annotations.items() >= old.annotations.items()
        assert is_synthetic(new)
        np.testing.assert_array_equal(new.events[0].labels, old.events[0].labels)
        assert new.events[0].segment is new
        assert new.epochs[0].durations == old.epochs[0].durations
        for before, after in zip(old.spiketrains, new.spiketrains, strict=True):
            assert after.name == before.name
            assert after.segment is new
            assert after.annotations.items() >= before.annotations.items()
            assert (after.units, after.dtype) == (before.units, before.dtype)
            assert (after.t_start, after.t_stop, after.sampling_rate) == (
                before.t_start,
                before.t_stop,
                before.sampling_rate,
            )
            assert np.all((after >= after.t_start) & (after <= after.t_stop))
            assert not np.array_equal(after.magnitude, before.magnitude)
            # What each spike carries is of the same unit: amplitudes lie 10 µV apart, with an s.d. of 1.
            amplitudes = after.array_annotations["amplitude"]
            assert amplitudes.units == pq.uV
            assert abs(np.mean(amplitudes.magnitude) - (50 + 10 * (before.annotations["unit_id"] - 10))) < 1.5
    for u, group in enumerate(synthetic.groups):
        assert group.block is synthetic
        members = [segment.spiketrains[u] for segment in synthetic.segments]
        assert all(one is other for one, other in zip(group.spiketrains, members, strict=True))


def test_rates_follow_those_that_were_recorded(pairs):
    recorded, synthetic = (SpikeCounts.from_neo(block, 10.0) for block in pairs["block"])
    total, drawn = (counts.counts.sum(axis=(0, 1), dtype=float) for counts in (recorded, synthetic))
    # Both are Poisson: the difference has the variance of their sum.
    assert np.all(np.abs(total - drawn) < 4 * np.sqrt(2 * total))
    halves = synthetic.counts[:, :60].sum(), synthetic.counts[:, 60:].sum()
    assert 2.2 < halves[1] / halves[0] < 4.0  # 3, with times as √uniform


def test_the_same_seed_draws_the_same(block):
    model = PSTHPoisson().fit(SpikeCounts.from_neo(block, 20.0))
    one, same, other = (synthesize_like(block, model, seed=seed).segments[3].spiketrains for seed in (4, 4, 5))
    for a, b, c in zip(one, same, other, strict=True):
        np.testing.assert_array_equal(a.magnitude, b.magnitude)
        assert not np.array_equal(a.magnitude, c.magnitude)


def test_lists_stay_lists_and_segments_segments(block):
    trials = [list(segment.spiketrains) for segment in block.segments]
    model = PSTHPoisson()
    synthetic = synthesize_like(tuple(trials), model, seed=0)
    assert isinstance(synthetic, tuple)
    assert [len(trial) for trial in synthetic] == [NUM_UNITS] * NUM_TRIALS
    assert model.expected_counts_.shape == (120, NUM_UNITS)  # fitted in place, to whole bins of 10 ms
    segments = synthesize_like(block.segments, model, seed=0)
    assert [segment.name for segment in segments] == [segment.name for segment in block.segments]
    np.testing.assert_array_equal(segments[2].spiketrains[1].magnitude, synthetic[2][1].magnitude)
    one = synthesize_like(block.segments[2], model, seed=0)
    assert (one.name, len(one.spiketrains)) == ("trial 2", NUM_UNITS)


def test_times_in_samples_stay_whole_samples():
    sample = pq.CompoundUnit("1.0/30000*s")
    rng = np.random.default_rng(0)
    trains = [
        neo.SpikeTrain(np.sort(rng.choice(300_000, 200, replace=False)), units=sample, t_stop=300_000) for _ in range(3)
    ]
    synthetic = synthesize_like(trains, HomogeneousPoisson(), seed=1)
    assert all(train.units == sample and train.dtype.kind == "i" for train in synthetic)
    assert all(np.all(np.diff(train.magnitude) > 0) for train in synthetic)
    assert 450 < sum(map(len, synthetic)) < 750


def test_windows_are_joined_to_the_whole_duration():
    rng = np.random.default_rng(2)
    # 40 Hz with 4 ms of silence after each spike, in a recording that no window divides.
    times = [np.cumsum(4.0 + rng.exponential(21.0, 1200)) for _ in range(3)]
    trains = [neo.SpikeTrain(t[t < 20_003.7], units="ms", t_stop=20_003.7) for t in times]
    synthetic = synthesize_like(trains, HomogeneousPoisson(), seed=3, window_s=0.25)
    for old, new in zip(trains, synthetic, strict=True):
        assert abs(len(new) - len(old)) < 4 * np.sqrt(2 * len(old))
        assert float(new[-1]) > 19_800
        # At the borders of windows too; bins that hold more spikes than have room are few.
        assert np.mean(np.diff(new.magnitude) < 3.0) < 0.02
        per_second = np.histogram(new.magnitude, np.arange(0, 20_001, 1000))[0]
        assert per_second.min() > 15


def test_trials_within_a_recording_are_drawn_where_they_were():
    rng = np.random.default_rng(4)
    starts_s = 0.7 + 1.3 * np.arange(20) + rng.uniform(0, 0.2, 20)
    # Each trial is silent but for 100 ms, 200 ms after it begins.
    frames = np.concatenate([np.sort(rng.choice(3000, 8, replace=False)) + int((s + 0.2) * 30000) for s in starts_s])
    sorting = si.NumpySorting.from_unit_dict({"a": frames, "b": frames[::2]}, 30000.0)
    trials = np.column_stack([starts_s, starts_s + 0.6])
    synthetic = synthesize_like(sorting, PSTHPoisson(0.0), seed=1, trials=trials, durations_s=[28.0])
    times_s = synthetic.get_unit_spike_train("a", segment_index=0) / 30000.0
    # Starts are rounded by half a bin: what begins or ends a trial may belong to what lies between.
    in_trials = [times_s[(times_s >= start + 0.006) & (times_s < start + 0.594)] - start for start in starts_s]
    relative = np.concatenate(in_trials)
    assert 100 < len(relative) < 230
    # Within a bin, and half a one by which the start of a trial is rounded.
    assert np.all((relative > 0.2 - 0.0151) & (relative < 0.3 + 0.0151))
    # What lies between is filled with 23 bursts of other trials, and parts of trials that hardly reach one.
    between = len(times_s) - len(relative)
    assert 23 * 8 - 70 < between < 23 * 8 + 70


def test_a_sorting_keeps_all_but_its_spikes(pairs):
    recorded, synthetic = pairs["sorting"]
    assert is_synthetic(synthetic)
    assert synthetic.unit_ids.tolist() == recorded.unit_ids.tolist()
    assert (synthetic.sampling_frequency, synthetic.get_num_segments()) == (recorded.sampling_frequency, 1)
    assert synthetic.get_start_time() == 3.5
    assert synthetic.get_num_samples() == recorded.get_num_samples()
    assert synthetic.get_annotation("name") == recorded.get_annotation("name")
    for key in recorded.get_property_keys():
        np.testing.assert_array_equal(synthetic.get_property(key), recorded.get_property(key))
    before, after = (np.array(list(s.count_num_spikes_per_unit().values())) for s in (recorded, synthetic))
    assert np.all(np.abs(before - after) < 4 * np.sqrt(2 * before))


def test_an_analyzer_keeps_templates_noise_and_names(pairs):
    recorded, synthetic = pairs["analyzer"]
    assert is_synthetic(synthetic)
    assert synthetic.channel_ids.tolist() == ["a", "b", "c", "d"]
    assert synthetic.get_num_samples(0) == recorded.get_num_samples(0)
    assert synthetic.recording.get_start_time() == 3.5
    np.testing.assert_array_equal(synthetic.sparsity.mask, recorded.sparsity.mask)
    np.testing.assert_array_equal(synthetic.get_channel_locations(), recorded.get_channel_locations())
    before, after = (a.get_extension("templates").get_data() for a in (recorded, synthetic))
    # What is left is noise, over the root of the number of spikes, and the variation of amplitudes.
    assert np.abs(before - after).max() < 0.12 * np.abs(before).max()
    before, after = (a.get_extension("noise_levels").get_data() for a in (recorded, synthetic))
    np.testing.assert_allclose(after, before, rtol=0.15)
    assert synthetic.get_loaded_extension_names() == recorded.get_loaded_extension_names()


def test_an_analyzer_of_several_segments_keeps_their_lengths_and_clocks(tmp_path):
    recording, sorting = si.generate_ground_truth_recording(
        durations=[2.0, 1.503], num_units=3, num_channels=4, sampling_frequency=20000.0, seed=2
    )
    recording.shift_times(7.0, segment_index=0)
    lengths = [recording.get_num_samples(k) for k in range(2)]
    assert lengths[1] % 200  # the last bin of 10 ms is not full
    recording.set_times(100.0 + np.arange(lengths[1]) / 20001.0, segment_index=1)
    recorded = si.create_sorting_analyzer(sorting, recording, sparse=False)
    recorded.compute(["random_spikes", "templates"])
    synthetic = synthesize_like(
        recorded, HomogeneousPoisson(), seed=1, folder=tmp_path / "session", extensions=(), amplitude_variation=0.0
    )
    assert [synthetic.get_num_samples(k) for k in range(2)] == lengths
    assert synthetic.recording.get_start_time(0) == 7.0
    np.testing.assert_array_equal(synthetic.recording.get_times(segment_index=1), recording.get_times(segment_index=1))
    assert synthetic.get_loaded_extension_names() == []
    traces = synthetic.recording.get_traces(segment_index=1, start_frame=30000)
    assert traces.shape == (lengths[1] - 30000, 4)
    spikes = synthetic.sorting.to_spike_vector()
    for k, frames in enumerate(lengths):
        inside = spikes["sample_index"][spikes["segment_index"] == k]
        assert 0.8 * frames < inside.max() < frames


def test_a_session_that_is_there_is_replaced_when_asked_for(analyzer, tmp_path):
    class Unfitted(HomogeneousPoisson):
        def fit(self, counts):
            pytest.fail("fitted before the folder was looked at")

    def drawn(model, **options):
        return synthesize_like(analyzer, model, folder=tmp_path / "session", extensions=(), **options)

    first = drawn(HomogeneousPoisson(), seed=1).sorting.to_spike_vector()
    with pytest.raises(FileExistsError, match="choose another folder, remove it, or pass overwrite=True"):
        drawn(Unfitted(), seed=2)
    second = drawn(HomogeneousPoisson(), seed=2, overwrite=True)
    assert not np.array_equal(first, second.sorting.to_spike_vector())
    assert second.recording.get_traces(end_frame=100).shape == (100, 4)
    with pytest.raises(TypeError, match="overwrite does not apply to a sorting"):
        synthesize_like(analyzer.sorting, HomogeneousPoisson(), overwrite=True)


# ---- models that are given -------------------------------------------------------------------


def test_a_fitted_model_may_know_more_units_in_another_order(block):
    model = PSTHPoisson().fit(SpikeCounts.from_neo(block, 20.0)[:, [14, 12, 11, 13, 10]])
    some = [list(segment.spiketrains[:3]) for segment in block.segments]
    synthetic = synthesize_like(some, model, seed=1)
    counts = SpikeCounts.from_neo(list(synthetic), 20.0)
    assert counts.unit_ids.tolist() == [10, 11, 12]
    expected = SpikeCounts.from_neo(some, 20.0).rates_hz
    np.testing.assert_allclose(counts.rates_hz, expected, rtol=0.3)
    assert np.all(np.diff(counts.rates_hz) > 0)  # 24, 30, 36 spikes a trial


def test_latent_diffusion_draws_every_length_that_is_needed(continuous_trains, model_of_windows, tmp_path):
    trains = continuous_trains
    synthetic = synthesize_like(trains, model_of_windows.save(tmp_path / "model"), seed=1)
    assert [train.t_stop for train in synthetic] == [train.t_stop for train in trains]
    assert synthetic[0].annotations["model"] == "LDNS"
    assert all(0.5 < len(new) / len(old) < 2 for new, old in zip(synthetic, trains, strict=True))


class PSTHByContrast:
    """A conditional model: a PSTH for each contrast."""

    def fit(self, counts):
        contrast = counts.covariates["contrast"]
        self.models_ = {value: PSTHPoisson().fit(counts[contrast == value]) for value in np.unique(contrast).tolist()}
        self.population_ = counts
        self.conditions_ = SimpleNamespace(covariates={"contrast": None})
        return self

    def sample(self, num_trials, *, durations=None, covariates=None, seed=None):
        trials = [
            self.models_[value].sample(k + 1, seed=seed).counts[k] for k, value in enumerate(covariates["contrast"])
        ]
        return SpikeCounts(trials, 10.0, unit_ids=self.population_.unit_ids, annotations={"synthetic": True})


def test_a_conditional_model_draws_each_trial_for_its_condition():
    block = recorded_block()
    for segment in block.segments:  # units fire at the highest contrast only
        if segment.annotations["contrast"] < 2.0:
            for u, train in enumerate(segment.spiketrains):
                segment.spiketrains[u] = train[:0]
    synthetic = synthesize_like(block, PSTHByContrast(), seed=1)
    for old, new in zip(block.segments, synthetic.segments, strict=True):
        number = sum(map(len, new.spiketrains))
        assert number == 0 if old.annotations["contrast"] < 2.0 else number > 80


def test_a_watermark_is_found(block):
    synthetic = synthesize_like(block, PSTHPoisson(), seed=1, watermark_key="ours")
    assert find_watermark(synthetic, "ours").found
    assert not find_watermark(synthetic, "theirs").found


# ---- what does not fit -----------------------------------------------------------------------


def test_models_that_do_not_fit_the_data_say_so(block, continuous_trains):
    counts = SpikeCounts.from_neo(block, 20.0)
    model = HomogeneousPoisson().fit(counts)
    with pytest.raises(ValueError, match=r"does not know 4 of the 4 units .*leave model= out|Leave model= out"):
        synthesize_like(continuous_trains, model)
    named = HomogeneousPoisson().fit(SpikeCounts(counts.counts, 20.0, unit_ids=counts.unit_ids.astype(str)))
    with pytest.raises(ValueError, match=r"differ in type only \(int and str\)"):
        synthesize_like(block, named)
    with pytest.raises(ValueError, match=r"bin_size_ms=10 was asked for, .* fitted to 20 ms"):
        synthesize_like(block, model, bin_size_ms=10.0)
    with pytest.raises(ValueError, match=r"window_s=0\.5 was asked for, .*common time origin"):
        synthesize_like(block, model, window_s=0.5)
    free = HomogeneousPoisson().fit(SpikeCounts.from_neo(block, 20.0, window_s=0.2))
    with pytest.raises(ValueError, match="fitted to windows without a common time origin"):
        synthesize_like(block, free, trials=[[0.0, 0.5]])
    with pytest.raises(TypeError, match="max_minutes bounds the fit of the default model"):
        synthesize_like(block, model, max_minutes=1.0)
    with pytest.raises(TypeError, match="model must be a model with fit and sample"):
        synthesize_like(block, 3)


def test_what_no_spikes_can_be_told_of_says_what_to_give(ground_truth, analyzer, block):
    recording, sorting = ground_truth
    with pytest.raises(TypeError, match="give its sorting, or a SortingAnalyzer"):
        synthesize_like(recording)
    with pytest.raises(TypeError, match="fit a model and sample it"):
        synthesize_like(SpikeCounts.from_neo(block, 10.0))
    with pytest.raises(TypeError, match=r"holds a float64 where a neo.SpikeTrain .*samples after division"):
        synthesize_like([np.array([0.1, 0.2])], HomogeneousPoisson())
    with pytest.raises(TypeError, match="unit_key does not apply to a sorting"):
        synthesize_like(sorting, unit_key="x")
    with pytest.raises(TypeError, match="noise_level_uv does not apply to Neo objects"):
        synthesize_like(block, noise_level_uv=3.0)
    with pytest.raises(ValueError, match="'waveforms', which the analyzer has not computed"):
        synthesize_like(analyzer, extensions=["waveforms"])
    bare = si.create_sorting_analyzer(sorting, recording, sparse=False)
    with pytest.raises(ValueError, match=r"no templates; call analyzer.compute"):
        synthesize_like(bare)


def test_trials_that_cannot_be_drawn_say_why(ground_truth):
    _, sorting = ground_truth
    with pytest.raises(ValueError, match="trials 0 and 2 overlap"):
        synthesize_like(sorting, PSTHPoisson(), trials=[[4.0, 5.0], [8.0, 9.0], [4.5, 5.5]])
    with pytest.raises(ValueError, match=r"does not lie within segment 0 \(from 3\.5 s, 8 s long\)"):
        synthesize_like(sorting, PSTHPoisson(), trials=[[4.0, 5.0], [11.0, 12.0]])
    with pytest.raises(ValueError, match="exclude each other"):
        synthesize_like(sorting, PSTHPoisson(), trials=[[4.0, 5.0]], window_s=1.0)
    with pytest.raises(ValueError, match="longer than the recording"):
        synthesize_like(sorting, PSTHPoisson(), window_s=10.0)


def test_signals_that_were_recorded_are_kept_with_a_warning(block):
    segment = recorded_block().segments[0]
    segment.analogsignals.append(neo.AnalogSignal(np.zeros((10, 1)), units="uV", sampling_rate=10 * pq.Hz, name="lfp"))
    with pytest.warns(UserWarning, match="analogsignals are copies of the recorded ones"):
        synthetic = synthesize_like(segment, HomogeneousPoisson(), seed=0)
    assert synthetic.analogsignals[0].name == "lfp"
    assert synthetic.analogsignals[0].segment is synthetic
    assert segment.analogsignals[0].segment is not synthetic
