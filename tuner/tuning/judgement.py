"""Who is chosen by the images that judged, and what is to be expected: of candidates by their answers out of fold.

Where the log loss is what is searched by, it is that of answers under a temperature that other images gave, as the
model that is written has one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables import strategies
from trainables.config import TrialConfig
from trainables.data.split import Split
from trainables.metrics import METRICS, Answers
from trainables.temperature import calibrated_losses
from tuner.statistics.calibration import mean_logits
from tuner.statistics.ensembles import select_members
from tuner.statistics.means import error_of_mean, half_width
from tuner.statistics.shrinkage import choose, shrink

__all__ = ["ENSEMBLE", "MEMBERS", "Candidate", "Floats", "Judged", "Judges", "behind", "judge"]

Floats = npt.NDArray[np.float64]

LOSS = "val_loss"

HALF = 0.5
"""Of the images that judged the others, how many have to have judged a member of an ensemble."""

ENSEMBLE, MEMBERS = "ensemble", 3
"""What the ensemble is called, and how many trials take part at most: each costs its own time at every prediction."""


LONG = 8
"""Epochs of a fine-tuned trial from which on it is expected to be better than a solved head. Twelve were measured; with
three or four, one search of two minutes had less than half of its heads' test loss, another more than twice."""


@dataclass(frozen=True)
class Judges:
    """The images of training and validation, the metric, and the number of the class that it is of."""

    pool: Split
    metric: str
    positive: int | None


@dataclass(frozen=True)
class Judged:
    """What the images say of a trial: how many answered, by models that have not seen them, and what is to be expected.

    `value` is the metric on these `images`; `expected` is without the luck of having been chosen, for the log loss
    alone. `error` is the standard error of the log loss over whole groups, None for other metrics. `votes` is how often
    the trial is taken into the ensemble that is better than the chosen one alone, 0 if there is none; what that itself
    is worth stands under the name `ENSEMBLE`.
    """

    trial_id: str
    epoch: int
    images: int
    groups: int
    value: float
    expected: float
    error: float | None
    chosen: bool
    votes: int = 0


@dataclass
class Candidate:
    """A trial that is judged: its row and configuration, and its answers [n, classes], NaN where there are none."""

    row: Mapping[str, Any]
    config: TrialConfig
    logits: Floats
    cost: float = math.nan

    @property
    def trial_id(self) -> str:
        """The trial's name."""
        return str(self.row["trial_id"])

    @property
    def epochs(self) -> int:
        """How long it trains: as long as its best epoch."""
        return int(self.row["best_epoch"])

    @property
    def frozen(self) -> bool:
        """Whether only its head was trained, or solved."""
        return strategies.is_linear_probe(self.config.strategy)

    def lacks(self, images: npt.NDArray[np.bool_]) -> bool:
        """Whether some of the `images` [n] have no answer."""
        return bool((images & ~self.answered()).any())

    def answered(self) -> npt.NDArray[np.bool_]:
        """Which images [n] have an answer."""
        return np.asarray(~np.isnan(self.logits).any(axis=1))


def behind(losses: Floats, best: Floats, groups: Sequence[str]) -> bool:
    """Whether `losses` [n] are worse than the `best` beyond the 95 % interval of the mean paired difference."""
    difference = losses - best
    half = half_width(difference, groups)
    return half is not None and float(difference.mean()) > half


def judge(candidates: Sequence[Candidate], judges: Judges) -> list[Judged]:
    """Each by the images that it answered, the chosen one first.

    The choice is made among those that most images judged, an ensemble of them included. One that fewer judged, since
    there was no time for its folds, takes their place only where it is better by more than the standard error of the
    paired difference on the images that it answered. Where the others are frozen networks with a solved head and it is
    fine-tuned for `LONG` epochs, any lead is enough: so long, fine-tuning gained on every kind of image that
    `benchmarks/quality/small_sets.py` measured. It may be in the ensemble where half as many or more judged it.
    """
    most = max(int(one.answered().sum()) for one in candidates)
    full = [one for one in candidates if one.answered().sum() == most]
    chosen, expected = _choice(full, judges)
    votes = _ensemble(full, chosen, judges)
    leader = _mixed(full, votes) if votes else _by_name(full, chosen).logits
    frozen = all(one.frozen for one in full if one.trial_id in (votes or {chosen: 1}))
    challenger = _challenger([one for one in candidates if one not in full], leader, judges, frozen=frozen)
    if challenger is not None:
        chosen, votes = challenger.trial_id, {}
        # What the others are worth is known by more images.
        expected[chosen] = _choice([challenger, *full], judges)[1][chosen]
    votes = _wider(candidates, full, chosen, votes, judges)
    found = [
        replace(
            _judged(one.trial_id, one.epochs, one.logits, judges),
            chosen=one.trial_id == chosen,
            votes=votes.get(one.trial_id, 0),
        )
        for one in candidates
    ]
    found = [replace(one, expected=expected.get(one.trial_id, one.value)) for one in found]
    if votes:
        mixed = _mixed(candidates, votes)
        found.append(replace(_judged(ENSEMBLE, 0, mixed, judges), votes=sum(votes.values())))
    metric = METRICS[judges.metric]
    return sorted(found, key=lambda one: (not one.chosen, -one.images, metric.cost(one.value)))


