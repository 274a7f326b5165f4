"""Write what a benchmark measured, with the machine, the versions and the date, to results/<name>.json."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("spikeinterface-gen", "numpy", "scipy", "torch", "lightning", "spikeinterface", "neo", "elephant")


def record(name: str, figures: dict[str, Any]) -> Path:
    """Write ``results/<name>.json`` and print it.

    Parameters
    ----------
    name : str
        Name of the benchmark.
    figures : dict
        JSON-able; say in each key or beside it what was measured and in which unit.
    """
    told = {"benchmark": name, "date": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": machine(), **figures}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)
    print(path.read_text(encoding="utf-8"))
    return path


def median_and_range(values: Sequence[float], digits: int) -> dict[str, Any]:
    """Of what was measured several times, rounded."""
    median, low, high = (round(float(x), digits) for x in (statistics.median(values), min(values), max(values)))
    return {"median": median, "range": [low, high]}


def machine() -> dict[str, Any]:
    """Processor, cores, memory, load at this moment, and versions."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_1_min": round(os.getloadavg()[0], 1),
        "threads": os.environ.get("OMP_NUM_THREADS", "not limited"),
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
