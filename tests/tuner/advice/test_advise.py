import pytest
from fake_run import make_run

from trainables.errors import RunProblem
from tuner.advice.advise import _unless_a_loss, advise, advise_run
from tuner.advice.line import Line
from tuner.advice.words import reasons, rows
from tuner.runs.directory import Run
from tuner.statistics.learning_curve import Gain


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "potato")


@pytest.fixture(scope="module")
def found(run):
    return advise(run.path)


def test_a_run_without_its_images_is_advised_by_its_trials(found):
    assert [line.kind for line in found.lines] == ["hours"]
    assert {one.kind for one in found.unknown} >= {"images", "labels", "pixels", "ensemble", "flips", "floor"}


def test_what_can_not_be_told_is_said_once(found):
    told = [sentence for sentence in reasons(found) if sentence.startswith("Nothing can be said of")]
    assert any(
        sentence.startswith(
            "Nothing can be said of more images, checking labels, averaging the folds' models, the least loss"
        )
        for sentence in told
    )
    assert len(told) == len({one.reason for one in found.unknown})


def test_each_line_is_a_row_with_its_gain_and_its_cost(found):
    ((do, loss, accuracy, cost),) = rows(found)
    assert do.startswith("search no longer: ")
    assert "more, in 1h00m, gain less" in do
    assert " to " in loss
    assert accuracy.endswith("points")
    assert cost == "nothing"


def test_the_test_images_change_nothing(run, found):
    split = run.split()
    changed = split.assign(
        label=split["label"].where(split["split"] != "test", split["label"].iloc[0]),
        path=split["path"].where(split["split"] != "test", "elsewhere/" + split["path"]),
    )
    run.write_split(changed)
    try:
        again = advise(run.path)
    finally:
        run.write_split(split)
    assert again.lines == found.lines
    assert (again.log_loss, again.accuracy) == (found.log_loss, found.accuracy)


def test_a_run_without_a_trial_says_so(tmp_path, run):
    empty = Run.create(tmp_path / "empty", run.record)
    empty.write_split(run.split())
    with pytest.raises(RunProblem, match="no trial has ended"):
        advise(empty.path)


@pytest.mark.parametrize(
    ("low", "high", "kept"), [(-0.06, -0.02, False), (-0.06, 0.01, True), (0.01, 0.02, True)]
)
def test_what_can_only_lose_is_no_advice(run, monkeypatch, low, high, kept):
    line = Line("folds", "average the models of 4 folds", "why", Gain((low + high) / 2, low, high))
    monkeypatch.setattr("tuner.advice.advise.KINDS", (("folds", lambda material: [line]),))
    found = advise(run.path)
    assert (line in found.lines) == kept
    assert [one.kind for one in found.unknown] == ([] if kept else ["folds"])
    if not kept:
        assert "would rise by 0.020 to 0.060 nats" in found.unknown[0].reason


def test_advice_that_changes_nothing_is_no_loss():
    nothing = Line(
        "labels", "leave the labels as they are", "none looks wrong", *[Gain(0.0, 0.0, 0.0)] * 2, {}
    )
    assert _unless_a_loss(nothing) is nothing


def test_quick_advice_names_what_would_take_minutes(run, monkeypatch):
    monkeypatch.setattr("tuner.advice.material.QUICK", 10)
    quick = advise_run(run, quick=True)
    told = next(
        one
        for one in reasons(quick)
        if one.startswith(
            "Nothing can be said of more images, checking labels, averaging the folds' models, the least loss"
        )
    )
    assert "take minutes; tuner advise " in told
    assert "take minutes" not in " ".join(reasons(advise_run(run)))
