"""A space as it is loaded from its file. No optuna at import."""

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from trainables.errors import InvalidValue, UnknownName, UserMistake
from trainables.values import plain_mapping

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

PACKAGE = "search_spaces"
_SUPPORT = {"common", "portfolio", "priors", "sampling", "study"}

Parameters = Mapping[str, Any]


class Published(NamedTuple):
    """A published run: the parameters that make a trial its repetition, its name, its test accuracy (%).

    Where its sources disagree there are several accuracies, that of its own table first.
    """

    parameters: Parameters
    name: str
    accuracy: float | tuple[float, ...]

    @property
    def accuracies(self) -> tuple[float, ...]:
        """All of them, at least one."""
        return self.accuracy if isinstance(self.accuracy, tuple) else (self.accuracy,)


class Background(NamedTuple):
    """What a reader must know of the published work: texts of the space's file, all optional.

    `pairs` names published runs that are one configuration trained twice; `remark` says how comparable the
    figures are; `deviations` what the space does otherwise, `unknown` what is not known of the work.
    """

    remark: str = ""
    pairs: tuple[tuple[str, str], ...] = ()
    deviations: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Space:
    """What a search may vary, as its file says it; pickled as its reference.

    `define` is the file's own function, which `draw` calls. `propose` returns the first trials for a max_epochs and the
    models that a run names (none: all); with `grid`, these are the whole study. `prior` is what the file says of its
    own prior, unread. `probe`: a run that names no models probes them first. `any_model`: a run may name models that
    the file does not. `defaults` are the run's, where the command line is silent.
    """

    reference: str
    name: str
    summary: str
    define: Callable[..., Parameters | None]
    takes_max_epochs: bool
    propose: Callable[[int, tuple[str, ...]], tuple[Parameters, ...]]
    grid: bool
    defaults: Mapping[str, int]
    published: tuple[Published, ...]
    background: Background = field(default_factory=Background)
    prior: Any = field(default_factory=dict)
    probe: bool = False
    any_model: bool = False

    def draw(self, trial: "BaseTrial", max_epochs: int) -> dict[str, Any]:
        """The constants that the file returns after sampling through `trial`, as plain values.

        Raises InvalidValue if it returns neither a mapping nor None, and whatever the file's code raises.
        """
        found = self.define(trial, max_epochs) if self.takes_max_epochs else self.define(trial)
        return {} if found is None else dict(plain_mapping(found, "what space() returns"))

    def __reduce__(self) -> tuple[Callable[[str], "Space"], tuple[str]]:
        return load, (self.reference,)


def names() -> tuple[str, ...]:
    """Every space of the package, sorted. Imports none of them."""
    found = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return tuple(sorted(name for name in found if not name.startswith("_") and name not in _SUPPORT))


def load(reference: str) -> Space:
    """The space of that name, or in the .py file of that path.

    Raises UnknownName for a name that nobody has, UserMistake for a file that is missing, that raises
    or that has no `space` function, InvalidValue for one whose other names are not what they should be.
    """
    if reference.endswith(".py") or "/" in reference:
        path = _resolved(reference)
        module = _execute(path)
        with told_of(str(path)):
            return _space(str(path), path.stem, module)
    if reference not in names():
        raise UnknownName.of("space", reference, [*names(), "./FILE.py"])
    with told_of(reference):
        return _space(reference, reference, importlib.import_module(f"{PACKAGE}.{reference}"))


@contextlib.contextmanager
def told_of(reference: str, what: str = "") -> Iterator[None]:
    """Turn whatever goes wrong in a space's own code into a UserMistake of one line that names the space.

    `what` says which part of it is at work. Every command meets a space's code through here, so all say the same.
    """
    path = Path(reference) if reference.endswith(".py") else None
    try:
        yield
    except UserMistake as error:
        if repr(reference) in str(error):
            raise
        raise type(error)(f"space {reference!r}: {error}{_line_in(error, path)}") from error
    except (Exception, SystemExit) as error:
        part = f" in {what}" if what else ""
        raise UserMistake(f"space {reference!r} fails{part}: {describe_error(error, path)}") from error


