"""Distances between two samples of points, for many ways of labelling the points at once.

A permutation test exchanges labels and computes the distance again, a thousand times. All four distances
depend on the labels through sums only, once what does not depend on them is at hand (the kernel, the sorted
projections, the moments of each trial). Each function therefore takes the points of both samples together and
a column of labels for every labelling:

``points`` : array, shape (points, features)
``is_first`` : array of bool, shape (points, labelings); True where a point belongs to the first sample

and returns the distances, shape (labelings,).

=========================  ==================================================================================
:func:`classifier_auc`     how well a classifier tells the samples apart (Lopez-Paz and Oquab 2017): area under
                           the ROC curve of held-out points, ½ for samples that are alike. A least-squares
                           classifier with the kernel (1 + xᵀy)² of centred points, which sees differences of means
                           and of covariances: its held-out scores are linear in the labels
:func:`mean_discrepancy`   maximum mean discrepancy ‖μ₁ − μ₂‖ (Gretton et al. 2012) of Gaussian kernels of three
                           widths around the median distance of two points
:func:`sliced_wasserstein` 1-Wasserstein distance of projections onto random directions, mean over directions
                           (Bonneel et al. 2015)
:func:`frechet_distance`   ‖m₁ − m₂‖² + tr(C₁ + C₂ − 2 (C₁C₂)^½), the squared 2-Wasserstein distance of Gaussians
                           with the moments of the samples (Heusel et al. 2017)
=========================  ==================================================================================

No single one of them suffices: see Bischoff et al. 2024, arXiv:2403.12636.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "TrialMoments",
    "classifier_auc",
    "frechet_distance",
    "mean_discrepancy",
    "median_squared_distance",
    "sliced_wasserstein",
    "squared_distances",
    "trial_moments",
]

_RIDGE = 1.0
_WIDTHS = (0.5, 1.0, 2.0)


def classifier_auc(points: np.ndarray, is_first: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of held-out points, mean over folds, shape (labelings,).

    Parameters
    ----------
    points, is_first
        See the module.
    folds : array of int, shape (points,)
        Fold in which a point is held out; every fold holds points of both samples in every labelling.
    """
    from scipy.linalg import cho_factor, cho_solve
    from scipy.stats import rankdata

    kernel = np.square(1.0 + points @ points.T)
    rounding = np.finfo(np.float64).eps * float(kernel.max()) * len(kernel)
    kernel -= kernel.mean(axis=0)
    kernel -= kernel.mean(axis=1, keepdims=True)
    # Where all points are alike, rounding is all that is left of the kernel.
    ridge = max(_RIDGE * float(np.trace(kernel)) / len(kernel), rounding)
    total = np.zeros(is_first.shape[1])
    for fold in np.unique(folds):
        held_out = np.flatnonzero(folds == fold)
        training = np.flatnonzero(folds != fold)
        gram = kernel[np.ix_(training, training)]
        gram[np.diag_indices_from(gram)] += ridge
        weights = cho_solve(cho_factor(gram, overwrite_a=True), kernel[np.ix_(training, held_out)])
        scores = weights.T @ _contrast(is_first[training])
        first = is_first[held_out]
        num_first = first.sum(axis=0)
        wins = (rankdata(scores, axis=0) * first).sum(axis=0) - num_first * (num_first + 1) / 2
        total += wins / (num_first * (len(held_out) - num_first))
    return total / len(np.unique(folds))


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances between the rows of two arrays, shape (len(a), len(b))."""
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2.0 * (a @ b.T)
    # Rounding may leave less than nothing.
    return np.maximum(squares, 0.0)


def median_squared_distance(points: np.ndarray) -> float:
    """Median squared distance of two different points: the scale of the kernels."""
    squares = squared_distances(points, points)[np.triu_indices(len(points), 1)]
    return float(np.median(squares))


def mean_discrepancy(points: np.ndarray, is_first: np.ndarray, scale: float) -> np.ndarray:
    """Maximum mean discrepancy, shape (labelings,); ``scale`` from :func:`median_squared_distance`."""
    squares = squared_distances(points, points) / max(scale, np.finfo(np.float64).tiny)
    kernel = np.mean([np.exp(-squares / (2.0 * width)) for width in _WIDTHS], axis=0)
    contrast = _contrast(is_first)
    return np.sqrt(np.maximum((contrast * (kernel @ contrast)).sum(axis=0), 0.0))


def sliced_wasserstein(points: np.ndarray, is_first: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Sliced 1-Wasserstein distance along ``directions`` (features, slices), shape (labelings,)."""
    contrast = _contrast(is_first)
    total = np.zeros(is_first.shape[1])
    for projection in (points @ directions).T:
        order = np.argsort(projection)
        # W₁ is the area between the two distribution functions, which are steps at the points.
        difference = np.cumsum(contrast[order[:-1]], axis=0)
        total += np.diff(projection[order]) @ np.abs(difference)
    return total / directions.shape[1]


