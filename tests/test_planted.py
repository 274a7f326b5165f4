"""Planted defects are flagged, by a metric that is about them, and trials without a defect are not."""

import numpy as np
import pytest

from spikeinterface_gen import SpikeCounts, validate
from spikeinterface_gen.validation.design import Design
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.metrics import METRICS
from spikeinterface_gen.validation.permutation import permutation_test
from spikeinterface_gen.validation.planted import DEFECTS, Simulator, training_seed

SIMULATOR = Simulator(num_units=20, num_bins=600)
NUM_TRIALS = 200
OF_SPIKES = [name for name, defect in DEFECTS.items() if "memorisation" not in defect.named_by]


def outcome(real, synthetic, names=METRICS):
    design = Design(real, synthetic, None, real.num_trials, seed=0, layout=Layout.of(real, synthetic))
    return permutation_test({name: METRICS[name] for name in names}, design, num_permutations=99)


@pytest.fixture(scope="module")
def real():
    return SIMULATOR.draw(NUM_TRIALS, 500)


@pytest.mark.parametrize("name", OF_SPIKES)
def test_a_defect_is_flagged_by_what_is_about_it(name, real):
    defect = DEFECTS[name]
    synthetic = defect.make(SIMULATOR, NUM_TRIALS, 0)
    assert synthetic.counts.shape == real.counts.shape
    test = outcome(real, synthetic)
    assert any(test.p[metric] <= 0.05 for metric in defect.named_by), test.p


def test_trials_without_a_defect_are_not_flagged(real):
    test = outcome(real, SIMULATOR.draw(NUM_TRIALS, 3))
    assert min(test.p.values()) > 0.05
    assert max(test.scores.values()) < 4


def test_real_against_real_is_flagged_in_one_case_of_twenty():
    rng = np.random.default_rng(0)
    names = ("population_count", "rate", "fano_factor", "correlation", "drift", "isi_mean")
    flagged = 0
    for _ in range(40):
        gains = rng.gamma(3.0, 1 / 3, (2, 24, 1, 1))
        real, synthetic = (SpikeCounts(rng.poisson(0.5 * g, (24, 12, 6)), 10.0) for g in gains)
        flagged += min(outcome(real, synthetic, names).p.values()) <= 0.05
    assert flagged <= 6


def test_copies_of_training_trials_are_called_so():
    (copied,) = [defect for defect in DEFECTS.values() if "memorisation" in defect.named_by]
    small = Simulator(num_units=8, num_bins=300)
    real, train = small.draw(40, 500), small.draw(80, training_seed(0))
    copies = copied.make(small, 40, 0)
    report = validate(real, copies, train=train, num_splits=2, num_permutations=99, thorough=False)
    assert report.num_copies == 40
    assert report.membership.found
    assert report.flagged == ["memorisation"]


def test_the_simulator_has_what_its_defects_take_away():
    counts = SIMULATOR.draw(60, 1)
    assert counts.is_binary
    occupied = counts.counts.astype(bool)
    for lag in (1, 2, 3):
        assert not np.any(occupied[:, lag:] & occupied[:, :-lag])
    free = SIMULATOR.draw(60, 1, refractory_bins=0)
    assert np.any(free.counts[:, 1:] & free.counts[:, :-1])
    assert free.rates_hz.mean() == pytest.approx(counts.rates_hz.mean(), rel=0.04)
    np.testing.assert_array_equal(SIMULATOR.draw(5, 1).counts, SIMULATOR.draw(5, 1).counts)
    assert not np.array_equal(SIMULATOR.draw(5, 1).counts, SIMULATOR.draw(5, 2).counts)
