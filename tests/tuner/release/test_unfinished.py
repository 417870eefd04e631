"""What a retraining leaves and says that ends before its model is written."""

import contextlib
import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from test_retrain import make_best

from trainables.errors import Interrupted, RunProblem
from tuner.console.reporter import Reporter
from tuner.release import retrain as retraining
from tuner.release import unfinished as module
from tuner.release.job import RetrainConfig, Trained
from tuner.release.retrain import prepare_plan
from tuner.release.unfinished import kept_at_the_end, note_room, room_for_export, unfinished
from tuner.retraining.kept import keep
from tuner.retraining.seed_job import SEEDS, SeedResult
from tuner.runs.best_file import read_best


@pytest.fixture
def said():
    return io.StringIO()


@pytest.fixture
def reporter(said):
    return Reporter(Console(file=said, width=300))


@pytest.fixture
def asked(tmp_path):
    make_best(tmp_path)
    return RetrainConfig(best=tmp_path / "best.yaml", seeds=2, calibration=False)


@pytest.fixture
def planned(asked, reporter, tmp_path):
    work = tmp_path / ".model.unfinished"
    (work / SEEDS).mkdir(parents=True)
    return prepare_plan(asked, read_best(asked.best), work / SEEDS, reporter), work


def train_one(plan):
    """What the first seed leaves, its weights being a megabyte of nothing."""
    job, seed = plan.job, plan.seeds[0]
    Path(job.folder).mkdir(exist_ok=True)
    file = Path(job.folder) / f"{seed}-00001.safetensors"
    file.write_bytes(bytes(2**20))
    result = SeedResult(seed, ({"train_loss": 0.1},), (str(file),), np.eye(4, 2))
    keep(job, result)
    return result


def test_a_signal_says_how_many_models_are_kept_and_how_to_go_on(planned, reporter):
    plan, work = planned
    with pytest.raises(Interrupted, match="no model was trained yet"), kept_at_the_end(plan, work, reporter):
        raise KeyboardInterrupt
    train_one(plan)
    words = f"1 of 2 trained models are kept in {work}; the same command goes on with them"
    with pytest.raises(Interrupted, match=words), kept_at_the_end(plan, work, reporter):
        raise KeyboardInterrupt


def test_a_failure_says_what_is_kept_and_stays_what_it_was(planned, reporter, said):
    plan, work = planned
    train_one(plan)
    with pytest.raises(ZeroDivisionError), kept_at_the_end(plan, work, reporter):
        raise ZeroDivisionError
    assert f"note: 1 of 2 trained models are kept in {work}" in said.getvalue()


def test_models_of_other_settings_are_said_and_not_counted(planned, reporter, said, asked):
    plan, work = planned
    train_one(plan)
    longer = RetrainConfig(best=asked.best, seeds=2, calibration=False, epochs=9)
    other = prepare_plan(longer, read_best(asked.best), work / SEEDS, reporter)
    with pytest.raises(Interrupted, match="no model was trained yet"), kept_at_the_end(other, work, reporter):
        raise KeyboardInterrupt
    assert f"1 models that are kept in {work} are of other settings" in said.getvalue()


def test_two_commands_for_one_model_folder_do_not_work_at_once(tmp_path):
    with (
        unfinished(tmp_path / "model"),
        pytest.raises(RunProblem, match="another process trains"),
        unfinished(tmp_path / "model"),
    ):
        pass


def test_nothing_is_left_where_nothing_was_trained(tmp_path):
    with pytest.raises(KeyboardInterrupt), unfinished(tmp_path / "model"):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_too_little_room_is_said_before_anything_is_trained(planned, reporter, said, monkeypatch):
    plan, work = planned
    monkeypatch.setattr(module, "free_bytes", lambda folder: 200 * 2**20)
    note_room(plan, work, reporter)
    # Two models of 45 MB, and three files of one more.
    assert "has 210 MB free, and this needs 234 MB in all; make room" in said.getvalue()
    train_one(plan)
    before = said.getvalue()
    note_room(plan, work, reporter)
    assert said.getvalue() == before


def test_the_model_folder_is_not_begun_where_the_disk_has_no_room_for_it(planned, monkeypatch):
    plan, work = planned
    trained = Trained(((train_one(plan),),), None)
    monkeypatch.setattr(module, "free_bytes", lambda folder: 5 * 2**20)
    with (
        pytest.raises(RunProblem, match="no room on the disk for the model folder"),
        room_for_export(trained, work),
    ):
        pass
    assert not (work / "model").exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_disk_that_fills_up_while_the_model_is_written_is_one_sentence(planned, error):
    plan, work = planned
    trained = Trained(((train_one(plan),),), None)
    with pytest.raises(RunProblem, match="the disk is full"), room_for_export(trained, work):
        raise error
    assert not (work / "model").exists()
    assert Path(trained.models[0][0].weights[0]).exists()


def test_a_model_that_can_not_be_exported_leaves_what_was_written(planned):
    plan, work = planned
    trained = Trained(((train_one(plan),),), None)
    with pytest.raises(RunProblem, match="differently"), room_for_export(trained, work):
        raise RunProblem("it answers differently")
    assert (work / "model").exists()


def test_an_export_that_fails_keeps_the_seeds_and_the_same_call_takes_them(asked, monkeypatch, tmp_path):
    """`retrain` with Ray, training and writing replaced."""
    found = []

    def train(plan, session, reporter):
        found.append(module.num_kept(plan.trainings))
        return Trained(((train_one(plan),),), None)

    def finish(plan, trained, folder):
        if len(found) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        (folder / "written").touch()

    monkeypatch.setattr(retraining, "_needs_no_ray", lambda *_: False)
    monkeypatch.setattr(retraining, "_train", train)
    monkeypatch.setattr("tuner.release.writing.finish", finish)
    monkeypatch.setattr("tuner.cluster.session.ray_session", lambda *_: contextlib.nullcontext())
    with pytest.raises(RunProblem, match="the disk is full"):
        retraining.retrain(asked)
    retraining.retrain(asked)
    assert found == [0, 1]
    assert (tmp_path / "model" / "written").exists()
    assert not list(tmp_path.glob(".model*"))
