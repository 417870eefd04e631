"""A YAML file that people edit, read section by section: every key checked, one sentence for each mistake."""

import difflib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainables.errors import InvalidValue, UnknownName

__all__ = ["Section", "is_real", "is_whole"]

Check = Callable[[Any], bool]


class Section:
    """One mapping of the file, whose values are taken out by key and checked on the way."""

    def __init__(self, path: Path, content: Any, name: str = "") -> None:
        self.path, self.name = path, name
        if not isinstance(content, Mapping):
            raise InvalidValue(f"{path}: {name}={content!r} is not a section of keys and values")
        self.content = content

    def take(self, key: str, good: Check, right: str) -> Any:
        """The value of `key` if it is `good`; `right` says in words what would be."""
        if key not in self.content:
            raise InvalidValue(f"{self.path}: {self._full(key)} is missing; it must be {right}")
        value = self.content[key]
        if not good(value):
            raise InvalidValue(f"{self.path}: {self._full(key)}={value!r} is wrong; it must be {right}")
        return value

    def section(self, key: str) -> "Section":
        """The mapping under `key`."""
        self.take(key, lambda value: isinstance(value, Mapping), "a section of keys and values")
        return Section(self.path, self.content[key], self._full(key))

    def text(self, key: str, right: str = "a text") -> str:
        """The text under `key`."""
        return str(self.take(key, lambda value: isinstance(value, str) and value != "", right))

    def text_or_null(self, key: str) -> str | None:
        """The text under `key`, or None."""
        value = self.take(key, lambda value: value is None or isinstance(value, str), "a text or null")
        return None if value is None else str(value)

    def whole(self, key: str, low: int) -> int:
        """The whole number under `key`, at least `low`."""
        return int(self.take(key, lambda value: is_whole(value, low), f"a whole number from {low} up"))

    def numbers(self, key: str, count: int, right: str, good: Check) -> tuple[float, ...]:
        """`count` finite numbers under `key`, each `good`."""

        def fits(value: Any) -> bool:
            return (
                isinstance(value, list) and len(value) == count and all(is_real(v) and good(v) for v in value)
            )

        return tuple(float(value) for value in self.take(key, fits, right))

    def only(self, known: tuple[str, ...]) -> None:
        """Refuse any key but `known`."""
        for key in self.content:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise UnknownName(f"{self.path}: unknown key {self._full(str(key))!r}; {hint}")

    def _full(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key


def is_whole(value: Any, low: int) -> bool:
    """Whether `value` is a whole number from `low` up; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def is_real(value: Any) -> bool:
    """Whether `value` is a finite number; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
