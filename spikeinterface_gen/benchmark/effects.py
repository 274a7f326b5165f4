"""How much the kind of spiking matters to a sorter, with intervals, from all its units.

A unit has the same template in the same noise under every kind, so units are compared with themselves. The
difference of unit *u* in repeat *r* (one set of trials, templates and noise) between a kind and the reference is
modelled, for each sorter and kind, as::

    d_{ru} = β + w_r + ε_{ru},      w ~ N(0, σ_w²),  ε ~ N(0, σ²)

*β* is the effect. *w* is what all units of a pair of runs share: sorters are not deterministic, and without it
forty units of one run would count as forty experiments. The model is fitted by restricted maximum likelihood
(``statsmodels``). Intervals are those of Student's t, with one degree of freedom less than there are repeats; where
the fit leaves nothing to *w*, the standard error is that of the means of the repeats. For equal numbers of units
this is the exact analysis of variance, and its intervals hold 95 % however much repeats share. (To count units as
independent wherever the fit finds nothing shared would not do: intervals from two repeats then hold 88 % where a tenth
of the variance is shared, because the fit often misses it.) Two repeats give wide intervals; five are a beginning.
Accuracies are bounded and their differences not normal: an interval that does not assume
it stands beside, from resampled repeats and, within each, units (a hierarchical bootstrap). With a single
repeat *w* cannot be told from *β*: the intervals are about these two runs only.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from spikeinterface_gen.randomness import uniforms

__all__ = ["effects_table"]

METRICS = ("accuracy", "precision", "recall")


def effects_table(
    table: pd.DataFrame,
    *,
    metric: str = "accuracy",
    reference: str = "permuted",
    num_bootstrap: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Return the difference of each kind from the reference, for each sorter.

    Columns: ``sorter``, ``kind``, ``reference``; ``mean`` and ``reference_mean`` over units; ``effect`` (β),
    ``low``, ``high`` (95 %) and ``p_value`` of the mixed model; ``bootstrap_low`` and ``bootstrap_high`` (95 %);
    ``num_units`` (pairs) and ``num_repeats``.

    Parameters
    ----------
    table : DataFrame
        From :func:`spikeinterface_gen.benchmark.tables.performance_table`.
    metric : {"accuracy", "precision", "recall"}
        What is compared. A unit that was not found has no precision and counts as 0.
    reference : str
        Kind that the others are compared with.
    num_bootstrap : int
        Resamples.
    seed : int
        Of the resamples.

    Raises
    ------
    ValueError
        If the metric or the reference is not there, or there is nothing to compare with it.
    ImportError
        If statsmodels is not installed.
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {METRICS}; got {metric!r}.")
    kinds = list(dict.fromkeys(table["kind"]))
    if reference not in kinds or len(kinds) < 2:
        raise ValueError(f"reference must be one of at least two kinds; got {reference!r} and the kinds {kinds}.")
    rows = []
    for sorter, own in table.groupby("sorter", sort=False):
        wide = own.assign(value=own[metric].fillna(0.0)).pivot(
            index=["repeat", "unit_id"], columns="kind", values="value"
        )
        # Runs that failed leave no rows: what cannot be compared is left out.
        for kind in (kind for kind in kinds if kind != reference and {kind, reference} <= set(wide)):
            pairs = wide[[kind, reference]].dropna()
            if pairs.empty:
                continue
            difference = (pairs[kind] - pairs[reference]).rename("difference").reset_index()
            boot = _bootstrap(difference, num_bootstrap, seed)
            rows.append(
                {
                    "sorter": sorter,
                    "kind": kind,
                    "reference": reference,
                    "mean": float(pairs[kind].mean()),
                    "reference_mean": float(pairs[reference].mean()),
                    **_mixed_model(difference),
                    "bootstrap_low": float(np.quantile(boot, 0.025)),
                    "bootstrap_high": float(np.quantile(boot, 0.975)),
                    "num_units": len(pairs),
                    "num_repeats": int(difference["repeat"].nunique()),
                }
            )
    if not rows:
        raise ValueError(f"no unit was sorted both in a recording of kind {reference!r} and in one of another kind.")
    return pd.DataFrame(rows)


def _mixed_model(difference: pd.DataFrame) -> dict[str, float]:
    """Effect, 95 % interval and p-value of differences in groups of repeats."""
    d, repeats = difference["difference"].to_numpy(), difference["repeat"].to_numpy()
    num_repeats = len(np.unique(repeats))
    if len(d) < 2 or np.ptp(d) == 0:
        # Nothing to tell an interval from, unless nothing differs at all.
        same = len(d) > 1 and d[0] == 0
        bound, p_value = (0.0, 1.0) if same else (float("nan"), float("nan"))
        return {"effect": float(d[0]), "low": bound, "high": bound, "p_value": p_value}
    effect, error, dof = float(d.mean()), float(d.std(ddof=1) / np.sqrt(len(d))), len(d) - 1
    if num_repeats > 1:
        dof = num_repeats - 1
        shared, own_effect, own_error = _random_intercept(d, repeats)
        if shared > 0:
            effect, error = own_effect, own_error
        else:
            # Means that happen to be equal, of differences that are not, say nothing of their own spread.
            error = _error_of_means(d, repeats) or error
    reach = float(student_t.ppf(0.975, dof)) * error
    p_value = float(2.0 * student_t.sf(abs(effect) / error, dof))
    return {"effect": effect, "low": effect - reach, "high": effect + reach, "p_value": p_value}


def _error_of_means(d: np.ndarray, repeats: np.ndarray) -> float:
    """Standard error of the mean of all differences, from how the means of repeats spread about it."""
    _, place, number = np.unique(repeats, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=d) / number
    between = np.sum(number * np.square(means - d.mean())) / (len(number) - 1)
    return float(np.sqrt(between / len(d)))


def _random_intercept(d: np.ndarray, repeats: np.ndarray) -> tuple[float, float, float]:
    """Variance that repeats share, mean of the differences, and its standard error."""
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError as error:
        raise ImportError(
            'the mixed model needs statsmodels; install it with: pip install "spikeinterface-gen[sorters]"'
        ) from error
    # In units of their spread, or the optimiser stops too early.
    scale = d.std()
    with warnings.catch_warnings():
        # A variance of 0 is no failure here.
        warnings.simplefilter("ignore")
        fit = MixedLM(d / scale, np.ones((len(d), 1)), groups=repeats).fit(reml=True, method=["powell", "lbfgs"])
    shared = float(np.asarray(fit.cov_re)[0, 0])
    # What is shared by chance only, and a residue of the optimiser, are nothing.
    shared = shared if shared > 1e-4 else 0.0
    return shared * scale**2, float(fit.fe_params[0]) * scale, float(fit.bse_fe[0]) * scale


def _bootstrap(difference: pd.DataFrame, num_bootstrap: int, seed: int) -> np.ndarray:
    """Means of differences over resampled repeats and, within each, resampled units, shape (num_bootstrap,)."""
    groups = [group["difference"].to_numpy() for _, group in difference.groupby("repeat")]
    means = np.empty(num_bootstrap)
    for k in range(num_bootstrap):
        u = uniforms(seed, "bootstrap", k, (len(groups), 1 + max(len(group) for group in groups)))
        chosen = [groups[int(row[0] * len(groups))] for row in u]
        drawn = [
            group[(row[1 : len(group) + 1] * len(group)).astype(int)] for group, row in zip(chosen, u, strict=True)
        ]
        means[k] = np.concatenate(drawn).mean()
    return means
