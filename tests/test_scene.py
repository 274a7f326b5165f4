"""Templates, noise, motion and recordings that are given: what comes out is what was put in."""

import matplotlib
import numpy as np
import pytest
import spikeinterface.full as si
from probeinterface import generate_linear_probe
from spikeinterface.core import Motion, NumpyRecording, Templates
from spikeinterface.core.testing import check_recordings_equal

from spikeinterface_gen import GenerativeRecordingExtractor, SpikeCounts, generate_from_counts
from spikeinterface_gen.rendering.given_templates import GivenTemplates, drifting
from spikeinterface_gen.rendering.motion import UnitMotion, draw_motion
from spikeinterface_gen.rendering.noise import Noise
from spikeinterface_gen.rendering.noise_model import measured_noise, parametric_noise
from spikeinterface_gen.rendering.parameters import RenderingParameters
from spikeinterface_gen.rendering.probes import contact_positions_um, default_probe
from spikeinterface_gen.rendering.spatial_model import make_templates
from spikeinterface_gen.session import Session, SessionError

FREQUENCY = 30000.0


@pytest.fixture(scope="module", autouse=True)
def one_quiet_job():
    before = si.get_global_job_kwargs()
    si.set_global_job_kwargs(n_jobs=1, progress_bar=False)
    yield
    si.set_global_job_kwargs(**before)


def poisson(num_trials: int, num_bins: int, num_units: int, mean: float, seed: int = 0) -> SpikeCounts:
    return SpikeCounts(np.random.default_rng(seed).poisson(mean, (num_trials, num_bins, num_units)), 10.0)


# ---- templates -------------------------------------------------------------------------------


def test_the_users_templates_are_rendered_unchanged_and_follow_their_ids(tmp_path):
    rng = np.random.default_rng(0)
    probe = generate_linear_probe(8, ypitch=25)
    probe.set_device_channel_indices(np.arange(8)[::-1])
    waveforms = (rng.normal(size=(3, 40, 8)) * 60).astype(np.float32)
    templates = Templates(waveforms, FREQUENCY, 13, unit_ids=np.array(["c", "a", "b"]), probe=probe)
    array = np.zeros((1, 10, 2), dtype=int)
    array[0, 3, 0] = array[0, 7, 1] = 1
    counts = SpikeCounts(array, 10.0, unit_ids=["a", "c"])
    quiet = {"noise_level_uv": 0.0, "amplitude_variation": 0.0, "gain_uv_per_bit": 0.1}
    recording = generate_from_counts(counts, seed=0, folder=tmp_path / "a", templates=templates, **quiet)
    traces = recording.get_traces(return_in_uV=True)
    expected = np.zeros_like(traces)
    for unit_id, waveform in (("a", waveforms[1]), ("c", waveforms[0])):
        frame = int(recording.sorting.get_unit_spike_train(unit_id)[0])
        expected[frame - 13 : frame + 27] += waveform
    assert np.abs(traces - expected).max() <= 0.0501
    # Channels of templates are the contacts of their probe, one after the other, whatever its wiring.
    assert np.array_equal(recording.get_channel_locations(), probe.contact_positions)


def test_an_analyzer_gives_its_templates_probe_and_noise(tmp_path):
    source = generate_from_counts(poisson(1, 500, 4, 0.1), seed=3, folder=tmp_path / "source")
    analyzer = si.create_sorting_analyzer(source.sorting, source, format="memory", sparse=False)
    with pytest.raises(ValueError, match="has no templates"):
        generate_from_counts(poisson(2, 40, 4, 0.1), seed=1, folder=tmp_path / "a", templates=analyzer)
    analyzer.compute(["random_spikes", "templates"])
    recording = generate_from_counts(poisson(2, 40, 4, 0.1), seed=1, folder=tmp_path / "a", templates=analyzer)
    session = Session(tmp_path / "a")
    given = analyzer.get_extension("templates").get_data()
    assert np.array_equal(session.templates.dense_uv(), given)
    assert np.array_equal(recording.get_channel_locations(), source.get_channel_locations())
    near = np.linalg.norm(session.unit_locations_um - source._session.unit_locations_um, axis=1)
    assert np.median(near) < 40
    # The noise behind it is 8 µV, half of it shared.
    assert np.allclose(session.scene.noise.levels_uv, 8.0, rtol=0.08)
    with pytest.raises(TypeError, match=r"noise_level_uv.*does not apply"):
        GenerativeRecordingExtractor(tmp_path / "a", noise_level_uv=3.0)
    with pytest.raises(TypeError, match="noise_level_uv does not apply"):
        generate_from_counts(poisson(2, 40, 4, 0.1), folder=tmp_path / "b", templates=analyzer, noise_level_uv=3.0)
    check_recordings_equal(recording, si.load(recording.to_dict()))