def _wider(
    candidates: Sequence[Candidate],
    full: Sequence[Candidate],
    chosen: str,
    votes: dict[str, int],
    judges: Judges,
) -> dict[str, int]:
    """The votes of an ensemble of which half of the images judged a member, if it is better there; else `votes`."""
    most = max(int(one.answered().sum()) for one in full)
    known = [one for one in candidates if one.answered().sum() >= HALF * most]
    if len(known) == len(full) or all(one.trial_id != chosen for one in known):
        return votes
    wider = _ensemble(known, chosen, judges)
    if set(wider) <= {one.trial_id for one in full}:
        return votes
    mixed, leader = _mixed(known, wider), _mixed(known, votes or {chosen: 1})
    common = ~np.isnan(mixed).any(axis=1) & ~np.isnan(leader).any(axis=1)
    labels, groups = judges.pool.numbers[common], np.asarray(judges.pool.groups)[common]
    metric, values = METRICS[judges.metric], []
    for logits in (mixed[common], leader[common]):
        plain = metric.compute(Answers(labels, logits, judges.positive))
        loss = calibrated_losses(logits, labels, groups).mean() if metric.name == LOSS else plain
        values.append(float(loss))
    return wider if metric.better(values[0], values[1]) else votes


def _challenger(
    few: Sequence[Candidate], leader: Floats, judges: Judges, *, frozen: bool
) -> Candidate | None:
    """The best of those that `few` images judged, if it is better there than the `leader` beyond a standard error.

    If the leader is `frozen`, one that was fine-tuned for `LONG` epochs is taken if it is better there at all.
    """
    metric, positive = METRICS[judges.metric], judges.positive
    best: tuple[float, Candidate] | None = None
    for one in few:
        own = one.answered() & ~np.isnan(leader).any(axis=1)
        if not own.any():
            continue
        labels, groups = judges.pool.numbers[own], np.asarray(judges.pool.groups)[own]
        if metric.name == LOSS:
            difference = calibrated_losses(one.logits[own], labels, groups) - calibrated_losses(
                leader[own], labels, groups
            )
            error = error_of_mean(difference, groups)
            lead = -float(difference.mean())
            trusted = frozen and not one.frozen and one.epochs >= LONG
            ahead = lead > 0 if trusted else math.isfinite(error) and lead > error
        else:
            values = [
                metric.compute(Answers(labels, logits[own], positive)) for logits in (one.logits, leader)
            ]
            lead = metric.cost(values[1]) - metric.cost(values[0])
            ahead = lead > 0
        if ahead and (best is None or lead > best[0]):
            best = lead, one
    return None if best is None else best[1]


def _mixed(candidates: Sequence[Candidate], votes: Mapping[str, int]) -> Floats:
    """The logits [n, classes] of an ensemble."""
    return mean_logits([_by_name(candidates, name).logits for name in votes], list(votes.values()))


def _by_name(candidates: Sequence[Candidate], name: str) -> Candidate:
    return next(one for one in candidates if one.trial_id == name)


def _judged(name: str, epoch: int, logits: Floats, judges: Judges) -> Judged:
    """What the images that have an answer say."""
    metric, own = METRICS[judges.metric], ~np.isnan(logits).any(axis=1)
    labels, groups = judges.pool.numbers[own], np.asarray(judges.pool.groups)[own]
    value, error = float(metric.compute(Answers(labels, logits[own], judges.positive))), math.nan
    if metric.name == LOSS:
        losses = calibrated_losses(logits[own], labels, groups)
        value, error = float(losses.mean()), error_of_mean(losses, groups)
    return Judged(
        trial_id=name,
        epoch=epoch,
        images=int(own.sum()),
        groups=len(set(groups.tolist())),
        value=value,
        expected=value,
        error=error if math.isfinite(error) else None,
        chosen=False,
    )


def _ensemble(able: Sequence[Candidate], chosen: str, judges: Judges) -> dict[str, int]:
    """How often each trial is taken into an ensemble that is better than the `chosen` one; empty if none is.

    Better is by more than the standard error of the paired difference: it costs more at every prediction.
    """
    metric, positive = METRICS[judges.metric], judges.positive
    common = np.logical_and.reduce([one.answered() for one in able])
    labels, groups = judges.pool.numbers[common], np.asarray(judges.pool.groups)[common]
    logits = {one.trial_id: one.logits[common] for one in able}
    votes = select_members(logits, labels, metric, MEMBERS, positive)
    if len(votes) < 2:
        return {}
    mixed = mean_logits([logits[name] for name in votes], list(votes.values()))
    if metric.name == LOSS:
        losses = [calibrated_losses(own, labels, groups) for own in (logits[chosen], mixed)]
        difference = losses[0] - losses[1]
        error = error_of_mean(difference, groups)
        return votes if math.isfinite(error) and difference.mean() > error else {}
    values = [metric.compute(Answers(labels, one, positive)) for one in (mixed, logits[chosen])]
    return votes if metric.better(values[0], values[1]) else {}


def _choice(able: Sequence[Candidate], judges: Judges) -> tuple[str, dict[str, float]]:
    """The trial that is chosen of the `able`, on the images that all of them answered, and what is expected of each."""
    metric = METRICS[judges.metric]
    common = np.logical_and.reduce([one.answered() for one in able])
    labels, groups = judges.pool.numbers[common], np.asarray(judges.pool.groups)[common]
    if metric.name != LOSS:
        values = {
            one.trial_id: float(metric.compute(Answers(labels, one.logits[common], judges.positive)))
            for one in able
        }
        return min(values, key=lambda name: metric.cost(values[name])), values
    losses = np.stack([calibrated_losses(one.logits[common], labels, groups) for one in able])
    shrunken = shrink(losses, groups)
    costs = [one.cost for one in able]
    place = choose(shrunken, None if any(map(math.isnan, costs)) else costs)
    names = [one.trial_id for one in able]
    return names[place], dict(zip(names, map(float, shrunken.values), strict=True))
