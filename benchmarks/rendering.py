"""Speed and memory of rendering, beside SpikeInterface's own generators on the same spikes in the same run.

    python benchmarks/rendering.py

Seconds depend on the machine and on what else it does; the ratios less so, because each round times all
contenders one after the other and the median over rounds is taken.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _record import record
from spikeinterface.generation import InjectTemplatesRecording, NoiseGeneratorRecording

from spikeinterface_gen import GenerativeRecordingExtractor, SpikeCounts, generate_from_counts
from spikeinterface_gen.rendering.probes import default_probe

FREQUENCY = 30000.0
ROUNDS = 7
SECONDS_A_ROUND = 4


def session(folder: Path, num_channels: int, num_units: int, rate_hz: float, duration_s: float) -> Path:
    counts = np.random.default_rng(0).poisson(rate_hz * 0.01, (1, int(duration_s * 100), num_units))
    probe = default_probe(num_channels)
    generate_from_counts(SpikeCounts(counts, 10.0), seed=0, folder=folder, probe=probe, sampling_frequency=FREQUENCY)
    return folder


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


def compare(num_channels: int, num_units: int, rate_hz: float, folder: Path) -> dict:
    total_s = (ROUNDS + 1) * SECONDS_A_ROUND
    path = session(folder, num_channels, num_units, rate_hz, total_s)
    fresh = GenerativeRecordingExtractor(path)
    contenders = {
        "fresh coloured noise": fresh,
        "tiled coloured noise": GenerativeRecordingExtractor(path, noise_mode="tiled"),
        "SpikeInterface on_the_fly white noise": rival(fresh, "on_the_fly"),
        "SpikeInterface tile_pregenerated white noise": rival(fresh, "tile_pregenerated"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for k in range(ROUNDS + 1):
        for name, recording in contenders.items():
            begin = time.perf_counter()
            for second in range(k * SECONDS_A_ROUND, (k + 1) * SECONDS_A_ROUND):
                start = int(second * FREQUENCY)
                recording.get_traces(0, start, start + int(FREQUENCY))
            if k:  # the first round warms up
                seconds[name].append((time.perf_counter() - begin) / SECONDS_A_ROUND)
    each = {name: np.array(values) for name, values in seconds.items()}
    ours_fresh, ours_tiled, theirs_fresh, theirs_tiled = each.values()
    return {
        "channels": num_channels,
        "units": num_units,
        "spikes_per_s": num_units * rate_hz,
        "seconds_per_second_of_data": {name: round(float(np.median(value)), 4) for name, value in each.items()},
        "times_real_time, fresh": round(float(np.median(1 / ours_fresh)), 1),
        "times_real_time, tiled": round(float(np.median(1 / ours_tiled)), 1),
        "times_faster, fresh against on_the_fly": round(float(np.median(theirs_fresh / ours_fresh)), 2),
        "times_faster, tiled against tile_pregenerated": round(float(np.median(theirs_tiled / ours_tiled)), 2),
    }


def peak_mib(path: Path, seconds: int) -> float:
    """Peak memory in MiB of a process of its own that reads the first seconds of a session, second by second."""
    code = (
        "from pathlib import Path\n"
        "from spikeinterface_gen import GenerativeRecordingExtractor\n"
        f"recording = GenerativeRecordingExtractor({str(path)!r})\n"
        f"for k in range({seconds}):\n"
        "    recording.get_traces(0, k * 30000, (k + 1) * 30000)\n"
        # Not ru_maxrss, which a process inherits from the one that started it.
        "print([line.split()[1] for line in Path('/proc/self/status').open() if line.startswith('VmHWM')][0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return round(int(done.stdout) / 1024, 1)


def long_session(folder: Path) -> dict:
    path = session(folder, 64, 100, 5.0, 1800.0)
    begin = time.perf_counter()
    GenerativeRecordingExtractor(path)
    opening_s = time.perf_counter() - begin
    return {
        "duration_s": 1800,
        "opening_s": round(opening_s, 3),
        "peak_mib": {f"after {seconds} s": peak_mib(path, seconds) for seconds in (1, 10, 100, 400)},
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "64 channels": compare(64, 100, 5.0, Path(folder) / "64"),
            "384 channels": compare(384, 500, 4.0, Path(folder) / "384"),
            "memory, 64 channels, 100 units": long_session(Path(folder) / "long"),
        }
    record("rendering", figures)


if __name__ == "__main__":
    main()
