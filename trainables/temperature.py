"""The temperature of a model's logits, and the losses of images under temperatures that other images gave.

Logits divided by a temperature above 1 give less confident probabilities, below 1 more confident ones; the order of
the classes stays, so the class named does not change (Guo et al. 2017). A model folder is written
with a temperature, so two trainings are compared under theirs: of two, the one that names more classes rightly is not
the worse for being too sure of them.
"""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "PARTS",
    "PRIOR_SPREAD",
    "calibrated",
    "calibrated_losses",
    "fit_temperature",
    "share_of_mean",
    "temperatures_of_others",
]

PRIOR_SPREAD = 0.5
"""Standard deviation of a temperature's logarithm before any image is seen: 95 % lie between 0.37 and 2.7."""

PARTS = 5
"""Parts of the groups, each of which gets its temperature from the others."""

MOST_LOGITS = 200_000
"""A temperature, one number, is fitted on so many logits at most."""

SHARPER = 0.295
"""The mean of many trainings is as well calibrated at a temperature that is lower by this share than that of one."""

_BOUND = math.log(20.0)


def fit_temperature(
    logits: "npt.NDArray[np.float64]", labels: "npt.NDArray[np.int64]", groups: "npt.ArrayLike"
) -> float:
    """The temperature by which `logits` [n, classes] are to be divided, between 0.05 and 20.

    It has the least log loss on the class numbers `labels` [n], taken together with a weak expectation that it is
    near 1: a normal law of its logarithm, whose standard deviation is PRIOR_SPREAD. Each of the `groups` [n] counts as
    one observation. Without the expectation, images that are all answered rightly would make every answer certain.

    >>> import numpy as np
    >>> fit_temperature(np.array([[4.0, 0.0], [0.0, 4.0]] * 20), np.array([0, 1] * 16 + [1, 0] * 4), range(40)) > 2
    True
    """
    import numpy as np
    from scipy.optimize import minimize_scalar

    logits = np.asarray(logits, dtype=np.float64)
    count = len(np.unique(np.asarray(groups)))

    def cost(log_temperature: float) -> float:
        loss = float(_losses(logits / math.exp(log_temperature), labels).mean())
        return count * loss + 0.5 * (log_temperature / PRIOR_SPREAD) ** 2

    found = minimize_scalar(cost, bounds=(-_BOUND, _BOUND), method="bounded", options={"xatol": 1e-4})
    return math.exp(float(found.x))


def share_of_mean(count: int) -> float:
    """By what the temperature of one training is multiplied for the mean probability of `count` that differ by seed.

    Where they disagree, their mean is less sure already. Two and three trainings on three kinds of images have 0.85 and
    0.80, see `benchmarks/quality/small_sets.py`; the formula says the same of both.

    >>> share_of_mean(1), round(share_of_mean(2), 3), round(share_of_mean(3), 3)
    (1.0, 0.853, 0.803)
    """
    return 1 - SHARPER * (1 - 1 / count)


def calibrated_losses(
    logits: "npt.NDArray[np.float64]", labels: "npt.NDArray[np.int64]", groups: "npt.ArrayLike"
) -> "npt.NDArray[np.float64]":
    """The cross-entropy [n] in nats of the class numbers `labels` [n] under logits that are `calibrated`."""
    return _losses(calibrated(logits, labels, groups), labels)


def calibrated(
    logits: "npt.NDArray[np.float64]", labels: "npt.NDArray[np.int64]", groups: "npt.ArrayLike"
) -> "npt.NDArray[np.float64]":
    """`logits` [n, classes] divided by the temperatures that other images gave, see `temperatures_of_others`."""
    import numpy as np

    logits = np.asarray(logits, dtype=np.float64)
    return np.asarray(logits / temperatures_of_others(logits, labels, groups)[:, None], dtype=np.float64)


def temperatures_of_others(
    logits: "npt.NDArray[np.float64]", labels: "npt.NDArray[np.int64]", groups: "npt.ArrayLike"
) -> "npt.NDArray[np.float64]":
    """The temperature [n] for each image of `logits` [n, classes], by the class numbers `labels` [n] of others.

    A fifth of the `groups` [n] gets the temperature that fits the other four, so no image is answered under one that
    it had a part in. With a single group it is 1.
    """
    import numpy as np

    logits = np.asarray(logits, dtype=np.float64)
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    parts = min(PARTS, len(names))
    found = np.ones(len(logits))
    if parts < 2:
        return found
    most = max(1, MOST_LOGITS // logits.shape[1])
    for part in range(parts):
        own = codes % parts == part
        others = np.flatnonzero(~own)
        others = others[:: math.ceil(len(others) / most)]
        found[own] = fit_temperature(logits[others], labels[others], codes[others])
    return found


def _losses(logits: "npt.NDArray[np.float64]", labels: "npt.NDArray[np.int64]") -> "npt.NDArray[np.float64]":
    from trainables.metrics.answers import log_softmax

    return -log_softmax(logits)[range(len(labels)), labels]
