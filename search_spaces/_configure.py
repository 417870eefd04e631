"""One trial of a space becomes a TrialConfig. No optuna at import."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search_spaces._space import Parameters, Space
from trainables.config import FIELDS, TrialConfig
from trainables.errors import InvalidValue

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

OPTIONS = {"model": "--models", "strategy": "--strategies"}
DEFAULT_MAX_EPOCHS = TrialConfig.max_epochs


def field_of(name: str) -> str:
    """The TrialConfig field that a sampled name fills: `strategy` for `strategy@googlenet`."""
    return name.partition("@")[0]


class RestrictedTrial:
    """A trial with its categorical choices narrowed to the allowed ones, which notes what it was asked."""

    def __init__(self, trial: "BaseTrial", space: str, allowed: Mapping[str, tuple[str, ...]]) -> None:
        self._trial = trial
        self._space = space
        self._allowed = allowed
        self.asked: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices`, narrowed; raises InvalidValue if none is left."""
        field = field_of(name)
        kept = [choice for choice in choices if choice in self._allowed.get(field, choices)]
        if not kept:
            raise InvalidValue(
                f"{OPTIONS.get(field, field)} {','.join(self._allowed[field])} leaves none of the choices"
                f" of {name} in space {self._space!r}: {', '.join(map(str, choices))}"
            )
        return self._note(name, self._trial.suggest_categorical(name, kept))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number from `low` to `high`, both included."""
        value: float = self._note(name, self._trial.suggest_float(name, low, high, step=step, log=log))
        return value

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number from `low` to `high`, both included."""
        value: int = self._note(name, self._trial.suggest_int(name, low, high, step=step, log=log))
        return value

    def _note(self, name: str, value: Any) -> Any:
        self.asked[name] = value
        return value


def configure(
    space: Space,
    trial: "BaseTrial",
    overrides: Parameters,
    allowed: Mapping[str, tuple[str, ...]],
) -> TrialConfig:
    """The config that `space` proposes through `trial`.

    `overrides` are the run's settings; they win over the space's constants, and a parameter that the space
    samples can't be among them. `allowed` narrows the choices of "model" and "strategy"; a missing key allows
    all. Raises InvalidValue and what TrialConfig.resolve raises.
    """
    max_epochs = max_epochs_of(space, overrides)
    restricted = RestrictedTrial(trial, space.name, allowed)
    constants = space.draw(restricted, max_epochs)  # type: ignore[arg-type]
    sampled = _sampled(space, restricted.asked, constants)
    for name in sampled:
        if name in overrides:
            raise InvalidValue(
                f"{name}={overrides[name]!r} is set for the run, but space {space.name!r} samples {name};"
                " leave the option out or choose another space"
            )
    usual = {name: value for name, value in space.defaults.items() if name in FIELDS}
    parameters = {**usual, "max_epochs": max_epochs, **constants, **overrides, **sampled}
    for name, values in allowed.items():
        if parameters.get(name) not in (None, *values):
            raise InvalidValue(
                f"space {space.name!r} uses {name} {parameters[name]!r},"
                f" which {OPTIONS.get(name, name)} {','.join(values)} does not allow"
            )
    return TrialConfig.resolve(parameters)


def first_trials(
    space: Space, max_epochs: int, allowed: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, Any], ...]:
    """Parameters of the trials to run first, without those whose model or strategy is not allowed.

    Raises InvalidValue if nothing is left of a grid.
    """
    proposed = tuple(dict(parameters) for parameters in space.propose(max_epochs))
    kept = tuple(
        parameters
        for parameters in proposed
        if all(value in allowed.get(field_of(name), (value,)) for name, value in parameters.items())
    )
    if space.grid and not kept:
        limits = " ".join(f"{OPTIONS.get(name, name)} {','.join(values)}" for name, values in allowed.items())
        raise InvalidValue(
            f"none of the {len(proposed)} trials of space {space.name!r} is left"
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
            raise InvalidValue(f"space {space.name!r} gives {field} twice; sample it or return it, not both")
        sampled[field] = value
    return sampled
