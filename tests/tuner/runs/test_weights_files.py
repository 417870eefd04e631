"""The files of weights that a run began with: one that is gone or replaced is noticed before anything starts."""

import pytest
import torch
from fake_run import make_run
from pictures import write_pictures

from trainables import models
from trainables.errors import RunProblem, WeightsUnavailable
from tuner.release.seed_session import Retraining, SeedDemands, retrained
from tuner.runs.directory import Run
from tuner.runs.weights_files import changed_files, fingerprints
from tuner.tracking.reporter import Reporter
from tuner.tuning.config import SearchConfig
from tuner.tuning.prepare import prepare
from tuner.tuning.resume import resume

NAMES = ("resnet18", "timm:tf_efficientnet_lite0.in1k", "vgg16")
FILES = ("resnet18.pt", "tf_efficientnet_lite0.pt", "other.pt")


@pytest.fixture
def folder(tmp_path):
    """Files of two of three models, and one that is nobody's."""
    for number, file in enumerate(FILES):
        (tmp_path / file).write_bytes(bytes([number]))
    return tmp_path


def test_the_files_of_the_models_are_known_by_name_and_content(folder):
    before = fingerprints(str(folder), NAMES)
    assert {name: known["file"] for name, known in before.items()} == dict(
        zip(NAMES, FILES[:2], strict=False)
    )
    assert before["resnet18"]["sha256"].startswith("6e340b9cffb37a98")
    assert fingerprints(str(folder / "other.pt"), ["vgg16"])["vgg16"]["file"] == "other.pt"
    assert fingerprints("imagenet", NAMES) == fingerprints("none", NAMES) == {}
    assert changed_files(str(folder), before) == []


def test_a_replaced_file_is_named_and_only_that_of_a_model_that_is_asked_for(folder):
    before = fingerprints(str(folder), NAMES)
    (folder / "resnet18.pt").write_bytes(b"other")
    [said] = changed_files(str(folder), before)
    assert said == f"{folder / 'resnet18.pt'} has other content than when the run began"
    assert changed_files(str(folder), before, [NAMES[1]]) == []


def test_a_file_or_folder_that_is_gone_is_named(folder):
    before = fingerprints(str(folder), NAMES)
    (folder / "resnet18.pt").unlink()
    with pytest.raises(WeightsUnavailable, match=r"has no resnet18\.pt any more, from which resnet18 starts"):
        changed_files(str(folder), before)
    assert changed_files(str(folder), before, [NAMES[1]]) == []
    # A run of an earlier version knows of no files.
    assert changed_files(str(folder), {}) == []
    with pytest.raises(WeightsUnavailable, match="nowhere, from which models start, is not there any more"):
        changed_files(str(folder / "nowhere"), {})


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run that was prepared on the weights of a folder."""
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pictures", {"blue": 20, "green": 20})
    (tmp_path / "weights").mkdir()
    torch.save(models.create("resnet18", 2).backbone.state_dict(), tmp_path / "weights" / "resnet18.pt")
    config = SearchConfig(
        data=tmp_path / "pictures",
        models=("resnet18",),
        weights_dir=tmp_path / "weights",
        image_size=32,
        runs_dir=tmp_path,
        name="run",
    )
    return prepare(config).run


def test_a_run_goes_on_only_from_the_weights_that_it_began_with(begun):
    assert list(begun.record["weights_files"]) == ["resnet18"]
    file = begun.path.parent / "weights" / "resnet18.pt"
    file.rename(file.with_name("resnet50.pt"))
    with pytest.raises(WeightsUnavailable, match=r"has no resnet18\.pt any more"):
        resume(begun.path, samples=2)
    file.write_bytes(b"other")
    with pytest.raises(RunProblem, match=r"can't go on.*resnet18\.pt has other content"):
        resume(begun.path, samples=2)
    assert begun.record["settings"]["samples"] == 40


def test_finalists_are_not_trained_again_from_weights_that_are_gone(tmp_path):
    run = make_run(tmp_path / "run")
    Run.open(run.path).update_record(weights=str(tmp_path / "nowhere"))
    for asked in (Retraining(seeds=2), Retraining(folds=3), Retraining(also_by_image=True)):
        with (
            pytest.raises(WeightsUnavailable, match="nowhere, from which models start"),
            retrained([run.path], asked, SeedDemands(), Reporter()),
        ):
            pytest.fail("started")
