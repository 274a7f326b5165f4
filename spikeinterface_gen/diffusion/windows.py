r"""A denoiser of windows, for sequences longer than those it was trained on.

A network that has seen windows of W bins does not know what to make of longer ones: its filters reach further than any
that it has seen, and latents drift to where no data are. But what a bin is, is told by the bins about it. The estimate
for a long sequence is that of windows which overlap by half, each denoised as one of its length,

.. math::

    D(y; \sigma)_t = \frac{\sum_j a(t - jW/2)\, D^{(j)}(y_{jW/2 \,\ldots\, jW/2 + W - 1}; \sigma)_{t - jW/2}}
                          {\sum_j a(t - jW/2)}, \qquad a(t) = \sin^2 \frac{\pi (t + 1/2)}{W} ,

so that bins near the end of one window, which see one side only, are those in the middle of another. Each evaluation
carries what is known half a window further, and a sample has no seams.

References
----------
Bar-Tal, Yariv, Lipman & Dekel, *MultiDiffusion*, ICML 2023, who join estimates for parts of a picture.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["WINDOWS_AT_ONCE", "half_window", "in_windows"]

Condition = tuple[Tensor, Tensor] | None

WINDOWS_AT_ONCE = 512
"""Windows that are denoised at once, which bounds the memory of long sequences."""


def half_window(num_bins: int) -> int:
    """Bins from one window to the next, of a denoiser that was trained on so many bins."""
    return max(num_bins // 2, 1)


def in_windows(
    denoise: Callable[[Tensor, Tensor, Condition], Tensor],
    y: Tensor,
    sigma: Tensor,
    condition: Condition,
    num_bins: int,
) -> Tensor:
    """Estimate x from y = x + σε of any length, at least that of a window.

    Parameters
    ----------
    denoise : callable
        Of y, σ and the condition of windows.
    y : Tensor, shape (batch, bins, latents)
    sigma : Tensor, shape (batch,)
    condition : (Tensor, Tensor) or None
        Features of the trials, shape (batch, features), and of their bins, shape (batch, bins, features).
    num_bins : int
        Longest that the denoiser was trained on.

    Returns
    -------
    Tensor, shape (batch, bins, latents)
    """
    batch, length, _ = y.shape
    hop = half_window(num_bins)
    window = 2 * hop
    # The last window ends where the sequence does.
    starts = [*range(0, length - window, hop), length - window]
    weight = torch.sin(torch.pi * (torch.arange(window, device=y.device) + 0.5) / window).square()[:, None]
    total, weights = torch.zeros_like(y), y.new_zeros(length, 1)
    at_once = max(WINDOWS_AT_ONCE // batch, 1)
    for first in range(0, len(starts), at_once):
        some = starts[first : first + at_once]
        parts = [slice(start, start + window) for start in some]
        windows = torch.cat([y[:, part] for part in parts])
        given = None
        if condition is not None:
            given = condition[0].repeat(len(some), 1), torch.cat([condition[1][:, part] for part in parts])
        estimates = denoise(windows, sigma.repeat(len(some)), given)
        for part, estimate in zip(parts, estimates.split(batch), strict=True):
            total[:, part] += weight * estimate
            weights[part] += weight
    return total / weights
