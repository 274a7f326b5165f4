"""Panels of what trials are as a whole: whether they can be told, what they teach, whether they were memorised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikeinterface_gen.plotting import COLOURS
from spikeinterface_gen.validation.decoding import REAL, REAL_AND_SYNTHETIC, SYNTHETIC
from spikeinterface_gen.validation.panels import clipped_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from spikeinterface_gen.validation.report import ValidationReport

__all__ = ["membership", "use", "whole_trials"]

_MOST_SD = 12.0
_SHARES = (-0.5, 1.75)
_TRAINED = ((REAL, "o", COLOURS["real"]), (SYNTHETIC, "s", COLOURS["synthetic"]), (REAL_AND_SYNTHETIC, "^", "black"))


def whole_trials(ax: Axes, report: ValidationReport) -> None:
    """Distances of whole trials among those of relabelled ones."""
    whole = report.whole_trials
    if whole is None:
        return
    tests = list(whole.tests.values())[::-1]
    for row, test in enumerate(tests):
        mean, sd = test.null.mean(), max(float(test.null.std()), 1e-300)
        null, found = (test.null - mean) / sd, float((test.distance - mean) / sd)
        ax.plot(null, np.full(len(null), row), "|", color=COLOURS["other real"], markersize=9, alpha=0.5)
        beyond = found > _MOST_SD
        ax.plot(min(found, _MOST_SD), row, ">" if beyond else "D", color=COLOURS["synthetic"], markersize=6)
        ax.text(
            _MOST_SD, row + 0.26, f"{found:.1f} s.d., p = {test.p_value:.2g}", ha="right", va="center", fontsize=6.5
        )
    ax.set_title("Whole trials")
    ax.set(
        xlabel=f"distance in s.d. over {len(tests[0].null)} relabellings (grey: these)\n"
        f"n = {tests[0].num_real} real, {tests[0].num_synthetic} synthetic trials",
        yticks=range(len(tests)),
        yticklabels=[_wrapped(test.label) for test in tests],
        ylim=(-0.5, len(tests) - 0.4),
        xlim=(-4, _MOST_SD + 0.5),
    )


def use(ax: Axes, report: ValidationReport) -> None:
    """What decoders learn, from chance (0) to what they learn from real trials (1)."""
    tasks = report.use[::-1]
    for row, task in enumerate(tasks):
        of_real = task.scores[REAL] - task.chance
        if of_real <= 0:
            ax.text(0, row, "real trials teach nothing", fontsize=7, va="center")
            continue
        for offset, (name, marker, colour) in zip((0.22, 0.0, -0.22), _TRAINED, strict=True):
            share = (task.scores[name] - task.chance) / of_real
            low, high = (np.quantile(task.resampled[name], [0.025, 0.975]) - task.chance) / of_real
            clipped_interval(ax, row + offset, float(low), float(high), _SHARES, colour)
            ax.plot(np.clip(share, *_SHARES), row + offset, marker, color=colour, markersize=4.5)
    for name, marker, colour in _TRAINED:
        ax.plot([], [], marker, color=colour, markersize=4.5, label="both" if name == REAL_AND_SYNTHETIC else name)
    for place in (0, 1):
        ax.axvline(place, color="black", linewidth=0.5, zorder=0)
    ax.set_title("Use")
    ax.set(
        xlabel=f"score, from chance (0) to after real trials (1)\nn = {tasks[0].num_test} test trials",
        yticks=range(len(tasks)),
        yticklabels=[_wrapped(f"{task.task.removeprefix('Decoding of ')} ({task.score})") for task in tasks],
        ylim=(-0.6, len(tasks) - 0.4),
        xlim=_SHARES,
    )
    key = {"ncols": 3, "columnspacing": 0.8, "handletextpad": 0.1, "borderaxespad": 0.0}
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), fontsize=6.5, **key)


def membership(ax: Axes, report: ValidationReport) -> None:
    """Both attacks on the membership of training trials, beside chance."""
    found = report.membership
    if found is None:
        return
    colour = COLOURS["synthetic"]
    ax.plot([found.low, found.high], [1, 1], color=colour, linewidth=1.6)
    ax.plot(found.auc, 1, "s", color=colour, markersize=5)
    ax.plot([0.5, 0.5], [0.75, 1.25], color=COLOURS["other real"], linewidth=2)
    ax.plot(found.auc_ceiling, 1, "x", color="black", markersize=5)
    ax.text(found.auc_ceiling, 1.3, "if all were copies", ha="center", fontsize=6.5)
    ax.fill_between([found.chance_low, found.chance_high], -0.25, 0.25, color=COLOURS["other real"], alpha=0.5)
    ax.plot(found.closer_to_train, 0, "s", color=colour, markersize=5)
    ax.set_title("Memorisation")
    ax.set_title(f"p = {found.p_value:.2g}", loc="right", fontsize=6.5, fontweight="normal")
    ax.set(
        xlabel=f"grey: chance; n = {found.num_train} training, {found.num_held_out} held-out,\n"
        f"{found.num_synthetic} synthetic trials",
        yticks=(0, 1),
        yticklabels=("nearest real trial\nis a training trial\n(share)", "training told from\nheld-out trials\n(AUC)"),
        ylim=(-0.6, 1.6),
        xlim=(-0.02, 1.02),
    )


def _wrapped(label: str) -> str:
    """A label in lines of about 25 characters."""
    from textwrap import fill

    return fill(label, 25)
