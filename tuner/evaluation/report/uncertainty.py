"""What is said of a model's probabilities: temperature, sets, silence, costs; also as a part of the page."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainables.wording import some
from tuner.evaluation.comparison.uncertainty import OUT_OF_FOLD, Answers, calibrate, uncertainty
from tuner.html.escaping import for_html
from tuner.html.page import bullets, section
from tuner.html.page import table as html_table
from tuner.statistics.conformal import enough_from, why_every_class

if TYPE_CHECKING:
    from tuner.evaluation.comparison.evidence import Evidence

__all__ = ["percent", "points", "sure_section", "sure_sentences", "sure_tables"]

FEW_GROUPS = 30
"""Groups that gave a temperature below which the probabilities are called rough."""

Table = tuple[str, list[str], list[list[str]]]
"""Caption, header and rows of text."""


def sure_section(evidence: "Evidence") -> list[str]:
    """The page's section on the chosen finalist; nothing where its answers to the validation images are not known."""
    one, held_out = evidence.finalists[0], evidence.validation
    if held_out is None:
        return []
    fitted = calibrate(
        Answers(held_out.logits[one.key], held_out.labels, held_out.groups),
        "by its kept weights, which were chosen on them",
    )
    test = Answers(evidence.logits[one.key], evidence.labels, evidence.groups)
    found = uncertainty(evidence.classes, fitted, test, evidence.costs)
    found["grouped"] = evidence.grouped
    note = (
        f"Of {one.label}, treated as tuner retrain treats what it exports: logits divided by one temperature, sets that"
        " are to hold the true class nine times in ten, no answer below a confidence. An exported model has its own"
        " temperature and thresholds."
    )
    return [
        section(
            "How far to believe the probabilities",
            f'<p class="note">{for_html(note)}</p>',
            bullets([line[0].upper() + line[1:] + "." for line in sure_sentences(found)]),
            *(html_table(header, rows, caption) for caption, header, rows in sure_tables(found)),
        )
    ]


def sure_sentences(metrics: Mapping[str, Any], *, brief: bool = False) -> list[str]:
    """How believable the probabilities are and how often the sets hold the truth, in words.

    `brief`: without what the temperature did to the log loss and to the calibration error.
    """
    lines = []
    if metrics["calibration"] is not None:
        told = _temperature(metrics["calibration"], metrics["grouped"])
        lines += [told[0] + _off(metrics["calibration"])] if brief else told
        lines += _sets(metrics["sets"])
    if metrics["costs"] is not None and (test := metrics["costs"]["test"]) is not None:
        lines.append(
            f"cost of a test image {test['cheapest']:.3g}{_span(test['cheapest_95'])} if the class of least expected"
            f" cost is named, {test['likeliest']:.3g} if the likeliest is; difference {test['difference']:+.3g}"
            f"{_span(test['difference_95'], '+.3g')}"
        )
    return lines


def _temperature(found: Mapping[str, Any], grouped: bool) -> list[str]:
    part = "test" if found["test"] is not None else "validation"
    loss, error = (found[part][name] for name in ("loss", "calibration_error"))
    square, fitted = error["square"], found["validation"]
    groups = f" of {fitted['groups']} groups" if grouped else ""
    unseen = found["held_out"] == OUT_OF_FOLD
    part = "out-of-fold" if unseen and part == "validation" else part
    images = f"{fitted['images']} {'images' if unseen else 'validation images'}{groups}"
    whose = "the temperature" if found["test"] is not None else "temperatures that other groups gave"
    return [
        f"the probabilities are calibrated (temperature {found['temperature']:.3f}) by {images}, answered"
        f" {found['held_out']}",
        f"{part} log loss {loss['before']:.4f}{_span(loss['before_95'], '.4f')} before, {loss['after']:.4f}"
        f"{_span(loss['after_95'], '.4f')} after {whose}; difference {loss['difference']:+.4f}"
        f"{_span(loss['difference_95'], '+.4f')}",
        f"{part} calibration error: mean distance, in bins of equally many images,"
        f" {error['expected']['before']:.3f} before, {error['expected']['after']:.3f} after; root mean"
        f" square without the noise of few images {_root(square['before'])}{_roots(square['before_95'])} before,"
        f" {_root(square['after'])}{_roots(square['after_95'])} after",
    ]


def _off(found: Mapping[str, Any]) -> str:
    """How far the probabilities are off on the test images, and whether few images gave the temperature."""
    few = found["validation"]["groups"] < FEW_GROUPS
    rough = f"; {found['validation']['groups']} are too few to rely on them" if few else ""
    if found["test"] is None:
        return rough
    error = found["test"]["calibration_error"]["expected"]["after"]
    return f"; on the test images they are off by {error:.3f} on average{rough}"


def _sets(found: Mapping[str, Any]) -> list[str]:
    test, alpha, counts = found["test"], found["alpha"], list(found["calibration_groups"].values())
    if sum(counts) < found["needed_groups"]:
        return [why_every_class(alpha, counts)]
    if test is not None and test["share_by_size"][-1] >= 1:
        return [
            f"at --alpha {alpha:g} every set of the test images holds every class, so sets say nothing: the model is"
            " too unsure"
        ]
    few = [name for name, count in found["calibration_groups"].items() if count < found["needed_groups"]]
    lines = []
    if test is not None:
        lines.append(
            f"sets at --alpha {alpha:g} hold the true class of {percent(test['coverage'])} of the test images"
            f"{_percents(test['coverage_95'])}; {test['mean_size']:.2f} classes on average"
        )
    if few:
        lines.append(
            f"fewer than {found['needed_groups']} calibration groups of {some(few)}: for these the sets may"
            f" miss the true class more often{enough_from(min(found['calibration_groups'].values()))}"
        )
    return lines


def sure_tables(metrics: Mapping[str, Any]) -> list[Table]:
    """How often the sets hold the truth, how large they are, and what is right of what is answered."""
    tables: list[Table] = []
    found = metrics["sets"]
    if found is not None and found["test"] is not None and found["test"]["share_by_size"][-1] < 1:
        groups = found["calibration_groups"].items()
        held = zip(groups, found["test"]["coverage_by_class"], strict=True)
        rows = [[name, "-" if share is None else percent(share), str(count)] for (name, count), share in held]
        header = ["class", "its truth is in the set", "calibration groups"]
        tables.append((f"Sets at --alpha {found['alpha']:g}", header, rows))
        sizes = [[str(size), percent(share)] for size, share in enumerate(found["test"]["share_by_size"])]
        tables.append(("Sizes of the sets", ["classes in the set", "share of the test images"], sizes))
    if metrics["answered"] is not None:
        rows = [
            [
                f"{row['min_confidence']:g}",
                percent(row["answered"]),
                "-" if row["accuracy"] is None else percent(row["accuracy"]),
            ]
            for row in metrics["answered"]
        ]
        header = ["answered from confidence", "share answered", "accuracy on these"]
        tables.append(("With --min-confidence", header, rows))
    return tables


def percent(share: float) -> str:
    """A share as a person reads it."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference of shares as a person reads it."""
    return f"{100 * share:.1f} points"


def _root(square: float) -> str:
    return f"{math.sqrt(max(0.0, square)):.3f}"


def _roots(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f" ({_root(ends[0])} to {_root(ends[1])})"


def _percents(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f" ({percent(ends[0])} to {percent(ends[1])})"


def _span(ends: Sequence[float] | None, form: str = ".3g") -> str:
    return "" if ends is None else f" ({ends[0]:{form}} to {ends[1]:{form}})"
