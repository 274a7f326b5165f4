"""Conditions: what covariates become, what a model draws for them on a population of known truth, and bad input."""

import json

import numpy as np
import pytest
import torch

from spikeinterface_gen import LDNS, SpikeCounts
from spikeinterface_gen.counts import SESSION_TIME
from spikeinterface_gen.diffusion.guidance import guided
from spikeinterface_gen.models.conditions import Conditions
from spikeinterface_gen.models.covariate import Covariate
from spikeinterface_gen.models.tasks import DenoiserTask
from spikeinterface_gen.nn.denoiser import DenoiserNetwork

SMALL = {"channels": 32, "num_blocks": 1, "denoiser_channels": 32, "denoiser_blocks": 2, "history_bins": 2}
TRIALS, BINS, UNITS = 200, 8, 16
WEIGHTS = 0.6 * np.random.default_rng(5).standard_normal((3, UNITS))


def log_rates(side, speed, position):
    """Of a population that follows the side, the speed in each bin, and the place of the trial in its session."""
    side = np.where(np.asarray(side) == "left", 1.0, -1.0)[:, None]
    drift = np.cos(np.pi * np.asarray(position))[:, None]
    features = np.stack(np.broadcast_arrays(side, np.asarray(speed)[..., 0], drift), -1)
    return features @ WEIGHTS


def population(seed=0):
    rng = np.random.default_rng(seed)
    side = rng.choice(["left", "right"], TRIALS)
    speed = np.sin(2 * np.pi * (np.arange(BINS) / BINS + rng.uniform(0, 1, (TRIALS, 1))))[..., None]
    counts = rng.poisson(np.exp(log_rates(side, speed, (np.arange(TRIALS) + 0.5) / TRIALS)))
    return SpikeCounts(counts, 10.0, covariates={"side": side, "speed": speed}, t_starts_s=5.0 * np.arange(TRIALS))


@pytest.fixture(scope="module")
def counts():
    return population()


@pytest.fixture(scope="module")
def model(counts):
    steps = {"autoencoder": 200, "refit": 1, "denoiser": 300}
    return LDNS(4, **SMALL).fit(counts, covariates=["side", "speed"], num_steps=steps, progress=False)


# ---- what covariates become --------------------------------------------------------------------


def covariate(values, kind=None, bins=4):
    values = np.asarray(values)
    return Covariate.of("x", values, np.ones((len(values), bins), bool), kind)


def test_kinds_follow_from_the_values():
    rng = np.random.default_rng(0)
    expected = {
        "categorical": [rng.choice(["a", "b"], 40), rng.random(40) < 0.5, np.resize([1.0, 2.0, np.nan], 40)],
        "continuous": [rng.normal(size=40), np.arange(40), rng.normal(size=(40, 2))],
    }
    for kind, examples in expected.items():
        assert [covariate(values)[0].kind for values in examples] == [kind] * 3
    assert covariate(rng.uniform(0, 6, 40), "circular")[0].kind == "circular"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.resize(["b", "a", ""], 40), None),
        (np.resize([True, False], 40), None),
        (np.resize([3, 1, 2], 40).astype(np.int8), None),
        (np.resize([1.0, np.nan, 2.0], 40), None),
        (np.linspace(-1, 3, 40), None),
        (np.arange(40), None),
        (np.linspace(-3, 3, 80).reshape(40, 2), "circular"),
        (np.linspace(-3, 3, 160).reshape(40, 4, 1), None),
        (np.resize(["on", "off"], 160).reshape(40, 4, 1), None),
    ],
)
def test_values_come_back_as_they_were(values, kind):
    found, held = covariate(values, kind)
    for one in (found, Covariate(**json.loads(json.dumps(vars(found), allow_nan=False)))):
        np.testing.assert_array_equal(one.restored(held), values)
        np.testing.assert_array_equal(one.read(values, 40), held)
        assert one.restored(held).dtype.kind == values.dtype.kind
        assert one.features(held).shape == (*held.shape[:-1], one.num_features)


