"""Balanced accuracy."""

from typing import TYPE_CHECKING

from trainables.metrics import Answers, register

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def _exchanged(first: Answers, second: Answers) -> "npt.NDArray[np.float64]":
    """Each image's part of the difference: of the recall of its class, one of so many."""
    import numpy as np

    images = np.bincount(first.labels)
    gain = (first.predicted == first.labels).astype(np.float64) - (second.predicted == second.labels)
    return np.asarray(gain / (images[first.labels] * np.count_nonzero(images)))


@register("val_balanced_accuracy", "maximize", order=2, exchanged=_exchanged)
def balanced_accuracy(answers: Answers) -> float:
    """The mean recall of the classes that have images."""
    actual = answers.confusion.sum(axis=1)
    present = actual > 0
    return float((answers.confusion.diagonal()[present] / actual[present]).mean())
