"""Random trials without Optuna's storage, which takes most of the time of a check. No optuna at import."""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["RandomTrial", "RandomTrials"]


class RandomTrials:
    """Trials whose values are drawn at random, always the same.

    As in a study of Optuna's, a name keeps its choices, and its kind of range, from trial to trial: ValueError.
    """

    def __init__(self) -> None:
        self._random = random.Random(0)
        self._met: dict[str, Any] = {}
        self._trials: list[RandomTrial] = []

    def ask(self) -> "RandomTrial":
        """The next trial."""
        trial = RandomTrial(self)
        self._trials.append(trial)
        return trial

    def get_trials(self, deepcopy: bool = False) -> list["RandomTrial"]:
        """All trials so far, by the name under which a study has them; never copies."""
        return self._trials

    def draw(self, name: str, distribution: Any, how: Callable[[random.Random], Any]) -> Any:
        """What `how` draws for `name`; raises ValueError where the name meant something else before."""
        from optuna.distributions import check_distribution_compatibility

        check_distribution_compatibility(self._met.setdefault(name, distribution), distribution)
        return how(self._random)


class RandomTrial:
    """One of `RandomTrials`; `distributions` are Optuna's, of everything asked so far."""

    def __init__(self, study: RandomTrials) -> None:
        self.study = study
        self.distributions: dict[str, Any] = {}
        self._values: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of `choices`."""
        from optuna.distributions import CategoricalDistribution

        distribution = CategoricalDistribution(choices)
        return self._value(name, distribution, lambda random: random.choice(distribution.choices))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number from `low` to `high`; raises ValueError for a range that is none."""
        from optuna.distributions import FloatDistribution

        distribution = FloatDistribution(low, high, log=log, step=step)

        def drawn(random: random.Random) -> float:
            if step is not None:
                return low + step * random.randint(0, round((distribution.high - low) / step))
            if log:
                return math.exp(random.uniform(math.log(low), math.log(high)))
            return random.uniform(low, high)

        return float(min(max(self._value(name, distribution, drawn), low), distribution.high))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number from `low` to `high`; raises ValueError for a range that is none."""
        from optuna.distributions import IntDistribution

        distribution = IntDistribution(low, high, log=log, step=step)

        def drawn(random: random.Random) -> int:
            if log:
                value = math.exp(random.uniform(math.log(low - 0.5), math.log(high + 0.5)))
                return min(max(round(value), low), high)
            return random.randrange(low, distribution.high + 1, step)

        return int(self._value(name, distribution, drawn))

    def _value(self, name: str, distribution: Any, how: Callable[[random.Random], Any]) -> Any:
        """The value of `name`, drawn when it is first asked for."""
        if name not in self._values:
            self._values[name] = self.study.draw(name, distribution, how)
            self.distributions[name] = distribution
        return self._values[name]
