import ast
import importlib
import inspect
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


def test_the_full_import_is_light_and_registers_the_analyzer_extension(tmp_path):
    code = (
        "import time, json, spikeinterface.full; started = time.process_time(); import spikeinterface_gen.full as si; "
        "seconds = time.process_time() - started; from spikeinterface.core.sortinganalyzer import get_extension_class; "
        "print(json.dumps([seconds, [name for name in ('torch', 'lightning', 'elephant') if name in sys.modules], "
        "get_extension_class('spike_train_statistics').__name__, hasattr(si, 'synthesize_like')]))"
    )
    seconds, heavy, extension, has_ours = json.loads(_run(code, tmp_path))
    assert seconds < 0.3
    assert not heavy
    assert (extension, has_ours) == ("ComputeSpikeTrainStatistics", True)


def test_every_public_name_is_there_and_none_else():
    for name in spikeinterface_gen.__all__:
        assert getattr(spikeinterface_gen, name) is not None
        assert name in dir(spikeinterface_gen)
    with pytest.raises(AttributeError, match="no attribute 'Spikes'"):
        _ = spikeinterface_gen.Spikes


def test_type_checkers_see_every_public_name():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == spikeinterface_gen._LAZY
    assert (PACKAGE / "py.typed").exists()


def test_every_public_signature_is_typed():
    untyped = []
    for name in spikeinterface_gen._LAZY:
        value = getattr(spikeinterface_gen, name)
        members = [value]
        if inspect.isclass(value):
            members = [
                member for key, member in inspect.getmembers(value, inspect.isroutine) if not key.startswith("_")
            ]
            members = [member for member in members if member.__module__.startswith("spikeinterface_gen")]
        for member in members:
            signature = inspect.signature(member)
            parameters = [p for p in signature.parameters.values() if p.name != "self"]
            if signature.return_annotation is inspect.Signature.empty or any(
                p.annotation is inspect.Parameter.empty for p in parameters
            ):
                untyped.append(f"{name}: {member.__qualname__}{signature}")
    assert not untyped


@pytest.mark.parametrize("name", ["from_neo", "from_sorting", "from_nwb", "to_neo", "to_sorting", "to_nwb"])
def test_doors_of_counts_take_what_the_converters_take(name):
    converter = getattr(importlib.import_module(f"spikeinterface_gen.convert.{name}"), name)
    of_door, of_converter = (
        [(p.name, p.default, p.kind) for p in inspect.signature(f).parameters.values()]
        for f in (getattr(spikeinterface_gen.SpikeCounts, name), converter)
    )
    # Instance methods have the counts as self, the converters by name.
    assert of_door[of_door[0][0] == "self" :] == of_converter[of_door[0][0] == "self" :]


def test_every_public_name_is_in_the_reference():
    reference = (ROOT / "docs" / "api.rst").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\.\. auto\w+:: ([\w.]+)$", reference, re.MULTILINE))
    of_modules = {name for name in documented if "." in name}  # the baselines, which are no names of the package
    assert documented - of_modules == set(spikeinterface_gen.__all__) - {"__version__"}
    for name in of_modules:
        module, _, of_module = name.rpartition(".")
        assert hasattr(importlib.import_module(module), of_module)


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
