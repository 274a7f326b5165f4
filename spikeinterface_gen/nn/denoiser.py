"""The network inside the denoiser: noisy and filtered latents and the noise level in, what is beyond them out."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from spikeinterface_gen.nn.blocks import Block
from spikeinterface_gen.nn.ssm import StateSpace

__all__ = ["DenoiserNetwork", "in_bfloat16"]


class DenoiserNetwork(nn.Module):
    """Residual state-space network over tokens of ``patch_size`` bins.

    Latents are smooth, so that neighbouring bins carry much the same: joining ``patch_size`` of them into one token
    loses nothing (it is a reshape) and makes a step cheaper by that factor.

    Parameters
    ----------
    num_latents : int
    num_bins : int
        Bins of a trial, for the position embedding.
    channels, num_blocks : int
        Width and depth.
    patch_size : int
        Bins in a token.
    trial_locked : bool
        Whether bins have a meaning of their own: then each token has a learned position embedding. Without it the
        network is shift-invariant and takes any length.
    num_constant, num_varying : int
        Features of the condition: of a trial, which modulate the blocks with the noise level, and of each bin, which
        come in beside the latents.
    """

    def __init__(
        self,
        num_latents: int,
        num_bins: int,
        *,
        channels: int = 128,
        num_blocks: int = 4,
        patch_size: int = 1,
        trial_locked: bool = True,
        dropout: float = 0.0,
        num_constant: int = 0,
        num_varying: int = 0,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.inlet = nn.Linear(2 * num_latents * patch_size, channels)
        self.position: nn.Parameter | None = None
        if trial_locked:
            self.position = nn.Parameter(torch.zeros(-(-num_bins // patch_size), channels))
        self.noise_embedding = nn.Sequential(
            nn.Linear(64, channels), nn.SiLU(), nn.Linear(channels, channels), nn.SiLU()
        )
        self.blocks = nn.ModuleList(
            Block(channels, bidirectional=True, embedding_size=channels, dropout=dropout) for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(channels)
        self.outlet = nn.Linear(channels, num_latents * patch_size)
        nn.init.zeros_(self.outlet.weight)
        nn.init.zeros_(self.outlet.bias)
        self.constant_inlet: nn.Linear | None = None
        if num_constant:
            self.constant_inlet = nn.Linear(num_constant, channels)
            self.constant_outlet = nn.Linear(channels, channels)
        self.varying_inlet: nn.Linear | None = None
        if num_varying:
            self.varying_inlet = nn.Linear(num_varying * patch_size, channels, bias=False)

    def forward(
        self, x: Tensor, c_noise: Tensor, mask: Tensor | None = None, condition: tuple[Tensor, ...] | None = None
    ) -> Tensor:
        """Map x to shape (batch, bins, latents).

        Parameters
        ----------
        x : Tensor, shape (batch, bins, 2 · latents)
            Noisy latents, scaled to unit variance, and filtered ones.
        c_noise : Tensor, shape (batch,)
            Noise levels.
        mask : Tensor, shape (batch, bins, 1), optional
            1 in valid bins.
        condition : (Tensor, Tensor), optional
            Features of the trials, shape (batch, num_constant), and of their bins, shape (batch, bins, num_varying).
            Zeros, which it is without, stand for an unknown condition.
        """
        batch, num_bins, num_features = x.shape
        x = x.to(self.outlet.weight.dtype)
        excess = -num_bins % self.patch_size
        if excess:
            x = nn.functional.pad(x, (0, 0, 0, excess))
        tokens = x.reshape(batch, -1, num_features * self.patch_size)
        h = self.inlet(tokens)
        if self.position is not None:
            if tokens.shape[1] > len(self.position):
                raise ValueError(
                    f"this model is locked to trials of at most {len(self.position) * self.patch_size} bins; "
                    f"got {num_bins}. Only models of recordings without trials can run longer."
                )
            h = h + self.position[: tokens.shape[1]]
        token_mask = None
        if mask is not None:
            if excess:
                mask = nn.functional.pad(mask, (0, 0, 0, excess))
            token_mask = mask.reshape(batch, -1, self.patch_size).amax(dim=-1, keepdim=True).to(x.dtype)
        if self.varying_inlet is not None and condition is not None:
            varying = nn.functional.pad(condition[1], (0, 0, 0, excess)) if excess else condition[1]
            h = h + self.varying_inlet(varying.reshape(batch, tokens.shape[1], -1).to(x.dtype))
        embedding = self._embedding(c_noise, None if condition is None else condition[0])
        for block in self.blocks:
            h = block(h, embedding, token_mask)
        return self.outlet(self.norm(h)).reshape(batch, -1, num_features // 2)[:, :num_bins]

    def _embedding(self, c_noise: Tensor, constant: Tensor | None) -> Tensor:
        """What modulates the blocks: the noise level, and what is constant over a trial."""
        sinusoids = _sinusoids(c_noise).to(self.outlet.weight.dtype)
        if self.constant_inlet is None:
            return self.noise_embedding(sinusoids)
        if constant is None:
            constant = sinusoids.new_zeros(len(sinusoids), self.constant_inlet.in_features)
        # Joined before the last nonlinearity: what a condition does may depend on the noise level.
        h = self.constant_outlet(nn.functional.silu(self.constant_inlet(constant.to(sinusoids.dtype))))
        return self.noise_embedding[3](self.noise_embedding[:3](sinusoids) + h)


def in_bfloat16(network: DenoiserNetwork) -> DenoiserNetwork:
    """A copy that computes in bfloat16, but for the kernels over bins, which follow from exponentials."""
    twin = copy.deepcopy(network)
    for module in twin.modules():
        if not isinstance(module, StateSpace):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.bfloat16()
    return twin


def _sinusoids(c_noise: Tensor, size: int = 64) -> Tensor:
    """Sines and cosines of ``c_noise``, shape (batch,), at frequencies 1 to 50: (batch, size)."""
    frequencies = torch.exp(torch.linspace(0.0, math.log(50.0), size // 2, device=c_noise.device))
    angles = c_noise[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
