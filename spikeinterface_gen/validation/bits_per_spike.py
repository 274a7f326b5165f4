r"""Bits per spike: how much better rates predict counts than constant rates do (Neural Latents Benchmark).

.. math::

    \text{bps} = \frac{1}{n \ln 2} \big( \log L(\lambda; s) - \log L(\bar\lambda; s) \big), \qquad
    \log L(\lambda; s) = \sum_{t, i} s_{ti} \ln \lambda_{ti} - \lambda_{ti} - \ln s_{ti}!

with n the spikes that are scored, and :math:`\bar\lambda` the mean counts of each unit over what is scored.

References
----------
Pei et al., *Neural Latents Benchmark '21*, NeurIPS Datasets and Benchmarks 2021.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["bits_per_spike"]

# Expected counts below which no prediction is taken, as the benchmark does.
MIN_EXPECTED = 1e-9


def bits_per_spike(
    counts: SpikeCounts, rates_hz: npt.ArrayLike, *, scored: npt.ArrayLike | None = None, per_unit: bool = False
) -> float | np.ndarray:
    """Return the information that rates have about counts, in bits per spike.

    Parameters
    ----------
    counts : SpikeCounts
    rates_hz : array of float, shape (trials, bins, units)
        Predicted rates in Hz, such as ``model.complete_rates(counts, known)``.
    scored : array of bool, optional
        What is scored, of any shape that broadcasts to (trials, bins, units): the held-out units for co-smoothing, the
        later bins for forecasts. Default: all. Padding never is.
    per_unit : bool
        Return one number for each unit, NaN for those without a spike to score, instead of one for all.

    Raises
    ------
    ValueError
        If the shapes differ, a rate is negative or not finite, or nothing that is scored holds a spike.

    Examples
    --------
    >>> import numpy as np
    >>> from spikeinterface_gen import SpikeCounts, bits_per_spike
    >>> counts = SpikeCounts(np.array([[[2], [0], [2], [0]]]), bin_size_ms=10.0)
    >>> round(bits_per_spike(counts, 100.0 * np.array([[[2.0], [0.0], [2.0], [0.0]]])), 6)
    1.0
    """
    expected = np.asarray(rates_hz, np.float64) * (counts.bin_size_ms / 1000.0)
    shape = counts.counts.shape
    if expected.shape != shape:
        raise ValueError(f"rates_hz must have the shape of the counts, {shape}; got {expected.shape}.")
    if not (np.isfinite(expected).all() and expected.min() >= 0):
        raise ValueError("rates_hz must be finite and not negative.")
    use = np.broadcast_to(True if scored is None else np.asarray(scored, bool), shape) & counts.mask[..., None]
    s = np.where(use, counts.counts, 0).astype(np.float64)
    spikes, bins = s.sum(axis=(0, 1)), use.sum(axis=(0, 1))
    if not spikes.any():
        raise ValueError("nothing that is scored holds a spike; score more trials, bins or units.")
    expected = np.maximum(expected, MIN_EXPECTED)
    constant = np.maximum(spikes / np.maximum(bins, 1), MIN_EXPECTED)
    # The factorials are the same on both sides.
    gain = np.where(use, s * np.log(expected / constant) - (expected - constant), 0).sum(axis=(0, 1))
    if per_unit:
        return np.where(spikes > 0, gain / np.maximum(spikes, 1), np.nan) / np.log(2)
    return float(gain.sum() / (spikes.sum() * np.log(2)))
