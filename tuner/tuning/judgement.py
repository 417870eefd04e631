"""Who is chosen by the images that judged, and what is to be expected: of candidates by their answers out of fold.

Where the log loss is what is searched by, it is that of answers under a temperature that other images gave, as the
model that is written has one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from trainables.metrics import METRICS, Answers, Metric
from trainables.temperature import calibrated_losses
from tuner.runs.ensemble import ENSEMBLE
from tuner.statistics.groups import group_codes
from tuner.statistics.means import error_of_mean, half_width
from tuner.statistics.metric_errors import spread
from tuner.statistics.shrinkage import choose, shrink
from tuner.tuning.candidates import LOSS, Candidate, Floats, Judges, by_name
from tuner.tuning.fold_answers import answerable
from tuner.tuning.mixtures import Mixture, better_ensemble, wider_ensemble

__all__ = ["Judged", "Verdict", "behind", "decide", "judge", "not_behind"]

LONG = 8
"""Epochs of a fine-tuned trial from which on it is expected to be better than a solved head. Twelve were measured; with
three or four, one search of two minutes had less than half of its heads' test loss, another more than twice."""


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


@dataclass(frozen=True)
class Verdict:
    """Which trial is chosen, what is to be expected of the trials, and the ensemble that is better; None if none is.

    `error` is the standard error of what is expected of the chosen one, where other images than its own say that.
    """

    chosen: str
    expected: Mapping[str, float]
    mixture: Mixture | None
    error: float | None = None


def behind(losses: Floats, best: Floats, groups: Sequence[str]) -> bool:
    """Whether `losses` [n] are worse than the `best` beyond the 95 % interval of the mean paired difference."""
    difference = losses - best
    half = half_width(difference, groups)
    return half is not None and float(difference.mean()) > half


def not_behind(candidates: Sequence[Candidate], judges: Judges) -> list[Candidate]:
    """Those that are not behind the best of the `candidates`, by the metric, on the images that all of them answered.

    Behind is whoever is worse beyond the 95 % interval of the paired difference over whole groups.
    """
    metric = METRICS[judges.metric]
    common = np.logical_and.reduce([one.answered() for one in candidates])
    labels, groups = judges.pool.numbers[common], np.asarray(judges.pool.groups)[common]
    if metric.name == LOSS:
        losses = [calibrated_losses(one.logits[common], labels, groups) for one in candidates]
        best = min(losses, key=lambda own: float(own.mean()))
        late = [behind(own, best, groups.tolist()) for own in losses]
    else:
        answers = [Answers(labels, one.logits[common], judges.positive) for one in candidates]
        first = min(answers, key=lambda own: metric.cost(metric.compute(own)))
        late = [own is not first and _worse(own, first, metric, group_codes(groups)) for own in answers]
    return [one for one, is_late in zip(candidates, late, strict=True) if not is_late]


def _worse(one: Answers, best: Answers, metric: Metric, codes: npt.NDArray[np.int64]) -> bool:
    """Whether `metric` of `one` is worse than that of the `best` beyond the 95 % interval of the difference."""
    from scipy.special import stdtrit

    lead, error, freedom = _lead(best, one, metric, codes)
    return math.isfinite(error) and lead > float(stdtrit(freedom, 0.975)) * error


def _lead(
    one: Answers, other: Answers, metric: Metric, codes: npt.NDArray[np.int64]
) -> tuple[float, float, float]:
    """By how much `metric` of `one` is better than that of the `other`, its standard error, the degrees of freedom.

    The error is over the groups `codes` [n] of the images, and infinite where these tell none.
    """
    lead = metric.cost(metric.compute(other)) - metric.cost(metric.compute(one))
    varies = spread(metric, (one, other), codes)
    if varies is None:
        return lead, math.inf, 1.0
    return lead, math.sqrt(max(varies.variance, varies.unseen)), varies.freedom


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
    if verdict.error is not None:
        found = [replace(one, error=verdict.error) if one.chosen else one for one in found]
    if mixture is not None:
        found.append(replace(_judged(ENSEMBLE, 0, mixture.logits, judges), votes=sum(votes.values())))
    metric = METRICS[judges.metric]
    return sorted(found, key=lambda one: (not one.chosen, -one.images, metric.cost(one.value)))


