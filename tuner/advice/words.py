"""Advice in words and cells, as the terminal and the report show it."""

from collections.abc import Mapping

from trainables.wording import printable
from tuner.advice.advise import Advice
from tuner.console.reporter import clock
from tuner.statistics.learning_curve import Gain

__all__ = ["HEADER", "cost_in_words", "gain_in_words", "level_sentence", "reasons", "rows"]

HEADER = ("what to do", "log loss falls by", "accuracy gains", "it costs")


NAMES = {
    "images": "more images",
    "class": "more images of one class",
    "labels": "checking labels",
    "pixels": "another side in pixels",
    "fit": "another fit",
    "backbones": "other backbones",
    "hours": "more hours",
    "ensemble": "an ensemble",
    "folds": "averaging the folds' models",
    "flips": "answers to mirror images",
    "floor": "the least loss that the labels allow",
}
"""The kinds of advice in words."""


def level_sentence(found: Advice) -> str:
    """How good the model is now, by which images."""
    if found.of is None or found.log_loss is None or found.accuracy is None:
        return "No trial has answered images that it has not seen, and no probe has."
    return (
        f"Now: log loss {found.log_loss:.3f}, accuracy {found.accuracy:.1%}, by {printable(found.of)} on"
        f" {found.images:,} images ({found.groups:,} groups) that it has not seen. The test images are not read."
    )


def rows(found: Advice) -> list[list[str]]:
    """Cells of the table, the largest gain first."""
    return [
        [
            line.do,
            nats(line.log_loss),
            points(line.accuracy),
            "-" if line.log_loss is None else cost_in_words(line.cost),
        ]
        for line in found.lines
    ]


def reasons(found: Advice) -> list[str]:
    """Why each line is expected, then in a sentence each what can't be told."""
    told = [f"{line.do}: {line.why}." for line in found.lines]
    # What one thing keeps from being known, as images that are gone, is said once.
    kinds: dict[str, list[str]] = {}
    harmful = [f"Not advised: {one.reason}." for one in found.unknown if one.harmful]
    for one in (one for one in found.unknown if not one.harmful):
        names = kinds.setdefault(one.reason, [])
        names += [one.kind] if one.kind not in names else []
    return [*told, *harmful] + [
        f"Nothing can be said of {', '.join(NAMES[name] for name in names)}: {reason}."
        for reason, names in kinds.items()
    ]


def nats(gain: Gain | None) -> str:
    """A gain in log loss with its interval.

    >>> nats(Gain(0.0312, 0.01, 0.05)), nats(None)
    ('0.031 (0.010 to 0.050)', '-')
    """
    return gain_in_words(gain, 1.0, 3, "")


def points(gain: Gain | None) -> str:
    """A gain in accuracy with its interval, in percentage points.

    >>> points(Gain(0.012, -0.004, 0.028))
    '1.2 (-0.4 to 2.8) points'
    """
    return gain_in_words(gain, 100.0, 1, " points")


def gain_in_words(gain: Gain | None, scale: float, digits: int, unit: str) -> str:
    """Mean and interval in so many digits; a zero has no sign."""
    if gain is None:
        return "-"
    mean, low, high = (
        f"{round(scale * value, digits) + 0.0:.{digits}f}" for value in (gain.mean, gain.low, gain.high)
    )
    return f"{mean} ({low} to {high}){unit}"


def cost_in_words(cost: Mapping[str, float]) -> str:
    """What it takes.

    >>> cost_in_words({"images": 1200}), cost_in_words({"milliseconds": -3.21}), cost_in_words({})
    ('1,200 images', '3.2 ms less an image by PyTorch', 'not known')
    """
    parts = []
    if "images" in cost:
        parts.append(f"{cost['images']:,.0f} images")
    if "looks" in cost:
        parts.append(f"{cost['looks']:,.0f} looks" if cost["looks"] else "nothing")
    if "seconds" in cost:
        parts.append(clock(cost["seconds"]) if cost["seconds"] else "nothing")
    if "milliseconds" in cost:
        more = cost["milliseconds"]
        parts.append(
            f"{abs(more):.1f} ms {'less' if more < 0 else 'more'} an image by PyTorch" if more else "nothing"
        )
    return ", ".join(parts) or "not known"
