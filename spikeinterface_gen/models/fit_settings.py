"""What a fit depends on beside the data and the model, and how its stages share the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeinterface_gen.training import StageReport, StageSettings, Task, train_stage

__all__ = ["AUTOENCODER_UNTIL", "DENOISER_UNTIL", "REFIT_UNTIL", "FitSettings", "run_stage", "stage_steps"]

# Shares of ``max_minutes`` after which a stage must be over. The rest is for the sampler, the observation model and the
# metrics, whose sizes are chosen for a tenth of it.
AUTOENCODER_UNTIL, REFIT_UNTIL, DENOISER_UNTIL = 0.35, 0.43, 0.86
SHARE_AFTER_STAGES = 0.1
STAGES = ("autoencoder", "refit", "denoiser")


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

    def __post_init__(self) -> None:
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise ValueError(f"max_minutes must be positive; got {self.max_minutes}.")

    @property
    def seconds_after_stages(self) -> float:
        """What the budget, whatever the time left, has for what follows: a fit depends on no other load."""
        return np.inf if self.max_minutes is None else 60 * SHARE_AFTER_STAGES * self.max_minutes


def stage_steps(num_steps: Any) -> dict[str, tuple[int, int]] | None:
    """(schedule, steps) by stage from what the user gave."""
    if num_steps is None:
        return None
    if isinstance(num_steps, Mapping):
        unknown = set(num_steps) - set(STAGES)
        if unknown:
            raise ValueError(f"num_steps has unknown stages {sorted(unknown)}; known are {', '.join(STAGES)}.")
        pairs = {
            name: steps if isinstance(steps, (tuple, list)) else (steps, steps) for name, steps in num_steps.items()
        }
    else:
        pairs = dict.fromkeys(STAGES, (num_steps, num_steps))
    for name, (schedule, steps) in pairs.items():
        if not 1 <= steps <= schedule:
            raise ValueError(f"num_steps[{name!r}] must be at least 1, within its schedule; got {(schedule, steps)}.")
    return {name: (int(schedule), int(steps)) for name, (schedule, steps) in pairs.items()}


def run_stage(task: Task, stage: StageSettings, settings: FitSettings, started: float, until: float) -> StageReport:
    """Train one stage, which is over when the share ``until`` of the time since ``started`` is."""
    schedule, stop_at = (settings.num_steps or {}).get(task.name, (None, None))
    deadline = None if settings.max_minutes is None else started + 60 * until * settings.max_minutes
    return train_stage(
        task,
        stage,
        seed=settings.seed,
        schedule=schedule,
        stop_at=stop_at,
        deadline=deadline,
        checkpoint=settings.checkpoint / f"{task.name}.safetensors" if settings.checkpoint else None,
        accelerator=settings.accelerator,
        devices=settings.devices,
        progress=settings.progress,
    )