def test_features_are_what_they_say():
    text, held = covariate(np.resize(["b", "a", ""], 40))
    np.testing.assert_array_equal(text.features(held)[:3], [[0, 1, 1], [1, 0, 1], [0, 0, 0]])
    numbers, held = covariate(np.append(np.arange(101.0), 1e6))
    features = numbers.features(held)
    # Quartile range over 1.35, whatever the outlier, and that one bounded.
    np.testing.assert_allclose(features[[25, 76], 0], [-0.69, 0.67], atol=0.03)
    assert features[-1, 0] == 6
    # A hand that rests in most bins: its movements are told apart all the same.
    resting, held = covariate(np.append(np.zeros(300), np.linspace(-0.9, 0.9, 200)))
    assert np.ptp(resting.features(held)[-50:, 0]) > 1
    angles, held = covariate(np.linspace(0, 6, 40), "circular")
    np.testing.assert_allclose(angles.features(held)[:, :2], np.c_[np.sin(held), np.cos(held)], atol=1e-6)
    assert np.abs(angles.features(np.array([[0.0]])) - angles.features(np.array([[2 * np.pi]]))).max() < 1e-6


def test_session_time_is_smooth_and_the_less_detailed_the_fewer_the_trials():
    # Unevenly spaced: what counts is the share of the trials that are over.
    starts_s = np.square(np.arange(60.0))
    timed, held = Covariate.of_session_time(starts_s)
    u = np.arange(60) / 59
    expected = np.sqrt(2) * np.cos(np.pi * np.arange(1, 4) * u[:, None])
    np.testing.assert_allclose(timed.features(held)[:, :3], expected, atol=0.02)
    assert Covariate.of_session_time(starts_s[:25])[0].num_features == 2
    assert Covariate.of_session_time(starts_s[:19]) is None


def test_unknown_values_and_padding_are_zeros(counts):
    conditions = Conditions.of(counts, ["side", "speed"], True)
    held = {"side": np.array([[0.0], [np.nan]]), "speed": np.array([[0.5, np.nan, 0.5], [0.1, 0.2, 9.9]])[..., None]}
    encoded = conditions.encoded(held, np.array([3, 2]), length=4)
    assert encoded.constant.shape == (2, conditions.num_constant)
    assert encoded.varying.shape == (2, 4, 2)
    np.testing.assert_array_equal(encoded.constant[0], [1, 0, 1, 0, 0, 0, 0])
    assert not encoded.constant[1].any()
    np.testing.assert_array_equal(encoded.varying[..., 1], [[1, 0, 1, 0], [1, 1, 0, 0]])
    assert not encoded.varying[1, 2:].any()


def test_training_leaves_conditions_out_and_blurs_them(counts):
    conditions = Conditions.of(counts, ["side", "speed"], True)
    encoded = conditions.of_counts(counts)
    latents = torch.zeros(TRIALS, BINS, 1)
    task = DenoiserTask(
        torch.nn.Identity(),
        latents,
        None,
        latents[:4],
        None,
        batch_size=64,
        seed=0,
        conditions=(conditions, encoded, conditions.of_counts(counts[:4])),
    )
    index = torch.arange(TRIALS).repeat(50)
    constant, varying = task._condition(index, torch.Generator().manual_seed(0))
    side, time, speed = constant[:, 2], constant[:, 6], varying[:, 0, 1]
    number = len(index)
    # 20 % without any, and 10 % of the rest without each.
    for known in (side, time, speed):
        assert float(known.mean()) == pytest.approx(0.8 * 0.9, abs=5 * 0.5 / number**0.5)
    nothing = (side == 0) & (time == 0) & (speed == 0)
    assert float(nothing.float().mean()) == pytest.approx(0.2 + 0.8 * 0.1**3, abs=5 * 0.4 / number**0.5)
    # Categories are exact, trial time is not; what is unknown is zero.
    assert set(constant[:, 0].tolist()) == {0.0, 1.0}
    assert not constant[time == 0][:, 3:].any()
    blur = (constant[:, 3] - torch.from_numpy(encoded.constant)[index, 3])[time == 1]
    assert float(blur.std()) == pytest.approx(0.15, rel=0.05)


def test_networks_take_conditions_and_padding_does_not_leak():
    torch.manual_seed(0)
    network = DenoiserNetwork(2, 6, channels=16, num_blocks=1, patch_size=2, num_constant=3, num_varying=2)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    x, noise = torch.randn(2, 5, 4), torch.zeros(2)
    condition = (torch.randn(2, 3), torch.randn(2, 5, 2))
    unknown = (torch.zeros(2, 3), torch.zeros(2, 5, 2))
    torch.testing.assert_close(network(x, noise), network(x, noise, None, unknown))
    assert (network(x, noise, None, condition) - network(x, noise)).abs().max() > 1e-3
    for k in range(2):
        other = (*condition[:k], condition[k] + 1, *condition[k + 1 :])
        assert (network(x, noise, None, condition) - network(x, noise, None, other)).abs().max() > 1e-3
    # Trials of 4 bins, padded: what their condition is beyond, and what other trials have, changes nothing.
    mask = torch.ones(2, 5, 1)
    mask[0, 4:] = 0
    changed = (condition[0].clone(), condition[1].clone())
    changed[1][0, 4:] = 7.0
    changed[0][1] = 3.0
    a, b = network(x, noise, mask, condition), network(x, noise, mask, changed)
    torch.testing.assert_close(a[0, :4], b[0, :4])


