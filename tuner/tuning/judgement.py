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
from tuner.statistics.ensembles import crossed, select_members
from tuner.statistics.groups import grouped_folds
from tuner.statistics.means import error_of_mean, half_width
from tuner.statistics.shrinkage import choose, shrink

__all__ = [
    "ENSEMBLE",
    "MEMBERS",
    "Candidate",
    "Floats",
    "Judged",
    "Judges",
    "Mixture",
    "Verdict",
    "behind",
    "decide",
    "judge",
]

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
    is worth stands under the name `ENSEMBLE`, by answers of ensembles whose members other images chose.
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


@dataclass(frozen=True)
class Mixture:
    """An ensemble: how often each trial is taken, and answers [n, classes] that tell what it is worth.

    The answers are those of ensembles whose members other images chose, so that the choice flatters nothing; NaN where
    a member has none.
    """

    votes: Mapping[str, int]
    logits: Floats


@dataclass(frozen=True)
class Verdict:
    """Which trial is chosen, what is to be expected of the trials, and the ensemble that is better; None if none is."""

    chosen: str
    expected: Mapping[str, float]
    mixture: Mixture | None


def behind(losses: Floats, best: Floats, groups: Sequence[str]) -> bool:
    """Whether `losses` [n] are worse than the `best` beyond the 95 % interval of the mean paired difference."""
    difference = losses - best
    half = half_width(difference, groups)
    return half is not None and float(difference.mean()) > half


def judge(candidates: Sequence[Candidate], judges: Judges) -> list[Judged]:
    """Each by the images that it answered, the chosen one first; who that is, `decide` says."""
    verdict = decide(candidates, judges)
    chosen, mixture = verdict.chosen, verdict.mixture
    votes = {} if mixture is None else mixture.votes
    found = [
        replace(
            _judged(one.trial_id, one.epochs, one.logits, judges),
            chosen=one.trial_id == chosen,
            votes=votes.get(one.trial_id, 0),
        )
        for one in candidates
    ]
    found = [replace(one, expected=verdict.expected.get(one.trial_id, one.value)) for one in found]
    if mixture is not None:
        found.append(replace(_judged(ENSEMBLE, 0, mixture.logits, judges), votes=sum(votes.values())))
    metric = METRICS[judges.metric]
    return sorted(found, key=lambda one: (not one.chosen, -one.images, metric.cost(one.value)))


def decide(candidates: Sequence[Candidate], judges: Judges) -> Verdict:
    """Who is chosen, and whether an ensemble is better.

    The choice is made among those that most images judged, an ensemble of them included. One that fewer judged, since
    there was no time for its folds, takes their place only where it is better by more than the standard error of the
    paired difference on the images that it answered. Where the others are frozen networks with a solved head and it is
    fine-tuned for `LONG` epochs, any lead is enough: so long, fine-tuning gained on every kind of image that
    `benchmarks/quality/small_sets.py` measured. It may be in the ensemble where half as many or more judged it.
    """
    most = max(int(one.answered().sum()) for one in candidates)
    full = [one for one in candidates if one.answered().sum() == most]
    chosen, expected = _choice(full, judges)
    mixture = _ensemble(full, chosen, judges)
    leader = _by_name(full, chosen).logits if mixture is None else mixture.logits
    answering = {chosen} if mixture is None else set(mixture.votes)
    frozen = all(one.frozen for one in full if one.trial_id in answering)
    challenger = _challenger([one for one in candidates if one not in full], leader, judges, frozen=frozen)
    if challenger is not None:
        chosen, mixture = challenger.trial_id, None
        # What the others are worth is known by more images.
        expected[chosen] = _choice([challenger, *full], judges)[1][chosen]
    return Verdict(chosen, expected, _wider(candidates, full, chosen, mixture, judges))


def _wider(
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
    wider = _ensemble(known, chosen, judges)
    if wider is None or set(wider.votes) <= {one.trial_id for one in full}:
        return mixture
    mixed = wider.logits
    leader = _by_name(known, chosen).logits if mixture is None else mixture.logits
    common = ~np.isnan(mixed).any(axis=1) & ~np.isnan(leader).any(axis=1)
    labels, groups = judges.pool.numbers[common], np.asarray(judges.pool.groups)[common]
    metric, values = METRICS[judges.metric], []
    for logits in (mixed[common], leader[common]):
        plain = metric.compute(Answers(labels, logits, judges.positive))
        loss = calibrated_losses(logits, labels, groups).mean() if metric.name == LOSS else plain
        values.append(float(loss))
    return wider if metric.better(values[0], values[1]) else mixture


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


def _ensemble(able: Sequence[Candidate], chosen: str, judges: Judges) -> Mixture | None:
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
