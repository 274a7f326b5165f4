"""Dials, streaming, running sessions and completion of a fitted model; the posterior against a known one."""

import numpy as np
import pytest
import torch
from scipy.stats import poisson

from spikeinterface_gen import LDNS, SpikeCounts, bits_per_spike
from spikeinterface_gen.diffusion.denoise import GaussianDenoiser
from spikeinterface_gen.diffusion.posterior import GaussianCovariance, posterior_denoiser
from spikeinterface_gen.diffusion.sample import angular
from spikeinterface_gen.models.ldns_networks import build_networks
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.observation.count_model import CountModel
from spikeinterface_gen.observation.synchrony import Synchrony

SMALL = {"channels": 32, "num_blocks": 2, "denoiser_channels": 32, "denoiser_blocks": 1, "history_bins": 3}
BINS, UNITS = 20, 16


def recorded(trials=150, seed=0):
    """Windows of units that share two slow oscillations; trial by trial, a pair of units fires together."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, (trials, 1, 2))
    latents = np.sin(2 * np.pi * np.arange(BINS)[:, None] / 20 + phase)
    weights = np.random.default_rng(1).standard_normal((2, UNITS))
    rates = np.exp(np.log(0.3) + 0.7 * latents @ weights)
    properties = {"area": np.array(["V1"] * 8 + ["CA1"] * 8)}
    names = [f"u{k}" for k in range(UNITS)]
    return SpikeCounts(rng.poisson(rates), 10.0, names, unit_properties=properties, trial_locked=False)


@pytest.fixture(scope="module")
def counts():
    return recorded()


@pytest.fixture(scope="module")
def model(counts):
    """Causal, of windows without a common origin."""
    return LDNS(**SMALL, num_latents=4, causal=True).fit(
        counts, num_steps={"autoencoder": 200, "refit": 1, "denoiser": 200}, progress=False
    )


def correlations(counts):
    return np.corrcoef(counts.counts.reshape(-1, counts.num_units).T)[np.triu_indices(counts.num_units, 1)]


# ---- dials -----------------------------------------------------------------------------------


def test_dials_at_rest_change_nothing(model):
    same = model.adjusted()
    assert same.sha256() == model.sha256()
    assert same.sample(3, seed=1) == model.sample(3, seed=1)


def test_synchrony_that_is_almost_singular_is_kept_at_rest_and_grows_with_the_gain(model):
    # Three units that share almost all within a bin, as what a sorter split does.
    correlation = np.eye(UNITS)
    correlation[:3, :3] = 0.5 + 0.5 * np.eye(3)
    correlation[0, 1] = correlation[1, 0] = 0.998
    learned = model.adjusted()
    count_model = learned.networks_.count_model()
    learned.networks_.set_count_model(CountModel(count_model.history, Synchrony(correlation)))
    assert learned.adjusted().sha256() == learned.sha256()
    few = learned.adjusted(unit_ids=[f"u{k}" for k in (2, 0, 1, 5)])
    kept = learned.networks_.synchrony_correlation
    assert torch.equal(few.networks_.synchrony_correlation, kept[[2, 0, 1, 5]][:, [2, 0, 1, 5]])
    louder = learned.adjusted(correlation_gain=1.4).networks_.count_model().synchrony.correlation
    assert 0.6 < louder[0, 2] < 0.75
    assert np.linalg.eigvalsh(louder)[0] > 0
    np.testing.assert_allclose(np.diag(louder), 1)


def test_correlation_gain_scales_log_rates_and_keeps_mean_rates(model):
    louder = model.adjusted(correlation_gain=1.6)
    before, after = model.sample(300, seed=1), louder.sample(300, seed=1)
    np.testing.assert_allclose(after.rates_hz, before.rates_hz, rtol=0.12)
    assert after.rates_hz.mean() == pytest.approx(before.rates_hz.mean(), rel=0.02)
    # The same latents, so that log rates of all bins are a line of this slope.
    x, y = (np.log(m.sample_rates(20, seed=2)).reshape(-1, UNITS) for m in (model, louder))
    slopes = ((x - x.mean(0)) * (y - y.mean(0))).sum(0) / np.square(x - x.mean(0)).sum(0)
    np.testing.assert_allclose(slopes, 1.6, rtol=1e-3)
    assert np.abs(correlations(after)).mean() > 1.3 * np.abs(correlations(before)).mean()
    flat = model.adjusted(correlation_gain=0.0)
    rates = flat.sample_rates(5, seed=2)
    np.testing.assert_allclose(rates, np.broadcast_to(rates[:1, :1], rates.shape), rtol=1e-4)
    np.testing.assert_allclose(flat.sample(300, seed=1).rates_hz, before.rates_hz, rtol=0.1)


def test_rate_gain_scales_mean_rates(model):
    before, after = model.sample(200, seed=1), model.adjusted(rate_gain=0.5).sample(200, seed=1)
    np.testing.assert_allclose(after.rates_hz, 0.5 * before.rates_hz, rtol=0.12)
    assert after.rates_hz.mean() == pytest.approx(0.5 * before.rates_hz.mean(), rel=0.02)


def test_units_may_be_chosen_and_added(model, tmp_path):
    few = model.adjusted(unit_ids=["u3", "u1"])
    assert few.sample(2, seed=0).unit_ids.tolist() == ["u3", "u1"]
    np.testing.assert_allclose(few.sample_rates(2, seed=0), model.sample_rates(2, seed=0)[:, :, [3, 1]], rtol=1e-5)
    assert few.encode(few.sample(2, seed=0)).shape[-1] == 4
    more = model.adjusted(num_units=40)
    saved = LDNS.load(more.save(tmp_path / "more"))
    drawn = saved.sample(100, seed=0)
    assert drawn.num_units == 40
    assert len(set(drawn.unit_ids.tolist())) == 40
    assert drawn.unit_properties["derived"].tolist() == [False] * 16 + [True] * 24
    source = drawn.unit_properties["source_unit"][16:]
    areas = dict(zip(drawn.unit_ids[:16].tolist(), drawn.unit_properties["area"][:16].tolist(), strict=True))
    assert [areas[unit] for unit in source.tolist()] == drawn.unit_properties["area"][16:].tolist()
    # As strongly shared as by recorded units, and with rates that recorded units have.
    recorded_units, derived = drawn[:, np.arange(40) < 16], drawn[:, np.arange(40) >= 16]
    assert 0.6 < np.abs(correlations(derived)).mean() / np.abs(correlations(recorded_units)).mean() < 1.7
    assert recorded_units.rates_hz.min() * 0.8 < derived.rates_hz.min()
    assert derived.rates_hz.max() < recorded_units.rates_hz.max() * 1.2


def test_dials_are_checked(model):
    with pytest.raises(ValueError, match="rate_gain must be a finite number"):
        model.adjusted(rate_gain=0.0)
    with pytest.raises(ValueError, match="correlation_gain must be"):
        model.adjusted(correlation_gain=np.nan)
    with pytest.raises(ValueError, match="at least the 16 units"):
        model.adjusted(num_units=3)
    with pytest.raises(KeyError, match="not among the 16 units"):
        model.adjusted(unit_ids=["v1"])


# ---- streaming -------------------------------------------------------------------------------


def test_streams_give_what_the_batch_gives(model, counts):
    stream = model.stream()
    latents, rates = model.encode(counts[:2]), model.rates(counts[:2])
    for trial in range(2):
        stream.reset()
        for t in range(BINS):
            z, rate = stream.push(counts.counts[trial, t])
            np.testing.assert_allclose(z, latents[trial, t], rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(rate, rates[trial, t], rtol=1e-3)
    assert stream.num_bins == BINS
    with pytest.raises(ValueError, match="each of the 16 units"):
        stream.push(np.zeros(3))
    with pytest.raises(ValueError, match="not negative"):
        stream.push(np.full(UNITS, -1))


def test_encoders_that_look_ahead_do_not_stream(counts):
    ahead = LDNS(**SMALL).fit(counts[:8], num_steps=1, progress=False)
    with pytest.raises(ValueError, match="causal=True"):
        ahead.stream()


# ---- running sessions ------------------------------------------------------------------------


def test_sessions_run_without_seams(model):
    session = model.run(seed=3)
    blocks = [next(session) for _ in range(40)]
    size = session.block_bins
    assert {block.counts.shape for block in blocks} == {(1, size, UNITS)}
    np.testing.assert_allclose([block.t_starts_s[0] for block in blocks], 0.01 * size * np.arange(40))
    z = np.concatenate([session.latents(k) for k in range(40)])
    step, place = np.abs(np.diff(z, axis=0)).mean(axis=1), np.arange(1, len(z)) % size
    at_borders, inside = step[place == 0], step[place > 2]
    assert abs(at_borders.mean() - inside.mean()) < 4 * inside.std() / np.sqrt(len(at_borders))
    # As much variance, where two windows are mixed, as where there is one.
    near = np.minimum(np.arange(len(z)) % size, size - 1 - np.arange(len(z)) % size)
    ratio = z[near < 4].var(axis=0) / z[near > size // 3].var(axis=0)
    assert 0.7 < ratio.min() <= ratio.max() < 1.4
    rate = np.mean([block.rates_hz for block in blocks])
    assert rate == pytest.approx(model.sample(100, seed=0).rates_hz.mean(), rel=0.2)


def test_blocks_of_a_session_can_be_had_alone_and_gone_on_from(model):
    session = model.run(seed=3)
    first = [next(session) for _ in range(2)]
    snapshot, third = session.snapshot(), next(session)
    np.testing.assert_allclose(model.run(seed=3).latents(2), session.latents(2), atol=1e-5)
    again = model.run(seed=3, snapshot=snapshot)
    assert next(again) == third
    assert next(model.run(seed=3)) == first[0]
    assert next(model.run(seed=4)) != first[0]
    with pytest.raises(ValueError, match="snapshot is of seed 3"):
        model.run(seed=4, snapshot=snapshot)
    with pytest.raises(ValueError, match=r"block_s must be at least 0\.2 s"):
        model.run(block_s=0.05)


def test_models_locked_to_trials_do_not_run(counts):
    locked = LDNS(**SMALL).fit(SpikeCounts(counts.counts[:8], 10.0), num_steps=1, progress=False)
    with pytest.raises(ValueError, match="locked to trials"):
        locked.run()


def test_recordings_without_trials_take_the_steps_that_their_sampler_is_fitted_to(model):
    latents = model.sample_latents(2, seed=0)
    np.testing.assert_array_equal(latents, model.sample_latents(2, seed=0, steps=32))
    assert np.abs(latents - model.sample_latents(2, seed=0, steps=8)).max() > 1e-3
    session = next(model.run(seed=0))
    assert session == next(model.run(seed=0, steps=32))


def test_long_trials_have_the_statistics_of_short_ones(model, counts):
    longer = model.sample(20, durations=16 * 0.2, seed=0)
    assert longer.max_bins == 16 * BINS
    # Of a denoiser trained for 200 steps.
    np.testing.assert_allclose(longer.rates_hz, counts.rates_hz, rtol=0.5)
    assert longer.rates_hz.mean() == pytest.approx(counts.rates_hz.mean(), rel=0.15)
    halves = longer.counts[:, :160].mean(), longer.counts[:, 160:].mean()
    assert halves[0] == pytest.approx(halves[1], rel=0.1)


@pytest.mark.parametrize(
    ("units", "trials", "latents"),
    [(8, 40, 4), (40, 40, 10), (182, 40, 16), (8, 1000, 4), (128, 1000, 16), (182, 1000, 26), (700, 1000, 32)],
)
def test_latents_are_as_many_as_units_and_trials_tell(units, trials, latents):
    counts = SpikeCounts(np.ones((trials, 6, units), np.uint8), 10.0)
    networks = build_networks(LDNS().settings(), Population.of(counts, 6), binary=False)
    assert networks.num_latents == latents


def test_tokens_of_long_windows_hold_no_more_than_the_denoiser_has_channels():
    windows = SpikeCounts(np.ones((8, 1000, 4), np.uint8), 10.0, trial_locked=False)
    networks = build_networks(LDNS().settings(), Population.of(windows, 1000), True)
    assert networks.patch_size * 2 * networks.num_latents <= networks.denoiser_channels
    # Eight windows, but of as many parts as some hundred trials.
    assert Population.of(windows, 1000).num_parts == pytest.approx(125)
    assert Population.of(SpikeCounts(windows.counts, 10.0), 1000).num_parts == 8


# ---- completion ------------------------------------------------------------------------------


def test_posterior_of_a_gaussian_is_the_known_one():
    generator = torch.Generator().manual_seed(0)
    bins, latents = 6, 2
    distance = (torch.arange(bins)[:, None] - torch.arange(bins)).abs()
    covariance = torch.kron(torch.exp(-distance / 3.0), torch.tensor([[1.0, 0.4], [0.4, 0.8]])).double()
    mean = torch.zeros(bins * latents, dtype=torch.float64)
    # The first four bins are seen through a matrix, with noise.
    H = torch.randn(3, latents, generator=generator, dtype=torch.float64)
    noise_variance = 0.3
    seen = (torch.arange(bins) < 4).double()[:, None]
    data = torch.randn(bins, 3, generator=generator, dtype=torch.float64)
    precision = torch.diag(seen[:, 0]).contiguous()
    curvature = torch.einsum("b,ij->bij", seen[:, 0], H.T @ H / noise_variance)

    def likelihood(x):
        gradient = ((data - x @ H.T) @ H / noise_variance) * seen
        return gradient, curvature.expand(len(x), -1, -1, -1)

    information = torch.linalg.inv(covariance) + torch.kron(precision, H.T @ H / noise_variance)
    expected_covariance = torch.linalg.inv(information)
    expected = expected_covariance @ ((data @ H / noise_variance) * seen).flatten()
    operator = GaussianCovariance(*torch.linalg.eigh(covariance))
    denoise = posterior_denoiser(
        GaussianDenoiser(mean, covariance), operator, likelihood, linearisations=1, max_steps=40, tolerance=1e-9
    )
    # The posterior mean at the highest noise is that of the data alone.
    far = denoise(40.0 * torch.randn(3, bins, latents, generator=generator, dtype=torch.float64), torch.full((3,), 4e3))
    torch.testing.assert_close(far.flatten(1), expected.expand(3, -1), atol=5e-3, rtol=0)
    start = torch.randn(3000, bins, latents, generator=generator, dtype=torch.float64)
    drawn = angular(denoise, lambda _: start, 24).flatten(1)
    assert (drawn.mean(0) - expected).abs().max() < 0.08
    assert (torch.cov(drawn.T) - expected_covariance).abs().max() < 0.08


def test_covariance_of_samples_is_that_of_what_they_were_drawn_from():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(6, 6, generator=generator)
    samples = (torch.randn(20000, 6, generator=generator) @ mixing).view(-1, 3, 2)
    sigma, w = torch.tensor([0.7, 30.0]), torch.randn(2, 3, 2, generator=generator)
    covariance = mixing.T @ mixing
    got = GaussianCovariance.of_samples(samples)(w, sigma).flatten(1)
    for k in range(2):
        exact = torch.linalg.inv(torch.linalg.inv(covariance) + torch.eye(6) / sigma[k] ** 2) @ w[k].flatten()
        torch.testing.assert_close(got[k], exact, rtol=0.05, atol=0.05 * float(exact.abs().max()))


def test_completions_keep_what_is_known_and_predict_the_rest(model):
    test = recorded(trials=40, seed=9)
    known = np.zeros(UNITS, bool)
    known[:12] = True
    completed = model.complete(test, known, steps=8, seed=1)
    np.testing.assert_array_equal(completed.counts[..., :12], test.counts[..., :12])
    assert np.any(completed.counts[..., 12:] != test.counts[..., 12:])
    assert completed.annotations["synthetic"] is True
    assert completed.annotations["completion"] == "75.0% of the counts are recorded"
    # What is unknown is not looked at.
    changed = test.counts.copy()
    changed[..., 12:] = 3
    other = SpikeCounts(changed, 10.0, test.unit_ids, trial_locked=False)
    np.testing.assert_array_equal(model.complete(other, known, steps=8, seed=1).counts, completed.counts)
    rates = model.complete_rates(test, known, num_samples=2, steps=8, seed=0)
    score, permuted = (float(bits_per_spike(test, r, scored=~known)) for r in (rates, rates[::-1]))
    assert score > 0.03 > permuted


def test_forecasts_follow_the_first_bins(model):
    test = recorded(trials=40, seed=9)
    first = np.arange(BINS) < 12
    rates = model.complete_rates(test, first, num_samples=2, steps=8, seed=0)
    later = np.broadcast_to(~first[:, None], (BINS, UNITS))
    score, permuted = (float(bits_per_spike(test, r, scored=later)) for r in (rates, rates[::-1]))
    assert score > permuted + 0.02
    forecast = model.complete(test, first, steps=8, seed=2)
    np.testing.assert_array_equal(forecast.counts[:, :12], test.counts[:, :12])
    assert np.any(forecast.counts[:, 12:] != model.complete(test, first, steps=8, seed=3).counts[:, 12:])
    with pytest.raises(TypeError, match="known must be boolean"):
        model.complete(test, np.arange(12))
    with pytest.raises(ValueError, match=r"known must be of shape"):
        model.complete(test, np.ones(7, bool))


def test_trials_longer_than_any_of_the_data_are_completed(model):
    rng = np.random.default_rng(5)
    longer = SpikeCounts(rng.poisson(0.3, (3, 50, UNITS)), 10.0, model.population_.unit_ids, trial_locked=False)
    first = np.arange(50) < 40
    forecast = model.complete(longer, first[:, None], steps=8, seed=2)
    np.testing.assert_array_equal(forecast.counts[:, :40], longer.counts[:, :40])
    assert 0.1 < forecast.counts[:, 40:].mean() < 0.9


def test_bits_per_spike_are_those_of_the_definition(counts):
    rng = np.random.default_rng(0)
    rates_hz = rng.uniform(1.0, 80.0, counts.counts.shape)
    scored = rng.random((BINS, UNITS)) < 0.5
    s, expected = counts.counts[:, scored], rates_hz[:, scored] * 0.01
    mean = np.broadcast_to(np.where(scored, counts.counts, 0).sum((0, 1)) / (150 * scored.sum(0)), (BINS, UNITS))
    gain = poisson.logpmf(s, expected).sum() - poisson.logpmf(s, mean[scored]).sum()
    assert bits_per_spike(counts, rates_hz, scored=scored) == pytest.approx(gain / np.log(2) / s.sum())
    of_units = bits_per_spike(counts, rates_hz, per_unit=True)
    weights = counts.counts.sum((0, 1))
    assert (of_units * weights).sum() / weights.sum() == pytest.approx(bits_per_spike(counts, rates_hz))
    with pytest.raises(ValueError, match="must have the shape of the counts"):
        bits_per_spike(counts, rates_hz[:1])
    with pytest.raises(ValueError, match="nothing that is scored"):
        bits_per_spike(counts, rates_hz, scored=False)
