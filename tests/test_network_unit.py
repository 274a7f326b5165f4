"""NetworkUnit's own tests judge what we return, and their statistics are ours."""

import neo
import numpy as np
import pytest
import quantities as pq
from elephant.statistics import isi, lv

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.validation.network_unit import network_unit_model, unit_trains


@pytest.fixture(scope="module")
def recorded() -> SpikeCounts:
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.05, 0.4, 12) * np.exp(rng.normal(0, 0.5, (15, 1, 1)))
    return SpikeCounts(rng.poisson(np.broadcast_to(rates, (15, 40, 12))), 10.0, annotations={"synthetic": True})


@pytest.fixture(scope="module")
def networkunit(tmp_path_factory):
    # SciUnit writes its configuration to the home folder when it is imported.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        import networkunit
    return networkunit


def judged(networkunit, test, score, first, second, **params):
    class OfTwo(networkunit.tests.TestM2M, test):
        score_type = score

    return OfTwo(**params).judge([first, second]).iloc[0, 1]


def test_rates_are_told_apart_and_equal_ones_are_not(networkunit, recorded):
    tests, scores = networkunit.tests, networkunit.scores
    real = network_unit_model(recorded, name="recorded")
    slower = SpikeCounts(recorded.counts // 2, 10.0)
    close = network_unit_model(PSTHPoisson().fit(recorded).sample(15, seed=0).to_neo(), name="synthetic")
    score = judged(networkunit, tests.firing_rate_test, scores.ks_distance, real, close)
    assert score.pvalue > 0.05
    score = judged(
        networkunit, tests.firing_rate_test, scores.ks_distance, real, network_unit_model(slower, name="slower")
    )
    assert score.pvalue < 0.05


def test_predictions_are_our_statistics(networkunit, recorded):
    model = network_unit_model(recorded.to_neo(time="session"), name="recorded")
    rates = networkunit.tests.firing_rate_test({}).generate_prediction(model)
    np.testing.assert_allclose(rates, recorded.rates_hz, rtol=1e-12)
    correlations = networkunit.tests.correlation_dist_test({}, bin_size=10 * pq.ms).generate_prediction(model)
    by_numpy = np.corrcoef(recorded.counts.reshape(-1, 12).T)[np.triu_indices(12, 1)]
    np.testing.assert_allclose(np.ravel(correlations), by_numpy, atol=1e-9)


def test_intervals_stay_within_trials(networkunit, recorded):
    test = networkunit.tests.isi_variation_test
    models = [network_unit_model(recorded, name=name, trials="each") for name in ("one", "two")]
    score = judged(networkunit, test, networkunit.scores.ks_distance, *models, variation_measure="lv")
    assert score.pvalue == pytest.approx(1.0)
    found = test({}, variation_measure="lv").generate_prediction(models[0]).reshape(15, 12)
    for trial, segment in zip(found, recorded.to_neo().segments, strict=True):
        np.testing.assert_allclose(trial, [lv(isi(train), with_nan=True) for train in segment.spiketrains], rtol=1e-9)


def test_joined_trains_run_over_all_trials(recorded):
    trains = unit_trains(recorded)
    assert len(trains) == 12
    assert [len(train) for train in trains] == recorded.counts.sum(axis=(0, 1)).tolist()
    assert all(float(train.t_stop) == pytest.approx(6.0) for train in trains)
    assert all(train.annotations["synthetic"] is True for train in trains)
    assert [train.annotations["unit_id"] for train in trains] == recorded.unit_ids.tolist()
    assert len(unit_trains(recorded, trials="each")) == 12 * 15


def test_what_is_no_population_is_refused(recorded):
    with pytest.raises(TypeError, match="from_sorting"):
        unit_trains([1, 2])
    with pytest.raises(ValueError, match="'joined' or 'each'"):
        unit_trains(recorded, trials="all")
    block = neo.Block()
    for size in (1, 2):
        segment = neo.Segment()
        segment.spiketrains.extend([neo.SpikeTrain([0.1], t_stop=1.0, units="s") for _ in range(size)])
        block.segments.append(segment)
    with pytest.raises(ValueError, match=r"\[1, 2\] trains"):
        unit_trains(block)
