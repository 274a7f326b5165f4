"""Probe, templates, amplitudes and noise against what was asked for."""

import numpy as np
import pytest
from probeinterface import Probe, generate_linear_probe
from scipy import signal, stats
from threadpoolctl import threadpool_limits

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.observation.spike_times import place_spikes
from spikeinterface_gen.rendering.amplitudes import spike_amplitudes
from spikeinterface_gen.rendering.noise import Noise
from spikeinterface_gen.rendering.noise_model import BLOCK_FRAMES, parametric_noise
from spikeinterface_gen.rendering.parameters import RenderingParameters
from spikeinterface_gen.rendering.probes import contact_positions_um, default_probe, place_units
from spikeinterface_gen.rendering.renderer import Renderer
from spikeinterface_gen.rendering.spatial_model import make_templates
from spikeinterface_gen.rendering.templates import Templates

FREQUENCY = 30000.0


def silent(num_units: int, **properties: object) -> SpikeCounts:
    return SpikeCounts(np.zeros((1, 1, num_units), dtype=int), 10.0, unit_properties=properties)


def noise_uv(num_frames: int, contacts_um: np.ndarray, **changes: object) -> np.ndarray:
    parameters = RenderingParameters(gain_uv_per_bit=1.0, **changes)
    model = parametric_noise(contacts_um, FREQUENCY, parameters)
    return Noise(model, 1.0, parameters.noise_mode, seed=1).traces(0, num_frames)


def renderer_of(
    frames: np.ndarray,
    units: np.ndarray,
    amplitudes: np.ndarray,
    templates: Templates,
    contacts_um: np.ndarray,
    parameters: RenderingParameters,
) -> Renderer:
    model = parametric_noise(contacts_um[templates.order], FREQUENCY, parameters)
    noise = Noise(model, parameters.gain_uv_per_bit, parameters.noise_mode, seed=0)
    return Renderer(frames, units, amplitudes, templates, noise, FREQUENCY, parameters)


# ---- noise -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["fresh", "tiled"])
@pytest.mark.parametrize("spectrum", ["cortex", "white"])
def test_noise_has_the_level_and_the_covariance_asked_for(mode, spectrum):
    contacts_um = contact_positions_um(default_probe(8))
    traces = noise_uv(600000, contacts_um, noise_level_uv=7.0, noise_mode=mode, noise_spectrum=spectrum)
    assert np.allclose(traces.std(axis=0), 7.0, rtol=0.03)
    assert np.all(np.abs(stats.kurtosis(traces, axis=0)) < 0.15)
    distance_um = np.linalg.norm(contacts_um[:, None] - contacts_um[None], axis=2)
    expected = np.where(distance_um == 0, 1.0, 0.5 * np.exp(-distance_um / 80.0))
    assert np.abs(np.corrcoef(traces.T) - expected).max() < (0.03 if mode == "fresh" else 0.1)


def test_noise_has_the_spectrum_of_an_action_potential_band():
    contacts_um = np.zeros((1, 2))
    for spectrum, low_share in (("cortex", 0.05), ("white", 1.0)):
        trace = noise_uv(900000, contacts_um, noise_spectrum=spectrum)[:, 0]
        f, power = signal.welch(trace, FREQUENCY, nperseg=4096)
        mid = power[(f > 500) & (f < 1500)].mean()
        high = power[(f > 4000) & (f < 6000)].mean()
        assert power[(f > 20) & (f < 100)].mean() / mid == pytest.approx(low_share, abs=0.05)
        assert mid / high == pytest.approx(2.1 if spectrum == "cortex" else 1.0, rel=0.15)


def test_noise_is_stationary_across_its_blocks():
    contacts_um = np.array([[0.0, 0.0], [0.0, 500.0]])
    hop = BLOCK_FRAMES - 160
    blocks = noise_uv(hop * 200, contacts_um).reshape(200, hop, 2)
    power = (blocks**2).mean(axis=(0, 2)) / (blocks**2).mean()
    # Faded frames (the first 160) against the others, and no jump at the border.
    assert power[:160].mean() == pytest.approx(1.0, abs=0.05)
    step = np.abs(np.diff(blocks.reshape(-1, 2), axis=0)).reshape(-1, 2)
    at_border = step[hop - 1 :: hop].mean()
    assert at_border == pytest.approx(step.mean(), rel=0.15)
    # Different blocks and seeds have nothing in common.
    assert abs(np.corrcoef(blocks[0, :, 0], blocks[1, :, 0])[0, 1]) < 0.1


def test_noise_is_the_same_bits_for_any_number_of_threads():
    contacts_um = contact_positions_um(default_probe(200))
    results = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            results.append(noise_uv(9000, contacts_um))
    assert np.array_equal(*results)


