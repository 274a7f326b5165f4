"""Speed and memory of rendering, beside SpikeInterface's own generators on the same spikes in the same run.

    OMP_NUM_THREADS=1 python benchmarks/rendering.py [--hour-s 3600] [--saved-s 3600] [--rounds 7] [--cells FOLDER]
                                                 [--retinal-waves FILE]

Speeds are in processor seconds, which a busy machine lengthens little, and each round times all contenders one after
the other; the median over rounds is taken. Also: opening and saving an hour (83 GB, of which the disk gets back what
was written a while ago), and how far templates are from one shape scaled, beside those of real units:
``+groundTruthData`` of https://github.com/petersenpeter/CellExplorer (Petersen et al., Neuron 109, 2021), recordings
of tagged and labelled cells on Neuropixels (Allen Institute, 384 channels) and silicon probes of 32 and 64 channels.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _record import record
from scipy.io import loadmat
from spikeinterface.generation import InjectTemplatesRecording, NoiseGeneratorRecording

from spikeinterface_gen import GenerativeRecordingExtractor, SpikeCounts, generate_from_counts, load_dataset
from spikeinterface_gen.observation.spike_times import SHORT_INTERVAL_EDGES_MS, PlacedSpikes, place_spikes
from spikeinterface_gen.rendering.amplitudes import spike_amplitudes
from spikeinterface_gen.rendering.probes import default_probe
from spikeinterface_gen.rendering.scene import SceneSettings, make_scene
from spikeinterface_gen.session_writing import write_session

FREQUENCY = 30000.0
SECONDS_A_ROUND = 4


def session(folder: Path, num_channels: int, num_units: int, rate_hz: float, duration_s: float, **options) -> Path:
    counts = np.random.default_rng(0).poisson(rate_hz * 0.01, (1, int(duration_s * 100), num_units))
    probe = default_probe(num_channels)
    generate_from_counts(
        SpikeCounts(counts, 10.0), seed=0, folder=folder, probe=probe, sampling_frequency=FREQUENCY, **options
    )
    return folder


def long_session(folder: Path, num_channels: int, num_units: int, rate_hz: float, duration_s: int) -> Path:
    """Of Poisson units, with spike times drawn directly: here only what is made of them is measured."""
    rng = np.random.default_rng(0)
    total = rng.poisson(rate_hz * num_units * duration_s)
    frame = np.sort(rng.integers(0, int(duration_s * FREQUENCY), total))
    counts = SpikeCounts(np.zeros((1, duration_s, num_units), dtype=np.uint8), 1000.0).with_annotations(synthetic=True)
    placed = PlacedSpikes(
        trial=np.zeros(total, dtype=np.int64),
        unit=rng.integers(0, num_units, total),
        frame=frame,
        sampling_frequency=FREQUENCY,
        trial_frames=np.array([int(duration_s * FREQUENCY)]),
        gap_frames=0,
        refractory_period_ms=np.zeros(num_units),
        forced_violations=np.zeros(num_units, dtype=np.int64),
    )
    settings = SceneSettings.checked({}, FREQUENCY, probe=default_probe(num_channels))
    scene = make_scene(settings, counts, int(duration_s * FREQUENCY), FREQUENCY, seed=0)
    return write_session(folder, counts, placed, spike_amplitudes(placed, settings.parameters, 0), scene, 0)


def rival(recording: GenerativeRecordingExtractor, strategy: str) -> InjectTemplatesRecording:
    templates = recording._session.templates
    noise = NoiseGeneratorRecording(
        recording.get_num_channels(),
        FREQUENCY,
        [recording.get_total_duration()],
        noise_levels=8.0,
        seed=0,
        strategy=strategy,
    )
    return InjectTemplatesRecording(
        recording.sorting,
        templates.dense_uv(),
        nbefore=templates.num_before,
        amplitude_factor=np.asarray(recording._session.amplitudes),
        parent_recording=noise,
    )


def compare(num_channels: int, num_units: int, rate_hz: float, folder: Path, rounds: int) -> dict:
    total_s = (rounds + 1) * SECONDS_A_ROUND
    path = session(folder / "still", num_channels, num_units, rate_hz, total_s)
    # As much as an hour of the default drift, within these seconds.
    faster = 20.0 * np.sqrt(3600.0 / total_s)
    drifting = session(
        folder / "drifting", num_channels, num_units, rate_hz, total_s, motion="nonrigid", drift_um_per_hour=faster
    )
    fresh = GenerativeRecordingExtractor(path)
    contenders = {
        "fresh coloured noise": fresh,
        "tiled coloured noise": GenerativeRecordingExtractor(path, noise_mode="tiled"),
        "SpikeInterface on_the_fly white noise": rival(fresh, "on_the_fly"),
        "SpikeInterface tile_pregenerated white noise": rival(fresh, "tile_pregenerated"),
        "fresh coloured noise and drift": GenerativeRecordingExtractor(drifting),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for k in range(rounds + 1):
        for name, recording in contenders.items():
            begin = time.process_time()
            for second in range(k * SECONDS_A_ROUND, (k + 1) * SECONDS_A_ROUND):
                start = int(second * FREQUENCY)
                recording.get_traces(0, start, start + int(FREQUENCY))
            if k:  # the first round warms up
                seconds[name].append((time.process_time() - begin) / SECONDS_A_ROUND)
    each = {name: np.array(values) for name, values in seconds.items()}
    ours_fresh, ours_tiled, theirs_fresh, theirs_tiled, ours_drifting = each.values()
    return {
        "channels": num_channels,
        "units": num_units,
        "spikes_per_s": num_units * rate_hz,
        "processor_seconds_per_second_of_data": {
            name: round(float(np.median(value)), 4) for name, value in each.items()
        },
        "times_real_time, fresh": round(float(np.median(1 / ours_fresh)), 1),
        "times_real_time, tiled": round(float(np.median(1 / ours_tiled)), 1),
        "times_faster, fresh against on_the_fly": round(float(np.median(theirs_fresh / ours_fresh)), 2),
        "times_faster, tiled against tile_pregenerated": round(float(np.median(theirs_tiled / ours_tiled)), 2),
        "times_faster, fresh with drift against on_the_fly without": round(
            float(np.median(theirs_fresh / ours_drifting)), 2
        ),
    }


def in_a_process_of_its_own(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


# Not ru_maxrss, which a process inherits from the one that started it.
PEAK = "int([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0]) // 1024"


def opening(path: Path) -> dict:
    """Seconds and MiB of a fresh process that opens a session, with and without what is imported for it."""
    code = (
        "import time; begin = time.perf_counter()\n"
        "from spikeinterface_gen import GenerativeRecordingExtractor\n"
        "imported = time.perf_counter()\n"
        f"recording = GenerativeRecordingExtractor({str(path)!r})\n"
        "opened = time.perf_counter()\n"
        f"recording.get_traces(0, 0, 30000); alone = {PEAK}\n"
        "sorting = recording.sorting\n"
        f"print(imported - begin, opened - imported, alone, time.perf_counter() - opened, {PEAK})"
    )
    importing_s, opening_s, peak_mib, sorting_s, sorting_mib = map(float, in_a_process_of_its_own(code).split())
    return {
        "importing_s": round(importing_s, 2),
        "opening_s": round(opening_s, 2),
        "peak_mib, opened and a second read": round(peak_mib),
        "ground_truth_as_a_sorting_s": round(sorting_s, 2),
        "peak_mib, with it": round(sorting_mib),
    }


def reading(path: Path, seconds: list[int]) -> dict:
    """Peak MiB of a process that has read so many seconds, one by one."""
    code = (
        "from spikeinterface_gen import GenerativeRecordingExtractor\n"
        f"recording, peaks = GenerativeRecordingExtractor({str(path)!r}), []\n"
        f"for k in range({max(seconds)}):\n"
        "    recording.get_traces(0, k * 30000, (k + 1) * 30000)\n"
        f"    if k + 1 in {seconds}: peaks.append({PEAK})\n"
        "print(*peaks)"
    )
    peaks = in_a_process_of_its_own(code).split()
    return {f"after {s} s": int(peak) for s, peak in zip(seconds, peaks, strict=True)}


def saving(path: Path, seconds: int, folder: Path) -> dict:
    """Memory of the processes that save the first seconds to binary with n_jobs=2, together, over time."""
    code = (
        "from spikeinterface_gen import GenerativeRecordingExtractor\n"
        f"recording = GenerativeRecordingExtractor({str(path)!r}).frame_slice(0, {seconds * 30000})\n"
        f"recording.save(folder={str(folder)!r}, n_jobs=2, progress_bar=False, verbose=False)\n"
    )
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    samples, written = [], 0
    while process.poll() is None:
        samples.append(sum(proportional_mib(pid) for pid in with_children(process.pid)))
        written = max([written, *(give_back(file) for file in folder.glob("*.raw"))])
        time.sleep(0.5)
    if process.returncode:
        raise RuntimeError(f"saving failed with {process.returncode}")
    quarter = max(len(samples) // 4, 1)
    return {
        "saved_s_of_data": seconds,
        "written_gb": round(written / 1e9, 1),
        "took_s": round(time.perf_counter() - begin, 1),
        "peak_mib": round(max(samples)),
        "median_mib by quarter": [round(float(np.median(samples[k * quarter :][:quarter]))) for k in range(4)],
    }


def give_back(file: Path, margin: int = 2**30) -> int:
    """Free the disk of all but the last GiB of what was written; how far the file is written, in bytes."""
    with file.open("rb") as opened:
        begin = stop = 0
        while True:
            try:
                begin = os.lseek(opened.fileno(), stop, os.SEEK_DATA)
            except OSError:  # no data beyond
                break
            stop = os.lseek(opened.fileno(), begin, os.SEEK_HOLE)
    if stop > margin:
        subprocess.run(["fallocate", "--punch-hole", "--length", str(stop - margin), str(file)], check=True)
    return stop


def with_children(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except OSError:
        return []
    return [pid, *(deeper for child in children for deeper in with_children(int(child)))]


def proportional_mib(pid: int) -> float:
    """Memory of a process, with what it shares counted in parts."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def short_intervals(path: str) -> dict:
    """Intervals under 10 ms of retinal waves and of spikes placed by their counts: share that lies in other bins."""
    counts = load_dataset("retinal_waves", path=path)
    source = counts.unit_properties["short_interval_counts"].sum(axis=0)
    unknown = {k: v for k, v in counts.unit_properties.items() if k != "short_interval_counts"}
    plain = SpikeCounts(counts.counts, counts.bin_size_ms, num_bins=counts.num_bins, unit_properties=unknown)
    told = {}
    for name, given in (("with the source's histogram", counts), ("without it", plain)):
        placed = place_spikes(given, seed=0)
        order = np.lexsort((placed.session_frame, placed.unit))
        same = np.diff(placed.unit[order]) == 0
        intervals_ms = np.diff(placed.session_frame[order])[same] * 1000.0 / placed.sampling_frequency
        found = np.histogram(intervals_ms, SHORT_INTERVAL_EDGES_MS)[0]
        # The first 0.5 ms are within the refractory period: what is there in the source is detected twice.
        ours, theirs = found[1:] / found[1:].sum(), source[1:] / source[1:].sum()
        told[name] = round(float(0.5 * np.abs(ours - theirs).sum()), 4)
    return told


