"""Fits that start from a model of another session: what is carried over, what is not, and that it helps."""

import itertools
import os
import signal

import numpy as np
import pytest
import torch

from spikeinterface_gen import LDNS, SpikeCounts
from spikeinterface_gen.models.base import NotFittedError
from spikeinterface_gen.models.conditions import Conditions
from spikeinterface_gen.models.ldns_networks import build_networks
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.models.transfer import Start, matching_units
from spikeinterface_gen.stage import StageModule
from tests.populations import with_two_slow_latents as session

SMALL = {"channels": 32, "num_blocks": 1, "denoiser_channels": 32, "denoiser_blocks": 1, "history_bins": 2}
QUICK = {"num_steps": 2, "progress": False}


@pytest.fixture(scope="module")
def earlier():
    counts = session(200, unit_properties={"depth_um": np.arange(24.0), "refractory_period_ms": np.full(24, 1.0)})
    return LDNS(4, **SMALL).fit(counts, num_steps={"autoencoder": 150, "refit": 1, "denoiser": 100}, progress=False)


def started(earlier, counts, covariates=None):
    """Networks for ``counts`` before and after weights are carried over."""
    start = Start.of(earlier)
    population, conditions = Population.of(counts, counts.max_bins), Conditions.of(counts, covariates, False)
    settings = start.completed(LDNS(**SMALL).settings())
    fresh, new = (build_networks(settings, population, False, conditions, seed=1) for _ in range(2))
    start.carry_over(new, counts)
    return fresh, new


def test_other_units_begin_anew_and_all_else_is_carried_over(earlier):
    fresh, new = started(earlier, session(units=30, seed=5))
    old = earlier.networks_.state_dict()
    changed, kept = [], []
    for name, value in new.state_dict().items():
        if name in old and old[name].shape == value.shape and torch.equal(old[name], value):
            kept.append(name)
        elif torch.equal(value, fresh.state_dict()[name]):
            changed.append(name)
    begun = [name for name in changed if name.startswith(("autoencoder", "denoiser"))]
    assert begun == ["autoencoder.decoder.outlet.weight", "autoencoder.decoder.outlet.bias"]
    assert "denoiser.network.position" in kept
    # The new inlet is the fresh one in another size, that which the blocks were trained with.
    weight, started_weight = (n.autoencoder.encoder.inlet.weight for n in (fresh, new))
    ratio = started_weight / weight
    torch.testing.assert_close(ratio, ratio[0, 0].expand_as(ratio))
    drive = [
        float(np.linalg.norm(w.detach().numpy() * c.counts.std(axis=(0, 1))))
        for w, c in (
            (earlier.networks_.autoencoder.encoder.inlet.weight, session(200)),
            (started_weight, session(units=30, seed=5)),
        )
    ]
    assert drive[1] == pytest.approx(drive[0], rel=0.3)


def test_the_same_units_are_carried_over_in_any_order(earlier):
    order = np.random.default_rng(0).permutation(24)
    # Another day: properties that are measured on spikes are others.
    properties = {"depth_um": np.arange(24.0)[order], "refractory_period_ms": np.full(24, 2.0)}
    _, new = started(earlier, session(seed=7, unit_ids=order, unit_properties=properties))
    old = earlier.networks_.autoencoder
    torch.testing.assert_close(new.autoencoder.encoder.inlet.weight, old.encoder.inlet.weight[:, order], rtol=0, atol=0)
    torch.testing.assert_close(new.autoencoder.decoder.outlet.bias, old.decoder.outlet.bias[order], rtol=0, atol=0)
    x = torch.randn(3, 20, 24)
    for a, b in zip(new.autoencoder(x[..., order]), old(x), strict=True):
        torch.testing.assert_close(a, b[..., order] if a.shape[-1] == 24 else b)


def test_ids_alone_do_not_make_units_the_same(earlier):
    def same(ids=range(24), **properties):
        return matching_units(earlier.population_, session(unit_ids=list(ids), unit_properties=properties)) is not None

    depths = np.arange(24.0)
    assert same(depth_um=depths)
    assert same(depth_um=depths, area=np.full(24, "CA1"))
    assert not same()
    assert not same(area=np.full(24, "CA1"))
    assert not same(depth_um=depths + 1)
    assert not same(depth_um=depths.astype(str))
    assert not same(refractory_period_ms=np.full(24, 1.0))
    assert not same(range(1, 25), depth_um=depths)


