"""Sentences on a terminal: broken at words, the rest of one indented; where output is redirected, one line each."""

import textwrap

from rich.console import Console, RenderableType
from rich.text import Text

__all__ = ["broken", "show", "show_part"]

COMMAND = "next: "
"""Begins a line that ends with a command."""

HANG = 4
"""By how many characters what follows the first line of a sentence is indented."""


def broken(text: str, width: int) -> str:
    """`text` with its lines of more than `width` characters broken at words; no word is, nor a command to copy.

    >>> print(broken("a sentence that is long", 12))
    a sentence
        that is
        long
    """
    lines = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + HANG)
        if line.startswith(COMMAND):
            lines.append(line)
            continue
        parts = textwrap.wrap(
            line,
            max(HANG + 1, width),
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines += parts if len(line) > width and parts else [line]
    return "\n".join(lines)


def show(console: Console, text: "str | Text") -> None:
    """Print `text`, a line or several, with its style."""
    if not isinstance(text, Text):
        text = Text(text)
    if console.is_terminal and not text.spans:
        text = Text(broken(text.plain, console.width), style=text.style)
    console.print(text, soft_wrap=True)


def show_part(console: Console, part: RenderableType) -> None:
    """Print a sentence, or a table, which knows itself how to fit."""
    if isinstance(part, str | Text):
        show(console, part)
    else:
        console.print(part)
