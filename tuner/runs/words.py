"""Small parts of sentences."""

from collections.abc import Sequence

__all__ = ["some"]


def some(names: Sequence[str], most: int = 5) -> str:
    """The first of `names`, and how many more there are.

    >>> some(["oak", "elm", "ash"], most=2)
    'oak, elm and 1 more'
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
