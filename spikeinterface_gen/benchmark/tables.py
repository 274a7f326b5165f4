"""What a study found, unit by unit and pair by pair, as DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from spikeinterface.core import BaseSorting, SortingAnalyzer

    from spikeinterface_gen.benchmark.study import GenerativeSorterStudy

__all__ = ["collision_table", "performance_table", "spike_train_correlations"]


def performance_table(study: GenerativeSorterStudy) -> pd.DataFrame:
    """Return one row for each unit of each case that was run.

    Columns: ``sorter``, ``kind``, ``repeat``, ``unit_id``; ``accuracy``, ``precision``, ``recall`` as
    ``spikeinterface.comparison.GroundTruthComparison`` has them (precision is missing where no unit was
    matched); ``num_spikes``, ``rate_hz``; ``amplitude_uv`` and ``snr`` of the true template on its best channel;
    ``run_time_s`` of the case.

    Parameters
    ----------
    study : GenerativeSorterStudy
        From :func:`spikeinterface_gen.benchmark_sorters`.
    """
    parts = []
    for key in study.done:
        result = study.get_result(key)
        _, sorting = study.datasets[study.cases[key]["dataset"]]
        analyzer = study.get_sorting_analyzer(case_key=key)
        performance = result["gt_comparison"].get_performance(method="by_unit", output="pandas").astype(float)
        spikes = pd.Series(sorting.count_num_spikes_per_unit()).reindex(performance.index)
        amplitude_uv, level_uv = _amplitudes_and_levels_uv(analyzer)
        parts.append(
            pd.DataFrame(
                {
                    "sorter": key[0],
                    "kind": key[1],
                    "repeat": key[2],
                    "unit_id": performance.index,
                    "accuracy": performance["accuracy"].to_numpy(),
                    "precision": performance["precision"].to_numpy(),
                    "recall": performance["recall"].to_numpy(),
                    "num_spikes": spikes.to_numpy(),
                    "rate_hz": spikes.to_numpy() / analyzer.get_total_duration(),
                    "amplitude_uv": amplitude_uv,
                    "snr": amplitude_uv / level_uv,
                    "run_time_s": result["run_time"],
                }
            )
        )
    if not parts:
        raise ValueError(f"no sorter has finished yet in {study.home}; its failures are {list(study.failures)}.")
    return pd.concat(parts, ignore_index=True)


def collision_table(
    study: GenerativeSorterStudy,
    *,
    lag_ms: float = 0.5,
    correlation_bin_ms: float = 10.0,
    max_distance_um: float = 100.0,
) -> pd.DataFrame:
    """Return how well spikes are found that fall together with those of a neighbour, for each pair of units.

    Columns: ``sorter``, ``kind``, ``repeat``, ``unit_id``, ``other_id``; ``distance_um`` between the two;
    ``correlation`` of their true spike trains; ``num_collisions``, the spikes of the unit within ``lag_ms`` of a
    spike of the other; ``recall_collision`` of these and ``recall_alone`` of the others.

    Parameters
    ----------
    study : GenerativeSorterStudy
        From :func:`spikeinterface_gen.benchmark_sorters`.
    lag_ms : float
        How close two spikes collide.
    correlation_bin_ms : float
        Bins in which spikes are counted for the correlation coefficient.
    max_distance_um : float
        Units further apart do not overlap and are left out.
    """
    rows: list[dict[str, Any]] = []
    correlations: dict[str, np.ndarray] = {}
    for key in study.done:
        dataset = study.cases[key]["dataset"]
        _, sorting = study.datasets[dataset]
        if dataset not in correlations:
            # The analyzer knows them also where the recording is gone.
            analyzer = study.get_sorting_analyzer(dataset_key=dataset)
            lengths = [analyzer.get_num_samples(k) for k in range(analyzer.get_num_segments())]
            correlations[dataset] = spike_train_correlations(sorting, lengths, correlation_bin_ms)
        comparison = study.get_result(key)["gt_comparison"]
        places = sorting.get_property("gt_unit_locations")
        distance_um = np.linalg.norm(places[:, None, :2] - places[None, :, :2], axis=2)
        lag = lag_ms * sorting.sampling_frequency / 1000.0
        ids = list(sorting.unit_ids)
        segments = range(sorting.get_num_segments())
        trains = [[sorting.get_unit_spike_train(unit_id, segment_index=k) for k in segments] for unit_id in ids]
        for i, unit_id in enumerate(ids):
            found = np.concatenate([labels == "TP" for labels in comparison.get_labels1(unit_id)])
            for j in np.flatnonzero((distance_um[i] <= max_distance_um) & (np.arange(len(ids)) != i)):
                near = np.concatenate([_near(trains[i][k], trains[j][k], lag) for k in segments])
                rows.append(
                    {
                        "sorter": key[0],
                        "kind": key[1],
                        "repeat": key[2],
                        "unit_id": unit_id,
                        "other_id": ids[j],
                        "distance_um": float(distance_um[i, j]),
                        "correlation": float(correlations[dataset][i, j]),
                        "num_collisions": int(near.sum()),
                        "recall_collision": float(found[near].mean()) if near.any() else np.nan,
                        "recall_alone": float(found[~near].mean()) if (~near).any() else np.nan,
                    }
                )
    return pd.DataFrame(rows)


def spike_train_correlations(sorting: BaseSorting, num_samples: list[int], bin_ms: float) -> np.ndarray:
    """Correlation coefficients of spike counts in bins, shape (units, units); NaN for a silent unit."""
    from elephant.conversion import BinnedSpikeTrain
    from elephant.spike_train_correlation import correlation_coefficient
    from quantities import ms

    width = round(bin_ms * sorting.sampling_frequency / 1000.0)
    vector = sorting.to_spike_vector()
    counts = []
    for segment, length in enumerate(num_samples):
        spikes = vector[vector["segment_index"] == segment]
        inside = spikes[spikes["sample_index"] < length // width * width]
        binned = np.zeros((len(sorting.unit_ids), length // width), dtype=np.int64)
        np.add.at(binned, (inside["unit_index"], inside["sample_index"] // width), 1)
        counts.append(binned)
    matrix = np.concatenate(counts, axis=1)
    active = matrix.any(axis=1)
    result = np.full((len(matrix), len(matrix)), np.nan)
    if active.sum() > 1:
        trains = BinnedSpikeTrain(matrix[active], bin_size=bin_ms * ms, t_start=0 * ms)
        result[np.ix_(active, active)] = correlation_coefficient(trains)
    return result


def _near(train: np.ndarray, other: np.ndarray, lag: float) -> np.ndarray:
    """Which spikes of a sorted train have one of another within ``lag`` frames, shape (spikes,)."""
    return np.searchsorted(other, train + lag, side="right") > np.searchsorted(other, train - lag, side="left")


def _amplitudes_and_levels_uv(analyzer: SortingAnalyzer) -> tuple[np.ndarray, np.ndarray]:
    """Peak of each unit's mean waveform on its best channel, and the noise there, in µV, shape (units,) each."""
    peaks_uv = np.abs(analyzer.get_extension("templates").get_data()).max(axis=1)
    best = peaks_uv.argmax(axis=1)
    levels_uv = np.asarray(analyzer.get_extension("noise_levels").get_data())
    return peaks_uv[np.arange(len(best)), best], levels_uv[best]
