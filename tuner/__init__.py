"""Find which model, fine-tuned how, classifies your images best; say how sure that is; get the model.

From Python: `search`, `compare` and `retrain`, which do what the commands of these names do.
"""

import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.api import compare, retrain, search

__all__ = ["compare", "retrain", "search"]


class _Package(types.ModuleType):
    """Python binds a submodule to its package when it is imported: `tuner.search` has to stay the function."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        from tuner import api

        return getattr(api, name)


sys.modules[__name__].__class__ = _Package