def _resolved(reference: str) -> Path:
    try:
        path = Path(reference).expanduser().resolve()
        if path.is_file():
            return path
        problem = "is a folder, not a Python file" if path.is_dir() else "no such file"
    except (OSError, RuntimeError, ValueError) as error:
        raise UserMistake(f"--space {reference!r} can't be looked up: {describe_error(error)}") from error
    raise UserMistake(f"--space {str(path)!r}: {problem}; known spaces: {', '.join(names())}")


def _execute(path: Path) -> ModuleType:
    # Two files of one name are two modules; and a dataclass in one looks its module up by name.
    name = f"_space_{path.stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserMistake(f"--space {str(path)!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserMistake(f"space {str(path)!r} can't be loaded: {describe_error(error, path)}") from error
    return module


def describe_error(error: BaseException, path: Path | None = None) -> str:
    """Kind, message and, where it lies in `path`, the line of `error`, in one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}{_line_in(error, path)}"


def _line_in(error: BaseException, path: Path | None) -> str:
    """The line of the file `path` at which `error` was raised, as " (line 3)"; empty if it was raised elsewhere."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if path and Path(frame.filename) == path
    ]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    return f" (line {line})" if line else ""


def _space(reference: str, name: str, module: ModuleType) -> Space:
    define = getattr(module, "space", None)
    if not callable(define):
        raise UserMistake(f"space {reference!r} has no function 'space(trial)'")
    summary = next(iter(str(module.__doc__ or "").strip().splitlines()), "")
    first = getattr(module, "first_trials", ())
    return Space(
        reference=reference,
        name=name,
        summary=summary,
        define=define,
        takes_max_epochs=_takes_max_epochs(define),
        propose=lambda max_epochs, models: _proposed(first, max_epochs, models),
        grid=bool(getattr(module, "grid", False)),
        defaults=MappingProxyType(_whole_numbers(getattr(module, "defaults", {}))),
        published=tuple(_published(row) for row in getattr(module, "published", ())),
        background=Background(
            remark=str(getattr(module, "remark", "")),
            pairs=tuple((str(a), str(b)) for a, b in getattr(module, "pairs", ())),
            deviations=tuple(map(str, getattr(module, "deviations", ()))),
            unknown=tuple(map(str, getattr(module, "unknown", ()))),
        ),
        prior=getattr(module, "prior", {}),
        probe=bool(getattr(module, "probe", False)),
        any_model=bool(getattr(module, "any_model", False)),
    )


def _takes_max_epochs(define: Callable[..., Any]) -> bool:
    taken = len(inspect.signature(define).parameters)
    if taken not in (1, 2):
        raise UserMistake(
            f"space() takes {taken} arguments; it must be space(trial) or space(trial, max_epochs)"
        )
    return taken == 2


def _proposed(first: Any, max_epochs: int, models: tuple[str, ...]) -> tuple[Parameters, ...]:
    proposed = first
    if callable(first):
        named = (models,) if models and len(inspect.signature(first).parameters) > 1 else ()
        proposed = first(max_epochs, *named)
    if not isinstance(proposed, Sequence) or not all(isinstance(item, Mapping) for item in proposed):
        raise InvalidValue(f"first_trials must be a list of mappings; got {proposed!r}")
    return tuple(plain_mapping(item, f"first trial {n}") for n, item in enumerate(proposed, start=1))


def _published(row: Any) -> Published:
    parameters, name, accuracy = row
    several = isinstance(accuracy, tuple | list)
    figures = tuple(map(float, accuracy)) if several else float(accuracy)
    return Published(plain_mapping(parameters, "published parameters"), str(name), figures)


def _whole_numbers(defaults: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, value in plain_mapping(defaults, "defaults").items():
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise InvalidValue(f"defaults must map names to whole numbers; got {name} {value!r}")
        found[name] = value
    return found
