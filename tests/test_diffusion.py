"""Samplers against Gaussian data, whose denoiser and whose solution are known, and against diffusers."""

import diffusers
import pytest
import torch

from spikeinterface_gen.diffusion.denoise import GaussianDenoiser, PreconditionedDenoiser, draw_sigmas
from spikeinterface_gen.diffusion.modes import inverse_cosine_transform
from spikeinterface_gen.diffusion.noise import KarrasSchedule, LinearBetaSchedule
from spikeinterface_gen.diffusion.sample import SAMPLERS, angular, ddim, ddpm, dpmpp, heun
from spikeinterface_gen.nn.denoiser import DenoiserNetwork

MEAN = torch.tensor([0.5, -1.0, 0.0])
COVARIANCE = torch.tensor([[1.0, 0.6, 0.0], [0.6, 1.5, -0.3], [0.0, -0.3, 0.4]])


def noise_from(seed, shape):
    generator = torch.Generator().manual_seed(seed)
    return lambda draw: torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("sampler", "steps", "tolerance"), [(heun, 100, 5e-3), (dpmpp, 200, 5e-3), (angular, 400, 5e-3)]
)
def test_deterministic_samplers_solve_the_flow_of_a_gaussian(sampler, steps, tolerance):
    schedule = KarrasSchedule(sigma_min=1e-2, sigma_max=40.0)
    denoiser = GaussianDenoiser(MEAN, COVARIANCE)
    start = noise_from(0, (50, 1, 3))(0)
    samples = sampler(denoiser, lambda draw: start, steps, schedule)[:, 0]
    # Along each direction of variance v, dx/dσ = σ (x − mean)/(v + σ²) shrinks a deviation by √(v/(v + σ²)).
    gain = (denoiser.variances / (denoiser.variances + 40.0**2)).sqrt()
    deviation = (40.0 * start[:, 0] - denoiser.mean) @ denoiser.directions
    expected = denoiser.mean + (deviation * gain) @ denoiser.directions.T
    assert (samples - expected).abs().max() < tolerance


@pytest.mark.parametrize(("steps", "tolerance"), [(8, 0.07), (12, 0.006)])
def test_angular_steps_keep_the_variance_of_every_direction(steps, tolerance):
    variances = torch.tensor([0.1, 0.3, 1.0, 3.0, 10.0, 40.0], dtype=torch.float64)
    denoiser = GaussianDenoiser(torch.zeros(6), variances.diag())
    # One unit of noise at a time: the map is linear, and the squares of its columns sum to the variances.
    columns = angular(denoiser, lambda draw: torch.eye(6, dtype=torch.float64)[:, None], steps)[:, 0]
    assert (columns.square().sum(0) / variances - 1).abs().max() < tolerance
    # The multistep solver is of higher order and does worse at so few.
    others = dpmpp(denoiser, lambda draw: torch.eye(6, dtype=torch.float64)[:, None], steps)[:, 0]
    assert (others.square().sum(0) / variances - 1).abs().max() > 0.1


@pytest.mark.parametrize(
    ("name", "steps"), [("angular", 12), ("dpmpp", 40), ("heun", 30), ("ddim", 100), ("ddpm", 1000)]
)
def test_samplers_reproduce_mean_and_covariance(name, steps):
    number = 4000
    samples = SAMPLERS[name](GaussianDenoiser(MEAN, COVARIANCE), noise_from(1, (number, 1, 3)), steps)[:, 0]
    # Five standard errors, and 2 % for the few steps.
    assert (samples.mean(0) - MEAN).abs().max() < 5 * 1.5**0.5 / number**0.5 + 0.02
    assert (torch.cov(samples.T) - COVARIANCE).abs().max() < 5 * 1.5 * (2 / number) ** 0.5 + 0.03


def test_ddpm_takes_the_steps_of_diffusers():
    scheduler = diffusers.DDPMScheduler(
        num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02, prediction_type="sample", clip_sample=False
    )
    torch.testing.assert_close(LinearBetaSchedule().betas().float(), scheduler.betas)
    denoiser = GaussianDenoiser(MEAN, COVARIANCE)
    draws = [torch.randn(4, 1, 3, generator=torch.Generator().manual_seed(k)) for k in range(1000)]
    ours = ddpm(denoiser, lambda draw: draws[draw])

    y = draws[0]
    for t in range(999, -1, -1):
        bar = scheduler.alphas_cumprod[t]
        estimate = denoiser(y / bar.sqrt(), y.new_full((4,), float(((1 - bar) / bar).sqrt())))
        # Without noise of its own: its mean, to which the same draw is added.
        torch.manual_seed(0)
        drawn = torch.randn(y.shape)
        torch.manual_seed(0)
        stepped = scheduler.step(estimate, t, y).prev_sample
        if t:
            scale = scheduler._get_variance(t).sqrt()
            stepped = stepped + scale * (draws[1000 - t] - drawn)
        y = stepped
    torch.testing.assert_close(ours, y, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [8, 50])
