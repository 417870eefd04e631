"""Values that others write, as numpy's and decimal's numbers, become plain Python: what YAML, JSON and tables hold."""

import numbers
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from trainables.errors import InvalidValue

__all__ = ["Plain", "plain", "plain_list", "plain_mapping"]

Plain = bool | int | float | str | None


def plain(value: Any, what: str) -> Plain:
    """`value` as bool, int, float, str or None; raises InvalidValue, naming `what`, for anything else.

    Numbers of numpy, decimal and fractions and arrays without a dimension are what they say; a Decimal or
    Fraction without a remainder is an int.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        value = value.item()
    if isinstance(value, (bool, str)) or value is None:
        return value
    try:
        if isinstance(value, numbers.Integral):
            return int(value)
        if isinstance(value, (Decimal, numbers.Rational)):
            whole = value.__trunc__()
            return int(whole) if whole == value else float(value)
        if isinstance(value, numbers.Real):
            return float(value)
    except (ArithmeticError, ValueError) as error:
        raise InvalidValue(f"{what}={value!r} is no number that can be computed with") from error
    raise InvalidValue(
        f"{what}={_short(value)} is of type {type(value).__name__}; it must be a number, a text,"
        " True, False or None"
    )


def plain_list(values: Iterable[Any], what: str) -> list[Plain]:
    """A list, tuple or array of one dimension as plain values in their order; raises InvalidValue for another."""
    if isinstance(values, (str, bytes, Mapping, set, frozenset)) or not isinstance(values, Iterable):
        kind = type(values).__name__
        raise InvalidValue(f"{what} are {_short(values)}, of type {kind}; they must be a list")
    try:
        found = list(values)
    except TypeError as error:
        raise InvalidValue(f"{what} are {_short(values)}; they must be a list") from error
    return [plain(value, f"{what}: one") for value in found]


def plain_mapping(values: Any, what: str) -> dict[str, Plain]:
    """A mapping from names to plain values; raises InvalidValue for anything else."""
    if not isinstance(values, Mapping):
        kind = type(values).__name__
        raise InvalidValue(f"{what} must be a mapping from names to values; got {_short(values)}, a {kind}")
    for name in values:
        if not isinstance(name, str):
            raise InvalidValue(
                f"{what}: the name {_short(name)} is of type {type(name).__name__}, not a text"
            )
    return {str.__str__(name): plain(value, f"{what}: {name}") for name, value in values.items()}


def _short(value: Any) -> str:
    # An address in memory differs from one process to the next and helps nobody.
    text = re.sub(r" at 0x[0-9a-f]+", "", " ".join(repr(value).split()))
    return text if len(text) <= 60 else f"{text[:59]}…"
