"""More hours: what as many seconds of search again would gain."""

from typing import Any

from tuner.advice.line import Found, Line, Unknown
from tuner.advice.material import Material
from tuner.console.reporter import clock
from tuner.statistics.learning_curve import Gain
from tuner.statistics.more_trials import FEWEST_TRIALS, gain_of_more
from tuner.tuning.prior import PROBE

__all__ = ["SETTLED", "more_hours"]

KIND = "hours"

SETTLED = 0.01
"""Nats below which a search is called settled."""


def more_hours(found: Material) -> list[Found]:
    """What as many seconds again would gain, by the values of the trials that were trained."""
    rows = [row for row in found.trials if row["source"] != PROBE]
    if len(rows) < FEWEST_TRIALS:
        told = "no trial was" if not rows else "1 trial was" if len(rows) == 1 else f"{len(rows)} trials were"
        reason = f"{told} trained, and it takes {FEWEST_TRIALS} to say what more would gain"
        return [Unknown(KIND, reason)]
    seconds = _seconds(found, rows)
    loss = _by(found, rows, "val_loss", minimised=True)
    accuracy = _by(found, rows, "val_accuracy", minimised=False)
    trials = f"{len(rows)} trials"
    if loss is None:
        return [Unknown(KIND, "the trials have no validation loss")]
    if loss.mean < SETTLED:
        do = f"search no longer: {trials} more, in {clock(seconds)}, gain less than {SETTLED} nats"
        seconds = 0.0
    else:
        do = f"search on for {clock(seconds)}, about {trials} more"
    why = (
        "the later half of the trials beside the earlier half, in all orders of them: in half of the orders it found"
        " nothing better, and the gain is the mean over all; measured on the validation images, which choose"
    )
    return [Line(KIND, do, why, loss, accuracy, {"seconds": seconds})]


def _by(found: Material, rows: list[dict[str, Any]], name: str, *, minimised: bool) -> Gain | None:
    """The gain in a metric of the trials, among them what the probe found where that is the best."""
    values = [float(row[name]) for row in rows if row.get(name) is not None]
    if len(values) < FEWEST_TRIALS:
        return None
    costs = values if minimised else [-value for value in values]
    known = [float(row[name]) for row in found.trials if row.get(name) is not None]
    best = min(known) if minimised else -max(known)
    # What is no better than the model that there is gains nothing.
    return gain_of_more(costs, max(0.0, min(costs) - best))


def _seconds(found: Material, rows: list[dict[str, Any]]) -> float:
    """How long the search took, by the clock where the run says so, else the sum of its trials."""
    from datetime import datetime

    started, finished = found.record.get("started"), found.record.get("finished")
    if not started or not finished:
        return sum(float(row["seconds"]) for row in rows)
    began, ended = (datetime.fromisoformat(_with_colon(str(text))) for text in (started, finished))
    return max(0.0, (ended - began).total_seconds())


def _with_colon(text: str) -> str:
    """A time with its zone as `+00:00`, which every Python reads."""
    return f"{text[:-2]}:{text[-2:]}" if len(text) > 19 and text[-3] != ":" else text