def decide(candidates: Sequence[Candidate], judges: Judges) -> Verdict:
    """Who is chosen, and whether an ensemble is better.

    The choice is made among those that most images judged, an ensemble of them included. One that fewer judged, since
    there was no time for its folds, takes their place only where it is better by more than the standard error of the
    paired difference on the images that it answered. Validation images have chosen it among all trials, so its lead on
    these is that without its luck (`Candidate.luck`). Where the others are frozen networks with a solved head and it is
    fine-tuned for `LONG` epochs, any lead is enough: so long, fine-tuning gained on every kind of image that
    `benchmarks/quality/small_sets.py` measured. It may be in the ensemble where half as many or more judged it.
    """
    able = answerable(judges.pool)
    answers = [int((one.answered() & able).sum()) for one in candidates]
    full = [one for one, count in zip(candidates, answers, strict=True) if count == max(answers)]
    chosen, expected = _choice(full, judges)
    mixture = better_ensemble(full, chosen, judges)
    leader = by_name(full, chosen).logits if mixture is None else mixture.logits
    answering = {chosen} if mixture is None else set(mixture.votes)
    frozen = all(one.frozen for one in full if one.trial_id in answering)
    found = _challenger([one for one in candidates if one not in full], leader, judges, frozen=frozen)
    sure: float | None = None
    if found is not None:
        lead, error, challenger = found
        # What the others are worth is known by more images.
        if judges.metric == LOSS:
            # Whichever promises less: its lead before those, or its own loss.
            seen = _judged(challenger.trial_id, challenger.epochs, challenger.logits, judges).value
            own = max(expected[chosen] - lead, seen + _luck(challenger, judges))
            if own == expected[chosen] - lead:
                behind_it = _judged(chosen, 0, leader, judges).error
                sure = math.hypot(math.nan if behind_it is None else behind_it, error)
        else:
            own = _choice([challenger, *full], judges)[1][challenger.trial_id]
        chosen, mixture = challenger.trial_id, None
        expected[chosen] = own
    sure = sure if sure is not None and math.isfinite(sure) else None
    return Verdict(chosen, expected, wider_ensemble(candidates, full, chosen, mixture, judges), sure)


def _challenger(
    few: Sequence[Candidate], leader: Floats, judges: Judges, *, frozen: bool
) -> tuple[float, float, Candidate] | None:
    """The best of those that `few` images judged, if it is better there than the `leader` beyond a standard error.

    Before it, what is to be expected of its lead in the loss: without the luck of having been chosen by some of these
    images, and shrunk as the lead of few images is (James and Stein 1961, its positive part); then its standard error.
    If the leader is `frozen`, one that was fine-tuned for `LONG` epochs is taken if it is better there at all.
    """
    metric, positive = METRICS[judges.metric], judges.positive
    best: tuple[float, Candidate] | None = None
    expected, of_it = 0.0, 0.0
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
            lead = -float(difference.mean()) - _luck(one, judges)
            trusted = frozen and not one.frozen and one.epochs >= LONG
            ahead = lead > 0 if trusted else math.isfinite(error) and lead > error
        else:
            mine, theirs = (Answers(labels, logits[own], positive) for logits in (one.logits, leader))
            lead, error, _ = _lead(mine, theirs, metric, group_codes(groups))
            ahead = lead > error
        if ahead and (best is None or lead > best[0]):
            best = lead, one
            expected, of_it = max(0.0, 1 - (error / lead) ** 2) * lead, error
    return None if best is None else (expected, of_it, best[1])


def _luck(one: Candidate, judges: Judges) -> float:
    """By how much the loss of the images that `one` answered is too low, since some of them chose it."""
    chose = np.asarray(judges.pool.parts) == "val"
    return one.luck * float(chose[one.answered()].mean())


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
        best = min(map(metric.cost, values.values()))
        ties = [one for one in able if metric.cost(values[one.trial_id]) == best]
        known = not any(math.isnan(one.cost) for one in ties)
        return min(ties, key=lambda one: one.cost if known else 0.0).trial_id, values
    losses = np.stack([calibrated_losses(one.logits[common], labels, groups) for one in able])
    shrunken = shrink(losses, groups)
    costs = [one.cost for one in able]
    place = choose(shrunken, None if any(map(math.isnan, costs)) else costs)
    names = [one.trial_id for one in able]
    return names[place], dict(zip(names, map(float, shrunken.values), strict=True))
