import fnmatch
import json
import math
import re
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from fake_run import fake_scorer, make_run, paint_only
from pictures import write_pictures
from tiny import epoch, store, write_space

from trainables.models.candidates import CANDIDATES
from tuner.cli import as_json, commands
from tuner.cli.json_keys import KEYS
from tuner.evaluation import compare as comparison
from tuner.planning.plan import Combination, Plan
from tuner.planning.timing import Cost
from tuner.release.predictions import Prediction
from tuner.runs.heartbeat import Watch
from tuner.runs.trial_table import trials_schema

KINDS = {"number": (int, float), "text": str, "flag": bool, "list": list, "object": dict}


def printed(*words):
    """The document that a command prints; there is nothing else on standard output."""
    result = CliRunner().invoke(commands, [*map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def paths_of(value, path=""):
    """Every path below `value` with what stands there."""
    if isinstance(value, dict):
        for name, content in value.items():
            # A class's name may hold dots, and is one name.
            here = f"{path}.{name.replace('.', '_')}" if path else name
            yield here, content
            yield from paths_of(content, here)
    elif isinstance(value, list):
        for content in value:
            if not isinstance(content, dict):
                yield f"{path}[]", content
            yield from paths_of(content, f"{path}[]")


def fits(path, pattern):
    return fnmatch.fnmatchcase(re.sub(r"[\[\]]", "#", path), re.sub(r"[\[\]]", "#", pattern))


def check(document, keys):
    """Each path is documented with its type, and each documented path of the top level is there."""
    for path, value in paths_of(document):
        pattern = next((pattern for pattern in keys if fits(path, pattern)), None)
        assert pattern is not None, f"{path} is not documented"
        kind = keys[pattern][0]
        if kind == "any":
            continue
        assert value is not None or kind.endswith("?"), path
        if value is not None:
            wanted = KINDS[kind.removesuffix("?")]
            assert isinstance(value, wanted), (path, value)
            assert kind.startswith("flag") or not isinstance(value, bool), (path, value)
    top = {pattern for pattern in keys if not re.search(r"[.\[]", pattern)}
    assert top == set(document)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("json") / "run", samples=10)


def test_every_command_with_the_option_has_its_keys_documented():
    takes = {
        name
        for name, command in commands.commands.items()
        if any(p.name == "as_json" for p in command.params)
    }
    others = {"inspect", "plan", "spaces", "models", "status", "leaderboard", "compare", "predict"}
    assert takes == {*others, "probe", "weights", "advise"}
    assert {name.split()[0] for name in KEYS} == takes


def test_inspect(tmp_path):
    write_pictures(tmp_path / "leaves", {"early": 12, "late": 12, "$ugly|class": 10})
    (tmp_path / "leaves" / "early" / "torn.png").write_bytes(b"no picture")
    document = printed("inspect", tmp_path / "leaves", "--group-regex", r"(\d\d)\.png")
    check(document, KEYS["inspect"])
    assert [row["class"] for row in document["classes"]] == ["$ugly|class", "early", "late"]
    assert document["images"] == 34
    assert [row["path"] for row in document["corrupt"]] == ["early/torn.png"]


@pytest.mark.parametrize("name", ["googlenet_full", "googlenet_grid"])
def test_spaces(name):
    check(printed("spaces"), KEYS["spaces"])
    document = printed("spaces", name)
    check(document, KEYS["spaces NAME"])
    assert document["grid"] == (name == "googlenet_grid")
    # Three pairs of the study's nine are one configuration each, which a search tries once.
    assert len(document["first_trials"]) >= (11 if document["grid"] else 8)


def test_models():
    document = printed("models")
    check(document, KEYS["models"])
    rows = {row["model"]: row for row in document["models"]}
    assert rows.keys() >= {"resnet18", *(candidate.name for candidate in CANDIDATES)}
    for candidate in CANDIDATES:
        row = rows[candidate.name]
        assert (row["family"], row["licence"]) == (candidate.family, candidate.licence)
        assert len(row["stages"]) == candidate.num_stages
    document = printed("models", "googlenet")
    check(document, KEYS["models NAME"])
    full = next(row for row in document["strategies"] if row["strategy"] == "full")
    assert full["trainable_first"] == full["trainable_last"] > 5_000_000


def test_probe(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pictures", {"blue": 12, "green": 12})
    words = ("probe", tmp_path / "pictures", "--image-size", 32, "--weights", "none")
    document = printed(*words, "--backbones", "timm:test_resnet,resnet18", "--out", tmp_path / "out")
    check(document, KEYS["probe"])
    assert {row["model"] for row in document["backbones"]} == {"timm:test_resnet", "resnet18"}
    assert json.loads((tmp_path / "out" / "probe.json").read_text(encoding="utf-8")) == document
    table = pd.read_csv(tmp_path / "out" / "probe.csv")
    assert table["log_loss"].tolist() == [row["log_loss"] for row in document["backbones"]]
    assert (tmp_path / "out" / "probe.png").stat().st_size > 5_000


def test_advise(run):
    document = printed("advise", run.path)
    check(document, KEYS["advise"])
    assert [line["kind"] for line in document["lines"]] == ["hours"]
    assert document["lines"][0]["log_loss"]["low"] <= document["lines"][0]["log_loss"]["high"]
    assert "images" in {one["kind"] for one in document["unknown"]}


def test_weights(tmp_path):
    (tmp_path / "resnet18.pt").write_bytes(b"")
    names = "resnet18,vgg16,timm:convnext_nano.in12k_ft_in1k"
    document = printed("weights", "--backbones", names, "--weights-dir", tmp_path)
    check(document, KEYS["weights"])
    rows = {row["model"]: row for row in document["weights"]}
    assert rows["resnet18"]["state"] == "in the folder"
    assert rows["resnet18"]["source"] == str(tmp_path / "resnet18.pt")
    assert rows["vgg16"]["source"].startswith("https://download.pytorch.org/models/vgg16")
    assert (
        "huggingface.co/timm/convnext_nano.in12k_ft_in1k"
        in rows["timm:convnext_nano.in12k_ft_in1k"]["source"]
    )
    assert rows["resnet18"]["megabytes"] == pytest.approx(46.8, abs=0.1)


def test_the_leaderboard_is_the_rows_of_the_table_best_first_and_null_where_there_is_nothing(run):
    document = printed("leaderboard", run.path)
    check(document, KEYS["leaderboard"])
    assert list(document["trials"][0]) == trials_schema().names
    values = [row["value"] for row in document["trials"] if row["status"] != "failed"]
    assert values == sorted(values)
    failed = [row for row in document["trials"] if row["status"] == "failed"]
    assert failed
    assert failed == document["trials"][-len(failed) :]
    assert all(row["best_epoch"] is None and row["value"] is None for row in failed)
    assert {type(row["number"]) for row in document["trials"]} == {int}
    assert {type(row["step_size"]) for row in document["trials"]} == {int, type(None)}
    assert len(printed("leaderboard", run.path, "--most", 3)["trials"]) == 3


def test_the_status_of_a_running_search_has_its_living_and_its_ended_trials(tmp_path):
    book = store(tmp_path, write_space(tmp_path), samples=8)
    book.run.update_record(settings={"samples": 8, "log": []}, finished=None)
    ended, begun, waiting = (book.next()["trial_id"] for _ in range(3))
    book.report(ended, epoch(1, 0.5))
    book.finish(ended, "completed", "completed")
    book.report(begun, epoch(1, 0.75))
    with Watch(book.run, lambda: None, {"dashboard": "http://127.0.0.1:1"}):
        document = printed("status", book.run.path)
    check(document, KEYS["status"])
    assert [row["trial_id"] for row in document["trials"]] == [ended]
    assert list(document["trials"][0]) == trials_schema().names
    assert [(row["trial_id"], row["val_loss"]) for row in document["live"]] == [
        (begun, 0.75),
        (waiting, None),
    ]
    assert (document["state"], document["running"], document["completed"]) == ("running", 2, 1)
    assert document["driver"]["pages"] == {"dashboard": "http://127.0.0.1:1"}


def test_compare(run, monkeypatch, tmp_path):
    paint_only(monkeypatch)
    monkeypatch.setattr(comparison, "score_with_weights", fake_scorer)
    monkeypatch.setattr(comparison, "check_judges", lambda run: None)
    document = printed("compare", run.path, "--out", tmp_path / "report")
    check(document, KEYS["compare"])
    frame = pd.read_parquet(tmp_path / "report" / "comparison.parquet")
    assert list(document["table"][0]) == list(frame.columns)
    assert document["table"][0]["test_accuracy"] == frame["test_accuracy"][0]
    assert document["table"][0]["difference"] is None
    assert len(document["table"][0]["confusion"]) == 3
    assert list(document["pairs"][0]) == list(pd.read_parquet(tmp_path / "report" / "pairs.parquet").columns)


def test_predict_tells_files_that_it_could_not_read():
    answers = [Prediction("a.jpg", (0.25, 0.75)), Prediction("b.jpg", None, "is no image")]
    document = json.loads(json.dumps(as_json.plain(as_json.predictions(answers, ("early", "late")))))
    check(document, KEYS["predict"])
    assert document["images"][1] == {
        "path": "b.jpg",
        "class": None,
        "probability": None,
        "error": "is no image",
        "early": None,
        "late": None,
    }


def test_plan():
    cost = Cost("resnet18", "full", 0.1, 0.2, 0.05, 10, 10, 512, 1000)
    row = Combination(cost, 1.0, 4.0, 8.0, 1.0, 2.0)
    found = Plan(
        (row,), 2, 1, (3.0, 4.0, 5.0), 8, (1.0, 2.0, 3.0), 2.0, (10, 5), {"image cache": 5}, 7, ("few",)
    )
    document = json.loads(json.dumps(as_json.plain(as_json.plan(found))))
    check(document, KEYS["plan"])
    assert document["combinations"][0]["model"] == "resnet18"
    assert document["seconds"] == {"low": 1.0, "middle": 2.0, "high": 3.0}


def test_what_plan_says_on_the_way_goes_to_standard_error(tmp_path):
    write_pictures(tmp_path / "pictures", {"blue": 12, "green": 12})
    words = ["plan", "--space", write_space(tmp_path), "--samples", 2, "--max-epochs", 2, "--image-size", 32]
    document = printed(*words, "--data", tmp_path / "pictures", "--weights", "none")
    check(document, KEYS["plan"])
    assert document["samples"] == 2


def test_a_mistake_leaves_standard_output_empty():
    result = CliRunner().invoke(commands, ["leaderboard", "no/such/run", "--json"])
    assert result.exit_code != 0
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("value", "json_value"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (pd.NA, None),
        (pd.NaT, None),
        (np.array([1.0, math.nan]), [1.0, None]),
        ("na\udcffme", "na\udcffme"),
        ({1: (2, {3})}, {"1": [2, [3]]}),
    ],
)
def test_values_become_json_s_own(value, json_value):
    assert as_json.plain(value) == json_value
    json.dumps(as_json.plain(value), allow_nan=False).encode(sys.getdefaultencoding())
