"""The code of the LDNS paper and this package, on one machine in one run: training steps and sampling, on Lorenz.

    python benchmarks/reference_code.py CHECKOUT [--trials 32] [--rounds 3]

``CHECKOUT`` is a folder with https://github.com/mackelab/LDNS, whose networks need the packages einops and diffusers.
Theirs are the networks, batches and epochs of its configuration for Lorenz (128 units, 256 bins, 3500 training trials);
ours are the bundled model's, which learned from the same trials. Untrained networks cost what trained ones cost.
Medians over rounds in which both take their turn.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from _record import record

from spikeinterface_gen import LDNS, load_dataset, load_model
from spikeinterface_gen.models import denoiser_fit, ldns_fit
from spikeinterface_gen.models.ldns_networks import build_networks
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.optimizer import DenseMuon
from spikeinterface_gen.training import step_generator

UNITS, BINS, TRAINING_TRIALS = 128, 256, 3500
# Of conf/autoencoder-Lorenz_z=8.yaml and conf/diffusion_Lorenz.yaml.
BATCH, LATENTS, CHANNELS, DENOISER_CHANNELS, BLOCKS = 512, 8, 256, 64, 4
EPOCHS = {"autoencoder": 200, "denoiser": 1000}
DIFFUSION_STEPS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--trials", type=int, default=32, help="trials that the reference code draws")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sys.path.insert(0, str(options.checkout))
    contenders = {"reference": reference(options.trials), "ours": ours()}
    seconds = {name: {what: [] for what in timed} for name, timed in contenders.items()}
    for _ in range(options.rounds):
        for name, timed in contenders.items():
            for what, (run, trials) in timed.items():
                started = time.perf_counter()
                run()
                seconds[name][what].append((time.perf_counter() - started) / trials)
    milliseconds = {
        name: {what: round(1000 * float(np.median(values)), 4) for what, values in timed.items()}
        for name, timed in seconds.items()
    }
    theirs, own = milliseconds["reference"], milliseconds["ours"]
    record(
        "reference_code",
        {
            "ms a trial": milliseconds,
            "times faster": {what: round(theirs[what] / own[what], 2) for what in own},
            "training as published, hours": round(
                sum(n * theirs[f"{stage}, training step"] for stage, n in EPOCHS.items()) * TRAINING_TRIALS / 3.6e6, 2
            ),
        },
    )


def reference(trials: int) -> dict[str, tuple[Callable[[], object], int]]:
    """What to time of the reference code, with the trials that each call treats."""
    from diffusers import DDPMScheduler
    from ldns.networks import AutoEncoder, CountWrapper, Denoiser

    autoencoder = CountWrapper(
        AutoEncoder(C_in=UNITS, C=CHANNELS, C_latent=LATENTS, L=BINS, num_blocks=BLOCKS, num_blocks_decoder=0)
    )
    denoiser = Denoiser(C_in=LATENTS, C=DENOISER_CHANNELS, L=BINS, num_blocks=BLOCKS)
    scheduler = DDPMScheduler(num_train_timesteps=DIFFUSION_STEPS)
    counts = torch.poisson(torch.full((BATCH, UNITS, BINS), 0.14))
    latents = torch.randn(BATCH, LATENTS, BINS)
    optimizers = [torch.optim.AdamW(network.parameters(), lr=1e-3) for network in (autoencoder, denoiser)]

    def train_autoencoder() -> None:
        optimizers[0].zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rates, z = autoencoder(counts)
        loss = torch.nn.functional.poisson_nll_loss(rates.float(), counts, log_input=False) + z.float().square().mean()
        loss.backward()
        optimizers[0].step()

    def train_denoiser() -> None:
        optimizers[1].zero_grad()
        noise, t = torch.randn_like(latents), torch.randint(DIFFUSION_STEPS, (BATCH,))
        estimate = denoiser(scheduler.add_noise(latents, noise, t), t)
        torch.nn.functional.smooth_l1_loss(estimate, noise).backward()
        optimizers[1].step()

    @torch.no_grad()
    def sample() -> None:
        z = torch.randn(trials, LATENTS, BINS)
        scheduler.set_timesteps(DIFFUSION_STEPS)
        for t in scheduler.timesteps:
            z = scheduler.step(denoiser(z, torch.full((trials,), int(t))), t, z, return_dict=False)[0]
        torch.poisson(autoencoder.decode(z))

    return {
        "autoencoder, training step": (train_autoencoder, BATCH),
        "denoiser, training step": (train_denoiser, BATCH),
        "sampling": (sample, trials),
    }


def ours() -> dict[str, tuple[Callable[[], object], int]]:
    """The same of this package; a fit learns the spectrum of the latents beside these."""
    counts = load_dataset("lorenz", num_trials=600)
    train, held_out = counts.split((0.9, 0.1), seed=0)
    settings = LDNS().settings()
    networks = build_networks(settings, Population.of(train, BINS), False)
    tasks = [
        ldns_fit._autoencoder_task(networks, settings, train, held_out, 0),
        denoiser_fit.denoiser_task(networks, train, held_out, 0),
    ]
    model = load_model("lorenz")

    def step_of(task) -> Callable[[], None]:
        optimizer = DenseMuon(task.network, learning_rate=1e-3, weight_decay=0.01)
        generator = step_generator(0, task.name, 0, torch.device("cpu"))

        def step() -> None:
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = task.loss(generator)
            loss.backward()
            optimizer.step()

        return step

    return {
        "autoencoder, training step": (step_of(tasks[0]), tasks[0].batch_size),
        "denoiser, training step": (step_of(tasks[1]), tasks[1].batch_size),
        "sampling": (lambda: model.sample(256, seed=0), 256),
    }


if __name__ == "__main__":
    main()
