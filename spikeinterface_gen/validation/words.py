"""What a validation report says in words: one paragraph that a methods section could carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from spikeinterface_gen.validation.decoding import REAL, SYNTHETIC
from spikeinterface_gen.validation.metrics import PAPER_METRICS
from spikeinterface_gen.validation.permutation import LEVEL

if TYPE_CHECKING:
    from spikeinterface_gen.validation.decoding import UseReport
    from spikeinterface_gen.validation.report import ValidationReport

__all__ = ["capital", "detectable_sentence", "summary"]

# Of these the smallest effect is said; the table has it for all.
_SAID = ("rate", "isi_mean", "correlation", "cv2")


def summary(report: ValidationReport) -> str:
    """Return what was found, in one paragraph."""
    floor = "held-out and training trials" if report.has_train else "two halves of the real trials"
    parts = [
        f"{report.num_trials} synthetic trials{_source(report)} were compared with as many real trials of "
        f"{report.real.num_units} units in bins of {report.real.bin_size_ms:g} ms. Each distance is given beside its "
        f"floor, the distance between equally many {floor} (median of the ratio over {report.num_splits} random "
        "splits, 95 % interval in brackets)."
    ]
    for name in PAPER_METRICS:
        if name in report.comparisons:
            c = report.comparisons[name]
            parts.append(f"{capital(c.metric.label)}: {c.ratio_words}.")
    correlation = report.comparisons.get("correlation")
    if correlation is not None and np.isfinite(correlation.agreement):
        parts.append(
            "Corrected for sampling noise, synthetic and real pairwise correlations agree at "
            f"{correlation.agreement:.2f}, and differ by {correlation.excess:.2f} s.d. of the real ones."
        )
    parts.extend(_verdict(report))
    detectable = detectable_sentence(report)
    if detectable:
        parts.append(detectable)
    if report.whole_trials is not None:
        parts.append(report.whole_trials.summary())
    parts.extend(_use_sentence(use) for use in report.use)
    if report.num_copies:
        parts.append(f"{report.num_copies} synthetic trials equal a real trial spike by spike: they are copies.")
    if report.membership is not None:
        parts.append(report.membership.summary())
    return " ".join([*parts, *report.notes])


def _verdict(report: ValidationReport) -> list[str]:
    if not report.comparisons:
        return ["No metric could be computed."]
    labels = {name: c.metric.label for name, c in report.comparisons.items()} | {"memorisation": "memorisation"}
    flagged = [labels[name] for name in report.flagged]
    tested = [c for c in report.comparisons.values() if np.isfinite(c.p)]
    passed = [c.metric.label for c in tested if not c.flagged]
    untested = [c.metric.label for c in report.comparisons.values() if not np.isfinite(c.p)]
    parts = []
    if flagged:
        parts.append(f"Told apart from real trials by: {', '.join(flagged)} (most conspicuous first).")
    if passed:
        parts.append(f"Not told apart from real trials by: {', '.join(passed)}.")
    if untested:
        parts.append(f"Not tested, because not defined under every relabelling: {', '.join(untested)}.")
    if tested:
        parts.append(
            f"(Permutation test of the maximum over {len(tested)} metrics, "
            f"{report.test.num_permutations} relabellings; {100 * LEVEL:g} % false alarms for all of them and "
            "memorisation together.)"
        )
    return parts


def detectable_sentence(report: ValidationReport) -> str:
    """Return the smallest effects that so many trials can show; empty where none could be shown."""
    said = []
    for name in _SAID:
        c = report.comparisons.get(name)
        if c is None or not np.isfinite(c.detectable):
            continue
        unit = f" {c.metric.unit}" if c.metric.unit else ""
        average = float(report.averages[name][0].value) if name in report.averages else float("nan")
        share = f" ({100 * c.detectable / average:.0f} % of its mean)" if name != "correlation" and average > 0 else ""
        said.append(f"{c.detectable:.2g}{unit} in {c.metric.label}{share}")
    if not said:
        return ""
    return (
        "With so many trials, the smallest differences that would be flagged in four cases out of five are "
        f"(root mean square over units or pairs, beyond sampling noise) {', '.join(said)}; smaller ones may be there."
    )


def _use_sentence(use: UseReport) -> str:
    """What synthetic trials teach beside what real ones do."""
    of_real, of_synthetic = (
        f"{use.scores[name]:.3g} [{low:.3g}, {high:.3g}]"
        for name, (low, high) in (
            (name, np.quantile(use.resampled[name], [0.025, 0.975])) for name in (REAL, SYNTHETIC)
        )
    )
    return (
        f"{use.task}, tested on unseen real trials: {of_synthetic} {use.score} after training on synthetic trials, "
        f"{of_real} on real ones, chance {use.chance:.3g}."
    )


def _source(report: ValidationReport) -> str:
    annotations = report.synthetic.annotations
    if "model" not in annotations:
        return ""
    seed = f", seed {annotations['seed']}" if "seed" in annotations else ""
    return f" ({annotations['model']}{seed})"


def capital(text: str) -> str:
    """Return the text as a sentence begins."""
    return text[:1].upper() + text[1:]
