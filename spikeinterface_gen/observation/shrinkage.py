r"""How much of many noisy numbers to believe, found from the numbers themselves (adaptive shrinkage).

Each of the numbers z is signal plus standard normal noise, and the signal drawn from a mixture of Gaussians about zero,

.. math::

    z = \theta + \varepsilon, \qquad \theta \sim \sum_k \pi_k \, \mathcal{N}(0, v_k), \qquad
    \langle \theta \mid z \rangle = z \sum_k p(k \mid z) \frac{v_k}{1 + v_k} ,

with variances v on a grid that begins at none. The shares :math:`\pi` are the likeliest, by expectation-maximisation,
with a Dirichlet prior that favours no signal. Many small signals and a few large ones are thus told from noise without
a threshold: small numbers are shrunk to a small part, and large ones stay.

References
----------
Stephens, *False discovery rates: a new deal*, Biostatistics 2017.
"""

from __future__ import annotations

import numpy as np

__all__ = ["believed"]

# Standard deviations of signals: none, and from a quarter of the noise's by factors of two.
SMALLEST_SD, PRIOR_COUNT, ITERATIONS, NUM_BINS = 0.25, 10.0, 100, 1000


def believed(z: np.ndarray) -> np.ndarray:
    """Expected signals of numbers z, shape (n,), whose noise has unit variance."""
    size = np.abs(z)
    largest = float(size.max(initial=0.0))
    number = max(0, int(np.ceil(np.log2(max(largest, SMALLEST_SD) / SMALLEST_SD))))
    v = np.append(0.0, (SMALLEST_SD * 2.0 ** np.arange(number + 1)) ** 2)
    # What is a function of |z| alone is computed on a grid of it, finer where most of the numbers are.
    edges = np.linspace(0.0, np.sqrt(largest), NUM_BINS + 1) ** 2
    middle = (edges[1:] + edges[:-1]) / 2
    found = np.histogram(size, edges)[0]
    log_density = -0.5 * (middle[:, None] ** 2 / (1 + v) + np.log1p(v))
    likelihood = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    share = np.full(len(v), 1 / len(v))
    for _ in range(ITERATIONS):
        posterior = likelihood * share
        posterior /= posterior.sum(axis=1, keepdims=True)
        share = found @ posterior
        share[0] += PRIOR_COUNT
        share /= share.sum()
    posterior = likelihood * share
    kept = posterior @ (v / (1 + v)) / posterior.sum(axis=1)
    return z * np.interp(size, middle, kept)
