"""Work in a process of its own, which takes with it whatever it held, a GPU's memory for one.

A process that once computed on a GPU holds some of its memory until it ends. The one that drives a search goes on for
days, so what it has to compute there it has computed by another.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from trainables.errors import WorkerBroken
from trainables.late_compiler import import_compiler_late

__all__ = ["results_apart"]

Job = TypeVar("Job")
Result = TypeVar("Result")

# Not multiprocessing: its fresh process would run the caller's own script again.
_CHILD = "import sys; from tuner.cluster.isolated import serve; serve(int(sys.argv[1]), int(sys.argv[2]))"


def results_apart(function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
    """`function` of each of `jobs`, in order and as they are done, all in one other process.

    The function stands at the top of a module; it, jobs and results can be pickled. Raises what the function raises,
    and WorkerBroken if the process dies.
    """
    asked, answered = os.pipe(), os.pipe()
    path = os.pathsep.join(name or os.curdir for name in sys.path)
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(asked[0]), str(answered[1])],
        pass_fds=(asked[0], answered[1]),
        env={**os.environ, "PYTHONPATH": path},
    )
    os.close(asked[0])
    os.close(answered[1])
    try:
        with os.fdopen(answered[0], "rb") as answers:
            with os.fdopen(asked[1], "wb") as line:
                pickle.dump((function, list(jobs)), line)
            for _ in jobs:
                yield _answer(answers, child)
    finally:
        child.kill()
        child.wait()


def serve(asked: int, answered: int) -> None:
    """What the other process does: read the jobs from one pipe, write what they give to the other."""
    import_compiler_late()
    with os.fdopen(asked, "rb") as line:
        function, jobs = pickle.load(line)
    with os.fdopen(answered, "wb") as answers:
        for job in jobs:
            try:
                answer = (True, function(job))
            except BaseException as error:
                answer = (False, error)
            pickle.dump(answer, answers)
            answers.flush()
            if not answer[0]:
                return


def _answer(answers: Any, child: "subprocess.Popen[bytes]") -> Any:
    try:
        done, result = pickle.load(answers)
    except EOFError:
        raise WorkerBroken(f"the process that computes apart ended with status {child.wait()}") from None
    if not done:
        raise result
    return result
