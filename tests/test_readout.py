"""The decoder's last layer, moved towards correlations that are known."""

import numpy as np
import pytest
import torch

from spikeinterface_gen.models.free_runs import FreeRuns
from spikeinterface_gen.models.latent_moments import moments
from spikeinterface_gen.models.readout import fit_readout
from spikeinterface_gen.nn.autoencoder import Decoder

UNITS, LATENTS = 20, 3


def decoders() -> tuple[Decoder, Decoder]:
    """A true one, and one that is driven by its latents four fifths as much."""
    torch.manual_seed(0)
    true = Decoder(LATENTS, UNITS)
    with torch.no_grad():
        true.outlet.weight.normal_(std=0.12)
        true.outlet.bias.fill_(-1.5)
    learned = Decoder(LATENTS, UNITS)
    learned.load_state_dict(true.state_dict())
    with torch.no_grad():
        learned.outlet.weight.mul_(0.8)
    return true, learned


def latents(seed: int, bins: int = 20000) -> np.ndarray:
    """Of bins, and of later ones of which four fifths are what they were."""
    now, new = np.random.default_rng(seed).normal(size=(2, bins, LATENTS))
    return np.stack([now, 0.8 * now + 0.6 * new]).astype(np.float32)


def rates(decoder: Decoder, z: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return decoder(torch.from_numpy(z)).exp().double().numpy()


def correlations(r: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Of Poisson counts of such rates with those of the later bins, off the diagonal."""
    now, later = r - r.mean(axis=(0, 1))
    covariance = now.T @ later / len(now)
    return (covariance + covariance.T) / 2 / np.outer(sd, sd) * ~np.eye(UNITS, dtype=bool)


def sd_of(r: np.ndarray) -> np.ndarray:
    return np.sqrt(r.var(axis=(0, 1)) + r.mean(axis=(0, 1)))


def moved(num_recorded: int, seconds: float = np.inf, share: float = 1.0):
    true, learned = decoders()
    z, before = latents(0), decoders()[1]
    r = rates(learned, z)
    missing = share * (correlations(rates(true, z), sd_of(r)) - correlations(r, sd_of(r)))
    likeliest = learned.outlet.weight.detach().clone()
    fit_readout(learned, likeliest, z, missing, sd_of(r), num_recorded, seconds)
    return true, before, learned


def test_what_is_missing_is_there_afterwards_and_means_stay():
    true, before, after = moved(10**6)
    z = latents(1)
    sd = sd_of(rates(before, z))
    wanted, was, became = (correlations(rates(decoder, z), sd) for decoder in (true, before, after))
    assert np.abs(became - wanted).mean() < 0.35 * np.abs(was - wanted).mean()
    np.testing.assert_allclose(rates(after, z).mean(axis=(0, 1)), rates(before, z).mean(axis=(0, 1)), rtol=0.03)


@pytest.mark.parametrize(("num_recorded", "least", "most"), [(200, 0.0, 0.01), (10**6, 0.05, 0.25)])
def test_few_recorded_bins_move_little(num_recorded, least, most):
    _, before, after = moved(num_recorded)
    z = latents(1)
    # The true log rates are 0.2 · 0.12 · |h| away.
    assert least < np.log(rates(after, z) / rates(before, z)).std(axis=(0, 1)).mean() < most


@pytest.mark.parametrize("arguments", [{"share": 0.0}, {"seconds": 0.0}])
def test_without_need_or_time_nothing_moves(arguments):
    _, before, after = moved(10**6, **arguments)
    for name, value in before.state_dict().items():
        assert torch.equal(value, after.state_dict()[name])


def test_some_of_the_units_move_as_they_would_alone():
    true, learned = decoders()
    z, half = latents(0), slice(5, 15)
    r = rates(learned, z)
    missing = (correlations(rates(true, z), sd_of(r)) - correlations(r, sd_of(r)))[half, half]
    alone = Decoder(LATENTS, 10)
    alone.load_state_dict(
        learned.state_dict() | {f"outlet.{name}": p[half] for name, p in learned.outlet.named_parameters()}
    )
    before = learned.outlet.weight.detach().clone()
    fit_readout(alone, before[half], z, missing, sd_of(r)[half], 10**6, np.inf)
    fit_readout(learned, before[half], z, missing, sd_of(r)[half], 10**6, np.inf, half)
    torch.testing.assert_close(learned.outlet.weight[half], alone.outlet.weight)
    assert (learned.outlet.weight[half] - before[half]).abs().mean() > 1e-3
    assert torch.equal(learned.outlet.weight[:5], before[:5])
    assert torch.equal(learned.outlet.weight[15:], before[15:])


def test_some_free_runs_have_the_moments_of_all():
    rng = np.random.default_rng(0)
    # Trials drift, as where conditions follow the session.
    drift = np.linspace(-1, 1, 400)[:, None, None]
    z = (rng.normal(size=(400, 12, LATENTS)) * [1.0, 2.0, 0.5] + drift).astype(np.float32)
    valid = np.arange(12) < np.resize([12, 8], 400)[:, None]
    runs = FreeRuns(z, valid, moments(z[valid]))
    some = runs.some(50)
    assert some.latents.shape == (50, 12, LATENTS)
    assert some.valid.shape == (50, 12)
    found = moments(some.latents[some.valid])
    np.testing.assert_allclose(found.mean, runs.target.mean, atol=1e-6)
    np.testing.assert_allclose(found.covariance, runs.target.covariance, atol=1e-5)
    # Taken from everywhere, they are hardly moved for it.
    assert np.abs(some.latents - z[np.arange(50) * 8]).mean() < 0.15
    assert some.many is runs
    assert runs.some(400) is runs
