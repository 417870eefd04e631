"""Trainings in this process: kept like those on Ray, said like those, and refused where the disk is full."""

import io
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console
from seed_jobs import job

from trainables import worker
from trainables.errors import RunProblem
from tuner.console.reporter import Reporter
from tuner.release import retrain as retraining
from tuner.release.job import RetrainConfig
from tuner.retraining import here, seeds
from tuner.retraining.here import train_jobs_here
from tuner.retraining.kept import located


@pytest.fixture
def kept_job(tmp_path):
    return replace(job(tmp_path, {"train": 4, "test": 2}), kept=True, epochs=1)


def said(*jobs):
    """The results of jobs and the lines that were printed."""
    told = io.StringIO()
    found = train_jobs_here(jobs, Reporter(Console(file=told, width=1000)))
    return found, told.getvalue()


def test_each_seed_of_each_job_is_trained_once_and_kept_for_the_next_call(kept_job, monkeypatch):
    first, told = said((kept_job, [5]), (replace(kept_job, epochs=2), [5, 6]))
    assert [[one.seed for one in ones] for ones in first] == [[5], [5, 6]]
    assert [[len(one.history) for one in ones] for ones in first] == [[1], [2, 2]]
    assert "(3 of 3 done)" in told
    monkeypatch.setattr(seeds, "train_seed", lambda *_: pytest.fail("trained again"))
    again, told = said((kept_job, [5]), (replace(kept_job, epochs=2), [5, 6]))
    assert "3 of 3 trained models are kept from before; 0 to train" in told
    assert [one.weights for one in again[1]] == [one.weights for one in first[1]]


def test_the_process_is_as_it_was_afterwards(kept_job, monkeypatch):
    monkeypatch.setattr(here, "num_workers", lambda told: 2)
    monkeypatch.setattr(worker, "_state", {"prepared": False})
    memory = []
    monkeypatch.setattr(worker, "_mallopt", lambda settings: memory.append(settings) or True)
    inside = []
    train = seeds._try_seed
    monkeypatch.setattr(
        seeds, "_try_seed", lambda *given: inside.append(torch.get_num_threads()) or train(*given)
    )
    before = torch.get_num_threads()
    said((kept_job, [5]))
    assert (inside, torch.get_num_threads()) == ([2], before)
    assert memory[-1] == worker.USUAL
    assert worker._state == {"prepared": False}


def test_it_trains_as_ray_s_workers_do(kept_job):
    (((mine,),), _), other = said((kept_job, [5])), seeds.train_seed(located(kept_job), 5)
    assert mine.history[0]["train_loss"] == pytest.approx(other.history[0]["train_loss"], rel=1e-4)


def test_a_full_disk_is_a_sentence_before_anything_is_trained(kept_job, monkeypatch):
    monkeypatch.setattr(here, "lack_of_room", lambda one, running: "no room")
    monkeypatch.setattr(seeds, "train_seed", lambda *_: pytest.fail("trained"))
    with pytest.raises(RunProblem, match="no room"):
        said((kept_job, [5]))


def test_a_result_that_can_not_be_kept_is_warned_of_and_used(kept_job, monkeypatch):
    def full(one, result):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tuner.retraining.kept.keep", full)
    ((result,),), told = said((kept_job, [5]))
    assert result.seed == 5
    assert "seed 5 is trained but can't be kept" in told


@pytest.mark.parametrize(
    ("options", "trainings", "device", "expected"),
    [
        ({}, 1, "cpu", True),
        ({}, 2, "cpu", True),
        ({}, 3, "cpu", False),
        ({}, 1, "cuda", False),
        ({"address": "auto"}, 1, "cpu", False),
        ({"concurrent": 1}, 1, "cpu", False),
        ({"cpus_per_trial": 1.0}, 1, "cpu", False),
        ({"gpus_per_trial": 1.0}, 1, "cpu", False),
    ],
)
def test_ray_starts_where_somebody_asks_for_it_or_much_is_to_be_trained(
    options, trainings, device, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr("trainables.inference.best_device", lambda: SimpleNamespace(type=device))
    plan = SimpleNamespace(trainings=[(job(tmp_path, {"train": 2, "test": 1}), range(trainings))])
    assert retraining._needs_no_ray(RetrainConfig(tmp_path / "best.yaml", **options), plan) is expected
