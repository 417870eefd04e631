"""The area under the ROC curve."""

import math
from typing import TYPE_CHECKING

from trainables.metrics import Answers, register

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def _exchanged(first: Answers, second: Answers) -> "npt.NDArray[np.float64]":
    """Each image's part of the difference: by how much more of the other side it stands above (or below) in one order.

    The other side is that of both models together, so that an exchange turns signs and does nothing else. Ranks
    stand for probabilities, since one model may be surer of itself than the other (Venkatraman and Begg 1996).
    """
    import numpy as np

    parts, classes = np.zeros(len(first.labels)), np.unique(first.labels)
    for code in classes:
        ours, theirs = (mid_ranks(one.probabilities[:, code]) for one in (first, second))
        positive = first.labels == code
        for side, sign in ((positive, 1.0), (~positive, -1.0)):
            others = np.sort(np.concatenate([ours[~side], theirs[~side]]))
            gain = _place(ours[side], others) - _place(theirs[side], others)
            parts[side] += sign * gain / np.count_nonzero(side)
    return parts / len(classes)


def _place(
    values: "npt.NDArray[np.float64]", ordered: "npt.NDArray[np.float64]"
) -> "npt.NDArray[np.float64]":
    """The share of `ordered` that lies below each of `values`; ties half."""
    import numpy as np

    both = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(both / (2 * len(ordered)))


def mid_ranks(values: "npt.ArrayLike") -> "npt.NDArray[np.float64]":
    """The rank of each of `values` [n], from 1 on; equal ones share the mean of theirs, and a NaN makes all NaN.

    As `scipy.stats.rankdata`, whose import would take most of a second in every process of a search.

    >>> mid_ranks([3.0, 1.0, 3.0]).tolist()
    [2.5, 1.0, 2.5]
    """
    import numpy as np

    numbers = np.asarray(values, dtype=np.float64)
    if np.isnan(numbers).any():
        return np.full(numbers.shape, np.nan)
    _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place])


@register("val_auroc", "maximize", order=4, exchanged=_exchanged)
def auroc(answers: Answers) -> float:
    """The area under the ROC curve, one class against the rest, averaged over the classes that have images.

    As scikit-learn's `roc_auc_score(..., multi_class="ovr", average="macro")`; NaN where all images are of one class.
    """
    import numpy as np

    classes = np.unique(answers.labels)
    return float(np.mean([area(answers.labels == code, answers.probabilities[:, code]) for code in classes]))


def area(positive: "npt.NDArray[np.bool_]", scores: "npt.ArrayLike") -> float:
    """The area under the ROC curve: how often a `positive` image [n] has a higher score [n] than another; ties half.

    Between 0 and 1, 0.5 being chance; NaN where all images are of one side, and where a score is NaN. It is Mann and
    Whitney's statistic, computed from the sum of ranks (Hanley and McNeil 1982).
    """
    yes, no = int(positive.sum()), int((~positive).sum())
    if yes == 0 or no == 0:
        return math.nan
    ranks = float(mid_ranks(scores)[positive].sum())
    return (ranks - yes * (yes + 1) / 2) / (yes * no)
