"""Spike times from counts: exact counts, refractory periods, and the right distributions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.frames import bin_edge_frames, count_spikes
from spikeinterface_gen.observation.spike_times import PlacedSpikes, place_spikes


def counted(placed: PlacedSpikes, counts: SpikeCounts) -> np.ndarray:
    edges = bin_edge_frames(counts.max_bins, counts.bin_size_ms, placed.sampling_frequency)
    return count_spikes(
        placed.trial,
        placed.unit,
        placed.frame,
        edges,
        num_trials=counts.num_trials,
        num_units=counts.num_units,
    )


def session_intervals(placed: PlacedSpikes) -> tuple[np.ndarray, np.ndarray]:
    """Interval in frames before each spike but the first of its unit, and its unit."""
    order = np.lexsort((placed.session_frame, placed.unit))
    unit = placed.unit[order]
    same = unit[1:] == unit[:-1]
    return np.diff(placed.session_frame[order])[same], unit[1:][same]


def refractory_frames(placed: PlacedSpikes) -> np.ndarray:
    return np.ceil(placed.refractory_period_ms * placed.sampling_frequency / 1000.0 - 1e-9).astype(int)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    rate=st.sampled_from([0.02, 0.3, 1.0, 3.0]),
    sampling_frequency=st.sampled_from([30000.0, 7572.0, 24414.0625]),
    gap_s=st.sampled_from([0.0, 0.0007, 0.1]),
    with_histogram=st.booleans(),
)
def test_counts_are_kept_and_only_forced_intervals_are_short(seed, rate, sampling_frequency, gap_s, with_histogram):
    rng = np.random.default_rng(seed)
    array = np.minimum(rng.poisson(rate, (4, 12, 3)), 7)
    num_bins = rng.integers(1, 13, 4)
    array[np.arange(12) >= num_bins[:, None]] = 0
    properties = {"refractory_period_ms": np.array([1.0, np.nan, 3.0])}
    if with_histogram:
        properties["short_interval_counts"] = rng.poisson(20, (3, 20))
    counts = SpikeCounts(array, 10.0, num_bins=num_bins, unit_properties=properties)
    placed = place_spikes(counts, sampling_frequency=sampling_frequency, seed=seed, gap_s=gap_s)
    assert np.array_equal(counted(placed, counts), counts.counts)
    assert np.array_equal(placed.refractory_period_ms, [1.0, 1.5, 3.0])
    intervals, unit = session_intervals(placed)
    assert np.all(intervals >= 1)
    short = intervals < refractory_frames(placed)[unit]
    assert np.array_equal(np.bincount(unit[short], minlength=3), placed.forced_violations)
    assert np.all(np.diff(placed.session_frame) >= 0)


def test_nothing_is_forced_where_the_counts_leave_room():
    # Seven spikes 1.5 ms apart need 9 ms of the 10 ms bin; a full bin beside two empty ones is no problem.
    array = np.zeros((30, 30, 4), dtype=int)
    array[:, ::3] = 7
    placed = place_spikes(SpikeCounts(array, 10.0), seed=1)
    assert placed.forced_violations.sum() == 0
    assert session_intervals(placed)[0].min() >= 45


def test_seven_in_a_bin_of_four_ms_give_up_the_fewest_intervals_and_only_there():
    array = np.zeros((1, 100, 2), dtype=int)
    array[0, 10, 0] = 7
    array[0, 50:, :] = 1
    placed = place_spikes(SpikeCounts(array, 4.0), seed=1)
    # 120 frames hold two intervals of 45 frames; the other four share the 29 frames that are left.
    assert placed.forced_violations.tolist() == [4, 0]
    intervals = np.diff(placed.frame[(placed.unit == 0) & (placed.frame < 44 * 30)])
    assert np.sum(intervals >= 45) == 2
    assert intervals.sum() < 120


def fewest_violations(counts, refractory, edges):
    """By trying all: least number of short intervals of one unit in one trial, with at most 12 frames in all."""
    bins = np.repeat(np.arange(len(counts)), counts)
    best = len(bins)
    for frames in itertools.combinations(range(int(edges[-1])), len(bins)):
        if np.array_equal(np.searchsorted(edges, frames, side="right") - 1, bins):
            best = min(best, int(np.sum(np.diff(frames) < refractory)))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_no_placement_has_fewer_short_intervals(seed):
    # Bins of 4 ms at 1 kHz have 4 frames; a refractory period of 3 ms has 3.
    rng = np.random.default_rng(seed)
    array = rng.integers(0, 4, (25, 3, 1))
    properties = {"refractory_period_ms": np.array([3.0])}
    counts = SpikeCounts(array, 4.0, unit_properties=properties)
    placed = place_spikes(counts, sampling_frequency=1000.0, seed=seed, gap_s=1.0)
    fewest = sum(fewest_violations(trial[:, 0], 3, np.arange(0, 13, 4)) for trial in array)
    assert placed.forced_violations.tolist() == [fewest]


@pytest.mark.parametrize("seed", range(30))
def test_a_trial_leaves_room_to_the_next(seed):
    # Two trials of two bins of 3 frames each, end to end: for the fewest short intervals they are one of four bins.
    array = np.random.default_rng(seed).integers(0, 4, (2, 2, 1))
    counts = SpikeCounts(array, 3.0, unit_properties={"refractory_period_ms": np.array([2.0])})
    placed = place_spikes(counts, sampling_frequency=1000.0, seed=seed)
    assert np.array_equal(counted(placed, counts), counts.counts)
    assert placed.forced_violations.tolist() == [fewest_violations(array.reshape(4), 2, np.arange(0, 13, 3))]


@pytest.mark.parametrize("gap_s", [0.0, 0.001])
def test_trials_do_not_depend_on_those_after_them(gap_s):
    counts = SpikeCounts(np.random.default_rng(0).poisson(0.6, (12, 6, 8)), 5.0)
    whole = place_spikes(counts, seed=4, gap_s=gap_s)
    part = place_spikes(counts[:5], seed=4, gap_s=gap_s)
    assert np.array_equal(whole.frame[whole.trial < 5], part.frame)
    assert not np.array_equal(place_spikes(counts[:5], seed=5, gap_s=gap_s).frame, part.frame)


def test_two_neighbours_follow_the_exact_conditional_distribution():
    # One spike in each of two bins of 10 ms, at least 6 ms apart: uniform on what is left of the square.
    counts = SpikeCounts(
        np.ones((1, 2, 3000), dtype=int), 10.0, unit_properties={"refractory_period_ms": np.full(3000, 6.0)}
    )
    placed = place_spikes(counts, seed=0)
    order = np.lexsort((placed.frame, placed.unit))
    first, second = (placed.frame[order].reshape(-1, 2) / 300.0).T
    rng = np.random.default_rng(0)
    truth = rng.random((40000, 2)) + np.arange(2)
    truth = truth[truth[:, 1] - truth[:, 0] >= 0.6]
    for mine, right, wrong in (
        (first, truth[:, 0], rng.random(3000)),
        (second - first, truth[:, 1] - truth[:, 0], None),
    ):
        assert stats.ks_2samp(mine, right).pvalue > 0.01
        if wrong is not None:
            assert stats.ks_2samp(mine, wrong).pvalue < 1e-3


def test_times_are_uniform_within_a_bin():
    counts = SpikeCounts(np.random.default_rng(0).poisson(0.02, (20, 100, 200)), 10.0)
    placed = place_spikes(counts, seed=2)
    within = (placed.frame % 300 + 0.5) / 300.0
    statistic, p = stats.kstest(within, "uniform")
    assert p > 0.01
    assert statistic < 0.02


def test_cross_correlogram_of_independent_units_is_flat_at_zero_lag():
    counts = SpikeCounts(np.random.default_rng(1).poisson(0.3, (1, 60000, 2)), 10.0)
    placed = place_spikes(counts, seed=3)
    a, b = (placed.session_frame[placed.unit == k] for k in (0, 1))
    edges = np.arange(-105, 106, 30)
    near = np.searchsorted(b, a)
    lags = np.concatenate([b[np.clip(near + k, 0, len(b) - 1)] - a for k in range(-4, 4)])
    correlogram = np.histogram(lags, edges)[0]
    expected = len(a) * len(b) * 30 / placed.trial_frames[0]
    # Seven bins of 1 ms around 0, each within 4 standard deviations; a dip of a tenth would be 5.
    assert np.all(np.abs(correlogram - expected) < 4 * np.sqrt(expected))


def test_short_intervals_follow_the_source():
    rng = np.random.default_rng(5)
    # Bursts: intervals of 2.5 to 4.5 ms with probability 0.6, else long ones.
    short = rng.random(40000) < 0.6
    intervals_ms = np.where(short, rng.normal(3.5, 0.4, 40000).clip(2.0, 6.0), rng.exponential(60.0, 40000) + 2.0)
    times_ms = np.cumsum(intervals_ms)
    edges_ms = np.arange(21) * 0.5
    source = np.histogram(intervals_ms, edges_ms)[0]
    num_bins = int(times_ms[-1] // 20) + 1
    array = np.bincount((times_ms // 20).astype(int), minlength=num_bins)[None, :, None]
    difference = {}
    for known in (True, False):
        properties = {"refractory_period_ms": [2.0]}
        if known:
            properties["short_interval_counts"] = source[None]
        placed = place_spikes(SpikeCounts(array, 20.0, unit_properties=properties), seed=1)
        drawn = np.histogram(session_intervals(placed)[0] / 30.0, edges_ms)[0]
        difference[known] = np.abs(drawn - source).sum() / source.sum()
    assert difference[True] < 0.12
    assert difference[False] > 0.5


def test_silence_and_the_fullest_possible_bins():
    silent = place_spikes(SpikeCounts(np.zeros((2, 3, 4), dtype=int), 10.0))
    assert len(silent) == 0
    assert silent.forced_violations.tolist() == [0, 0, 0, 0]
    full = place_spikes(SpikeCounts(np.full((2, 3, 1), 10), 10.0), sampling_frequency=1000.0)
    assert np.array_equal(full.session_frame, np.arange(60))


def test_errors_name_the_cause():
    counts = SpikeCounts(np.full((1, 2, 1), 9), 1.0)
    with pytest.raises(ValueError, match=r"9 spikes in a bin of 7 frames.*sampling_frequency"):
        place_spikes(counts, sampling_frequency=7572.0)
    with pytest.raises(ValueError, match="gap_s"):
        place_spikes(counts, gap_s=-1.0)
    with pytest.raises(ValueError, match="refractory_period_ms"):
        place_spikes(SpikeCounts(counts.counts, 1.0, unit_properties={"refractory_period_ms": [-1.0]}))
    with pytest.raises(ValueError, match="short_interval_counts"):
        place_spikes(SpikeCounts(counts.counts, 1.0, unit_properties={"short_interval_counts": np.ones((1, 5))}))
