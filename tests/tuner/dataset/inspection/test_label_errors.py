"""Labels that a probe doubts: ranked, written down for a person, and left out only when marked."""

import csv
import importlib.util
import json
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pictures import write_pictures
from tiny import write_space

from trainables import models
from trainables.errors import WeightsUnavailable
from tuner.cli import commands
from tuner.console.reporter import Reporter
from tuner.dataset.config import DataConfig
from tuner.dataset.inspection import label_errors as suspects
from tuner.dataset.inspection.label_errors import SELF_CONFIDENCE, find_suspects, rank
from tuner.dataset.reading.scan import scan
from tuner.tuning.config import search_config
from tuner.tuning.prepare import prepare

SWAPPED = ("blue/001.png", "blue/007.png", "green/003.png")


@pytest.fixture
def mislabelled(tmp_path, monkeypatch):
    """Pictures of which three lie in the wrong class folder, and weights of a random network."""
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(suspects, "_has_cleanlab", lambda: False)
    folder = tmp_path / "pictures"
    write_pictures(folder, {"blue": 25, "green": 25})
    for path in SWAPPED:
        label, name = path.split("/")
        other = "green" if label == "blue" else "blue"
        shutil.move(folder / path, folder / other / f"moved-{label}-{name}")
    weights = tmp_path / "weights"
    weights.mkdir()
    torch.save(models.create("resnet18", 2, seed=1).backbone.state_dict(), weights / "resnet18.pt")
    return folder, weights


def moved(paths):
    return {path for path in paths if "moved" in path}


def config_of(folder, weights):
    return DataConfig(folder=folder, image_size=32, weights_dir=weights, backbones="resnet18")


def test_pictures_in_the_wrong_folder_come_first(mislabelled):
    folder, weights = mislabelled
    found = find_suspects(config_of(folder, weights), scan(folder), {}, Reporter())
    assert found.method == SELF_CONFIDENCE
    assert moved(found.paths[place] for place in found.order[:3]) == moved(found.paths)
    first = found.row(found.order[0])
    assert first["given"] != first["likely"]
    assert first["probability_of_given"] < 0.5 < first["probability_of_likely"]
    assert len(found.order) == 50


def test_without_a_pretrained_backbone_it_says_what_is_needed(mislabelled):
    folder, _ = mislabelled
    config = DataConfig(folder=folder, weights="none")
    with pytest.raises(
        WeightsUnavailable, match=r"--suspects needs .* backbone; ways out: --weights-dir DIR"
    ):
        find_suspects(config, scan(folder), {}, Reporter())


def test_self_confidence_is_the_probability_of_the_given_label():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [np.nan, np.nan], [0.6, 0.4]])
    order, flagged, method = rank(np.array([0, 0, 1, 1]), probabilities, SELF_CONFIDENCE)
    assert order.tolist() == [1, 3, 0]
    assert (flagged, method) == (None, "self-confidence")


@pytest.mark.skipif(importlib.util.find_spec("cleanlab") is None, reason="cleanlab is not installed")
def test_cleanlab_flags_wrong_labels_and_puts_them_first():
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 200)
    sure = np.where(truth[:, None] == np.arange(2), 0.95, 0.05)
    given = truth.copy()
    given[:10] = 1 - given[:10]
    order, flagged, method = rank(given, sure)
    assert method == "cleanlab"
    assert set(order[:10]) == set(range(10)) == set(np.flatnonzero(flagged))


def test_inspect_writes_a_table_and_a_page_and_a_run_leaves_out_what_is_marked(mislabelled, tmp_path):
    folder, weights = mislabelled
    before = sorted(path.name for path in folder.rglob("*.png"))
    out = tmp_path / "found"
    command = ["inspect", str(folder), "--suspects", "--backbone", "resnet18", "--weights-dir", str(weights)]
    command += ["--image-size", "32", "--out", str(out), "--json"]
    shown = CliRunner().invoke(commands, command, catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    told = json.loads(shown.stdout)["suspects"]
    assert moved(row["path"] for row in told["first"][:3]) == moved(row["path"] for row in told["first"])
    page = (out / "suspects.html").read_text(encoding="utf-8")
    assert page.count('type="checkbox"') == 50
    assert "looks like" in page
    table = out / "suspects.csv"
    again = f"tuner run --data {folder} --without {table} --weights-dir {weights}"
    assert again in " ".join(shown.stderr.split())
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 50
    assert all(row["leave_out"] == "" for row in rows)
    for row in rows[:2]:
        row["leave_out"] = "yes"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    space = str(write_space(tmp_path))
    run = prepare(
        search_config(
            space=space, data=folder, without=table, weights="none", image_size=32, runs_dir=tmp_path / "runs"
        )
    ).run
    assert run.record["data"]["left_out"] == sorted(row["path"] for row in rows[:2])
    assert len(run.split()) == 48
    assert sorted(path.name for path in folder.rglob("*.png")) == before
