"""Find which model, fine-tuned how, classifies your images best; say how sure that is; get the model.

    >>> import tuner
    >>> result = tuner.search("my_space.py", data="potato/", groups="potato-groups.csv")  # doctest: +SKIP
    >>> print(tuner.compare(result.run.path).conclusion)  # doctest: +SKIP

The functions do what the commands of these names do; `tuner.errors` holds what they raise.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tuner.api import compare, retrain, search

__all__ = ["compare", "retrain", "search"]


def __getattr__(name: str) -> Any:
    """A public name, imported when it is asked for: `import tuner` loads neither torch nor Ray."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tuner import api

    return getattr(api, name)
