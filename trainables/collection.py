"""How often Python looks for garbage: seldom while a process starts, as usual once it computes.

Python looks after every 700 new objects. Importing torch, torchvision and pandas makes 400,000, none of them garbage,
and looking took a fifth of that time.
"""

import gc

__all__ = ["collect_as_usual", "collect_less", "pass_over_imports"]

UNTIL_COLLECTION = 10_000
"""New objects between two looks while a process starts."""

_usual = gc.get_threshold()


def collect_less() -> None:
    """Let this process look for garbage after every `UNTIL_COLLECTION` new objects, until `collect_as_usual`."""
    gc.set_threshold(UNTIL_COLLECTION, *_usual[1:])


def collect_as_usual() -> None:
    """Python's own thresholds: a trial that has ended may hold gigabytes in cycles."""
    gc.set_threshold(*_usual)


def pass_over_imports() -> None:
    """Let no later look for garbage visit what this process holds now: modules stay, and looking through them is long.

    Only for a process of tuner's own, before it computes: what it holds stays until it ends.
    """
    gc.freeze()
