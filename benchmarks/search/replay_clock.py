"""A search in virtual time: what is searched, the clock that its trials share, and what came of it.

Every trial is a recorded or drawn curve; a searcher is told of it epoch by epoch, and decides as it would in earnest.
"""

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

import search_spaces
from benchmarks.search.replay_curves import Curve
from search_spaces import Space
from trainables.config import TrialConfig

OVERRIDES = {"max_epochs": 10, "patience": 0}

START_SECONDS = 0.05
"""Between two trials of one worker, the same for every search; see the benchmark `scale`."""


@dataclass(frozen=True)
class Problem:
    """What is searched: the space, narrowed to `allowed`."""

    space: Space
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def configure(self, trial: Any) -> TrialConfig:
        """The configuration that the space proposes through `trial`."""
        return search_spaces.configure(self.space, trial, OVERRIDES, self.allowed)


class Searcher(Protocol):
    """Proposes configurations and says after every epoch whether its trial goes on."""

    def start(self, number: int) -> TrialConfig:
        """The configuration of trial `number`."""

    def report(self, number: int, epoch: int, full_epochs: int, value: float) -> bool:
        """Whether the trial is to stop after this epoch."""

    def end(self, number: int, last: float, stopped: bool) -> None:
        """The trial ended, with `last` reported."""


@dataclass
class Trace:
    """What a replayed search did: when a better trial was found, in seconds of its clock, and how each trial ended."""

    found: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    epochs: int = 0
    trials: int = 0
    forced_finished: bool | None = None

    def value_at(self, seconds: float) -> float:
        """The best trial's expected loss after so many seconds."""
        return next((value for at, value in reversed(self.found) if at <= seconds), math.inf)

    def seconds_to(self, target: float) -> float | None:
        """Seconds until the best trial's expected loss first stayed at or below `target`."""
        reached = None
        for at, value in self.found:
            reached = (at if reached is None else reached) if value <= target else None
        return reached


def replay(
    searcher: Searcher,
    curve_of: Callable[[TrialConfig, int], Curve],
    seconds: float,
    workers: int = 2,
    seed: int = 0,
    forced: Mapping[int, Curve] | None = None,
) -> Trace:
    """Search for `seconds` on the clock with `workers` workers; `curve_of` is asked for a configuration and a number.

    The best trial is chosen by the values that it reported, and judged by its expected loss at that epoch. A trial in
    `forced` gets that curve, whatever was proposed, and its end ends the replay.
    """
    random = np.random.default_rng(seed)
    trace, best = Trace(), math.inf
    running: dict[int, tuple[Curve, int]] = {}
    events: list[tuple[float, int]] = []

    def epoch_of(number: int, now: float) -> None:
        curve, done = running[number]
        heapq.heappush(events, (now + curve.seconds[done] * random.uniform(0.9, 1.1), number))

    def begin(now: float) -> None:
        number = trace.trials
        trace.trials += 1
        config = searcher.start(number)
        running[number] = ((forced or {}).get(number) or curve_of(config, seed * NUMBERS + number), 0)
        epoch_of(number, now + START_SECONDS)

    for _ in range(workers):
        begin(0.0)
    while events[0][0] <= seconds:
        now, number = heapq.heappop(events)
        curve, done = running[number]
        trace.epochs += 1
        trace.seconds = now
        value = curve.values[done]
        if value < best:
            best = value
            trace.found.append((now, curve.expected[done]))
        stop = searcher.report(number, done + 1, curve.full_epochs[done], value)
        if stop or done + 1 == len(curve.values):
            whole = done + 1 == len(curve.values)
            searcher.end(number, value, stop and not whole)
            if number in (forced or {}):
                trace.forced_finished = whole
                return trace
            begin(now)
        else:
            running[number] = (curve, done + 1)
            epoch_of(number, now)
    return trace


NUMBERS = 100_000
"""More than a search has trials."""
