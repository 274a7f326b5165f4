"""Training of one stage: what is trained, how, and what came of it.

A :class:`Task` says what is trained and on what loss; :func:`train_stage` does the rest, the same way for every
network of the package. What makes it repeatable: the batch, the dropout and the noise of step *k* depend on
``(seed, task, k)`` alone, so that a resumed stage is the uninterrupted one.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

__all__ = ["StageReport", "StageSettings", "Task", "step_generator", "train_stage"]


@dataclass(frozen=True)
class StageSettings:
    """How a stage is trained.

    Attributes
    ----------
    max_steps : int
        Steps if time allows and the held-out loss goes on falling.
    learning_rate, weight_decay : float
        Of :class:`~spikeinterface_gen.optimizer.DenseMuon`.
    warmup : int
        Steps of linear increase; a cosine to ``final_share`` of the rate follows.
    ema_decay : float
        Of the average of the weights, which is what is evaluated and kept.
    evaluate_every, patience : int
        Held-out loss every so many steps; stop after so many evaluations without an improvement.
    clip : float
        Largest norm of the gradient.
    keep_best : bool
        Keep the averaged weights of the lowest held-out loss, and stop early. Otherwise those of the last step are
        kept, as where the held-out data are trained on.
    """

    max_steps: int
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 30
    final_share: float = 0.03
    ema_decay: float = 0.995
    evaluate_every: int = 50
    patience: int = 8
    clip: float = 1.0
    keep_best: bool = True

    def share(self, step: int, progress: float) -> float:
        """Share of the learning rate at a step: warm-up, and a cosine over the schedule, of which so much is over."""
        warmup = min(1.0, (step + 1) / self.warmup)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        return warmup * (self.final_share + (1 - self.final_share) * cosine)


@dataclass
class StageReport:
    """What happened in a stage.

    Attributes
    ----------
    plans : list of (step, progress, schedule)
        From which step on the schedule has had which length, and how much of it was over by then. Only where steps
        became much quicker or slower than at first is there more than one.
    steps : int
        Steps taken.
    best_step : int
        Step whose weights were kept.
    best_loss : float
        Held-out loss there.
    losses : list of (step, training loss, held-out loss)
    seconds : float
        Time spent, resumptions included.
    """

    plans: list[tuple[int, float, int]] = field(default_factory=list)
    steps: int = 0
    best_step: int = 0
    best_loss: float = math.inf
    losses: list[tuple[int, float, float]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def schedule(self) -> int:
        """Steps of the learning-rate schedule; 0 until that is decided."""
        return self.plans[-1][2] if self.plans else 0

    def plan(self, schedule: int) -> None:
        """Let the schedule have this length, from now on if there was one before."""
        self.plans.append((self.steps, self.progress(self.steps), schedule) if self.plans else (0, 0.0, schedule))

    def progress(self, step: int) -> float:
        """How much of the schedule is over at a step, from 0 to 1; a change of its length makes no jump."""
        then = [plan for plan in self.plans if plan[0] <= step]
        if not then:
            return 0.0
        start, over, schedule = then[-1]
        return over + (1 - over) * (step - start) / max(1, schedule - start)


class Task(nn.Module):
    """A network, the data it learns from, and its losses. Data are non-persistent buffers, so they move along.

    Attributes
    ----------
    name : str
        Names the stage in progress bars, checkpoints and random streams.
    network : nn.Module
        What is trained.
    """

    name: str
    network: nn.Module

    def loss(self, generator: torch.Generator) -> Tensor:
        """Loss of one step, on a batch and noise drawn from ``generator``."""
        raise NotImplementedError

    def held_out_loss(self, network: nn.Module) -> Tensor:
        """Loss of ``network`` on data that is never trained on, with fixed noise."""
        raise NotImplementedError


def step_generator(seed: int, stage: str, step: int, device: torch.device, rank: int = 0) -> torch.Generator:
    """Generator of the random numbers of one step, its own for each of the processes that take it together."""
    stream = f"{seed}/{stage}/{step}" + (f"/{rank}" if rank else "")
    digest = hashlib.blake2b(stream.encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little") >> 1)


def train_stage(
    task: Task,
    settings: StageSettings,
    *,
    seed: int,
    schedule: int | None = None,
    stop_at: int | None = None,
    deadline: float | None = None,
    checkpoint: Path | None = None,
    accelerator: str = "auto",
    devices: int = 1,
    progress: bool = True,
) -> StageReport:
    """Train ``task.network`` and leave the best averaged weights in it.

    Parameters
    ----------
    task : Task
    settings : StageSettings
    seed : int
    schedule : int, optional
        Length of the learning-rate schedule; None decides it by a short timing.
    stop_at : int, optional
        Take exactly so many steps, without early stopping: how an earlier fit is repeated.
    deadline : float, optional
        ``time.monotonic()`` by which the stage must be over.
    checkpoint : Path, optional
        File to resume from, if it is there, and to save to.
    accelerator, devices
        Of Lightning's Trainer.
    progress : bool
        Show a progress bar.

    Returns
    -------
    StageReport

    Raises
    ------
    KeyboardInterrupt
        After a Ctrl-C, once the step is finished and the checkpoint is written.
    FloatingPointError
        If the loss stops being finite.
    MemoryError
        If the memory of a GPU does not hold a step.
    """
    # Lightning takes seconds to import, and only fits need it.
    from spikeinterface_gen.stage import StageModule, Steps
    from spikeinterface_gen.trainer import finishing_the_step, quiet_trainer

    module = StageModule(task, settings, seed, schedule, stop_at, deadline, checkpoint, progress)
    if module.finished:
        task.network.load_state_dict(module.best.state_dict())
        return module.report
    trainer = quiet_trainer(accelerator, devices)
    with finishing_the_step(module.interrupt), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        try:
            trainer.fit(module, train_dataloaders=Steps(module))
        except torch.OutOfMemoryError as error:
            raise MemoryError(
                f"stage {task.name!r} does not fit the memory of the GPU: fewer channels=, shorter trials or windows, "
                f'or accelerator="cpu" ({error}).'
            ) from None
    task.network.load_state_dict(module.best.state_dict())
    if module.interrupted:
        where = f" What was reached is in {str(checkpoint.parent)!r}: fit again with it." if checkpoint else ""
        raise KeyboardInterrupt(f"stopped in stage {task.name!r} after step {module.report.steps}.{where}")
    return module.report
