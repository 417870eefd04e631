import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.quality import anytime, anytime_table
from benchmarks.quality.anytime_contenders import Contender, Task, chooses_size, contenders, writes_model
from benchmarks.quality.anytime_rows import Answers, Cell, Row, add_row, read_rows, score
from benchmarks.quality.anytime_sets import LaidOut, draw, lay_out, open_set
from tuner.cli.app import commands

ANSWER = """
import csv, pathlib, sys
test, out = map(pathlib.Path, sys.argv[1:])
with out.open("w") as file:
    print("path,class,a,b", file=file)
    for image in sorted(test.rglob("*.png")):
        print(f"{image},a,0.8,0.2", file=file)
"""


@pytest.fixture
def folder(tmp_path):
    """Twenty-four images of each of two classes, four of each group."""
    random, groups = np.random.default_rng(0), ["path,group"]
    for label in "ab":
        (tmp_path / "spots" / label).mkdir(parents=True)
        for number in range(24):
            pixels = random.integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "spots" / label / f"{number}.png")
            groups.append(f"{label}/{number}.png,{label}{number // 4}")
    (tmp_path / "spots-groups.csv").write_text("\n".join(groups))
    return tmp_path / "spots"


def row(contender, split, losses, *, name="leaves", budget=None, groups=None, error=None, commit="abc"):
    right = tuple(int(loss < 0.69) for loss in losses)
    groups = tuple(groups or [f"{split}-{number}" for number in range(len(losses))])
    cell = Cell(contender, name, split, 400, 96, budget)
    answers = Answers(tuple(losses), right, groups) if error is None else Answers()
    return Row(cell, 396, 30.0, 2.0, answers, error, commit, "a machine", 0.1, "2026-01-01")


def test_three_splits_test_every_image_once_and_share_no_group_with_what_is_learned(folder):
    images = open_set(str(folder))
    drawn = [draw(images, split, 16) for split in range(3)]
    assert sorted(np.concatenate([one.tested for one in drawn])) == list(range(48))
    for one in drawn:
        groups = Counter(images.groups[one.learned])
        assert not set(groups) & set(images.groups[one.tested])
        assert set(groups.values()) == {4}
        assert Counter(images.labels[one.learned]) == {"a": 8, "b": 8}
    assert set(draw(images, 3, 16).tested) != set(drawn[0].tested)


def test_what_is_laid_out_are_class_folders_and_the_groups_of_the_training_images_alone(folder, tmp_path):
    drawn = draw(open_set(str(folder)), 0, 16)
    place = lay_out(drawn, tmp_path / "work")
    assert len(list(place.train.rglob("*.png"))) == 16
    assert len(list(place.test.rglob("*.png"))) == 16
    header, *rows = place.groups.read_text().splitlines()
    assert header == "path,group"
    assert all((place.train / line.split(",")[0]).is_file() for line in rows)
    assert len(rows) == 16


def test_a_row_is_read_as_it_was_written_and_a_cut_line_is_passed_over(tmp_path):
    file = tmp_path / "rows.jsonl"
    first, second = row("logistic", 0, [0.1, 0.7]), row("logistic", 1, [0.2, 0.3])
    add_row(file, first)
    with file.open("a") as out:
        out.write('{"cell": {"contender": "scr')
    add_row(file, second)
    assert read_rows(file) == [first, second]
    better = row("logistic", 0, [0.1, 0.1])
    add_row(file, better)
    assert read_rows(file) == [better, second]


def test_answers_are_scored_by_their_log_loss_and_their_likeliest_class():
    found = score([[0.5, 0.5], [0.1, 0.9]], ["a", "b"], ["a", "a"], ["g", "h"])
    assert found.losses == pytest.approx((0.693147, 2.302585))
    assert found.right == (1, 0)
    assert found.groups == ("g", "h")


def test_the_help_of_a_version_says_whether_it_chooses_the_size_and_writes_the_model():
    old = "  --image-size INTEGER   Side in pixels.\n  --weights TEXT   auto, imagenet or none\n"
    new = "  --image-size SIZE   Side in pixels,\n      or auto.\n  --out PATH   The model folder.\n"
    assert [chooses_size(old), chooses_size(new)] == [False, True]
    assert [writes_model(old), writes_model(new)] == [False, True]


def test_tuners_commands_are_options_that_this_version_has(tmp_path):
    task = Task(LaidOut(tmp_path, tmp_path / "g.csv", tmp_path), tmp_path, tmp_path, 96, 120.0, 0)
    for contender in contenders(["tuner"], ["given", "auto"], 96):
        lines = [*contender.fit(task), contender.predict(task)]
        assert lines[0][3] == "run"
        for _, _, _, name, *given in lines:
            parsed = commands.commands[name].make_context(name, list(given))
            assert not parsed.args
        assert str(task.model) in lines[-2]


def test_what_heeds_no_budget_is_measured_once():
    found = contenders(["logistic", "recipe", "script"], ["given"], 96)
    asked = [(one.name, budget) for one, budget in anytime._asked(found, [120.0, 480.0])]
    assert asked == [
        ("logistic", None),
        ("recipe, 3e-4", None),
        ("recipe, 1e-3", None),
        ("script", 120.0),
        ("script", 480.0),
    ]


def fake(name, ran, fit):
    def fitting(task):
        ran.append(name)
        return [[sys.executable, "-c", fit]]

    return Contender(
        name,
        False,
        fitting,
        lambda task: [sys.executable, "-c", ANSWER, str(task.images.test), str(task.answers)],
    )


