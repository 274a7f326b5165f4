r"""One covariate as a condition of a model: its kind, its features, and what it may be asked for.

================  ==============================================  ===========================================
kind              taken for                                       features
================  ==============================================  ===========================================
categorical       text, booleans, at most 10 whole numbers        one per category, 0 or 1
continuous        other numbers                                   (x − median) / spread
circular          angles in radians, where the user says so       sin x, cos x
session_time      the start of a trial in its session             :math:`\sqrt 2 \cos(\pi k u)`, k = 1, 2, 3
================  ==============================================  ===========================================

The spread is that of a normal distribution with the quartiles of the values, or with their 1st and 99th percentile
where these are wider apart: of the velocity of a hand that mostly rests, quartiles say little. u runs from 0 to 1 over
the trials of the session. A last feature is 1 where the covariate is known; where it is not,
all are 0. Values are held as float64, shape (trials, columns) or (trials, bins, columns), with NaN where unknown and
categories by their number.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from spikeinterface_gen._checks import known_or_filled
from spikeinterface_gen.counts import SESSION_TIME

__all__ = ["KINDS", "Covariate"]

KINDS = ("categorical", "continuous", "circular")

_MAX_WHOLE_NUMBERS = 10
# Fewer trials a category, and it names trials rather than conditions.
_TRIALS_PER_CATEGORY = 4
# A session of twenty trials has one slow change that can be told from noise, one of sixty has three.
_TRIALS_PER_COSINE, _MAX_COSINES = 20, 3
_MAX_DEVIATION = 6.0
_NUM_QUANTILES = 101
# Beyond the range of the data by this share of it: an extrapolation to warn of, rather than a mistake.
_EXTRAPOLATION, _NEGLIGIBLE = 0.25, 0.01
_MAX_ANGLE = 4 * np.pi


@dataclass(frozen=True)
class Covariate:
    """A covariate, as the data had it.

    Attributes
    ----------
    name, kind : str
    dtype : str
        Of the values that the user gave, and gets back.
    ndim : int
        1, 2 or 3: values of shape (trials,), (trials, k) or (trials, bins, k).
    num_columns : int
        k, 1 for values of shape (trials,).
    categories : list
        Of a categorical one, sorted.
    low, high, centre, scale : list of float, one per column
        Smallest and largest value, median, and spread, of numbers.
    quantiles : list of float
        Of the session time: trial times at evenly spaced shares of the trials.
    num_cosines : int
        Of the session time.
    """

    name: str
    kind: str
    dtype: str
    ndim: int
    num_columns: int
    categories: list
    low: list[float]
    high: list[float]
    centre: list[float]
    scale: list[float]
    quantiles: list[float]
    num_cosines: int

    @classmethod
    def of(cls, name: str, values: np.ndarray, mask: np.ndarray, kind: str | None = None) -> tuple[Self, np.ndarray]:
        """Find out what a covariate is.

        Parameters
        ----------
        name : str
        values : array, shape (trials,), (trials, k) or (trials, bins, k)
            Unknown values are NaN, in text empty.
        mask : array of bool, shape (trials, bins)
            The valid bins.
        kind : {"categorical", "continuous", "circular"}, optional
            Default: by the values.

        Returns
        -------
        covariate : Covariate
        held : array of float64
            The values as they are held.

        Raises
        ------
        ValueError
            If the kind does not suit the values, or if they say nothing: unknown, the same everywhere, or of a
            category for each trial.
        """
        label = f"covariates[{name!r}]"
        if kind is not None and kind not in KINDS:
            raise ValueError(f"{label} must be of kind {', '.join(map(repr, KINDS))}; got {kind!r}.")
        kind = kind or _kind_of(values)
        dtype = values.dtype.str
        held = values if values.ndim > 1 else values[:, None]
        categories: list = []
        if kind == "categorical":
            if held.shape[-1] != 1:
                raise ValueError(
                    f"{label} has {held.shape[-1]} columns; a categorical covariate has one. Give each column a name "
                    "of its own."
                )
            known = _known(held) & (mask[..., None] if held.ndim == 3 else True)
            categories = np.unique(held[known]).tolist()
            held = _codes(held, categories, label)
        elif held.dtype.kind == "U":
            raise ValueError(f"{label} holds text; a {kind} covariate holds numbers.")
        held = held.astype(np.float64)
        if held.ndim == 3:
            held = np.where(mask[..., None], held, np.nan)
        found = cls._described(name, kind, dtype, values.ndim, held, categories)
        found._check_informative(held, label)
        return found, held

    @classmethod
    def of_session_time(cls, t_starts_s: np.ndarray) -> tuple[Self, np.ndarray] | None:
        """The covariate of trial starts, and these; None for too few trials to see a session drift."""
        num_cosines = min(_MAX_COSINES, len(t_starts_s) // _TRIALS_PER_COSINE)
        if num_cosines == 0 or np.ptp(t_starts_s) == 0:
            return None
        held = np.asarray(t_starts_s, np.float64)[:, None]
        return cls._described(SESSION_TIME, "session_time", "<f8", 1, held, [], num_cosines), held

    @classmethod
    def _described(
        cls, name: str, kind: str, dtype: str, ndim: int, held: np.ndarray, categories: list, num_cosines: int = 0
    ) -> Self:
        columns = held.reshape(-1, held.shape[-1])
        columns = columns[np.isfinite(columns).all(axis=1)]
        if not len(columns):
            raise ValueError(f"covariates[{name!r}] is unknown in all trials; leave it out.")
        low, first, median, third, high = np.quantile(columns, [0.01, 0.25, 0.5, 0.75, 0.99], axis=0)
        spread = np.maximum((third - first) / 1.349, (high - low) / 4.653)
        # Of a value that almost all trials share, quantiles say nothing.
        spread = np.where(spread > 0, spread, columns.std(axis=0))
        quantiles = np.quantile(columns, np.linspace(0, 1, _NUM_QUANTILES)) if num_cosines else np.empty(0)
        return cls(
            name,
            kind,
            dtype,
            ndim,
            held.shape[-1],
            categories,
            columns.min(axis=0).tolist(),
            columns.max(axis=0).tolist(),
            median.tolist(),
            np.where(spread > 0, spread, 1.0).tolist(),
            quantiles.tolist(),
            num_cosines,
        )

    def _check_informative(self, held: np.ndarray, label: str) -> None:
        if self.low == self.high:
            value = self.categories[0] if self.categories else self.low[0]
            raise ValueError(f"{label} is {value!r} in all trials: there is nothing to condition on.")
        known = int(np.isfinite(held).all(axis=-1).sum())
        if len(self.categories) * _TRIALS_PER_CATEGORY > known:
            raise ValueError(
                f"{label} has {len(self.categories)} categories for {known} values: it names trials rather than "
                "conditions. Join categories, or give its kind: covariates={name: 'continuous'}."
            )
        if self.kind == "circular":
            self._check_angles(held, label)

    @staticmethod
    def _check_angles(held: np.ndarray, label: str) -> None:
        if np.nanmax(np.abs(held), initial=0.0) > _MAX_ANGLE:
            raise ValueError(
                f"{label} goes up to {np.nanmax(np.abs(held)):g}; angles are taken in radians: np.deg2rad converts."
            )

    # ---- features ------------------------------------------------------------------------------

    @property
    def varying(self) -> bool:
        """Whether it varies within a trial."""
        return self.ndim == 3

    @property
    def num_features(self) -> int:
        """Features, with the one that says whether it is known."""
        per_column = {"categorical": len(self.categories), "circular": 2, "session_time": self.num_cosines}
        return 1 + self.num_columns * per_column.get(self.kind, 1)

    def features(self, held: np.ndarray) -> np.ndarray:
        """Features of held values, float32, shape (…, num_features)."""
        known = np.isfinite(held).all(axis=-1, keepdims=True)
        x = np.where(known, held, 0.0)
        if self.kind == "categorical":
            parts = [x == np.arange(len(self.categories))]
        elif self.kind == "circular":
            parts = [np.sin(x), np.cos(x)]
        elif self.kind == "session_time":
            u = np.interp(x, self.quantiles, np.linspace(0, 1, len(self.quantiles)))
            parts = [np.sqrt(2.0) * np.cos(np.pi * np.arange(1, self.num_cosines + 1) * u)]
        else:
            z = (x - np.array(self.centre)) / np.array(self.scale)
            parts = [np.clip(z, -_MAX_DEVIATION, _MAX_DEVIATION)]
        return (np.concatenate([*parts, np.ones(known.shape)], axis=-1) * known).astype(np.float32)

    # ---- to and from what the user has ---------------------------------------------------------

    def read(self, values: Any, num_trials: int, *, recorded: bool = False) -> np.ndarray:
        """Held values of what a user gives, checked against what the model has seen.

        Parameters
        ----------
        values : array or scalar
            One value for each trial, or one for all of them. None, NaN and empty text are unknown.
        num_trials : int
        recorded : bool
            Whether they are of recorded trials, which may lie outside what the model has seen.

        Returns
        -------
        array of float64, shape (num_trials, k) or (num_trials, bins, k)

        Raises
        ------
        ValueError
            If the length, shape or kind is another, a category is unseen, or a number far outside the seen range.
        """
        label = f"covariates[{self.name!r}]"
        array = self._shaped(_plain(values, label), num_trials, label)
        if self.kind == "categorical":
            return _codes(array, self.categories, label, unknown_is_error=not recorded)
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{label} must hold numbers ({self.described()}); got {array.ravel()[0]!r}.")
        held = array.astype(np.float64)
        if np.isinf(held).any():
            raise ValueError(f"{label} must be finite; unknown values are NaN.")
        if self.kind == "circular":
            self._check_angles(held, label)
        elif not recorded:
            self._check_range(held, label)
        return held

    def _shaped(self, array: np.ndarray, num_trials: int, label: str) -> np.ndarray:
        k = self.num_columns
        shape = {1: "", 2: f", {k}", 3: f", bins, {k}"}[self.ndim]
        one_trial = array.ndim == self.ndim - 1
        if one_trial:
            array = array[None]
        columns_fit = array.ndim == self.ndim and (self.ndim == 1 or array.shape[-1] == k)
        if not columns_fit or not (one_trial or len(array) == num_trials):
            raise ValueError(
                f"{label} must have shape ({num_trials}{shape}), or ({shape.lstrip(', ')}) for the same in all "
                f"trials; got {array.shape if not one_trial else array.shape[1:]}."
            )
        array = array if self.ndim > 1 else array[:, None]
        return np.broadcast_to(array, (num_trials, *array.shape[1:]))

    def _check_range(self, held: np.ndarray, label: str) -> None:
        low, high = np.array(self.low), np.array(self.high)
        beyond = np.nan_to_num(np.maximum(held - high, low - held) / np.maximum(high - low, 1e-12), nan=-1.0)
        if beyond.max() <= _NEGLIGIBLE:
            return
        where = np.unravel_index(int(beyond.argmax()), held.shape)
        column = where[-1]
        told = (
            f"{label} is {held[where]:g} in trial {where[0]}; the model saw {self.low[column]:g} to "
            f"{self.high[column]:g}"
        )
        if beyond.max() > _EXTRAPOLATION:
            raise ValueError(f"{told} and knows nothing of what is far beyond. Is it in the same unit?")
        warnings.warn(f"{told}; beyond, it extrapolates.", UserWarning, stacklevel=6)

    def restored(self, held: np.ndarray) -> np.ndarray:
        """Values as the user has them; where unknown, NaN or empty text."""
        values: np.ndarray
        if self.kind == "categorical":
            categories = np.array(self.categories)
            values = categories[np.nan_to_num(held).astype(np.int64)]
            unknown = np.isnan(held)
            if unknown.any():
                values = (
                    np.where(unknown, "", values) if values.dtype.kind == "U" else np.where(unknown, np.nan, values)
                )
            else:
                values = values.astype(self.dtype if values.dtype.kind != "U" else values.dtype)
        else:
            values = held if np.isnan(held).any() or np.dtype(self.dtype).kind == "f" else held.astype(self.dtype)
        return values[:, 0] if self.ndim == 1 else values

    def described(self) -> str:
        """Its kind and what was seen of it."""
        if self.kind == "categorical":
            shown = ", ".join(map(repr, self.categories[:6])) + (", …" if len(self.categories) > 6 else "")
            return f"categorical: {shown}"
        if self.kind == "circular":
            return "circular, in radians"
        return f"{self.kind.replace('_', ' ')}, {min(self.low):g} to {max(self.high):g}"


def _kind_of(values: np.ndarray) -> str:
    if values.dtype.kind in "bU":
        return "categorical"
    finite = values[np.isfinite(values)]
    whole = np.all(finite == np.round(finite)) and (values.ndim == 1 or values.shape[-1] == 1)
    return "categorical" if whole and len(np.unique(finite)) <= _MAX_WHOLE_NUMBERS else "continuous"


def _known(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "U":
        return values != ""
    return np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, bool)


def _codes(values: np.ndarray, categories: list, label: str, *, unknown_is_error: bool = False) -> np.ndarray:
    """Numbers of the categories, NaN where unknown or not among them."""
    codes = np.full(values.shape, np.nan)
    for k, category in enumerate(categories):
        # Text is no number: 1 is not "1".
        if isinstance(category, str) == (values.dtype.kind == "U"):
            codes[values == category] = k
    if unknown_is_error:
        unseen = np.isnan(codes) & _known(values)
        if unseen.any():
            where = np.unravel_index(int(unseen.argmax()), unseen.shape)
            raise ValueError(
                f"{label} is {values[where].item()!r} in trial {where[0]}; the model has seen "
                f"{', '.join(map(repr, categories))}."
            )
    return codes


def _plain(values: Any, label: str) -> np.ndarray:
    """An array of numbers or text; None becomes NaN or empty text."""
    try:
        array = np.asarray(values)
        if array.dtype == object:  # a column of a table, or a list with gaps
            array = np.array(known_or_filled(array).tolist())
    except ValueError:
        raise ValueError(f"{label} must be an array of numbers or text; its entries differ in shape.") from None
    if array.dtype.kind not in "biufU":
        raise ValueError(f"{label} must hold numbers, booleans or text; got an array of {array.dtype}.")
    return array