def test_ddim_takes_the_steps_of_diffusers(steps):
    scheduler = diffusers.DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=1e-4,
        beta_end=0.02,
        prediction_type="sample",
        clip_sample=False,
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(steps)
    denoiser, start = GaussianDenoiser(MEAN, COVARIANCE), noise_from(5, (4, 1, 3))(0).float()
    y = start
    for t in scheduler.timesteps:
        bar = scheduler.alphas_cumprod[t]
        estimate = denoiser(y / bar.sqrt(), y.new_full((4,), float(((1 - bar) / bar).sqrt())))
        y = scheduler.step(estimate, t, y).prev_sample
    torch.testing.assert_close(ddim(denoiser, lambda draw: start, steps), y, rtol=1e-4, atol=1e-4)


def test_heun_takes_the_steps_of_diffusers():
    scheduler = diffusers.HeunDiscreteScheduler(use_karras_sigmas=True, prediction_type="epsilon")
    scheduler.set_timesteps(9)
    sigmas = scheduler.sigmas
    schedule = KarrasSchedule(sigma_min=float(sigmas[-2]), sigma_max=float(sigmas[0]))
    denoiser, start = GaussianDenoiser(MEAN, COVARIANCE), noise_from(6, (4, 1, 3))(0).float()
    x = start * float(sigmas[0])
    for k, t in enumerate(scheduler.timesteps):
        # Every evaluation but the last is made at the noise level that the step has come to.
        sigma = sigmas[k]
        x = scheduler.step((x - denoiser(x, sigma.expand(4))) / sigma, t, x).prev_sample
    torch.testing.assert_close(heun(denoiser, lambda draw: start, 9, schedule), x, rtol=1e-3, atol=1e-3)


def test_ddim_does_to_a_gaussian_what_its_strides_say():
    variances = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64)
    denoiser, steps = GaussianDenoiser(torch.zeros(3), variances.diag()), 10
    ratios = LinearBetaSchedule().alphas_cumprod()[torch.arange(999, 0, -100)]
    sigmas = torch.cat([((1 - ratios) / ratios).sqrt(), torch.zeros(1)])
    # A stride from σ to σ' shrinks a direction of variance v by (v + σσ')/(v + σ²).
    gain = ((variances[:, None] + sigmas[1:] * sigmas[:-1]) / (variances[:, None] + sigmas[:-1] ** 2)).prod(dim=1)
    start = torch.ones(1, 1, 3, dtype=torch.float64)
    torch.testing.assert_close(ddim(denoiser, lambda draw: start, steps)[0, 0], gain / ratios[0].sqrt())
    with pytest.raises(ValueError, match="1 to 1000 steps; got 0"):
        ddim(denoiser, lambda draw: start, 0)


def test_dpmpp_takes_the_steps_of_diffusers():
    schedule = KarrasSchedule()
    scheduler = diffusers.DPMSolverMultistepScheduler(
        algorithm_type="dpmsolver++", solver_order=2, prediction_type="sample", lower_order_final=False
    )
    sigmas = schedule.sigmas(9)
    scheduler.set_timesteps(8)
    # diffusers works at y = α x_t with α = 1/√(1 + σ²); its own schedule is replaced by ours.
    scheduler.sigmas = sigmas[:-1].float()
    denoiser = GaussianDenoiser(MEAN, COVARIANCE)
    x = sigmas[0] * noise_from(3, (4, 1, 3))(0)
    ours, last, log_last = x.clone(), None, 0.0
    theirs = x / (1 + sigmas[0] ** 2).sqrt()
    for k in range(7):
        sigma, following = sigmas[k], sigmas[k + 1]
        estimate = denoiser(theirs * (1 + sigma**2).sqrt(), sigma.expand(4))
        theirs = scheduler.step(estimate, scheduler.timesteps[k], theirs).prev_sample
        ours_estimate = denoiser(ours, sigma.expand(4))
        log_ratio = (sigma / following).log()
        slope = ours_estimate if last is None else ours_estimate + log_ratio / (2 * log_last) * (ours_estimate - last)
        ours = following / sigma * ours + (1 - following / sigma) * slope
        last, log_last = ours_estimate, log_ratio
    torch.testing.assert_close(ours, theirs * (1 + sigmas[7] ** 2).sqrt(), rtol=1e-3, atol=1e-3)


def test_schedule_runs_from_high_to_zero():
    sigmas = KarrasSchedule(0.02, 40.0).sigmas(8)
    assert sigmas[0] == pytest.approx(40.0)
    assert sigmas[-2] == pytest.approx(0.02)
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()
    with pytest.raises(ValueError, match="steps must be at least 1; got 0"):
        KarrasSchedule().sigmas(0)


def test_ddpm_refuses_other_step_counts():
    with pytest.raises(ValueError, match="1000 steps of its schedule; got steps=10"):
        ddpm(GaussianDenoiser(MEAN, COVARIANCE), noise_from(0, (1, 1, 3)), 10, LinearBetaSchedule())


