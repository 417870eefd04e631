"""Whether a space can be searched, found out before any trial starts. No optuna at import."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from search_spaces._configure import configure, field_of, first_trials, max_epochs_of
from search_spaces._random_trials import RandomTrial, RandomTrials
from search_spaces._space import Parameters, Space, told_of
from search_spaces.common import usual_grace
from search_spaces.priors import Priors, check_prior, read_prior
from trainables import models, strategies
from trainables.config import FIELDS, TrialConfig
from trainables.errors import InvalidValue, UnknownName

if TYPE_CHECKING:
    import optuna

SAMPLES = 200
"""Random configurations that a check looks at."""


def check(
    space: Space,
    overrides: Parameters,
    allowed: Mapping[str, tuple[str, ...]],
    grace_period: int,
    samples: int = SAMPLES,
) -> None:
    """Raise a UserMistake if any of so many random configurations (`samples`), or a first trial, could not be run.

    Each must build a TrialConfig of a known model and a strategy that fits it, and leave `grace_period`
    epochs after its last unfreeze. A first trial may leave parameters to the sampler, but can't name one that it
    is not asked for. With fewer than `SAMPLES` the prior is not looked at: it takes many to know all that a space asks
    for.
    """
    first = first_trials(space, max_epochs_of(space, overrides), allowed)
    trials = RandomTrials()
    known: set[str] = set()
    asked = _Asked()
    for _ in range(0 if space.grid else samples):
        trial = trials.ask()
        config = configure(space, trial, overrides, allowed)  # type: ignore[arg-type]
        asked.note(trial)
        _check_of(space, config, grace_period, known)
    for index, parameters in enumerate(first, start=1):
        given = FirstTrial(trials.ask(), parameters, f"first trial {index} of space {space.reference!r}")
        config = configure(space, given, overrides, allowed)  # type: ignore[arg-type]
        given.check_all_asked()
        _check_of(space, config, grace_period, known)
    if space.prior and not space.grid and samples >= SAMPLES:
        _check_prior(space, overrides, _all_asked(space, overrides) if allowed else asked)


def prior_of(space: Space, max_epochs: int) -> Priors:
    """What `space` expects to do well in `max_epochs`; raises a UserMistake if that can't be had from it."""
    with told_of(space.reference, "prior"):
        return read_prior(space.prior, max_epochs)


class _Asked(dict[str, dict[str, Any]]):
    """What a space asks for: by the name, each distribution by its text."""

    def note(self, trial: RandomTrial) -> None:
        """Add what `trial` was asked for."""
        for name, distribution in trial.distributions.items():
            self.setdefault(name, {})[repr(distribution)] = distribution


def _all_asked(space: Space, overrides: Parameters) -> _Asked:
    """All that the space asks for where nothing restricts it."""
    trials, asked = RandomTrials(), _Asked()
    for _ in range(SAMPLES):
        trial = trials.ask()
        configure(space, trial, overrides, {})  # type: ignore[arg-type]
        asked.note(trial)
    return asked


def _check_prior(space: Space, overrides: Parameters, asked: _Asked) -> None:
    """Hold the prior against everything that the space asks for, whatever the run is restricted to."""
    priors = prior_of(space, max_epochs_of(space, overrides))
    with told_of(space.reference):
        check_prior(priors, {name: met.values() for name, met in asked.items()})


def usual_grace_period(space: Space, max_epochs: int) -> int:
    """The grace period of a run that was told none: the space's, else that of `common.usual_grace`."""
    return int(space.defaults.get("grace_period", usual_grace(max_epochs)))


def _check_of(space: Space, config: TrialConfig, grace_period: int, known: set[str]) -> None:
    with told_of(space.reference):
        check_config(config, grace_period, known)


