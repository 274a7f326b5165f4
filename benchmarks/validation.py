"""Speed of the validation statistics, beside Elephant on the same trains in the same run, and of whole reports.

    OMP_NUM_THREADS=1 python benchmarks/validation.py [--only elephant largest intervals reports]

Elephant is timed on a subset (it would need hours for the whole), ours on that subset and on whole
populations. Times are the best of three, Elephant's of one. Where a machine is shared, processor time says more
than time by the clock; both are given.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable

import numpy as np
from _record import RESULTS, record

from spikeinterface_gen import SpikeCounts, validate
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.validation import elephant
from spikeinterface_gen.validation.distances import PAPER_METRICS, compare, floors
from spikeinterface_gen.validation.estimates import spike_statistics
from spikeinterface_gen.validation.layout import Layout
from spikeinterface_gen.validation.statistics import TrialStatistics
from spikeinterface_gen.validation.sums import SpikeSums

SUBSET = (16, 40, 40)  # units, trials, bins
NUM_LAGS = 10
POPULATIONS = {
    "700 units × 300 trials × 40 bins of 10 ms, 5 Hz": (700, 300, 40, 5.0),
    "128 units × 1000 trials × 256 bins of 10 ms, 14 Hz": (128, 1000, 256, 14.0),
    "1700 units × 100 trials × 40 bins of 10 ms, 4 Hz": (1700, 100, 40, 4.0),
}
# Name → arguments of ours, and of Elephant's.
STATISTICS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "rates_hz": ((), ()),
    "psth_hz": ((), (1,)),
    "fano_factors": ((), ()),
    "isi_mean_s": ((), ()),
    "isi_sd_s": ((), ()),
    "cv2": ((), ()),
    "lv": ((), ()),
    "complexity_histogram": ((), ()),
    "correlations": ((), ()),
    "correlations_of": ((5,), (5,)),
    "population_couplings": ((), (5,)),
    "power_spectra": ((), (SUBSET[2],)),
    "autocorrelograms": ((), (NUM_LAGS,)),
    "cross_correlograms": ((), (NUM_LAGS,)),
}


WITH_INTERVALS = {
    "200 units × 2000 trials × 1000 bins of 1 ms, 10 Hz": (200, 2000, 1000, 1.0),
    "1000 units × 500 trials × 100 bins of 10 ms, 10 Hz": (1000, 500, 100, 10.0),
}


KEYS = {
    "elephant": "against_elephant",
    "largest": "report, 200 units × 2000 trials × 1000 bins of 1 ms, 10 Hz",
    "intervals": "with_intervals",
    "reports": "whole_populations",
}


def sparse_population(num_units: int, num_trials: int, num_bins: int, bin_size_ms: float) -> SpikeCounts:
    """Units of 10 Hz whose rates share a factor in each trial, made a trial at a time."""
    rng = np.random.default_rng(0)
    counts = np.empty((num_trials, num_bins, num_units), np.uint8)
    for trial in range(num_trials):
        counts[trial] = rng.random(counts.shape[1:], dtype=np.float32) < 0.01 * bin_size_ms * rng.gamma(20.0, 1 / 20)
    return SpikeCounts(counts, bin_size_ms)


def population(num_units: int, num_trials: int, num_bins: int, rate_hz: float = 10.0) -> SpikeCounts:
    """Units that share a few slow latents."""
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(num_trials, -(-num_bins // 20), 4)).repeat(20, axis=1)[:, :num_bins]
    drive = latents @ rng.normal(0, 0.25, (4, num_units))
    return SpikeCounts(rng.poisson(rate_hz * 0.01 * np.exp(drive)).astype(np.uint8), 10.0)


def seconds(function: Callable[[], object], repeats: int = 1) -> tuple[float, object]:
    best, result = float("inf"), None
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        best = min(best, time.perf_counter() - start)
    return best, result


def against_elephant() -> dict[str, dict[str, float]]:
    counts = population(*SUBSET)
    figures = {}
    for name, (ours, theirs) in STATISTICS.items():
        theirs_s, expected = seconds(lambda name=name, theirs=theirs: getattr(elephant, name)(counts, *theirs))
        ours_s, found = seconds(
            lambda name=name, ours=ours: getattr(TrialStatistics(counts, num_lags=NUM_LAGS), name)(*ours), repeats=3
        )
        figures[name] = {
            "elephant_s": round(theirs_s, 4),
            "ours_s": round(ours_s, 5),
            "times_faster": round(theirs_s / ours_s, 1),
            "largest_difference": float(np.nanmax(np.abs(np.asarray(found, float) - expected))),
        }
    layout = Layout.of(counts, num_lags=NUM_LAGS, all_pairs=True)
    theirs_s, expected = seconds(lambda: elephant.cross_correlogram_counts(counts, NUM_LAGS))
    ours_s, found = seconds(lambda: SpikeSums(counts, layout)["lagged_products"], repeats=3)
    figures["cross_correlogram_counts"] = {
        "elephant_s": round(theirs_s, 4),
        "ours_s": round(ours_s, 5),
        "times_faster": round(theirs_s / ours_s, 1),
        "largest_difference": float(np.abs(found - expected).max()),
    }
    return figures


def with_intervals() -> dict[str, dict[str, float]]:
    """Every statistic, of all pairs, with its jackknife interval; memory is the largest that the process ever held."""
    figures = {}
    for name, size in WITH_INTERVALS.items():
        counts = sparse_population(*size)
        before_s = time.process_time()
        clock_s, estimates = seconds(lambda counts=counts: spike_statistics(counts, all_pairs=True))
        figures[name] = {
            "statistics": len(estimates),
            "clock_s": round(clock_s, 1),
            "processor_s": round(time.process_time() - before_s, 1),
            "largest_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        }
        keep("with_intervals", figures)
        del counts, estimates
    return figures


def largest_report() -> dict[str, float]:
    """A whole report, with floors, permutation test and tests of whole trials, of as many synthetic as real trials."""
    num_units, num_trials, num_bins, bin_size_ms = next(iter(WITH_INTERVALS.values()))
    both = sparse_population(num_units, 2 * num_trials, num_bins, bin_size_ms)
    real, synthetic = both[:num_trials], both[num_trials:]
    del both
    before_s = time.process_time()
    clock_s, report = seconds(lambda: validate(real, synthetic))
    return {
        "metrics": len(report.comparisons),
        "clock_s": round(clock_s, 1),
        "processor_s": round(time.process_time() - before_s, 1),
        "largest_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def whole_reports() -> dict[str, dict[str, float]]:
    figures = {}
    for name, (num_units, num_trials, num_bins, rate_hz) in POPULATIONS.items():
        train, real = population(num_units, num_trials, num_bins, rate_hz).split((0.8, 0.2))
        fit_s, model = seconds(lambda train=train: PSTHPoisson().fit(train))
        sample_s, synthetic = seconds(lambda model=model, real=real: model.sample(real.num_trials, seed=0))
        compare_s, _ = seconds(lambda real=real, synthetic=synthetic: compare(real, synthetic), repeats=3)
        floors_s, _ = seconds(lambda real=real, train=train: [floors(real, train, metric) for metric in PAPER_METRICS])
        before_s = time.process_time()
        validate_s, report = seconds(
            lambda real=real, synthetic=synthetic, train=train: validate(real, synthetic, train=train)
        )
        validate_processor_s = time.process_time() - before_s
        plot_s, _ = seconds(report.plot)
        figures[name] = {
            "fit_psth_poisson_s": round(fit_s, 3),
            "sample_psth_poisson_s": round(sample_s, 3),
            "compare_four_metrics_s": round(compare_s, 3),
            "their_floors_20_splits_s": round(floors_s, 2),
            "validate_s": round(validate_s, 2),
            "validate_processor_s": round(validate_processor_s, 2),
            "plot_s": round(plot_s, 2),
        }
        print(name, figures[name], flush=True)
    return figures


def keep(key: str, figures: dict) -> None:
    """Record a part as soon as it is measured; other parts stay as they were measured before."""
    path = RESULTS / "validation.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known = {name: known[name] for name in KEYS.values() if name in known}
    subset = f"{SUBSET[0]} units × {SUBSET[1]} trials × {SUBSET[2]} bins of 10 ms, 10 Hz, {NUM_LAGS} lags"
    record("validation", {"subset": subset, "last_measured": key, **known, key: figures})


def main() -> None:
    parts = dict(zip(KEYS, (against_elephant, largest_report, with_intervals, whole_reports), strict=True))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(parts), default=list(parts))
    for part in parser.parse_args().only:
        keep(KEYS[part], parts[part]())


if __name__ == "__main__":
    main()
