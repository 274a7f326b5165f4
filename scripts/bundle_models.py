"""Train the models that come with the package, and write their cards.

    python scripts/bundle_models.py [steinmetz2019] [lorenz] [--minutes 4] [--fitted FOLDER]

Each model learns from a part of its data; the table of its card is of trials that it never saw. ``--fitted`` bundles a
model that was fitted to the very same trials before, such as that which ``benchmarks/lorenz.py --save`` leaves. The
denoiser's matrices are rounded to half precision, which halves the size; the table is of the rounded model.
"""

import argparse
import importlib.metadata
import shutil
import tempfile
from datetime import date
from pathlib import Path

import torch

from spikeinterface_gen import LDNS, SpikeCounts, ValidationReport, load_dataset, validate
from spikeinterface_gen.models.saved import read_model, write_model

BUNDLED = Path(__file__).parents[1] / "spikeinterface_gen" / "models" / "bundled"
MAX_MEGABYTES = 5.0
LIMITS = """It knows one population in one task: no other animal, area or stimulus. What the table shows as far from its
floor is wrong in its trials too. Synthetic trials may leave traces of the trials that it was trained on, and are not to
be taken for anonymous ones."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=["steinmetz2019", "lorenz"], default=["steinmetz2019", "lorenz"])
    parser.add_argument("--minutes", type=float, help="of each fit; default: 4 and 10")
    parser.add_argument("--fitted", type=Path, help="folder of a model that was fitted to these trials before")
    options = parser.parse_args()
    for name in options.names:
        train, validation, test, about = steinmetz2019() if name == "steinmetz2019" else lorenz()
        if options.fitted is not None:
            model = LDNS.load(options.fitted)
        else:
            minutes = options.minutes or (4.0 if name == "steinmetz2019" else 10.0)
            model = LDNS().fit(train, validation=validation, seed=0, max_minutes=minutes)
        halve(model)
        report = validate(test, model.sample(len(test), seed=1), train=train)
        bundle(name, model, card(name, model, about, train, test, report))


def matrices(model: LDNS) -> dict[str, torch.nn.Parameter]:
    """The denoiser's matrices, by their names in the file."""
    return {
        f"{name}.weight": layer.weight
        for name, layer in model.networks_.named_modules()
        if name.startswith("denoiser.") and isinstance(layer, torch.nn.Linear)
    }


def halve(model: LDNS) -> None:
    """Round the denoiser's matrices to half precision."""
    for weight in matrices(model).values():
        weight.data = weight.data.half().float()


def steinmetz2019() -> tuple[SpikeCounts, SpikeCounts | None, SpikeCounts, str]:
    counts = load_dataset("steinmetz2019")
    train, test = counts.split((0.8, 0.2), seed=0)
    about = (
        "A session of Neuropixels recordings from a mouse that compared visual contrasts: Steinmetz, Zatka-Haas, "
        "Carandini & Harris, Nature 576 (2019), doi:10.1038/s41586-019-1787-x, CC-BY-4.0. The model is under the same "
        "licence. Split at random, 80 % for training."
    )
    return train, None, test, about


def lorenz() -> tuple[SpikeCounts, SpikeCounts | None, SpikeCounts, str]:
    counts = load_dataset("lorenz")
    about = (
        "Simulated Poisson units driven by a Lorenz system, as in Kapoor et al., NeurIPS 2024: 3500 trials for "
        "training, 500 for early stopping, 1000 for the test. MIT licence."
    )
    return counts[:3500], counts[3500:4000], counts[4000:], about


def card(name: str, model: LDNS, about: str, train: SpikeCounts, test: SpikeCounts, report: ValidationReport) -> str:
    """Text of a model card, in Markdown."""
    table = report.table[["value", "floor", "ratio", "low", "high"]]
    rows = [f"| {metric} | " + " | ".join(f"{x:.4g}" for x in row) + " |" for metric, row in table.iterrows()]
    versions = ", ".join(
        f"{package} {importlib.metadata.version(package)}" for package in ("spikeinterface_gen", "torch")
    )
    settings = ", ".join(f"{key}={value!r}" for key, value in model.settings().items())
    return "\n".join(
        [
            f"# {name}",
            "",
            f"{model!r}. Trained on {date.today()} with {versions}; sha256 of the weights {model.sha256()}.",
            "",
            "## Data",
            "",
            about,
            "",
            f"Trained on {train!r}.",
            "",
            "## Settings",
            "",
            f"LDNS({settings}); steps taken of those planned: "
            + ", ".join(f"{stage} {steps} of {schedule}" for stage, (schedule, steps) in model.num_steps_.items())
            + ".",
            "",
            "## Against trials that it never saw",
            "",
            f"{len(test)} generated against {len(test)} held-out trials. A ratio of 1 is as close as other recorded "
            "trials are.",
            "",
            "| metric | distance | floor | ratio | low | high |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            report.summary(),
            "",
            "## Limits",
            "",
            LIMITS,
            "",
        ]
    )


def bundle(name: str, model: LDNS, text: str) -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder = model.save(Path(parent) / name)
        config, tensors = read_model(folder, "LDNS")
        tensors |= {key: tensors[key].half() for key in matrices(model)}
        write_model(folder, config, tensors, overwrite=True)
        megabytes = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        if megabytes > MAX_MEGABYTES:
            raise SystemExit(f"{name} has {megabytes:.1f} MB; at most {MAX_MEGABYTES:g} are bundled.")
        shutil.rmtree(BUNDLED / name, ignore_errors=True)
        shutil.copytree(folder, BUNDLED / name)
    (BUNDLED / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
