"""The files of weights that a run began with: one that is gone or replaced is noticed before anything starts."""

import hashlib

import pytest
import torch
from fake_run import make_run
from library_weights import SMALL, put_weights, use_own_libraries
from pictures import write_pictures

from trainables import models
from trainables.errors import RunProblem, WeightsUnavailable
from trainables.file_digest import file_digest
from tuner.console.reporter import Reporter
from tuner.evaluation.retrained.session import Retraining, SeedDemands, retrained
from tuner.runs.directory import Run
from tuner.runs.weights_files import changed_files, fingerprints
from tuner.tuning.config import search_config
from tuner.tuning.prepare import prepare
from tuner.tuning.resume import resume

NAMES = ("resnet18", "timm:tf_efficientnet_lite0.in1k", "vgg16")
FILES = ("resnet18.pt", "tf_efficientnet_lite0.pt", "other.pt")


LIBRARYS = {"origin": "imagenet", "sha256": hashlib.sha256(b"library").hexdigest()}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files of two of three models, and one that is nobody's; the third is in torchvision's own folder."""
    use_own_libraries(tmp_path / "libraries", monkeypatch)
    library = tmp_path / "libraries" / "torch" / "hub" / "checkpoints" / "vgg16-397923af.pth"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"library")
    for number, file in enumerate(FILES):
        (tmp_path / file).write_bytes(bytes([number]))
    return tmp_path


def test_the_files_of_the_models_are_known_by_name_and_content(folder):
    before = fingerprints(str(folder), NAMES)
    assert {name: known["file"] for name, known in before.items() if "origin" not in known} == dict(
        zip(NAMES, FILES[:2], strict=False)
    )
    assert before["resnet18"]["sha256"].startswith("6e340b9cffb37a98")
    assert fingerprints(str(folder / "other.pt"), ["vgg16"])["vgg16"]["file"] == "other.pt"
    assert before["vgg16"] == {**LIBRARYS, "file": "vgg16-397923af.pth"}
    assert fingerprints("none", NAMES) == {}
    assert changed_files(str(folder), before) == []
    assert list(fingerprints("imagenet", ["vgg16"]).values()) == [before["vgg16"]]


def test_a_replaced_file_is_named_and_only_that_of_a_model_that_is_asked_for(folder):
    before = fingerprints(str(folder), NAMES)
    (folder / "resnet18.pt").write_bytes(b"other")
    [said] = changed_files(str(folder), before)
    assert said == f"{folder / 'resnet18.pt'} has other content than when the run began"
    assert changed_files(str(folder), before, [NAMES[1]]) == []


def test_a_file_or_folder_that_is_gone_is_named(folder):
    before = fingerprints(str(folder), NAMES)
    (folder / "resnet18.pt").unlink()
    with pytest.raises(WeightsUnavailable, match=r"resnet18\.pt in .* is gone, but resnet18 starts from it"):
        changed_files(str(folder), before)
    assert changed_files(str(folder), before, [NAMES[1]]) == []
    # A run of an earlier version knows of no files.
    assert changed_files(str(folder), {}) == []
    with pytest.raises(WeightsUnavailable, match="nowhere is gone, but models start from it"):
        changed_files(str(folder / "nowhere"), {})


def test_a_library_s_file_that_was_replaced_is_told_and_one_that_is_not_here_is_passed_over(folder):
    before = fingerprints("imagenet", ["vgg16"])
    assert changed_files("imagenet", before) == []
    library = folder / "libraries" / "torch" / "hub" / "checkpoints" / "vgg16-397923af.pth"
    library.write_bytes(b"another")
    said = f"the weights of vgg16 in {library} have other content than those that the run began with"
    assert changed_files("imagenet", before) == changed_files(str(folder), before) == [said]
    library.unlink()
    assert changed_files("imagenet", before) == []


def test_a_library_s_file_that_is_gone_is_fetched_where_that_is_asked_for(folder, monkeypatch):
    before = fingerprints("imagenet", ["vgg16"])
    library = folder / "libraries" / "torch" / "hub" / "checkpoints" / "vgg16-397923af.pth"
    library.unlink()
    monkeypatch.setattr(models, "fetch", lambda name: library.write_bytes(b"library of today"))
    assert len(changed_files("imagenet", before, fetch=True)) == 1
    library.unlink()
    monkeypatch.setattr(models, "fetch", lambda name: library.write_bytes(b"library"))
    assert changed_files("imagenet", before, fetch=True) == []


def test_a_run_on_the_libraries_weights_goes_on_only_from_those(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    use_own_libraries(tmp_path / "libraries", monkeypatch)
    write_pictures(tmp_path / "pictures", {"blue": 20, "green": 20})
    file = put_weights(tmp_path / "libraries", SMALL, 0)
    space = tmp_path / "small.py"
    space.write_text(
        f'''"""One model."""\n\n\ndef space(trial):\n    return {{"model": "{SMALL}", "strategy": "full"}}\n'''
    )
    config = search_config(
        *(str(space), tmp_path / "pictures"), image_size=32, weights="imagenet", runs_dir=tmp_path, name="run"
    )
    run = prepare(config).run
    [known] = run.record["weights_files"].values()
    assert known == {"file": "model.safetensors", "origin": "imagenet", "sha256": file_digest(file)}
    put_weights(tmp_path / "libraries", SMALL, 1)
    with pytest.raises(
        RunProblem, match=r"can't go on.*the weights of timm:test_resnet in .* have other content"
    ):
        resume(run.path, samples=2)


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run that was prepared on the weights of a folder."""
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pictures", {"blue": 20, "green": 20})
    (tmp_path / "weights").mkdir()
    torch.save(models.create("resnet18", 2).backbone.state_dict(), tmp_path / "weights" / "resnet18.pt")
    config = search_config(
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
    with pytest.raises(WeightsUnavailable, match=r"weights is gone, but resnet18 starts from it"):
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
            pytest.raises(WeightsUnavailable, match="nowhere is gone, but models start from it"),
            retrained([run.path], asked, SeedDemands(), Reporter()),
        ):
            pytest.fail("started")
