"""Models: what a user fits, samples, saves and loads. Importing this imports no torch; loading a model does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikeinterface_gen.models.base import GenerativeModel

__all__ = ["BUNDLED_FOLDER", "BUNDLED_MODELS", "load_model"]

BUNDLED_MODELS = ("steinmetz2019", "lorenz")
"""Models that come with the package; what they are is told by the cards beside them."""

BUNDLED_FOLDER = Path(__file__).parent / "bundled"
"""Where they are, a folder each."""


def load_model(folder: str | Path) -> GenerativeModel:
    """Load a saved model of any class, or one that comes with the package.

    Parameters
    ----------
    folder : str or path
        What ``model.save(folder)`` wrote; or, where there is no such folder, the name of a bundled model:
        "steinmetz2019", of the bundled session, or "lorenz".

    Raises
    ------
    FileNotFoundError
        If there is no such folder or bundled model, or a file of it is missing.
    ValueError
        If it holds something else, a truncated file, or files of different models.
    """
    from spikeinterface_gen.models.ldns import LDNS

    if folder in BUNDLED_MODELS and not Path(folder).exists():
        return LDNS.load(BUNDLED_FOLDER / folder)
    if not Path(folder).expanduser().exists():
        raise FileNotFoundError(
            f"there is no folder {str(folder)!r}, and no bundled model of that name; bundled are "
            f"{', '.join(BUNDLED_MODELS)}."
        )
    return LDNS.load(folder)