def test_new_conditions_begin_without_effect(earlier):
    side = np.array(["left", "right"])[np.arange(60) % 2]
    speed = np.random.default_rng(0).normal(size=(60, 20, 1))
    counts = session(covariates={"side": side, "speed": speed})
    _, new = started(earlier, counts, ["side", "speed"])
    y, sigma = torch.randn(60, 20, 4), torch.rand(60) + 0.1
    encoded = new.conditions.of_counts(counts)
    condition = (torch.from_numpy(encoded.constant), torch.from_numpy(encoded.varying))
    expected = earlier.networks_.denoiser(y, sigma)
    torch.testing.assert_close(new.denoiser(y, sigma, None, condition), expected)
    torch.testing.assert_close(new.denoiser(y, sigma), expected)

    # A conditional model: the same conditions stay, others begin as its unknown ones.
    conditional = LDNS(**SMALL).fit(counts, covariates=["side", "speed"], **QUICK)
    with torch.no_grad():
        for parameter in conditional.networks_.denoiser.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    y = torch.randn(60, 20, conditional.networks_.num_latents)
    old = conditional.networks_.denoiser
    _, same = started(conditional, counts, ["side", "speed"])
    torch.testing.assert_close(same.denoiser(y, sigma, None, condition), old(y, sigma, None, condition))
    counts = counts.with_covariates(block=np.arange(60) // 15)
    for covariates in (None, ["speed"], ["block", "side"], {"side": None, "speed": "circular"}):
        _, other = started(conditional, counts, covariates)
        torch.testing.assert_close(other.denoiser(y, sigma), old(y, sigma))
    # Of several, each by itself: the side is known still, the block says nothing yet.
    _, other = started(conditional, counts, ["block", "side"])
    drawn_for = other.conditions.of_counts(counts)
    only_side = condition[0] * (torch.from_numpy(conditional.conditions_.groups[0]) == 0)
    torch.testing.assert_close(
        other.denoiser(y, sigma, None, (torch.from_numpy(drawn_for.constant), torch.from_numpy(drawn_for.varying))),
        old(y, sigma, None, (only_side, torch.zeros_like(condition[1]))),
    )


def test_the_time_of_another_session_is_another():
    timed, later = (session(t_starts_s=np.arange(60.0) * (k + 1)) for k in range(2))
    model = LDNS(**SMALL).fit(timed, **QUICK)
    settings = Start.of(model).completed(LDNS(**SMALL).settings())
    weights = []
    for counts in (timed, later):
        conditions = Conditions.of(counts, None, True)
        new = build_networks(settings, Population.of(counts, 20), False, conditions, seed=1)
        Start.of(model).carry_over(new, counts)
        weights.append(new.denoiser.network.constant_inlet.weight)
    assert torch.equal(weights[0], model.networks_.denoiser.network.constant_inlet.weight)
    assert not weights[1].any()


def test_trials_of_other_lengths_keep_what_fits(earlier):
    fresh, new = started(earlier, session(bins=30))
    assert torch.equal(new.denoiser.network.position, fresh.denoiser.network.position)
    assert torch.equal(new.denoiser.network.inlet.weight, earlier.networks_.denoiser.network.inlet.weight)
    # Tokens of two bins: another network.
    fresh, new = started(earlier, session(trials=8, bins=100))
    assert torch.equal(new.denoiser.network.inlet.weight, fresh.denoiser.network.inlet.weight)
    _, new = started(earlier, session(trial_locked=False))
    assert new.denoiser.network.position is None


def test_a_start_helps_where_trials_and_steps_are_few(earlier):
    counts = session(150, units=20, seed=11)
    few, held_out = counts[:25], counts[25:]
    before = earlier.sha256()
    options = {"validation": held_out, "num_steps": 40, "progress": False}
    fresh = LDNS(4, **SMALL).fit(few, **options)
    tuned = LDNS(**SMALL).fit(few, start_from=earlier, **options)
    gain = {
        name: fresh.reports_[name].best_loss - tuned.reports_[name].best_loss for name in ("autoencoder", "denoiser")
    }
    # nats an entry; what there is to gain over constant rates is about 0.1.
    assert 0.005 < gain["autoencoder"] < 0.1
    assert 0.1 < gain["denoiser"] < 0.8
    assert earlier.sha256() == before
    assert tuned.started_from_.sha256 == before
    np.testing.assert_allclose(tuned.sample(200, seed=0).rates_hz.mean(), few.rates_hz.mean(), rtol=0.2)


def test_the_new_model_remembers_what_it_started_from(earlier, tmp_path):
    folder = earlier.save(tmp_path / "earlier")
    settings = {"channels": 32, "num_blocks": 1, "history_bins": 0}
    model = LDNS(**settings).fit(session(units=50, seed=3), start_from=folder, **QUICK)
    # Fifty units would have twelve latents, few trials a denoiser of 64 channels.
    assert (model.networks_.num_latents, model.num_latents) == (4, None)
    for loaded in (model, LDNS.load(model.save(tmp_path / "model"))):
        assert loaded.started_from_ == model.started_from_
        assert loaded.started_from_.sha256 == earlier.sha256()
        assert loaded.sha256() == model.sha256()
        assert loaded.settings() == model.settings()
    for other in (model.fit_conditions(session(units=50, seed=3), **QUICK), model.adjusted(unit_ids=range(30))):
        again = LDNS.load(other.save(tmp_path / "other", overwrite=True))
        assert again.started_from_ == model.started_from_
        assert again.sha256() == other.sha256()
    assert earlier.started_from_ is None
    assert "started_from" not in (folder / "config.json").read_text()


def test_what_a_fit_cannot_start_from(earlier):
    counts = session(seed=1)
    cases = [
        (LDNS(6, **SMALL), counts, r"start_from has num_latents=4; this LDNS has num_latents=6"),
        (
            LDNS(**{**SMALL, "channels": 64}, causal=True),
            counts,
            "channels=32, causal=False; .* channels=64, causal=True",
        ),
        (LDNS(**SMALL), SpikeCounts(counts.counts, 20.0), "bins of 20 ms; start_from was fitted to bins of 10 ms"),
        (LDNS(**SMALL), SpikeCounts(np.minimum(counts.counts, 1), 10.0), "has Poisson counts; these are Bernoulli"),
    ]
    for model, data, message in cases:
        with pytest.raises(ValueError, match=message):
            model.fit(data, start_from=earlier, **QUICK)
        assert not hasattr(model, "networks_")
    binary = SpikeCounts(np.minimum(counts.counts, 1), 10.0)
    LDNS(**SMALL, observation="poisson").fit(binary, start_from=earlier, **QUICK)
    with pytest.raises(ValueError, match="has Bernoulli counts; these are Poisson"):
        LDNS(**SMALL).fit(counts, start_from=LDNS(**SMALL).fit(binary, **QUICK), **QUICK)
    with pytest.raises(NotFittedError):
        LDNS(**SMALL).fit(counts, start_from=LDNS(**SMALL), **QUICK)
    with pytest.raises(TypeError, match=r"start_from must be a fitted LDNS, .*; got dict"):
        LDNS(**SMALL).fit(counts, start_from={}, **QUICK)
    with pytest.raises(FileNotFoundError, match="no bundled model"):
        LDNS(**SMALL).fit(counts, start_from="nowhere", **QUICK)


def test_an_interrupted_fit_goes_on_from_the_same_start_alone(earlier, tmp_path, monkeypatch):
    counts, options = session(seed=2), {"num_steps": 8, "progress": False}
    whole = LDNS(**SMALL).fit(counts, start_from=earlier, **options)
    after_step, steps = StageModule.on_train_batch_end, itertools.count(1)

    def interrupting(self, *args):
        after_step(self, *args)
        if next(steps) == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(StageModule, "on_train_batch_end", interrupting)
        with pytest.raises(KeyboardInterrupt):
            LDNS(**SMALL).fit(counts, start_from=earlier, checkpoint=tmp_path / "c", **options)
    for other in (None, whole):
        with pytest.raises(ValueError, match="belongs to a fit that began from another model, or from none"):
            LDNS(4, **SMALL).fit(counts, start_from=other, checkpoint=tmp_path / "c", **options)
    resumed = LDNS(**SMALL).fit(counts, start_from=earlier, checkpoint=tmp_path / "c", **options)
    assert resumed.sha256() == whole.sha256()
