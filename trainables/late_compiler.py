"""PyTorch's compiler, imported when something needs it, in processes of tuner's own.

Torchvision and torch's optimizers import `torch._dynamo` for a function that says whether it could compile and for two
that do nothing where nothing is compiled. Importing it takes a second of processor time, a third of what a trial's
process needs to start. So until something else is asked of it, a stand-in answers these three. Anything else, such as
`torch.compile` and `torch.export`, gets the compiler itself.
"""

import importlib
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["import_compiler_late"]

COMPILER, UTILITIES = "torch._dynamo", "torch._dynamo.utils"

_lock = threading.RLock()


class _Late(ModuleType):
    """Stands for a module of the compiler; what it does not know itself, it asks of that, and imports it first."""

    def __getattr__(self, name: str) -> Any:
        # Of names like these all modules are asked that there are; a package's path is asked for by who imports what
        # lies in it. Nobody needs the compiler before torch is there.
        if (name.startswith("__") and (name, self.__name__) != ("__path__", COMPILER)) or not _is_there(
            "torch"
        ):
            raise AttributeError(name)
        return getattr(_compiler(self.__name__), name)


def import_compiler_late() -> None:
    """Let torch's compiler be imported on need; call it before torch is imported. Once it is there, nothing happens."""
    if COMPILER in sys.modules:
        return
    compiler, utilities = _Late(COMPILER), _Late(UTILITIES)
    known: dict[str, Any] = {"disable": _unchanged, "graph_break": _nothing, "utils": utilities}
    vars(compiler).update(known)
    vars(utilities).update(is_compile_supported=_is_compile_supported)
    sys.modules.update({COMPILER: compiler, UTILITIES: utilities})


def _is_there(name: str) -> bool:
    """Whether a module is imported, to its end."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


def _compiler(name: str) -> ModuleType:
    """The compiler's own module of that name."""
    with _lock:
        for one in (COMPILER, UTILITIES):
            if isinstance(sys.modules.get(one), _Late):
                del sys.modules[one]
        importlib.import_module(COMPILER)
        return importlib.import_module(name)


def _unchanged(function: Callable[..., Any] | None = None, *_: object, **__: object) -> Callable[..., Any]:
    """`torch._dynamo.disable` where nothing is compiled: of a function, or as a decorator that is called first."""
    return _unchanged if function is None else function


def _nothing(*_: object, **__: object) -> None:
    """`torch._dynamo.graph_break` where nothing is compiled."""


def _is_compile_supported(device: Any) -> Any:
    return _compiler(UTILITIES).is_compile_supported(device)
