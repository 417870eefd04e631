"""A worker that dies while it retrains."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from seed_jobs import job

from trainables.errors import RunProblem
from tuner.cluster.session import ray_session
from tuner.cluster.signals import Signals
from tuner.console.reporter import Reporter
from tuner.evaluation.retrained.session import SeedDemands
from tuner.retraining.seeds import train_jobs

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("two_cores")]


class Deadly(str):
    """A name; whoever unpickles it is killed."""

    __slots__ = ()

    def __reduce__(self):
        return eval, ("__import__('os').kill(__import__('os').getpid(), 9)",)


def test_a_worker_that_is_killed_again_and_again_costs_its_own_seed_only(tmp_path, monkeypatch):
    work = replace(job(tmp_path, {"train": 4, "test": 2}), epochs=1)
    monkeypatch.chdir(tmp_path)
    heard = []
    with (
        Signals(raises=True) as signals,
        ray_session(SeedDemands(concurrent=1), signals) as session,
        pytest.raises(RunProblem, match=r"^the deadly one: the process died 3 times"),
    ):
        train_jobs(
            [(replace(work, title=Deadly("the deadly one")), [1]), (work, [2])],
            session,
            Reporter(),
            lambda place, result: heard.append(SimpleNamespace(place=place, seed=result.seed)),
        )
    assert [(one.place, one.seed) for one in heard] == [(1, 2)]
