"""Parameters that are names of things: the shell completes them."""

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

__all__ = [
    "BACKBONE",
    "BACKBONES",
    "MODEL",
    "MODELS",
    "PRECISION",
    "SAMPLER",
    "SINKS",
    "SPACE",
    "STRATEGIES",
    "WEIGHTS",
    "Names",
]


class Names(click.ParamType):  # type: ignore[type-arg]
    """A text that is one of the names `known()`, or `several` with commas between, or, with `files`, a path as well.

    What is none of them is refused where the names are looked up, with the nearest one.
    """

    name = "text"

    def __init__(
        self, known: Callable[[], Iterable[str]], *, several: bool = False, files: bool = False
    ) -> None:
        self._known, self._several, self._files = known, several, files

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """`value` as it is."""
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """The names that begin as `incomplete` does, of several its last one."""
        before, comma, begun = incomplete.rpartition(",") if self._several else ("", "", incomplete)
        given = set(before.split(","))
        fitting = [name for name in self._known() if name.startswith(begun) and name not in given]
        items = [CompletionItem(f"{before}{comma}{name}") for name in fitting]
        return [CompletionItem(incomplete, type="file"), *items] if self._files else items


def _spaces() -> Iterable[str]:
    import search_spaces

    return search_spaces.names()


def _models() -> Iterable[str]:
    from trainables import models
    from trainables.models.candidates import CANDIDATES

    return sorted({*models.names(), *(one.name for one in CANDIDATES)})


def _backbones() -> Iterable[str]:
    from trainables.models.selection import NAMED_SETS

    return [*NAMED_SETS, *_models()]


def _strategies() -> Iterable[str]:
    from trainables import strategies

    return strategies.names()


def _precisions() -> Iterable[str]:
    from trainables.config import PRECISIONS

    return PRECISIONS


def _samplers() -> Iterable[str]:
    from tuner.tuning.sampler import SAMPLERS

    return SAMPLERS


def _sinks() -> Iterable[str]:
    from tuner.tracking import sinks

    return sinks.names()


SPACE = Names(_spaces, files=True)
MODEL = Names(_models)
MODELS = Names(_models, several=True)
STRATEGIES = Names(_strategies, several=True)
BACKBONE = Names(lambda: ["auto", *_models()])
BACKBONES = Names(_backbones, several=True)
PRECISION = Names(_precisions)
SAMPLER = Names(_samplers)
SINKS = Names(_sinks, several=True)
WEIGHTS = Names(lambda: ("auto", "imagenet", "none"), files=True)
