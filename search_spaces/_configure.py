"""One trial of a space becomes a TrialConfig. No optuna at import."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from search_spaces._space import Parameters, Space, told_of
from trainables.config import FIELDS, TrialConfig
from trainables.errors import InvalidValue
from trainables.values import plain, plain_list

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

OPTIONS = {"model": "--models", "strategy": "--strategies"}
DEFAULT_MAX_EPOCHS = TrialConfig.max_epochs


def field_of(name: str) -> str:
    """The TrialConfig field that a sampled name fills: `strategy` for `strategy@googlenet`."""
    return name.partition("@")[0]


class Trial:
    """A trial with its categorical choices narrowed to the allowed ones, which notes what it was asked.

    A space's code sees nothing else, and its name stands in what Python says of wrong calls. Choices and ranges
    are taken as plain Python values. With `any_model` the allowed models are choices that the space need not name.
    """

    def __init__(
        self,
        trial: "BaseTrial",
        space: str,
        allowed: Mapping[str, tuple[str, ...]],
        any_model: bool = False,
    ) -> None:
        self._trial = trial
        self._space = space
        self._allowed = allowed
        self._more = {"model": allowed.get("model", ())} if any_model else {}
        self._ranges: dict[str, Any] = {}
        self.asked: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices`, narrowed; raises InvalidValue if there is none, or none is left."""
        known = plain_list(choices, f"the choices of {name}")
        if not known:
            raise InvalidValue(f"the choices of {name} are an empty list; it needs one or more")
        field = field_of(name)
        known += [name for name in self._more.get(field, ()) if name not in known]
        kept = [choice for choice in known if choice in self._allowed.get(field, known)]
        if not kept:
            raise InvalidValue(
                f"{OPTIONS.get(field, field)} {','.join(self._allowed[field])} leaves none of the choices"
                f" of {name} in space {self._space!r}: {', '.join(map(str, known))}"
            )
        asked = ("choices", *map(repr, kept))
        return self._draw(name, asked, lambda: self._trial.suggest_categorical(name, kept))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number from `low` to `high`, both included."""
        ends = [_end(name, value) for value in (low, high)]
        stride = None if step is None else _end(name, step)
        asked = ("number", *ends, stride, bool(log))
        draw = partial(self._trial.suggest_float, name, *ends, step=stride, log=bool(log))
        return float(self._draw(name, asked, draw))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number from `low` to `high`, both included."""
        ends = [_whole_end(name, value) for value in (low, high)]
        stride = _whole_end(name, step)
        asked = ("whole number", *ends, stride, bool(log))
        draw = partial(self._trial.suggest_int, name, *ends, step=stride, log=bool(log))
        return int(self._draw(name, asked, draw))

    def __getattr__(self, name: str) -> Any:
        near = (
            "suggest_int" if "int" in name else "suggest_categorical" if "categ" in name else "suggest_float"
        )
        how = "(name, low, high, log=True)" if "log" in name and near != "suggest_categorical" else ""
        hint = f"; call {near}{how}" if name.startswith("suggest") else ""
        raise AttributeError(f"a trial has no {name}{hint}")

    def _once(self, name: Any, asked: tuple[Any, ...]) -> None:
        """Refuse a name that is asked for again with another range: whose value would it be?"""
        if not isinstance(name, str):
            raise InvalidValue(f"a trial is asked for {name!r}, a {type(name).__name__}; names are texts")
        if self._ranges.setdefault(name, asked) != asked:
            raise InvalidValue(f"{name} is asked for twice with different choices or ranges")

    def _draw(self, name: Any, asked: tuple[Any, ...], draw: Callable[[], Any]) -> Any:
        """What `draw` gives for `name`, noted; raises InvalidValue where an earlier trial asked for it otherwise."""
        self._once(name, asked)
        try:
            self.asked[name] = draw()
        except ValueError as error:
            before = _asked_otherwise(self._trial, name, asked)
            if before is None:
                raise
            field = field_of(name)
            raise InvalidValue(
                f"{name} is drawn from {_in_words(before)} in one trial and from {_in_words(asked)} in another, but"
                f" Optuna needs a name to mean the same in every trial; draw each under a name of its own for the same"
                f" field, such as {field}@1 and {field}@2"
            ) from error
        return self.asked[name]


