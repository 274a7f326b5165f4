"""A stage on Lightning's Trainer: schedule, averaging, early stopping, resuming.

Of several processes, each takes a batch of its own and all take the mean of the gradients, so that their weights stay
the same. Whatever depends on a clock, or on sums that may be rounded in another order, the first decides for all.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast

import lightning
import torch
from torch import Tensor
from tqdm.auto import tqdm

from spikeinterface_gen.io import read_tensors, write_tensors
from spikeinterface_gen.optimizer import DenseMuon
from spikeinterface_gen.training import StageReport, StageSettings, Task, step_generator

__all__ = ["StageModule", "Steps"]

T = TypeVar("T")

# What is timed before the length of a schedule is decided: so many steps, and such a share of the time there is.
TIMED_STEPS, TIMED_SHARE = 12, 0.04
# How often, as a share of that time, the pace is looked at, and relative to the schedule what it is changed for: a
# little too long, and the learning rate is still high when the time is over.
LOOK_SHARE, SHORTER, LONGER = 0.1, 0.92, 1.2
SAVE_EVERY_S = 30.0


class Steps:
    """The steps that are still to do, as Lightning's data loader; the module decides when they end."""

    def __init__(self, module: StageModule) -> None:
        self.module = module

    def __iter__(self) -> Iterator[int]:
        while not self.module.finished and not self.module.interrupted:
            yield self.module.report.steps


