"""Spike-train statistics as an extension of SpikeInterface's SortingAnalyzer, beside those of a reference.

Importing this module registers the extension::

    analyzer.compute("spike_train_statistics", reference=real_counts)
    analyzer.get_extension("spike_train_statistics").get_data("comparison")

Units of a sorting and of its reference need not correspond: what is compared is how a statistic is distributed over
units. Where both have units of the same names (a generated population and the recorded one, a ground truth and
itself sorted), they are also compared unit by unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from spikeinterface.core import BaseSorting
from spikeinterface.core.sortinganalyzer import AnalyzerExtension, SortingAnalyzer, register_result_extension

from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.validation.design import Groups
from spikeinterface_gen.validation.estimates import Estimate, jackknife
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.statistics import TrialStatistics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ComputeSpikeTrainStatistics", "compute_spike_train_statistics"]

# New ones go to the end: what was saved with fewer of them has the first ones.
_STATISTICS = (
    *("rate_hz", "isi_mean_s", "isi_sd_s", "cv2", "fano_factor", "mean_correlation"),
    *("lv", "population_coupling", "mean_spike_time_tiling"),
)
_WINDOW_S = 5.0


class ComputeSpikeTrainStatistics(AnalyzerExtension):
    """Compute rate, intervals, Fano factor and correlations of each unit, beside those of a reference population.

    With 95 % intervals by the grouped jackknife over trials.

    Parameters
    ----------
    bin_size_ms : float, default: 10.0
        Width of the bins that spikes are counted in, in ms.
    window_s : float or None, default: None
        Length of the windows that take the place of trials, in s. By default, the segments are the trials where
        there are several, else windows of 5 s.
    reference : SpikeCounts, BaseSorting or SortingAnalyzer or None, default: None
        The population to set beside: recorded trials where spikes are synthetic, the ground truth where they are
        sorted. A sorting is cut like the analyzer's own; a SpikeCounts must have bins of ``bin_size_ms``.

    Returns
    -------
    pandas.DataFrame
        Of ``get_data()``, a row a unit: ``rate_hz``; ``isi_mean_s``, ``isi_sd_s``, ``cv2`` and ``lv`` of the intervals
        within trials; ``fano_factor`` of the spikes in a trial; ``mean_correlation`` of counts and
        ``mean_spike_time_tiling`` (20 ms) with all other units; ``population_coupling``, the correlation with the sum
        of all others, counts in 5 bins. NaN where a unit fires too little. ``get_data("intervals")`` has ``low`` and
        ``high`` of each of them, NaN of a single trial; ``get_data("reference")`` the values of the reference, and
        ``get_data("comparison")`` a row a statistic: the medians over units on both sides, the Kolmogorov-Smirnov
        distance of the two distributions with its p-value, and the correlation over the units that bear the
        same name on both sides.
    """

    extension_name = "spike_train_statistics"
    depend_on: list[str] = []  # noqa: RUF012 - SpikeInterface's form
    need_recording = False
    use_nodepipeline = False
    need_job_kwargs = False

    def _set_params(
        self,
        bin_size_ms: float = 10.0,
        window_s: float | None = None,
        reference: SpikeCounts | BaseSorting | SortingAnalyzer | None = None,
    ) -> dict[str, Any]:
        if reference is not None and not isinstance(reference, (SpikeCounts, BaseSorting, SortingAnalyzer)):
            raise TypeError(
                "reference must be a SpikeCounts, a sorting or a SortingAnalyzer; "
                f"got {type(reference).__name__}. SpikeCounts.from_neo(block, …) makes the first of a Neo block."
            )
        if isinstance(reference, SpikeCounts) and reference.bin_size_ms != bin_size_ms:
            raise ValueError(
                f"reference has bins of {reference.bin_size_ms:g} ms; give bin_size_ms={reference.bin_size_ms:g}."
            )
        self._reference = reference
        # Parameters are written down as JSON: the reference itself becomes data, once it has been measured.
        return {
            "bin_size_ms": bin_size_ms,
            "window_s": window_s,
            "reference": None if reference is None else repr(reference),
        }

    def _run(self, verbose: bool = False) -> None:
        self.data.update(_data_of(self.sorting_analyzer, self.params))
        if self._reference is not None:
            reference = _counts_of(self._reference, self.params)
            self.data["reference_values"] = _statistics(reference).value
            self.data["reference_unit_ids"] = reference.unit_ids.astype(str)

    def _select_units_extension_data(self, unit_ids: Any) -> dict[str, np.ndarray]:
        kept = self.sorting_analyzer.sorting.ids_to_indices(unit_ids)
        of_units = {name: np.asarray(self.data[name])[kept] for name in _OF_UNITS if name in self.data}
        return {**self.data, **of_units}

    def _merge_extension_data(
        self,
        merge_unit_groups: Any,
        new_unit_ids: Any,
        new_sorting_analyzer: SortingAnalyzer,
        keep_mask: Any = None,
        verbose: bool = False,
        **job_kwargs: Any,
    ) -> dict[str, np.ndarray]:
        # Correlations are with all other units: whoever changes one of them changes all.
        return {**self.data, **_data_of(new_sorting_analyzer, self.params)}

    def _split_extension_data(
        self,
        split_units: Any,
        new_unit_ids: Any,
        new_sorting_analyzer: SortingAnalyzer,
        verbose: bool = False,
        **job_kwargs: Any,
    ) -> dict[str, np.ndarray]:
        return {**self.data, **_data_of(new_sorting_analyzer, self.params)}

    def _get_data(
        self, outputs: Literal["statistics", "intervals", "reference", "comparison"] = "statistics"
    ) -> pd.DataFrame:
        units = _table(self.data["values"], self.sorting_analyzer.unit_ids)
        if outputs == "statistics":
            return units
        if outputs == "intervals":
            return self._intervals()
        if outputs not in ("reference", "comparison"):
            raise ValueError(
                f"outputs must be 'statistics', 'intervals', 'reference' or 'comparison'; got {outputs!r}."
            )
        if "reference_values" not in self.data:
            raise ValueError(
                "there is no reference: analyzer.compute('spike_train_statistics', reference=…) sets one beside."
            )
        reference = _table(self.data["reference_values"], np.asarray(self.data["reference_unit_ids"]).astype(str))
        return reference if outputs == "reference" else _comparison(units, reference)

    def _intervals(self) -> pd.DataFrame:
        import pandas as pd

        if "low" not in self.data:
            raise ValueError(
                "these statistics were saved without intervals: analyzer.compute('spike_train_statistics') adds them."
            )
        ends = {name: _table(self.data[name], self.sorting_analyzer.unit_ids) for name in ("low", "high")}
        return pd.concat(ends, axis=1).swaplevel(axis=1)[ends["low"].columns]


register_result_extension(ComputeSpikeTrainStatistics)


def compute_spike_train_statistics(
    sorting_analyzer: SortingAnalyzer,
    *,
    bin_size_ms: float = 10.0,
    window_s: float | None = None,
    reference: SpikeCounts | BaseSorting | SortingAnalyzer | None = None,
) -> pd.DataFrame:
    """Compute the extension ``spike_train_statistics`` of an analyzer; return its table, a row a unit.

    Parameters, the columns, and the other tables are those of :class:`ComputeSpikeTrainStatistics`.
    """
    extension = sorting_analyzer.compute(
        "spike_train_statistics", bin_size_ms=bin_size_ms, window_s=window_s, reference=reference
    )
    return extension.get_data()


def _counts_of(population: SpikeCounts | BaseSorting | SortingAnalyzer, params: dict[str, Any]) -> SpikeCounts:
    if isinstance(population, SpikeCounts):
        return population
    sorting, durations_s = population, None
    if isinstance(population, SortingAnalyzer):
        sorting = population.sorting
        durations_s = [
            population.get_num_samples(k) / population.sampling_frequency for k in range(population.get_num_segments())
        ]
    window_s = params["window_s"]
    if window_s is None and sorting.get_num_segments() == 1:
        length_s = durations_s[0] if durations_s else sorting.get_total_duration()
        window_s = min(_WINDOW_S, length_s)
    return SpikeCounts.from_sorting(sorting, params["bin_size_ms"], window_s=window_s, durations_s=durations_s)


_OF_UNITS = ("values", "low", "high")


def _data_of(population: SortingAnalyzer, params: dict[str, Any]) -> dict[str, np.ndarray]:
    found = _statistics(_counts_of(population, params))
    return dict(zip(_OF_UNITS, (found.value, found.low, found.high), strict=True))


def _table(values: Any, unit_ids: Any) -> pd.DataFrame:
    import pandas as pd

    values = np.asarray(values)
    columns = list(_STATISTICS[: values.shape[1]])
    return pd.DataFrame(values, index=pd.Index(unit_ids, name="unit_id"), columns=columns)


def _statistics(counts: SpikeCounts) -> Estimate:
    """The statistics of each unit, in the order of ``_STATISTICS``, (units, statistics), with intervals."""
    layout = Layout.of(counts, all_pairs=True)
    groups = Groups({"real": counts}, counts.num_trials, seed=0, layout=layout)
    if counts.num_trials > 1:
        return jackknife(groups, groups.real, _of_units)
    value = _of_units(groups.statistics(groups.everything(groups.real))[0])
    nothing = np.full_like(value, np.nan)
    return Estimate(value, nothing, nothing)


def _of_units(side: TrialStatistics) -> np.ndarray:
    """Statistics in the order of ``_STATISTICS``, float64, (units, statistics)."""
    num_units = side.layout.num_units
    columns = (
        side.rates_hz(),
        side.isi_mean_s(),
        side.isi_sd_s(),
        side.cv2(),
        side.fano_factors(),
        _mean_with_others(side.correlations(), num_units),
        side.lv(),
        side.population_couplings(),
        _mean_with_others(side.spike_time_tilings(), num_units),
    )
    return np.stack(columns, axis=1)


def _mean_with_others(of_pairs: np.ndarray, num_units: int) -> np.ndarray:
    """Mean of each unit's values over the pairs it is in, shape (units,); NaN where none is defined."""
    first, second = np.triu_indices(num_units, 1)
    defined = np.isfinite(of_pairs)
    units = np.concatenate([first[defined], second[defined]])
    number = np.bincount(units, minlength=num_units)
    total = np.bincount(units, weights=np.tile(of_pairs[defined], 2), minlength=num_units)
    return np.divide(total, number, out=np.full(num_units, np.nan), where=number > 0)


def _comparison(units: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd
    from scipy.stats import ks_2samp

    named = units.set_axis(units.index.astype(str))
    shared = named.index.intersection(reference.index)
    rows = {}
    for name in units.columns.intersection(reference.columns):
        ours, theirs = (side[name].dropna().to_numpy() for side in (units, reference))
        distance, p_value = ks_2samp(ours, theirs) if len(ours) and len(theirs) else (np.nan, np.nan)
        pairs = pd.concat([named.loc[shared, name], reference.loc[shared, name]], axis=1).dropna().to_numpy()
        varies = len(pairs) > 2 and bool(np.all(pairs.std(axis=0) > 0))
        rows[name] = {
            "median": np.median(ours) if len(ours) else np.nan,
            "reference_median": np.median(theirs) if len(theirs) else np.nan,
            "ks_distance": distance,
            "p_value": p_value,
            "correlation": np.corrcoef(pairs.T)[0, 1] if varies else np.nan,
            "num_units": len(ours),
            "num_reference_units": len(theirs),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("statistic")
