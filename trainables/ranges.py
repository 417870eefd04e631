"""The range of every number that a person gives to a command, or to the function of the same name.

Options of the command line, `SearchConfig`, `RetrainConfig` and the functions of `tuner.api` all ask `check`, so a
number is refused in the same words everywhere. NaN and infinity lie in no range. The parameters that a space
samples have theirs in `trainables.config`.
"""

import dataclasses
import math
import numbers
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from trainables.config import RANGES as SAMPLED
from trainables.errors import InvalidValue

__all__ = [
    "ALPHA",
    "MIN_CONFIDENCE",
    "NUMBERS",
    "Range",
    "check",
    "check_fields",
    "flag_of",
    "parse",
    "parse_within",
    "within",
]

DAY = 86_400.0


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both included; `or_zero` adds 0, `whole_from` is where fractions end."""

    low: float
    high: float
    whole: bool = True
    or_zero: bool = False
    whole_from: float | None = None


def _sampled(name: str) -> Range:
    return Range(*SAMPLED[name])


# By themselves, since the predict.py of a model folder needs these two and not all the others.
ALPHA, MIN_CONFIDENCE = Range(0.0001, 0.5, whole=False), Range(0, 1, whole=False)

NUMBERS: Mapping[str, Range] = {
    "samples": Range(1, 1_000_000),
    "max_epochs": _sampled("max_epochs"),
    "grace_period": _sampled("max_epochs"),
    # Closer to 1 the rungs would never reach the last epoch.
    "reduction_factor": Range(1.01, 1e6, whole=False),
    "concurrent": Range(1, 100_000),
    "cpus_per_trial": Range(0.1, 100_000, whole=False),
    # Ray takes no fraction of several GPUs, and counts in ten-thousandths.
    "gpus_per_trial": Range(0.001, 10_000, whole=False, or_zero=True, whole_from=1),
    "image_size": Range(16, 4096),
    "batch_size": _sampled("batch_size"),
    # What every library below takes as a seed.
    "seed": Range(0, 2**32 - 1),
    "time_budget_s": Range(1, 10_000 * DAY, whole=False),
    "keep": Range(1, 1_000_000),
    "max_failures": Range(0, 10_000),
    "feature_cache_bytes": Range(0, 2**60),
    "epochs": _sampled("max_epochs"),
    "seeds": Range(1, 10_000),
    "more_seeds": Range(0, 10_000),
    "networks": Range(1, 100),
    "members": Range(2, 100, or_zero=True),
    "folds": Range(2, 1_000, or_zero=True),
    "top": Range(1, 1_000_000),
    "most": Range(1, 1_000_000),
    "port": Range(0, 65_535),
    "alpha": ALPHA,
    "min_confidence": MIN_CONFIDENCE,
}
"""The range of each number by its name in Python."""

FLAGS: Mapping[str, str] = {
    "time_budget_s": "--time-budget",
    "more_seeds": "--seeds",
    "members": "--ensemble",
}
"""Options that are not named like their number."""


def flag_of(name: str) -> str:
    """The option that takes the number `name`."""
    return FLAGS.get(name, f"--{name.replace('_', '-')}")


def check(name: str, value: Any, flag: str | None = None) -> Any:
    """`value` as a plain int or float; None stays None. `flag` is what the message calls it.

    Raises InvalidValue for what is no number, not finite or outside `NUMBERS[name]`.

        >>> check("samples", 3.0)
        3
    """
    return within(NUMBERS[name], value, flag or flag_of(name))


def within(span: Range, value: Any, flag: str) -> Any:
    """The same for any `span`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InvalidValue(f"{flag} {value!r} is no number; {_words(span)} would be right")
    if not isinstance(value, numbers.Integral) and not math.isfinite(float(value)):
        raise InvalidValue(f"{flag} {value} is not finite; {_words(span)} would be right")
    number: float = int(value) if isinstance(value, numbers.Integral) else float(value)
    if span.or_zero and number == 0:
        return 0 if span.whole else 0.0
    if number < span.low:
        raise InvalidValue(
            f"{flag} {value} must be at least {span.low:.12g}{' or 0' if span.or_zero else ''}"
        )
    if number > span.high:
        raise InvalidValue(f"{flag} {value} must be at most {span.high:.12g}")
    fraction = int(number) != number
    if fraction and span.whole:
        raise InvalidValue(f"{flag} {value} must be a whole number")
    if fraction and span.whole_from is not None and number > span.whole_from:
        raise InvalidValue(f"{flag} {value} must be a whole number, or below {span.whole_from:g}")
    return int(number) if span.whole else float(number)


def check_fields(config: Any, except_for: Collection[str] = ()) -> None:
    """`check` the fields of a frozen dataclass that are named as in `NUMBERS`, and make them plain numbers."""
    for field in dataclasses.fields(config):
        if field.name in NUMBERS and field.name not in except_for:
            object.__setattr__(config, field.name, check(field.name, getattr(config, field.name)))


def parse(name: str, text: str) -> Any:
    """The number `name` in `text`; raises InvalidValue as `check` does."""
    return parse_within(NUMBERS[name], text, flag_of(name))


def parse_within(span: Range, text: str, flag: str) -> Any:
    """The same for any `span`."""
    try:
        number: float = int(text)
    except ValueError:
        try:
            number = float(text)
        except ValueError:
            raise InvalidValue(f"{flag} {text!r} is no number; {_words(span)} would be right") from None
    return within(span, number, flag)


def _words(span: Range) -> str:
    kind = "a whole number" if span.whole else "a number"
    return f"{'0 or ' if span.or_zero else ''}{kind} from {span.low:.12g} to {span.high:.12g}"
