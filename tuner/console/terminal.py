"""Where commands print, and what the process needs before the first of them."""

import contextlib
import errno
import io
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from trainables.errors import UserMistake
from trainables.private import private_folder
from tuner.console.sentences import broken

__all__ = [
    "MENDABLE",
    "escape_what_cannot_be_shown",
    "give_a_home",
    "open_console",
    "require_posix",
    "say",
    "sigterm_as_ctrl_c",
]

MENDABLE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ELOOP,
        errno.EMFILE,
        errno.ENFILE,
    }
)
"""What the system says of a path or of itself that a person can mend."""


def open_console() -> Console:
    """The console of standard output; redirected, its rows are one line each."""
    # The stream by itself, not by its name: while a search runs, sys.stdout is kept from what libraries print.
    console = Console(highlight=False, file=sys.stdout)
    if not console.is_terminal:
        # Redirected output is read by programs and editors: a row is one line, however long.
        console = Console(highlight=False, file=sys.stdout, width=max(console.width, 160))
    return console


def say(text: object, *, err: bool = False) -> None:
    """One line on standard output, or on standard error; a terminal gets it broken at words."""
    stream = sys.stderr if err else sys.stdout
    if stream.isatty():
        text = broken(str(text), shutil.get_terminal_size().columns)
    # The stream is named, since click would take another one in place of an ascii stream, and not escape.
    click.echo(text, file=stream)


def require_posix() -> None:
    """Raise UserMistake where neither Linux nor macOS runs this process."""
    if os.name != "posix":
        raise UserMistake(
            "tuner runs on Linux and macOS, and this is neither; on Windows, use it within WSL"
            " (Windows Subsystem for Linux)"
        )


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """While entered SIGTERM raises KeyboardInterrupt: the system's own way would leave half-made files and children."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def escape_what_cannot_be_shown() -> None:
    """Let both output streams write what their encoding lacks in escapes: a name must not end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")


def give_a_home() -> None:
    """Without HOME and without a passwd entry, as in containers with any user id: a private home for this process.

    Libraries below, and Ray's processes, keep their caches there.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(private_folder())
        os.environ.setdefault("USER", f"user-{os.getuid()}")
