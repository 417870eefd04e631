"""A comparison of a run in which all images judged: it begins with the choice of these, and has their ensemble."""

import pandas as pd
import pytest
from fake_run import fake_scorer, make_run

from tuner.evaluation.compare import compare
from tuner.evaluation.comparison.finalists import choose_finalists, judging_images
from tuner.runs.best_trial import best_of
from tuner.runs.directory import rows_of
from tuner.runs.ensemble import ENSEMBLE
from tuner.tuning.judgement import Judged


def judged(row, *, images=440, chosen=False, votes=0):
    name, epoch = (row["trial_id"], int(row["best_epoch"])) if isinstance(row, dict) else (row, 0)
    return Judged(name, epoch, images, images // 4, 0.3, 0.31, 0.02, chosen, votes)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())
    return make_run(tmp_path / "run")


def note(run, rows):
    pd.DataFrame([vars(row) for row in rows]).to_parquet(run.judged_file, index=False)


def third(run):
    """The trial that validation finds third, and the row of it."""
    key = choose_finalists([run], top=5)[0][2].key
    return next(row for row in rows_of(run.trials()) if row["trial_id"] == key)


def test_the_choice_of_all_images_comes_first_and_is_called_so(run):
    row = third(run)
    note(run, [judged(row, chosen=True)])
    found = compare([run.path], scorer=fake_scorer)
    assert found.table["key"].iloc[0] == row["trial_id"]
    assert found.table["verdict"].iloc[0] == "chosen"
    assert any("by the 440 images that judged the search" in one for one in found.plain)
    assert "was chosen by the 440 images that judged the search" in found.sentences[0]
    assert "on validation" not in " ".join(found.sentences)
    assert judging_images([run]) == 440
    # What the run's end, best.yaml and the report expect of it is one figure.
    assert found.table["estimate"].iloc[0] == 0.31 == best_of(run, row).expected.value


def test_the_ensemble_is_the_one_that_all_images_voted_for(run):
    rows = rows_of(run.trials())
    kept = [one for one in rows if run.weights(one["trial_id"]).exists()][:2]
    first, second = kept
    note(
        run,
        [judged(first, chosen=True, votes=2), judged(second, votes=1), judged(ENSEMBLE, votes=3)],
    )
    found = compare([run.path], scorer=fake_scorer, ensemble=5)
    assert found.table["key"].iloc[-1] == ENSEMBLE
    assert found.table["label"].iloc[-1].startswith("ensemble of 2 (3 votes)")
    assert found.table["estimate"].iloc[-1] == judged(ENSEMBLE).expected
    note(run, [judged(first, chosen=True), judged(second)])
    alone = compare([run.path], scorer=fake_scorer, ensemble=5, fresh_check=False)
    assert ENSEMBLE not in set(alone.table["key"])
    assert any(
        "No ensemble is better than the chosen trial by the 440 images" in one for one in alone.sentences
    )


def test_a_choice_whose_trial_went_on_or_whose_weights_are_gone_is_none(run):
    row = third(run)
    note(run, [Judged(row["trial_id"], int(row["best_epoch"]) + 1, 440, 110, 0.3, 0.3, 0.02, True)])
    assert judging_images([run]) is None
    note(run, [judged(row, chosen=True)])
    run.weights(row["trial_id"]).unlink()
    assert judging_images([run]) is None


def test_an_ensemble_of_more_members_than_are_allowed_is_not_denied(run):
    kept = [one for one in rows_of(run.trials()) if run.weights(one["trial_id"]).exists()][:3]
    note(run, [judged(one, chosen=one is kept[0], votes=1) for one in kept] + [judged(ENSEMBLE, votes=3)])
    found = compare([run.path], scorer=fake_scorer, ensemble=2)
    assert not any("No ensemble is better than the chosen trial by" in one for one in found.sentences)
    assert len(compare([run.path], scorer=fake_scorer, ensemble=3).table.query("key == @ENSEMBLE")) == 1


def test_where_the_validation_images_alone_judged_they_are_not_called_all(run):
    images = run.images_and_parts().count("val")
    note(run, [judged(third(run), images=images, chosen=True)])
    assert judging_images([run]) is None
    assert compare([run.path], scorer=fake_scorer).table["verdict"].iloc[0] == "best on validation"


def test_a_table_of_an_earlier_version_without_votes_is_read(run):
    table = pd.DataFrame([vars(judged(third(run), chosen=True))]).drop(columns="votes")
    table.to_parquet(run.judged_file, index=False)
    assert compare([run.path], scorer=fake_scorer).table["verdict"].iloc[0] == "chosen"
