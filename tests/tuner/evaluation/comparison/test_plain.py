"""Three sentences for anybody: the best, how good, how sure; first of all, whether the test images can tell at all."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fake_run import fake_scorer, make_run, paint_only

from trainables.metrics import METRICS
from tuner.cli.compare import render
from tuner.evaluation.compare import compare
from tuner.evaluation.comparison.conclusion import BEST, BETTER, TIED, TOO_FEW, WORSE
from tuner.evaluation.comparison.plain import in_plain_words
from tuner.evaluation.comparison.table import brief_rows, first_rows


def told(*verdicts, groups=54, needed=182, folds=False, chosen_by=None, values=None, metric="val_loss"):
    """The plain sentences on a best finalist and others with these verdicts, and test values, the same by default."""
    labels = [f"m{number}" for number in range(len(verdicts) + 1)]
    scores = {"test_accuracy": 0.917, "test_accuracy_low": 0.465, "test_accuracy_high": 0.993}
    table = pd.DataFrame({"label": labels, "verdict": [BEST, *verdicts], "one_answer": None, **scores})
    table["test_value"] = 0.2 if values is None else values
    table["key"] = labels
    # That of the first and the second is the one asked for; the others take twice as many.
    pairs = pd.DataFrame({"metric": metric, "first": "m0", "second": labels[1:]})
    counts = [needed, *[2 * needed] * len(verdicts)][: len(verdicts)]
    pairs["groups_needed"] = pd.array(counts, dtype="Int64")
    split = pd.DataFrame({"group": [f"g{number}" for number in range(10 * groups)]})
    run = SimpleNamespace(path=Path("runs/leaves"), split=lambda: split)
    evidence = SimpleNamespace(
        metric=METRICS[metric],
        judges=groups,
        unit="group",
        grouped=True,
        labels=np.zeros(4 * groups),
        runs=[run],
        chosen_by=chosen_by,
    )
    return in_plain_words(table, pairs, evidence, folds=folds)


def test_the_best_its_accuracy_with_its_interval_and_how_sure_that_is():
    best, good, sure = told(TIED, WORSE)
    assert best == "The best model on the validation images is m0."
    assert "about 91.7 % (95 % interval 46.5 % to 99.3 %)" in good
    assert "216 test images of 54 groups" in good
    assert sure.startswith("It is not sure that it is better than 1 of the 2 others.")
    assert "About 182 test groups would tell it from m1; there are 54." in sure
    assert "tuner compare RUN --folds 5, in which all 540 groups judge" in sure
    assert "More than 5,400 test groups would tell it from m1; there are 54." in told(TIED, needed=243_778)[2]


def test_what_is_sure_and_what_another_does_better_is_said_so():
    assert told(WORSE, WORSE)[2] == "It is surely better than all 2 other finalists (at the 5 % level)."
    assert told(WORSE, BETTER)[2].startswith("1 other finalist is better on the test images")
    assert "--folds" not in told(TIED, folds=True)[2]
    assert told()[2] == "There is no other finalist to compare it with."


def test_a_finalist_with_a_better_value_on_the_test_images_is_named_and_why_the_choice_stands():
    sure = told(TIED, TIED, WORSE, values=[0.3, 0.25, 0.2, 0.4])[2]
    assert "On the test images m2 has a better log loss (0.200 against 0.300). That may be chance;" in sure
    assert "the choice is made without these images" in sure
    assert "About 364 test groups would tell it from that one; there are 54." in sure
    by_accuracy = told(TIED, values=[0.9, 0.95], metric="val_accuracy")[2]
    assert "m1 has a better accuracy (95.0 % against 90.0 %)" in by_accuracy
    assert "On these images m1 has a better" in told(TIED, values=[0.3, 0.2], folds=True)[2]
    assert "the choice is made without" not in told(TIED, values=[0.3, 0.2], folds=True)[2]
    assert "has a better" not in told(TIED, TIED, values=[0.2, 0.2, float("nan")])[2]


def test_where_all_images_judged_the_sentences_are_about_these():
    _, good, sure = told(TIED, folds=True)
    assert "on 216 images of 54 groups, each answered by a model that has not seen its group" in good
    assert "test image" not in good
    assert "About 182 groups would tell it" in sure
    assert told(BETTER, folds=True)[2].startswith("1 other finalist is better on all images")


def test_too_few_groups_are_said_first_with_how_many_would_do():
    few, best, good = told(*[TOO_FEW] * 11, groups=5)
    assert few.startswith(
        "5 test groups cannot show any difference between finalists, however large; that does not make them equal."
        " With 12 finalists, the chosen one and those that it is compared with, it takes at least 9 test groups."
    )
    assert best.startswith("The best model")
    assert "91.7 %" in good
    named = told(TOO_FEW, values=[0.5, 0.3], groups=5)[0]
    assert "On the test images m1 has a better log loss (0.300 against 0.500). That may be chance;" in named


def test_no_needed_number_is_told_that_the_test_images_have_already():
    assert "would tell it" not in told(TIED, needed=20)[2]
    assert "would tell it" not in told(TIED, needed=pd.NA)[2]


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A comparison on three test groups, of which one finalist gets all images right and another none."""
    run = make_run(tmp_path_factory.mktemp("runs") / "few", classes={"a": 1, "b": 1, "c": 1}, samples=0)

    def scorer(run, trial, paths):
        scores = fake_scorer(run, trial, paths)
        return -scores if trial["strategy"] == "feature_extractor" else scores

    with pytest.MonkeyPatch.context() as patch:
        paint_only(patch)
        # What a model costs to run is no question here, and takes long to measure.
        patch.setattr("tuner.evaluation.compare.with_running_costs", lambda table, evidence: table)
        return compare([run.path], scorer=scorer)


