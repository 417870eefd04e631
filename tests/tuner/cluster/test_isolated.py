"""Work in a process of its own."""

import os

import pytest

from trainables.errors import InvalidValue, WorkerBroken
from tuner.cluster.isolated import results_apart


def where(job):
    if job == "raise":
        raise InvalidValue("no such job")
    if job == "die":
        os._exit(3)
    print("what is printed is no answer")
    return job, os.getpid()


def test_all_jobs_are_done_in_order_in_one_other_process():
    answers = list(results_apart(where, ["a", "b", "c"]))
    assert [job for job, _ in answers] == ["a", "b", "c"]
    (process,) = {process for _, process in answers}
    assert process != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_what_the_work_raises_is_raised_here_after_what_was_done_before():
    answers = results_apart(where, ["a", "raise", "c"])
    assert next(answers)[0] == "a"
    with pytest.raises(InvalidValue, match="no such job"):
        next(answers)


def test_a_process_that_dies_is_told():
    with pytest.raises(WorkerBroken, match="status 3"):
        list(results_apart(where, ["die"]))


def test_a_reader_that_leaves_ends_the_process():
    answers = results_apart(where, ["a"] * 1000)
    _, process = next(answers)
    answers.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
