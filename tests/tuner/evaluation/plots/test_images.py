"""The pictures of images: answers beside labels, confusion in shares, heat maps, augmentation."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure
from pictures import write_pictures
from PIL import Image
from safetensors.torch import save_file

from trainables import augmentations
from trainables.checkpoint import weights_of
from trainables.config import TrialConfig
from trainables.data.decode import read_rgb
from trainables.data.preprocessing import picture
from trainables.models import create
from tuner.cli import commands
from tuner.evaluation.comparison.evidence import Evidence
from tuner.evaluation.plots import augmented, heat
from tuner.evaluation.plots.answers import answers_sheet, chosen_answers
from tuner.evaluation.plots.confusion import shares, shares_of
from tuner.evaluation.plots.images import add_images
from tuner.evaluation.plots.mistakes import confident_mistakes
from tuner.evaluation.plots.mosaic import GAP, SIDE, tiled
from tuner.html.canvas import Names

CLASSES = ("blue", "green")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("images")
    write_pictures(place, {"blue": 10, "green": 10}, side=48)
    return place


@pytest.fixture
def evidence(folder, tmp_path):
    """A comparison whose chosen model, with real weights, takes every third image for the other class."""
    config = TrialConfig.resolve({"model": "resnet18", "strategy": "full", "augmentation": "strong"})
    paths = tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png")))
    labels = np.array([CLASSES.index(path.split("/")[0]) for path in paths])
    named = np.where(np.arange(len(paths)) % 3 == 0, 1 - labels, labels)
    logits = np.eye(2)[named] * np.linspace(0.1, 3, len(paths))[:, None]
    save_file(weights_of(create("resnet18", 2)), tmp_path / "best.safetensors")
    split = {
        "path": list(paths),
        "label": [CLASSES[code] for code in labels],
        "split": ["train"] * len(paths),
    }
    run = SimpleNamespace(
        record={"data": {"folder": str(folder)}, "image_size": 32, "seed": 1},
        split=lambda: pd.DataFrame(split),
        weights=lambda trial: tmp_path / f"{trial}.safetensors",
    )
    best = SimpleNamespace(key="best", run=run, row={"trial_id": "best"}, config=config, members=None)
    return Evidence((run,), (best,), CLASSES, paths, paths, labels, {"best": logits})


def texts(drawing):
    """What a drawing writes."""
    figure = Figure()
    drawing[1](figure)
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    found += [text for axes in figure.axes for text in (axes.get_ylabel(), axes.get_title(loc="left"))]
    return [text for text in found if text]


def test_answers_are_right_wrong_and_unsure_and_none_is_shown_twice():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 200)
    labels = np.where(random.random(200) < 0.7, probabilities.argmax(1), 0)
    found = chosen_answers(probabilities, labels.tolist())
    kinds = [one.kind for one in found]
    assert kinds == ["right"] * 6 + ["wrong"] * 6 + ["unsure"] * 6
    assert len({one.place for one in found}) == 18
    right, wrong, unsure = (found[start : start + 6] for start in (0, 6, 12))
    assert all(one.named == one.true_class for one in right)
    assert all(one.named != one.true_class for one in wrong)
    assert [one.confidence for one in wrong] == sorted((one.confidence for one in wrong), reverse=True)
    assert max(one.confidence for one in unsure) < np.quantile(probabilities.max(1), 0.1)
    assert found == chosen_answers(probabilities, labels.tolist())


def test_a_sure_answer_is_not_called_unsure_where_few_are():
    probabilities = np.array([[0.97, 0.03]] * 20 + [[0.7, 0.3]])
    found = chosen_answers(probabilities, [0] * 20 + [0])
    assert [one.place for one in found if one.kind == "unsure"] == [20]


def test_the_sheet_of_answers_says_beside_each_image_what_it_is_and_what_is_answered(evidence):
    said = texts(answers_sheet(evidence, CLASSES))
    kinds = [said.index(kind) for kind in ("right", "wrong", "unsure")]
    assert kinds == [0, 7, 14]
    assert len(said) == 3 + 18
    pairs = [re.fullmatch(r"is (\w+)\n(\w+), \d+ %", text).groups() for text in said if "\n" in text]
    assert [first == second for first, second in pairs[:12]] == [True] * 6 + [False] * 6


def test_the_shares_of_each_class_sum_to_one_and_are_written_in_percent():
    labels, named = [0, 0, 0, 0, 1], [0, 0, 0, 1, 1]
    assert shares_of(labels, named, 3).sum(1).tolist() == [1, 1, 0]
    assert texts(shares(labels, named, ["a", "b", "c"]))[:3] == ["75 %", "25 %", "100 %"]


def test_images_of_every_class_are_shown_and_always_the_same():
    paths, labels = [f"{n}.png" for n in range(40)], ["common"] * 36 + ["rare"] * 4
    chosen = augmented.some_of_each(paths, labels)
    assert [label for _, label in chosen] == ["common"] * 4 + ["rare"] * 4
    assert chosen == augmented.some_of_each(paths, labels)
    assert len(augmented.some_of_each(paths[:3], labels[:3])) == 3


@pytest.fixture
def caught(monkeypatch):
    """The rows, heads and sides that a mosaic is asked to draw."""
    seen = {}
    for module in (augmented, heat):
        monkeypatch.setattr(
            module,
            "mosaic",
            lambda rows, heads, sides: seen.update(rows=rows, heads=heads, sides=sides) or "m",
        )
    return seen


def test_the_sheet_of_augmentations_shows_every_policy_beside_the_image_as_it_is(folder, caught, tmp_path):
    chosen = [("blue/000.png", "blue"), ("gone.png", "blue"), ("green/001.png", "green")]
    assert augmented.every_policy(folder, chosen, 32) == "m"
    assert caught["heads"] == ["as it is", *augmentations.names()]
    assert caught["sides"] == ["blue", "green"]
    for row, path in zip(caught["rows"], ("blue/000.png", "green/001.png"), strict=True):
        assert (row[0] == picture(read_rgb(folder / path), 32, 37)).all()
        assert all(tile.shape == (32, 32, 3) for tile in row)
        assert len({tile.tobytes() for tile in row}) == len(row)
    assert augmented.every_policy(tmp_path, chosen, 32) is None


def test_one_policy_varies_from_epoch_to_epoch(folder, caught):
    augmented.one_policy(folder, [("blue/000.png", "blue")], 32, "moderate", seed=3)
    first = caught["rows"]
    assert caught["heads"] == ["as it is", *(f"epoch {n}" for n in range(1, 1 + augmented.EPOCHS))]
    assert len({tile.tobytes() for tile in first[0]}) == 1 + augmented.EPOCHS
    augmented.one_policy(folder, [("blue/000.png", "blue")], 32, "moderate", seed=3)
    assert all((a == b).all() for a, b in zip(first[0], caught["rows"][0], strict=True))


def test_heat_maps_lie_on_the_surest_mistakes_for_the_answer_and_for_the_truth(evidence, folder, caught):
    pytest.importorskip("pytorch_grad_cam")
    mistakes = confident_mistakes(evidence)
    assert heat.heat_maps(evidence, mistakes, CLASSES) == "m"
    assert len(caught["rows"]) == heat.SHOWN
    first = mistakes[0]
    assert caught["sides"][0] == f"is {CLASSES[first.true_class]}\nanswered {CLASSES[first.predicted]}"
    seen, answer, truth = caught["rows"][0]
    assert (seen == picture(read_rgb(folder / first.path), 32, 37)).all()
    assert (seen != answer).any()
    assert (answer != truth).any()


def test_there_are_no_heat_maps_without_grad_cam_or_without_weights(evidence, caught, monkeypatch):
    mistakes = confident_mistakes(evidence)
    evidence.finalists[0].run.weights("best").write_bytes(b"no weights")
    assert heat.heat_maps(evidence, mistakes, CLASSES) is None
    evidence.finalists[0].run.weights("best").unlink()
    assert heat.heat_maps(evidence, mistakes, CLASSES) is None
    monkeypatch.setattr("trainables.heat_maps.has_grad_cam", lambda: False)
    assert heat.heat_maps(evidence, mistakes, CLASSES) is None
    assert heat.heat_maps(evidence, [], CLASSES) is None


def test_a_report_gets_the_pictures_that_can_be_made(evidence, monkeypatch, tmp_path):
    monkeypatch.setattr("tuner.evaluation.plots.images.heat_maps", lambda *_: None)
    added = []
    add_images(lambda *what: added.append(what[:4]), evidence, confident_mistakes(evidence), Names(CLASSES))
    assert [name for name, *_ in added] == ["answers", "confusion-shares", "augmentation"]
    assert {group for _, group, *_ in added} == {"scores", "search"}
    assert "'strong'" in added[-1][-1]
    best = evidence.finalists[0]
    tuned, best.config = best.config, TrialConfig.resolve({"model": "resnet18", "strategy": "linear_probe"})
    added.clear()
    add_images(lambda *what: added.append(what[:4]), evidence, confident_mistakes(evidence), Names(CLASSES))
    assert [name for name, *_ in added] == ["answers", "confusion-shares"]
    best.config = tuned
    evidence.runs[0].record["data"]["folder"] = str(tmp_path / "gone")
    added.clear()
    add_images(lambda *what: added.append(what[:4]), evidence, [], Names(CLASSES))
    assert [name for name, *_ in added] == ["confusion-shares"]


def test_small_pictures_stand_side_by_side_with_clear_gaps():
    whole = tiled([[np.full((9, 9, 3), value, np.uint8) for value in (10, 200)]] * 3)
    step = SIDE + GAP
    assert whole.shape == (3 * step - GAP, 2 * step - GAP, 4)
    assert (whole[:SIDE, SIDE:step, 3] == 0).all()
    assert (whole[step : step + SIDE, step:, :3] == 200).all()


def test_inspect_draws_the_augmentations_where_it_is_asked(folder, tmp_path):
    out = tmp_path / "inspection"
    command = ["inspect", str(folder), "--augmentations", "--image-size", "32", "--out", str(out), "--json"]
    for _ in range(2):  # a picture that was drawn is drawn again
        done = CliRunner().invoke(commands, command)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["augmentations"] == str(out / "augmentations.png")
    assert [path.name for path in out.iterdir()] == ["augmentations.png"]
    with Image.open(out / "augmentations.png") as drawn:
        assert drawn.height > 8 * SIDE
