"""Tables and text of Markdown, as the pages of the reference have them."""

import re
from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in cells)]


def escaped(text: str) -> str:
    """`text` without what Markdown or HTML would take for its own."""
    return re.sub(r"(?<!`)([*<>])(?!`)", r"\\\1", text)
