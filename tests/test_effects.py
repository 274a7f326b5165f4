"""Intervals of effects hold what they say, also from two repeats."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from spikeinterface_gen.benchmark.effects import effects_table


def table(values):
    """Accuracies of two kinds whose differences are ``values``, shape (repeats, units)."""
    rows = [
        {"sorter": "s", "kind": kind, "repeat": repeat, "unit_id": unit, "accuracy": 0.5 + share * value}
        for repeat, of_repeat in enumerate(values)
        for unit, value in enumerate(of_repeat)
        for kind, share in (("generated", 1.0), ("permuted", 0.0))
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_where_repeats_share_nothing_the_error_is_still_that_of_their_means(sign):
    # Units differ more than repeats do: REML leaves nothing to the repeats.
    values = 0.02 * sign + 0.1 * np.array([[-1.0, 1.0, -1.0, 1.1], [-1.0, 1.0, -1.05, 1.0]])
    row = effects_table(table(values), num_bootstrap=10).iloc[0]
    error = np.sqrt(4 * values.mean(axis=1).var(ddof=1) / 8)
    assert row["effect"] == pytest.approx(values.mean())
    assert row["high"] - row["effect"] == pytest.approx(t.ppf(0.975, 1) * error)
    assert row["p_value"] == pytest.approx(2 * t.sf(abs(values.mean()) / error, 1))


def test_intervals_from_two_repeats_hold_the_truth():
    rng, held = np.random.default_rng(0), 0
    for _ in range(60):
        values = 0.03 * rng.normal(size=(2, 1)) + 0.1 * rng.normal(size=(2, 12))
        row = effects_table(table(values), num_bootstrap=2).iloc[0]
        held += row["low"] <= 0.0 <= row["high"]
    assert held >= 53  # of 60 at 95 %: fewer in 1 case of 100


def test_equal_means_of_different_units_have_an_interval():
    values = 0.1 * np.array([[-1.0, 1.0], [1.0, -1.0]])
    row = effects_table(table(values), num_bootstrap=10).iloc[0]
    assert row["low"] < 0.0 < row["high"]