def test_guidance_extrapolates_from_the_unconditional_estimate():
    y, sigma = torch.randn(3, 4, 2), torch.ones(3)
    conditional, unconditional = (lambda y, sigma: 2 * y), (lambda y, sigma: y)
    assert guided(conditional, unconditional, 1.0) is conditional
    assert guided(conditional, unconditional, 0.0) is unconditional
    torch.testing.assert_close(guided(conditional, unconditional, 3.0)(y, sigma), 4 * y)


# ---- a population whose truth is known ---------------------------------------------------------


def effects(rates_hz, side, speed, position):
    """What the conditions do to log rates, shape (3, units)."""
    side = np.where(side == "left", 1.0, -1.0)[:, None]
    drift = np.cos(np.pi * position)[:, None]
    features = np.stack(np.broadcast_arrays(side, speed[..., 0], drift, np.ones((1, 1))), -1).reshape(-1, 4)
    return np.linalg.lstsq(features, np.log(rates_hz).reshape(-1, UNITS), rcond=None)[0][:3]


def test_rates_follow_the_conditions(model, counts):
    position = (np.arange(TRIALS) + 0.5) / TRIALS
    encoded = effects(model.rates(counts), counts.covariates["side"], counts.covariates["speed"], position)
    # Other trials than the recorded ones: what went together there does not here.
    rng = np.random.default_rng(8)
    side = rng.choice(["left", "right"], TRIALS)
    speed = np.sin(2 * np.pi * (np.arange(BINS) / BINS + rng.uniform(0, 1, (TRIALS, 1))))[..., None]
    position = rng.permutation(position)
    covariates = {"side": side, "speed": speed, SESSION_TIME: 5.0 * TRIALS * position - 2.5}
    drawn = effects(model.sample_rates(TRIALS, covariates=covariates, seed=0), side, speed, position)
    for found, seen, truth in zip(drawn, encoded, WEIGHTS, strict=True):
        assert np.corrcoef(found, truth)[0, 1] > 0.85
        # As large as the encoder, which had few steps, has them.
        assert 0.75 < (found @ truth) / (seen @ truth) < 1.25


def test_angles_are_told_from_drawn_spikes_as_well_as_from_encoded_ones():
    # Units are tuned to a direction, and share a gain beside.
    rng = np.random.default_rng(0)
    preferred = np.linspace(0, 2 * np.pi, 24, endpoint=False)

    def tuned(number):
        angle, gain = rng.uniform(-np.pi, np.pi, number), rng.normal(0, 0.3, (number, 1))
        course = np.sin(np.pi * (np.arange(12) + 0.5) / 12)[:, None]
        log_rate = -1.2 + course * (gain + 1.2 * np.cos(angle[:, None] - preferred))[:, None]
        return SpikeCounts(rng.poisson(np.exp(log_rate)), 10.0, covariates={"angle": angle})

    def error(counts):
        """Of the population vector, in radians."""
        found = np.angle(counts.counts.sum(axis=1) @ np.exp(1j * preferred))
        return np.abs(np.angle(np.exp(1j * (found - counts.covariates["angle"])))).mean()

    train, test = tuned(400), tuned(2000)
    steps = {"autoencoder": 300, "refit": 1, "denoiser": 150}
    model = LDNS(4, **SMALL).fit(train, covariates={"angle": "circular"}, num_steps=steps, progress=False)
    networks, given = model.networks_, {"angle": test.covariates["angle"]}
    rates = networks.expected_counts(networks.encode(test.counts))
    encoded = SpikeCounts(networks.count_model().draw(rates, 1, "encoded"), 10.0, covariates=given)
    drawn = model.sample(2000, covariates=given, seed=0)
    assert 0.85 < error(drawn) / error(encoded) < 1.0
    # The denoiser by itself follows them less sharply.
    networks.denoiser.discriminant_changes.zero_()
    assert error(model.sample(2000, covariates=given, seed=0)) > 1.05 * error(drawn)


