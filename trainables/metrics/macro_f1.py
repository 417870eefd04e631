"""Macro-F1."""

from trainables.metrics import Answers, register


@register("val_macro_f1", "maximize", order=3)
def macro_f1(answers: Answers) -> float:
    """The mean F1 of the classes that have images."""
    hits, actual, named = (
        answers.confusion.diagonal(),
        answers.confusion.sum(axis=1),
        answers.confusion.sum(axis=0),
    )
    present = actual > 0
    return float((2 * hits[present] / (actual + named)[present]).mean())
