"""Neo blocks to files and back, with what the formats lose put back.

========  =====================  ===================================================================================
suffix    Neo's reader           what is lost without the notes (:mod:`spikeinterface_gen.convert.neo_notes`)
========  =====================  ===================================================================================
.nix      ``NixIO``              sampling rates, times of recording, types of annotations; None and mixed lists crash it
.mat      ``NeoMatlabIO``        array annotations, times of recording, lengths of texts, types of annotations
.pkl      ``PickleIO``           nothing; reading one executes code, so it must be asked for
========  =====================  ===================================================================================

Beside the file lies its provenance (:func:`spikeinterface_gen.mark_synthetic`) where it is synthetic.
"""

from __future__ import annotations

import os
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeinterface_gen.convert.neo_notes import restore_notes, with_notes
from spikeinterface_gen.origin import mark_path
from spikeinterface_gen.provenance import is_synthetic, mark_synthetic

if TYPE_CHECKING:
    import neo

__all__ = ["read_neo", "write_neo"]

_SUFFIXES = (".nix", ".mat", ".pkl")

# Measured on one core, with the few annotations that are left beside the note.
_NIX_S_PER_TRAIN = 0.03
_LONG_MINUTES = 2.0


def write_neo(block: neo.Block, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a Neo block so that :func:`read_neo` gives all of it back, and mark it where it is synthetic.

    Parameters
    ----------
    block : neo.Block
        It is left as it is.
    path : str or path
        Ends in .nix (needs the package ``nixio``), .mat or .pkl.
    overwrite : bool
        Whether a file that is there is replaced, once the new one is complete.

    Returns
    -------
    Path

    Raises
    ------
    FileExistsError
        If there is a file, unless ``overwrite``.
    ValueError
        If the suffix is another one, or the format holds no such block (groups within groups in .mat).
    ImportError
        If ``nixio`` is needed and missing.

    Warns
    -----
    UserWarning
        If an annotation cannot be written in any way, or if writing will take minutes: Neo takes some 30 ms for each
        spike train in a NIX file.
    """
    path = _checked(path)
    if path.exists() and not overwrite:
        raise FileExistsError(f"{str(path)!r} exists; pass overwrite=True to replace it.")
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.suffix == ".pkl":
            _io(temporary, "ow").write_block(block)
        else:
            _write_with_notes(block, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if is_synthetic(block):
        mark_synthetic(path, block)
    else:
        mark_path(path).unlink(missing_ok=True)  # of what was there before
    return path


def read_neo(path: str | Path, *, trust_pickle: bool = False) -> neo.Block:
    """Read a block that :func:`write_neo` wrote, or that Neo did.

    Parameters
    ----------
    path : str or path
        Ends in .nix, .mat or .pkl.
    trust_pickle : bool
        Whether to read a pickle: whoever wrote it can execute anything on this machine.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    PermissionError
        If it is a pickle and ``trust_pickle`` is false.
    ValueError
        If the suffix is another one, or the file holds no block.
    """
    path = _checked(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}.")
    if path.suffix == ".pkl" and not trust_pickle:
        raise PermissionError(
            f"{str(path)!r} is a pickle: reading it executes whatever its writer put in. Pass trust_pickle=True if it "
            "is your own, or have it written as .nix or .mat."
        )
    reader = _io(path, "ro")
    block = reader.read_block()
    getattr(reader, "close", lambda: None)()
    if block is None:
        raise ValueError(f"{str(path)!r} holds no block.")
    if path.suffix != ".pkl":
        restore_notes(block)
    return block


def _write_with_notes(block: neo.Block, path: Path) -> None:
    is_nix = path.suffix == ".nix"
    if is_nix:
        _warn_of_time(block)
    else:
        _check_for_matlab(block)
    writer = _io(path, "ow")
    with with_notes(block, lean=is_nix):
        # Matlab itself allows names of 63 characters, what scipy allows unasked is half of that.
        writer.write_block(block, **({} if is_nix else {"long_field_names": True}))
    getattr(writer, "close", lambda: None)()


def _check_for_matlab(block: neo.Block) -> None:
    """Refuse what Neo would write into a file that it cannot read, or reads as something else."""
    if any(group.groups for group in block.groups):
        raise ValueError("block has groups within groups, which .mat files do not hold; write .nix or .pkl.")
    for segment in block.segments:
        for signal in (*segment.analogsignals, *segment.irregularlysampledsignals):
            if signal.shape[0] == 1 < signal.shape[1]:
                raise ValueError(
                    f"the signal {signal.name!r} has one sample of several channels, which comes back from a .mat file "
                    "as several samples of one; write .nix or .pkl."
                )


def _warn_of_time(block: neo.Block) -> None:
    num_trains = sum(len(segment.spiketrains) for segment in block.segments)
    minutes = num_trains * _NIX_S_PER_TRAIN / 60.0
    if minutes > _LONG_MINUTES:
        warnings.warn(
            f"Neo takes about {minutes:.0f} min to write {num_trains} spike trains as NIX. As .pkl, or "
            "with SpikeCounts.to_nwb it takes seconds.",
            stacklevel=4,
        )


def _checked(path: str | Path) -> Path:
    path = Path(path).expanduser()
    if path.suffix not in _SUFFIXES:
        raise ValueError(
            f"{path.name!r} must end in one of {', '.join(_SUFFIXES)}; for NWB there is SpikeCounts.to_nwb."
        )
    return path


def _io(path: Path, mode: str) -> Any:
    import neo

    if path.suffix == ".pkl":
        return neo.io.PickleIO(str(path))
    if path.suffix == ".mat":
        return neo.io.NeoMatlabIO(str(path))
    try:
        import nixio  # noqa: F401 - Neo's own message does not say how to get it
    except ImportError as error:
        raise ImportError("NIX files need the package nixio: pip install 'spikeinterface-gen[nix]'.") from error
    return neo.io.NixIO(str(path), mode)
