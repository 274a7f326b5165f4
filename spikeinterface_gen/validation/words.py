"""What a validation report says in words: a verdict, and one paragraph that a methods section could carry.

All metrics are in the table; here are the verdict, the four of the LDNS paper, and what a reader needs to judge them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikeinterface_gen.validation.decoding import REAL, SYNTHETIC
from spikeinterface_gen.validation.metrics import PAPER_METRICS
from spikeinterface_gen.validation.permutation import LEVEL

if TYPE_CHECKING:
    from spikeinterface_gen.validation.decoding import UseReport
    from spikeinterface_gen.validation.report import ValidationReport
    from spikeinterface_gen.validation.two_sample import TwoSampleReport

__all__ = ["SWAPPED", "capital", "detectable_sentence", "summary", "verdict"]

SWAPPED = "The sides may be swapped: only the trials given as real say that they are synthetic."

# Of these the smallest effect is said; the table has it for all.
_SAID = ("rate", "correlation")
_MOST_NAMED = 3
_MOST_TASKS = 2


def summary(report: ValidationReport) -> str:
    """Return what was found, the verdict first, in one paragraph of fewer than 200 words."""
    parts = [verdict(report), _methods(report), _ratios(report)]
    if report.whole_trials is not None:
        parts.append(_whole_trials(report.whole_trials))
    parts.append(_use(report.use[:_MOST_TASKS]))
    parts += [_membership(report), detectable_sentence(report)]
    if report.notes:
        number = len(report.notes)
        parts.append(f"{number} {'note says' if number == 1 else 'notes say'} what was left out.")
    return " ".join(part for part in parts if part)


def verdict(report: ValidationReport) -> str:
    """Return whether synthetic trials can be told from real ones, and by what, most conspicuous first."""
    parts = [SWAPPED] if report.maybe_swapped else []
    tested = [c for c in report.comparisons.values() if np.isfinite(c.p)]
    told = [report.comparisons[name].metric.label for name in report.flagged if name in report.comparisons]
    if report.num_copies:
        parts.append(f"{report.num_copies} synthetic trials equal a real trial spike by spike: they are copies.")
    elif report.memorised and report.membership is None:
        parts.append("Synthetic trials are closer to the real ones than fresh ones would be: they look like copies.")
    elif report.memorised:
        parts.append("Synthetic trials give away which trials the model was trained on.")
    if not report.comparisons:
        parts.append("No metric could be computed.")
    elif not report.test.is_possible:
        parts.append(f"Too few trials to tell anything from real trials at {100 * LEVEL:g} %.")
    elif told:
        others = f"; most clearly by {_listed(told[:_MOST_NAMED])}" if len(told) > _MOST_NAMED else f": {_listed(told)}"
        parts.append(f"Told apart from real trials by {len(told)} of {len(tested)} metrics{others}.")
    elif not tested:
        parts.append("No metric could be tested.")
    else:
        parts.append(f"Not told apart from real trials by any of {len(tested)} metrics.")
    return " ".join(parts)


def _methods(report: ValidationReport) -> str:
    tested = sum(np.isfinite(c.p) for c in report.comparisons.values())
    test = (
        f", by a permutation test of the maximum over {tested} metrics ({report.test.num_permutations} relabellings, "
        f"{100 * LEVEL:g} % false alarms for these and memorisation together)"
    )
    return (
        f"{report.num_trials} synthetic trials{_source(report)} were compared with as many real trials of "
        f"{report.real.num_units} units in bins of {report.real.bin_size_ms:g} ms{test if tested else ''}."
    )


def _ratios(report: ValidationReport) -> str:
    """The metrics of the LDNS paper beside their floors."""
    comparisons = [report.comparisons[name] for name in PAPER_METRICS if name in report.comparisons]
    comparisons = [c for c in comparisons if np.isfinite(c.ratio)]
    if not comparisons:
        return ""
    floor = "held-out and training trials" if report.has_train else "two halves of the real trials"
    ratios = _listed([f"{c.ratio:.2f} [{c.low:.2f}, {c.high:.2f}] in {c.metric.label}" for c in comparisons])
    unit = f"the distance between {floor} ({report.num_splits} splits, 95 % interval)"
    return f"In units of {unit}, they differ by {ratios}."


def detectable_sentence(report: ValidationReport) -> str:
    """Return the smallest effects that so many trials can show; empty where none could be shown."""
    said = []
    for name in _SAID:
        c = report.comparisons.get(name)
        if c is None or not np.isfinite(c.detectable):
            continue
        unit = f" {c.metric.unit}" if c.metric.unit else ""
        average = float(report.averages[name][0].value) if name in report.averages else float("nan")
        share = f" ({100 * c.detectable / average:.0f} %)" if name != "correlation" and average > 0 else ""
        said.append(f"{c.detectable:.2g}{unit}{share} in {c.metric.label}")
    return f"Differences below {_listed(said)} would often be missed." if said else ""


def _whole_trials(whole: TwoSampleReport) -> str:
    told = "told apart" if whole.flagged else "not told apart"
    auc = whole.tests.get("classifier_auc")
    by = f"; classifier AUC {auc.value:.2f}" if auc is not None else ""
    return f"As a whole, trials are {told} (p = {whole.p_joint:.2g}{by})."


def _use(tasks: list[UseReport]) -> str:
    """What synthetic trials teach beside what real ones do."""
    scores = [
        f"{use.scores[SYNTHETIC]:.2g} ({use.scores[REAL]:.2g}) {use.score} in {use.task[:1].lower()}{use.task[1:]}"
        for use in tasks
    ]
    return f"Trained on synthetic (real) trials, decoders reach {_listed(scores)}." if scores else ""


def _membership(report: ValidationReport) -> str:
    found = report.membership
    if found is None:
        return ""
    attack = f"(membership-inference AUC {found.auc:.2f}, p = {found.p_value:.2g})"
    if found.found:
        return f"Memorisation was found {attack}."
    return f"No memorisation was found {attack}, which is no guarantee of privacy."


def _source(report: ValidationReport) -> str:
    annotations = report.synthetic.annotations
    if "model" not in annotations:
        return ""
    seed = f", seed {annotations['seed']}" if "seed" in annotations else ""
    return f" ({annotations['model']}{seed})"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def capital(text: str) -> str:
    """Return the text as a sentence begins."""
    return text[:1].upper() + text[1:]
