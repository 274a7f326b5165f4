"""Synthetic trials are worth what they have learned: copies of the process teach as much as real trials, noise none."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, r2_score

from spikeinterface_gen import SpikeCounts
from spikeinterface_gen.validation import decoding
from spikeinterface_gen.validation.co_smoothing import co_smoothing
from spikeinterface_gen.validation.decoding import decode_covariate


def session(num_trials=60, seed=0, units=15, bins=30, informative=1.0):
    """Units tuned to a choice, to a graded stimulus and to a velocity that varies within the trial."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(5)
    tuning = informative * fixed.normal(0, 0.6, (3, units))
    choice, stimulus = rng.integers(0, 2, num_trials), rng.normal(size=num_trials)
    velocity = np.sin(np.linspace(0, 6, bins) + rng.uniform(0, 6, (num_trials, 1)))
    drive = np.stack(
        [
            np.broadcast_to(choice[:, None] - 0.5, velocity.shape),
            np.broadcast_to(stimulus[:, None], velocity.shape),
            velocity,
        ],
        axis=2,
    )
    covariates = {
        "choice": np.array(["left", "right"])[choice],
        "stimulus": stimulus,
        "velocity": velocity[:, :, None],
    }
    return SpikeCounts(rng.poisson(0.4 * np.exp(drive @ tuning)), 20.0, covariates=covariates)


@pytest.fixture(scope="module")
def recorded():
    return session(60, seed=1), session(80, seed=2)


@pytest.mark.parametrize("covariate", ["choice", "stimulus", "velocity"])
def test_trials_of_the_same_process_teach_what_real_ones_do(recorded, covariate):
    train, test = recorded
    use = decode_covariate(train, session(60, seed=3), test, covariate)
    assert use.scores["real"] > use.chance + 0.25
    assert 0.8 < use.share < 1.25
    gain, low, high = use.gain
    assert low <= gain <= high
    assert -0.05 < gain < 0.2
    assert use.table.index.tolist() == ["real", "synthetic", "real and synthetic"]
    assert (use.table["low"] <= use.table["score"]).all()


@pytest.mark.parametrize("covariate", ["choice", "stimulus", "velocity"])
def test_trials_without_information_teach_nothing(recorded, covariate):
    train, test = recorded
    use = decode_covariate(train, session(60, seed=3, informative=0.0), test, covariate)
    # Any fixed guess is at chance of balanced accuracy; regressions may do worse than the mean.
    assert use.scores["synthetic"] < use.chance + 0.2
    assert use.share < 0.5


def test_more_trials_help_where_real_ones_are_few(recorded):
    few, test = recorded[0][:12], recorded[1]
    use = decode_covariate(few, session(200, seed=4), test, "stimulus")
    assert use.gain[1] > 0
    assert "synthetic ones help" in use.summary()
    assert "12 real trials" in use.summary()


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    once = np.ones((1, 40))
    y, guess = rng.integers(0, 3, 40), rng.integers(0, 3, 40)
    found = decoding._balanced_accuracy(y, guess, np.arange(40), once)
    assert found[0] == pytest.approx(balanced_accuracy_score(y, guess))
    y, guess = rng.normal(size=(80, 2)), rng.normal(size=(80, 2))
    found = decoding._r_squared(y, guess, np.repeat(np.arange(40), 2), once)
    assert found[0] == pytest.approx(r2_score(y, guess))


def test_more_features_than_trials_are_rotated_without_a_difference():
    from sklearn.linear_model import LogisticRegression, Ridge

    rng = np.random.default_rng(1)
    x, x_test = rng.normal(3, 2, (30, 80)).astype(np.float32), rng.normal(3, 2, (50, 80)).astype(np.float32)
    y = x[:, 0] + rng.normal(size=30)
    z, z_test = decoding._standardised(x, x_test)
    assert z.shape == (30, 30)
    plain, plain_test = (x - x.mean(axis=0)) / x.std(axis=0), (x_test - x.mean(axis=0)) / x.std(axis=0)
    np.testing.assert_allclose(
        Ridge(alpha=3.0).fit(z, y).predict(z_test), Ridge(alpha=3.0).fit(plain, y).predict(plain_test), rtol=1e-4
    )
    classes = [
        LogisticRegression(C=0.1, tol=1e-8, max_iter=1000).fit(side, y > y.mean()).decision_function(test)
        for side, test in ((z, z_test), (plain, plain_test))
    ]
    np.testing.assert_allclose(*classes, atol=1e-3)


def test_resampled_trials_are_weighted_as_if_they_were_repeated():
    rng = np.random.default_rng(0)
    y, guess = rng.normal(size=(10, 1)), rng.normal(size=(10, 1))
    drawn = rng.integers(0, 10, 10)
    weights = np.bincount(drawn, minlength=10)[None, :].astype(float)
    found = decoding._r_squared(y, guess, np.arange(10), weights)
    assert found[0] == pytest.approx(r2_score(y[drawn], guess[drawn]))


def test_co_smoothing(recorded):
    train, test = recorded
    same = co_smoothing(train, session(60, seed=3), test)
    assert same.scores["real"] > 0.03
    assert 0.7 < same.share < 1.3
    assert same.task == "Prediction of 3 units from 12 others"
    noise = co_smoothing(train, session(60, seed=3, informative=0.0), test)
    assert noise.scores["synthetic"] < 0.01
    assert noise.resampled["real"].shape == (1000,)
    again = co_smoothing(train, session(60, seed=3), test)
    assert again.scores == same.scores


def test_co_smoothing_is_zero_bits_for_the_mean_and_positive_for_the_truth():
    counts = np.array([[0.0], [2.0], [1.0], [1.0]])
    from spikeinterface_gen.validation.co_smoothing import _log_likelihood

    constant = _log_likelihood(counts, counts.mean(axis=0))
    assert constant.sum() == pytest.approx(-4.0)  # Σ s ln 1 − 4 · 1
    assert _log_likelihood(counts, counts).sum() > constant.sum()


def test_what_does_not_fit_is_refused(recorded):
    train, test = recorded
    with pytest.raises(ValueError, match="synthetic has no covariate 'choice'"):
        decode_covariate(train, SpikeCounts(train.counts, 20.0), test, "choice")
    with pytest.raises(ValueError, match="test has 3 trials"):
        decode_covariate(train, train, test[:3], "choice")
    other = SpikeCounts(train.counts, 20.0, covariates={"choice": np.arange(60)})
    with pytest.raises(ValueError, match="of one kind and shape"):
        decode_covariate(train, other, test, "choice")
    constant = SpikeCounts(train.counts, 20.0, covariates={"choice": np.full(60, "left")})
    with pytest.raises(ValueError, match="nothing to decode"):
        decode_covariate(constant, train, test, "choice")
    missing = SpikeCounts(train.counts, 20.0, covariates={"stimulus": np.full(60, np.nan)})
    with pytest.raises(ValueError, match="holds NaN"):
        decode_covariate(train, missing, test, "stimulus")
    silent = SpikeCounts(np.zeros_like(train.counts), 20.0)
    with pytest.raises(ValueError, match="at least 4 units"):
        co_smoothing(train, silent, test)
