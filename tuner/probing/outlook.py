"""What is to be expected of a backbone after fine-tuning: by what is known of it, by the probe, and in the time left.

The logarithm of the expected loss is that of the probe's loss and of the prior (`trainables.models.known`), each with
its weight. The weights are fitted on published results of ten networks on five sets of images, see
`benchmarks/quality/known_backbones.py`. Together the two rank networks better there than either alone. A backbone whose
epochs are too long for the time that is left stays as the probe found it, or gets a part of the way.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trainables.models.known import family_of, known_of
from tuner.probing.probed import Probed, trial_milliseconds
from tuner.probing.sizes import FEWEST, SHORT, Plan, epoch_seconds

__all__ = ["Outlook", "chosen", "outlooks"]

PRIOR_WEIGHT, PROBE_WEIGHT = 0.88, 0.78
"""Of the logarithms of prior and probe in that of the loss after fine-tuning."""

SPREAD = 0.16
"""Standard deviation of what both leave unexplained of that logarithm."""

GAIN = 0.44
"""The loss after fine-tuning in units of the solved head's: the geometric mean over three kinds of images of
`benchmarks/quality/small_sets.py`. It moves all backbones alike."""

WHOLE = 12
"""Epochs of a whole training; fewer get a part of its gain."""

LEAST_LOSS = 0.005
"""Losses in nats below this are noise to the logarithm."""

MOST = 3
"""Backbones that are fine-tuned, at most."""

TIME_SHARE = 0.3
"""Of the time that is left, what one training of each of them may take together, at most."""

Z90 = 1.645


@dataclass(frozen=True)
class Outlook:
    """What is expected of the backbone `model`: its log loss after fine-tuning in nats, with a 90 % interval.

    `prior` is the error that is expected of it on any images, in those of an average network, and `basis` what that
    follows from (see `trainables.models.known`). `epochs` is how many of `WHOLE` the time that is left has room for.
    """

    model: str
    prior: float
    basis: str
    epochs: int
    expected: float
    low: float
    high: float


def outlooks(rows: Sequence[Probed], plan: Plan) -> list[Outlook]:
    """An outlook for each of the probed `rows`, which are of one side, the lowest expected loss first."""
    known = [known_of(row.model, row.parameters / 1e6) for row in rows]
    probed = [math.log(max(row.log_loss, LEAST_LOSS)) for row in rows]
    both = [
        PROBE_WEIGHT * probe + PRIOR_WEIGHT * math.log(one.expected)
        for probe, one in zip(probed, known, strict=True)
    ]
    # The weighted sum has no unit; its mean over the backbones is where fine-tuning gets on average.
    shift = (sum(probed) - sum(both)) / len(rows) + math.log(GAIN)
    found = []
    for row, one, probe, tuned in zip(rows, known, probed, both, strict=True):
        epochs = _epochs(row, plan)
        share = epochs / WHOLE if epochs >= FEWEST else 0.0
        expected = math.exp((1 - share) * probe + share * (tuned + shift))
        factor = math.exp(Z90 * SPREAD * math.sqrt(share))
        found.append(
            Outlook(
                row.model, one.expected, one.basis, epochs, expected, expected / factor, expected * factor
            )
        )
    return sorted(found, key=lambda one: one.expected)


def chosen(rows: Sequence[Probed], plan: Plan) -> tuple[str, ...]:
    """The backbones to fine-tune, the most promising first: three, or as many as the time is enough for.

    Where the next ones can't be told apart, one of a family that is not among them yet comes first.
    """
    left = outlooks(rows, plan)
    taken = [left.pop(0)]
    row = next(one for one in rows if one.model == taken[0].model)
    while left and len(taken) < _count(row, plan):
        alike = [one for one in left if one.low <= left[0].high]
        families = {family_of(one.model) for one in taken}
        new = [one for one in alike if family_of(one.model) not in families]
        taken.append((new or left)[0])
        left.remove(taken[-1])
    return tuple(one.model for one in taken)


def _epochs(row: Probed, plan: Plan) -> int:
    """How many epochs, `WHOLE` at most, the time that is left has room for."""
    if plan.seconds is None:
        return WHOLE
    milliseconds = trial_milliseconds(row.row())
    shared = int(TIME_SHARE * plan.seconds / max(epoch_seconds(milliseconds, plan.images), 1e-9))
    alone = plan.epochs_alone(milliseconds) if plan.cores > 1 else 0
    return min(WHOLE, max(shared, alone if alone >= SHORT else 0))


def _count(row: Probed, plan: Plan) -> int:
    """How many backbones are fine-tuned: so many that there is time for a whole training of each, as long as `row`."""
    if plan.seconds is None:
        return MOST
    each = WHOLE * epoch_seconds(trial_milliseconds(row.row()), plan.images)
    return max(1, min(MOST, int(TIME_SHARE * max(0.0, plan.seconds) / max(each, 1e-9))))
