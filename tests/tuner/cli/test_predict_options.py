import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pictures import write_pictures

import tuner
from trainables.models import create
from tuner.cli.models import predict
from tuner.release.folder import ModelSpec
from tuner.release.formats import write_formats
from tuner.release.portable import Portable

CLASSES = ("blue", "green")
SCORES = (tuple(np.linspace(0.3, 0.7, 12).tolist()),) * 2


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with model.onnx, calibrated, plain.onnx, not calibrated, and pictures."""
    folder = tmp_path_factory.mktemp("place")
    torch.manual_seed(0)
    classifier = create("timm:test_resnet", 2).eval()
    plain = ModelSpec("timm:test_resnet", CLASSES, 32, 37, classifier.mean, classifier.std)
    costs = ((0.0, 1.0), (1000.0, 0.0))
    calibrated = ModelSpec(
        "timm:test_resnet",
        CLASSES,
        32,
        37,
        classifier.mean,
        classifier.std,
        temperature=2.0,
        scores=SCORES,
        costs=costs,
    )
    images = np.zeros((1, 32, 32, 3), np.uint8)
    write_formats(Portable(classifier), plain, folder, images)
    (folder / "model.onnx").rename(folder / "plain.onnx")
    write_formats(Portable(classifier, temperature=2.0), calibrated, folder, images)
    write_pictures(folder / "pictures", {"blue": 2, "green": 2})
    return folder


def called(place, model, *options):
    return CliRunner().invoke(predict, [str(place / model), str(place / "pictures"), *options])


def test_sets_and_the_class_of_least_cost_stand_on_the_terminal(place):
    done = called(place, "model.onnx", "--alpha", "0.1")
    assert done.exit_code == 0, done.output
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert {line[1] for line in lines} == {"green"}
    assert "named is the class of least expected cost" in " ".join(done.stderr.split())
    assert {line[3] for line in lines} <= {"{blue, green}", "{green}", "{blue}", "{}"}


def test_below_the_confidence_the_document_says_unsure_and_keeps_the_probabilities(place):
    done = called(place, "model.onnx", "--min-confidence", "0.999", "--alpha", "0.2", "--json")
    rows = json.loads(done.stdout)["images"]
    assert {row["class"] for row in rows} == {"unsure"}
    assert all(isinstance(row["set"], list) for row in rows)
    assert all(row["blue"] + row["green"] == pytest.approx(1) for row in rows)


def test_the_temperature_is_in_the_graph(place):
    plain = tuner.predict(place / "plain.onnx", place / "pictures").rows
    warm = tuner.predict(place / "model.onnx", place / "pictures").rows
    for one, other in zip(plain, warm, strict=True):
        logit, half = (np.log(row["green"] / row["blue"]) for row in (one, other))
        assert half == pytest.approx(logit / 2, abs=1e-3)


def test_from_python_sets_are_lists_and_written_to_files(place, tmp_path):
    found = tuner.predict(place / "model.onnx", place / "pictures", alpha=0.1, min_confidence=0.5)
    assert all(set(row["set"]) <= set(CLASSES) for row in found.rows)
    found.write(tmp_path / "out.csv")
    assert "set" in (tmp_path / "out.csv").read_text().splitlines()[0].split(",")


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("plain.onnx", ["--alpha", "0.1"], "retrain it without that option, or at a lower learning rate"),
        ("model.onnx", ["--alpha", "2"], "--alpha 2 must be at most 0.5"),
        ("model.onnx", ["--min-confidence", "-1"], "--min-confidence -1 must be at least 0"),
    ],
)
def test_what_can_not_be_done_ends_with_status_two_and_one_sentence(place, here, model, options, said):
    done = here("predict", place / model, place / "pictures", *options)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_too_few_groups_are_said_on_standard_error(place):
    done = called(place, "model.onnx", "--alpha", "0.01")
    assert "needs 99 calibration groups of each class and the model has 24 in all" in " ".join(
        done.stderr.split()
    )
    assert "{blue, green}" in done.stdout
