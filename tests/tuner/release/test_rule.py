import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from trainables.errors import InvalidValue, RunProblem
from tuner.release.folder import ModelSpec
from tuner.release.predictions import Prediction, write_predictions
from tuner.release.rule import make_rule

CLASSES = ("early", "late", "set")
SCORES = (tuple(np.linspace(0.05, 0.45, 9)), tuple(np.linspace(0.1, 0.9, 9)), (0.2,))


def spec(**changes):
    values = {"classes": CLASSES, "scores": SCORES, **changes}
    return ModelSpec("resnet18", image_size=32, short_side=37, mean=(0.5,) * 3, std=(0.5,) * 3, **values)


def test_without_options_the_likeliest_is_named_and_there_is_no_set():
    (answer,) = make_rule(spec()).answers(["a.jpg"], [[0.2, 0.5, 0.3]])
    assert list(answer.row(CLASSES)) == [
        "path",
        "class",
        "probability",
        "error",
        "early",
        "late",
        "class set",
    ]
    assert (answer.row(CLASSES)["class"], answer.unsure) == ("late", False)


def test_below_the_confidence_the_answer_is_unsure_and_the_probability_stays():
    rule = make_rule(spec(), min_confidence=0.5)
    sure, unsure = rule.answers("ab", [[0.5, 0.3, 0.2], [0.4, 0.35, 0.25]])
    assert (sure.row(CLASSES)["class"], unsure.row(CLASSES)["class"]) == ("early", "unsure")
    assert unsure.row(CLASSES)["probability"] == 0.4


def test_confidence_is_that_of_the_likeliest_class_also_where_costs_name_another():
    costs = ((0, 1, 1), (100, 0, 1), (1, 1, 0))
    rule = make_rule(spec(costs=costs), min_confidence=0.6)
    (answer,) = rule.answers("a", [[0.9, 0.1, 0.0]])
    assert answer.row(CLASSES)["class"] == "late"


def test_a_set_holds_the_classes_that_are_as_likely_as_the_true_one_mostly_is():
    rule = make_rule(spec(), alpha=0.1)
    first, second, third = rule.answers("abc", [[0.6, 0.3, 0.1], [0.5, 0.5, 0.0], [0.05, 0.05, 0.9]])
    assert first.row(CLASSES)["set"] == ["early", "late"]
    assert second.row(CLASSES)["set"] == ["late"]
    assert third.row(CLASSES)["set"] == ["set"]
    assert "calibration groups a class, and set had fewer" in rule.warnings[0]
    assert "; from --alpha 0.5 on each class has enough groups, but" in rule.warnings[0]
    assert rule.warnings[0].endswith("miss the true class of 50 % of the images")


def test_an_alpha_for_which_there_are_too_few_groups_says_from_which_on_there_are_enough():
    rule = make_rule(spec(), alpha=0.01)
    assert (
        "needs 99 calibration groups of each class and the model has 19 in all: every set holds every class"
        in rule.warnings[0]
    )
    assert "from --alpha 0.05 on" in rule.warnings[0]
    assert rule.answers("a", [[1.0, 0.0, 0.0]])[0].classes_in_set == (0, 1, 2)


def test_what_can_not_be_done_is_refused_with_the_remedy():
    with pytest.raises(
        RunProblem, match=r"or the calibration model that finds them diverged; retrain it without that option"
    ):
        make_rule(spec(scores=()), alpha=0.1)
    with pytest.raises(InvalidValue, match=r"--alpha 0\.9 must be at most 0\.5"):
        make_rule(spec(), alpha=0.9)
    with pytest.raises(InvalidValue, match=r"--min-confidence 1\.5 must be at most 1"):
        make_rule(spec(), min_confidence=1.5)
    with pytest.raises(InvalidValue, match="'unsure', which is a class of this model"):
        make_rule(spec(classes=("early", "late", "unsure")), min_confidence=0.5)


def test_sets_stand_as_lists_in_every_kind_of_file(tmp_path):
    alike = (tuple(np.linspace(0.1, 0.7, 9)),) * 3
    rule = make_rule(spec(scores=alike), alpha=0.1)
    answers = rule.answers(["a", "b"], [[0.5, 0.4, 0.1], [0.29, 0.29, 0.29]])
    answers = [*answers, Prediction("torn", None, "can't be read")]
    for suffix in ("csv", "json", "parquet"):
        write_predictions(answers, CLASSES, tmp_path / f"out.{suffix}")
    told = [["early", "late"], [], None]
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [json.loads(row["set"]) if row["set"] else None for row in rows] == told
    assert [row.get("set") for row in json.loads((tmp_path / "out.json").read_text())] == told
    assert pq.read_table(tmp_path / "out.parquet")["set"].to_pylist() == told


def test_without_sets_a_file_has_no_column_for_them(tmp_path):
    write_predictions(make_rule(spec()).answers("a", [[0.2, 0.3, 0.5]]), CLASSES, tmp_path / "out.csv")
    head = (tmp_path / "out.csv").read_text().splitlines()[0]
    assert head == "path,class,probability,error,early,late,class set"
