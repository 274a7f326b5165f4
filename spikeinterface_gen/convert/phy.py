"""A generated recording as a folder for Phy, for sorting by hand with the truth at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeinterface_gen.files import new_folder
from spikeinterface_gen.provenance import is_synthetic, mark_synthetic

if TYPE_CHECKING:
    from spikeinterface.core import BaseRecording, BaseSorting

__all__ = ["export_recording_to_phy"]


def export_recording_to_phy(
    recording: BaseRecording,
    folder: str | Path,
    *,
    sorting: BaseSorting | None = None,
    compute_pc_features: bool = True,
    copy_binary: bool = True,
    n_jobs: int = 1,
) -> Path:
    """Write a generated recording for Phy's template GUI, with what says that it is synthetic.

    Parameters
    ----------
    recording : GenerativeRecordingExtractor
        In layout "session": Phy knows no segments.
    folder : str or path
        New.
    sorting : BaseSorting, optional
        Default: the ground truth. A sorter's result, to be compared with it by eye.
    compute_pc_features : bool
        Needed for Phy's feature view; takes longest.
    copy_binary : bool
        Write the traces (2 bytes a sample); without them Phy shows no waveforms.
    n_jobs : int
        Processes.

    Returns
    -------
    Path
        Of the folder; ``phy template-gui params.py`` opens it. Next to SpikeInterface's files it has
        ``cluster_origin.tsv``, a column of Phy's table, and ``synthetic.json``.

    Raises
    ------
    FileExistsError
        If the folder exists.
    ValueError
        If the recording is not synthetic or has several segments, or there are no spikes.
    """
    from spikeinterface.core import create_sorting_analyzer
    from spikeinterface.exporters import export_to_phy

    folder = Path(folder).expanduser().absolute()
    if not is_synthetic(recording):
        raise ValueError(
            "recording does not say that it is synthetic; of a recorded one, spikeinterface.exporters.export_to_phy "
            "takes an analyzer."
        )
    if folder.exists():
        raise FileExistsError(f"{str(folder)!r} exists; name a new folder.")
    if recording.get_num_segments() != 1:
        raise ValueError(
            f"Phy knows no segments and the recording has {recording.get_num_segments()}; open it with "
            "layout='session'."
        )
    if sorting is None:
        truth: Any = recording
        sorting = truth.sorting
    # SpikeInterface numbers templates without the empty units, and spikes with them.
    sorting = sorting.remove_empty_units()
    if not len(sorting.unit_ids):
        raise ValueError("sorting has no spikes, so that there is nothing to look at.")
    jobs = {"n_jobs": n_jobs, "progress_bar": False}
    analyzer = create_sorting_analyzer(sorting, recording, format="memory", sparse=True, job_kwargs=jobs)
    # Its default similarity is compiled for longer than all else takes.
    settings: dict[str, dict[str, Any]] = {"template_similarity": {"method": "cosine"}}
    needed = ["random_spikes", "waveforms", "templates", "spike_amplitudes", "template_similarity"]
    if compute_pc_features:
        needed.append("principal_components")
        settings["principal_components"] = {"n_components": 5, "mode": "by_channel_local"}
    analyzer.compute({name: settings.get(name, {}) for name in needed}, **jobs)
    with new_folder(folder) as temporary:
        export_to_phy(
            analyzer,
            temporary,
            compute_pc_features=compute_pc_features,
            copy_binary=copy_binary,
            use_relative_path=True,
            remove_if_exists=True,
            verbose=False,
            **jobs,
        )
        origin = f"synthetic, {recording.get_annotation('model')}"
        rows = "".join(f"{k}\t{origin}\n" for k in range(len(sorting.unit_ids)))
        (temporary / "cluster_origin.tsv").write_text(f"cluster_id\torigin\n{rows}", encoding="utf-8")
        mark_synthetic(temporary, recording)
    return folder
