"""Accuracy."""

from typing import TYPE_CHECKING

from trainables.metrics import Answers, register_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@register_mean("val_accuracy", "maximize", order=1)
def accuracy(answers: Answers) -> "npt.NDArray[np.float64]":
    """The share of images that are named rightly."""
    import numpy as np

    return np.asarray(answers.predicted == answers.labels, dtype=np.float64)
