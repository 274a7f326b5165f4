"""The table of the LDNS paper for one recording: the four metrics as published, and as they should be."""

import time

import numpy as np
from _record import record

from spikeinterface_gen import LDNS, SpikeCounts
from spikeinterface_gen.models.psth import PSTHPoisson
from spikeinterface_gen.validation.distances import compare, floors


def paper_table(name: str, train: SpikeCounts, test: SpikeCounts, *, minutes: float | None, published: dict) -> None:
    """Fit, draw and record ``results/<name>.json``.

    "as published" compares as many generated as training trials with these, by the definitions of the paper, beside
    two halves of the training trials; "right" compares with held-out trials, as ratios to their floor.
    """
    started = time.monotonic()
    model = LDNS().fit(train, seed=0, max_minutes=minutes, progress=False)
    fit_s = time.monotonic() - started
    figures = {"train": f"{train}", "test": f"{test}", "fit_s": round(fit_s, 1), "stage_metrics": {}}
    figures["stage_metrics"] = model.stage_metrics_.round(3).to_dict("index")
    figures["published, for comparison"] = published
    halves = train.split((0.5, 0.5), seed=0)
    figures["as published"] = {"two halves of the training trials": compare(*halves, paper=True)}
    floor = {metric: float(np.median(floors(test, train, metric))) for metric in compare(*halves)}
    figures["right"] = {"floor": floor}
    for label, generator in (("LDNS", model), ("PSTH Poisson", PSTHPoisson().fit(train))):
        figures["as published"][label] = compare(train, generator.sample(len(train), seed=1), paper=True)
        right = compare(test, generator.sample(len(test), seed=2))
        figures["right"][f"{label}, ratio to floor"] = {m: round(value / floor[m], 3) for m, value in right.items()}
    record(name, figures)
