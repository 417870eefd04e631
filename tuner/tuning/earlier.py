"""Configurations of earlier runs to begin with: the best that this space could have proposed, on whatever data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import search_spaces
from search_spaces import Space
from search_spaces.sampling import GivenTrial
from trainables.config import TrialConfig
from trainables.errors import InvalidValue, UserMistake
from trainables.metrics import METRICS
from tuner.runs.directory import Run, rows_of
from tuner.runs.trial_table import trial_config
from tuner.tuning.prior import PROBE

__all__ = ["EACH", "Earlier", "find_earlier"]

EACH = 2
"""How many configurations of each earlier run are taken: a few good starts, not somebody else's whole search."""


@dataclass(frozen=True)
class Earlier:
    """What is taken over, as run, trial and the parameters by this space's names; what was passed over, and why."""

    taken: tuple[Mapping[str, Any], ...] = ()
    passed_over: tuple[str, ...] = ()


def find_earlier(
    paths: Sequence[Path], space: Space, overrides: Mapping[str, Any], allowed: Mapping[str, tuple[str, ...]]
) -> Earlier:
    """The best `EACH` configurations of each run that `space` could have proposed, the first run's first.

    Equal ones come once. Raises RunProblem for a path that is no run directory, InvalidValue for a grid.
    """
    if paths and space.grid:
        raise InvalidValue(
            f"--start-from {','.join(map(str, paths))}: {space.name} is a fixed list of configurations; leave the"
            " option out or choose another space"
        )
    taken: list[Mapping[str, Any]] = []
    passed_over: list[str] = []
    for path in paths:
        run, found = Run.open(path.expanduser().resolve()), 0
        for row in _best_first(run):
            try:
                parameters = parameters_of(trial_config(row), space, overrides, allowed)
            except UserMistake as error:
                passed_over.append(f"{run.path.name}: {row['trial_id']}: {error}")
                continue
            found += 1
            if parameters not in [one["parameters"] for one in taken]:
                taken.append({"run": str(run.path), "trial": row["trial_id"], "parameters": parameters})
            if found == EACH:
                break
    return Earlier(tuple(taken), tuple(passed_over))


def parameters_of(
    earlier: TrialConfig,
    space: Space,
    overrides: Mapping[str, Any],
    allowed: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
    """What `space` would have to draw to propose `earlier`, by its names.

    Raises InvalidValue if it can't. Its seed and its number of epochs are the run's, and so is whatever the run's
    `overrides` say.
    """
    asked = GivenTrial(_ByField(earlier), earlier.combination)
    config = search_spaces.configure(space, asked, overrides, allowed)  # type: ignore[arg-type]
    for name, value in asdict(earlier).items():
        own = getattr(config, name)
        if name not in ("seed", "max_epochs", *overrides) and own != value:
            raise InvalidValue(f"space {space.reference!r} has {name} {own!r} there, not {value!r}")
    return asked.parameters


class _ByField(Mapping[str, Any]):
    """The settings of a configuration under whatever name a space draws them by, such as `strategy@vgg16`."""

    def __init__(self, config: TrialConfig) -> None:
        self._config = asdict(config)

    def __getitem__(self, name: str) -> Any:
        return self._config[search_spaces.field_of(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._config)

    def __len__(self) -> int:
        return len(self._config)


def _best_first(run: Run) -> list[dict[str, Any]]:
    """The rows of trials that have a value and did not fail, but for what a probe found, which no space proposes."""
    metric = METRICS[run.record["metric"]]
    rows = [
        row
        for row in rows_of(run.trials())
        if row["status"] != "failed" and row["value"] == row["value"] and row["source"] != PROBE
    ]
    return sorted(
        (row for row in rows if row["value"] is not None), key=lambda row: metric.cost(float(row["value"]))
    )