def shapes(folder: Path, cells: str | None) -> dict:
    """Share of each template's energy outside its first singular component: what one shape scaled cannot give."""
    misfits = {}
    for name in (None, "spikeinterface"):
        path = folder / str(name)
        counts = SpikeCounts(np.zeros((1, 10, 200), dtype=np.uint8), 10.0)
        generate_from_counts(counts, seed=0, folder=path, probe=default_probe(384), templates=name)
        title = "our spatial model" if name is None else "SpikeInterface's generator"
        misfits[title] = summary(GenerativeRecordingExtractor(path)._session.templates.dense_uv())
    if cells is not None:
        neuropixels, probes = real_units(Path(cells))
        misfits["real units on Neuropixels"] = summary(neuropixels)
        misfits["real units on silicon probes of 32 and 64 channels"] = summary(probes)
    return misfits


def real_units(folder: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Mean waveforms of CellExplorer's units on all channels, each (samples, channels): Neuropixels, and others."""
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for path in sorted(folder.glob("*.mat")):
        try:
            metrics = loadmat(path, simplify_cells=True, variable_names=["cell_metrics"])["cell_metrics"]
        except (NotImplementedError, KeyError):  # of Matlab 7.3, of single tetrodes
            continue
        waveforms = metrics["waveforms"].get("filt_all", [])
        # A session of a single unit has lost a dimension.
        waveforms = [waveforms] if len(waveforms) and np.ndim(waveforms[0]) == 1 else waveforms
        for waveform in map(np.asarray, waveforms):
            if waveform.ndim == 2 and waveform.size and np.all(np.isfinite(waveform)):
                found[0 if len(waveform) >= 374 else 1].append(waveform.T)
    return found


def summary(waveforms: Sequence[np.ndarray]) -> dict:
    """Quartiles over units, on the channels where a unit has at least a fifth of its largest extent."""
    share, channels = [], []
    for waveform in waveforms:
        extent = np.ptp(waveform, axis=0)
        seen = extent >= 0.2 * extent.max()
        values = np.linalg.svd(waveform[:, seen].astype(float), compute_uv=False)
        share.append(1.0 - values[0] ** 2 / (values**2).sum())
        channels.append(int(seen.sum()))
    low, median, high = np.quantile(share, [0.25, 0.5, 0.75])
    return {
        "units": len(share),
        "median": round(median, 3),
        "quartiles": [round(low, 3), round(high, 3)],
        "median_channels": float(np.median(channels)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hour-s", type=int, default=3600, help="length of the long session")
    parser.add_argument("--saved-s", type=int, default=3600, help="seconds of it that are saved: 23 MB each")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--retinal-waves", default=None, help="file of the data set retinal_waves")
    parser.add_argument("--cells", default=None, help="folder of CellExplorer's ground-truth cells, *.mat")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        figures = {
            "64 channels": compare(64, 100, 5.0, here / "64", options.rounds),
            "384 channels": compare(384, 500, 4.0, here / "384", options.rounds),
        }
        path = long_session(here / "long", 384, 500, 4.0, options.hour_s)
        figures["a long session, 384 channels, 500 units, 2000 spikes/s"] = {
            "duration_s": options.hour_s,
            "session_mib": round(sum(file.stat().st_size for file in path.iterdir()) / 2**20),
            "opening": opening(path),
            "reading in one process, peak_mib": reading(path, [1, 10, 60]),
            "saving to binary, n_jobs=2": saving(path, options.saved_s, here / "saved"),
        }
        if options.retinal_waves is not None:
            figures["retinal waves, intervals under 10 ms in other bins"] = short_intervals(options.retinal_waves)
        figures["energy of templates outside the first singular component"] = shapes(here / "shapes", options.cells)
    record("rendering", figures)


if __name__ == "__main__":
    main()
