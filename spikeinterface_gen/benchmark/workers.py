"""How SpikeInterface's parallel loops run while a study does."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

__all__ = ["jobs", "light_collections"]


@contextmanager
def jobs(job_kwargs: Mapping[str, Any]) -> Iterator[None]:
    """Set how SpikeInterface runs its loops, for a while: not all of them pass on what they are given."""
    from spikeinterface.core import get_global_job_kwargs, set_global_job_kwargs

    before = get_global_job_kwargs()
    set_global_job_kwargs(**job_kwargs)
    try:
        yield
    finally:
        set_global_job_kwargs(**before)


@contextmanager
def light_collections() -> Iterator[None]:
    """Keep what exists already out of garbage collections, for a while.

    SpikeInterface's workers collect after every chunk. Forked from a process with a whole study in memory, they would
    go through all of it each time, and copy it: writing a recording took five times as long.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
