"""The same function over many files, in processes: what is written in Python takes turns in threads.

Of a small picture most of the time goes into Python, which no number of threads makes faster. A process takes a third
of a second to start, so a few files are not worth it. The processes are not those of `multiprocessing`, which would run
the caller's `__main__` again.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, TypeVar

from trainables.data.parallel import in_threads
from trainables.errors import RunProblem

__all__ = ["in_processes", "serve"]

Item = TypeVar("Item")
Result = TypeVar("Result")

MANY = 2_000
"""Fewer items are worked off in threads."""

CHUNK = 16
"""Items that a process is given at once: few, so that progress is told often and all end together."""

MOST = 16
"""Processes at most: one thread hands out the work, and each process takes memory of its own."""

_PROGRAM = "import sys; sys.path[:] = {path!r}; from trainables.data.processes import serve; serve()"


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int, many: int = MANY
) -> Iterator[Result]:
    """`function` of every item, in order, in `workers` processes, `MOST` at most; of fewer than `many` in threads.

    `function`, items and results have to be picklable. What `function` raises is raised here. Raises RunProblem where a
    process ends, as one does whose memory the system takes.
    """
    if workers < 2 or len(items) < many:
        yield from in_threads(function, items, workers)
        return
    workers = min(workers, MOST)
    chunks = [items[first : first + CHUNK] for first in range(0, len(items), CHUNK)]
    with contextlib.ExitStack() as stack:
        free: SimpleQueue[_Child] = SimpleQueue()
        children = [stack.enter_context(_Child()) for _ in range(workers)]
        for child in children:
            free.put(child)

        def work_off(chunk: Sequence[Item]) -> list[Any]:
            child = free.get()
            try:
                return child.ask(function, chunk)
            finally:
                free.put(child)

        def kill() -> None:
            for child in children:
                child.kill()

        # Killed at once, or Ctrl-C would wait for what they are working on.
        for results in in_threads(work_off, chunks, workers, kill):
            yield from results


class _Child:
    """A process that works off what it is given until its input ends, as it does with its parent."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> "_Child":
        return self

    def kill(self) -> None:
        """End the process; whoever waits for its answer hears that it ended."""
        self._process.kill()

    def __exit__(self, *exception: object) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()

    def ask(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """The results of `items`."""
        send, receive = self._process.stdin, self._process.stdout
        if send is None or receive is None:
            raise RunProblem("a process that reads images has no pipes")
        try:
            pickle.dump((function, items), send, pickle.HIGHEST_PROTOCOL)
            send.flush()
            done, answer = pickle.load(receive)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError) as error:
            raise RunProblem(
                f"a process that reads images ended at {items[0]!r} or one of the {len(items) - 1} after it, as one"
                " does whose memory the system takes"
            ) from error
        if not done:
            raise answer
        results: list[Result] = answer
        return results


def serve() -> None:
    """Work off what comes on standard input until it ends; what `_Child` runs."""
    import cv2

    from trainables.data.decode import quiet_decoding

    # Ctrl-C reaches all processes of the terminal; the parent tells this one when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    # What a library prints must not come between the answers.
    with os.fdopen(os.dup(1), "wb") as answers, quiet_decoding():
        os.dup2(2, 1)
        while True:
            try:
                function, items = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            answer: tuple[bool, Any]
            try:
                answer = (True, [function(item) for item in items])
            except Exception as error:
                answer = (False, error)
            try:
                pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
                answers.flush()
            except BrokenPipeError:
                return
