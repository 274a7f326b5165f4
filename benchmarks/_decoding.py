"""What the hand does, read from spikes that were drawn for unseen trajectories and angles.

Decoders are ridge regressions that learned from recorded training trials. They are tested on recorded held-out trials
and on trials that a model drew for the covariates of these: its own trials are as noisy as recorded ones, so a model
that follows its conditions reaches what is reached on recorded trials. Beside them, "encoded", spikes drawn from what
the autoencoder says of the recorded held-out trials: what is lost there no denoiser can bring back.
"""

import numpy as np

from spikeinterface_gen import LDNS, SpikeCounts
from spikeinterface_gen.counts import SESSION_TIME
from spikeinterface_gen.validation.decoding import smoothed_counts
from spikeinterface_gen.validation.trial_features import root_window_counts

PENALTIES = 10.0 ** np.arange(-1, 7)
DRAWN_FOR_EACH = 4


def decoded(model: LDNS, train: SpikeCounts, test: SpikeCounts, minutes: float) -> dict:
    """Two more denoisers on the latents of ``model``, of at most ``minutes`` each, and what is decoded of them."""
    figures = {}
    encoded = drawn_from_encoded(model, test)
    for covariate, kind, score in (
        ("hand_velocity", "continuous", velocity_r2),
        ("reach_angle", "circular", angular_errors_deg),
    ):
        given = {covariate: kind}
        conditional = model.fit_conditions(train, covariates=given, seed=0, max_minutes=minutes, progress=False)
        told = score(train, test, encoded, drawn_for(conditional, test, covariate))
        figures[covariate] = {name: round(float(value), 4) for name, value in told.items()}
        print(covariate, figures[covariate], flush=True)
    return figures


def drawn_from_encoded(model: LDNS, test: SpikeCounts) -> SpikeCounts:
    rates = model.rates(test) * np.float32(test.bin_size_ms / 1000.0)
    return SpikeCounts(model.networks_.count_model().draw(rates, 1, "counts"), test.bin_size_ms, test.unit_ids)


def drawn_for(model: LDNS, test: SpikeCounts, covariate: str) -> SpikeCounts:
    """Several trials for each one of ``test``, one after the other."""
    again = np.tile(np.arange(test.num_trials), DRAWN_FOR_EACH)
    given = {covariate: test.covariates[covariate][again], SESSION_TIME: test.t_starts_s[again]}
    return model.sample(len(again), covariates=given, seed=1)


def velocity_r2(train: SpikeCounts, test: SpikeCounts, encoded: SpikeCounts, drawn: SpikeCounts) -> dict[str, float]:
    """R² of the velocity, mean over its two components; spikes smoothed over 50 ms."""

    def features(counts: SpikeCounts) -> np.ndarray:
        return smoothed_counts(counts).reshape(-1, counts.num_units)

    target = train.covariates["hand_velocity"].reshape(-1, 2)
    decode = ridge(features(train), target)
    true = test.covariates["hand_velocity"].reshape(-1, 2)
    recorded, of_encoded = (r_squared(true, decode(features(part))) for part in (test, encoded))
    generated = r_squared(np.tile(true, (DRAWN_FOR_EACH, 1)), decode(features(drawn)))
    return {"r2, recorded": recorded, "r2, encoded": of_encoded, "r2, drawn": generated, "ratio": generated / recorded}


def angular_errors_deg(
    train: SpikeCounts, test: SpikeCounts, encoded: SpikeCounts, drawn: SpikeCounts
) -> dict[str, float]:
    """Mean absolute error of the angle of the reach, from the square roots of spike counts in quarters of the trial."""
    angle = train.covariates["reach_angle"]
    decode = ridge(root_window_counts(train), np.column_stack([np.cos(angle), np.sin(angle)]))

    def error(counts: SpikeCounts, true: np.ndarray) -> float:
        x, y = decode(root_window_counts(counts)).T
        return float(np.degrees(np.abs(np.angle(np.exp(1j * (np.arctan2(y, x) - true))))).mean())

    true = test.covariates["reach_angle"]
    recorded, of_encoded = error(test, true), error(encoded, true)
    generated = error(drawn, np.tile(true, DRAWN_FOR_EACH))
    return {
        "error_deg, recorded": recorded,
        "error_deg, encoded": of_encoded,
        "error_deg, drawn": generated,
        "ratio": generated / recorded,
    }


def ridge(x: np.ndarray, y: np.ndarray):
    """Decoder of rows of standardised features, its penalty chosen by leave-one-out cross-validation."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(x, y).predict


def r_squared(true: np.ndarray, predicted: np.ndarray) -> float:
    residual = np.square(true - predicted).sum(axis=0)
    return float(np.mean(1 - residual / np.square(true - true.mean(axis=0)).sum(axis=0)))
