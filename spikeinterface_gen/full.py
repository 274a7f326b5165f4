"""Everything of ``spikeinterface.full``, and the names of this package beside it.

    import spikeinterface_gen.full as si

    recording = si.generate_with_ldns(model, n_trials=100)

Notebooks that keep ``import spikeinterface.full as si`` call :func:`register` once instead.
"""

from __future__ import annotations

import warnings
from typing import Any

import spikeinterface.full
from spikeinterface.full import *  # noqa: F403 - spikeinterface.full has no __all__ to name

import spikeinterface_gen


def _ours() -> list[str]:
    return [name for name in spikeinterface_gen.__all__ if not name.startswith("_")]


def register() -> None:
    """Set the public names of this package on ``spikeinterface.full``.

    Afterwards ``import spikeinterface.full as si`` gives ``si.generate_with_ldns`` and the others. Calling
    it again changes nothing. A name that SpikeInterface has itself stays SpikeInterface's, with a warning.
    """
    names = {name: getattr(spikeinterface_gen, name) for name in _ours()}
    for name, value in names.items():
        if getattr(spikeinterface.full, name, value) is value:
            setattr(spikeinterface.full, name, value)
        else:
            warnings.warn(
                f"spikeinterface.full has a {name!r} of its own, which is left as it is; "
                f"use spikeinterface_gen.{name} instead.",
                stacklevel=2,
            )


def __getattr__(name: str) -> Any:
    # Looked up when asked for: the models bring torch in, and not everybody who opens a recording needs them.
    if name not in _ours():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(spikeinterface_gen, name)


def __dir__() -> list[str]:
    return sorted({*dir(spikeinterface.full), *_ours(), "register"})


__all__ = [name for name in __dir__() if not name.startswith("_")]
