"""Small parts of sentences."""

from collections.abc import Iterable

__all__ = ["NAMED", "some"]

NAMED = 3
"""So many of any number of things are named in a sentence, and the rest counted."""


def some(names: Iterable[str], most: int = NAMED, between: str = ", ") -> str:
    """The first of `names`, and how many more there are.

    >>> some(["oak", "elm", "ash"], most=2)
    'oak, elm and 1 more'
    """
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return between.join(every[:most]) + more