# ---- templates -------------------------------------------------------------------------------


def test_templates_have_their_trough_and_amplitude_on_the_nearest_channel_and_fade_with_distance():
    parameters = RenderingParameters()
    contacts_um = contact_positions_um(default_probe(60))
    locations_um = place_units(silent(60), contacts_um, seed=3)
    templates = make_templates(locations_um, contacts_um, FREQUENCY, parameters, seed=3)
    waveforms = templates.dense_uv()
    distance_um = np.linalg.norm(
        np.append(contacts_um, np.zeros((len(contacts_um), 1)), axis=1)[None] - locations_um[:, None], axis=2
    )
    for waveform, distance in zip(waveforms, distance_um, strict=True):
        best = int(distance.argmin())
        assert waveform[:, best].argmin() == templates.num_before
        assert -300.001 <= waveform[:, best].min() <= -39.999
        size = np.abs(waveform).max(axis=0)[np.argsort(distance)]
        assert np.all(np.diff(size) < 0.02 * size[0])
        assert np.all(waveform[:, distance > parameters.amplitude_reach_um] == 0)
        assert np.all(np.abs(waveform[[0, -1]]) < 0.01 * size[0])
    amplitudes = -waveforms.min(axis=(1, 2))
    assert 75 < np.median(amplitudes) < 110
    # A channel 80 µm further away sees the spike about 0.16 ms later.
    on = (distance_um - distance_um.min(axis=1, keepdims=True) > 70) & (distance_um < 120)
    delay_ms = (waveforms.argmin(axis=1) - templates.num_before)[on] / 30.0
    assert 0.1 < np.median(delay_ms) < 0.3


def test_a_unit_keeps_its_waveform_whatever_the_number_of_units():
    contacts_um = contact_positions_um(default_probe(60))
    few, many = (
        make_templates(
            place_units(silent(n), contacts_um, seed=3), contacts_um, FREQUENCY, RenderingParameters(), seed=3
        ).dense_uv()
        for n in (5, 60)
    )
    assert np.array_equal(few, many[:5])


def test_templates_keep_their_shape_at_another_sampling_frequency():
    contacts_um = contact_positions_um(default_probe(3))
    locations_um = place_units(silent(3), contacts_um, seed=0)
    coarse, fine = (
        make_templates(locations_um, contacts_um, frequency, RenderingParameters(), seed=0).dense_uv()
        for frequency in (10000.0, 30000.0)
    )
    assert np.allclose(coarse, fine[:, ::3], atol=1e-3)


def test_a_lone_spike_is_its_scaled_template_and_nothing_else():
    rng = np.random.default_rng(0)
    contacts_um = contact_positions_um(default_probe(10))[rng.permutation(32)]
    parameters = RenderingParameters(noise_level_uv=0.0, gain_uv_per_bit=0.5, offset_uv=20.0)
    templates = make_templates(place_units(silent(10), contacts_um, 1), contacts_um, FREQUENCY, parameters, 1)
    frames, units = np.array([500, 1500]), np.array([3, 7])
    amplitudes = np.array([0.8, 1.1], dtype=np.float32)
    renderer = renderer_of(frames, units, amplitudes, templates, contacts_um, parameters)
    traces_uv = renderer.traces(0, 2000) * 0.5 + 20.0
    expected = np.zeros_like(traces_uv)
    for frame, unit, amplitude in zip(frames, units, amplitudes, strict=True):
        waveform = templates.dense_uv()[unit]
        begin = frame - templates.num_before
        expected[begin : begin + len(waveform)] += amplitude * waveform
    assert np.abs(traces_uv - expected).max() <= 0.2501
    # Any slice, also one that cuts through a waveform, and any channels.
    for start, stop in ((0, 1), (480, 505), (505, 1501), (1999, 2000), (7, 7)):
        assert np.array_equal(renderer.traces(start, stop), renderer.traces(0, 2000)[start:stop])
    assert np.array_equal(renderer.traces(3, 900, np.array([7, 2])), renderer.traces(0, 2000)[3:900, [7, 2]])


def test_values_beyond_int16_are_cut():
    contacts_um = contact_positions_um(default_probe(1))
    parameters = RenderingParameters(gain_uv_per_bit=1e-3)
    templates = make_templates(place_units(silent(1), contacts_um, 1), contacts_um, FREQUENCY, parameters, 1)
    renderer = renderer_of(np.array([50]), np.array([0]), np.ones(1, "f4"), templates, contacts_um, parameters)
    assert renderer.traces(0, 100).min() == -32768


# ---- amplitudes ------------------------------------------------------------------------------


