"""Autoencoder of spike counts: encoder to latents, decoder from latents to the logarithm of the rates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikeinterface_gen.nn.blocks import Block

__all__ = ["Autoencoder", "Decoder", "Encoder"]


class Encoder(nn.Module):
    """Counts (batch, bins, units) → latents (batch, bins, latents)."""

    def __init__(
        self,
        num_units: int,
        num_latents: int,
        *,
        channels: int = 128,
        num_blocks: int = 2,
        causal: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.inlet = nn.Linear(num_units, channels)
        self.blocks = nn.ModuleList(
            Block(channels, bidirectional=not causal, dropout=dropout) for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(channels)
        self.outlet = nn.Linear(channels, num_latents)

    def forward(self, s: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map counts ``s`` to latents; ``mask`` (batch, bins, 1) is 1 in valid bins."""
        x = self.inlet(s)
        for block in self.blocks:
            x = block(x, mask=mask)
        z = self.outlet(self.norm(x))
        return z if mask is None else z * mask


class Decoder(nn.Module):
    """Latents (batch, bins, latents) → log of the expected counts (batch, bins, units), bin by bin.

    Each latent is expanded by a small function of its own, and the log rates are a sum over all of them: a nonlinear
    decoder whose latents keep separate meanings. A linear one proved too weak, a wider one memorised.
    """

    def __init__(self, num_latents: int, num_units: int, *, width: int = 16) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(num_latents, width))
        self.shift = nn.Parameter(torch.randn(num_latents, width))
        self.outlet = nn.Linear(num_latents * (width + 1), num_units)
        nn.init.normal_(self.outlet.weight, std=0.1 / (num_latents * width) ** 0.5)
        nn.init.zeros_(self.outlet.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Map latents ``z`` to log expected counts."""
        return self.outlet(self.features(z))

    def features(self, z: Tensor) -> Tensor:
        """What the log rates are linear in, shape (batch, bins, features)."""
        h = nn.functional.silu(z[..., None] * self.scale + self.shift)
        return torch.cat([h, z[..., None]], dim=-1).flatten(-2)


class Autoencoder(nn.Module):
    """Encoder and decoder; the decoder's bias starts at the log of the mean counts.

    Parameters
    ----------
    num_units, num_latents : int
    channels : int
        Width of the encoder.
    num_blocks : int
        Depth of the encoder.
    causal : bool
        Whether latents of a bin depend on no later bin (needed for streaming).
    dropout : float
        Dropout inside the encoder's blocks.
    """

    def __init__(
        self,
        num_units: int,
        num_latents: int,
        *,
        channels: int = 128,
        num_blocks: int = 2,
        causal: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(
            num_units, num_latents, channels=channels, num_blocks=num_blocks, causal=causal, dropout=dropout
        )
        self.decoder = Decoder(num_latents, num_units)

    def forward(self, s: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the log expected counts (batch, bins, units) and the latents (batch, bins, latents)."""
        z = self.encoder(s, mask)
        return self.decoder(z), z
