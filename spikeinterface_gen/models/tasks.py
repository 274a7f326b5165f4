"""What the two stages of LDNS train on, and their losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from spikeinterface_gen.diffusion.denoise import PreconditionedDenoiser, draw_sigmas
from spikeinterface_gen.models.conditions import Conditions, Encoded
from spikeinterface_gen.nn.autoencoder import Autoencoder
from spikeinterface_gen.training import Task, step_generator

__all__ = ["AutoencoderTask", "DenoiserTask", "chunks"]

CHUNK_BINS = 8192

# Shares of the training trials without any condition, and without each of the others by itself: what the model can
# draw trials without, or guide them away from.
_WITHOUT_ALL, _WITHOUT_EACH = 0.2, 0.1


class AutoencoderTask(Task):
    r"""Predict spikes from other spikes of the same trial (coordinated dropout).

    A random part of the entries (trial, bin, unit) is hidden from the encoder and the rest scaled up to make up for
    it; the likelihood counts on the hidden entries alone, so that copying a spike never pays. Entries of a unit are
    hidden in runs of ``hidden_run`` bins, as long as spike history reaches: what its spikes say of those just before
    and after, in bursts and refractory periods, is left to the history, and latents to what units share. The hidden
    share is drawn for each trial from ``dropout_range``: an encoder that has met many shares is at ease with none
    hidden, which is how it is used. With latents z,

    .. math::

        L = \langle \mathrm{nll}(s \mid \lambda) \rangle_\text{hidden}
          + \frac{\beta_1 \lVert z \rVert^2
          + \beta_2 \sum_{k=1}^{5} \sum_t \lVert z_t - z_{t-k} \rVert^2 / (1 + k)}{\text{trials × bins × units}} .

    References
    ----------
    Keshtkaran & Pandarinath, *Enabling hyperparameter optimization in sequential autoencoders for spiking neural data*,
    NeurIPS 2019 (coordinated dropout). Kapoor et al., NeurIPS 2024, eq. 1.
    """

    train_counts: Tensor
    train_mask: Tensor | None
    held_out_counts: Tensor
    held_out_mask: Tensor | None

    def __init__(
        self,
        network: Autoencoder,
        train: Tensor,
        train_mask: Tensor | None,
        held_out: Tensor,
        held_out_mask: Tensor | None,
        nll: Callable[[Tensor, Tensor], Tensor],
        *,
        name: str,
        dropout_range: tuple[float, float],
        hidden_run: int,
        l2_penalty: float,
        smoothness_penalty: float,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.nll = nll
        self.dropout_range = dropout_range
        self.hidden_run = hidden_run
        self.l2_penalty = l2_penalty
        self.smoothness_penalty = smoothness_penalty
        self.batch_size = batch_size
        self.seed = seed
        self.register_buffer("train_counts", train, persistent=False)
        self.register_buffer("train_mask", train_mask, persistent=False)
        self.register_buffer("held_out_counts", held_out, persistent=False)
        self.register_buffer("held_out_mask", held_out_mask, persistent=False)

    def loss(self, generator: torch.Generator) -> Tensor:
        index = _batch(len(self.train_counts), self.batch_size, generator)
        mask = None if self.train_mask is None else self.train_mask[index]
        return self._loss(self.network, self.train_counts[index], mask, generator, penalties=True)

    def held_out_loss(self, network: nn.Module) -> Tensor:
        total, weight = self.held_out_counts.new_zeros((), dtype=torch.float32), 0
        for k, part in enumerate(chunks(len(self.held_out_counts), self.held_out_counts.shape[1])):
            mask = None if self.held_out_mask is None else self.held_out_mask[part]
            # The same entries hidden at every evaluation.
            generator = step_generator(self.seed, "held-out", k, self.held_out_counts.device)
            s = self.held_out_counts[part]
            total = total + len(s) * self._loss(network, s, mask, generator, penalties=False)
            weight += len(s)
        return total / weight

    def _loss(
        self, network: nn.Module, counts: Tensor, mask: Tensor | None, generator: torch.Generator, *, penalties: bool
    ) -> Tensor:
        s = counts.float()
        low, high = self.dropout_range
        share = low + (high - low) * torch.rand(len(s), 1, 1, generator=generator, device=s.device)
        hidden = _runs(s.shape, share, self.hidden_run, generator).float()
        log_expected, z = network(s * (1 - hidden) / (1 - share), mask)
        log_expected, z = log_expected.float(), z.float()
        counted = hidden if mask is None else hidden * mask
        loss = (self.nll(log_expected, s) * counted).sum() / counted.sum().clamp_min(1)
        if not penalties:
            return loss
        entries = s.numel() if mask is None else mask.sum() * s.shape[2]
        if self.l2_penalty:
            loss = loss + self.l2_penalty * z.square().sum() / entries
        if self.smoothness_penalty:
            loss = loss + self.smoothness_penalty * _roughness(z, mask) / entries
        return loss


class DenoiserTask(Task):
    """Denoise standardised latents at all noise levels (weighted EDM loss).

    Noise levels are stratified within a batch, and fixed, with their noise, for the held-out latents. Conditions are
    left out at random, all together or one by one, and those of a trial are known to within a little noise. Of windows
    of a recording without trials, all but ``max_shift`` bins are shown, from a random one on: as recordings could have
    been cut anywhere, there is more to learn from.
    """

    name = "denoiser"
    train_latents: Tensor
    train_mask: Tensor | None
    held_out_latents: Tensor
    held_out_mask: Tensor | None
    held_out_noise: Tensor
    held_out_sigmas: Tensor
    train_constant: Tensor
    train_varying: Tensor
    held_out_constant: Tensor
    held_out_varying: Tensor
    jitter: Tensor
    says_known: Tensor
    constant_group: Tensor
    varying_group: Tensor

    def __init__(
        self,
        network: PreconditionedDenoiser,
        train: Tensor,
        train_mask: Tensor | None,
        held_out: Tensor,
        held_out_mask: Tensor | None,
        *,
        batch_size: int,
        seed: int,
        max_shift: int = 0,
        conditions: tuple[Conditions, Encoded, Encoded] | None = None,
    ) -> None:
        super().__init__()
        self.network: PreconditionedDenoiser = network
        self.batch_size = batch_size
        self.max_shift = max_shift
        # Few held-out trials are shown at several noise levels each, for a loss that early stopping can trust.
        repeats = -(-512 // len(held_out))
        held_out = held_out.repeat(repeats, 1, 1)
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("train_latents", train, persistent=False)
        self.register_buffer("train_mask", train_mask, persistent=False)
        self.register_buffer("held_out_latents", held_out, persistent=False)
        mask = None if held_out_mask is None else held_out_mask.repeat(repeats, 1, 1)
        self.register_buffer("held_out_mask", mask, persistent=False)
        self.register_buffer("held_out_noise", torch.randn(held_out.shape, generator=generator), persistent=False)
        u = _stratified(len(held_out), generator)[torch.randperm(len(held_out), generator=generator)]
        self.register_buffer("held_out_sigmas", draw_sigmas(u), persistent=False)
        self.conditional = conditions is not None
        if conditions is not None:
            known, *encoded = conditions
            for name, part, copies in zip(("train", "held_out"), encoded, (1, repeats), strict=True):
                self.register_buffer(f"{name}_constant", torch.from_numpy(part.constant).repeat(copies, 1), False)
                self.register_buffer(f"{name}_varying", torch.from_numpy(part.varying).repeat(copies, 1, 1), False)
            self.register_buffer("jitter", torch.from_numpy(known.jitter), persistent=False)
            self.num_conditions = len(known.covariates)
            for name, group in zip(("constant_group", "varying_group"), known.groups, strict=True):
                self.register_buffer(name, torch.from_numpy(group), persistent=False)
            self.register_buffer("says_known", torch.from_numpy(known.says_known[0]), persistent=False)

    def loss(self, generator: torch.Generator) -> Tensor:
        # With replacement: a batch is of full size also where the trials are few.
        device = self.train_latents.device
        index = torch.randint(len(self.train_latents), (self.batch_size,), generator=generator, device=device)
        shown = self._shown(index, generator)
        x = shown(self.train_latents[index])
        mask = None if self.train_mask is None else shown(self.train_mask[index])
        sigma = draw_sigmas(_stratified(len(x), generator))
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        condition = None
        if self.conditional:
            constant, varying = self._condition(index, generator)
            condition = constant, shown(varying)
        return self.network.loss(x, sigma, noise, mask, condition).mean()

    def _shown(self, index: Tensor, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        """What leaves values of these trials, shape (batch, bins, …), the bins that are shown."""
        if not self.max_shift:
            return lambda values: values
        device, num_shown = index.device, self.train_latents.shape[1] - self.max_shift
        first = torch.randint(self.max_shift + 1, (len(index), 1), generator=generator, device=device)
        if self.train_mask is not None:
            # Of a window that ends early, padding is shown only where there is nothing else.
            num_bins = self.train_mask[index].sum(dim=1).long()
            first = torch.minimum(first, (num_bins - num_shown).clamp_min(0))
        bins = first[..., None] + torch.arange(num_shown, device=device)[:, None]
        return lambda values: values.gather(1, bins.expand(-1, -1, values.shape[2]))

    def _condition(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Conditions of these trials, with noise, and some left out."""
        constant, varying = self.train_constant[index], self.train_varying[index]
        noise = self.jitter * torch.randn(constant.shape, generator=generator, device=constant.device)
        constant = constant + noise * constant[:, self.says_known]
        u = torch.rand((len(index), self.num_conditions + 1), generator=generator, device=constant.device)
        kept = ((u[:, :1] >= _WITHOUT_ALL) & (u[:, 1:] >= _WITHOUT_EACH)).to(constant.dtype)
        return constant * kept[:, self.constant_group], varying * kept[:, None, self.varying_group]

    def held_out_loss(self, network: nn.Module) -> Tensor:
        denoiser = cast(PreconditionedDenoiser, network)
        losses = []
        for part in chunks(len(self.held_out_latents), self.held_out_latents.shape[1]):
            mask = None if self.held_out_mask is None else self.held_out_mask[part]
            x, sigma = self.held_out_latents[part], self.held_out_sigmas[part]
            condition = (self.held_out_constant[part], self.held_out_varying[part]) if self.conditional else None
            losses.append(denoiser.loss(x, sigma, self.held_out_noise[part], mask, condition))
        return torch.cat(losses).mean()


