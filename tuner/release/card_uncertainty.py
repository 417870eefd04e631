"""What the card says of the probabilities: temperature, sets, silence, costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from tuner.evaluation.report.uncertainty import sure_sentences, sure_tables
from tuner.html.escaping import for_markdown

__all__ = ["how_sure"]


def how_sure(metrics: Mapping[str, Any]) -> str:
    """The section of the card, in Markdown."""
    lines = [f"- {for_markdown(line)}" for line in sure_sentences(metrics)]
    if metrics["calibration"] is None:
        lines.append("- Not calibrated: a probability of 0.9 need not be right nine times in ten.")
    else:
        lines.append(f"- Calibration error: {for_markdown(_estimator(metrics))}.")
        lines += _of_several(metrics["calibration"])
    for _, header, rows in sure_tables(metrics):
        lines += _table(header, rows)
    if metrics["costs"] is not None:
        lines += _cost_table(list(metrics["classes"]), metrics["costs"]["matrix"])
    return "\n".join(lines)


def _of_several(calibration: Mapping[str, Any]) -> list[str]:
    """What is said where several trainings answer together, and single ones gave the temperature."""
    found, exported = calibration["temperature"], calibration["exported_temperature"]
    if exported == found:
        return []
    return [
        f"- The answers that gave the temperature {found:.2f} are by single trainings. The mean of several is less"
        f" sure, so the exported model has {exported:.2f}; by how much less was measured on other images."
    ]


def _estimator(metrics: Mapping[str, Any]) -> str:
    return str(metrics["calibration"]["validation"]["calibration_error"]["estimator"])


def _cost_table(classes: Sequence[str], matrix: Sequence[Sequence[float]]) -> list[str]:
    rows = [[name, *(f"{cost:g}" for cost in row)] for name, row in zip(classes, matrix, strict=True)]
    return _table(["cost where it is", *(f"named {name}" for name in classes)], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(map(for_markdown, row))} |" for row in (header, *rows)]
    return ["", lines[0], "|---" * len(header) + "|", *lines[1:]]
