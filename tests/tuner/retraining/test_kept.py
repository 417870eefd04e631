"""What trained seeds leave behind, and when it is taken for what is asked for."""

import errno
import os
import resource
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import ray as real_ray
from ray.exceptions import WorkerCrashedError
from seed_jobs import InstantRay, job

from trainables import checkpoint
from trainables.errors import RunProblem, UserMistake
from tuner.console.reporter import Reporter
from tuner.retraining import kept, room, seeds
from tuner.retraining.kept import find, keep, located
from tuner.retraining.seed_job import SeedResult
from tuner.retraining.seeds import train_jobs, train_seed

SESSION = SimpleNamespace(resources={"cpu": 1.0}, slots=lambda: 1)


@pytest.fixture
def kept_job(tmp_path):
    return replace(job(tmp_path, {"train": 4, "test": 2}), kept=True)


@pytest.fixture
def trained(monkeypatch):
    """Ray and training replaced; the seeds that were trained. A seed below 0 raises `raising`."""
    done = SimpleNamespace(seeds=[], raising=RuntimeError("broken"))

    def train(job, seed):
        if seed < 0:
            raise done.raising
        done.seeds.append(seed)
        Path(job.folder).mkdir(parents=True, exist_ok=True)
        file = Path(job.folder) / f"{seed}-00001.safetensors"
        file.write_bytes(b"weights")
        return SeedResult(seed, ({"train_loss": 0.5, "val_loss": None},), (str(file),), np.eye(2) * seed)

    monkeypatch.setattr(seeds, "ray", InstantRay())
    monkeypatch.setattr(seeds, "train_seed", train)
    return done


def run(*jobs):
    return train_jobs(jobs, SESSION, Reporter())


def test_a_kept_result_comes_back_as_it_was(kept_job):
    own = located(kept_job)
    assert find(own, 5) is None
    result = train_seed(own, 5)
    keep(own, result)
    again = find(own, 5)
    assert (again.seed, again.weights, again.error) == (5, result.weights, None)
    assert list(map(dict, again.history)) == list(map(dict, result.history))
    np.testing.assert_array_equal(again.test_logits, result.test_logits)
    Path(result.weights[0]).unlink()
    assert find(own, 5) is None


def test_a_result_that_is_half_there_or_diverged_is_none(kept_job):
    own = located(kept_job)
    keep(own, SeedResult(5, error="loss is nan"))
    assert not Path(own.folder).exists()
    Path(own.folder).mkdir()
    (Path(own.folder) / "5.npz").write_bytes(b"PK\x03\x04 half of it")
    assert find(own, 5) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"epochs": 3},
        {"image_size": 64},
        {"precision": "bf16"},
        {"run_seed": 1},
        {"late": 2},
        {"cache": "elsewhere/of-other-pictures-36px.images"},
        {"rows": (("train/blue/000.png", "green", "train"),)},
        {"classes": ("green", "blue")},
    ],
)
def test_what_another_job_left_is_not_taken(kept_job, changes):
    assert located(replace(kept_job, **changes)).folder != located(kept_job).folder


def test_what_has_no_effect_on_a_result_does_not_part_jobs(kept_job):
    alike = replace(kept_job, num_threads=7, title="x", cache=f"/elsewhere/{Path(kept_job.cache).name}")
    assert located(alike) == replace(alike, folder=located(kept_job).folder)
    assert located(located(kept_job)) == located(kept_job)


def test_another_file_of_weights_under_the_same_name_is_another_job(kept_job, tmp_path):
    file = tmp_path / "w.pt"
    file.write_bytes(b"one")
    own = replace(kept_job, weights=str(file))
    before = located(own).folder
    file.write_bytes(b"two")
    assert located(own).folder != before


def test_other_versions_of_the_libraries_make_another_job(kept_job, monkeypatch):
    before = located(kept_job).folder
    monkeypatch.setattr(kept, "versions", lambda: {"torch": "99"})
    assert located(kept_job).folder != before


def test_only_seeds_that_are_not_kept_are_trained(kept_job, trained):
    run((kept_job, [1, 2]))
    results = run((kept_job, [1, 2, 3]), (replace(kept_job, epochs=9), [1]))
    assert trained.seeds == [1, 2, 3, 1]
    assert [[result.seed for result in own] for own in results] == [[1, 2, 3], [1]]
    np.testing.assert_array_equal(results[0][1].test_logits, np.eye(2) * 2)


def test_jobs_that_keep_nothing_leave_nothing(kept_job, trained):
    run((replace(kept_job, kept=False), [1]))
    assert not list(Path(kept_job.folder).glob("*.npz"))
    run((replace(kept_job, kept=False), [1]))
    assert trained.seeds == [1, 1]


def test_a_seed_that_raises_costs_none_that_is_trained(kept_job, trained):
    trained.raising = real_ray.exceptions.RayTaskError("train_seed", "trace", RuntimeError("broken"))
    with pytest.raises(real_ray.exceptions.RayTaskError):
        run((kept_job, [1, -1, 2]))
    assert trained.seeds == [1]
    assert find(located(kept_job), 1) is not None


def test_what_a_person_can_mend_in_a_worker_is_one_sentence_here(kept_job, trained):
    trained.raising = real_ray.exceptions.RayTaskError("train_seed", "trace", RunProblem("no room"))
    with pytest.raises(UserMistake, match=r"^no room$"):
        run((kept_job, [1, -1]))


def test_a_process_that_dies_again_and_again_costs_its_own_seed_only(kept_job, trained):
    trained.raising = WorkerCrashedError()
    with pytest.raises(RunProblem, match=r"^seed -1: the process died 3 times.*--concurrent 1"):
        run((kept_job, [1, -1, 2]))
    assert trained.seeds == [1, 2]


def test_no_seed_is_trained_whose_weights_have_no_room(kept_job, trained, monkeypatch):
    free = [100 * 2**20, 30 * 2**20]
    monkeypatch.setattr(room, "free_bytes", lambda folder: free.pop(0))
    with pytest.raises(RunProblem, match=r"no room on the disk .*46 MB needed, 31 MB free.*make room"):
        run((kept_job, [1, 2]))
    assert trained.seeds == [1]


def test_weights_that_still_train_take_their_room_already(kept_job, monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda folder: 80 * 2**20)
    assert room.lack_of_room(kept_job, []) is None
    assert room.lack_of_room(kept_job, [kept_job]) is not None
    assert room.lack_of_room(replace(kept_job, late=0), [kept_job]) is None


def test_the_room_of_a_model_is_what_its_file_takes(kept_job):
    own = located(kept_job)
    [file] = train_seed(own, 5).weights
    assert abs(Path(file).stat().st_size - room.model_bytes(own)) < 50_000


def test_weights_that_a_full_disk_refuses_are_one_sentence_and_leave_no_half_file(kept_job):
    own = located(kept_job)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, before[1]))
    try:
        with pytest.raises(RunProblem, match=r"the trained weights can't be written .*make room there"):
            train_seed(own, 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(Path(own.folder).iterdir())


def test_a_file_that_could_not_be_written_whole_is_removed(tmp_path):
    def half(file):
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space"):
        checkpoint._replace(tmp_path / "x", half)
    assert not list(tmp_path.iterdir())
