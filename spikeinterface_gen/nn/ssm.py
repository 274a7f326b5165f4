r"""Diagonal state-space layer (S4D), initialised to HiPPO-LegS.

Each kernel is the impulse response of a linear system with a diagonal, complex state of size N,

.. math::

    \dot x = A x + u, \qquad y = 2\,\mathrm{Re}\,(C x) + D u, \qquad A = -e^{a} + i\,\omega ,

sampled with zero-order hold at the step Δ:

.. math::

    K_t = 2\,\mathrm{Re} \sum_{n=1}^{N/2} C_n \frac{e^{\Delta A_n} - 1}{A_n} e^{t \Delta A_n},
    \qquad y_t = \sum_\tau K_\tau u_{t-\tau} + D u_t .

A bidirectional layer has a second C, whose kernel runs backwards from one bin ahead. The kernels are few:
channels are split into groups that share one, and the dense layers around mix the groups. This costs no
quality on spike trains and makes the layer several times faster.

Three exact ways to apply a layer agree to rounding: a product with the Toeplitz matrix of the kernel (fast for
short sequences), FFT convolution (long ones), and, for causal layers, the recurrence (one bin at a time).

References
----------
Gu, Gupta, Goel & Ré, *On the parameterization and initialization of diagonal state space models*, NeurIPS 2022.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["NUM_KERNELS", "StateSpace", "legs_eigenvalues"]

NUM_KERNELS = 8
"""Different kernels of a layer, where nothing else is said."""

# Above this length the FFT is faster than the Toeplitz product (measured on two CPU cores).
TOEPLITZ_MAX_BINS = 640


def legs_eigenvalues(state_size: int) -> np.ndarray:
    """Eigenvalues of the normal part of the HiPPO-LegS matrix with positive imaginary part.

    Parameters
    ----------
    state_size : int
        N, even.

    Returns
    -------
    array of complex, shape (state_size // 2,)
    """
    n = np.arange(state_size)
    scale = np.sqrt(2.0 * n + 1.0)
    skew = -0.5 * np.tril(np.outer(scale, scale), -1)
    skew = skew - skew.T
    frequencies = np.sort(np.linalg.eigvalsh(-1j * skew))[state_size // 2 :]
    return -0.5 + 1j * frequencies


class StateSpace(nn.Module):
    """S4D over the bins of (batch, bins, channels).

    Parameters
    ----------
    channels : int
        Channels in and out.
    bidirectional : bool
        Whether a bin also sees the bins after it.
    num_kernels : int
        Number of different kernels; must divide ``channels``.
    state_size : int
        N, the real size of the state of each kernel.
    step_range : tuple of float
        Δ is drawn log-uniformly from this range: time scales of 1/Δ bins.
    """

    def __init__(
        self,
        channels: int,
        *,
        bidirectional: bool = False,
        num_kernels: int = NUM_KERNELS,
        state_size: int = 64,
        step_range: tuple[float, float] = (1e-3, 1e-1),
    ) -> None:
        super().__init__()
        if channels % num_kernels:
            raise ValueError(f"num_kernels must divide the {channels} channels; got {num_kernels}.")
        self.channels = channels
        self.num_kernels = num_kernels
        self.bidirectional = bidirectional
        A = torch.from_numpy(legs_eigenvalues(state_size)).to(torch.complex64)
        low, high = math.log(step_range[0]), math.log(step_range[1])
        # Evenly spread steps: with few kernels a random draw could leave a time scale out.
        self.log_step = nn.Parameter(torch.linspace(low, high, num_kernels))
        self.log_decay = nn.Parameter((-A.real).log().repeat(num_kernels, 1))
        self.frequency = nn.Parameter(A.imag.repeat(num_kernels, 1))
        directions = 2 if bidirectional else 1
        self.C = nn.Parameter(torch.randn(directions, num_kernels, state_size // 2, 2) * math.sqrt(0.5))
        self.D = nn.Parameter(torch.randn(channels))
        self._cache: dict[tuple, Tensor] = {}

    def dynamics(self) -> list[nn.Parameter]:
        """Parameters of A and Δ: they train with their own learning rate and without weight decay."""
        return [self.log_step, self.log_decay, self.frequency]

    def _discrete(self) -> tuple[Tensor, Tensor]:
        """Return ΔA, shape (kernels, N/2), and C (e^{ΔA} − 1)/A, shape (directions, kernels, N/2)."""
        A = torch.complex(-self.log_decay.exp(), self.frequency)
        dA = A * self.log_step.exp()[:, None]
        return dA, torch.view_as_complex(self.C) * torch.expm1(dA) / A

    def kernel(self, num_bins: int) -> Tensor:
        """Impulse response at lags −(num_bins−1) … num_bins−1, shape (kernels, 2·num_bins−1)."""
        dA, C = self._discrete()
        lags = torch.arange(num_bins, device=dA.device, dtype=torch.float32)
        powers = torch.exp(dA[..., None] * lags)
        K = 2.0 * torch.einsum("dkn,knt->dkt", C, powers).real
        if self.bidirectional:
            # The backward kernel starts one bin ahead: lag −1 carries its first value.
            return torch.cat([K[1, :, : num_bins - 1].flip(-1), K[0]], dim=-1)
        return nn.functional.pad(K[0], (num_bins - 1, 0))

    def forward(self, u: Tensor) -> Tensor:
        """Filter u, shape (batch, bins, channels), over its bins."""
        num_bins = u.shape[1]
        y = self._by_toeplitz(u) if num_bins <= TOEPLITZ_MAX_BINS else self._by_fft(u)
        return (y + self.D.to(y.dtype) * u.to(y.dtype)).to(u.dtype)

    def _by_toeplitz(self, u: Tensor) -> Tensor:
        batch, num_bins, channels = u.shape
        T = self._toeplitz(num_bins)
        if not torch.is_autocast_enabled(u.device.type):
            T = T.to(u.dtype)
        groups = u.view(batch, num_bins, self.num_kernels, channels // self.num_kernels)
        return torch.einsum("gij,bjgc->bigc", T, groups).reshape(batch, num_bins, channels)

    def _toeplitz(self, num_bins: int) -> Tensor:
        """T[g, i, j] = K[g, i − j], shape (kernels, bins, bins); kept while the parameters stay as they are."""
        if torch.is_grad_enabled():
            self._cache.clear()
            return self._toeplitz_matrix(num_bins)
        versions = tuple(parameter._version for parameter in self.parameters())
        key = (num_bins, self.D.device, torch.is_autocast_enabled(self.D.device.type), versions)
        if key not in self._cache:
            self._cache = {key: self._toeplitz_matrix(num_bins)}
        return self._cache[key]

    def _toeplitz_matrix(self, num_bins: int) -> Tensor:
        with torch.autocast(self.D.device.type, enabled=False):
            K = self.kernel(num_bins)
            # unfold gives K[i + n]; reversing n = num_bins − 1 − j makes it K at lag i − j.
            T = K.unfold(-1, num_bins, 1).flip(-1)
        if torch.is_autocast_enabled(self.D.device.type):
            T = T.to(torch.get_autocast_dtype(self.D.device.type))
        return T.contiguous()

    def initial_state(self, batch: int) -> Tensor:
        """State before the first bin, complex zeros, shape (batch, channels, N/2)."""
        return self.C.new_zeros((batch, self.channels, self.C.shape[2]), dtype=torch.complex64)

    def step(self, u: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Filter one bin: u, shape (batch, channels), and the state give y and the next state.

        Raises
        ------
        ValueError
            If the layer is bidirectional: it would need the bins to come.
        """
        if self.bidirectional:
            raise ValueError("a bidirectional layer needs all bins at once; build the model with causal=True.")
        dA, C = (values.repeat_interleave(self.channels // self.num_kernels, dim=-2) for values in self._discrete())
        state = state * dA.exp() + u[..., None]
        return 2.0 * (state * C[0]).sum(-1).real + self.D * u, state

    def _by_fft(self, u: Tensor) -> Tensor:
        num_bins, channels = u.shape[1:]
        with torch.autocast(u.device.type, enabled=False):
            length = 2 * num_bins
            # Negative lags wrap round to the end of the period.
            K = self.kernel(num_bins)
            K = torch.cat([K[:, num_bins - 1 :], K.new_zeros(self.num_kernels, 1), K[:, : num_bins - 1]], dim=-1)
            K_f = torch.fft.rfft(K, n=length).repeat_interleave(channels // self.num_kernels, dim=0)
            u_f = torch.fft.rfft(u.float(), n=length, dim=1)
            return torch.fft.irfft(u_f * K_f.T, n=length, dim=1)[:, :num_bins]