def test_with_too_few_groups_nothing_is_called_tied_and_no_difference_has_an_interval(few):
    others = few.table.iloc[1:]
    assert set(others["verdict"]) == set(others["accuracy_verdict"]) == {TOO_FEW}
    assert others[["difference_low", "difference_high"]].isna().all(axis=None)
    assert few.pairs[["low", "high"]].isna().all(axis=None)
    assert (few.pairs["groups_needed"].dropna() >= 9).all()
    assert "tied" not in few.conclusion
    assert few.conclusion.startswith("3 test groups cannot show any difference")


def test_between_finalists_contradicts_nothing(few):
    page = few.report.read_text(encoding="utf-8")
    between = page[page.index("<h2>Between finalists</h2>") :].split("<h2>The search</h2>")[0]
    cells = [cell.split("</td>")[0] for cell in between.split("<td>")]
    assert "too few to tell" in cells
    assert not any(" to " in cell and cell != "too few to tell" for cell in cells[1:])
    assert "tell any of 36 pairs apart" in between.replace("can&#x27;t ", "")


def test_a_terminal_gets_five_columns_and_the_files_all(few):
    header, rows = brief_rows(few.table)
    assert header == ["finalist", "test log loss", "95 % of log loss", "accuracy %", "verdict"]
    assert len(rows) == len(few.table)
    table = next(iter(render(few)))
    assert len(table.columns) == 5
    saved = (few.out / "comparison.md").read_text(encoding="utf-8")
    assert saved.splitlines()[0].count("|") > 15
    assert few.table["key"].iloc[0] in saved


def test_a_page_begins_with_four_columns_and_the_trial_in_small_print(few):
    header, rows = first_rows(few.table)
    assert header == ["finalist", "test accuracy %", "95 % interval", "verdict by log loss"]
    assert (rows[0][0].text, rows[0][0].small) == tuple(few.table.loc[0, ["label", "key"]])
    page = few.report.read_text(encoding="utf-8")
    first = page[page.index("<table>") :].split("</table>")[0]
    assert first.count("<th ") == 4
    assert f"<small>{few.table['key'].iloc[0]}</small>" in first
    assert page.index("cannot show any difference") < page.index("<table>")


def test_where_accuracy_was_searched_for_its_interval_stands_in_the_five_columns():
    row = {"label": "m", "metric": "val_accuracy", "test_loss": 0.5, "verdict": BEST}
    row |= {"test_accuracy": 0.9, "test_accuracy_low": 0.8, "test_accuracy_high": 0.95}
    header, rows = brief_rows(pd.DataFrame([row]))
    assert header == ["finalist", "test log loss", "95 % of accuracy", "accuracy %", "verdict"]
    assert rows == [["m", "0.500", "80.0 to 95.0", "90.0", BEST]]


def test_who_chose_is_said():
    first, *_ = told(TIED, chosen_by=1340)
    assert "m0, by the 1,340 images that judged the search" in first
