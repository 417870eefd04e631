"""Small parts of the sentences that a person reads."""

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["NAMED", "TRIALS_NAMED", "printable", "some"]

NAMED = 3
"""So many of any number of things are named in a sentence, and the rest counted."""

TRIALS_NAMED = 20
"""Trials that are named to somebody who mistyped one: their numbers are too alike for three."""


def printable(path: Path | str) -> str:
    r"""`path` as text that every file and terminal takes: bytes that are no UTF-8 are shown as \xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def some(names: Iterable[str], most: int = NAMED, between: str = ", ") -> str:
    """The first of `names`, and how many more there are.

    >>> some(["oak", "elm", "ash"], most=2)
    'oak, elm and 1 more'
    """
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return between.join(every[:most]) + more
