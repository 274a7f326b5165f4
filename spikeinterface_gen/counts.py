"""Binned spikes of a population over trials: the one container that everything shares.

A :class:`SpikeCounts` holds non-negative integers ``counts[trial, bin, unit]``. Trials may differ in
length: the array is zero-padded to the longest one and ``num_bins`` says how many bins of each are
valid. What is known about trials (covariates, start times) and about units (properties) travels with
the counts through slicing and splitting, so that it cannot come apart from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from spikeinterface_gen._checks import (
    as_unsigned,
    covariate,
    distinct_ids,
    of_length,
    padded,
    same_dict,
    valid_lengths,
)
from spikeinterface_gen._concatenation import concatenated
from spikeinterface_gen._conversions import Conversions

__all__ = ["SESSION_TIME", "SpikeCounts"]

SESSION_TIME = "session_time_s"
"""Name of the covariate of synthetic trials that holds the time of the session they were drawn for, in s."""


class SpikeCounts(Conversions):
    """Spike counts of a population, binned, one trial after the other.

    Parameters
    ----------
    counts : array of int, shape (trials, bins, units)
        Spikes of each unit in each bin. A list of (bins, units) arrays is padded to the longest.
    bin_size_ms : float
        Width of a bin in ms.
    unit_ids : sequence of int or str, shape (units,), optional
        Distinct names of the units. Default: 0, 1, 2, …
    num_bins : array of int, shape (trials,), optional
        Valid bins of each trial. Default: all. Spikes beyond them are an error.
    covariates : mapping from str to array, optional
        Known about trials: shape (trials,), (trials, k) or (trials, bins, k).
    unit_properties : mapping from str to array of shape (units, …), optional
        Known about units: ``area``, ``depth_um``, ``refractory_period_ms``, …
    t_starts_s : array of float, shape (trials,), optional
        Start of each trial in the recorded session, in s.
    trial_locked : bool, default True
        Whether trials share a time origin (a stimulus, say). False when cut from a continuous recording.
    annotations : mapping, optional
        Free JSON-able facts about the whole, such as where it came from. What was generated has
        ``synthetic=True`` here.

    Raises
    ------
    ValueError
        If counts are negative, fractional or not finite, if there is no trial, bin or unit, or if the
        length of anything else does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from spikeinterface_gen import SpikeCounts
    >>> counts = SpikeCounts(np.ones((4, 10, 3), dtype=np.uint8), bin_size_ms=20.0, unit_ids=["a", "b", "c"])
    >>> counts
    SpikeCounts: 4 trials × 10 bins of 20 ms × 3 units, 50.0 Hz on average
    >>> counts[:2, ["a", "c"]].counts.shape
    (2, 10, 2)
    """

    def __init__(
        self,
        counts: npt.ArrayLike | Sequence[npt.ArrayLike],
        bin_size_ms: float,
        unit_ids: npt.ArrayLike | None = None,
        num_bins: npt.ArrayLike | None = None,
        covariates: Mapping[str, npt.ArrayLike] | None = None,
        unit_properties: Mapping[str, npt.ArrayLike] | None = None,
        t_starts_s: npt.ArrayLike | None = None,
        trial_locked: bool = True,
        annotations: Mapping[str, Any] | None = None,
    ) -> None:
        array, lengths = padded(counts)
        if num_bins is not None:
            lengths = valid_lengths(num_bins, array)
        if array.ndim != 3 or 0 in array.shape:
            raise ValueError(
                f"counts must have shape (trials, bins, units) with at least one of each; got {array.shape}. "
                "A single trial of shape (bins, units) becomes counts[None]."
            )
        bin_size_ms = float(bin_size_ms)
        if not (np.isfinite(bin_size_ms) and bin_size_ms > 0):
            raise ValueError(f"bin_size_ms must be a positive number of milliseconds; got {bin_size_ms}.")

        self._counts = as_unsigned(array)
        self._num_bins = lengths
        if np.any(self._num_bins < array.shape[1]) and np.any(self._counts[~self.mask]):
            raise ValueError(
                "counts has spikes in bins beyond num_bins of their trial; set them to zero or raise num_bins."
            )
        self._bin_size_ms = bin_size_ms
        self._unit_ids = distinct_ids(unit_ids, self.num_units)
        self._covariates = {
            str(name): covariate(name, value, self._counts.shape) for name, value in (covariates or {}).items()
        }
        self._unit_properties = {
            str(name): of_length(f"unit_properties[{name!r}]", value, self.num_units, "units")
            for name, value in (unit_properties or {}).items()
        }
        self._t_starts_s: np.ndarray | None = None
        if t_starts_s is not None:
            self._t_starts_s = of_length("t_starts_s", np.asarray(t_starts_s, float), self.num_trials, "trials")
            if not np.all(np.isfinite(self._t_starts_s)):
                raise ValueError("t_starts_s must be finite seconds; it holds NaN or infinity.")
        self._trial_locked = bool(trial_locked)
        self._annotations = dict(annotations or {})

    # ---- what it holds -----------------------------------------------------------------------

    @property
    def counts(self) -> np.ndarray:
        """Counts, unsigned int, shape (trials, bins, units), zero beyond ``num_bins``."""
        return self._counts

    @property
    def bin_size_ms(self) -> float:
        """Width of a bin in ms."""
        return self._bin_size_ms

    @property
    def unit_ids(self) -> np.ndarray:
        """Names of the units, shape (units,)."""
        return self._unit_ids

    @property
    def num_bins(self) -> np.ndarray:
        """Valid bins of each trial, int64, shape (trials,)."""
        return self._num_bins

    @property
    def covariates(self) -> dict[str, np.ndarray]:
        """What is known about trials, by name: (trials,), (trials, k) or (trials, bins, k)."""
        return self._covariates

    @property
    def unit_properties(self) -> dict[str, np.ndarray]:
        """What is known about units, by name: (units, …)."""
        return self._unit_properties

    @property
    def t_starts_s(self) -> np.ndarray | None:
        """Start of each trial in its session, in s, shape (trials,), or None where unknown."""
        return self._t_starts_s

    @property
    def trial_locked(self) -> bool:
        """Whether trials share a time origin."""
        return self._trial_locked

    @property
    def annotations(self) -> dict[str, Any]:
        """Facts about the whole, such as ``synthetic``, ``model`` and ``seed``."""
        return self._annotations

    @property
    def num_trials(self) -> int:
        """Number of trials."""
        return self._counts.shape[0]

    @property
    def max_bins(self) -> int:
        """Bins of the longest trial."""
        return self._counts.shape[1]

    @property
    def num_units(self) -> int:
        """Number of units."""
        return self._counts.shape[2]

    @property
    def mask(self) -> np.ndarray:
        """True in the valid bins, shape (trials, bins)."""
        return np.arange(self.max_bins) < self._num_bins[:, None]

    @property
    def durations_s(self) -> np.ndarray:
        """Length of each trial in s, shape (trials,)."""
        return self._num_bins * self._bin_size_ms / 1000.0

    @property
    def rates_hz(self) -> np.ndarray:
        """Mean firing rate of each unit over all valid bins in Hz, shape (units,)."""
        return self._counts.sum(axis=(0, 1), dtype=np.int64) / self.durations_s.sum()

    @property
    def is_binary(self) -> bool:
        """Whether no bin holds more than one spike of a unit."""
        return int(self._counts.max()) <= 1

    def __len__(self) -> int:
        return self.num_trials

    def __repr__(self) -> str:
        shortest, longest = int(self._num_bins.min()), int(self._num_bins.max())
        bins = f"{longest}" if shortest == longest else f"{shortest}–{longest}"
        trials = "trial" if self.num_trials == 1 else "trials"
        units = "unit" if self.num_units == 1 else "units"
        origin = "synthetic " if self._annotations.get("synthetic") else ""
        return (
            f"SpikeCounts: {self.num_trials} {origin}{trials} × {bins} bins of {self._bin_size_ms:g} ms × "
            f"{self.num_units} {units}, {self.rates_hz.mean():.1f} Hz on average"
        )

    def _repr_html_(self) -> str:
        from spikeinterface_gen.html_repr import counts_html

        return counts_html(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SpikeCounts):
            return NotImplemented
        return (
            self._bin_size_ms == other._bin_size_ms
            and self._trial_locked == other._trial_locked
            and np.array_equal(self._counts, other._counts)
            and np.array_equal(self._num_bins, other._num_bins)
            and np.array_equal(self._unit_ids, other._unit_ids)
            and same_dict(self._covariates, other._covariates)
            and same_dict(self._unit_properties, other._unit_properties)
            and (
                np.array_equal(self._t_starts_s, other._t_starts_s)
                if self._t_starts_s is not None and other._t_starts_s is not None
                else self._t_starts_s is other._t_starts_s
            )
        )

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    # ---- parts of it -------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> SpikeCounts:
        """``counts[trials]`` or ``counts[trials, units]``; units by id (a list) or by a slice or mask."""
        trials, units = key if isinstance(key, tuple) else (key, slice(None))
        if isinstance(units, slice) or (isinstance(units, np.ndarray) and units.dtype == bool):
            positions = np.arange(self.num_units)[units]
        else:
            positions = self.unit_positions(units)
        return self._take(self._trial_positions(trials), positions)

    def select_units(self, unit_ids: npt.ArrayLike) -> SpikeCounts:
        """Return the units of these ids, in this order.

        Raises
        ------
        KeyError
            If an id is not among ``unit_ids``.
        """
        return self._take(np.arange(self.num_trials), self.unit_positions(unit_ids))

    def unit_positions(self, unit_ids: npt.ArrayLike) -> np.ndarray:
        """Positions of these ids along the last axis, shape (n,)."""
        where = {unit_id: k for k, unit_id in enumerate(self._unit_ids.tolist())}
        wanted = np.atleast_1d(np.asarray(unit_ids)).tolist()
        unknown = [unit_id for unit_id in wanted if unit_id not in where]
        if unknown:
            known = ", ".join(repr(u) for u in self._unit_ids[:5].tolist())
            raise KeyError(f"unit ids {unknown[:5]} are not among the {self.num_units} units ({known}, …).")
        return np.array([where[unit_id] for unit_id in wanted], dtype=np.int64)

    def split(
        self, fractions: Sequence[float] = (0.8, 0.2), seed: int = 0, *, by: str = "random"
    ) -> tuple[SpikeCounts, ...]:
        """Split the trials into disjoint parts that together hold them all.

        Parameters
        ----------
        fractions : sequence of float
            Share of the trials in each part; they sum to 1. Every part gets at least one trial.
        seed : int
            Of the random assignment; without effect for ``by="time"``.
        by : {"random", "time"}
            "time" cuts the session into consecutive parts, in the order of ``t_starts_s`` (of the trials
            where that is unknown): the test of whether a model survives the drift of its session.

        Returns
        -------
        tuple of SpikeCounts
            One per fraction, trials in their original order.
        """
        shares = np.asarray(fractions, float)
        if shares.ndim != 1 or np.any(shares <= 0) or not np.isclose(shares.sum(), 1.0):
            raise ValueError(f"fractions must be positive and sum to 1; got {list(fractions)}.")
        if self.num_trials < len(shares):
            raise ValueError(
                f"{self.num_trials} trials cannot be split into {len(shares)} parts; "
                "give fewer fractions or more trials."
            )
        if by == "random":
            order = np.random.Generator(np.random.PCG64(seed)).permutation(self.num_trials)
        elif by == "time":
            starts = self._t_starts_s if self._t_starts_s is not None else np.arange(self.num_trials)
            order = np.argsort(starts, kind="stable")
        else:
            raise ValueError(f"by must be 'random' or 'time'; got {by!r}.")
        borders = np.round(np.cumsum(shares) * self.num_trials).astype(int)[:-1]
        # At least one trial on either side of every border, also for very small fractions.
        for k in range(len(borders)):
            low = borders[k - 1] + 1 if k else 1
            borders[k] = min(max(borders[k], low), self.num_trials - (len(borders) - k))
        return tuple(self[np.sort(part)] for part in np.split(order, borders))

    @classmethod
    def concatenate(cls, parts: Sequence[SpikeCounts]) -> SpikeCounts:
        """Trials of one part after those of another, such as the shards of a job that was drawn in parallel.

        Parameters
        ----------
        parts : sequence of SpikeCounts
            Of the same units, in the same order, and bins of one width.

        Returns
        -------
        SpikeCounts
            With the properties of units of the first part, with the start times and those covariates that all parts
            have, and with the annotations that they have in common.

        Raises
        ------
        ValueError
            If there is no part, or if units, bins or shapes of a covariate differ.
        """
        return concatenated(parts)

    def with_annotations(self, **annotations: Any) -> SpikeCounts:
        """Return the same counts with these annotations added."""
        copy = self._take(np.arange(self.num_trials), np.arange(self.num_units))
        copy._annotations = {**self._annotations, **annotations}
        return copy

    def with_covariates(self, **covariates: npt.ArrayLike) -> SpikeCounts:
        """Return the same counts with these covariates added: (trials,), (trials, k) or (trials, bins, k)."""
        copy = self._take(np.arange(self.num_trials), np.arange(self.num_units))
        added = {name: covariate(name, value, self._counts.shape) for name, value in covariates.items()}
        copy._covariates = {**self._covariates, **added}
        return copy

    # ---- inside ------------------------------------------------------------------------------

    def _trial_positions(self, trials: Any) -> np.ndarray:
        if isinstance(trials, (int, np.integer)):
            trials = slice(trials, trials + 1 if trials != -1 else None)
        positions = np.arange(self.num_trials)[trials]
        if positions.size == 0:
            raise IndexError(f"the selection holds none of the {self.num_trials} trials.")
        return positions

    def _take(self, trials: np.ndarray, units: np.ndarray) -> SpikeCounts:
        num_bins = self._num_bins[trials]
        longest = int(num_bins.max())
        covariates = {
            name: value[trials][:, :longest] if value.ndim == 3 else value[trials]
            for name, value in self._covariates.items()
        }
        counts = self._counts[trials][:, :longest]
        if not np.array_equal(units, np.arange(self.num_units)):
            counts = counts[:, :, units]
        return SpikeCounts(
            counts,
            self._bin_size_ms,
            unit_ids=self._unit_ids[units],
            num_bins=num_bins,
            covariates=covariates,
            unit_properties={name: value[units] for name, value in self._unit_properties.items()},
            t_starts_s=None if self._t_starts_s is None else self._t_starts_s[trials],
            trial_locked=self._trial_locked,
            annotations=self._annotations,
        )