def test_what_is_drawn_for_what_is_kept(model, counts):
    drawn = model.sample(3, covariates={"side": ["left", None, "right"], "speed": np.zeros((BINS, 1))}, seed=0)
    assert drawn.covariates["side"].tolist() == ["left", "", "right"]
    assert drawn.covariates["speed"].shape == (3, BINS, 1)
    assert SESSION_TIME not in drawn.covariates
    assert "guidance" not in drawn.annotations
    assert model.sample(1, covariates={"side": "left"}, guidance=2.0, seed=0).annotations["guidance"] == 2.0
    # Of recorded trials, all of one trial together.
    drawn = model.sample(30, seed=0)
    recorded = (drawn.covariates[SESSION_TIME] / 5.0).astype(int)
    np.testing.assert_array_equal(drawn.covariates["side"], counts.covariates["side"][recorded])
    np.testing.assert_array_equal(drawn.covariates["speed"], counts.covariates["speed"][recorded])
    assert len(set(recorded)) > 20
    assert not model.sample(2, covariates={}, seed=0).covariates


def test_trial_i_of_a_seed_is_the_same_with_conditions(model):
    many, few = model.sample(70, seed=3), model.sample(3, seed=3, batch_size=2)
    np.testing.assert_array_equal(many.counts[:3], few.counts)
    np.testing.assert_array_equal(many.covariates[SESSION_TIME][:3], few.covariates[SESSION_TIME])
    given = {"side": np.resize(["left", "right"], 70)}
    many = model.sample(70, covariates=given, guidance=1.5, seed=3)
    few = model.sample(3, covariates={"side": given["side"][:3]}, guidance=1.5, seed=3)
    np.testing.assert_array_equal(many.counts[:3], few.counts)


def test_guidance_of_one_is_plain_and_of_none_unconditional(model):
    given = {"covariates": {"side": "left"}, "seed": 0}
    plain = model.sample_latents(3, **given)
    np.testing.assert_array_equal(plain, model.sample_latents(3, guidance=1.0, **given))
    np.testing.assert_array_equal(
        model.sample_latents(3, guidance=0.0, **given), model.sample_latents(3, covariates={}, seed=0)
    )
    assert np.abs(model.sample_latents(3, guidance=2.0, **given) - plain).max() > 1e-3


def test_sessions_go_on_as_recorded(model, counts):
    drawn = model.sample(50, session=True, seed=0)
    starts_s = drawn.covariates[SESSION_TIME]
    np.testing.assert_allclose(starts_s, np.quantile(counts.t_starts_s, (np.arange(50) + 0.5) / 50))
    np.testing.assert_array_equal(drawn.covariates["side"], counts.covariates["side"][2::4])
    whole = model.sample(TRIALS, session=True, seed=0)
    np.testing.assert_array_equal(whole.covariates["speed"], counts.covariates["speed"])
    # Units that fire less and less do so in the drawn session too.
    drift = np.cos(np.pi * (np.arange(TRIALS) + 0.5) / TRIALS)
    slopes = [np.log1p(x.counts.sum(1)).T @ drift for x in (counts, whole)]
    assert np.corrcoef(*slopes)[0, 1] > 0.8
    left = model.sample(10, session=True, covariates={"side": "left"}, seed=0)
    assert set(left.covariates) == {"side", SESSION_TIME}


def test_completions_know_the_covariates(model, counts):
    nothing = np.zeros(counts.counts.shape, bool)
    position = (np.arange(TRIALS) + 0.5) / TRIALS
    told, untold = (
        effects(
            model.complete_rates(trials, nothing, num_samples=1, steps=8, seed=0),
            counts.covariates["side"],
            counts.covariates["speed"],
            position,
        )
        for trials in (counts, SpikeCounts(counts.counts, 10.0))
    )
    for found, without, truth in zip(told, untold, WEIGHTS, strict=True):
        assert np.corrcoef(found, truth)[0, 1] > 0.8
        assert abs(without @ truth) < 0.4 * (found @ truth)


