"""Four configurations to begin with, chosen greedily so that the best of them is near the best on every set of curves.

    python -m benchmarks.search.portfolio [--curves FILE ...]

Candidates are the recorded configurations, random ones of `recorded_space.py` and draws from its prior, with
strategies that every model can follow. Of each the surrogate of every set says the lowest loss; regret is its
logarithm above that of the set's floor. Chosen is, one after the other, the candidate that lowers the mean over the
sets of the best regret so far most. Sets that judge the result must not be among the files: by default the `HELD_OUT`
are left out.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

import search_spaces
from benchmarks.search.replay_clock import OVERRIDES, Problem
from benchmarks.search.replay_curves import Surrogate
from benchmarks.search.replay_searchers import quiet
from benchmarks.search.search_quality import HELD_OUT, SETS, SPACE, Case, ready
from trainables import models, strategies
from trainables.config import TrialConfig
from tuner.tuning.prior import PriorSampler

NUM_CHOSEN = 4
RANDOM, FROM_PRIOR = 600, 600
SHOWN = (
    *("strategy", "learning_rate", "backbone_learning_rate", "unfreeze_at", "stage_decay", "weight_decay"),
    *("label_smoothing", "dropout", "class_weight_power", "sampler", "schedule", "step_size", "gamma"),
    *("plateau_factor", "plateau_patience"),
)


def main() -> None:
    """Choose and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--curves", type=Path, nargs="+", help="files to choose on")
    options = parser.parse_args()
    quiet()
    torch.set_num_threads(1)
    files = options.curves or [path for path in SETS if path.stem not in HELD_OUT]
    cases = {path.stem: ready(path) for path in files}
    pool = candidates(min(cases.values(), key=lambda case: models.num_stages(_model(case))).problem)
    pool += [item.config for case in cases.values() for item in case.recorded if _for_all(item.config)]
    regrets = np.array([[regret(config, case) for case in cases.values()] for config in pool])
    chosen = greedy(regrets, NUM_CHOSEN)
    print(f"{len(pool)} candidates on {', '.join(cases)}")
    heads = [f"{name}: loss, best so far, of floor" for name in cases]
    print(f"| place | {' | '.join(heads)} | configuration |\n|---|{'---|' * (len(heads) + 1)}")
    for place, number in enumerate(chosen):
        cells = []
        for column, case in enumerate(cases.values()):
            own = case.lowest * np.exp(regrets[number, column])
            best = case.lowest * np.exp(regrets[chosen[: place + 1], column].min())
            cells.append(f"{own:.3f}, {best:.3f}, {case.lowest:.3f}")
        print(f"| {place + 1} | {' | '.join(cells)} | {told(pool[number])} |")


def _model(case: Case) -> str:
    return case.recorded[0].config.model


def candidates(problem: Problem) -> list[TrialConfig]:
    """Random configurations of the space, then draws from its prior; strategies that want auxiliary heads left out."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2))
    priors = search_spaces.prior_of(search_spaces.load(SPACE), OVERRIDES["max_epochs"])
    found = []
    for number in range(RANDOM + FROM_PRIOR):
        if number >= RANDOM:
            study.sampler = PriorSampler(priors, 2, number)
        config = problem.configure(study.ask())
        if _for_all(config):
            found.append(config)
    return found


def _for_all(config: TrialConfig) -> bool:
    """Whether every model can follow its strategy."""
    return not strategies.wants_auxiliary(config.strategy)


def regret(config: TrialConfig, case: Case) -> float:
    """The log loss of `config` with the model of `case` above the floor; infinite where it does not fit."""
    model = _model(case)
    own = replace(config, model=model)
    if strategies.last_unfreeze(own, models.num_stages(model)) >= own.max_epochs:
        return float("inf")
    curves: Surrogate = case.curves
    return float(np.log(curves.expected(own).min() / case.lowest))


def greedy(regrets: np.ndarray, count: int) -> list[int]:
    """Rows of `regrets` [candidates, sets], each lowering the mean over the sets of the smallest so far most.

    Of rows that lower it alike the one with the smallest mean is taken; none is taken twice.
    """
    chosen: list[int] = []
    best = np.full(regrets.shape[1], np.inf)
    for _ in range(count):
        means = np.minimum(regrets, best).mean(1)
        order = np.lexsort((regrets.mean(1), means))
        chosen.append(next(int(row) for row in order if int(row) not in chosen))
        best = np.minimum(best, regrets[chosen[-1]])
    return chosen


def told(config: TrialConfig) -> str:
    """The parameters that a space asks for, to two digits."""
    values: Mapping[str, Any] = asdict(config)
    names: Sequence[str] = [name for name in SHOWN if values.get(name) is not None]
    return ", ".join(
        f"{name}={values[name]:.2g}" if isinstance(values[name], float) else f"{name}={values[name]}"
        for name in names
    )


if __name__ == "__main__":
    main()
