r"""The decoder's last layer, moved until drawn trials correlate as recorded ones do.

Latents that are drawn are not quite those that the decoder was trained on: the encoder shrinks what it is not sure of
towards the mean, and a denoiser that could have been trained for longer draws rare latents too rarely. What pairs of
units share over several bins is then a little off, and no synchrony within a bin can mend that. With the decoder's
features h and its last layer W,

.. math::

    \lambda_i = \bar\lambda_i \, e^{w_i h} / \langle e^{w_i h} \rangle, \qquad
    \min_W \; \frac12 \sum_{i < j} \big(R_{ij}(W) - R_{ij} - \rho \Delta_{ij}\big)^2
    + \frac{\kappa}{2} \sum_i \bar\lambda_i \Big\langle \big((w_i - w_{0i}) (h - \langle h \rangle)\big)^2 \Big\rangle,
    \qquad \rho = \frac{N}{N + M},

over drawn latents, where R are correlations between the counts of bins so far apart that only latents have a part in
them, :math:`\Delta` is what free runs lack of them, N the recorded bins, and M the bins that the weights as they were
trained, :math:`W_0`, are worth. The noise of a unit's recorded spikes is in all pairs that it belongs to, so that it is
bins that count, and not pairs. The second sum keeps W where pairs say little. Mean rates stay.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from spikeinterface_gen.nn.autoencoder import Decoder

__all__ = ["fit_readout"]

# Evaluations of the loss. With less time than the least take, the decoder stays as it is.
MAX_EVALUATIONS, MIN_EVALUATIONS = 24, 4
# Bins that they go through; multiplications and additions a second of two cores, and in all, at most.
MAX_BINS, MIN_BINS, OPERATIONS_A_SECOND, MAX_OPERATIONS = 65536, 2000, 6e10, 1e12
# M: bins that the weights as they were trained are worth.
PRIOR_BINS = 10_000
# κ, which keeps the weights where they are where pairs say little.
RIDGE = 0.2


def fit_readout(
    decoder: Decoder,
    likeliest: Tensor,
    latents: np.ndarray,
    missing: np.ndarray,
    sd: np.ndarray,
    num_recorded: int,
    seconds: float,
    units: slice = slice(None),
    *,
    binary: bool = False,
) -> None:
    """Move the weights of ``decoder.outlet`` until pairs of units correlate by as much more as is missing.

    Parameters
    ----------
    decoder : Decoder
    likeliest : Tensor, shape (units, features)
        W₀: the weights as they were trained.
    latents : array of float32, shape (2, bins, latents)
        Drawn ones, of bins in random order and of the bins that are so much later.
    missing : array, shape (units, units)
        Δ, symmetric, and zero where nothing is known, as on the diagonal.
    sd : array, shape (units,)
        Standard deviation of the counts of a bin, that correlations are relative to.
    num_recorded : int
        N.
    seconds : float
        How long it may take on two cores.
    units : slice
        The units that these are, if not all; the weights of the others stay.
    binary : bool
        Whether a bin counts as one spike however large λ is.
    """
    outlet, num_units = decoder.outlet, len(sd)
    device = outlet.weight.device
    operations_a_bin = 6 * num_units * (num_units + 2 * outlet.in_features)
    affordable = min(seconds * OPERATIONS_A_SECOND, MAX_OPERATIONS) / operations_a_bin
    num_evaluations = int(min(MAX_EVALUATIONS, affordable / max(1, min(MIN_BINS, latents.shape[1]))))
    if num_evaluations < MIN_EVALUATIONS or not missing.any() or not latents.size:
        return
    num_bins = int(np.clip(affordable / num_evaluations, MIN_BINS, MAX_BINS))
    scale, delta = (torch.from_numpy(x.astype(np.float32)).to(device) for x in (sd, missing))
    counted = (delta != 0).float()
    with torch.no_grad():
        h = decoder.features(torch.from_numpy(latents[:, :num_bins]).to(device))
        centre = h.mean(dim=(0, 1))
        mean = (h @ outlet.weight[units].T + outlet.bias[units]).exp().mean(dim=(0, 1))
        h -= centre

    def bias(log_rates: Tensor) -> Tensor:
        """What makes the means of λ what they were."""
        return mean.log() - log_rates.flatten(0, 1).logsumexp(dim=0) + math.log(h.shape[0] * h.shape[1])

    def correlations(W: Tensor) -> Tensor:
        log_rates = h @ W.T
        rates = (log_rates + bias(log_rates)).exp()
        expected = -torch.expm1(-rates) if binary else rates
        now, later = (expected - expected.mean(dim=(0, 1))) / scale
        found = now.T @ later / len(now)
        return (found + found.T) / 2

    W = outlet.weight[units].detach().clone().requires_grad_()
    with torch.no_grad():
        goal = correlations(W) + num_recorded / (num_recorded + PRIOR_BINS) * delta
    optimizer = torch.optim.LBFGS(
        [W], max_iter=num_evaluations, max_eval=num_evaluations, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        off = 0.25 * (counted * (correlations(W) - goal)).square().sum()
        lost = 0.5 * RIDGE * (mean * (h @ (W - likeliest).T).square().mean(dim=(0, 1))).sum()
        (off + lost).backward()
        return off + lost

    with torch.enable_grad():
        before = optimizer.step(loss)
        after = loss()
    if not after <= before:
        return  # Not finite, or none of the steps led down.
    with torch.no_grad():
        outlet.weight[units] = W
        outlet.bias[units] = bias(h @ W.T) - W @ centre
