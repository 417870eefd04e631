"""PyTorch's compiler, imported when something needs it, in processes of tuner's own.

Torchvision and torch's optimizers import `torch._dynamo` for a function that says whether it could compile and for two
that do nothing where nothing is compiled. Importing it takes a second of processor time, a third of what a trial's
process needs to start. So until something else is asked of it, a stand-in answers these three. Anything else, such as
`torch.compile` and `torch.export`, gets the compiler itself.
"""

import functools
import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["import_compiler_late"]

COMPILER, UTILITIES = "torch._dynamo", "torch._dynamo.utils"

_lock = threading.RLock()


class _Late(ModuleType):
    """Stands for a module of the compiler; what it does not know itself, it asks of that, and imports it first."""

    def __init__(self, name: str, known: dict[str, Any]) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, is_package=name == COMPILER)
        vars(self).update(known)

    def __getattr__(self, name: str) -> Any:
        # All modules are asked for names like these. Nobody needs the compiler before torch is there.
        if name.startswith("__") or not _is_there("torch"):
            raise AttributeError(name)
        return getattr(_compiler(self.__name__), name)

    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        """Found by its name, as modules are."""
        return importlib.import_module, (self.__name__,)


class _Finder(MetaPathFinder):
    """Asked for a module inside the compiler: imports the compiler, and lets nothing that this imported run again."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of such a module; None for others."""
        if not fullname.startswith(f"{COMPILER}.") or not _waits():
            return None
        _compiler(COMPILER)
        there = sys.modules.get(fullname)
        if there is None:
            return PathFinder.find_spec(fullname, sys.modules[COMPILER].__path__)
        return ModuleSpec(fullname, _Known(there), is_package=hasattr(there, "__path__"))


class _Known(Loader):
    """Gives a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__
        # Of a module that came while it was looked for importlib takes the own spec, where there is one. Not as an
        # attribute: torch's settings are modules that take no others.
        vars(module)["__spec__"] = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module itself."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing but to put its own spec back."""
        vars(module)["__spec__"] = self._spec


def import_compiler_late() -> None:
    """Let torch's compiler be imported on need; call it before torch is imported. Once it is there, nothing happens."""
    if COMPILER in sys.modules:
        return
    utilities = _Late(UTILITIES, {"is_compile_supported": _is_compile_supported})
    known = {"disable": _disable, "graph_break": _nothing, "utils": utilities, "__path__": []}
    sys.modules.update({COMPILER: _Late(COMPILER, known), UTILITIES: utilities})
    sys.meta_path.insert(0, _Finder())


def _is_there(name: str) -> bool:
    """Whether a module is imported, to its end."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


def _waits() -> bool:
    """Whether the stand-in still stands for the compiler."""
    return isinstance(sys.modules.get(COMPILER), _Late)


def _compiler(name: str) -> ModuleType:
    """The compiler's own module of that name."""
    with _lock:
        for one in (COMPILER, UTILITIES):
            if isinstance(sys.modules.get(one), _Late):
                del sys.modules[one]
        importlib.import_module(COMPILER)
        return importlib.import_module(name)


def _disable(fn: Callable[..., Any] | None = None, recursive: bool = True, **how: Any) -> Callable[..., Any]:
    """`torch._dynamo.disable`, of a function or as a decorator: it is asked once the compiler is there."""
    if fn is None:
        return functools.partial(_disable, recursive=recursive, **how)
    function: Callable[..., Any] = fn

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if _waits():
            return function(*args, **kwargs)
        return sys.modules[COMPILER].disable(function, recursive, **how)(*args, **kwargs)

    return run


def _nothing(*_: object, **__: object) -> None:
    """`torch._dynamo.graph_break` where nothing is compiled."""


def _is_compile_supported(device: Any) -> Any:
    return _compiler(UTILITIES).is_compile_supported(device)
