"""Continuous recordings of a developing retina, from HDF5 files of the collection by Eglen et al. (2014)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spikeinterface_gen.convert.stretches import Stretch, cut_into_trials, intervals_of_stretches
from spikeinterface_gen.counts import SpikeCounts
from spikeinterface_gen.frames import seconds_to_frames

__all__ = ["load"]

# Finer than the 7–8 kHz of the arrays.
_SAMPLING_FREQUENCY = 30000.0
_NEEDED = ("spikes", "sCount", "epos", "names")


def load(*, path: str | Path, bin_size_ms: float = 20.0, window_s: float = 10.0) -> SpikeCounts:
    """Read a recording and cut it into windows; see :func:`spikeinterface_gen.load_dataset`.

    Unit properties are the electrode's ``x_um`` and ``y_um`` besides what the spike times tell.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it does not have the collection's layout.
    """
    import h5py

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; path must name an HDF5 file of the collection.")
    try:
        with h5py.File(path) as file:
            missing = [name for name in _NEEDED if name not in file]
            if missing:
                raise ValueError(
                    f"{path} lacks {', '.join(missing)}; the collection's files hold {', '.join(_NEEDED)}."
                )
            times_s, num_spikes, position_um = (file[name][()] for name in ("spikes", "sCount", "epos"))
            names = [name.decode() for name in file["names"][()]]
            end_s = float(file["summary/duration"][0]) if "summary/duration" in file else float(times_s.max())
    except OSError as error:
        raise ValueError(f"{path} is no readable HDF5 file: {error}") from error
    if num_spikes.sum() != len(times_s) or len(names) != len(num_spikes) or position_um.shape != (2, len(names)):
        raise ValueError(
            f"{path} contradicts itself: sCount adds up to {num_spikes.sum()} of {len(times_s)} spikes, and there are "
            f"{len(num_spikes)} units, {len(names)} names and positions of shape {position_um.shape}."
        )
    if not np.all(np.isfinite(times_s)) or times_s.min(initial=0.0) < 0:
        raise ValueError(f"{path} has spike times that are negative or not finite.")

    units = np.repeat(np.arange(len(names)), num_spikes)
    frames = seconds_to_frames(times_s, _SAMPLING_FREQUENCY)
    # The stated duration is rounded to seconds, and spikes may lie beyond it.
    num_frames = max(round(end_s * _SAMPLING_FREQUENCY), int(frames.max(initial=-1)) + 1)
    recording = [Stretch(units, frames, num_frames, "the recording")]
    cut = cut_into_trials(recording, bin_size_ms, _SAMPLING_FREQUENCY, num_units=len(names), window_s=window_s)
    return SpikeCounts(
        cut.counts,
        bin_size_ms,
        unit_ids=names if len(set(names)) == len(names) else None,
        unit_properties={
            **intervals_of_stretches(recording, num_units=len(names), sampling_frequency=_SAMPLING_FREQUENCY),
            "x_um": position_um[0],
            "y_um": position_um[1],
        },
        t_starts_s=cut.offset_s,
        trial_locked=False,
        annotations={"dataset": "retinal_waves", "source": path.name},
    )
