"""Arguments, messages and exit codes of the command line; what the commands do is in ``commands``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import spikeinterface_gen
from spikeinterface_gen.rendering.parameters import RenderingParameters

__all__ = ["main"]

_SETTINGS = "motion (rigid or nonrigid), and, with defaults, " + ", ".join(
    f"{name}={value}" for name, value in RenderingParameters().as_dict().items()
)

_EXIT_CODES = """exit codes: 0 done; 1 found different (validate --strict) or not synthetic (info --check);
2 wrong arguments or data, with a message; 130 interrupted."""

_DATA = """DATA is a bundled dataset (steinmetz2019, lorenz), an NWB file, a file of Neo (.nix, .mat, .pkl), a sorting
or analyzer that SpikeInterface saved (folder, .zarr, .json), or a session folder of this package."""

_OVERVIEW = """Learn the joint firing of a recorded population, generate new trials, and see how good they are:

  spikeinterface-gen fit session.nwb my_model --max-minutes 10
  spikeinterface-gen generate my_model synthetic --trials 100 --seed 1
  spikeinterface-gen validate session.nwb synthetic --output report.html

fit leaves a fifth of the trials out; validate compares with those. `spikeinterface-gen COMMAND --help` tells more.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.

    Returns
    -------
    int
        Exit code.
    """
    options = _parser().parse_args(arguments)
    from spikeinterface_gen.cli import commands

    try:
        result, code = getattr(commands, options.command)(options)
    except KeyboardInterrupt as stop:
        print(f"interrupted: {stop}" if str(stop) else "interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, LookupError, OSError, ImportError, ArithmeticError, RuntimeError) as error:
        if options.debug:
            raise
        # A key error's text is the repr of its message.
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        print(f"spikeinterface-gen {options.command}: {message}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result, indent=1, default=str))
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spikeinterface-gen",
        description=_OVERVIEW,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"spikeinterface-gen {spikeinterface_gen.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_fit, _generate, _validate, _benchmark, _info, _demo):
        add(commands)
    return parser


def _command(commands: Any, name: str, summary: str, more: str, examples: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.\n\n{more}",
        epilog=f"examples:\n{examples}\n\n{_EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on standard output")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    parser.add_argument("--debug", action="store_true", help="show where in the program an error arose")
    return parser


def _reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("reading data")
    group.add_argument(
        "--bin-size-ms", type=float, metavar="MS", help="width of a bin (default: what the file says, else 10)"
    )
    group.add_argument("--window-s", type=float, metavar="S", help="cut continuous data into windows of this length")
    group.add_argument(
        "--trials",
        metavar="FILE.csv",
        help="for a sorting: its trials, columns start and stop in s; further columns become covariates",
    )
    group.add_argument(
        "--duration-s",
        type=float,
        nargs="+",
        metavar="S",
        help="for a sorting without a recording: length of each segment",
    )
    group.add_argument(
        "--align-to", metavar="COLUMN", help="for NWB: trials around an event, whose times are in this column"
    )
    group.add_argument(
        "--around-s", type=float, nargs=2, metavar=("START", "STOP"), help="for NWB: from when to when, as in -0.2 0.5"
    )
    group.add_argument(
        "--min-rate-hz", type=float, default=0.0, metavar="HZ", help="leave out slower units (default: 0)"
    )
    group.add_argument("--trust-pickle", action="store_true", help="read pickles, which can execute anything")


def _splitting(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("trials held out (give fit and validate the same)")
    group.add_argument("--train-share", type=float, default=0.8, metavar="X", help="share to train on (default: 0.8)")
    group.add_argument("--split", choices=("random", "time"), default="random", help="which trials (default: random)")
    group.add_argument("--split-seed", type=int, default=0, metavar="N", help="of the random split (default: 0)")


def _fit(commands: Any) -> None:
    parser = _command(
        commands,
        "fit",
        "learn a model from recorded trials",
        _DATA,
        "  spikeinterface-gen fit steinmetz2019 my_model --min-rate-hz 1 --max-minutes 4\n"
        "  spikeinterface-gen fit continuous.nwb my_model --window-s 2 --bin-size-ms 20\n"
        "  spikeinterface-gen fit session.nwb my_model --align-to stimulus_on --around-s -0.2 0.5\n"
        "  spikeinterface-gen fit kilosort_analyzer my_model --trials trials.csv\n"
        "  spikeinterface-gen fit session.nwb my_model --covariates side contrast target_angle=circular\n"
        "  spikeinterface-gen fit today.nwb my_model --start-from yesterday --max-minutes 2",
    )
    parser.add_argument("data", metavar="DATA", help="recorded spikes")
    parser.add_argument("model", metavar="MODEL", help="folder for the model")
    parser.add_argument("--max-minutes", type=float, metavar="MIN", help="bound on the time (default: none)")
    parser.add_argument("--num-steps", type=int, metavar="N", help="optimiser steps of every stage, instead of a time")
    parser.add_argument(
        "--num-latents", type=int, metavar="N", help="dimensions of the latents (default: from the data)"
    )
    parser.add_argument(
        "--covariates",
        nargs="+",
        metavar="NAME",
        help="learn to draw trials for these; NAME=KIND where values do not tell whether it is categorical, continuous "
        "or circular (angles in radians)",
    )
    parser.add_argument(
        "--no-session-time", action="store_true", help="do not learn how trials change with the time of the session"
    )
    parser.add_argument(
        "--start-from",
        metavar="MODEL",
        help="begin with this model, of another session perhaps, and with its settings: a folder, or the name of a "
        "bundled one",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the fit (default: 0)")
    parser.add_argument("--accelerator", default="auto", help="as Lightning takes it: auto, cpu, gpu (default: auto)")
    parser.add_argument("--checkpoint", metavar="FOLDER", help="save progress here, and go on from what it holds")
    parser.add_argument("--overwrite", action="store_true", help="replace a model that is there")
    _splitting(parser)
    _reading(parser)


def _generate(commands: Any) -> None:
    parser = _command(
        commands,
        "generate",
        "draw new trials from a model",
        "OUTPUT without a suffix becomes a session folder: traces with ground truth, which SpikeInterface opens with\n"
        "spikeinterface_gen.GenerativeRecordingExtractor. With a suffix it becomes spikes alone: .nwb, or .nix, .mat\n"
        "or .pkl for Neo.",
        "  spikeinterface-gen generate my_model recording --trials 100 --seed 1 --set noise_level_uv=10\n"
        "  spikeinterface-gen generate my_model synthetic.nwb --trials 500 --watermark-key-file key.txt\n"
        "  spikeinterface-gen generate my_model left.nwb --trials 200 --condition side=left --condition contrast=0.5",
    )
    parser.add_argument("model", metavar="MODEL", help="folder of a model, or the name of a bundled one")
    parser.add_argument("output", metavar="OUTPUT", help="folder or file to write")
    parser.add_argument("--trials", type=int, required=True, metavar="N", help="number of trials")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed, the same result (default: a fresh one)")
    parser.add_argument(
        "--shard", metavar="K/N", help="draw the K-th of N parts of these trials alone, as the jobs of an array do"
    )
    parser.add_argument("--duration-s", type=float, metavar="S", help="length of the trials (default: as in the data)")
    parser.add_argument(
        "--condition",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="draw trials for this value of a covariate that the model was fitted with: a number, a category, or "
        "numbers with commas between them; may be repeated; covariates not named are left to the model (default: those "
        "of recorded trials drawn at random)",
    )
    parser.add_argument("--session", action="store_true", help="follow the slow changes of the recorded session")
    parser.add_argument(
        "--guidance",
        type=float,
        metavar="G",
        help="weight of the conditions: above 1, trials are more typical of them and less varied (default: 1)",
    )
    parser.add_argument("--units", nargs="+", metavar="ID", help="render these units only")
    parser.add_argument("--gap-s", type=float, default=0.0, metavar="S", help="pause between trials (default: 0)")
    parser.add_argument(
        "--sampling-frequency", type=float, default=30000.0, metavar="HZ", help="of spikes and traces (default: 30000)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help=f"may be repeated: {_SETTINGS}"
    )
    parser.add_argument("--watermark-key-file", metavar="FILE", help="mark the spike times with the key in this file")
    parser.add_argument("--overwrite", action="store_true", help="replace a session or file that is there")


def _validate(commands: Any) -> None:
    parser = _command(
        commands,
        "validate",
        "compare synthetic with held-out trials",
        f"{_DATA}\nSYNTHETIC is what generate wrote. Of DATA, the trials that fit left out are compared.",
        "  spikeinterface-gen validate session.nwb synthetic --output report.html\n"
        "  spikeinterface-gen validate steinmetz2019 synthetic.nix --json --strict",
    )
    parser.add_argument("data", metavar="DATA", help="the recorded spikes that the model was fitted to")
    parser.add_argument("synthetic", metavar="SYNTHETIC", help="generated spikes")
    parser.add_argument("--output", metavar="FILE.html", help="write one page with table and figures")
    parser.add_argument("--splits", type=int, default=20, metavar="N", help="random splits (default: 20)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the splits (default: 0)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if anything is flagged")
    _splitting(parser)
    _reading(parser)


def _benchmark(commands: Any) -> None:
    parser = _command(
        commands,
        "benchmark",
        "run spike sorters on recordings of a model, and on controls whose units do not fire together",
        "FOLDER gets the recordings, the study and units.csv, one row for each unit of each run. Called again,\n"
        "it does what is not done yet. Kinds: as_is (the model's spikes), permuted, psth_poisson, homogeneous_poisson.",
        "  spikeinterface-gen benchmark my_model study --trials 150 --sorters spykingcircus2 tridesclous2",
    )
    parser.add_argument("model", metavar="MODEL", help="folder of a model, or the name of a bundled one")
    parser.add_argument("folder", metavar="FOLDER", help="folder for everything")
    parser.add_argument("--trials", type=int, required=True, metavar="N", help="trials of each recording")
    parser.add_argument("--sorters", nargs="+", required=True, metavar="NAME", help="as SpikeInterface calls them")
    parser.add_argument(
        "--kinds", nargs="+", default=["as_is", "permuted"], metavar="KIND", help="default: as_is permuted"
    )
    parser.add_argument("--repeats", type=int, default=1, metavar="N", help="recordings of each kind (default: 1)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first repeat (default: 0)")
    parser.add_argument("--units", nargs="+", metavar="ID", help="render these units only")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default: 1)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help=f"may be repeated: {_SETTINGS}"
    )


def _info(commands: Any) -> None:
    parser = _command(
        commands,
        "info",
        "tell what a file or folder holds and whether it is synthetic",
        "PATH is a model, a session, data of any kind, or the name of a bundled dataset. Nothing in it is executed.",
        "  spikeinterface-gen info my_model\n"
        "  spikeinterface-gen info unknown.nix --watermark-key-file key.txt --check",
    )
    parser.add_argument("path", metavar="PATH")
    parser.add_argument("--watermark-key-file", metavar="FILE", help="look for the watermark of the key in this file")
    parser.add_argument("--check", action="store_true", help="exit with 1 if it is not synthetic")
    _reading(parser)


def _demo(commands: Any) -> None:
    parser = _command(
        commands,
        "demo",
        "a recorded session in, a synthetic recording out, and how good it is",
        "Fits the bundled session, generates trials, validates them, renders a recording and sorts it.",
        "  spikeinterface-gen demo --minutes 1",
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="bound on the fit (default: 4)")
    parser.add_argument("--output", default="demo_output", help="folder for the results (default: demo_output)")
