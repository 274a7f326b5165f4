"""Lightning's Trainer as the package uses it: no logs, files or messages, and a Ctrl-C that waits for the step."""

from __future__ import annotations

import logging
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from spikeinterface_gen.devices import has_bfloat16

__all__ = ["finishing_the_step", "quiet_trainer"]


def quiet_trainer(accelerator: str, devices: int) -> lightning.Trainer:
    """Return a Trainer that trains and does nothing else."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        return _made(
            accelerator=accelerator,
            devices=devices,
            precision=_precision(accelerator),
            # The data are buffers of the module, and every process has them.
            strategy="auto" if devices == 1 else DDPStrategy(broadcast_buffers=False),
            max_epochs=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tempfile.gettempdir(),
        )


def _made(**settings: Any) -> lightning.Trainer:
    try:
        return lightning.Trainer(**settings)
    except (MisconfigurationException, ValueError) as error:
        raise ValueError(
            f"accelerator={settings['accelerator']!r} with devices={settings['devices']!r} cannot be had here: {error} "
            'accelerator="auto" takes what there is.'
        ) from None


def _precision(accelerator: str) -> Literal["bf16-mixed", "32-true"]:
    """bf16 where the hardware multiplies it faster than float32, else float32."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        device = "cuda"
    elif accelerator in ("auto", "cpu") and not torch.backends.mps.is_available():
        device = "cpu"
    else:
        return "32-true"
    return "bf16-mixed" if has_bfloat16(torch.device(device)) else "32-true"


@contextmanager
def finishing_the_step(interrupt: Callable[[], None]) -> Iterator[None]:
    """Turn the first Ctrl-C into a call of ``interrupt``; Lightning's own handling would end the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def finish_step(number: int, frame: Any) -> None:
        interrupt()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, finish_step)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
