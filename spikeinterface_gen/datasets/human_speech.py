"""Attempted speech, from the ``.mat`` files of Willett et al. (2023) on Dryad."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["load"]

BIN_SIZE_MS = 20.0
_NEEDED = ("tx1", "sentenceText", "blockIdx")


def load(
    *, path: str | Path, split: str = "train", num_channels: int | None = 128, max_bins: int | None = 512
) -> SpikeCounts:
    """Read threshold crossings of all sessions; see :func:`spikeinterface_gen.load_dataset`.

    Parameters
    ----------
    path : path
        The folder ``competitionData``, a folder of its files, or one of them.
    split : str
        Folder within ``competitionData``: "train", "test" or "competitionHoldOut".
    num_channels : int, optional
        The first so many of the 256 channels: those of area 6v. None for all.
    max_bins : int, optional
        Longer trials are left out. None for none.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it does not have the collection's layout.
    """
    path = Path(path).expanduser()
    files = _files(path, split)
    trials: list[np.ndarray] = []
    known: dict[str, list[Any]] = {"session": [], "block": [], "sentence": []}
    for file in files:
        crossings, sentences, blocks = _read(file)
        for counts, sentence, block in zip(crossings, sentences, blocks, strict=True):
            if max_bins is None or len(counts) <= max_bins:
                trials.append(counts[:, :num_channels])
                known["session"].append(file.stem)
                known["block"].append(int(block))
                known["sentence"].append(str(sentence).strip())
    if not trials:
        raise ValueError(f"{str(path)!r} has no trial of at most {max_bins} bins; raise max_bins.")
    return SpikeCounts(
        trials,
        BIN_SIZE_MS,
        covariates={name: np.array(values) for name, values in known.items()},
        annotations={"dataset": "human_speech", "source": path.name, "split": split},
    )


def _files(path: Path, split: str) -> list[Path]:
    if path.is_file():
        return [path]
    folder = path / split if (path / split).is_dir() else path
    files = sorted(folder.glob("*.mat"))
    if not files:
        raise FileNotFoundError(
            f"there are no .mat files in {str(folder)!r}; path must name competitionData, which holds train, test and "
            "competitionHoldOut, a folder of its files, or one of them."
        )
    return files


def _read(file: Path) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Crossings of each trial, (bins, channels), sentences and blocks, (trials,)."""
    from scipy.io import loadmat

    try:
        contents = loadmat(file, variable_names=_NEEDED)
    except Exception as error:  # whatever the parser makes of another file
        raise ValueError(f"{str(file)!r} is no .mat file that can be read: {error}") from None
    missing = [name for name in _NEEDED if name not in contents]
    if missing:
        raise ValueError(f"{str(file)!r} lacks {', '.join(missing)}; the collection's files hold {', '.join(_NEEDED)}.")
    crossings = [np.asarray(trial) for trial in contents["tx1"].reshape(-1)]
    sentences, blocks = contents["sentenceText"].reshape(-1), contents["blockIdx"].reshape(-1)
    if any(trial.ndim != 2 for trial in crossings) or not len(crossings) == len(sentences) == len(blocks):
        raise ValueError(
            f"{str(file)!r} contradicts itself: {len(crossings)} trials of crossings, {len(sentences)} sentences and "
            f"{len(blocks)} blocks; each trial of tx1 must be (bins, channels)."
        )
    return crossings, sentences, blocks
