import pandas as pd
from optuna.trial import TrialState
from tiny import epoch, store, write_space

from tuner.runs.directory import Run
from tuner.runs.journal import load_study
from tuner.tracking.leaderboard import leaderboard

SPACE = '''"""Two strategies, with a prior and two first trials."""


def space(trial):
    trial.suggest_categorical("strategy", ["full", "feature_extractor"])
    trial.suggest_float("learning_rate", 1e-5, 1e-1, log=True)
    return {"model": "resnet18", "batch_size": 8}


first_trials = [{"strategy": "full", "learning_rate": 1e-3}, {"strategy": "full", "learning_rate": 1e-3}]
prior = {"learning_rate": {"centre": 1e-3, "width": 0.2}, "strategy": {"full": 1}}
'''

FEW = '''"""Four configurations; the prior knows one."""


def space(trial):
    trial.suggest_categorical("dropout", [0.1, 0.2, 0.3, 0.4])
    return {"model": "resnet18", "strategy": "full"}


prior = {"dropout": {0.1: 1}}
'''


def search(book, count):
    """Let `count` trials run to their end."""
    for _ in range(count):
        trial = book.next()
        if trial is None:
            break
        book.report(trial["trial_id"], epoch(1, abs(trial["dropout"] + trial["learning_rate"])))
        book.finish(trial["trial_id"], "completed", "completed")
    book.write_table()
    return book.run.trials()


def test_the_table_and_the_journal_say_where_each_proposal_came_from(tmp_path):
    table = search(store(tmp_path, write_space(tmp_path, SPACE), samples=12, prior=True), 12)
    # The second first trial repeats the first, so the sampler proposes in its place.
    assert table["source"].tolist() == ["first", *["tpe"] * 2, *["prior", "tpe"] * 4, "prior"]
    told = [trial.user_attrs["source"] for trial in load_study(tmp_path / "run" / "study.journal").trials]
    assert told == table["source"].tolist()
    drawn = table[table["source"] == "prior"]
    assert drawn["strategy"].eq("full").all()
    assert drawn["learning_rate"].between(1e-4, 1e-2).all()


def test_without_the_prior_the_sampler_proposes_all(tmp_path):
    table = search(store(tmp_path, write_space(tmp_path, SPACE), samples=8, prior=False), 8)
    assert table["source"].tolist() == ["first", *["tpe"] * 7]


def test_a_search_that_is_taken_up_again_proposes_as_one_that_was_not(tmp_path):
    space = write_space(tmp_path, SPACE)
    for name in ("whole", "parted"):
        (tmp_path / name).mkdir()
    whole = search(store(tmp_path / "whole", space, samples=14, prior=True), 14)
    for count in (1, 3, 4, 6):
        parted = search(store(tmp_path / "parted", space, samples=14, prior=True), count)
    pd.testing.assert_frame_equal(parted, whole)


def test_a_trial_that_a_dead_driver_left_keeps_its_source(tmp_path):
    space = write_space(tmp_path, SPACE)
    store(tmp_path, space, samples=3, prior=True).next()
    again = store(tmp_path, space, samples=3, prior=True)
    assert [trial.source for trial in again.live.values()] == ["first"]


def test_a_prior_that_knows_little_does_not_end_the_search(tmp_path):
    table = search(store(tmp_path, write_space(tmp_path, FEW), samples=9, prior=True), 9)
    assert sorted(table["dropout"]) == [0.1, 0.2, 0.3, 0.4]


def test_tpe_learns_from_what_the_prior_proposed(tmp_path):
    book = store(tmp_path, write_space(tmp_path, SPACE), samples=6, prior=True)
    search(book, 6)
    seen = load_study(book.run.journal).trials
    assert all(trial.state is TrialState.COMPLETE for trial in seen)
    assert all(trial.params.keys() == {"strategy", "learning_rate"} for trial in seen)


def test_a_run_of_an_earlier_version_has_no_sources_and_is_read(tmp_path):
    book = store(tmp_path, write_space(tmp_path, SPACE), samples=3)
    search(book, 3)
    file = book.run.path / "trials.parquet"
    pd.read_parquet(file).drop(columns="source").to_parquet(file)
    book.run.update_record(settings={"samples": 3})
    old = Run.open(book.run.path)
    assert "source" not in old.trials()
    leaderboard(old.path, 5)
    for row in book.standings.rows.values():
        row.pop("source")
    book.write_table()
    assert old.trials()["source"].isna().all()