@dataclass(frozen=True)
class TrialMoments:
    """Sums of the samples of each trial, of which means and covariances of any set of trials follow.

    Attributes
    ----------
    number : array of float64, shape (trials,)
    total : array of float64, shape (trials, k)
    squares : array of float64, shape (trials, k, k)
    """

    number: np.ndarray
    total: np.ndarray
    squares: np.ndarray

    def __getitem__(self, trials: np.ndarray) -> TrialMoments:
        return TrialMoments(self.number[trials], self.total[trials], self.squares[trials])

    def __len__(self) -> int:
        return len(self.number)

    def of(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means (labelings, k) and covariances (labelings, k, k) of the trials in ``chosen`` (trials, labelings)."""
        weights = chosen.T.astype(np.float64)
        number = weights @ self.number
        mean = (weights @ self.total) / number[:, None]
        size = self.total.shape[1]
        second = (weights @ self.squares.reshape(len(self), -1)).reshape(-1, size, size) / number[:, None, None]
        return mean, second - mean[:, :, None] * mean[:, None, :]


def trial_moments(latents: np.ndarray, mask: np.ndarray | None = None) -> TrialMoments:
    """Moments of latents of shape (trials, k), or (trials, bins, k) with a ``mask`` of the valid bins."""
    samples = np.asarray(latents, np.float64)
    if samples.ndim == 2:
        samples = samples[:, None, :]
    valid = np.ones(samples.shape[:2]) if mask is None else mask.astype(np.float64)
    samples = np.where(valid[:, :, None] > 0, samples, 0.0)
    return TrialMoments(valid.sum(axis=1), samples.sum(axis=1), np.einsum("tbi,tbj->tij", samples, samples))


def frechet_distance(moments: TrialMoments, is_first: np.ndarray) -> np.ndarray:
    """Fréchet distance of the latents of two sets of trials, shape (labelings,)."""
    mean, covariance = moments.of(is_first)
    other_mean, other_covariance = moments.of(~is_first)
    root = _square_root(covariance)
    # tr (C₁C₂)^½ = tr (C₁^½ C₂ C₁^½)^½, which is symmetric.
    eigenvalues = np.linalg.eigvalsh(root @ other_covariance @ root)
    cross = np.sqrt(np.maximum(eigenvalues, 0.0)).sum(axis=1)
    traces = np.trace(covariance, axis1=1, axis2=2) + np.trace(other_covariance, axis1=1, axis2=2)
    return np.maximum(np.square(mean - other_mean).sum(axis=1) + traces - 2.0 * cross, 0.0)


def _square_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]) @ np.swapaxes(vectors, 1, 2)


def _contrast(is_first: np.ndarray) -> np.ndarray:
    """Weights whose sum with values is the difference of the means of the two samples, (points, labelings)."""
    return is_first / is_first.sum(axis=0) - ~is_first / (~is_first).sum(axis=0)
