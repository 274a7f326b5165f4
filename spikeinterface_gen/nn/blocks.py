"""The residual block that encoder, decoder and denoiser are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikeinterface_gen.nn.ssm import NUM_KERNELS, StateSpace

__all__ = ["Block"]


class Block(nn.Module):
    """Mix over bins (state space), then over channels (MLP), each normalised and residual.

    Activations are SiLU: as good as GELU here, and three times cheaper forwards and backwards on CPUs.
    The norm is over channels, never over bins: a causal block stays causal, and padding cannot leak in.
    With ``embedding_size`` the block is modulated by a vector per trial (adaptive layer norm): a scale and shift
    behind each norm and a gate before each residual sum, zero-initialised, so that it starts as the identity.

    Parameters
    ----------
    channels : int
        Channels in and out.
    bidirectional : bool
        Whether a bin sees the bins after it.
    expansion : int
        Width of the MLP in units of ``channels``.
    embedding_size : int, optional
        Size of the modulating vector; None for none.
    dropout : float
        Share of the channels dropped before each residual sum while training.

    References
    ----------
    Peebles & Xie, *Scalable diffusion models with transformers*, ICCV 2023 (adaLN-zero).
    """

    def __init__(
        self,
        channels: int,
        *,
        bidirectional: bool,
        expansion: int = 2,
        embedding_size: int | None = None,
        dropout: float = 0.0,
        num_kernels: int = NUM_KERNELS,
    ) -> None:
        super().__init__()
        affine = embedding_size is None
        self.norm_bins = nn.LayerNorm(channels, elementwise_affine=affine)
        self.mix_bins = StateSpace(channels, bidirectional=bidirectional, num_kernels=num_kernels)
        self.gate_bins = nn.Linear(channels, channels)
        self.norm_channels = nn.LayerNorm(channels, elementwise_affine=affine)
        self.mix_channels = nn.Sequential(
            nn.Linear(channels, expansion * channels),
            nn.SiLU(),
            nn.Linear(expansion * channels, channels),
        )
        self.dropout = nn.Dropout(dropout)
        self.modulation: nn.Linear | None = None
        if embedding_size is not None:
            self.modulation = nn.Linear(embedding_size, 6 * channels)
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, embedding: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Map x, shape (batch, bins, channels), to the same shape.

        Parameters
        ----------
        x : Tensor, shape (batch, bins, channels)
        embedding : Tensor, shape (batch, embedding_size), optional
        mask : Tensor, shape (batch, bins, 1), optional
            1 in valid bins, 0 in padding, which then influences nothing.
        """
        scale_1 = shift_1 = scale_2 = shift_2 = None
        gate_1: Tensor | float = 1.0
        gate_2: Tensor | float = 1.0
        if self.modulation is not None:
            if embedding is None:
                raise ValueError(
                    "embedding is missing: this block was built with embedding_size and is modulated by one."
                )
            modulation = self.modulation(embedding)[:, None]
            scale_1, shift_1, gate_1, scale_2, shift_2, gate_2 = modulation.chunk(6, dim=-1)
        h = _modulated(self.norm_bins(x), scale_1, shift_1)
        if mask is not None:
            h = h * mask
        h = nn.functional.silu(self.mix_bins(h))
        x = x + self.dropout(gate_1 * self.gate_bins(h))
        h = self.mix_channels(_modulated(self.norm_channels(x), scale_2, shift_2))
        return x + self.dropout(gate_2 * h)


def _modulated(h: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    return h if scale is None or shift is None else torch.addcmul(shift, h, 1.0 + scale)
