"""Everything of ``spikeinterface.full``, and the names of this package beside it.

    import spikeinterface_gen.full as si

    recording = si.generate_with_ldns(model, n_trials=100)

SortingAnalyzers then also know the extension ``spike_train_statistics``
(:func:`~spikeinterface_gen.compute_spike_train_statistics`).

Notebooks that keep ``import spikeinterface.full as si`` call :func:`register` once instead.
"""

from __future__ import annotations

from typing import Any

import spikeinterface.full
from spikeinterface.full import *  # noqa: F403 - spikeinterface.full has no __all__ to name

import spikeinterface_gen
import spikeinterface_gen.validation.analyzer  # registers the extension: analyzer.compute("spike_train_statistics")

# What SpikeInterface calls by the same name stays its own: code that runs with spikeinterface.full runs with this.
_OURS = [name for name in spikeinterface_gen.__all__ if not hasattr(spikeinterface.full, name)]


def register() -> None:
    """Set the public names of this package on ``spikeinterface.full``.

    Afterwards ``import spikeinterface.full as si`` gives ``si.generate_with_ldns`` and the others. Calling
    it again changes nothing. A name that SpikeInterface has itself (``load_model``, ``plot_rasters``) stays
    SpikeInterface's; ours is ``spikeinterface_gen.load_model``.
    """
    for name in _OURS:
        setattr(spikeinterface.full, name, getattr(spikeinterface_gen, name))


def __getattr__(name: str) -> Any:
    # Looked up when asked for: the models bring torch in, and not everybody who opens a recording needs them.
    if name not in _OURS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(spikeinterface_gen, name)


def __dir__() -> list[str]:
    return sorted({*dir(spikeinterface.full), *_OURS, "register"})


__all__ = [name for name in __dir__() if not name.startswith("_")]
