"""What a random split by image does to the scores: the finalists trained again on one, beside their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tuner.evaluation.comparison.table import points, signed
from tuner.html.page import section
from tuner.html.page import table as html_table

if TYPE_CHECKING:
    from tuner.evaluation.comparison.evidence import Comparison

__all__ = ["ByImage", "by_image_section", "leak_sentence", "with_by_image"]


@dataclass(frozen=True)
class ByImage:
    """Test accuracies of finalists under a random split by image.

    `scores` has the columns run (the folder's name), trial_id, accuracy; `leaked` is the share of the split's
    test images that have another image of their group in training, `test_images` their number.
    """

    scores: pd.DataFrame
    leaked: float
    test_images: int


def with_by_image(table: pd.DataFrame, found: ByImage | None) -> pd.DataFrame:
    """The table with `by_image_accuracy` and `leak`, its excess over the test accuracy; NaN where unknown."""
    if found is None:
        return table.assign(by_image_accuracy=np.nan, leak=np.nan)
    scores = found.scores.rename(columns={"accuracy": "by_image_accuracy"})
    joined = table.merge(scores, on=["run", "trial_id"], how="left", validate="1:1")
    return joined.assign(leak=joined["by_image_accuracy"] - joined["test_accuracy"])


def leak_sentence(table: pd.DataFrame, found: ByImage | None) -> str | None:
    """What the leak makes, in a sentence with numbers; None if nobody asked, or nobody came through."""
    known = table[table["by_image_accuracy"].notna()]
    if found is None or known.empty:
        return None
    leak = 100 * known["leak"]
    alone = len(known) == 1
    who, whose = (
        ("the finalist gets", "its") if alone else (f"the {len(known)} finalists get on average", "their")
    )
    return (
        f"Trained again, as long and from the same seeds, on a random split by image, {who}"
        f" {points(known['by_image_accuracy'].mean())} % of {whose} {found.test_images} test images right, against"
        f" {points(known['test_accuracy'].mean())} % with groups apart: the leak makes {leak.mean():+.1f} points"
        f" ({leak.min():+.1f} to {leak.max():+.1f}). {points(found.leaked)} % of those test images have another image"
        " of their group in training."
    )


def by_image_section(found: "Comparison") -> list[str]:
    """The page's section on the leak; empty if nobody asked for it."""
    table = found.table
    if not table["by_image_accuracy"].notna().any():
        return []
    header = ["finalist", "published as", "groups apart %", "split by image %", "the leak, points"]
    rows: Sequence[list[str]] = [
        [
            row["label"],
            row["published_label"] or "",
            points(row["test_accuracy"]),
            points(row["by_image_accuracy"]),
            signed(row["leak"]),
        ]
        for row in table.to_dict("records")
    ]
    note = (
        "The same configuration, seed and number of epochs; only the split differs, and with it the test images. The"
        " chosen epoch is that of the search with groups apart."
    )
    return [
        section(
            "Split by image",
            f"<p>{escape(found.findings[-1])}</p>",
            html_table(header, list(rows), "Scores of both splits"),
            f'<p class="note">{note}</p>',
        )
    ]
