"""Balanced accuracy."""

from trainables.metrics import Answers, register


@register("val_balanced_accuracy", "maximize", order=2)
def balanced_accuracy(answers: Answers) -> float:
    """The mean recall of the classes that have images."""
    actual = answers.confusion.sum(axis=1)
    present = actual > 0
    return float((answers.confusion.diagonal()[present] / actual[present]).mean())
