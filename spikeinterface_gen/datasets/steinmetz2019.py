"""The session that comes with the package; its source and licence are in ATTRIBUTION.md beside the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeinterface_gen.counts import SpikeCounts

__all__ = ["load"]

_FILE = Path(__file__).parent / "data" / "steinmetz2019" / "lederberg_2017-12-06.npz"


def load() -> SpikeCounts:
    """Return the session; see :func:`spikeinterface_gen.load_dataset`."""
    with np.load(_FILE, allow_pickle=False) as file:
        return SpikeCounts(
            # Stored unit by unit, which compresses best.
            file["counts_by_unit"].transpose(1, 2, 0),
            float(file["bin_size_ms"]),
            covariates={name: file[name] for name in ("contrast_left", "contrast_right", "feedback_type")},
            unit_properties={"area": file["area"]},
            t_starts_s=file["t_starts_s"],
            annotations={
                "dataset": "steinmetz2019",
                "session": "lederberg_2017-12-06",
                "licence": "CC-BY-4.0",
                "source": "Steinmetz et al. 2019, doi:10.1038/s41586-019-1787-x",
            },
        )
