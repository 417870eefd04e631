"""How often work may be done whose time grows with a search, so that it takes a small share of all time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Pace"]


class Pace:
    """Work that is done again after `seconds` at the earliest, and that takes at most the `share` of all time.

    >>> pace = Pace(seconds=60.0)
    >>> for _ in range(2):
    ...     if pace.due:
    ...         with pace.working():
    ...             print("once")
    once
    """

    def __init__(self, seconds: float = 0.0, share: float = 0.05) -> None:
        self._seconds, self._share = seconds, share
        self._next = 0.0

    @property
    def due(self) -> bool:
        """Whether it may be done now."""
        return time.monotonic() >= self._next

    @contextmanager
    def working(self) -> Iterator[None]:
        """While entered it is being done, and its time is taken."""
        started = time.monotonic()
        try:
            yield
        finally:
            ended = time.monotonic()
            self._next = max(started + self._seconds, ended + (ended - started) * (1 / self._share - 1))
