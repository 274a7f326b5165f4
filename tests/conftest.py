"""What several tests share."""

import neo
import numpy as np
import pytest
from hypothesis import settings

from spikeinterface_gen import LDNS, SpikeCounts

# A busy machine is no failure, and the same examples are drawn every time.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=40)
settings.load_profile("project")


@pytest.fixture
def counts() -> SpikeCounts:
    """A small population with everything that counts can carry; one trial is short, one unit silent."""
    rng = np.random.default_rng(3)
    spikes = rng.poisson(0.3, size=(5, 12, 4)).astype(np.uint8)
    spikes[:, :, 2] = 0
    spikes[3, 7:] = 0
    return SpikeCounts(
        spikes,
        10.0,
        unit_ids=["a", "b", "c", "d"],
        num_bins=[12, 12, 12, 7, 12],
        covariates={
            "contrast": np.array([0.0, 0.25, 0.5, 1.0, 0.0]),
            "choice": np.array(["left", "right", "left", "left", "right"]),
            "target": rng.normal(size=(5, 2)),
        },
        unit_properties={
            "area": np.array(["VISp", "CA1", "CA1", "root"]),
            "refractory_period_ms": np.array([1.5, 2.0, np.nan, 1.0]),
        },
        t_starts_s=np.array([10.1, 12.3, 15.0, 17.77, 21.5]),
        annotations={"dataset": "test", "versions": {"numpy": "2"}},
    )


@pytest.fixture(scope="session")
def continuous_trains() -> list[neo.SpikeTrain]:
    """Four units of a recording of half a minute, without trials; its end is in the middle of a bin."""
    rng = np.random.default_rng(1)
    return [
        neo.SpikeTrain(np.sort(rng.uniform(0, 30.007, 300)), units="s", t_stop=30.007, name=f"unit {u}")
        for u in range(4)
    ]


@pytest.fixture(scope="session")
def model_of_windows(continuous_trains) -> LDNS:
    """What LDNS learns of them in a few steps: enough to draw from, and no more."""
    counts = SpikeCounts.from_neo(continuous_trains, 50.0, window_s=1.0)
    small = {"channels": 8, "num_blocks": 1, "denoiser_channels": 16, "denoiser_blocks": 1, "history_bins": 0}
    return LDNS(2, **small).fit(counts, num_steps=2, progress=False)
