"""The same function over many files, in threads: Pillow and OpenCV work without the GIL."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["Progress", "in_threads", "num_workers"]

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[int, int], None]
"""Called with the number of images done and of all images."""

_AHEAD = 16
"""Results a thread may be ahead of the reader, which bounds the memory."""


def in_threads(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    at_end: Callable[[], object] = lambda: None,
) -> Iterator[Result]:
    """`function` of every item, in order, never more than a few results ahead of the reader.

    Ends without working off the rest when the reader stops or `function` raises; `at_end` is called before what is
    being worked on is waited for.
    """
    pool = ThreadPoolExecutor(workers)
    waiting: deque[Future[Result]] = deque()
    source = iter(items)
    try:
        while True:
            room = workers * _AHEAD - len(waiting)
            waiting.extend(pool.submit(function, item) for item in islice(source, room))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        at_end()
        pool.shutdown(cancel_futures=True)


def num_workers(workers: int | None) -> int:
    """`workers`, or as many as this process has cores."""
    if workers is not None:
        return max(1, workers)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return cores or 1
