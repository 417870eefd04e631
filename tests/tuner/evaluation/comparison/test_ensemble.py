import numpy as np
import pytest
from fake_run import fake_scorer, make_run

from trainables.metrics import METRICS, Answers
from tuner.evaluation.compare import compare
from tuner.evaluation.comparison.ensemble import choose_ensemble, ensemble_logits
from tuner.evaluation.comparison.finalists import kept_trials, note_scoring
from tuner.runs.best_file import read_best
from tuner.runs.best_trial import best_of, write_best
from tuner.runs.directory import read_yaml
from tuner.statistics.calibration import mean_logits
from tuner.statistics.ensembles import select_members as select

LOSS = METRICS["val_loss"]


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 3, 200)


def models(labels, count, seed=0):
    """Equally good models with noise of their own."""
    random = np.random.default_rng(seed)
    return {
        f"m{i}": 2.0 * np.eye(3)[labels] + 1.5 * random.normal(size=(len(labels), 3)) for i in range(count)
    }


def loss(labels, logits):
    return LOSS.compute(Answers(labels, logits))


def test_models_that_err_apart_are_averaged_and_no_more_than_asked_for(labels):
    logits = models(labels, 8)
    counts = select(logits, labels, LOSS, 3)
    assert 2 <= len(counts) <= 3
    alone = min(loss(labels, one) for one in logits.values())
    assert loss(labels, ensemble_logits(counts, logits)) < alone
    assert loss(labels, ensemble_logits(select(logits, labels, LOSS, 8), logits)) <= loss(
        labels, ensemble_logits(counts, logits)
    )


def test_a_model_that_all_others_make_worse_stays_alone(labels):
    logits = {"good": 4.0 * np.eye(3)[labels], **{f"bad{i}": -4.0 * np.eye(3)[labels] for i in range(3)}}
    assert select(logits, labels, LOSS, 5) == {"good": 1}


def test_a_better_model_gets_more_votes(labels):
    logits = models(labels, 2)
    logits["m0"] = logits["m0"] + 0.7 * np.eye(3)[labels]
    counts = select(logits, labels, LOSS, 2)
    assert counts["m0"] > counts.get("m1", 0)


def test_the_ensembles_probabilities_are_the_weighted_mean(labels):
    logits = models(labels, 2)
    mixed = Answers(labels, ensemble_logits({"m0": 3, "m1": 1}, logits)).probabilities
    first, second = (Answers(labels, logits[key]).probabilities for key in ("m0", "m1"))
    np.testing.assert_allclose(mixed, 0.75 * first + 0.25 * second)
    np.testing.assert_allclose(
        mean_logits([logits["m0"]], [2]), Answers(labels, logits["m0"]).log_probabilities
    )


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run")


def noisy(run, row, paths):
    """Logits of equally good trials that err apart, so that an ensemble of them is better."""
    known = run.split().set_index("path")["label"]
    classes = [str(name) for name in run.record["data"]["classes"]]
    labels = np.array([classes.index(known[path]) for path in paths])
    random = np.random.default_rng([int(row["number"]), len(paths)])
    return 2.0 * np.eye(len(classes))[labels] + 1.5 * random.normal(size=(len(paths), len(classes)))


def test_it_is_the_last_finalist_and_judged_like_the_others(run, monkeypatch):
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())
    write_best(run, run.trials().to_dict("records")[0])
    found = compare([run.path], scorer=noisy, top=3, ensemble=4)
    last = found.table.iloc[-1]
    assert (last["key"], last["trial_id"]) == ("ensemble", "ensemble")
    assert last["label"].startswith("ensemble of ")
    assert "No ensemble" not in found.conclusion
    assert last["test_loss"] < found.table["test_loss"].iloc[:-1].min()
    assert last["verdict"] in ("better", "tied with the first")
    chosen = choose_ensemble([run], 4, noisy)
    noted = {trial for one in read_yaml(run.path / "test_scored.yaml")["scorings"] for trial in one["trials"]}
    assert {one.key for one in chosen.members} <= noted
    assert "ensemble" not in noted


def test_its_members_stand_in_best_yaml_and_go_when_there_is_none(run, monkeypatch):
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())
    write_best(run, run.trials().to_dict("records")[0])
    compare([run.path], scorer=noisy, ensemble=4)
    members = read_best(run.path / "best.yaml").ensemble
    counts = choose_ensemble([run], 4, noisy).finalist.members
    assert {one.trial: one.count for one in members} == counts
    rows = {row["trial_id"]: row for row in run.trials().to_dict("records")}
    assert all(one.config == best_of(run, rows[one.trial]).config for one in members)
    found = compare([run.path], scorer=lambda run, _, paths: noisy(run, {"number": 1}, paths), ensemble=4)
    assert found.sentences[-1].startswith("No ensemble of at most 4 kept trials is better on validation")
    assert read_best(run.path / "best.yaml").ensemble == ()


def test_of_members_of_several_runs_no_best_yaml_tells_and_that_is_said(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())
    write_best(run, run.trials().to_dict("records")[0])
    compare([run.path], scorer=noisy, ensemble=4)
    assert read_best(run.path / "best.yaml").ensemble
    other = make_run(tmp_path / "other")

    def of_both(one, row, paths):
        return noisy(one, {"number": int(row["number"]) + 1000 * (one.path.name == "other")}, paths)

    found = compare([run.path, other.path], scorer=of_both, ensemble=5, fresh_check=False)
    assert read_best(run.path / "best.yaml").ensemble == ()
    assert "across several runs cannot be exported" in " ".join(found.warnings)


def test_without_being_asked_nothing_is_looked_for_and_best_yaml_is_left_alone(run, monkeypatch):
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())
    write_best(run, run.trials().to_dict("records")[0])
    before = (run.path / "best.yaml").read_text()
    found = compare([run.path], scorer=fake_scorer)
    assert "ensemble" not in set(found.table["key"])
    assert "nsemble" not in found.conclusion
    assert (run.path / "best.yaml").read_text() == before


def test_only_trials_with_weights_are_offered_the_best_first(run):
    kept = kept_trials([run], 3)
    assert [one.value for one in kept] == sorted(one.value for one in kept)
    assert len(kept) == 3
    run.weights(kept[0].key).unlink()
    assert kept[0].key not in [one.key for one in kept_trials([run], 3)]
    assert note_scoring(run, [kept[1].key], "a look") is None
