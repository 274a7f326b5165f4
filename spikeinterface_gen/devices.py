"""What a machine can do: its devices, matrices of bfloat16, and how much it holds at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import psutil
import torch
from torch import Tensor, nn

__all__ = ["check_memory", "has_bfloat16", "in_halves", "move_to", "trained_on"]

# Share of the free memory that a draw may take.
SHARE_OF_FREE = 0.9


@cache
def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has units that multiply matrices of bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities: Mapping[str, Any] = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def move_to(device: Any, networks: nn.Module) -> None:
    """Move networks to a device, "cpu", "cuda" or "cuda:1", all of them or none.

    Raises
    ------
    ValueError
        If there is no such device here, or it cannot hold the networks.
    """
    try:
        named = torch.device(device)
        # Nothing can be read back from some that torch knows, such as "meta".
        torch.empty(1, device=named).cpu()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError, ModuleNotFoundError) as error:
        raise ValueError(f'device must be one that is here, such as "cpu"; got {device!r} ({error}).') from None
    before = next(networks.parameters()).device
    try:
        networks.to(named)
    except (RuntimeError, TypeError) as error:
        networks.to(before)
        raise ValueError(f"device {str(named)!r} cannot hold the networks; they stay on {before} ({error}).") from None


def trained_on(accelerator: str) -> torch.device:
    """Where a model is that Lightning has trained with this ``accelerator``: on the GPU of this process, if any."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def check_memory(num_bytes: float, what: str, remedy: str) -> None:
    """Refuse what will not fit.

    Raises
    ------
    MemoryError
        If ``num_bytes`` are more than the machine has to spare; says how many, of ``what``, and the ``remedy``.
    """
    free = psutil.virtual_memory().available
    if num_bytes > SHARE_OF_FREE * free:
        raise MemoryError(
            f"{what} take about {num_bytes / 2**30:.3g} GiB at once, and {free / 2**30:.3g} GiB are free. {remedy}"
        )


def in_halves(function: Callable[..., Tensor], *batches: Any) -> Tensor:
    """Call a function of batches, in halves for as long as the memory of a GPU does not hold the whole.

    Parameters
    ----------
    function : callable
        Of tensors whose first axis is the batch, tuples of such, and None.
    *batches
        Its arguments.

    Raises
    ------
    MemoryError
        If a batch of one does not fit.
    """
    size = len(batches[0])
    try:
        return function(*batches)
    except torch.OutOfMemoryError as error:
        if size == 1:
            raise MemoryError(
                f"one trial is more than the memory of the GPU holds: draw shorter ones, or on the CPU ({error})."
            ) from None
    return torch.cat(
        [
            in_halves(function, *(_part(batch, half) for batch in batches))
            for half in (slice(size // 2), slice(size // 2, size))
        ]
    )


def _part(batch: Any, part: slice) -> Any:
    if batch is None:
        return None
    return tuple(item[part] for item in batch) if isinstance(batch, tuple) else batch[part]
