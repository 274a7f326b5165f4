import numpy as np
import pytest

from spikeinterface_gen.convert.intervals import interval_properties

FS = 30000.0


def _train(rng, rate_hz, refractory_ms, duration_s):
    """Frames of a Poisson process with dead time."""
    intervals_s = refractory_ms / 1000 + rng.exponential(
        1 / rate_hz - refractory_ms / 1000, int(3 * rate_hz * duration_s)
    )
    times_s = np.cumsum(intervals_s)
    return np.rint(times_s[times_s < duration_s] * FS).astype(int)


def _properties(*trains, duration_s):
    units = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
    frames = np.concatenate(trains).astype(int)
    return interval_properties(
        np.zeros_like(units), units, frames, num_units=len(trains), duration_s=duration_s, sampling_frequency=FS
    )


def test_short_intervals_fall_into_their_half_milliseconds():
    # 0.5 ms are 15 frames: 14 lie below the first edge, 15 on it; 300 frames are 10 ms, the end.
    train = np.cumsum([100, 14, 15, 29, 30, 299, 300, 5000])
    counted = _properties(train, np.array([], dtype=int), duration_s=1.0)["short_interval_counts"]
    expected = np.zeros((2, 20), dtype=int)
    expected[0, [0, 1, 2, 19]] = [1, 2, 1, 1]
    np.testing.assert_array_equal(counted, expected)


def test_intervals_do_not_cross_from_one_run_to_the_next():
    runs, frames = np.array([0, 0, 1, 1]), np.array([0, 10_000, 10_030, 20_000])
    counted = interval_properties(runs, np.zeros(4, int), frames, num_units=1, duration_s=2.0, sampling_frequency=FS)[
        "short_interval_counts"
    ]
    assert counted.sum() == 0


def test_the_order_of_the_spikes_does_not_matter():
    rng = np.random.default_rng(1)
    train = _train(rng, 20, 2.0, 100)
    shuffled = _properties(rng.permutation(train), duration_s=100.0)
    for name, value in _properties(train, duration_s=100.0).items():
        np.testing.assert_array_equal(shuffled[name], value)


@pytest.mark.parametrize("rate_hz", [5.0, 40.0])
@pytest.mark.parametrize("refractory_ms", [1.0, 2.5, 4.0])
def test_a_known_refractory_period_is_found(rate_hz, refractory_ms):
    rng = np.random.default_rng(2)
    trains = [_train(rng, rate_hz, refractory_ms, 600) for _ in range(10)]
    estimates_ms = _properties(*trains, duration_s=600.0)["refractory_period_ms"]
    assert np.abs(estimates_ms - refractory_ms).max() < 0.3
    assert abs(estimates_ms.mean() - refractory_ms) < 0.1


def test_a_poisson_train_has_none_and_the_bound_says_so():
    rng = np.random.default_rng(3)
    trains = [_train(rng, 20, 0.0, 600) for _ in range(5)]
    np.testing.assert_array_equal(_properties(*trains, duration_s=600.0)["refractory_period_ms"], 0.5)


def test_a_few_intervals_too_short_to_be_real_do_not_decide():
    rng = np.random.default_rng(4)
    train = _train(rng, 20, 2.0, 600)
    with_strays = np.sort(np.append(train, train[:2] + 6))
    assert abs(_properties(with_strays, duration_s=600.0)["refractory_period_ms"][0] - 2.0) < 0.2


def test_too_few_spikes_say_nothing():
    rng = np.random.default_rng(5)
    trains = (_train(rng, 1, 2.0, 100), np.array([500]), np.array([], dtype=int))
    assert np.isnan(_properties(*trains, duration_s=100.0)["refractory_period_ms"]).all()


def test_long_pauses_are_bounded():
    train = np.arange(0, int(60 * FS), int(0.02 * FS))  # a clock of 50 Hz
    assert _properties(train, duration_s=60.0)["refractory_period_ms"][0] == 5.0
