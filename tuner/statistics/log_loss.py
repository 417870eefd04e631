"""Log loss, also called cross-entropy, of single images: what their true class's probability costs, in nats."""

import numpy as np
import numpy.typing as npt

from trainables.metrics import Answers
from trainables.metrics.loss import loss
from tuner.statistics.intervals import FloatArray

__all__ = ["LEAST_PROBABILITY", "log_losses", "log_losses_of_probabilities"]

LEAST_PROBABILITY = 1e-12
"""A lower probability counts as this one, where logits are not known: a rounded 0 would cost endlessly much."""


def log_losses(logits: npt.ArrayLike, labels: npt.NDArray[np.int64]) -> FloatArray:
    """The log loss [n], in nats, of `logits` [n, classes] where `labels` [n] are the true class numbers.

    The same function computes `val_loss` in a search.
    """
    return loss(Answers(labels, np.asarray(logits, dtype=np.float64)))


def log_losses_of_probabilities(probabilities: npt.ArrayLike, labels: npt.NDArray[np.int64]) -> FloatArray:
    """The log loss [n], in nats, of `probabilities` [n, classes], at most 27.6: those of an exported model.

    >>> log_losses_of_probabilities([[0.5, 0.5], [0.0, 1.0]], np.array([0, 0])).round(2).tolist()
    [0.69, 27.63]
    """
    own = np.asarray(probabilities, dtype=np.float64)[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(own, LEAST_PROBABILITY)))
