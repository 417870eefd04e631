"""What a space's file expects to do well: its `prior`, read and checked. No optuna at import."""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from search_spaces._configure import field_of
from trainables.config import FIELDS
from trainables.errors import InvalidValue, UnknownName
from trainables.values import plain

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Normal", "Priors", "check_prior", "entry_of", "normal_of", "read_prior", "weights_of"]

Priors = Mapping[str, Mapping[Any, float]]
"""By name: centre and width of a number, or the choices' weights."""

NUMBER_KEYS = ("centre", "width")


class Normal(NamedTuple):
    """Where a number is expected, and the standard deviation of that; in decades where it is drawn logarithmically."""

    centre: float
    width: float


def read_prior(prior: Any, max_epochs: int) -> Priors:
    """The `prior` of a space's file, a mapping or a function of max_epochs that returns one, in plain values.

    Raises InvalidValue unless it maps names to mappings to finite numbers.
    """
    found = prior(max_epochs) if callable(prior) else prior
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise InvalidValue(f"prior must map names to what is expected of them; got {found!r}")
    return {name: _entry(name, content) for name, content in found.items()}


def _entry(name: str, content: Any) -> dict[Any, float]:
    if not isinstance(content, Mapping) or not content:
        raise InvalidValue(
            f"the prior of {name} is {content!r}; it must be a centre and a width, or a weight for each choice"
        )
    numbers = {}
    for key, value in content.items():
        number = plain(value, f"the prior of {name}: {key}")
        if isinstance(number, (bool, str)) or number is None or not math.isfinite(number):
            raise InvalidValue(f"the prior of {name} has {key} {value!r}; it must be a finite number")
        numbers[plain(key, f"the prior of {name}: one choice")] = float(number)
    return numbers


def entry_of(priors: Priors, name: str) -> Mapping[Any, float] | None:
    """What `priors` says of the sampled `name`: its own entry, else its field's, else None."""
    return priors.get(name, priors.get(field_of(name)))


def normal_of(entry: Mapping[Any, float]) -> Normal:
    """Centre and width of a checked entry of a number."""
    return Normal(*(entry[key] for key in NUMBER_KEYS))


def weights_of(entry: Mapping[Any, float], choices: Iterable[Any]) -> list[float]:
    """The weights of `choices`, which may have been narrowed; equal ones where none of them is expected.

    A choice that the entry leaves out weighs nothing.
    """
    weights = [entry.get(choice, 0.0) for choice in choices]
    return weights if sum(weights) > 0 else [1.0] * len(weights)


def check_prior(priors: Priors, asked: "Mapping[str, Collection[BaseDistribution]]") -> None:
    """Raise UnknownName or InvalidValue for an entry that does not fit what the space asks for.

    `asked` holds the distributions under which each name was met, nothing narrowed.
    """
    for key, entry in priors.items():
        if field_of(key) not in FIELDS:
            raise UnknownName.of("parameter in prior:", key, FIELDS)
        met = [d for name, ds in asked.items() if key in (name, field_of(name)) for d in ds]
        if not met:
            raise InvalidValue(f"the prior names {key}, which the space does not ask for")
        if any(hasattr(distribution, "choices") for distribution in met):
            _check_weights(key, entry, [choice for d in met for choice in d.choices])  # type: ignore[attr-defined]
        else:
            for distribution in met:
                _check_number(key, entry, distribution.low, distribution.high)  # type: ignore[attr-defined]


def _check_weights(name: str, entry: Mapping[Any, float], choices: Collection[Any]) -> None:
    for choice, weight in entry.items():
        if choice not in choices:
            known = ", ".join(dict.fromkeys(map(str, choices)))
            raise InvalidValue(f"the prior of {name} weighs {choice!r}, which is none of {known}")
        if weight < 0:
            raise InvalidValue(
                f"the prior of {name} weighs {choice!r} with {weight:g}; a weight is 0 or more"
            )
    if sum(entry.values()) == 0:
        raise InvalidValue(f"the prior of {name} gives no choice a weight above 0")


def _check_number(name: str, entry: Mapping[Any, float], low: float, high: float) -> None:
    if sorted(map(str, entry)) != sorted(NUMBER_KEYS):
        keys = ", ".join(map(str, entry))
        raise InvalidValue(f"the prior of the number {name} gives {keys}; it must give centre and width")
    centre, width = normal_of(entry)
    if not low <= centre <= high:
        raise InvalidValue(f"the prior of {name} has its centre {centre:g} outside {low:g} to {high:g}")
    if width <= 0:
        raise InvalidValue(f"the prior of {name} has the width {width:g}; it must be above 0")
