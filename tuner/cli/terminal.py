"""Where commands print."""

import sys

from rich.console import Console

__all__ = ["open_console"]


def open_console() -> Console:
    """The console of standard output; redirected, its rows are one line each."""
    # The stream by itself, not by its name: while a search runs, sys.stdout is kept from what libraries print.
    console = Console(highlight=False, file=sys.stdout)
    if not console.is_terminal:
        # Redirected output is read by programs and editors: a row is one line, however long.
        console = Console(highlight=False, file=sys.stdout, width=max(console.width, 160))
    return console
