"""A device that is not the CPU, pretended on the CPU: what would fail or wait on a GPU shows without one.

Its tensors refuse to be combined with those of the CPU, and to become arrays before they are moved back, as those of a
GPU do. Each read of a value (``item``, ``tolist``) is counted, for which a GPU would have to be waited for.
"""

from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

# Of the kinds of device that torch knows by name, one that needs no library to be there.
PRETENDED = torch.device("lazy", 0)
COPIES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)


class Pretended(torch.Tensor):
    """A tensor of the pretended device; ``held`` has its values."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), dtype=held.dtype, device=PRETENDED, requires_grad=held.requires_grad
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held.detach()

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return _on_pretended(function, args, dict(kwargs or {}))


class PretendedDevice(TorchDispatchMode):
    """Within it, the pretended device is there.

    Attributes
    ----------
    num_reads : int
        How often values were read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.num_reads = 0
        self._patches = ExitStack()

    def __enter__(self):
        # Of autocast, the pretended device has none of its own.
        for name in ("autocast", "is_autocast_enabled", "get_autocast_dtype"):
            self._patches.enter_context(patch.object(torch, name, _of_the_cpu(getattr(torch, name))))
        return super().__enter__()

    def __exit__(self, *error):
        self._patches.close()
        return super().__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is torch.ops.aten._local_scalar_dense.default and isinstance(args[0], Pretended):
            self.num_reads += 1
        return _on_pretended(function, args, kwargs)


def _of_the_cpu(function: Any) -> Any:
    return lambda kind, *args, **kwargs: function("cpu" if kind == PRETENDED.type else kind, *args, **kwargs)


def _on_pretended(function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [isinstance(tensor, Pretended) for tensor in tensors]
    # As on a GPU, single numbers of the CPU may take part, and indices.
    foreign = [tensor for tensor, is_there in zip(tensors, there, strict=True) if not is_there and tensor.ndim]
    if any(there) and foreign and function not in COPIES and "index" not in function.__name__:
        raise RuntimeError(f"{function}: expected all tensors to be on the same device")
    stays = any(there)
    if kwargs.get("device") is not None:
        stays = torch.device(kwargs["device"]).type == PRETENDED.type
        kwargs["device"] = torch.device("cpu")
    result = function(*tree_map(_held, args), **tree_map(_held, kwargs))
    if not function._schema.returns:
        return None
    if function._schema.name.endswith("_") or "out" in kwargs:
        return kwargs.get("out", args[0])
    return tree_map(lambda x: Pretended(x) if isinstance(x, torch.Tensor) else x, result) if stays else result


def _held(x: Any) -> Any:
    return x.held if isinstance(x, Pretended) else x