def _asked_otherwise(trial: Any, name: str, asked: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """What another trial of the study asked for under `name` that Optuna takes for another parameter; None if none."""
    study = getattr(trial, "study", None)
    for other in () if study is None else study.get_trials(deepcopy=False):
        if name in other.distributions:
            before = _asked(other.distributions[name])
            if _kind(before) != _kind(asked):
                return before
    return None


def _asked(distribution: Any) -> tuple[Any, ...]:
    if hasattr(distribution, "choices"):
        return ("choices", *map(repr, distribution.choices))
    kind = "whole number" if isinstance(distribution.low, int) else "number"
    return (kind, distribution.low, distribution.high, distribution.step, distribution.log)


def _kind(asked: tuple[Any, ...]) -> tuple[Any, ...]:
    """What Optuna wants to stay the same under one name: all choices, but of a range only its type and scale."""
    return asked if asked[0] == "choices" else (asked[0], asked[-1])


def _in_words(asked: tuple[Any, ...]) -> str:
    if asked[0] == "choices":
        return f"the choices {', '.join(asked[1:])}"
    kind, low, high, _, log = asked
    return f"the {kind}s {low:g} to {high:g}" + (", log" if log else "")


def _end(name: str, value: Any) -> float:
    found = plain(value, f"the range of {name}: one end")
    try:
        if not isinstance(found, (bool, str)) and found is not None and math.isfinite(found):
            return float(found)
    except OverflowError:
        pass
    raise InvalidValue(f"the range of {name} has the end or step {value!r}; it must be a finite number")


def _whole_end(name: str, value: Any) -> int:
    found = _end(name, value)
    if not found.is_integer():
        raise InvalidValue(f"the range of {name} has the end or step {value!r}; it must be a whole number")
    return int(found)


def configure(
    space: Space,
    trial: "BaseTrial",
    overrides: Parameters,
    allowed: Mapping[str, tuple[str, ...]],
) -> TrialConfig:
    """The config that `space` proposes through `trial`.

    `overrides` are the run's settings; they win over the space's constants, and a parameter that the space
    samples can't be among them. `allowed` narrows the choices of "model" and "strategy"; a missing key allows
    all. Raises a UserMistake that names the space, whatever its code raises.
    """
    with told_of(space.reference):
        return _configured(space, trial, overrides, allowed)


def _configured(
    space: Space, trial: "BaseTrial", overrides: Parameters, allowed: Mapping[str, tuple[str, ...]]
) -> TrialConfig:
    max_epochs = max_epochs_of(space, overrides)
    restricted = Trial(trial, space.reference, allowed, space.any_model)
    constants = space.draw(restricted, max_epochs)  # type: ignore[arg-type]
    sampled = _sampled(space, restricted.asked, constants)
    for name in sampled:
        if name in overrides:
            raise InvalidValue(
                f"{name}={overrides[name]!r} is set for the run, but space {space.reference!r} samples {name};"
                " leave the option out or choose another space"
            )
    usual = {name: value for name, value in space.defaults.items() if name in FIELDS}
    parameters = {**usual, "max_epochs": max_epochs, **constants, **overrides, **sampled}
    for name, values in allowed.items():
        if parameters.get(name) not in (None, *values):
            raise InvalidValue(
                f"space {space.reference!r} uses {name} {parameters[name]!r},"
                f" which {OPTIONS.get(name, name)} {','.join(values)} does not allow"
            )
    return TrialConfig.resolve(parameters)


def first_trials(
    space: Space, max_epochs: int, allowed: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, Any], ...]:
    """Parameters of the trials to run first, without those whose model or strategy is not allowed.

    They come in the order in which the space proposes them, which hears of the allowed models in their order. Raises
    InvalidValue if nothing is left of a grid, and a UserMistake if they can't be had from the space.
    """
    named = allowed.get("model", ())
    with told_of(space.reference, "first_trials"):
        proposed = tuple(dict(parameters) for parameters in space.propose(max_epochs, named))
    kept = tuple(
        parameters
        for parameters in proposed
        if all(value in allowed.get(field_of(name), (value,)) for name, value in parameters.items())
    )
    if space.grid and not kept:
        limits = " ".join(f"{OPTIONS.get(name, name)} {','.join(values)}" for name, values in allowed.items())
        raise InvalidValue(
            f"none of the {len(proposed)} trials of space {space.reference!r} is left"
            f" ({limits or 'its list is empty'}, max_epochs {max_epochs})"
        )
    return kept


def max_epochs_of(space: Space, overrides: Parameters) -> int:
    """The run's max_epochs: the command line's, else the space's, else TrialConfig's."""
    return int(overrides.get("max_epochs", space.defaults.get("max_epochs", DEFAULT_MAX_EPOCHS)))


def _sampled(space: Space, asked: Parameters, constants: Parameters) -> dict[str, Any]:
    sampled: dict[str, Any] = {}
    for name, value in asked.items():
        field = field_of(name)
        if field in sampled or field in constants:
            raise InvalidValue(
                f"space {space.reference!r} gives {field} twice; sample it or return it, not both"
            )
        sampled[field] = value
    return sampled
