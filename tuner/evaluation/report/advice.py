"""The section of the report on what would help, the first after the conclusion."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuner.advice.words import HEADER, level_sentence, reasons, rows
from tuner.html.escaping import for_html
from tuner.html.page import bullets, figure, section, table

if TYPE_CHECKING:
    from tuner.advice.advise import Advice
    from tuner.evaluation.plots import Picture

__all__ = ["advice_section"]

TITLE = "What would help"


def advice_section(advice: "Sequence[Advice]", pictures: "Sequence[Picture]") -> list[str]:
    """A section with the table of each run's advice, its pictures and its reasons; none where nobody was asked."""
    parts = []
    for number, one in enumerate(advice):
        if len(advice) > 1:
            parts.append(f"<h3>{for_html(one.run.resolve().name)}</h3>")
        parts.append(f"<p>{for_html(level_sentence(one))}</p>")
        if one.lines:
            caption = "Expected gains on new images with 90 % intervals, the largest first"
            parts.append(table(HEADER, rows(one), caption, first=number == 0))
        parts += [figure(picture) for picture in pictures if picture.name.endswith(_ending(number, advice))]
        parts.append(
            f"<details><summary>Why, and what is not known</summary>{bullets(reasons(one))}</details>"
        )
    if not parts:
        return []
    note = (
        '<p class="note">The gains come from the training and validation images, each answered by models that have not'
        " seen its group. The test images had no part. Gains do not add up: two that mend the same images overlap.</p>"
    )
    return [section(TITLE, *parts, note)]


def _ending(number: int, advice: "Sequence[Advice]") -> str:
    return f"-{number + 1}" if len(advice) > 1 else ""
