"""LDNS on the Lorenz system of its paper: rates against the truth, and the four metrics after 5, 10 and 20 minutes.

    python benchmarks/lorenz.py [--minutes 5 10 20] [--save FOLDER] [--fitted FOLDER]

128 units, 3500 training trials of 256 bins, 500 for early stopping, 1000 for the test. The four metrics of 1000
generated trials against these are medians over 20 draws, with the lowest and highest, beside the floor, the median
over 100 draws of equally many training trials. Spectra and autocorrelations of latents, drawn five times and encoded
from the test trials, come with their floor and the 95 % band of real against real. ``--fitted`` judges the model of
such a fit, saved before, for the last of ``--minutes``.
"""

import argparse
import time

import numpy as np
from _record import record

from spikeinterface_gen import LDNS, SpikeCounts, load_dataset
from spikeinterface_gen.randomness import uniforms
from spikeinterface_gen.validation.distances import compare, compare_real

NUM_DRAWS, NUM_LATENT_DRAWS, NUM_FLOORS = 20, 5, 100
PAPER_SPLIT = (3500, 500, 1000)
METRICS = ("population_count", "correlation", "isi_mean", "isi_sd")
NUM_CHOICES = 200
MAX_LAG_BINS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[5.0, 10.0, 20.0])
    parser.add_argument("--save", help="folder for the model of the last fit")
    parser.add_argument("--fitted", help="folder of a model that was fitted so before, for the last of --minutes")
    options = parser.parse_args()
    data = load_dataset("lorenz", return_truth=True)
    borders = np.cumsum(PAPER_SPLIT)
    train, validation, test = (
        data.counts[slice(stop - size, stop)] for size, stop in zip(PAPER_SPLIT, borders, strict=True)
    )
    true_rates = data.rates[borders[1] : borders[2]]
    fits = {}
    real = compare_real(test, train, num_splits=NUM_FLOORS, seed=0)
    floor = {name: float(np.median(real[name])) for name in METRICS}
    for minutes in options.minutes:
        figures = {}
        if options.fitted and minutes == options.minutes[-1]:
            model = LDNS.load(options.fitted)
        else:
            started = time.monotonic()
            model = LDNS().fit(train, validation=validation, seed=0, max_minutes=minutes, progress=False)
            figures["fit_s"] = round(time.monotonic() - started, 1)
        fits[f"{minutes:g} minutes"] = figures | judged(model, train, test, true_rates, floor)
    if options.save:
        model.save(options.save, overwrite=True)
    record("lorenz", {"data": f"{data.counts}", "split": PAPER_SPLIT, "fits": fits})


def judged(model: LDNS, train: SpikeCounts, test: SpikeCounts, true_rates: np.ndarray, floor: dict[str, float]) -> dict:
    model.sample(64, seed=0)  # The first draw of a process takes longer.
    started = time.monotonic()
    draws = [model.sample(len(test), seed=seed) for seed in range(1, NUM_DRAWS + 1)]
    sample_s = (time.monotonic() - started) / NUM_DRAWS
    distances = [compare(test, drawn) for drawn in draws]
    ratios = {name: [d[name] / floor[name] for d in distances] for name in METRICS}
    rates = model.rates(test) * test.bin_size_ms / 1000.0
    pooled, per_unit = r_squared(true_rates, rates)
    return {
        "num_steps": model.num_steps_,
        "sample_ms_a_trial": round(1000 * sample_s / len(test), 2),
        "rates_r2_pooled, held-out trials": round(pooled, 4),
        "rates_r2_mean_over_units, held-out trials": round(per_unit, 4),
        "metrics": {
            name: {
                "floor": round(floor[name], 6),
                "ratio": round(float(np.median(values)), 3),
                "low": round(min(values), 3),
                "high": round(max(values), 3),
            }
            for name, values in ratios.items()
        },
        "latents": latent_distances(model, train, test),
        "stage_metrics": model.stage_metrics_.round(3).to_dict("index"),
    }


def latent_distances(model: LDNS, train: SpikeCounts, test: SpikeCounts) -> dict:
    """Spectra and autocorrelations of drawn latents against those of encoded test trials, and what training trials do.

    The distance of spectra is the root mean square over frequencies and latents of the logarithm of their ratio, in dB.
    """
    encoded = {name: model.encode(part) for name, part in (("train", train), ("test", test))}
    mean, sd = encoded["train"].mean(axis=(0, 1)), encoded["train"].std(axis=(0, 1))
    powers = {name: spectra((z - mean) / sd) for name, z in encoded.items()}
    reference = latent_statistics(powers["test"].mean(axis=0))

    def apart(power: np.ndarray) -> list[float]:
        found = latent_statistics(power.mean(axis=0))
        return [float(np.sqrt(np.square(a - b).mean())) for a, b in zip(found, reference, strict=True)]

    draws = (model.sample_latents(len(test), seed=seed) for seed in range(1, NUM_LATENT_DRAWS + 1))
    drawn = np.median([apart(spectra((z - mean) / sd)) for z in draws], axis=0)
    chosen = [
        np.argsort(uniforms(0, "benchmark latents", choice, (len(train),)))[: len(test)]
        for choice in range(NUM_CHOICES)
    ]
    real = np.array([apart(powers["train"][which]) for which in chosen])
    return {
        name: {
            "drawn": round(float(value), 4),
            "floor": round(float(np.median(column)), 4),
            "band": [round(float(q), 4) for q in np.quantile(column, [0.025, 0.975])],
        }
        for name, value, column in zip(("spectrum, dB", "autocorrelation"), drawn, real.T, strict=True)
    }


def spectra(z: np.ndarray) -> np.ndarray:
    """Power of each trial, zero-padded so that autocovariances follow from it, shape (trials, frequencies, latents)."""
    return np.square(np.abs(np.fft.rfft(z, 2 * z.shape[1], axis=1))).astype(np.float32) / z.shape[1]


def latent_statistics(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spectrum in dB and autocorrelation up to ``MAX_LAG_BINS`` of a mean power, shape (frequencies, latents)."""
    num_bins = len(power) - 1
    covariance = np.fft.irfft(power, axis=0)[: MAX_LAG_BINS + 1]
    covariance /= 1 - np.arange(len(covariance))[:, None] / num_bins
    return 10 * np.log10(power), covariance[1:] / covariance[0]


def r_squared(true: np.ndarray, estimated: np.ndarray) -> tuple[float, float]:
    """R² of the rates, pooled over all entries and as the mean over units."""
    residual = np.square(true - estimated).sum(axis=(0, 1), dtype=np.float64)
    total = np.square(true - true.mean(axis=(0, 1))).sum(axis=(0, 1), dtype=np.float64)
    pooled = 1 - residual.sum() / np.square(true - true.mean()).sum(dtype=np.float64)
    return float(pooled), float(np.mean(1 - residual / total))


if __name__ == "__main__":
    main()
