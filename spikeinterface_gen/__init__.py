"""Synthetic spikes you can trust: generative models of neural populations for SpikeInterface, Neo and Elephant."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name → the module that defines it. Imported when first asked for: torch comes in with the models only.
# Add a name here and to the imports for type checkers below.
_LAZY = {
    "SimulatedDataset": "spikeinterface_gen.datasets.loading",
    "SpikeCounts": "spikeinterface_gen.counts",
    "load_dataset": "spikeinterface_gen.datasets.loading",
}

__all__ = ["__version__", *_LAZY]

if TYPE_CHECKING:
    from spikeinterface_gen.counts import SpikeCounts as SpikeCounts
    from spikeinterface_gen.datasets.loading import SimulatedDataset as SimulatedDataset
    from spikeinterface_gen.datasets.loading import load_dataset as load_dataset


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
