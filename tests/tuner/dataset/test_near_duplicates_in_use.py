"""Groups proposed from likeness: found, written down, used only when asked, and said to be what they are."""

import csv
import json

import pytest
import torch
from click.testing import CliRunner
from scenes import write_scenes
from tiny import write_space

from trainables import inference, models
from trainables.errors import InvalidValue, WeightsUnavailable
from tuner.cli import commands
from tuner.console.reporter import Reporter
from tuner.dataset import features as image_features
from tuner.dataset import near_duplicates as similar
from tuner.dataset.config import DataConfig
from tuner.dataset.features import find_similar, usable_backbone
from tuner.dataset.inspection.inspect import inspect
from tuner.dataset.near_duplicates import near_copies
from tuner.dataset.reading.scan import scan
from tuner.dataset.splitting import leaks
from tuner.planning.plan import plan
from tuner.tracking.leaderboard import remarks
from tuner.tuning.config import search_config
from tuner.tuning.prepare import prepare

COUNTS = {"blue": 20, "green": 20}


@pytest.fixture
def scenes(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "pictures", write_scenes(tmp_path / "pictures", COUNTS)


def agreement(found, truth):
    """Shares of proposed pairs that are right, and of true pairs that are found."""
    names = found.names
    pairs = [(a, b) for a in names for b in names if a < b]
    proposed = {pair for pair in pairs if names[pair[0]] == names[pair[1]]}
    true = {pair for pair in pairs if truth[pair[0]] == truth[pair[1]]}
    return len(proposed & true) / max(len(proposed), 1), len(proposed & true) / len(true)


def test_copies_are_found_by_their_hash(scenes):
    folder, truth = scenes
    precision, recall = agreement(near_copies(scan(folder)), truth)
    assert precision > 0.95
    assert recall > 0.9


def test_where_there_is_a_gpu_another_process_computes_the_features(scenes, tmp_path, monkeypatch):
    folder, _ = scenes
    weights = tmp_path / "weights"
    weights.mkdir()
    torch.save(models.create("resnet18", 2, seed=1).backbone.state_dict(), weights / "resnet18.pt")
    config = DataConfig(folder=folder, image_size=64, weights_dir=weights, backbones="resnet18")
    monkeypatch.setattr(inference, "best_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(image_features, "_classifier", lambda *_: pytest.fail("computed in this process"))
    monkeypatch.setattr(image_features, "TOLD_FROM", 1)
    said = []
    reporter = Reporter()
    monkeypatch.setattr(reporter, "line", said.append, raising=False)
    assert find_similar(config, scan(folder), reporter).source == "resnet18"
    assert any(line.startswith("features of") for line in said)


def test_more_images_than_can_be_compared_quickly_are_left_alone(scenes, monkeypatch):
    folder, _ = scenes
    monkeypatch.setattr(similar, "MOST_COMPARED", 79)
    assert near_copies(scan(folder)) is None
    assert inspect(folder, None, None).near_copies.count == 0


def test_a_backbone_s_features_find_the_views_of_a_scene(scenes, tmp_path):
    folder, truth = scenes
    weights = tmp_path / "weights"
    weights.mkdir()
    torch.save(models.create("resnet18", 2, seed=1).backbone.state_dict(), weights / "resnet18.pt")
    config = DataConfig(folder=folder, image_size=64, weights_dir=weights, backbones="resnet18")
    found = find_similar(config, scan(folder), Reporter())
    assert found.source == "resnet18"
    precision, recall = agreement(found, truth)
    assert precision > 0.7
    assert recall > 0.7


def test_features_that_are_no_numbers_are_no_likeness(scenes, tmp_path):
    folder, truth = scenes
    state = models.create("resnet18", 2).backbone.state_dict()
    state["conv1.weight"].fill_(3e38)  # finite, as a file of weights has to be
    torch.save(state, tmp_path / "resnet18.pt")
    config = DataConfig(folder=folder, image_size=64, weights_dir=tmp_path, backbones="resnet18")
    with pytest.raises(InvalidValue, match=f"features of {len(truth)} images from resnet18 are not finite"):
        find_similar(config, scan(folder), Reporter())


def test_without_weights_a_hash_stands_in_unless_a_backbone_was_named(scenes, monkeypatch):
    monkeypatch.setattr(models, "weights_available", lambda name: False)
    folder, _ = scenes
    assert usable_backbone(DataConfig(folder=folder), Reporter()) is None
    with pytest.raises(WeightsUnavailable, match="ways out: --weights-dir DIR"):
        usable_backbone(DataConfig(folder=folder, backbones="resnet18"), Reporter())
    assert find_similar(DataConfig(folder=folder), scan(folder), Reporter()).source == "perceptual hash"


def run_config(folder, tmp_path, **more):
    space = str(write_space(tmp_path))
    named = {"image_size": 32, "weights": "none", "name": "r", "runs_dir": tmp_path / "runs", **more}
    return search_config(space=space, data=folder, **named)


def test_a_run_uses_the_proposal_only_when_asked_and_says_so(scenes, tmp_path):
    folder, _ = scenes
    run = prepare(run_config(folder, tmp_path, groups_from_similar=True)).run
    split, data = run.split(), run.record["data"]
    assert data["groups"] == str(run.path / "similar-groups.csv")
    assert data["groups_from_similar"]["features"] == "perceptual hash"
    assert data["groups_from_similar"]["test_images_near_training"] == 0
    assert data["near_copies"]["test_images"] == int((split["split"] == "test").sum())
    assert leaks(split) == 0
    assert split["group"].nunique() <= 44
    with (run.path / "similar-groups.csv").open() as file:
        written = {row["path"]: row["group"] for row in csv.DictReader(file)}
    assert written.keys() == set(split["path"])
    assert any("tuner proposed the groups" in remark for remark in remarks(run.record))
    plain = prepare(run_config(folder, tmp_path, name="plain")).run
    assert plain.record["data"]["groups_from_similar"] is None
    assert plain.record["data"]["near_copies"]["test_images_near_training"] > 0
    assert not (plain.path / "similar-groups.csv").exists()


def test_given_groups_and_proposed_ones_are_refused_together(scenes, tmp_path):
    folder, _ = scenes
    with pytest.raises(
        InvalidValue, match=r"but groups are given by --group-regex '\(\.\*\)_'; choose one of the two"
    ):
        prepare(run_config(folder, tmp_path, groups_from_similar=True, group_regex="(.*)_"))
    with pytest.raises(InvalidValue, match="say where your images are: --data FOLDER"):
        search_config(groups_from_similar=True)


def test_a_plan_foretells_what_finding_similar_pictures_takes(scenes, tmp_path):
    folder, _ = scenes
    config = run_config(folder, tmp_path, samples=2, max_epochs=2, concurrent=1)
    assert plan(config).similar_s is None
    weights = tmp_path / "weights"
    weights.mkdir()
    for name in ("mobilenet_v2", "resnet18"):
        torch.save(models.create(name, 2, seed=1).backbone.state_dict(), weights / f"{name}.pt")
    asked = {"weights": "auto", "weights_dir": weights, "backbones": "resnet18", "groups_from_similar": True}
    planned = plan(run_config(folder, tmp_path, samples=2, max_epochs=2, concurrent=1, **asked))
    assert planned.similar_s > 0
    assert planned.seconds[0] > planned.similar_s


def test_inspect_writes_a_proposal_and_a_page_and_never_over_one(scenes, tmp_path):
    folder, truth = scenes
    out = tmp_path / "found"
    command = ["inspect", str(folder), "--similar", "--weights", "none", "--out", str(out)]
    shown = CliRunner().invoke(commands, [*command, "--json"], catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)["similar"]
    assert found["groups"] >= 36
    assert found["test_images_near_training"] > 0
    with (out / "groups.csv").open() as file:
        assert {row["path"] for row in csv.DictReader(file)} == truth.keys()
    page = (out / "similar.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") > 40
    assert "similar-0001" in page
    assert "http" not in page.replace("http-equiv", "")
    again = CliRunner().invoke(commands, command)
    assert again.exit_code != 0
    assert "may hold your edits; choose another --out" in str(again.exception or again.output)


def test_where_nothing_stands_out_no_file_is_written_and_no_command_advised(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    write_scenes(tmp_path / "pictures", {"a": 15, "b": 15}, views=1)
    out = tmp_path / "found"
    command = ["inspect", str(tmp_path / "pictures"), "--similar", "--weights", "none", "--out", str(out)]
    shown = CliRunner().invoke(commands, command, catch_exceptions=False)
    assert shown.exit_code == 0
    assert not out.exists()
    assert "no groups are proposed, and no file is written" in shown.output
    assert "the closest pair is" in shown.output
    assert "tuner run" not in shown.output
    found = json.loads(CliRunner().invoke(commands, [*command, "--json"]).stdout)["similar"]
    assert (found["groups_file"], found["page"]) == (None, None)


def test_groups_that_were_given_are_compared_and_never_to_be_replaced(scenes, tmp_path):
    folder, truth = scenes
    given, out = tmp_path / "given.csv", tmp_path / "found"
    first = next(iter(truth.values()))
    torn = {path: f"{scene} {path}" if scene == first else str(scene) for path, scene in truth.items()}
    rows = "".join(f"{path},{scene}\n" for path, scene in torn.items())
    given.write_text(f"path,group\n{rows}", encoding="utf-8")
    command = ["inspect", str(folder), "--similar", "--weights", "none", "--out", str(out)]
    command += ["--groups", str(given)]
    shown = CliRunner().invoke(commands, command, catch_exceptions=False)
    assert not (out / "groups.csv").exists()
    assert "no groups are proposed, since yours are there" in shown.output
    assert "the groups given stay" in shown.output
    assert "tuner run" not in shown.output
    page = (out / "similar.html").read_text(encoding="utf-8")
    assert "In two of your groups" in page
    assert "Proposed groups" not in page
    assert ">threshold" in page
    (out / "similar.html").unlink()
    found = json.loads(CliRunner().invoke(commands, [*command, "--json"]).stdout)["similar"]
    assert found["within_given"] > 20
    assert found["across_given"] >= 1


def test_copies_among_many_images_are_found_without_comparing_each_with_each(scenes, monkeypatch):
    folder, truth = scenes
    monkeypatch.setattr(similar, "EACH_WITH_EACH", 10)
    monkeypatch.setattr("tuner.dataset.neighbours.find_neighbours", lambda *_: pytest.fail("each with each"))
    precision, recall = agreement(near_copies(scan(folder)), truth)
    assert precision > 0.95
    assert recall > 0.9
