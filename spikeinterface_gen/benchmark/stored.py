"""What a study keeps on disk: nothing in it is code, and nothing that could be is read.

SpikeInterface keeps cases, run times and comparisons in pickles, and whoever opens a pickle does what its writer
put in. Here cases and run times are JSON, sortings are arrays, and comparisons with the ground truth are made
again when they are asked for (half a second each). SpikeInterface's own formats leave room for pickles beside
them, in place of a JSON file or within an array: :func:`check_holds_no_code` looks for such before anything is
loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from spikeinterface.benchmark.benchmark_sorter import SorterBenchmark

from spikeinterface_gen.files import write_file
from spikeinterface_gen.rendering.parent import foreign_classes
from spikeinterface_gen.session_files import SessionError, read_arrays

__all__ = ["Case", "StoredBenchmark", "check_holds_no_code", "read_cases", "write_cases"]

Case = tuple[str, str, str]

_RUN_FILE = "run.json"
_PICKLES = (".pickle", ".pkl")


class StoredBenchmark(SorterBenchmark):
    """One run of a sorter: its sorting as SpikeInterface saves it, and ``run.json``, written last."""

    _result_key_saved: ClassVar[list[tuple[str, str]]] = []

    @staticmethod
    def is_whole(folder: Path) -> bool:
        """Whether the run that was saved here had finished."""
        return (folder / _RUN_FILE).exists()

    def save_main(self, folder: Path) -> None:
        """Write how long the run took in s, which completes it."""
        write_file(folder / _RUN_FILE, json.dumps({"run_time": self.result["run_time"]}).encode())

    @classmethod
    def load_folder(cls, folder: Path) -> dict[str, Any]:
        """Read what :meth:`save_run` and :meth:`save_main` wrote."""
        from spikeinterface import load

        return {"sorting": load(folder / "sorting"), **json.loads((folder / _RUN_FILE).read_text(encoding="utf-8"))}


def read_cases(path: Path) -> dict[Case, dict[str, Any]]:
    """Read what :func:`write_cases` wrote."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {tuple(entry.pop("case")): entry for entry in entries}


def write_cases(path: Path, cases: Mapping[Case, Mapping[str, Any]]) -> None:
    """Write what a study consists of, as JSON."""
    told = [{"case": list(key), **case} for key, case in cases.items()]
    write_file(path, json.dumps(told, indent=1).encode())


def check_holds_no_code(*folders: Path) -> None:
    """Raise unless reading these folders can execute nothing.

    Raises
    ------
    ValueError
        If they hold a pickle, an array of Python objects, or the description of something to be built that is no
        recording or sorting of SpikeInterface or of ours.
    """
    for path in (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()):
        found = None
        if path.suffix in _PICKLES:
            found = "is a pickle"
        elif path.suffix in (".npy", ".npz"):
            try:
                read_arrays(path)
            except SessionError:
                found = "is no array of plain values"
        elif path.suffix == ".json":
            foreign = foreign_classes(json.loads(path.read_text(encoding="utf-8")))
            found = f"names {foreign[0]!r}, which is no recording or sorting" if foreign else None
        if found:
            raise ValueError(
                f"{path} {found}: SpikeInterface would execute what its writer put in. Studies that this version of "
                "spikeinterface_gen wrote hold nothing of the kind; run the study anew in another folder."
            )
