"""What a model is conditioned on: covariates together, of recorded trials, and of trials to be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from spikeinterface_gen.counts import SESSION_TIME, SpikeCounts
from spikeinterface_gen.models.covariate import KINDS, Covariate
from spikeinterface_gen.models.population import Population
from spikeinterface_gen.randomness import uniforms

__all__ = ["Asked", "Conditions", "Encoded", "Trials", "trials_to_draw"]

# Noise on features while training, so that the value of one trial cannot become its name: a tenth of the spread, and
# about a fortieth of the session.
_JITTER = {"categorical": 0.0, "continuous": 0.1, "circular": 0.1, "session_time": 0.15}


@dataclass(frozen=True)
class Encoded:
    """Features of trials.

    Attributes
    ----------
    constant : array of float32, shape (trials, constant features)
    varying : array of float32, shape (trials, bins, varying features)
        Zero beyond the end of a trial.
    """

    constant: np.ndarray
    varying: np.ndarray


@dataclass(frozen=True)
class Asked:
    """Trials to draw.

    Attributes
    ----------
    held : dict of str to array of float64
        Values of covariates; those that are not in it are left to the model.
    num_bins : array of int, shape (trials,), or None
        Lengths that go with them: of the recorded trials that they are from, or of covariates that vary within trials.
    """

    held: dict[str, np.ndarray]
    num_bins: np.ndarray | None


@dataclass(frozen=True)
class Trials:
    """Trials to draw, as the sampler takes them.

    Attributes
    ----------
    num_bins : array of int, shape (trials,)
    encoded : Encoded or None
    covariates : dict of str to array
        As the user has them.
    guidance : float
    """

    num_bins: np.ndarray
    encoded: Encoded | None
    covariates: dict[str, np.ndarray]
    guidance: float


class Conditions:
    """The covariates that a model knows, and their values in the recorded trials.

    Parameters
    ----------
    covariates : sequence of Covariate
    rows : mapping from str to array of float64, shape (trials, k) or (trials, bins, k)
        Held values of recorded trials.
    num_bins : array of int, shape (trials,)
        Lengths of recorded trials.
    """

    def __init__(self, covariates: Sequence[Covariate], rows: Mapping[str, np.ndarray], num_bins: np.ndarray) -> None:
        self.covariates = {covariate.name: covariate for covariate in covariates}
        self.rows = dict(rows)
        self.num_bins = num_bins

    @classmethod
    def of(
        cls, counts: SpikeCounts, asked: Sequence[str] | Mapping[str, str | None] | None, session_time: bool
    ) -> Self | None:
        """Conditions from recorded trials; None where there are none.

        Parameters
        ----------
        counts : SpikeCounts
        asked : sequence of str, or mapping from str to kind, optional
            Names of covariates.
        session_time : bool
            Whether trial time is one of them, where it is known.

        Raises
        ------
        KeyError, TypeError, ValueError
            If a covariate is not there or cannot be a condition.
        """
        kinds = _kinds(asked)
        unknown = [name for name in kinds if name not in counts.covariates]
        if unknown:
            there = ", ".join(map(repr, counts.covariates)) or "none"
            raise KeyError(f"covariates: counts has no {unknown[0]!r}; it has {there}.")
        if SESSION_TIME in kinds:
            raise ValueError(
                f"covariates: {SESSION_TIME!r} is the name of trial time, which is a covariate by itself where "
                "counts.t_starts_s is known."
            )
        found: list[Covariate] = []
        rows: dict[str, np.ndarray] = {}
        for name, kind in kinds.items():
            covariate, rows[name] = Covariate.of(name, counts.covariates[name], counts.mask, kind)
            found.append(covariate)
        if session_time and counts.t_starts_s is not None:
            timed = Covariate.of_session_time(counts.t_starts_s)
            if timed is not None:
                found.append(timed[0])
                rows[SESSION_TIME] = timed[1]
        return cls(found, rows, counts.num_bins) if found else None

    def __repr__(self) -> str:
        return "; ".join(f"{name} ({covariate.described()})" for name, covariate in self.covariates.items())

    def __len__(self) -> int:
        return len(self.num_bins)

    # ---- features ------------------------------------------------------------------------------

    @property
    def constant(self) -> list[Covariate]:
        """Those that are the same in all bins of a trial."""
        return [covariate for covariate in self.covariates.values() if not covariate.varying]

    @property
    def varying(self) -> list[Covariate]:
        """Those that vary within trials."""
        return [covariate for covariate in self.covariates.values() if covariate.varying]

    @property
    def num_constant(self) -> int:
        """Features that are constant over a trial."""
        return sum(covariate.num_features for covariate in self.constant)

    @property
    def num_varying(self) -> int:
        """Features of a bin."""
        return sum(covariate.num_features for covariate in self.varying)

    @property
    def groups(self) -> tuple[np.ndarray, np.ndarray]:
        """The number of the covariate of each constant, and of each varying feature; constant ones come first."""
        number = [covariate.num_features for covariate in (*self.constant, *self.varying)]
        group = np.repeat(np.arange(len(number)), number)
        return group[: self.num_constant], group[self.num_constant :]

    @property
    def says_known(self) -> tuple[np.ndarray, np.ndarray]:
        """For each constant, and each varying feature, the number of the one that says what is known.

        It is the last one of a covariate.
        """
        constant, varying = (np.searchsorted(group, group, side="right") - 1 for group in self.groups)
        return constant, varying

    @property
    def jitter(self) -> np.ndarray:
        """S.d. of the noise on constant features while training; 0 for those that say what is known."""
        of_covariates = np.array([_JITTER[covariate.kind] for covariate in self.constant], np.float32)
        says_known = self.says_known[0]
        return np.where(says_known == np.arange(self.num_constant), np.float32(0), of_covariates[self.groups[0]])

    def encoded(self, held: Mapping[str, np.ndarray], num_bins: np.ndarray, length: int | None = None) -> Encoded:
        """Features of trials of these lengths, padded to ``length``; of covariates not in ``held``, zeros."""
        length = length or int(num_bins.max())
        constant = np.zeros((len(num_bins), self.num_constant), np.float32)
        varying = np.zeros((len(num_bins), length, self.num_varying), np.float32)
        start = 0
        for covariate in self.constant:
            stop = start + covariate.num_features
            if covariate.name in held:
                constant[:, start:stop] = covariate.features(held[covariate.name])
            start = stop
        start = 0
        for covariate in self.varying:
            stop = start + covariate.num_features
            if covariate.name in held:
                features = covariate.features(held[covariate.name][:, :length])
                varying[:, : features.shape[1], start:stop] = features
            start = stop
        varying *= (np.arange(length) < num_bins[:, None])[..., None]
        return Encoded(constant, varying)

    def of_counts(self, counts: SpikeCounts, *, complete: bool = True) -> Encoded:
        """Features of recorded trials; without some of the covariates, an error unless they need not be complete."""
        held = {}
        for name, covariate in self.covariates.items():
            if name == SESSION_TIME:
                if counts.t_starts_s is not None:
                    held[name] = counts.t_starts_s[:, None]
            elif name in counts.covariates:
                held[name] = covariate.read(counts.covariates[name], counts.num_trials, recorded=True)
            elif complete:
                there = ", ".join(map(repr, counts.covariates)) or "none"
                raise KeyError(f"validation has no covariate {name!r}; it has {there}.")
        return self.encoded(held, counts.num_bins, counts.max_bins)

    def evenly(self, num_bins: np.ndarray) -> Encoded:
        """Features of as many trials as there are lengths, from recorded trials at even distances."""
        return self.encoded(self._of_rows(self._even_rows(len(num_bins))), num_bins)

    def _even_rows(self, number: int) -> np.ndarray:
        """The recorded trial at (i + ½) / number of all, in whole numbers."""
        return (2 * np.arange(number) + 1) * len(self) // (2 * number)

    def _of_rows(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        return {name: values[rows] for name, values in self.rows.items()}

    # ---- trials to draw ------------------------------------------------------------------------

    def asked(self, num_trials: int, covariates: Any, *, session: bool, seed: int) -> Asked:
        """What trials to draw are conditioned on.

        Parameters
        ----------
        num_trials : int
        covariates : mapping from str to values, or None
            None takes the covariates of recorded trials, drawn at random or, for ``session``, in their order.
        session : bool
            Whether trial i of n is at the i-th quantile of the recorded trial times.
        seed : int

        Raises
        ------
        ValueError
            If a name is not known, or values cannot be taken (:meth:`Covariate.read`).
        """
        given = None if covariates is None else self._given(covariates, num_trials)
        if session:
            if SESSION_TIME not in self.covariates:
                raise ValueError(
                    "session=True needs a model that knows trial time; fit one to counts with t_starts_s, of at "
                    "least 20 trials."
                )
            if given is not None and SESSION_TIME in given:
                raise ValueError(f"session=True sets {SESSION_TIME!r}; leave one of the two out.")
            shares = (np.arange(num_trials) + 0.5) / num_trials
            times = self.rows[SESSION_TIME][:, 0]
            rows = np.argsort(times, kind="stable")[self._even_rows(num_trials)]
            timed = {SESSION_TIME: np.quantile(times, shares)[:, None]}
            if given is None:
                return Asked(self._of_rows(rows) | timed, self.num_bins[rows])
            return Asked(given | timed, self._lengths(given))
        if given is None:
            # One uniform a trial, by index: trial i keeps its covariates however many are drawn.
            u = np.array([uniforms(seed, "covariates", trial, (1,))[0] for trial in range(num_trials)])
            rows = (u * len(self)).astype(np.int64)
            return Asked(self._of_rows(rows), self.num_bins[rows])
        return Asked(given, self._lengths(given))

    def _lengths(self, given: Mapping[str, np.ndarray]) -> np.ndarray | None:
        lengths = {name: values.shape[1] for name, values in given.items() if self.covariates[name].varying}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
            raise ValueError(f"covariates that vary within trials must have the same number of bins; got {told}.")
        return None if not lengths else np.full(len(next(iter(given.values()))), next(iter(lengths.values())))

    def _given(self, covariates: Any, num_trials: int) -> dict[str, np.ndarray]:
        try:
            given = dict(covariates)
        except (TypeError, ValueError):
            raise TypeError(
                f"covariates must map names to values; got {type(covariates).__name__}. The model knows {self!r}."
            ) from None
        for name in given:
            if name not in self.covariates:
                raise ValueError(f"covariates: the model was fitted without {name!r}; it knows {self!r}.")
        return {
            name: self.covariates[name].read(values, num_trials) for name, values in given.items() if values is not None
        }

    def restored(self, held: Mapping[str, np.ndarray], length: int) -> dict[str, np.ndarray]:
        """Covariates as a SpikeCounts of ``length`` bins holds them."""
        found = {}
        for name, covariate in self.covariates.items():
            if name in held:
                values = held[name]
                if covariate.varying:
                    missing = max(0, length - values.shape[1])
                    values = np.pad(values, ((0, 0), (0, missing), (0, 0)), constant_values=np.nan)[:, :length]
                found[name] = covariate.restored(values)
        return found

    # ---- files ---------------------------------------------------------------------------------

    def to_config(self) -> list[dict[str, Any]]:
        """JSON-able form of the covariates; :meth:`arrays` are the rest."""
        return [asdict(covariate) for covariate in self.covariates.values()]

    def arrays(self) -> dict[str, np.ndarray]:
        """What was recorded, by names for a file."""
        rows = {f"conditions.{k}": self.rows[name] for k, name in enumerate(self.covariates)}
        return {**rows, "conditions.num_bins": self.num_bins}

    @classmethod
    def from_config(cls, config: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]) -> Self:
        """Inverse of :meth:`to_config` and :meth:`arrays`."""
        covariates = [Covariate(**entry) for entry in config]
        rows = {covariate.name: arrays[f"conditions.{k}"] for k, covariate in enumerate(covariates)}
        return cls(covariates, rows, arrays["conditions.num_bins"])


def _kinds(asked: Sequence[str] | Mapping[str, str | None] | None) -> dict[str, str | None]:
    if asked is None:
        return {}
    if isinstance(asked, Mapping):
        return dict(asked)
    if isinstance(asked, str) or not all(isinstance(name, str) for name in asked):
        raise TypeError(
            f"covariates must be a list of names, or a mapping from names to {', '.join(map(repr, KINDS))} (or None, "
            f"for the kind that the values suggest); got {asked!r}."
        )
    return dict.fromkeys(asked)


def trials_to_draw(
    population: Population,
    conditions: Conditions | None,
    num_trials: int,
    durations: Any,
    covariates: Any,
    session: bool,
    guidance: float,
    seed: int,
) -> Trials:
    """Lengths and conditions of trials; the parameters are those of :meth:`LDNS.sample`.

    Raises
    ------
    ValueError
        If covariates are shorter than trials, or given to a model without conditions, and as
        :meth:`Conditions.asked` and :meth:`Population.draw_lengths` say.
    """
    num_bins = population.draw_lengths(num_trials, durations, seed)
    if conditions is None:
        if covariates is not None or guidance != 1.0 or session:
            raise ValueError(
                "covariates, session and guidance need a conditional model; this one was fitted without covariates "
                "and knows no trial times."
            )
        return Trials(num_bins, None, {}, 1.0)
    if not (np.isfinite(guidance) and guidance >= 0):
        raise ValueError(f"guidance must be a number of at least 0; got {guidance}.")
    asked = conditions.asked(num_trials, covariates, session=session, seed=seed)
    if durations is None and asked.num_bins is not None:
        # Also checks that they are not too long.
        num_bins = population.draw_lengths(num_trials, asked.num_bins * population.bin_size_ms / 1000.0, seed)
    for name, values in asked.held.items() if covariates is not None else ():
        if conditions.covariates[name].varying and values.shape[1] < num_bins.max():
            raise ValueError(
                f"covariates[{name!r}] has {values.shape[1]} bins; the trials have up to {num_bins.max()}. Give a "
                "value for every bin, NaN where unknown, or shorter durations."
            )
    encoded = conditions.encoded(asked.held, num_bins)
    return Trials(num_bins, encoded, conditions.restored(asked.held, int(num_bins.max())), float(guidance))
