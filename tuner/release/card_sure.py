"""What the card and the end of a retraining say of the probabilities: temperature, sets, silence, costs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tuner.release.rule import some
from tuner.runs.escaping import for_markdown

__all__ = ["how_sure", "percent", "points", "sure_sentences"]


def sure_sentences(metrics: Mapping[str, Any]) -> list[str]:
    """How believable the probabilities are and how often the sets hold the truth, in words."""
    lines = []
    if metrics["calibration"] is not None:
        lines += _temperature(metrics["calibration"], metrics["grouped"])
        lines += _sets(metrics["sets"])
    if metrics["costs"] is not None and (test := metrics["costs"]["test"]) is not None:
        lines.append(
            f"cost of a test image {test['cheapest']:.4g}{_span(test['cheapest_95'])} if the class of least expected"
            f" cost is named, {test['likeliest']:.4g} if the likeliest is; difference {test['difference']:+.4g}"
            f"{_span(test['difference_95'], '+.4g')}"
        )
    return lines


def _temperature(found: Mapping[str, Any], grouped: bool) -> list[str]:
    part = "test" if found["test"] is not None else "validation"
    loss, error = (found[part][name] for name in ("loss", "calibration_error"))
    square, fitted = error["square"], found["validation"]
    groups = f" of {fitted['groups']} groups" if grouped else ""
    return [
        f"temperature {found['temperature']:.3f}, from {fitted['images']} validation images{groups}, answered"
        f" {found['held_out']}; the class named stays the same",
        f"{part} log loss {loss['before']:.4f}{_span(loss['before_95'], '.4f')} before, {loss['after']:.4f}"
        f"{_span(loss['after_95'], '.4f')} after the temperature; difference {loss['difference']:+.4f}"
        f"{_span(loss['difference_95'], '+.4f')}",
        f"{part} calibration error {error['expected']['before']:.3f} before, {error['expected']['after']:.3f} after;"
        f" without the noise of few images {_root(square['before'])}{_roots(square['before_95'])} before,"
        f" {_root(square['after'])}{_roots(square['after_95'])} after",
    ]


def _sets(found: Mapping[str, Any]) -> list[str]:
    test, alpha = found["test"], found["alpha"]
    few = [name for name, count in found["calibration_groups"].items() if count < found["needed_groups"]]
    lines = []
    if test is not None:
        lines.append(
            f"sets at --alpha {alpha:g} hold the truth of {percent(test['coverage'])} of the test images"
            f"{_percents(test['coverage_95'])}; {test['mean_size']:.2f} classes on the average"
        )
    if few:
        lines.append(
            f"fewer than {found['needed_groups']} calibration groups of {some(few)}: for these the sets may"
            " miss the truth more often"
        )
    return lines


def how_sure(metrics: Mapping[str, Any]) -> str:
    """The section of the card, in Markdown."""
    lines = [f"- {for_markdown(line)}" for line in sure_sentences(metrics)]
    if metrics["calibration"] is None:
        lines.append("- Not calibrated: a probability of 0.9 need not be right nine times in ten.")
    else:
        lines.append(f"- Calibration error: {for_markdown(_estimator(metrics))}.")
    lines += _set_tables(metrics)
    if metrics["answered"] is not None:
        lines += ["", "| answered from confidence | share answered | accuracy on these |", "|---|---|---|"]
        for row in metrics["answered"]:
            right = "-" if row["accuracy"] is None else percent(row["accuracy"])
            lines.append(f"| {row['min_confidence']:g} | {percent(row['answered'])} | {right} |")
    if metrics["costs"] is not None:
        lines += _cost_table(list(metrics["classes"]), metrics["costs"]["matrix"])
    return "\n".join(lines)


def _estimator(metrics: Mapping[str, Any]) -> str:
    return str(metrics["calibration"]["validation"]["calibration_error"]["estimator"])


def _set_tables(metrics: Mapping[str, Any]) -> list[str]:
    found = metrics["sets"]
    if found is None or found["test"] is None:
        return []
    lines = ["", "| class | its truth is in the set | calibration groups |", "|---|---|---|"]
    groups = found["calibration_groups"].items()
    for (name, count), share in zip(groups, found["test"]["coverage_by_class"], strict=True):
        lines.append(f"| {for_markdown(name)} | {'-' if share is None else percent(share)} | {count} |")
    lines += ["", "| classes in the set | share of the test images |", "|---|---|"]
    lines += [f"| {size} | {percent(share)} |" for size, share in enumerate(found["test"]["share_by_size"])]
    return lines


def _cost_table(classes: Sequence[str], matrix: Sequence[Sequence[float]]) -> list[str]:
    names = [for_markdown(name) for name in classes]
    lines = ["", f"| cost where it is | {' | '.join(f'named {name}' for name in names)} |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for name, row in zip(names, matrix, strict=True):
        lines.append(f"| {name} | {' | '.join(f'{cost:g}' for cost in row)} |")
    return lines


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


def _span(ends: Sequence[float] | None, form: str = ".4g") -> str:
    return "" if ends is None else f" ({ends[0]:{form}} to {ends[1]:{form}})"
