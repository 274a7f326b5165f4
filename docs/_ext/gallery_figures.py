"""What sphinx-gallery needs to show our examples: the figures that they save, in the order in which they are read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

# Where an example leaves its figures; the same variable as on a command line.
VARIABLE = "EXAMPLES_OUTPUT"
ORDER = (
    "tutorial.py",
    "neo_block.py",
    "sorting_with_trials.py",
    "nwb_session.py",
    "continuous_recording.py",
    "planted_defects.py",
    "drifting_recording.py",
    "mearec_recording.py",
    "compare_sorters.py",
    "decoder_failures.py",
    "watermark.py",
)


def fresh_folder(gallery_conf: Mapping[str, Any], file: str) -> None:
    """Give the next example an empty folder."""
    del gallery_conf, file
    if VARIABLE in os.environ:
        shutil.rmtree(os.environ[VARIABLE], ignore_errors=True)
    os.environ[VARIABLE] = tempfile.mkdtemp(prefix="spikeinterface-gen-example-")


def saved_figures(block: Any, block_variables: Mapping[str, Any], gallery_conf: Mapping[str, Any], **_: Any) -> str:
    """Take the figures that a block of code has saved, and return the reST that shows them."""
    del block
    taken = []
    for figure in sorted(Path(os.environ[VARIABLE]).glob("*.png"), key=lambda path: path.stat().st_mtime_ns):
        target = next(block_variables["image_path_iterator"])
        shutil.move(figure, target)
        taken.append(str(target))
    return figure_rst(taken, gallery_conf["src_dir"])


def in_reading_order(file: str) -> tuple[int, str]:
    """Sort key of an example: listed ones first."""
    return (ORDER.index(file) if file in ORDER else len(ORDER), file)