def check_config(config: TrialConfig, grace_period: int, known: set[str] | None = None) -> None:
    """Raise for a model or strategy that nobody has, or an unfreeze that leaves no room for one rung.

    `known` remembers models that were found good: timm's take a moment to look up.
    """
    if known is None or config.model not in known:
        models.check(config.model)
        if known is not None:
            known.add(config.model)
    strategies.check(config.strategy, config.model)
    last = strategies.last_unfreeze(config, models.num_stages(config.model))
    if last - 1 + grace_period > config.max_epochs:
        raise InvalidValue(
            f"strategy {config.strategy!r} of {config.model!r} with unfreeze_at={config.unfreeze_at} trains"
            f" all its parts from epoch {last}; a grace period of {grace_period} then ends with epoch"
            f" {last - 1 + grace_period}, but max_epochs is {config.max_epochs}: raise --max-epochs,"
            " or lower unfreeze_at or --grace-period"
        )


def random_study() -> "optuna.Study":
    """A study in memory whose trials are random and always the same."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    finally:
        optuna.logging.set_verbosity(verbosity)


def first_trial(study: "optuna.Study", given: Parameters, what: str) -> "FirstTrial":
    """A trial of `study` with the values `given`; the study remembers what it was asked for, as of any other."""
    study.enqueue_trial(dict(given))
    return FirstTrial(study.ask(), given, what)


class FirstTrial:
    """A trial that returns given values where it has them, checked, and asks another trial for the rest.

    The other trial is asked for the given values too, so that its study notices choices that change from trial to
    trial.
    """

    def __init__(self, rest: Any, given: Parameters, what: str) -> None:
        self._rest = rest
        self.study = getattr(rest, "study", None)
        self._given = given
        self._what = what
        self._asked: set[str] = set()

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """The given value; raises InvalidValue if it is none of `choices`."""
        if not self._has(name):
            return self._rest.suggest_categorical(name, choices)
        if self._given[name] not in choices:
            known = ", ".join(map(str, choices))
            raise InvalidValue(f"{self._what}: {name}={self._given[name]!r} is none of {known}")
        if self._rest is not None:
            self._rest.suggest_categorical(name, choices)
        # Of equal values the choice's own: 8.0 stands for a choice of 8.
        return choices[choices.index(self._given[name])]

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> float:
        """The given value; raises InvalidValue if it is not from `low` to `high`, or off the step."""
        if not self._has(name):
            return float(self._rest.suggest_float(name, low, high, **how))
        value = float(self._number(name, low, high, how))
        if self._rest is not None:
            self._rest.suggest_float(name, low, high, **how)
        return value

    def suggest_int(self, name: str, low: int, high: int, **how: Any) -> int:
        """The given value; raises InvalidValue if it is no whole number from `low` to `high`."""
        if not self._has(name):
            return int(self._rest.suggest_int(name, low, high, **how))
        value = self._given[name]
        if not isinstance(value, int):
            raise InvalidValue(f"{self._what}: {name}={value!r} is not a whole number")
        self._number(name, low, high, how)
        if self._rest is not None:
            self._rest.suggest_int(name, low, high, **how)
        return value

    def check_all_asked(self) -> None:
        """Raise for a given parameter that the space never asked for."""
        for name in self._given:
            if name in self._asked:
                continue
            if field_of(name) not in FIELDS:
                raise UnknownName.of(f"parameter in {self._what}:", name, FIELDS)
            raise InvalidValue(f"{self._what}: the space does not ask for {name}={self._given[name]!r} there")

    def _has(self, name: str) -> bool:
        self._asked.add(name)
        return name in self._given

    def _number(self, name: str, low: float, high: float, how: Mapping[str, Any]) -> float:
        value = self._given[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise InvalidValue(f"{self._what}: {name}={value!r} is outside {low:g} to {high:g}")
        steps = (value - low) / how["step"] if how.get("step") else 0.0
        if abs(steps - round(steps)) > 1e-8:
            step = f"{low:g} plus a multiple of {how['step']:g}"
            raise InvalidValue(f"{self._what}: {name}={value!r} is not {step}")
        return value
