import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeinterface_gen import SpikeCounts

ONES = np.ones((3, 4, 2), dtype=int)


def test_holds_what_it_is_given(counts):
    assert (counts.num_trials, counts.max_bins, counts.num_units, len(counts)) == (5, 12, 4, 5)
    assert counts.counts.dtype == np.uint8
    np.testing.assert_allclose(counts.durations_s, [0.12, 0.12, 0.12, 0.07, 0.12])
    np.testing.assert_allclose(counts.rates_hz, counts.counts.sum((0, 1)) / 0.55)
    assert counts.rates_hz[2] == 0
    assert counts.mask.sum() == 55
    assert not counts.is_binary
    assert repr(counts).startswith("SpikeCounts: 5 trials × 7–12 bins of 10 ms × 4 units")


def test_a_list_of_trials_is_padded():
    counts = SpikeCounts([np.ones((2, 3)), np.ones((5, 3)), np.ones((1, 3))], 20.0)
    assert counts.counts.shape == (3, 5, 3)
    np.testing.assert_array_equal(counts.num_bins, [2, 5, 1])
    assert counts.counts.sum() == 8 * 3


@pytest.mark.parametrize(("largest", "dtype"), [(1, np.uint8), (255, np.uint8), (256, np.uint16), (70000, np.uint32)])
def test_the_smallest_type_that_holds_the_counts_is_used(largest, dtype):
    assert SpikeCounts(np.full((1, 1, 1), largest), 10.0).counts.dtype == dtype


def test_whole_floats_and_booleans_are_counts():
    assert SpikeCounts(ONES.astype(float), 10.0) == SpikeCounts(ONES.astype(bool), 10.0)