def test_sessions_run_under_conditions(counts):
    windows = SpikeCounts(counts.counts, 10.0, covariates=counts.covariates, trial_locked=False)
    steps = {"autoencoder": 100, "refit": 1, "denoiser": 200}
    model = LDNS(4, **SMALL).fit(windows, covariates=["side", "speed"], num_steps=steps, progress=False)
    blocks = {side: next(model.run(covariates={"side": side}, block_s=4.0, seed=0)) for side in ("left", "right")}
    assert {side: block.covariates["side"].tolist() for side, block in blocks.items()} == {
        "left": ["left"],
        "right": ["right"],
    }
    logs = {side: np.log(block.counts[0].mean(axis=0) + 0.05) for side, block in blocks.items()}
    assert np.corrcoef(logs["left"] - logs["right"], WEIGHTS[0])[0, 1] > 0.7
    assert not next(model.run(seed=0)).covariates
    with pytest.raises(ValueError, match="'speed' varies within trials"):
        model.run(covariates={"speed": np.zeros((1, BINS, 1))})
    with pytest.raises(ValueError, match="fitted without 'sid'"):
        model.run(covariates={"sid": "left"})


def test_models_keep_their_conditions(model, tmp_path):
    loaded = LDNS.load(model.save(tmp_path / "model"))
    assert repr(loaded).endswith("conditioned on side, speed, session_time_s")
    assert loaded.sha256() == model.sha256()
    assert loaded.sample(5, seed=1) == model.sample(5, seed=1)
    assert loaded.sample(5, session=True, seed=1) == model.sample(5, session=True, seed=1)


def test_other_conditions_for_the_same_latents(model, counts):
    angle = np.random.default_rng(0).uniform(-3, 3, TRIALS)
    before = model.sha256()
    other = model.fit_conditions(
        counts.with_covariates(angle=angle), {"angle": "circular"}, session_time=False, num_steps=3, progress=False
    )
    assert model.sha256() == before
    assert list(other.conditions_.covariates) == ["angle"]
    np.testing.assert_array_equal(other.encode(counts), model.encode(counts))
    np.testing.assert_array_equal(other.networks_.history_filters, model.networks_.history_filters)
    assert other.sample(2, covariates={"angle": [0.0, 3.1]}, seed=0).covariates["angle"].tolist() == [0.0, 3.1]
    without = model.fit_conditions(counts, session_time=False, num_steps=3, progress=False)
    assert without.conditions_ is None
    assert not without.sample(2, seed=0).covariates


def test_trials_of_different_lengths_take_those_of_their_covariates(tmp_path):
    lengths = np.where(np.arange(40) % 2, 8, 5)
    full = population()[:40]
    counts = SpikeCounts(
        full.counts * (np.arange(BINS) < lengths[:, None])[..., None],
        10.0,
        num_bins=lengths,
        covariates={"speed": full.covariates["speed"], "choice": np.where(lengths == 8, "slow", "fast")},
    )
    model = LDNS(2, **SMALL).fit(counts, covariates=["speed", "choice"], num_steps=2, progress=False)
    drawn = model.sample(20, seed=0)
    np.testing.assert_array_equal(drawn.num_bins, np.where(drawn.covariates["choice"] == "slow", 8, 5))
    assert np.isnan(drawn.covariates["speed"][drawn.num_bins == 5, 5:]).all()
    assert model.sample(2, covariates={"speed": np.zeros((6, 1))}, seed=0).num_bins.tolist() == [6, 6]
    with pytest.raises(ValueError, match=r"covariates\['speed'\] has 6 bins; the trials have up to 8"):
        model.sample(2, covariates={"speed": np.zeros((6, 1))}, durations=0.08)


# ---- bad input ---------------------------------------------------------------------------------


def test_short_trials_are_the_same_beside_long_ones():
    rng, lengths = np.random.default_rng(0), np.resize([5, BINS], 120)
    inside = (np.arange(BINS) < lengths[:, None])[..., None]
    speed = np.where(inside, 1.0 + rng.normal(size=(120, BINS, 1)), np.nan)
    spikes = rng.poisson(np.exp(0.5 * np.nan_to_num(speed) * np.linspace(-1, 1, UNITS))) * inside
    counts = SpikeCounts(spikes, 10.0, num_bins=lengths, covariates={"speed": speed})
    steps = {"autoencoder": 40, "refit": 5, "denoiser": 60}
    model = LDNS(4, **SMALL).fit(counts, covariates=["speed"], num_steps=steps, progress=False)
    # Of seed 5, the first three trials are short, and others are not.
    few, many = model.sample_latents(3, seed=5), model.sample_latents(20, seed=5)
    assert few.shape[1] == 5
    assert many.shape[1] == BINS
    np.testing.assert_allclose(few, many[:3, :5], atol=1e-5)