def test_rows_that_are_there_are_not_run_again_and_one_that_fails_says_why(folder, tmp_path, monkeypatch):
    ran, file = [], tmp_path / "rows.jsonl"
    good, bad = fake("good", ran, "pass"), fake("bad", ran, "raise SystemExit('no room')")
    monkeypatch.setattr(anytime, "contenders", lambda *asked: [good, bad])
    options = argparse.Namespace(
        sets=[str(folder)],
        contenders=[],
        sizes=[],
        budgets=[],
        images=[16],
        splits=1,
        pixels=96,
        file=file,
        this_commit=False,
        again=False,
    )
    anytime._measure(options, tmp_path, "abc")
    first, second = read_rows(file)
    assert (first.answers.accuracy, first.learned, first.error) == (0.5, 16, None)
    assert first.answers.log_loss == pytest.approx(-np.log([0.8, 0.2]).mean(), abs=1e-5)
    assert second.error is not None
    assert second.error.endswith("no room\n")
    anytime._measure(options, tmp_path, "abc")
    assert ran == ["good", "bad"]
    options.again = True
    anytime._measure(options, tmp_path, "abc")
    assert ran == ["good", "bad", "bad"]


def test_rows_of_an_older_tuner_count_unless_this_commit_alone_is_asked_for():
    old, peer = row("tuner, 96 px", 0, [0.1]), row("script", 0, [0.1])
    for this_commit, counted in ((False, [True, True]), (True, [False, True])):
        options = argparse.Namespace(this_commit=this_commit, again=False)
        assert [anytime._counts(one, "def", options) for one in (old, peer)] == counted


def test_a_difference_is_over_the_images_of_the_splits_that_both_answered():
    own = [row("script", 0, [0.4, 0.6, 0.5, 0.7]), row("script", 1, [9.0, 9.0])]
    other = [row("logistic", 0, [0.3, 0.4, 0.4, 0.5]), row("logistic", 2, [9.0, 9.0])]
    assert anytime_table.difference(own, other).startswith("+0.1500 (+0.0581 to +0.2419")
    assert anytime_table.difference(own[1:], other) == "-"
    with pytest.raises(SystemExit, match="other test images"):
        anytime_table.difference(own, [row("logistic", 0, [0.3] * 4, groups="abcd")])


def test_only_a_contender_that_answered_everywhere_has_a_geometric_mean():
    rows = [
        row("logistic", 0, [0.1, 0.3]),
        row("logistic", 0, [0.8], name="objects"),
        row("script", 0, [0.2], budget=120.0),
        row("script", 0, [], name="objects", budget=120.0, error="no room"),
    ]
    assert anytime_table.geometric_mean("logistic", rows) == pytest.approx(0.4)
    assert anytime_table.geometric_mean("script", rows) is None


def test_the_tables_show_what_heeds_no_budget_in_each_and_count_failures(capsys):
    rows = [
        row("logistic", 0, [0.4, 0.4]),
        row("tuner, 96 px", 0, [0.2, 0.2], budget=120.0),
        row("tuner, 96 px", 0, [], budget=480.0, error="no room"),
    ]
    anytime_table.print_tables(rows)
    said = capsys.readouterr().out
    assert said.count("| logistic | 1 | 0.4000 | 1.000 | 30 | - |") == 2
    assert "| tuner, 96 px | 1 | 0.2000 | 1.000 | 30 | -0.2000 (-0.2000 to -0.2000) | - |" in said
    assert "| tuner, 96 px | 0, 1 failed | - | - | - | - | - |" in said
    assert "| tuner, 96 px | 0.2000 | 0.50 | 0.50 |" in said


@pytest.fixture
def options(folder, tmp_path):
    """What a peer is told, with a network of 0.4 million random weights."""
    import timm
    import torch

    from benchmarks.quality.peers.options import Options

    (tmp_path / "weights").mkdir()
    torch.save(
        timm.create_model("test_efficientnet").state_dict(), tmp_path / "weights" / "test_efficientnet.pt"
    )
    groups = folder.with_name("spots-groups.csv")
    return Options(folder, groups, tmp_path / "weights", 32, 1.0, 1e-3, 0, tmp_path / "model")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["logistic", "recipe", "script"])
def test_a_peer_writes_a_model_that_answers(name, options, tmp_path, monkeypatch):
    import importlib

    from benchmarks.quality.peers.predict import predict

    peer = importlib.import_module(f"benchmarks.quality.peers.{name}")
    if name == "recipe":
        monkeypatch.setattr(peer, "BACKBONE", "test_efficientnet")
    peer.fit(options)
    predict(options.out, options.data, tmp_path / "answers.csv")
    lines = (tmp_path / "answers.csv").read_text().splitlines()
    assert lines[0] == "path,a,b"
    assert len(lines) == 49
    path, *probabilities = lines[1].split(",")
    assert Path(path).is_file()
    assert sum(map(float, probabilities)) == pytest.approx(1)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_the_networks_last_layer_says_what_the_regression_says(num_classes):
    import torch

    from benchmarks.quality.peers.logistic import classifier, set_head

    random = np.random.default_rng(0)
    features, labels = 3 + 2 * random.normal(size=(40, 5)), np.arange(40) % num_classes
    solved = classifier(0.1).fit(features, labels)
    head = torch.nn.Linear(5, num_classes)
    set_head(head, solved)
    said = head(torch.from_numpy(features).float()).softmax(1).detach().numpy()
    assert said == pytest.approx(solved.predict_proba(features), abs=1e-5)