def test_spikeinterfaces_own_generator_makes_templates_too(tmp_path):
    from spikeinterface.core.generate import generate_templates

    recording = generate_from_counts(poisson(1, 50, 5, 0.1), seed=4, folder=tmp_path / "a", templates="spikeinterface")
    session = recording._session
    expected = generate_templates(
        recording.get_channel_locations(), session.unit_locations_um, FREQUENCY, ms_before=1.0, ms_after=3.0, seed=4
    )
    assert np.allclose(session.templates.dense_uv(), expected, atol=1e-3 * np.abs(expected).max())


def test_templates_are_arrays_on_disk_and_none_in_json(tmp_path):
    recording = generate_from_counts(poisson(1, 50, 30, 0.1), seed=4, folder=tmp_path / "a", motion="rigid")
    recording.dump_to_json(tmp_path / "recording.json")
    # The probe is in it, a contact a line.
    assert (tmp_path / "recording.json").stat().st_size < 1000 * recording.get_num_channels()
    assert (tmp_path / "a" / "session.json").stat().st_size < 5000
    assert np.load(tmp_path / "a" / "waveforms.npy").shape == recording._session.templates.waveforms_uv.shape


@pytest.mark.parametrize(
    ("templates", "options", "error", "match"),
    [
        (Templates(np.ones((2, 9, 32)), 20000.0, 3), {}, ValueError, "pass sampling_frequency=20000"),
        (Templates(np.ones((2, 9, 32)), FREQUENCY, 3), {}, ValueError, "without a probe"),
        (Templates(np.ones((2, 9, 32)), FREQUENCY, 3), {"probe": default_probe(64)}, ValueError, "32 channels.*64"),
        (Templates(np.ones((2, 9, 32)), FREQUENCY, 3), {"probe": default_probe(9)}, ValueError, "2 units.*unit_ids"),
        (
            Templates(np.ones((4, 9, 32)), FREQUENCY, 3, is_in_uV=False),
            {"probe": default_probe(9)},
            ValueError,
            "in µV",
        ),
        ("wavemap", {}, TypeError, "templates must be"),
        ("spikeinterface", {"amplitude_median_uv": 50.0}, TypeError, "amplitude_median_uv does not apply"),
        (None, {"motion": "wild"}, ValueError, "motion must be one of"),
        (None, {"motion": 3.0}, TypeError, "motion must be one of"),
        (None, {"noise_recording": "x"}, TypeError, "noise_recording must be a SpikeInterface recording; got str"),
        (None, {"probe": "x"}, TypeError, "probe must be a probeinterface.Probe; got str"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, templates, options, error, match):
    with pytest.raises(error, match=match):
        generate_from_counts(poisson(1, 9, 4, 0.1), folder=tmp_path / "a", templates=templates, **options)
    assert not (tmp_path / "a").exists()


def test_more_units_than_the_probe_can_hold_are_an_error(tmp_path):
    probe = generate_linear_probe(4)
    probe.set_device_channel_indices(np.arange(4))
    with pytest.raises(ValueError, match=r"33 units are more than a probe of 4 channels.*at least 5 channels"):
        generate_from_counts(poisson(1, 9, 33, 0.1), folder=tmp_path / "a", probe=probe)


# ---- noise -----------------------------------------------------------------------------------


def test_measured_noise_is_that_of_the_recording_and_is_imitated():
    contacts_um = contact_positions_um(default_probe(8))
    parameters = RenderingParameters()
    true = parametric_noise(contacts_um, FREQUENCY, parameters)
    levels = np.linspace(4.0, 20.0, 32)
    true = type(true)(levels, true.correlation, true.power)
    traces = Noise(true, 1.0, "fresh", seed=1).traces(0, 300000)
    # Spikes must not count as noise.
    traces[1000::3000, 5] -= 400.0
    recording = NumpyRecording([traces], FREQUENCY)
    measured = measured_noise(recording, seed=0)
    assert np.allclose(measured.levels_uv, levels, rtol=0.05)
    assert np.abs(measured.correlation - true.correlation).max() < 0.08
    smooth = np.convolve(measured.power, np.ones(50) / 50, mode="same")[50:1800]
    assert np.allclose(smooth, (true.power / true.power.mean())[50:1800], rtol=0.25, atol=0.05)
    again = Noise(measured, 1.0, "fresh", seed=2).traces(0, 300000)
    assert np.allclose(again.std(axis=0), levels, rtol=0.06)
    with pytest.raises(ValueError, match="at least 4096 frames"):
        measured_noise(NumpyRecording([traces[:100]], FREQUENCY), seed=0)


def test_noise_of_about_a_step_is_measured_too():
    levels = np.array([0.7, 1.0, 1.6, 2.4, 3.1, 0.0])
    rng = np.random.default_rng(0)
    for offset in (0.0, 0.5):
        traces = np.rint(rng.normal(size=(60000, 6)) * levels + offset).astype(np.int16)
        recording = NumpyRecording([traces], FREQUENCY)
        recording.set_channel_gains(4.0)
        recording.set_channel_offsets(0.0)
        measured = measured_noise(recording, seed=0)
        assert np.allclose(measured.levels_uv, 4.0 * levels, rtol=0.2)
        assert np.abs(measured.correlation - np.eye(6)).max() < 0.05


# ---- motion ----------------------------------------------------------------------------------


def test_drawn_motion_grows_as_a_random_walk_and_a_shorter_one_is_its_beginning():
    contacts_um = np.array([[0.0, 0.0], [0.0, 2000.0]])
    parameters = RenderingParameters(drift_um_per_hour=30.0, drift_nonrigid_share=0.4, drift_interval_s=60.0)
    ends, apart = [], []
    for seed in range(200):
        motion = draw_motion("nonrigid", 3600.0, contacts_um, parameters, seed)
        ends.append(motion.displacement[0][-1])
        apart.append(ends[-1][0] - ends[-1][-1])
    assert np.std(ends) == pytest.approx(30.0, rel=0.1)
    assert np.std(apart) == pytest.approx(30.0 * np.sqrt(2 * 0.4), rel=0.15)
    assert len(motion.spatial_bins_um) == 6
    short = draw_motion("nonrigid", 600.0, contacts_um, parameters, 199)
    assert np.array_equal(short.displacement[0], motion.displacement[0][: len(short.displacement[0])])
    assert draw_motion("rigid", 60.0, contacts_um, parameters, 0).displacement[0].shape == (2, 1)


def test_motion_at_a_time_and_place_is_that_of_spikeinterface():
    rng = np.random.default_rng(0)
    motion = Motion(rng.normal(size=(20, 3)), np.sort(rng.uniform(0, 60, 20)), np.array([0.0, 50.0, 300.0]))
    places = np.column_stack([np.zeros(40), rng.uniform(-50, 400, 40)])
    times, units = rng.uniform(-5, 65, 500), rng.integers(0, 40, 500)
    found = UnitMotion(motion, places).at(times, units)
    assert np.allclose(found, motion.get_displacement_at_time_and_depth(times, places[units, 1]), atol=1e-9)


def test_a_drifting_unit_is_rendered_where_it_is(tmp_path):
    motion = Motion(np.array([[0.0], [40.0]]), np.array([0.0, 2.0]), np.array([0.0]))
    array = np.zeros((1, 200, 1), dtype=int)
    array[0, ::20, 0] = 1
    quiet = {"noise_level_uv": 0.0, "amplitude_variation": 0.0, "gain_uv_per_bit": 0.05}
    recording = generate_from_counts(SpikeCounts(array, 10.0), seed=0, folder=tmp_path / "a", motion=motion, **quiet)
    session = recording._session
    traces = recording.get_traces(return_in_uV=True)
    before = session.templates.num_before
    for frame in recording.sorting.get_unit_spike_train(0):
        part = traces[frame - before : frame + 60]
        # The same unit at this very place; the templates are 4 µm apart and interpolated.
        drifted_um = 20.0 * frame / FREQUENCY
        truth = make_templates(
            session.unit_locations_um, contact_positions_um(session.probe), FREQUENCY, session.parameters, 0,
            np.array([drifted_um]),
        ).dense_uv()[0]  # fmt: skip
        assert np.abs(part - truth).max() < 0.02 * np.abs(truth).max() + 0.05
    for start, stop in ((0, 3000), (2999, 40000), (59990, 60000)):
        assert np.array_equal(recording.get_traces(0, start, stop, return_in_uV=True), traces[start:stop])


def test_given_templates_drift_as_the_field_around_a_cell_does():
    contacts_um = contact_positions_um(default_probe(64))
    middle = np.array([[10.0, y, 20.0] for y in (120.0, 150.0, 185.0)])
    grid = np.arange(-5, 6) * 4.0
    truth = make_templates(middle, contacts_um, FREQUENCY, RenderingParameters(), 3, grid)
    given = GivenTemplates(truth.dense_uv(), truth.num_before, middle, None, np.arange(3))
    moved = drifting(given, contacts_um, grid, axis=1)
    for d in grid:
        assert np.abs(moved.dense_uv(d) - truth.dense_uv(d)).max() < 0.06 * np.abs(truth.dense_uv(d)).max()
    assert np.array_equal(moved.dense_uv(0.0), truth.dense_uv(0.0))


def test_motion_comes_back_in_both_layouts(tmp_path):
    counts = poisson(4, 100, 6, 0.05)
    recording = generate_from_counts(
        counts, seed=2, folder=tmp_path / "a", motion="nonrigid", gap_s=0.5, drift_um_per_hour=500.0
    )
    trials = GenerativeRecordingExtractor(tmp_path / "a", layout="trials")
    assert recording.motion.num_segments == 1
    assert trials.motion.num_segments == trials.get_num_segments() == 4
    depth = np.array([100.0])
    for k in range(4):
        time = trials.get_start_time(segment_index=k) + np.array([0.37])
        assert trials.motion.get_displacement_at_time_and_depth(time, depth, k) == pytest.approx(
            recording.motion.get_displacement_at_time_and_depth(time, depth)
        )
    assert np.array_equal(
        trials.get_traces(2), recording.get_traces(0, *recording.trials[["start_frame", "stop_frame"]].loc[2])
    )
    assert generate_from_counts(counts, seed=2, folder=tmp_path / "b").motion is None
    matplotlib.use("Agg")
    assert si.plot_motion(recording.motion, backend="matplotlib") is not None


def test_correct_motion_finds_the_motion(tmp_path):
    time = np.arange(0.0, 25.0)
    motion = Motion(12.0 * np.sin(2 * np.pi * time / 24.0)[:, None], time, np.array([0.0]))
    recording = generate_from_counts(poisson(1, 2400, 30, 0.06), seed=1, folder=tmp_path / "a", motion=motion)
    corrected, info = si.correct_motion(recording, preset="dredge_fast", output_motion_info=True)
    assert corrected.get_num_samples() == recording.get_num_samples()
    bins = info["motion"].temporal_bins_s[0]
    found, true = (
        m.get_displacement_at_time_and_depth(bins, np.full(len(bins), 150.0)) for m in (info["motion"], motion)
    )
    slope, _ = np.polyfit(true, found, 1)
    assert np.corrcoef(true, found)[0, 1] > 0.97
    assert 0.8 < slope < 1.2


# ---- a recording behind the spikes -----------------------------------------------------------


@pytest.fixture
def parent(tmp_path):
    probe = default_probe(20)
    rng = np.random.default_rng(1)
    traces = (rng.normal(size=(30000, 32)) * 40 + 7).astype(np.int16)
    recording = NumpyRecording([traces], FREQUENCY, channel_ids=[f"AP{k}" for k in range(32)])
    recording.set_probe(probe)
    recording.set_channel_gains(np.linspace(0.2, 2.0, 32))
    recording.set_channel_offsets(0.0)
    return recording.save(folder=tmp_path / "parent", verbose=False)


def test_spikes_are_added_to_a_recording_and_nothing_else(parent, tmp_path):
    counts = poisson(1, 60, 3, 0.05)
    recording = generate_from_counts(
        counts, seed=0, folder=tmp_path / "a", parent_recording=parent, amplitude_variation=0.0, burst_attenuation=0.0
    )
    assert recording.channel_ids.tolist() == parent.channel_ids.tolist()
    assert np.array_equal(recording.get_channel_gains(), parent.get_channel_gains())
    assert recording.get_annotation("hybrid") is True
    own = parent.get_traces(0, 0, recording.get_num_samples()).astype(np.int64)
    added_uv = (recording.get_traces().astype(np.int64) - own) * parent.get_channel_gains()
    templates = recording._session.templates
    expected = np.zeros_like(added_uv)
    for unit in range(3):
        for frame in recording.sorting.get_unit_spike_train(unit):
            low, high = max(frame - templates.num_before, 0), min(frame - templates.num_before + 90, len(expected))
            shift = frame - templates.num_before
            expected[low:high] += templates.dense_uv()[unit][low - shift : high - shift]
    assert np.abs(added_uv - expected).max() < 1.01
    for load in (lambda: si.load(recording.to_dict()), lambda: GenerativeRecordingExtractor(tmp_path / "a")):
        check_recordings_equal(recording, load())
    saved = recording.save(folder=tmp_path / "saved", n_jobs=2, verbose=False)
    check_recordings_equal(recording, saved)


def test_a_parent_that_does_not_fit_is_an_error(parent, tmp_path):
    counts, target = poisson(1, 60, 3, 0.05), tmp_path / "a"
    in_memory = NumpyRecording([np.zeros((90000, 32), dtype=np.int16)], FREQUENCY)
    in_memory.set_channel_gains(1.0)
    in_memory.set_channel_offsets(0.0)
    twice = si.append_recordings([parent, parent])
    ungained = parent.clone()
    ungained.delete_property("gain_to_uV")
    for given, error, match in (
        (parent.get_traces(), TypeError, "must be a SpikeInterface recording"),
        (in_memory, ValueError, "in memory only.*save"),
        (twice, ValueError, "one segment; got 2"),
        (ungained, ValueError, "set_channel_gains"),
    ):
        with pytest.raises(error, match=match):
            generate_from_counts(counts, folder=target, parent_recording=given)
    with pytest.raises(ValueError, match=r"lasts 1\.0 s and the session 2\.0 s"):
        generate_from_counts(poisson(1, 200, 3, 0.05), folder=target, parent_recording=parent)
    with pytest.raises(ValueError, match="pass sampling_frequency=30000"):
        generate_from_counts(counts, folder=target, parent_recording=parent, sampling_frequency=20000.0)
    with pytest.raises(ValueError, match="32 channels and the probe 64"):
        generate_from_counts(counts, folder=target, parent_recording=parent, probe=default_probe(64))
    with pytest.raises(TypeError, match="noise_level_uv does not apply"):
        generate_from_counts(counts, folder=target, parent_recording=parent, noise_level_uv=3.0)
    assert not target.exists()


def test_a_parent_that_changed_or_is_gone_or_is_no_recording_is_noticed(parent, tmp_path):
    generate_from_counts(poisson(1, 60, 3, 0.05), seed=0, folder=tmp_path / "a", parent_recording=parent)
    raw = next((tmp_path / "parent").glob("*.raw"))
    data = raw.read_bytes()
    raw.write_bytes(bytes(len(data)))
    with pytest.raises(SessionError, match="the recording that its spikes are added to has changed"):
        GenerativeRecordingExtractor(tmp_path / "a")
    raw.unlink()
    with pytest.raises(SessionError, match=r"could not be loaded|has changed"):
        GenerativeRecordingExtractor(tmp_path / "a")


def test_a_session_builds_nothing_but_recordings_of_spikeinterface(parent):
    from spikeinterface_gen.rendering.parent import load_parent, parent_as_dict

    forged = parent_as_dict(parent)
    assert load_parent(forged).get_num_samples() == 30000
    with pytest.raises(ValueError, match=r"'subprocess\.Popen', which is no recording of SpikeInterface"):
        load_parent({**forged, "class": "subprocess.Popen", "module": "subprocess", "kwargs": {"args": ["true"]}})
    # A function of SpikeInterface that would load a pickle is none either.
    with pytest.raises(ValueError, match=r"'spikeinterface\.core\.loading\.load', which is no recording"):
        load_parent({**forged, "class": "spikeinterface.core.loading.load", "kwargs": {"x": "a.pickle"}})
