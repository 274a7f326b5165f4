import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import spikeinterface_gen

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "spikeinterface_gen"


def _run(code: str, cwd: Path) -> str:
    """Output of a fresh interpreter."""
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    return subprocess.run(
        [sys.executable, "-c", path + code], cwd=cwd, check=True, capture_output=True, text=True
    ).stdout


def test_importing_the_package_is_light(tmp_path):
    code = (
        "import time; import spikeinterface.full; started = time.perf_counter(); import spikeinterface_gen; "
        "from spikeinterface_gen import SpikeCounts; import json; "
        "print(json.dumps([time.perf_counter() - started, "
        "[name for name in ('torch', 'lightning', 'elephant') if name in sys.modules]]))"
    )
    seconds, heavy = json.loads(_run(code, tmp_path))
    assert not heavy
    assert seconds < 0.3


def test_every_public_name_is_there_and_none_else():
    for name in spikeinterface_gen.__all__:
        assert getattr(spikeinterface_gen, name) is not None
        assert name in dir(spikeinterface_gen)
    with pytest.raises(AttributeError, match="no attribute 'Spikes'"):
        _ = spikeinterface_gen.Spikes


def test_every_public_name_is_in_the_reference():
    reference = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\.\. auto\w+:: ([\w.]+)$", reference, re.MULTILINE))
    assert documented == set(spikeinterface_gen.__all__) - {"__version__"}


def test_the_wheel_holds_every_module_and_every_data_file(tmp_path):
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "spikeinterface_gen"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    # Built from a copy: a build leaves folders behind, which the next one would pick up.
    source = tmp_path / "source"
    for name in (*tracked, "setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE"):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "-q",
            "-w",
            str(tmp_path),
            str(source),
        ],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"spikeinterface_gen-{spikeinterface_gen.__version__}-py3")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert set(tracked) <= held
    assert not [name for name in held if name.startswith("tests/")]
    archive_path = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(archive_path)
    code = (
        f"sys.path.insert(0, {str(archive_path)!r}); import spikeinterface_gen; print(spikeinterface_gen.__file__); "
        "print(spikeinterface_gen.load_dataset('steinmetz2019').num_units)"
    )
    file, num_units = _run(code, tmp_path).split()
    assert Path(file).is_relative_to(archive_path)
    assert num_units == "983"
