"""How much the kind of spiking matters to a sorter, with intervals, from all its units.

Accuracy *a* of unit *u* in repeat *r* (one set of templates and noise) under kind *k* is modelled, for each
sorter, as

    a_{rku} = μ + β_k + v_{ru} + w_{rk} + ε_{rku},      v ~ N(0, σ_v²),  w ~ N(0, σ_w²),  ε ~ N(0, σ²)

where *β* of the reference kind is 0. *v* pairs a unit with itself under the other kinds: it has the same
template in the same noise. *w* is what all units of a run share: sorters are not deterministic, and without
it forty units of one run would count as forty experiments. It is fitted by restricted maximum likelihood
(``statsmodels``), and intervals are of ±1.96 standard errors. Accuracies are bounded and their
residuals not normal: the same contrast is therefore also given with an interval that assumes neither, by
resampling repeats and, within each, units (a hierarchical bootstrap). With a single repeat *w* cannot be told
from *β*; it is left out and intervals are about these recordings only.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

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
        fitted = _mixed_model(wide, reference)
        for kind in (kind for kind in kinds if kind != reference and kind in wide):
            pairs = wide[[kind, reference]].dropna()
            difference = (pairs[kind] - pairs[reference]).rename("difference").reset_index()
            boot = _bootstrap(difference, num_bootstrap, seed)
            rows.append(
                {
                    "sorter": sorter,
                    "kind": kind,
                    "reference": reference,
                    "mean": float(pairs[kind].mean()),
                    "reference_mean": float(pairs[reference].mean()),
                    **fitted[kind],
                    "bootstrap_low": float(np.quantile(boot, 0.025)),
                    "bootstrap_high": float(np.quantile(boot, 0.975)),
                    "num_units": len(pairs),
                    "num_repeats": int(difference["repeat"].nunique()),
                }
            )
    return pd.DataFrame(rows)


def _mixed_model(wide: pd.DataFrame, reference: str) -> dict[str, dict[str, float]]:
    """Effect, 95 % interval and p of each kind against the reference."""
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError as error:
        raise ImportError(
            'the mixed model needs statsmodels; install it with: pip install "spikeinterface-gen[sorters]"'
        ) from error
    long = wide.stack().rename("value").reset_index()
    kinds = [kind for kind in wide.columns if kind != reference]
    if np.ptp(long["value"]) == 0:
        return {kind: {"effect": 0.0, "low": 0.0, "high": 0.0, "p_value": 1.0} for kind in kinds}
    # Names of kinds need not be names of variables.
    columns = {f"is_{k}": (long["kind"] == kind).astype(float) for k, kind in enumerate(kinds)}
    parts = {"unit": "0 + C(unit_id)"}
    if long["repeat"].nunique() > 1:
        parts["run"] = "0 + C(kind)"
    with warnings.catch_warnings():
        # Variances of 0 are allowed: perfect sorters have them.
        warnings.simplefilter("ignore")
        formula = f"value ~ {' + '.join(columns)}"
        model = MixedLM.from_formula(formula, long.assign(**columns), groups="repeat", vc_formula=parts)
        fit = model.fit(reml=True, method=["lbfgs", "powell"])
    interval = np.asarray(fit.conf_int())
    values, p_values = np.asarray(fit.fe_params), np.asarray(fit.pvalues)
    return {
        kind: {
            "effect": float(values[k]),
            "low": float(interval[k, 0]),
            "high": float(interval[k, 1]),
            "p_value": float(p_values[k]),
        }
        for k, kind in enumerate(kinds, start=1)
    }


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
