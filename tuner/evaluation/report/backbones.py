"""The section of the report on the probe that chose a search's backbones."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainables.wording import some
from tuner.html.escaping import for_html
from tuner.html.page import figure, section, table
from tuner.probing.probed import ms
from tuner.runs.directory import Run, fit_of

if TYPE_CHECKING:
    from tuner.evaluation.plots import Picture

__all__ = ["backbone_rows", "backbones_section"]

HEADER = [
    "backbone",
    "log loss",
    "95 %",
    "known",
    "expected",
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
            f"Linear probes on frozen features of images of {document['image_size']} px (fit {fit_of(document)}): each"
            f" of {images['train'] + images['val']:,} training and validation images is answered by a head that has"
            " not seen its group; 95 % over groups; one image on one thread, by PyTorch"
        )
        if any(row.get("views", 1) == 2 for row in document["backbones"]):
            caption += (
                ". Heads of the best backbones were solved on mirror images as well; where that is better, it stands"
                " here"
            )
        tried = Counter(str(name) for name in run.trials()["model"])
        parts.append(table(HEADER, backbone_rows(document, tried), caption))
        reasons: dict[str, list[str]] = {}
        for row in document["passed_over"]:
            reasons.setdefault(str(row["reason"]), []).append(str(row["model"]))
        for reason, over in reasons.items():
            parts.append(
                f'<p class="note">{for_html(f"Skipped ({reason})")}: {for_html(some(over, most=10))}.</p>'
            )
    if not parts:
        return []
    note = (
        '<p class="note">Known: errors after fine-tuning that published results let expect on any images; an average'
        " network has 1. Expected: the log loss after fine-tuning, by what is known and by the probe, with a 90 %"
        " interval. The search"
        " fine-tunes the backbones with the lowest expected loss; how many trials each had stands in the table. The"
        " test images had no part in this.</p>"
    )
    return [section("Backbones", *parts, note, *map(figure, pictures))]


def backbone_rows(document: Mapping[str, Any], tried: Mapping[str, int]) -> list[list[str]]:
    """Cells of the table, one row a backbone; `tried` counts the trials of each."""
    advised = set(document["advised"])
    rows = []
    for row in document["backbones"]:
        count = tried.get(row["model"], 0)
        words = [f"in {count} trial{'' if count == 1 else 's'}"] if count else []
        words += ["advised, not tried"] if row["model"] in advised and not count else []
        words += (
            ["tied with the best"] if row["tied_with_best"] and row is not document["backbones"][0] else []
        )
        interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        rows.append(
            [
                row["model"],
                f"{row['log_loss']:.4f}",
                interval,
                *_outlook(row.get("outlook")),
                f"{row['balanced_accuracy']:.3f}",
                f"{row['parameters'] / 1e6:.1f}M",
                f"{row['megabytes']:.0f}",
                ms(row["milliseconds"], row.get("gpu_milliseconds")),
                ", ".join(words),
                row["licence"] or "",
            ]
        )
    return rows


def _outlook(outlook: Mapping[str, Any] | None) -> list[str]:
    """The cells of what is known, with what it follows from, and of what is expected; empty in a run of before."""
    if outlook is None:
        return ["", ""]
    interval = f"{outlook['expected']:.3f} ({outlook['low']:.3f} to {outlook['high']:.3f})"
    return [
        f"{outlook['prior']:.2f} ({outlook['basis']})",
        interval if outlook["epochs"] else "no time to fine-tune",
    ]
