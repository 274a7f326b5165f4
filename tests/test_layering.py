"""The arrows of the architecture, kept by reading the imports of every module."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "spikeinterface_gen"
ROOT = Path(__file__).parent.parent / PACKAGE

# The only places that may know torch: what learns, what draws counts from what was learned.
MAY_USE_TORCH = (
    "nn",
    "diffusion",
    "models",
    "devices",
    "optimizer",
    "stage",
    "trainer",
    "training",
    "io",
    "observation",
)
# Turning spikes into other things, looking at them and reading them from disk starts without a model.
WITHOUT_MODELS = (
    "convert",
    "counterpart",
    "counts",
    "datasets",
    "extractors",
    "frames",
    "observation.spike_times",
    "plotting",
    "rendering",
    "session",
    "validation",
)
TORCH = ("torch", "lightning", "safetensors")


def _modules() -> dict[str, Path]:
    modules = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def _imports(tree: ast.AST, *, everywhere: bool) -> Iterator[str]:
    """Dotted names that a module imports: ``everywhere``, or only when it is imported itself."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            yield from _imports(ast.Module(node.orelse, []), everywhere=everywhere)
        elif everywhere or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _imports(node, everywhere=everywhere)


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


MODULES = _modules()
EVERYWHERE = {
    name: set(_imports(ast.parse(path.read_text(encoding="utf-8")), everywhere=True)) for name, path in MODULES.items()
}
AT_ONCE = {
    name: set(_imports(ast.parse(path.read_text(encoding="utf-8")), everywhere=False)) for name, path in MODULES.items()
}


def _loaded_with(name: str) -> set[str]:
    """Everything that importing a module imports, through our own modules and the packages that hold them."""
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for imported in AT_ONCE.get(current, ()):
            parts = imported.split(".")
            waiting.extend(".".join(parts[:k]) for k in range(1, len(parts) + 1))
    return seen


def _violations(within: str, imports: dict[str, set[str]], forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{module} imports {name}"
        for module, names in imports.items()
        if _within(module, f"{PACKAGE}.{within}")
        for name in sorted(names)
        if any(_within(name, package) for package in forbidden)
    ]


def test_there_is_something_to_read():
    assert f"{PACKAGE}.counts" in MODULES
    assert "numpy" in AT_ONCE[f"{PACKAGE}.counts"]
    # Through the class that holds the method: an import within a function counts as "everywhere" only.
    assert f"{PACKAGE}.convert.to_neo.to_neo" in EVERYWHERE[f"{PACKAGE}._conversions"]
    assert f"{PACKAGE}.convert.to_neo.to_neo" not in AT_ONCE[f"{PACKAGE}._conversions"]


def test_networks_and_diffusion_do_not_know_each_other():
    assert not _violations("nn", EVERYWHERE, (f"{PACKAGE}.diffusion",))
    assert not _violations("diffusion", EVERYWHERE, (f"{PACKAGE}.nn",))


def test_networks_and_diffusion_know_nothing_of_spikes():
    above = tuple(f"{PACKAGE}.{name}" for name in ("counts", "models", "training", "validation", "observation"))
    assert not _violations("nn", EVERYWHERE, above)
    assert not _violations("diffusion", EVERYWHERE, above)


def test_torch_stays_where_models_are():
    strangers = [
        f"{module} imports {name}"
        for module, names in EVERYWHERE.items()
        if not any(_within(module, f"{PACKAGE}.{allowed}") for allowed in MAY_USE_TORCH)
        for name in sorted(names)
        if any(_within(name, package) for package in TORCH)
    ]
    assert not strangers


def test_converting_validating_and_rendering_start_without_torch_and_models():
    heavy = (*TORCH, f"{PACKAGE}.models", f"{PACKAGE}.nn", f"{PACKAGE}.diffusion", f"{PACKAGE}.training")
    loaded = [
        f"{module} loads {name}"
        for module in MODULES
        if any(_within(module, f"{PACKAGE}.{part}") for part in WITHOUT_MODELS)
        for name in sorted(_loaded_with(module))
        if any(_within(name, package) for package in heavy)
    ]
    assert not loaded


def test_importing_the_package_loads_none_of_its_modules():
    assert not [name for name in _loaded_with(PACKAGE) if _within(name, PACKAGE) and name != PACKAGE]
