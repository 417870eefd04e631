"""A model folder from weights that a search kept: nothing is trained, and no Ray starts."""

import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from pictures import write_pictures
from tiny import epoch, store, write_space

from trainables.checkpoint import best_name, save_weights, weights_of
from trainables.config import TrialConfig
from trainables.errors import InvalidValue, RunProblem, UnknownName
from trainables.inference import build_classifier
from tuner.cli.models import release as command
from tuner.dataset.reading.scan import scan
from tuner.dataset.splitting import fingerprint, make_split
from tuner.release import formats
from tuner.release.folder import verify
from tuner.release.from_run import ReleaseConfig, release_model
from tuner.release.predict import load_model, predict
from tuner.retraining.scoring import score_weights
from tuner.runs.best_file import read_best
from tuner.runs.directory import Run, read_yaml
from tuner.statistics.scores import softmax
from tuner.tuning.judgement import Judged

SPACE = '''"""Linear probes."""


def space(trial):
    trial.suggest_float("probe_l2", 1e-4, 1.0, log=True)
    return {"model": "timm:test_resnet", "strategy": "linear_probe"}
'''


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Tests run several at once: threads that wait for a core would take most of the time."""
    monkeypatch.setattr("tuner.release.from_run.usable_cores", lambda: 1)


@pytest.fixture
def book(tmp_path):
    """The store of a run on pictures; those of the test part are gone from the disk."""
    write_pictures(tmp_path / "pictures", {"blue": 12, "green": 12})
    found = scan(tmp_path / "pictures")
    split = make_split(found, None, (0.6, 0.2, 0.2), 3)
    data = {
        "folder": str(tmp_path / "pictures"),
        "sample": False,
        "fingerprint": found.fingerprint,
        "classes": {"blue": 12, "green": 12},
        "fractions": [0.6, 0.2, 0.2],
        "groups": None,
        "group_regex": None,
        "split_fingerprint": fingerprint(split),
    }
    record = {"weights": "none", "metric": "val_loss", "seed": 3, "image_size": 32, "precision": "fp32"}
    run = Run.create(tmp_path / "run", {**record, "data": data, "versions": {}, "finished": None})
    run.write_split(split)
    run.write_images({image.path: image.pixels for image in found.images})
    for path in split.loc[split["split"] == "test", "path"]:
        (tmp_path / "pictures" / path).rename(tmp_path / path.replace("/", "-"))
    return store(tmp_path, write_space(tmp_path, SPACE), keep=1)


def train(book, loss, *, end="completed"):
    """A trial of one epoch, its weights those that it starts from; its name."""
    given = dict(book.next())
    name = str(given.pop("trial_id"))
    config = TrialConfig.resolve({key: value for key, value in given.items() if value is not None})
    book.run.alive(name).mkdir(parents=True, exist_ok=True)
    weights = weights_of(build_classifier(config, 2, "none", 3))
    save_weights(weights, book.run.alive(name) / best_name(1))
    book.report(name, epoch(1, loss))
    if end:
        book.finish(name, end, end)
    return name


def released(book, **options):
    options = {"out": book.run.path.parent / "model", **options}
    return release_model(ReleaseConfig(run=book.run.path, **options))


def test_the_best_kept_trial_becomes_a_model_and_the_test_images_are_not_read(book, tmp_path):
    train(book, 0.9)
    best = train(book, 0.5)
    done = released(book)
    verify(done.folder)
    assert done.metrics["trial"] == read_best(done.folder / "best.yaml").trial == best
    assert (done.metrics["trained_on"], done.metrics["test"]) == (["train"], None)
    assert done.metrics["why_no_test"] == "the test images were not read"
    card = (done.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "trained on the training images only, chosen on the validation images" in card
    assert "The test images were not read" in card
    assert not (book.run.path / "test_scored.yaml").exists()
    assert not (done.folder / "model.pt2").exists()


def test_the_card_has_the_warnings_about_the_images_of_the_search(book, monkeypatch):
    train(book, 0.5)
    seen = []
    monkeypatch.setattr(
        "tuner.release.card_images.image_warnings",
        lambda pictures, look: seen.append((pictures, look)) or ("look at the edge",),
    )
    card = (released(book).folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "- **Look at the edge.**" in card
    split, data = book.run.split(), book.run.record["data"]
    (told, look) = seen[0]
    assert not look
    assert told.fingerprint == data["fingerprint"]
    assert told.labels == dict(zip(split["path"], split["label"], strict=True))
    assert told.groups == dict(zip(split["path"], split["group"], strict=True))


def test_it_answers_as_the_kept_weights_do_after_a_temperature_of_their_own_answers(book, tmp_path):
    train(book, 0.5)
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "tuner.release.from_run.score_weights",
            lambda *given: seen.append(score_weights(*given)) or seen[-1],
        )
        done = released(book)
    split = book.run.split()
    paths = [tmp_path / "pictures" / path for path in split.loc[split["split"] == "val", "path"]]
    model = load_model(done.folder)
    answers = [one.probabilities for batch in [predict(model, paths)] for one in batch]
    temperature = done.metrics["calibration"]["temperature"]
    np.testing.assert_allclose(answers, softmax(seen[0] / temperature), atol=1e-4)
    assert len(seen) == 1
    assert done.metrics["calibration"]["validation"]["images"] == len(paths)
    assert sum(map(len, model.spec.scores)) == len(paths)


def test_a_search_that_was_killed_leaves_the_weights_of_the_trial_that_ran(book):
    train(book, 0.9)
    living = train(book, 0.5, end=None)
    assert released(book).metrics["trial"] == living


def test_an_epoch_whose_weights_were_not_written_any_more_is_left_out(book):
    living = train(book, 0.5, end=None)
    book.report(living, epoch(2, 0.4))
    expected = released(book).metrics["expected"]
    assert (expected["epoch"], expected["value"]) == (1, 0.5)


def test_a_finished_run_s_own_choice_goes_before_the_order_of_its_trials(book):
    chosen, better = train(book, 0.9, end=None), train(book, 0.5, end=None)
    book.run.write_yaml("best.yaml", {"trial": chosen})
    assert released(book).metrics["trial"] == better
    book.run.update_record(finished="2026-01-01T10:00:00")
    assert released(book, out=book.run.path.parent / "again").metrics["trial"] == chosen


def test_what_all_images_judged_keeps_the_error_of_all_images(book):
    name = train(book, 0.3)
    row = next(one for one in book.standings.rows.values() if one["trial_id"] == name)
    judged = Judged(name, int(row["best_epoch"]), 19, 19, 0.4, 0.5, 0.0123, True)
    pd.DataFrame([vars(judged)]).to_parquet(book.run.judged_file, index=False)
    expected = read_best(released(book).folder / "best.yaml").expected
    assert (expected.value, expected.standard_error) == (0.5, 0.0123)
    assert "19 groups of 19 images" in expected.spread


def test_a_trial_without_weights_is_answered_with_those_that_have_some(book):
    lost, kept = train(book, 0.9), train(book, 0.5)
    with pytest.raises(RunProblem, match=f"trial {lost} has no kept weights; there are those of {kept}"):
        released(book, trial=lost)
    with pytest.raises(UnknownName, match="unknown trial 'none'"):
        released(book, trial="none")
    assert not list(book.run.path.parent.glob(".model*"))


def test_a_run_without_any_weights_says_so(book):
    with pytest.raises(RunProblem, match="keeps no weights of any trial yet"):
        released(book)
    name = train(book, 0.5)
    book.run.weights(name).unlink()
    with pytest.raises(RunProblem, match="keeps no weights of any trial yet"):
        released(book)


def test_a_place_that_is_taken_is_left_alone(book, tmp_path):
    train(book, 0.5)
    (tmp_path / "model").mkdir()
    with pytest.raises(RunProblem, match="exists already; choose another --out"):
        released(book)


def test_with_test_the_test_images_are_scored_and_the_run_notes_it(book, tmp_path):
    name = train(book, 0.5)
    for file in tmp_path.glob("*-*.*"):
        file.rename(tmp_path / "pictures" / file.name.replace("-", "/", 1))
    done = released(book, test=True)
    assert done.metrics["test"]["images"] == (book.run.split()["split"] == "test").sum()
    [noted] = read_yaml(book.run.path / "test_scored.yaml")["scorings"]
    assert (noted["purpose"], noted["trials"]) == ("release", [name])
    assert len(pd.read_parquet(done.folder / "probabilities.parquet")) == done.metrics["test"]["images"]


def test_formats_that_are_left_out_are_not_there_and_unknown_ones_are_refused(book, tmp_path):
    train(book, 0.5)
    done = released(book, formats=("pt2",))
    assert not (done.folder / "model.onnx").exists()
    assert done.metrics["running_cost"] is None
    assert "model.onnx" not in (done.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    program = torch.export.load(done.folder / "model.pt2").module()
    assert program(torch.zeros(3, 32, 32, 3, dtype=torch.uint8))["probabilities"].shape == (3, 2)
    with pytest.raises(RunProblem, match="written with --formats that leave it out"):
        load_model(done.folder)
    with pytest.raises(UnknownName, match="did you mean 'onnx'"):
        released(book, formats=("onx",))
    with pytest.raises(InvalidValue, match="at least one of the formats onnx, pt2"):
        released(book, formats=())


@pytest.mark.slow
def test_a_graph_that_can_not_be_traced_is_exported_the_longer_way(book, monkeypatch):
    train(book, 0.5)

    def trace(portable, spec, path):
        raise RuntimeError("not traceable")

    monkeypatch.setattr(formats, "_trace", trace)
    done = released(book)
    assert done.metrics["largest_difference_of_exports"]["model.onnx"] < formats.TOLERANCE
    session = onnxruntime.InferenceSession(str(done.folder / "model.onnx"))
    [answers] = session.run(["probabilities"], {"images": np.zeros((3, 32, 32, 3), np.uint8)})
    assert answers.shape == (3, 2)


def test_the_command_says_what_is_released_and_what_to_do_next(book, tmp_path):
    name = train(book, 0.5)
    options = [str(book.run.path), "--out", str(tmp_path / "model"), "--formats", "onnx"]
    found = CliRunner().invoke(command, options, catch_exceptions=False)
    assert found.exit_code == 0
    said = " ".join(found.output.split())
    assert f"{name}: log loss 0.5000 on the validation images, after epoch 1" in said
    assert "next: tuner predict" in said


def test_neither_ray_nor_matplotlib_is_imported_for_it():
    code = (
        "import sys, tuner.release.from_run, tuner.release.writing, tuner.release.card, tuner.release.formats\n"
        "print(sorted({'ray', 'matplotlib', 'sklearn'} & set(sys.modules)))"
    )
    there = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=there, check=True
    )
    assert found.stdout.strip() == "[]"
