"""Models: what a user fits, samples, saves and loads. Importing this imports no torch; loading a model does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from spikeinterface_gen.models.base import GenerativeModel

__all__ = ["load_model"]


def load_model(folder: str | Path) -> GenerativeModel:
    """Load a saved model of any class.

    Parameters
    ----------
    folder : str or path
        What ``model.save(folder)`` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or a file of it is missing.
    ValueError
        If it holds something else, a truncated file, or files of different models.
    """
    from spikeinterface_gen.models.ldns import LDNS

    return LDNS.load(folder)