def test_untrained_denoiser_is_the_best_for_white_noise():
    torch.manual_seed(0)
    denoiser = PreconditionedDenoiser(DenoiserNetwork(3, 20, channels=16, num_blocks=1), 20, 3)
    y, sigma = torch.randn(5, 20, 3), torch.tensor([0.1, 0.5, 1.0, 3.0, 40.0])
    torch.testing.assert_close(denoiser(y, sigma), y / (1 + sigma**2)[:, None, None])
    x, noise = torch.randn(400, 20, 3), torch.randn(400, 20, 3)
    loss = denoiser.loss(x, draw_sigmas(torch.rand(400)), noise)
    # The network's target has unit variance at every noise level.
    assert float(loss.mean()) == pytest.approx(1.0, abs=0.05)


def test_untrained_denoiser_is_exact_for_independent_gaussian_modes():
    torch.manual_seed(0)
    denoiser = PreconditionedDenoiser(DenoiserNetwork(2, 30, channels=16, num_blocks=1), 30, 2)
    sd = 5.0 * torch.exp(-torch.arange(30) / 6.0)[:, None] * torch.tensor([1.0, 0.3])
    mean = torch.linspace(-1, 1, 30)[:, None].expand(30, 2)
    denoiser.set_modes(mean, sd)
    basis = inverse_cosine_transform(torch.eye(60).view(60, 30, 2)).flatten(1)
    exact = GaussianDenoiser(mean.flatten(), basis.T @ (sd.flatten().square()[:, None] * basis))
    y, sigma = mean + 3 * torch.randn(4, 30, 2), torch.tensor([0.05, 0.5, 2.0, 40.0])
    torch.testing.assert_close(denoiser(y, sigma), exact(y, sigma), rtol=1e-3, atol=1e-3)
    # What is left of each mode, s²σ²/(s² + σ²), with the weight of EDM.
    level = 0.7
    x, noise = mean + (torch.randn(600, 60) * sd.flatten() @ basis).view(600, 30, 2), torch.randn(600, 30, 2)
    left = ((1 + level**2) * sd**2 / (sd**2 + level**2)).mean()
    assert float(denoiser.loss(x, torch.full((600,), level), noise).mean()) == pytest.approx(float(left), rel=0.03)


def test_bins_beyond_the_end_of_a_trial_are_not_filtered_in():
    torch.manual_seed(0)
    denoiser = PreconditionedDenoiser(DenoiserNetwork(3, 22, channels=16, num_blocks=1, patch_size=4), 22, 3)
    for parameter in denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    denoiser.set_modes(torch.randn(22, 3), 3.0 / (1 + torch.arange(22.0)[:, None].expand(22, 3)))
    y, sigma = torch.randn(2, 22, 3), torch.tensor([0.3, 2.0])
    mask = (torch.arange(22) < torch.tensor([[22], [12]])).float()[..., None]
    a, b = denoiser(y, sigma, mask), denoiser(y + 9.0 * (1 - mask), sigma, mask)
    torch.testing.assert_close(a * mask, b * mask)


@pytest.mark.parametrize("patch_size", [1, 4])
def test_padding_of_latents_influences_nothing(patch_size):
    torch.manual_seed(0)
    network = DenoiserNetwork(3, 22, channels=16, num_blocks=2, patch_size=patch_size)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x = torch.randn(2, 22, 6)
    mask = (torch.arange(22) < torch.tensor([[22], [12]])).float()[..., None]
    changed = x.clone()
    changed[1, 12:] += 5.0
    noise = torch.zeros(2)
    torch.testing.assert_close(network(x, noise, mask)[1, :12], network(changed, noise, mask)[1, :12])


def test_padding_does_not_enter_the_loss():
    torch.manual_seed(0)
    denoiser = PreconditionedDenoiser(DenoiserNetwork(3, 22, channels=16, num_blocks=1), 22, 3)
    for parameter in denoiser.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    x, noise, sigma = torch.randn(2, 22, 3), torch.randn(2, 22, 3), torch.tensor([0.3, 2.0])
    mask = (torch.arange(22) < torch.tensor([[22], [12]])).float()[..., None]
    changed = x + 7.0 * (1 - mask)
    torch.testing.assert_close(denoiser.loss(x, sigma, noise, mask), denoiser.loss(changed, sigma, noise, mask))
    short = denoiser.loss(x[1:, :12], sigma[1:], noise[1:, :12])
    torch.testing.assert_close(denoiser.loss(x, sigma, noise, mask)[1:], short)


def test_locked_networks_refuse_longer_trials():
    network = DenoiserNetwork(3, 20, channels=16, num_blocks=1)
    with pytest.raises(ValueError, match="at most 20 bins; got 21"):
        network(torch.zeros(1, 21, 6), torch.zeros(1))
    free = DenoiserNetwork(3, 20, channels=16, num_blocks=1, trial_locked=False)
    assert free(torch.zeros(1, 50, 6), torch.zeros(1)).shape == (1, 50, 3)
