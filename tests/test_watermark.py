"""The keyed watermark: found again from times alone, and otherwise not there."""

import hashlib
import pickle

import neo
import numpy as np
import pytest
import quantities as pq
from scipy import stats
from spikeinterface.core import NumpySorting

from spikeinterface_gen import SpikeCounts, find_watermark, generate_from_counts
from spikeinterface_gen.frames import bin_edge_frames, count_spikes
from spikeinterface_gen.observation.spike_times import PlacedSpikes, place_spikes
from spikeinterface_gen.observation.watermark import key_bytes, keyed_places

KEY = "a key of these tests"


def population(seed: int, *, units: int = 12, trials: int = 40, rate: float = 0.12, bursts: bool = True) -> SpikeCounts:
    """Units between half and twice the rate, some with bursts on record, in trials of two lengths."""
    bins = 100
    rng = np.random.default_rng(seed)
    array = rng.poisson(rate * np.geomspace(0.5, 2.0, units), (trials, bins, units))
    num_bins = np.where(np.arange(trials) % 3, bins, bins // 2)
    array[np.arange(bins) >= num_bins[:, None]] = 0
    properties = {"refractory_period_ms": np.linspace(1.0, 4.0 if bursts else 1.0, units)}
    if bursts:
        properties["short_interval_counts"] = np.zeros((units, 20), dtype=int)
        properties["short_interval_counts"][::2, 6:12] = 50
    return SpikeCounts(array, 10.0, num_bins=num_bins, unit_properties=properties)


@pytest.fixture(scope="module")
def placed() -> tuple[PlacedSpikes, PlacedSpikes]:
    """The same counts placed with and without a key."""
    counts = population(0)
    return place_spikes(counts, seed=1, watermark_key=KEY), place_spikes(counts, seed=1)


def intervals(placed: PlacedSpikes, order: int = 1) -> np.ndarray:
    """Frames from each spike to the one ``order`` later of its unit and trial."""
    index = np.lexsort((placed.frame, placed.unit, placed.trial))
    train = (placed.trial * 1000 + placed.unit)[index]
    return (placed.frame[index][order:] - placed.frame[index][:-order])[train[order:] == train[:-order]]


def lags(placed: PlacedSpikes, reach: int) -> np.ndarray:
    """Frames between spikes of different units in a trial, up to ``reach``."""
    found = []
    for shift in range(1, 60):
        near = placed.session_frame[shift:] - placed.session_frame[:-shift]
        kept = (near <= reach) & (placed.unit[shift:] != placed.unit[:-shift])
        found.append((near * np.sign(placed.unit[shift:] - placed.unit[:-shift]))[kept])
    return np.concatenate(found)


def same_histogram(a: np.ndarray, b: np.ndarray, edges: np.ndarray) -> float:
    """p-value that both come from one distribution."""
    table = np.stack([np.histogram(values, edges)[0] for values in (a, b)])
    return stats.chi2_contingency(table[:, table.sum(axis=0) > 10]).pvalue


# ---- what place_spikes promises --------------------------------------------------------------


def test_without_a_key_nothing_has_changed():
    counts = SpikeCounts(np.random.Generator(np.random.PCG64(7)).poisson(0.3, (6, 40, 5)), 10.0)
    found = place_spikes(counts, seed=11)
    digest = hashlib.sha256(np.stack([found.trial, found.unit, found.frame]).astype("<i8").tobytes()).hexdigest()
    assert digest == "046886795637ecfec76a00f6533f6123d7616c3e70711cf5dbc825366bbe3883"


@pytest.mark.parametrize("sampling_frequency", [30000.0, 24414.0625])
@pytest.mark.parametrize(("rate", "gap_s"), [(0.05, 0.0), (0.3, 0.0007), (1.5, 0.1)])
def test_counts_and_refractory_periods_are_kept(rate, gap_s, sampling_frequency):
    counts = population(2, rate=rate)
    keyed = place_spikes(counts, seed=3, gap_s=gap_s, sampling_frequency=sampling_frequency, watermark_key=KEY)
    plain = place_spikes(counts, seed=3, gap_s=gap_s, sampling_frequency=sampling_frequency)
    edges = bin_edge_frames(counts.max_bins, counts.bin_size_ms, sampling_frequency)
    sizes = {"num_trials": counts.num_trials, "num_units": counts.num_units}
    assert np.array_equal(count_spikes(keyed.trial, keyed.unit, keyed.frame, edges, **sizes), counts.counts)
    # Violations that the counts force lie between spikes too close to be marked.
    assert np.array_equal(keyed.forced_violations, plain.forced_violations)
    order = np.lexsort((keyed.session_frame, keyed.unit))
    same = np.diff(keyed.unit[order]) == 0
    gaps = np.diff(keyed.session_frame[order])[same]
    needed = np.ceil(keyed.refractory_period_ms * sampling_frequency / 1000.0 - 1e-9)[keyed.unit[order][1:][same]]
    assert (gaps < needed).sum() == keyed.forced_violations.sum()
    assert gaps.min() >= 1
    assert np.all(np.diff(keyed.session_frame) >= 0)


def test_trials_do_not_depend_on_those_after_them():
    counts = population(4)
    whole, part = (place_spikes(c, seed=5, watermark_key=KEY) for c in (counts, counts[:9]))
    assert np.array_equal(whole.frame[whole.trial < 9], part.frame)


# ---- found again -----------------------------------------------------------------------------


def test_the_right_key_finds_it_and_others_do_not(placed):
    keyed, plain = placed
    assert find_watermark(keyed, KEY, bin_size_ms=10.0).p_value < 1e-100
    assert not find_watermark(plain, KEY, bin_size_ms=10.0).found
    assert not find_watermark(keyed, KEY + ".", bin_size_ms=10.0).found


def test_chance_agreement_is_as_rare_as_stated(placed):
    # Corrected for all that is tried, these are larger than uniform ones.
    p = [find_watermark(side, f"key {k}", bin_size_ms=10.0).p_value for side in placed for k in range(4)]
    assert min(p) > 0.01


def test_p_values_are_uniform_without_a_mark(placed):
    plain = placed[1]
    order = np.lexsort((plain.frame, plain.unit, plain.trial))
    frame, train = plain.frame[order], (plain.trial * 1000 + plain.unit)[order]
    low = frame // 300 * 300
    first = np.append(True, np.diff(train) != 0)
    keys = [key_bytes(f"key {k}") for k in range(150)]
    p = [keyed_places(frame, low, low + 299, first, secret, 30000.0).tail_probability(0) for secret in keys]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert stats.kstest(p, "uniform").statistic < 0.12


@pytest.mark.parametrize("lost", ["units", "trials", "both", "spikes"])
def test_half_the_units_or_trials_suffice(placed, lost):
    keyed = placed[0]
    rng = np.random.default_rng(6)
    kept = np.ones(len(keyed), dtype=bool)
    if lost in ("units", "both"):
        kept &= np.isin(keyed.unit, rng.permutation(12)[:6])
    if lost in ("trials", "both"):
        kept &= np.isin(keyed.trial, rng.permutation(40)[:20])
    if lost == "spikes":
        kept &= rng.random(len(keyed)) < 0.7
    rest = PlacedSpikes(
        keyed.trial[kept],
        keyed.unit[kept],
        keyed.frame[kept],
        keyed.sampling_frequency,
        keyed.trial_frames,
        keyed.gap_frames,
        keyed.refractory_period_ms,
        keyed.forced_violations,
    )
    assert find_watermark(rest, KEY, bin_size_ms=10.0).p_value < 1e-20


def test_times_without_labels_bins_or_trials_suffice():
    counts = population(0, trials=15).with_annotations(synthetic=True)
    block = counts.to_neo(watermark_key=KEY, seed=1)
    assert block.annotations["watermarked"] is True
    assert find_watermark(block, KEY).found
    bare = [
        [neo.SpikeTrain(train.rescale("ms").magnitude * pq.ms, t_stop=train.t_stop) for train in segment.spiketrains]
        for segment in block.segments
    ]
    result = find_watermark([train for segment in bare for train in segment], KEY)
    assert result.found
    assert result.bin_size_ms == 10.0
    # One long train a unit from some moment of the session on, no grid known.
    sorting = counts.to_sorting(layout="session", watermark_key=KEY, seed=1)
    assert find_watermark(sorting, KEY).offset_ms == 0.0
    shift = 123457
    spikes = {unit: train[train >= shift] - shift for unit in range(12)
              if len(train := sorting.get_unit_spike_train(unit))}  # fmt: skip
    result = find_watermark(NumpySorting.from_unit_dict([spikes], 30000.0), KEY, bin_size_ms=10.0)
    assert result.found
    # Bins begin every 300 frames.
    assert abs((result.offset_ms * 30 + shift + 150) % 300 - 150) <= 3
    assert "found" in repr(result)


def test_gaps_between_trials_are_no_obstacle_where_they_are_known(tmp_path):
    counts = population(7, units=5, trials=12)
    sorting = counts.to_sorting(layout="session", gap_s=0.0371, watermark_key=KEY)
    starts_s = np.array(sorting.get_annotation("trials"))[:, 0]
    assert find_watermark(sorting, KEY).found
    bare = NumpySorting(sorting.to_spike_vector(), 30000.0, sorting.unit_ids)
    assert find_watermark(bare, KEY, t_starts_s=starts_s).found
    assert find_watermark(pickle.loads(pickle.dumps(counts.to_sorting(watermark_key=KEY))), KEY).found
    recording = generate_from_counts(counts, folder=tmp_path / "session", gap_s=0.0371, seed=0, watermark_key=KEY)
    assert recording.get_annotation("watermarked") is True
    assert find_watermark(recording, KEY).found
    assert np.array_equal(
        SpikeCounts.from_sorting(recording.sorting, 10.0, trials=recording.sorting.get_annotation("trials")).counts,
        counts.counts,
    )


def test_times_that_are_a_little_off_are_enough(placed):
    keyed = placed[0]
    rng = np.random.default_rng(8)
    # A sorter's: 0.1 ms of jitter, a tenth missed, another sampling rate.
    kept = rng.random(len(keyed)) < 0.9
    frame = np.rint((keyed.frame[kept] + rng.normal(0, 3, kept.sum())) * 25000 / 30000).astype(int)
    frame = np.clip(frame, 0, None)
    moved = PlacedSpikes(
        keyed.trial[kept], keyed.unit[kept], frame, 25000.0, keyed.trial_frames, 0, keyed.refractory_period_ms,
        keyed.forced_violations,
    )  # fmt: skip
    assert find_watermark(moved, KEY, bin_size_ms=10.0).found


# ---- invisible -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many() -> tuple[list[PlacedSpikes], list[PlacedSpikes]]:
    """Placements of six sessions with one key, and without, by different seeds."""
    counts = [population(k, units=20, rate=0.1, bursts=False) for k in range(20, 26)]
    keyed = [place_spikes(c, seed=k, watermark_key=KEY) for k, c in enumerate(counts)]
    return keyed, [place_spikes(c, seed=100 + k) for k, c in enumerate(counts)]


def test_places_in_bins_are_uniform(many):
    for side in many:
        phase = np.concatenate([p.frame % 300 for p in side])
        assert stats.kstest((phase + 0.5) / 300, "uniform").pvalue > 0.01
        assert stats.chisquare(np.bincount(phase, minlength=300)).pvalue > 0.01


def test_places_of_neighbours_are_independent(many):
    def pairs(p: PlacedSpikes) -> np.ndarray:
        index = np.lexsort((p.frame, p.unit, p.trial))
        train = (p.trial * 1000 + p.unit)[index]
        phase, bins = p.frame[index] % 300 // 60, p.frame[index] // 300
        far = (train[1:] == train[:-1]) & (np.diff(bins) > 1)
        return np.histogram2d(phase[:-1][far], phase[1:][far], np.arange(6))[0]

    assert stats.chi2_contingency(sum(pairs(p) for p in many[0])).pvalue > 0.01


@pytest.mark.parametrize("order", [1, 2, 3])
def test_intervals_have_the_same_distribution(many, order):
    keyed, plain = (np.concatenate([intervals(p, order) for p in side]) for side in many)
    assert same_histogram(keyed, plain, np.arange(0, 3000, 30)) > 0.01
    # And not more ragged from frame to frame than chance makes them.
    fine = np.histogram(keyed, np.arange(900, 2401))[0]
    smooth = np.convolve(fine, np.ones(61) / 61, mode="same")
    kept = slice(60, -60)
    statistic = ((fine - smooth)[kept] ** 2 / smooth[kept]).sum() / (len(fine) - 120)
    assert 0.85 < statistic < 1.15


def test_cross_correlograms_have_the_same_distribution(many):
    keyed, plain = (np.concatenate([lags(p, 600) for p in side]) for side in many)
    assert same_histogram(keyed, plain, np.arange(-600, 601, 15)) > 0.01
    flat = np.histogram(keyed, np.arange(-600, 601, 15))[0]
    assert stats.chisquare(flat).pvalue > 1e-3


def test_no_two_spikes_are_marked_alike(many):
    # Pairs of distances come back between trials; were they marked alike each time, so would the triples of spikes.
    def repeats(p: PlacedSpikes) -> int:
        index = np.lexsort((p.frame, p.unit, p.trial))
        train, frame = (p.trial * 1000 + p.unit)[index], p.frame[index]
        inner = (train[2:] == train[:-2]) & (frame[2:] - frame[:-2] > 600)
        low = frame[1:-1] // 300 * 300
        triple = np.stack([(low - frame[:-2]) // 30, (frame[2:] - low) // 30, frame[1:-1] - low])[:, inner]
        return triple.shape[1] - np.unique(triple, axis=1).shape[1]

    keyed, plain = (sum(repeats(p) for p in side) for side in many)
    assert abs(keyed - plain) < 5 * np.sqrt(plain + 1)


# ---- bad input -------------------------------------------------------------------------------


def test_awkward_input():
    counts = SpikeCounts(np.zeros((2, 5, 3), dtype=int), 10.0)
    empty = find_watermark(counts.to_sorting(watermark_key=KEY), KEY)
    assert (empty.found, empty.p_value, empty.num_spikes) == (False, 1.0, 0)
    one = SpikeCounts(np.ones((1, 1, 3), dtype=int), 10.0)
    assert not find_watermark(one.to_neo(watermark_key=b"bytes"), b"bytes").found
    with pytest.raises(TypeError, match="got SpikeCounts"):
        find_watermark(one, KEY)
    with pytest.raises(TypeError, match="text or bytes; got int"):
        one.to_neo(watermark_key=5)
    with pytest.raises(ValueError, match="must not be empty"):
        one.to_neo(watermark_key="")
    with pytest.raises(ValueError, match="false_alarms"):
        find_watermark(one.to_neo(), KEY, false_alarms=0.0)
    for name in ("bin_size_ms", "sampling_frequency"):
        for value in (0.0, -10.0, np.nan, np.inf):
            with pytest.raises(ValueError, match=f"{name} must be a positive number; got {value}"):
                find_watermark(one.to_neo(), KEY, **{name: value})