class StageModule(lightning.LightningModule):
    def __init__(
        self,
        task: Task,
        settings: StageSettings,
        seed: int,
        schedule: int | None,
        stop_at: int | None,
        deadline: float | None,
        checkpoint: Path | None,
        progress: bool,
    ) -> None:
        super().__init__()
        self.task = task
        self.settings = settings
        self.seed = seed
        self.stop_at = stop_at
        self.deadline = deadline
        self.checkpoint = checkpoint
        self.show_progress = progress
        self.average = copy.deepcopy(task.network).eval().requires_grad_(False)
        self.best = copy.deepcopy(self.average)
        self.report = StageReport()
        if schedule:
            self.report.plan(schedule)
        self.finished = False
        self.interrupted = False
        self.evaluations_since_best = 0
        self._recent: list[Tensor] = []
        self._durations: list[float] = []
        self._optimizer_state: dict[str, Tensor] | None = None
        self._bar: tqdm | None = None
        if checkpoint is not None and checkpoint.exists():
            self._restore(checkpoint)

    # ---- Lightning's hooks ---------------------------------------------------------------------

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return DenseMuon(self.task.network, self.settings.learning_rate, self.settings.weight_decay)

    def on_train_start(self) -> None:
        self.average.to(self.device)
        self.best.to(self.device)
        self.task.network.train()
        if self._optimizer_state is not None:
            _load_optimizer(self._optimizer, self._optimizer_state)
            self._optimizer_state = None
        self._bar = tqdm(
            desc=self.task.name,
            total=self.report.schedule or None,
            initial=self.report.steps,
            disable=not (self.show_progress and self.trainer.is_global_zero),
            unit="step",
            dynamic_ncols=True,
        )
        self._started = self._saved = time.monotonic()
        self._seconds_before = self.report.seconds
        # What was interrupted has its time anew, and ends with what it would have ended with.
        self._longest = self.report.schedule or self.settings.max_steps
        self._looked = (self._started, self.report.steps)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        if self.finished or self.interrupted:
            # Lightning has fetched one step more than there are.
            return -1
        self._step_started = time.monotonic()
        rate = self.settings.learning_rate * self.settings.share(
            self.report.steps, self.report.progress(self.report.steps)
        )
        self._optimizer.set_rate(rate)
        return None

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        generator = step_generator(self.seed, self.task.name, self.report.steps, self.device, self.global_rank)
        loss = self.task.loss(generator)
        self._recent.append(loss.detach())
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        # Lightning's own clipping refuses fused optimizers.
        torch.nn.utils.clip_grad_norm_(self.task.network.parameters(), self.settings.clip)

    @torch.no_grad()
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.report.steps += 1
        decay = min(self.settings.ema_decay, (1 + self.report.steps) / (10 + self.report.steps))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.task.network.parameters()), 1 - decay)
        if not self.report.schedule:
            self._plan()
        self.report.seconds = self._seconds_before + time.monotonic() - self._started
        if self.stop_at is not None:
            self.finished = self.report.steps >= self.stop_at
        elif self.report.schedule:
            self.finished = self._keep_time() or self.report.steps >= self.report.schedule
        if self.finished or self.report.steps % self.settings.evaluate_every == 0:
            self._evaluate()
        if self._bar is not None:
            self._bar.update()
        self.interrupted = self.trainer.strategy.reduce_boolean_decision(self.interrupted, all=False)
        is_due = self.finished or self.interrupted or time.monotonic() - self._saved > SAVE_EVERY_S
        if self.checkpoint and is_due and self.trainer.is_global_zero:
            self._save(self.checkpoint)
            self._saved = time.monotonic()

    def on_train_end(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def interrupt(self) -> None:
        """End the stage once the step is done and saved."""
        self.interrupted = True

    # ---- its own -------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Decide the length of the schedule once the first steps are timed."""
        if self.deadline is None:
            self._schedule(self.settings.max_steps)
        else:
            now = time.monotonic()
            self._durations.append(now - self._step_started)
            timed = len(self._durations)
            some_time = self._agreed(now - self._started >= TIMED_SHARE * (self.deadline - self._started))
            if timed < self.settings.max_steps and not (timed >= TIMED_STEPS and some_time):
                return
            # The first steps are slow. Some is kept back for evaluations and for a machine that slows down.
            seconds = sorted(self._durations[timed // 2 :])[timed // 4]
            affordable = int(0.88 * max(0.0, self.deadline - time.monotonic()) / seconds)
            affordable = self.report.steps + max(1, affordable)
            self._schedule(self._agreed(max(self.report.steps, min(self.settings.max_steps, affordable))))
            self._looked = (time.monotonic(), self.report.steps)

    @property
    def _optimizer(self) -> DenseMuon:
        return cast(DenseMuon, self.trainer.optimizers[0])

    def _schedule(self, length: int) -> None:
        self.report.plan(length)
        if self._bar is not None:
            self._bar.total = length

    def _keep_time(self) -> bool:
        """Plan anew where the steps have another pace than was planned for; return whether the time is over."""
        if self.deadline is None:
            return False
        now = time.monotonic()
        schedule, over = self._agreed((self._affordable(now, self.deadline), now > self.deadline))
        if not SHORTER <= schedule / self.report.schedule <= LONGER:
            self._schedule(schedule)
        return over

    def _affordable(self, now: float, deadline: float) -> int:
        """Steps in all at the pace since the last look, evaluations included; as planned where that was just now."""
        looked, steps_then = self._looked
        if now - looked < LOOK_SHARE * (deadline - self._started) or self.report.steps == steps_then:
            return self.report.schedule
        self._looked = (now, self.report.steps)
        left = (deadline - now) * (self.report.steps - steps_then) / (now - looked)
        return min(self._longest, self.report.steps + max(0, int(left)))

    def _agreed(self, value: T) -> T:
        """What the first process has."""
        return self.trainer.strategy.broadcast(value)

    def _evaluate(self) -> None:
        with self.trainer.precision_plugin.forward_context():
            held_out = self._agreed(float(self.task.held_out_loss(self.average)))
        training = self._agreed(float(torch.stack(self._recent).mean()))
        self._recent.clear()
        if not (math.isfinite(training) and math.isfinite(held_out)):
            raise FloatingPointError(
                f"the loss of stage {self.task.name!r} is no longer finite (step {self.report.steps}): a smaller "
                "learning_rate or a look at the data (rates far above one spike a bin?) should help."
            )
        self.report.losses.append((self.report.steps, training, held_out))
        if held_out < self.report.best_loss or not self.settings.keep_best:
            self.report.best_loss, self.report.best_step = held_out, self.report.steps
            self.best.load_state_dict(self.average.state_dict())
            self.evaluations_since_best = 0
        else:
            self.evaluations_since_best += 1
            if self.evaluations_since_best >= self.settings.patience and self.stop_at is None:
                self.finished = True
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{training:.4g}", held_out=f"{held_out:.4g}", refresh=False)

    def _save(self, path: Path) -> None:
        tensors = {f"average.{name}": value for name, value in self.average.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.state_dict().items()}
        tensors |= {f"network.{name}": value for name, value in self.task.network.state_dict().items()}
        tensors |= _optimizer_tensors(self._optimizer)
        if self._recent:
            tensors["recent"] = torch.stack(self._recent)
        state = {
            "report": asdict(self.report),
            "finished": self.finished,
            "evaluations_since_best": self.evaluations_since_best,
        }
        write_tensors(path, tensors, {"state": json.dumps(state)})

    def _restore(self, path: Path) -> None:
        tensors, metadata = read_tensors(path)
        state = json.loads(metadata["state"])
        for part, module in (("average", self.average), ("best", self.best), ("network", self.task.network)):
            start = part + "."
            module.load_state_dict({k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)})
        self._optimizer_state = {k: v for k, v in tensors.items() if k.startswith("optimizer.")}
        self._recent = list(tensors["recent"]) if "recent" in tensors else []
        self.report = StageReport(**state["report"])
        self.report.plans = [(step, over, schedule) for step, over, schedule in self.report.plans]
        self.report.losses = [(step, training, held_out) for step, training, held_out in self.report.losses]
        self.finished = state["finished"]
        self.evaluations_since_best = state["evaluations_since_best"]


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        f"optimizer.{k}.{name}": value
        for k, parameter in enumerate(parameters)
        for name, value in optimizer.state[parameter].items()
    }


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, value in tensors.items():
        _, k, name = key.split(".")
        parameter = parameters[int(k)]
        optimizer.state[parameter][name] = value.to(parameter.device)
