r"""Synchrony: what units share within one bin, beyond the shared latents and their own history.

Latents are smooth and few. Neighbours that share input, and what a sorter split in two, coincide within milliseconds;
no latent carries that. The counts of a bin are therefore drawn with a Gaussian copula,

.. math::

    \varepsilon_t \sim \mathcal{N}(0, R), \qquad
    s_{it} = F^{-1}\big(\Phi(\varepsilon_{it});\, r_{it}\big)

where F is the distribution of a count of expectation r. It leaves the distribution of every single unit as it is.

Fit: :math:`\Delta`, the pairwise correlations of the recording less those of free runs, is signal plus sampling noise.
Half the difference of the correlations in two random halves of the trials has the same noise and no signal, so it says
what to believe; the noise of both sides is added. What many pairs have in common comes first: of the eigenvalues w of
:math:`\Delta`, without pairs that exceed all but 10⁻⁴ of the noise, those beyond the noise's largest, e, are kept and
shrunk to :math:`\sqrt{w^2 - e^2}`, which is optimal for a low-rank matrix in white noise. Of the rest, each pair is
believed as far as the distribution over all pairs says (:mod:`~spikeinterface_gen.observation.shrinkage`). Where this
comes to next to nothing, R is the identity.

What units share for longer belongs to the latents; what of it these lack is made up for before
(:mod:`~spikeinterface_gen.models.readout`). Left to single bins, it would blur how many units fire together.

Correlations of counts become those of :math:`\varepsilon` by Mehler's expansion, with normalised Hermite polynomials h:

.. math::

    \mathrm{Cov}(s_i, s_j) = \Big\langle \sum_{n \ge 1} a_{n}(r_{it})\, a_{n}(r_{jt})\, R_{ij}^n \Big\rangle_t,
    \qquad a_n(r) = \sum_{k \ge 1} \varphi(\theta_k)\, h_{n-1}(\theta_k) / \sqrt{n},
    \quad \theta_k = \Phi^{-1}(F(k - 1; r))

References
----------
Macke, Berens, Ecker, Tolias & Bethge, *Generating spike trains with specified correlation coefficients*,
Neural Computation 2009. Gavish & Donoho, *Optimal shrinkage of singular values*, IEEE Trans Inf Theory 2017.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtr, ndtri

from spikeinterface_gen.observation.dispersion import Dispersion
from spikeinterface_gen.observation.moments import CountMoments, free_moments
from spikeinterface_gen.observation.shrinkage import believed
from spikeinterface_gen.randomness import uniforms

__all__ = ["Synchrony", "fit_synchrony", "positive_definite"]

# Share of the noise of single pairs that a pair may be mistaken for.
PAIR_LEVEL = 1e-4
# Sum of squares that is missing, relative to the noise's, below which nothing is.
NEGLIGIBLE = 0.01
NUM_TERMS = 10
MAX_CORRELATION = 0.95
MAX_SAMPLED_BINS = 4000
MIN_EXPECTED, NUM_GRID = 1e-5, 256
# Well above what rounding to half precision, in which R is stored, can do to it.
MIN_EIGENVALUE = 5e-3


@dataclass(frozen=True)
class Synchrony:
    """Correlations of the variates that counts of one bin are drawn from.

    Attributes
    ----------
    correlation : array of float, shape (units, units)
        R, positive definite with ones on its diagonal.
    """

    correlation: np.ndarray

    @classmethod
    def none(cls, num_units: int) -> Synchrony:
        """Units that are independent, given their rates."""
        return cls(np.eye(num_units))

    @classmethod
    def of_blocks(cls, blocks: Iterable[Synchrony]) -> Synchrony:
        """That of populations one after the other, which share nothing with each other."""
        return cls(block_diag(*(block.correlation for block in blocks)))

    @cached_property
    def coupled(self) -> np.ndarray:
        """Positions of the units that are not independent of all others."""
        return np.concatenate([np.empty(0, np.int64), *(units for units, _ in self._groups)])

    @cached_property
    def _groups(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Units that share with each other and with none beside, and the Cholesky factor of their correlations."""
        number, group = connected_components(csr_array(self.correlation != 0), directed=False)
        order = np.argsort(group, kind="stable")
        sizes = np.bincount(group, minlength=number)
        groups = np.split(order, np.cumsum(sizes)[:-1])
        return [
            (units, np.linalg.cholesky(self.correlation[np.ix_(units, units)].astype(np.float64)))
            for units in groups
            if len(units) > 1
        ]

    def couple(self, independent: np.ndarray) -> np.ndarray:
        """Turn the independent uniforms of a trial, shape (bins, units), into coupled ones."""
        if not self._groups:
            return independent
        coupled = independent.copy()
        for units, factor in self._groups:
            coupled[:, units] = ndtr(ndtri(independent[:, units]) @ factor.T)
        # The distribution function may round to 1 where its argument is large.
        return np.clip(coupled, 2.0**-53, 1 - 2.0**-53)


def fit_synchrony(
    recorded: CountMoments, expected: np.ndarray, valid: np.ndarray, dispersion: Dispersion, seed: int
) -> Synchrony:
    """Find R, such that correlations of free runs become those of the recording, as far as these are known.

    Parameters
    ----------
    recorded : CountMoments
    expected : array, shape (trials, bins, units)
        r of free runs, with history.
    valid : array of bool, shape (trials, bins)
    dispersion : Dispersion
        Of counts about r.
    seed : int
        Of the halvings and of the bins that stand for all.
    """
    num_units = expected.shape[2]
    none = Synchrony.none(num_units)
    if len(recorded.weights) < 2 or num_units < 2:
        return none
    free, pairs = free_moments(expected, valid, dispersion, seed), recorded.known_pairs
    # The noise of both sides, of which either may be the one that counts.
    noise = np.stack([(a + b) * pairs for a, b in zip(recorded.noises(0, seed), free.noises(0, seed + 1), strict=True)])
    missing = _denoise((recorded.over(0) - free.over(0)) * pairs, noise, pairs)
    if not missing.any():
        return none
    order = np.argsort(uniforms(seed, "synchrony bins", 0, (free.num_bins,)))[:MAX_SAMPLED_BINS]
    covariance = missing * np.outer(free.sd, free.sd)
    return Synchrony(positive_definite(_copula_correlation(covariance, expected[valid][order], dispersion)))