def test_amplitudes_vary_and_fall_within_bursts():
    array = np.zeros((40, 100, 2), dtype=int)
    array[:, ::10, 0] = 1  # every 100 ms
    array[:, ::10, 1] = 4  # bursts of four within 10 ms
    placed = place_spikes(SpikeCounts(array, 10.0), seed=0)
    parameters = RenderingParameters(amplitude_variation=0.1, burst_attenuation=0.3, burst_recovery_ms=10.0)
    amplitudes = spike_amplitudes(placed, parameters, seed=0)
    single, bursting = amplitudes[placed.unit == 0], amplitudes[placed.unit == 1]
    assert single.mean() == pytest.approx(1.0, abs=0.02)
    assert single.std() == pytest.approx(0.1, rel=0.15)
    by_position = bursting.reshape(-1, 4).mean(axis=0)
    assert by_position[0] == pytest.approx(1.0, abs=0.02)
    assert np.all(np.diff(by_position) < 0)
    assert by_position[3] > 0.7
    first = spike_amplitudes(place_spikes(SpikeCounts(array[:7], 10.0), seed=0), parameters, seed=0)
    assert np.array_equal(first, amplitudes[placed.trial < 7])


# ---- probes and places -----------------------------------------------------------------------


@pytest.mark.parametrize(("num_units", "num_channels"), [(1, 32), (48, 64), (100, 128), (384, 384), (700, 704)])
def test_the_default_probe_grows_with_the_units(num_units, num_channels):
    probe = default_probe(num_units)
    assert probe.get_contact_count() == num_channels
    assert probe.get_shank_count() == (1 if num_channels <= 384 else 2)
    assert np.all(np.diff(probe.contact_positions[: num_channels // 2, 1]) > 0)


def test_channels_follow_the_wiring_and_the_unit_of_length_of_a_probe():
    probe = Probe(ndim=2, si_units="mm")
    probe.set_contacts(np.array([[0, 0.0], [0, 0.02], [0, 0.04]]), shapes="circle", shape_params={"radius": 0.005})
    probe.set_device_channel_indices([2, -1, 0])
    with pytest.raises(ValueError, match="device_channel_indices"):
        contact_positions_um(probe)
    probe.set_device_channel_indices([1, -1, 0])
    assert np.allclose(contact_positions_um(probe), [[0, 40], [0, 0]])


def test_units_lie_where_their_depth_or_area_says():
    contacts_um = contact_positions_um(generate_linear_probe(64, ypitch=20))
    areas = np.repeat(["b", "a"], [30, 10])
    y = place_units(silent(40, area=areas), contacts_um, 0)[:, 1]
    assert y[areas == "b"].max() < y[areas == "a"].min()
    depth = np.array([100.0, np.nan, 700.0])
    y = place_units(silent(3, depth_um=depth), contacts_um, 0)[:, 1]
    assert y[[0, 2]].tolist() == [100.0, 700.0]
    beyond = place_units(silent(3, depth_um=np.array([3000.0, 3500.0, 4000.0])), contacts_um, 0)[:, 1]
    assert beyond.tolist() == [0.0, 630.0, 1260.0]
    # Whose depth is unknown lies among those of its area.
    areas, depth = np.repeat(["a", "b"], 20), np.full(40, np.nan)
    depth[[0, 1, 20]] = 900.0, 1100.0, 200.0
    y = place_units(silent(40, area=areas, depth_um=depth), contacts_um, 0)[:, 1]
    assert np.all((y[:20] >= 900.0) & (y[:20] <= 1100.0))
    assert np.all((y[20:] >= 150.0) & (y[20:] <= 250.0))


# ---- parameters ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"noise_level_uv": -1.0}, ValueError, "noise_level_uv.*at least 0"),
        ({"noise_level_uv": float("nan")}, ValueError, "noise_level_uv"),
        ({"noise_level_uv": "loud"}, TypeError, "noise_level_uv must be a number"),
        ({"gain_uv_per_bit": 0.0}, ValueError, "gain_uv_per_bit.*above 0"),
        ({"noise_shared": 1.5}, ValueError, "noise_shared"),
        ({"noise_mode": "loop"}, ValueError, "noise_mode"),
        ({"amplitude_min_uv": 400.0}, ValueError, "amplitude_min_uv"),
        ({"amplitude_reach_um": 10.0}, ValueError, "amplitude_reach_um"),
        ({"noise_level": 5.0}, TypeError, "'noise_level' is not a rendering parameter"),
    ],
)
def test_wrong_parameters_are_named(changes, error, match):
    with pytest.raises(error, match=match):
        RenderingParameters.from_keywords(changes)
