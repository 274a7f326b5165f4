"""Which units are looked at together for what pairs of them share."""

import numpy as np
import pytest

from spikeinterface_gen.models.ldns_observation import MAX_PAIRED_UNITS, MIN_PAIRED_UNITS, _paired_units


@pytest.mark.parametrize(
    ("num_units", "seconds", "number"), [(30, 0.0, 1), (1700, 9.0, 1), (5000, np.inf, 3), (5000, 0.0, 20)]
)
def test_all_together_where_there_is_time(num_units, seconds, number):
    blocks = _paired_units(num_units, seconds)
    assert len(blocks) == number
    assert np.array_equal(np.concatenate([np.arange(num_units)[block] for block in blocks]), np.arange(num_units))


def test_time_grows_with_units_and_no_faster():
    """Pairs a second of time, that each unit costs: the square of the size of its block."""
    for seconds in (3.0, 30.0):
        for num_units in (1000, 3000, 9000):
            sizes = np.array([block.stop - block.start for block in _paired_units(num_units, seconds)])
            assert sizes.max() <= MAX_PAIRED_UNITS
            assert sizes.max() - sizes.min() <= 1
            assert (sizes**3).sum() <= 6e8 * seconds or sizes.max() <= MIN_PAIRED_UNITS
