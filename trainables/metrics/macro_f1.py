"""Macro-F1."""

from typing import TYPE_CHECKING

from trainables.metrics import Answers, register

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def _exchanged(first: Answers, second: Answers) -> "npt.NDArray[np.float64]":
    """Each image's part of the difference, by the F1 of its own class and by that of the class it is taken for.

    A class's F1 is 2 h / q, with h hits and q images and mentions in all. Of two models it differs by
    ((h1 - h2) (q1 + q2) - (h1 + h2) (q1 - q2)) / (q1 q2), and h and q are sums over images.
    """
    import numpy as np

    actual = first.confusion.sum(axis=1)
    hits = first.confusion.diagonal() + second.confusion.diagonal()
    ours, theirs = actual + first.confusion.sum(axis=0), actual + second.confusion.sum(axis=0)
    scale = np.zeros_like(actual)
    np.divide(1 / np.count_nonzero(actual), ours * theirs, out=scale, where=actual > 0)
    gain = (first.predicted == first.labels).astype(np.float64) - (second.predicted == second.labels)
    named = hits * scale
    own = gain * ((ours + theirs) * scale)[first.labels]
    return np.asarray(own - named[first.predicted] + named[second.predicted])


@register("val_macro_f1", "maximize", order=3, exchanged=_exchanged)
def macro_f1(answers: Answers) -> float:
    """The mean F1 of the classes that have images."""
    hits, actual, named = (
        answers.confusion.diagonal(),
        answers.confusion.sum(axis=1),
        answers.confusion.sum(axis=0),
    )
    present = actual > 0
    return float((2 * hits[present] / (actual + named)[present]).mean())