def test_columns_of_objects_get_a_type_of_their_own():
    covariates = {"side": np.array(["l", "r", "l"], dtype=object), "size": np.array([1, 2, 3], dtype=object)}
    counts = SpikeCounts(ONES, 10.0, unit_ids=np.array(["a", "b"], dtype=object), covariates=covariates)
    assert counts.covariates["side"].dtype.kind == counts.unit_ids.dtype.kind == "U"
    assert counts.covariates["size"].dtype.kind == "i"


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        (ONES * np.nan, {}, "NaN"),
        (ONES * np.inf, {}, "infinity"),
        (ONES * 0.5, {}, "fractions"),
        (-ONES, {}, "negative"),
        (ONES.astype(str), {}, "whole numbers"),
        (ONES.astype(complex), {}, "whole numbers"),
        (np.full((1, 1, 1), 2**40), {}, "no spike count"),
        (ONES[:0], {}, "at least one"),
        (ONES[:, :0], {}, "at least one"),
        (ONES[:, :, :0], {}, "at least one"),
        (ONES[0], {}, r"\(trials, bins, units\)"),
        ([], {}, "at least one"),
        ([np.ones((2, 3)), np.ones((2, 4))], {}, "same units"),
        ([np.ones((2, 3)), np.ones((0, 3))], {}, "no bins"),
        (ONES, {"bin_size_ms": 0.0}, "bin_size_ms"),
        (ONES, {"bin_size_ms": np.nan}, "bin_size_ms"),
        (ONES, {"unit_ids": ["a", "a"]}, "distinct"),
        (ONES, {"unit_ids": ["a"]}, "one entry for each of the 2 units"),
        (ONES, {"unit_ids": [0.5, 1.5]}, "integers or strings"),
        (ONES, {"num_bins": [4, 4]}, "num_bins"),
        (ONES, {"num_bins": [4, 4, 5]}, "between 1 and the 4 bins"),
        (ONES, {"num_bins": [4, 4, 0]}, "between 1 and the 4 bins"),
        (ONES, {"num_bins": [4.0, 4.0, 4.0]}, "integers"),
        (ONES, {"num_bins": [4, 4, 3]}, "beyond num_bins"),
        (ONES, {"covariates": {"x": [1, 2]}}, r"covariates\['x'\]"),
        (ONES, {"covariates": {"x": 5}}, "single value"),
        (ONES, {"covariates": {"x": np.zeros((3, 9, 1))}}, "4 bins"),
        (ONES, {"covariates": {"x": np.zeros((3, 4, 1, 1))}}, "must have shape"),
        (ONES, {"unit_properties": {"area": ["VISp"]}}, r"unit_properties\['area'\]"),
        (ONES, {"covariates": {"x": [None, 1, "a"]}}, "numbers, booleans or strings"),
        (ONES, {"covariates": {"x": [[1], [1, 2], [3]]}}, "differ in shape"),
        (ONES, {"unit_properties": {"since": np.array(["2020", "2021"], "M8[Y]")}}, "numbers, booleans or strings"),
        (ONES, {"t_starts_s": [0.0]}, "t_starts_s"),
        (ONES, {"t_starts_s": [0.0, 1.0, np.nan]}, "finite"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(counts, options, message):
    with pytest.raises(ValueError, match=message):
        SpikeCounts(counts, **{"bin_size_ms": 10.0, **options})


def test_slices_take_everything_along(counts):
    part = counts[[3, 0], ["d", "a"]]
    np.testing.assert_array_equal(part.counts, counts.counts[[3, 0]][:, :, [3, 0]])
    np.testing.assert_array_equal(part.num_bins, [7, 12])
    np.testing.assert_array_equal(part.unit_ids, ["d", "a"])
    np.testing.assert_array_equal(part.covariates["contrast"], [1.0, 0.0])
    np.testing.assert_array_equal(part.unit_properties["area"], ["root", "VISp"])
    np.testing.assert_array_equal(part.t_starts_s, [17.77, 10.1])
    assert part.annotations == counts.annotations
    assert counts[3].max_bins == 7  # no longer padded
    assert counts[-1].t_starts_s == 21.5
    assert counts[:, counts.rates_hz > 0].num_units == 3
    assert counts.select_units(["b"]) == counts[:, ["b"]]
    assert counts[np.array([True, False, True, False, False])] == counts[[0, 2]]


def test_unknown_units_and_empty_selections_are_errors(counts):
    with pytest.raises(KeyError, match="'z'"):
        counts.select_units(["a", "z"])
    with pytest.raises(IndexError, match="none of the 5 trials"):
        counts[5:]


def test_equality_sees_every_part(counts):
    assert counts == counts[:]
    assert counts != counts[:4]
    assert counts != counts.select_units(["b", "a", "c", "d"])
    assert counts != "counts"
    other = SpikeCounts(counts.counts, 10.0, unit_ids=counts.unit_ids, num_bins=counts.num_bins)
    assert counts != other


@given(st.integers(2, 40), st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(0, 5))
def test_splits_are_disjoint_and_whole(num_trials, shares, seed):
    counts = SpikeCounts(np.arange(num_trials).reshape(-1, 1, 1), 10.0)
    fractions = np.array(shares) / sum(shares)
    if num_trials < len(shares):
        with pytest.raises(ValueError, match="fewer fractions"):
            counts.split(fractions, seed)
        return
    parts = [part.counts.ravel() for part in counts.split(fractions, seed)]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(num_trials))
    assert all(np.all(np.diff(part) > 0) and len(part) for part in parts)
    again = counts.split(fractions, seed)
    assert all(np.array_equal(a, b.counts.ravel()) for a, b in zip(parts, again, strict=True))


def test_a_split_by_time_keeps_the_order_of_the_session(counts):
    shuffled = counts[[4, 2, 0, 3, 1]]
    early, late = shuffled.split((0.6, 0.4), by="time")
    assert early.t_starts_s.max() < late.t_starts_s.min()
    assert (early.num_trials, late.num_trials) == (3, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"fractions": (0.5, 0.4)}, "sum to 1"), ({"fractions": (1.5, -0.5)}, "positive"), ({"by": "area"}, "by must be")],
)
def test_splits_that_make_no_sense_are_refused(counts, options, message):
    with pytest.raises(ValueError, match=message):
        counts.split(**options)


def test_annotations_are_added_to_a_copy(counts):
    marked = counts.with_annotations(synthetic=True)
    assert marked.annotations["synthetic"]
    assert "synthetic" not in counts.annotations
    assert "synthetic" in repr(marked)
