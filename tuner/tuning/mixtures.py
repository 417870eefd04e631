"""An ensemble of trials that the images that judged find better than the chosen trial alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.metrics import METRICS, Answers
from trainables.temperature import calibrated_losses
from tuner.statistics.calibration import mean_logits
from tuner.statistics.ensembles import crossed, select_members
from tuner.statistics.groups import grouped_folds
from tuner.statistics.means import error_of_mean
from tuner.tuning.candidates import LOSS, Candidate, Floats, Judges, by_name

__all__ = ["MEMBERS", "Mixture", "better_ensemble", "wider_ensemble"]

HALF = 0.5
"""Of the images that judged the others, how many have to have judged a member of an ensemble."""

MEMBERS = 3
"""How many trials take part in an ensemble at most: each costs its own time at every prediction."""


@dataclass(frozen=True)
class Mixture:
    """An ensemble: how often each trial is taken, and answers [n, classes] that tell what it is worth.

    The answers are those of ensembles whose members other images chose, so that the choice flatters nothing; NaN where
    a member has none.
    """

    votes: Mapping[str, int]
    logits: Floats


def better_ensemble(able: Sequence[Candidate], chosen: str, judges: Judges) -> Mixture | None:
    """The ensemble that is better than the `chosen` one; None if none is.

    Better is by more than the standard error of the paired difference, since it costs more at every prediction, and
    better at all where other images chose its members.
    """
    metric, positive = METRICS[judges.metric], judges.positive
    common = np.logical_and.reduce([one.answered() for one in able])
    labels, groups = judges.pool.numbers[common], np.asarray(judges.pool.groups)[common]
    logits = {one.trial_id: one.logits for one in able}
    votes = select_members(
        {key: one[common] for key, one in logits.items()}, labels, metric, MEMBERS, positive
    )
    if len(votes) < 2:
        return None
    chosen_s = logits[chosen][common]
    seen = mean_logits([logits[name][common] for name in votes], list(votes.values()))
    if not _ahead(seen, chosen_s, labels, groups, judges, sure=True):
        return None
    folds = grouped_folds(judges.pool.numbers, judges.pool.groups, 0)
    mixture = Mixture(votes, crossed(logits, judges.pool.numbers, folds, metric, MEMBERS, positive))
    unseen = mixture.logits[common]
    return mixture if _ahead(unseen, chosen_s, labels, groups, judges, sure=False) else None


def wider_ensemble(
    candidates: Sequence[Candidate],
    full: Sequence[Candidate],
    chosen: str,
    mixture: Mixture | None,
    judges: Judges,
) -> Mixture | None:
    """An ensemble of which half of the images judged a member, if it is better there; else `mixture`."""
    most = max(int(one.answered().sum()) for one in full)
    known = [one for one in candidates if one.answered().sum() >= HALF * most]
    if len(known) == len(full) or all(one.trial_id != chosen for one in known):
        return mixture
    wider = better_ensemble(known, chosen, judges)
    if wider is None or set(wider.votes) <= {one.trial_id for one in full}:
        return mixture
    mixed = wider.logits
    leader = by_name(known, chosen).logits if mixture is None else mixture.logits
    common = ~np.isnan(mixed).any(axis=1) & ~np.isnan(leader).any(axis=1)
    labels, groups = judges.pool.numbers[common], np.asarray(judges.pool.groups)[common]
    metric, values = METRICS[judges.metric], []
    for logits in (mixed[common], leader[common]):
        plain = metric.compute(Answers(labels, logits, judges.positive))
        loss = calibrated_losses(logits, labels, groups).mean() if metric.name == LOSS else plain
        values.append(float(loss))
    return wider if metric.better(values[0], values[1]) else mixture


def _ahead(
    first: Floats, second: Floats, labels: npt.NDArray[np.int64], groups: Any, judges: Judges, *, sure: bool
) -> bool:
    """Whether the logits `first` [n, classes] are better than the `second`.

    For the log loss, if that is to be `sure`, by more than the standard error of the mean paired difference.
    """
    metric = METRICS[judges.metric]
    if metric.name != LOSS:
        values = [metric.compute(Answers(labels, one, judges.positive)) for one in (first, second)]
        return metric.better(values[0], values[1])
    difference = calibrated_losses(second, labels, groups) - calibrated_losses(first, labels, groups)
    error = error_of_mean(difference, groups) if sure else 0.0
    return math.isfinite(error) and float(difference.mean()) > error