def _denoise(difference: np.ndarray, noise: np.ndarray, off_diagonal: np.ndarray) -> np.ndarray:
    """What stands out of the noise: its large eigenvalues, and of the rest, pair by pair, what is to be believed."""
    if not off_diagonal.any():
        return np.zeros_like(difference)
    entries = noise[:, off_diagonal]
    seen = np.mean([np.quantile(np.abs(n), 1 - PAIR_LEVEL) for n in entries])
    # Few pairs do not reach so far into the tail: there, that of a Gaussian.
    level = max(seen, -ndtri(PAIR_LEVEL / 2) * np.sqrt(np.mean(entries**2)))
    pairs = np.abs(difference) > level
    rest, rest_noise = np.where(pairs, 0, difference), np.where(pairs, 0, noise)
    edge = np.max([np.abs(np.linalg.eigvalsh(n)[[0, -1]]).max() for n in rest_noise])
    w, vectors = np.linalg.eigh(rest)
    shrunk = np.sign(w) * np.sqrt(np.maximum(w**2 - edge**2, 0))
    common = (vectors * shrunk) @ vectors.T
    # The noise of a pair is the product of what its units have of it.
    of_unit = np.sqrt((noise**2).mean(axis=0).sum(axis=1) / np.maximum(off_diagonal.sum(axis=1), 1))
    sd = np.outer(of_unit, of_unit) / np.sqrt(np.mean(entries**2))
    upper = np.triu(off_diagonal)
    own = np.zeros_like(difference)
    own[upper] = believed((difference - common)[upper] / sd[upper]) * sd[upper]
    missing = (common + own + own.T) * off_diagonal
    return missing if (missing**2).sum() > NEGLIGIBLE * np.mean(entries**2) * off_diagonal.sum() else 0 * missing


def _copula_correlation(covariance: np.ndarray, r: np.ndarray, dispersion: Dispersion) -> np.ndarray:
    """R whose expected covariance over bins of expectations ``r``, shape (bins, units), is ``covariance``."""
    # Coefficients are functions of r alone: interpolated between those on a grid.
    grid = np.geomspace(MIN_EXPECTED, max(float(r.max()), 2 * MIN_EXPECTED), NUM_GRID)
    place = np.interp(np.log(np.maximum(r, MIN_EXPECTED)), np.log(grid), np.arange(NUM_GRID))
    below = np.minimum(place.astype(int), NUM_GRID - 2)
    share = (place - below).astype(np.float32)
    a = np.empty((NUM_TERMS, *r.shape), np.float32)
    kinds, kind = np.unique(np.column_stack([dispersion.slots, dispersion.gains]), axis=0, return_inverse=True)
    tables = _hermite_coefficients(grid, Dispersion(kinds[:, 0], kinds[:, 1:]))
    for unit, table in enumerate(tables[:, :, kind].transpose(2, 0, 1)):
        low = below[:, unit]
        a[:, :, unit] = table[:, low] + share[:, unit] * (table[:, low + 1] - table[:, low])
    terms = np.stack([of_order.T @ of_order / len(r) for of_order in a])
    mean = dispersion.mean(r).astype(np.float64)
    # Counts are not negative, which bounds how far they can exclude each other.
    covariance = np.maximum(covariance, -0.8 * (mean.T @ mean) / len(mean))
    low, high = np.full(covariance.shape, -MAX_CORRELATION), np.full(covariance.shape, MAX_CORRELATION)
    for _ in range(20):
        middle = (low + high) / 2
        value = np.zeros_like(middle)
        for term in terms[::-1]:
            value = (value + term) * middle
        above = value > covariance
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    return np.where(covariance == 0, 0, (low + high) / 2)


def _hermite_coefficients(r: np.ndarray, dispersion: Dispersion) -> np.ndarray:
    """a_n of counts of expectations ``r``, shape (n,), of each unit, float32, shape (terms, n, units)."""
    column = np.broadcast_to(r[:, None], (len(r), len(dispersion.slots)))
    a = np.zeros((NUM_TERMS, *column.shape), np.float32)
    for above in dispersion.survival(column):
        theta = -ndtri(np.clip(above, 1e-300, 1 - 1e-16))
        density = np.exp(-0.5 * theta**2) / np.sqrt(2 * np.pi)
        before, h = np.zeros_like(theta), np.ones_like(theta)
        for n in range(1, NUM_TERMS + 1):
            a[n - 1] += density * h / np.sqrt(n)
            before, h = h, (theta * h - np.sqrt(n - 1) * before) / np.sqrt(n)
    return a


def positive_definite(correlation: np.ndarray) -> np.ndarray:
    """The correlation matrix with its smallest eigenvalues raised, and ones on its diagonal again."""
    matrix = correlation.copy()
    np.fill_diagonal(matrix, 1)
    w, vectors = np.linalg.eigh(matrix)
    if w[0] >= MIN_EIGENVALUE:
        return matrix
    matrix = (vectors * np.maximum(w, MIN_EIGENVALUE)) @ vectors.T
    sd = np.sqrt(np.diag(matrix))
    matrix = matrix / np.outer(sd, sd)
    np.fill_diagonal(matrix, 1)
    return matrix