def chunks(num_trials: int, num_bins: int) -> list[slice]:
    """Slices of trials of about ``CHUNK_BINS`` bins each: what is evaluated at once."""
    size = max(1, CHUNK_BINS // num_bins)
    return [slice(start, start + size) for start in range(0, num_trials, size)]


def _batch(num_trials: int, batch_size: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(num_trials, generator=generator, device=generator.device)[:batch_size]


def _stratified(size: int, generator: torch.Generator) -> Tensor:
    """One uniform in each of ``size`` equal parts of (0, 1)."""
    steps = torch.arange(size, device=generator.device)
    u = (steps + torch.rand(size, generator=generator, device=generator.device)) / size
    return u.clamp(1e-4, 1 - 1e-4)


def _runs(shape: torch.Size, share: Tensor, run: int, generator: torch.Generator) -> Tensor:
    """A random ``share`` of the entries, shape (trials, bins, units), in runs of so many bins that begin anywhere."""
    trials, bins, units = shape
    device = share.device
    begun = torch.randint(run, (trials, 1), generator=generator, device=device)
    number = (torch.arange(bins, device=device) + begun) // run
    chosen = torch.rand((trials, (bins - 1) // run + 2, units), generator=generator, device=device) < share
    return chosen.gather(1, number[..., None].expand(shape))


def _roughness(z: Tensor, mask: Tensor | None) -> Tensor:
    """Squared differences over lags of 1 to 5 bins, summed with weights 1/(1 + lag)."""
    total = z.new_zeros(())
    for lag in range(1, min(6, z.shape[1])):
        squares = (z[:, lag:] - z[:, :-lag]).square()
        total = total + (squares if mask is None else squares * mask[:, lag:]).sum() / (1 + lag)
    return total
