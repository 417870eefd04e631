"""Augmentations: how training pictures are varied, one policy a file, by name. No torch at import.

A policy file registers a function that returns a `Policy`; the first line of the function's docstring is what a listing
says of it. All policies share one program, `trainables.data.augment`: one warp, one map of colours, one blur.
"""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable

from trainables.augmentations.policy import Policy
from trainables.errors import UnknownName

__all__ = ["DEFAULT", "Policy", "check", "get", "names", "register", "summary"]

DEFAULT = "moderate"

_SUPPORT = {"policy"}
_ENTRIES: dict[str, Callable[[], Policy]] = {}


def register(name: str) -> Callable[[Callable[[], Policy]], Callable[[], Policy]]:
    """A decorator that registers a function returning the `Policy` of `name`, and returns the function."""

    def remember(make: Callable[[], Policy]) -> Callable[[], Policy]:
        _ENTRIES[name] = make
        return make

    return remember


def names() -> tuple[str, ...]:
    """Every registered policy, sorted."""
    _discover()
    return tuple(sorted(_ENTRIES))


def check(name: str) -> None:
    """Raise UnknownName for a policy that nobody has."""
    if name not in names():
        raise UnknownName.of("augmentation", str(name), names())


def get(name: str) -> Policy:
    """The policy of that name; raises what `check` raises."""
    check(name)
    return _ENTRIES[name]()


def summary(name: str) -> str:
    """The policy of that name in one line."""
    check(name)
    return (inspect.getdoc(_ENTRIES[name]) or "").partition("\n")[0]


@functools.cache
def _discover() -> None:
    for module in pkgutil.iter_modules(__path__):
        if module.name not in _SUPPORT:
            importlib.import_module(f"{__name__}.{module.name}")
