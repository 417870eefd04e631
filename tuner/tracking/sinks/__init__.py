"""Where a run is logged besides its own directory: one file a sink, of the name that `--log` takes.

A sink's file has `check()`, which raises InvalidValue while the sink can't be used at all, and
`open_sink(run, weights)`, which returns a Sink; `weights` asks for the best weights too. `REPEATABLE` says that sending
an event again leaves no double.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Sequence
from types import ModuleType
from typing import Protocol

from trainables.errors import InvalidValue, TunerError, UnknownName
from tuner.runs.directory import Run
from tuner.tracking.events import Event

__all__ = ["Sink", "SinkError", "check", "is_repeatable", "names", "open_sink", "require"]


class SinkError(TunerError):
    """A sink does not take what it is given now; it may later."""


class Sink(Protocol):
    """Takes events one batch after another, in one thread."""

    def send(self, events: Sequence[Event]) -> None:
        """Deliver all of `events`; raises SinkError if any may be missing."""

    def close(self) -> None:
        """Let go of files and connections."""


def names() -> list[str]:
    """The sinks that `--log` may name."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def check(name: str) -> None:
    """Raise UnknownName or InvalidValue if nothing can be logged to the sink `name`."""
    _module(name).check()


def open_sink(name: str, run: Run, weights: bool = False) -> Sink:
    """The sink `name` for `run`; may raise SinkError."""
    sink: Sink = _module(name).open_sink(run, weights)
    return sink


def is_repeatable(name: str) -> bool:
    """Whether an event that is sent again to the sink `name` leaves no double."""
    return bool(_module(name).REPEATABLE)


def require(package: str, extra: str) -> None:
    """Raise InvalidValue if `package`, which the sink `extra` needs, is not installed."""
    if importlib.util.find_spec(package) is None:
        raise InvalidValue(f"--log {extra} needs the package {package}: pip install 'tuner[{extra}]'")


def _module(name: str) -> ModuleType:
    if name not in names():
        raise UnknownName.of("log", name, names())
    return importlib.import_module(f"{__name__}.{name}")
