"""Spike times whose unit is stated wrongly are told, and honest recordings are not accused."""

import warnings
from datetime import UTC, datetime

import neo
import numpy as np
import pytest
import spikeinterface.core as sc
from pynwb import NWBHDF5IO, NWBFile

from spikeinterface_gen import SpikeCounts, load_dataset

DURATION_S, FREQUENCY = 60.0, 30000.0

# What was done to times in s, the rate that 5 Hz becomes, and what the warning has to suspect.
MISTAKES = [
    (1e3, 0.005, r"times in ms that are taken for s, a factor of 1000, which would make it 5\.\d* Hz"),
    (FREQUENCY, 5 / 30000, r"times in samples at 30000 Hz that are taken for s, a factor of 30000, .* 5\.\d* Hz"),
    (1e-3, 5000.0, r"times in s that are taken for ms, a factor of 1000, which would make it 5\.\d* Hz"),
    (1e6, 5e-6, r"times in µs that are taken for s, a factor of 1e\+06"),
]


def times_s(rate_hz: float = 5.0, duration_s: float = DURATION_S) -> list[np.ndarray]:
    """Three units, one of them silent."""
    rng = np.random.default_rng(0)
    number = round(rate_hz * duration_s * 1.01)
    return [np.sort(rng.uniform(0, duration_s, number)), np.empty(0), np.sort(rng.uniform(0, duration_s, number))]


def from_neo(trains, stop_s):
    trains = [neo.SpikeTrain(times, units="s", t_stop=stop_s) for times in trains]
    return SpikeCounts.from_neo(trains, stop_s * 100)


def from_sorting(trains, stop_s):
    parts = [times for times in trains if len(times)]
    labels = np.repeat(np.arange(len(parts)), [len(times) for times in parts])
    sorting = sc.NumpySorting.from_times_and_labels([np.concatenate(parts)], [labels], FREQUENCY)
    return SpikeCounts.from_sorting(sorting, stop_s * 100, durations_s=[stop_s])


def from_nwb(trains, stop_s, path):
    file = NWBFile("a session", "id-1", datetime(2026, 1, 2, tzinfo=UTC))
    for times in trains:
        file.add_unit(spike_times=times + 3600.0, obs_intervals=[[3600.0, 3600.0 + stop_s]])
    with NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return SpikeCounts.from_nwb(path, stop_s * 10, window_s=stop_s / 2)


def read(kind, trains, stop_s, folder):
    if kind == "nwb":
        return from_nwb(trains, stop_s, folder / "session.nwb")
    return {"neo": from_neo, "sorting": from_sorting}[kind](trains, stop_s)


@pytest.mark.parametrize("kind", ["neo", "sorting", "nwb"])
@pytest.mark.parametrize(("factor", "rate_hz", "suspected"), MISTAKES)
def test_wrong_units_are_told_with_their_factor(kind, factor, rate_hz, suspected, tmp_path):
    remedy = {"neo": "units='ms'", "sorting": "from_times_and_labels", "nwb": r"correct spike_times .*session\.nwb"}
    with pytest.warns(UserWarning, match=rf"{suspected}.*{remedy[kind]}") as warned:
        read(kind, [times * factor for times in times_s()], DURATION_S * factor, tmp_path)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    found_hz = float(str(warned[0].message).split(" is ")[1].split(" Hz")[0])
    assert found_hz == pytest.approx(rate_hz, rel=0.05)


def test_a_right_duration_does_not_hide_times_of_another_unit():
    with pytest.warns(UserWarning, match="times in s that are taken for ms"):
        SpikeCounts.from_neo([neo.SpikeTrain(times_s()[0], units="ms", t_stop=1000 * DURATION_S)], 10.0, window_s=1.0)


@pytest.mark.parametrize("kind", ["neo", "sorting", "nwb"])
@pytest.mark.parametrize(("rate_hz", "duration_s"), [(0.02, 3600.0), (5.0, 60.0), (300.0, 2.0), (500.0, 0.2)])
def test_honest_recordings_are_not_accused(kind, rate_hz, duration_s, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(kind, times_s(rate_hz, duration_s), duration_s, tmp_path)


def test_few_spikes_and_short_trials_say_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Nine spikes in a day; one spike a trial, always 1 ms after its start; three spikes in a millisecond.
        from_neo([np.linspace(1.0, 86399.0, 9)], 86400.0)
        SpikeCounts.from_neo([[neo.SpikeTrain([1.0], units="ms", t_stop=500.0)] for _ in range(30)], 10.0)
        SpikeCounts.from_neo([neo.SpikeTrain([0.1, 0.5, 0.9], units="ms", t_stop=1.0)], 1.0)
        # Silent for hours, and then active.
        from_neo([np.linspace(7200.0, 7260.0, 60)], 7260.0)


def test_times_that_were_drawn_for_counts_are_not_judged():
    counts = SpikeCounts(np.full((2, 40, 3), 5, np.uint8), 1.0)  # 5000 Hz
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SpikeCounts.from_neo(counts.to_neo(), 1.0)
        SpikeCounts.from_sorting(counts.to_sorting(), 1.0)


def test_a_real_session_is_not_accused():
    block = load_dataset("steinmetz2019")[:20].to_neo()
    del block.annotations["spike_times_placed"]
    for segment in block.segments:
        del segment.annotations["spike_times_placed"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SpikeCounts.from_neo(block, 10.0)