def test_covariates_that_cannot_be_conditions(counts):
    bad = {
        "names trials rather than conditions": [f"t{k}" for k in range(TRIALS)],
        "is 3.0 in all trials": np.full(TRIALS, 3.0),
        "is unknown in all trials": np.full(TRIALS, np.nan),
    }
    for message, values in bad.items():
        with pytest.raises(ValueError, match=rf"covariates\['x'\] .*{message}"):
            Conditions.of(counts.with_covariates(x=values), ["x"], True)
    with pytest.raises(KeyError, match="counts has no 'contrast'; it has 'side', 'speed'"):
        LDNS().fit(counts, covariates=["contrast"])
    with pytest.raises(TypeError, match="a list of names, or a mapping from names"):
        LDNS().fit(counts, covariates="side")
    with pytest.raises(ValueError, match="must be of kind 'categorical', 'continuous', 'circular'; got 'angle'"):
        LDNS().fit(counts, covariates={"side": "angle"})
    with pytest.raises(ValueError, match="holds text; a continuous covariate holds numbers"):
        LDNS().fit(counts, covariates={"side": "continuous"})
    with pytest.raises(ValueError, match="angles are taken in radians"):
        Conditions.of(counts.with_covariates(x=np.linspace(0, 359, TRIALS)), {"x": "circular"}, True)
    with pytest.raises(ValueError, match="2 columns; a categorical covariate has one"):
        Conditions.of(counts.with_covariates(x=np.ones((TRIALS, 2))), {"x": "categorical"}, True)
    bare = SpikeCounts(counts.counts, 10.0)
    with pytest.raises(KeyError, match="validation has no covariate 'side'"):
        LDNS(**SMALL).fit(counts, covariates=["side"], validation=bare, num_steps=1, progress=False)


@pytest.mark.parametrize(
    ("covariates", "message"),
    [
        ({"contrast": 1.0}, r"fitted without 'contrast'; it knows side \(categorical: 'left', 'right'\); speed"),
        ({"side": "up"}, "is 'up' in trial 0; the model has seen 'left', 'right'"),
        ({"side": 1.0}, "is 1.0 in trial 0; the model has seen 'left', 'right'"),
        ({"side": ["left"] * 2}, r"must have shape \(3\), or \(\) for the same in all trials; got \(2,\)"),
        ({"speed": np.zeros((2, BINS, 1))}, r"must have shape \(3, bins, 1\), or \(bins, 1\) .*; got \(2, 8, 1\)"),
        ({"speed": np.zeros((3, BINS))}, r"must have shape \(3, bins, 1\)"),
        ({"speed": np.full((3, BINS, 1), 50.0)}, "is 50 in trial 0; the model saw -1 to 1 .* same unit"),
        ({"speed": np.full((3, BINS, 1), "fast")}, "must hold numbers"),
        ({"speed": np.full((3, BINS, 1), np.inf)}, "must be finite"),
        ({"speed": np.zeros((3, BINS + 2, 1))}, "locked to trials of at most 0.08 s"),
        ({SESSION_TIME: 1e5}, "is 100000 in trial 0; the model saw 0 to 995"),
    ],
)
def test_conditions_that_cannot_be_drawn_for(model, covariates, message):
    with pytest.raises(ValueError, match=message):
        model.sample(3, covariates=covariates)


def test_other_bad_requests(model, counts):
    with pytest.raises(TypeError, match="covariates must map names to values; got list"):
        model.sample(3, covariates=["left", "left", "right"])
    with pytest.raises(ValueError, match="guidance must be a number of at least 0; got -1"):
        model.sample(3, guidance=-1)
    with pytest.raises(ValueError, match="session=True sets 'session_time_s'"):
        model.sample(3, session=True, covariates={SESSION_TIME: 0.0})
    with pytest.warns(UserWarning, match=r"is 1.2 in trial 0; the model saw -1 to 1; beyond, it extrapolates"):
        model.sample(1, covariates={"speed": np.full((BINS, 1), 1.2)}, seed=0)
    timeless = Conditions.of(counts, ["side"], False)
    with pytest.raises(ValueError, match="needs a model that knows trial time"):
        timeless.asked(3, None, session=True, seed=0)


def test_counts_take_covariates_with_gaps(counts):
    gaps = counts[:4].with_covariates(choice=["a", None, "b", "a"], reaction_s=[0.2, None, 0.3, 0.1])
    assert gaps.covariates["choice"].tolist() == ["a", "", "b", "a"]
    np.testing.assert_array_equal(gaps.covariates["reaction_s"], [0.2, np.nan, 0.3, 0.1])
    assert set(counts.covariates) == {"side", "speed"}
