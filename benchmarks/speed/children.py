"""Contenders in processes of their own, which prepare once and measure when told to, alone or side by side."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

Measure = Callable[[], Any]
Make = Callable[[Any], Measure]


@dataclass(frozen=True)
class Child:
    """A process that has prepared a contender."""

    process: BaseProcess
    line: Connection


@contextlib.contextmanager
def children(make: Make, jobs: Sequence[Any]) -> Iterator[list[Child]]:
    """One process a job, each of which has called `make(job)` and waits."""
    context = multiprocessing.get_context("spawn")
    started = []
    try:
        for job in jobs:
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, make, job))
            process.start()
            there.close()
            started.append(Child(process, here))
        for child in started:
            child.line.recv()
        yield started
    finally:
        for child in started:
            with contextlib.suppress(OSError):
                child.line.send(False)
            child.process.join()


def measure_at_once(group: Sequence[Child]) -> list[Any]:
    """What each measures while the others do so too."""
    for child in group:
        child.line.send(True)
    return [child.line.recv() for child in group]


def _serve(line: Connection, make: Make, job: Any) -> None:
    measure = make(job)
    line.send(None)
    while line.recv():
        line.send(measure())
