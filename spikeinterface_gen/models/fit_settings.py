"""What a fit depends on beside the data and the model, and how its parts share the time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from spikeinterface_gen.devices import trained_on
from spikeinterface_gen.training import StageReport, StageSettings, Task, train_stage

__all__ = ["FitSettings", "TimeBudget", "run_stage", "stage_steps"]

# Shares of ``max_minutes`` after which a stage must be over.
STAGES_UNTIL = {"autoencoder": 0.34, "refit": 0.42, "denoiser": 0.85}
# Of what follows, in its order: each part goes through as many trials as there is time for.
SHARES = {
    "sampler": 0.01,
    "discriminants": 0.01,
    "free runs": 0.022,
    "history": 0.022,
    "readout": 0.037,
    "calibration": 0.034,
    "metrics": 0.015,
}
# A part that takes longer than this many times what it was given took it for its least size, not for a slow machine.
MAX_SLOWNESS = 4.0


class TimeBudget:
    """How long a fit may take, from now on, and what of it is for which part.

    Parameters
    ----------
    max_minutes : float or None
        None: without bound.
    """

    def __init__(self, max_minutes: float | None = None) -> None:
        self._total = np.inf if max_minutes is None else 60 * max_minutes
        self._started = time.monotonic()
        self._slowness = 1.0

    def deadline(self, stage: str) -> float | None:
        """When a stage must be over, on the clock of ``time.monotonic``."""
        return self._started + STAGES_UNTIL[stage] * self._total if np.isfinite(self._total) else None

    @contextmanager
    def seconds_for(self, part: str) -> Iterator[float]:
        """How long a part may take if the machine has its two cores to itself.

        Its share, which is the same from one fit to the next, unless time has run short, or a part before took longer
        than it was given: then the sizes are for a machine so much slower.
        """
        started = time.monotonic()
        to_come = list(SHARES)[list(SHARES).index(part) :]
        left = max(0.0, self._started + self._total - started)
        share = SHARES[part] / sum(SHARES[name] for name in to_come)
        seconds = min(SHARES[part] * self._total, share * left) / self._slowness
        yield seconds
        took = time.monotonic() - started
        self._slowness = min(max(self._slowness, took / max(seconds, 1e-3)), MAX_SLOWNESS)


@dataclass(frozen=True)
class FitSettings:
    """What a fit depends on beside the data and the model's own settings."""

    seed: int
    max_minutes: float | None
    num_steps: Mapping[str, tuple[int, int]] | None
    refit: bool
    accelerator: str
    devices: int
    checkpoint: Path | None
    progress: bool
    budget: TimeBudget = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ValueError(f"max_minutes must be positive; got {self.max_minutes}.")
        object.__setattr__(self, "budget", TimeBudget(self.max_minutes))


def stage_steps(num_steps: Any) -> dict[str, tuple[int, int]] | None:
    """(schedule, steps) by stage from what the user gave."""
    if num_steps is None:
        return None
    if isinstance(num_steps, Mapping):
        unknown = set(num_steps) - set(STAGES_UNTIL)
        if unknown:
            raise ValueError(f"num_steps has unknown stages {sorted(unknown)}; known are {', '.join(STAGES_UNTIL)}.")
        pairs = {
            name: steps if isinstance(steps, (tuple, list)) else (steps, steps) for name, steps in num_steps.items()
        }
    else:
        pairs = dict.fromkeys(STAGES_UNTIL, (num_steps, num_steps))
    for name, (schedule, steps) in pairs.items():
        if not 1 <= steps <= schedule:
            raise ValueError(f"num_steps[{name!r}] must be at least 1, within its schedule; got {(schedule, steps)}.")
    return {name: (int(schedule), int(steps)) for name, (schedule, steps) in pairs.items()}


def run_stage(networks: nn.Module, task: Task, stage: StageSettings, settings: FitSettings) -> StageReport:
    """Train a part of ``networks``, within its share of the time; all are then in use where that part was trained."""
    schedule, stop_at = (settings.num_steps or {}).get(task.name, (None, None))
    report = train_stage(
        task,
        stage,
        seed=settings.seed,
        schedule=schedule,
        stop_at=stop_at,
        deadline=settings.budget.deadline(task.name),
        checkpoint=settings.checkpoint / f"{task.name}.safetensors" if settings.checkpoint else None,
        accelerator=settings.accelerator,
        devices=settings.devices,
        progress=settings.progress,
    )
    # Lightning leaves what it has trained on the CPU.
    networks.to(trained_on(settings.accelerator)).eval()
    return report
