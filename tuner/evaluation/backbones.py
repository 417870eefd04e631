"""The section of the report on the probe that chose a search's backbones."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner.evaluation.page import figure, section, table
from tuner.runs.directory import Run
from tuner.runs.escaping import for_html
from tuner.tuning.probing import ms

if TYPE_CHECKING:
    from tuner.evaluation.plots import Picture

__all__ = ["backbone_rows", "backbones_section"]

HEADER = [
    "backbone",
    "log loss",
    "95 %",
    "balanced accuracy",
    "parameters",
    "MB",
    "ms an image",
    "verdict",
    "licence",
]


def backbones_section(runs: Sequence[Run], pictures: "Sequence[Picture]") -> list[str]:
    """A section with the table of each run's probe and its picture; none if no run has one."""
    parts = []
    for run in runs:
        document = run.probe()
        if document is None:
            continue
        images = document["images"]
        caption = (
            f"Linear probes on frozen features of {images['train']:,} training images of {document['image_size']} px,"
            f" scored on {images['val']:,} validation images; 95 % over groups; one image on one thread"
        )
        parts.append(table(HEADER, backbone_rows(document), caption))
        over = [row["model"] for row in document["passed_over"]]
        if over:
            parts.append(
                f'<p class="note">{for_html("Passed over, without weights: " + ", ".join(over))}.</p>'
            )
    if not parts:
        return []
    note = (
        '<p class="note">The best two and the cheapest that is tied with the best were fine-tuned. They were chosen on'
        " the validation images, by which trials are chosen too; the test images had no part in it.</p>"
    )
    return [section("Backbones", *parts, note, *map(figure, pictures))]


def backbone_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """Cells of the table, one row a backbone."""
    advised = set(document["advised"])
    rows = []
    for row in document["backbones"]:
        words = ["fine-tuned"] if row["model"] in advised else []
        words += (
            ["tied with the best"] if row["tied_with_best"] and row is not document["backbones"][0] else []
        )
        interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        rows.append(
            [
                row["model"],
                f"{row['log_loss']:.4f}",
                interval,
                f"{row['balanced_accuracy']:.3f}",
                f"{row['parameters'] / 1e6:.1f}M",
                f"{row['megabytes']:.0f}",
                ms(row["milliseconds"], row.get("gpu_milliseconds")),
                ", ".join(words),
                row["licence"] or "",
            ]
        )
    return rows
