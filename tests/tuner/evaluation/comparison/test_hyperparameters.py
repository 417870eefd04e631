import optuna
import pytest
from fake_run import make_run
from optuna.trial import create_trial

from tuner.evaluation.comparison.hyperparameters import edge_warnings, importances, parameter_frame, savings
from tuner.runs.trial_table import BUDGET_OVER


def attrs(number):
    """What marks a trial of the study as tuner's."""
    return {"trial_id": f"googlenet-full-{number:05d}", "config": {}, "row": {}}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "search", samples=40)


def test_importances_find_what_matters(run):
    found = importances(run)
    assert found.problem is None
    assert next(iter(found.values)) in ("strategy", "learning_rate")
    assert sum(found.values.values()) == pytest.approx(1.0)


def test_importances_of_few_trials_are_refused_in_a_sentence(tmp_path):
    run = make_run(tmp_path / "run", samples=0)
    study = optuna.load_study(
        storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(run.journal))),
        study_name="tuner",
    )
    assert len(study.trials) == 9
    run.journal.unlink()
    optuna.create_study(
        storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(run.journal))),
        study_name="tuner",
    )
    assert "0 completed trials are too few" in (importances(run).problem or "")
    assert edge_warnings(run) == []


def test_a_best_value_at_the_edge_of_its_range_is_warned_of(tmp_path):
    run = make_run(tmp_path / "run", samples=0)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(run.journal)))
    study = optuna.load_study(storage=storage, study_name="tuner")
    ranges = {
        "learning_rate": optuna.distributions.FloatDistribution(1e-5, 1e-2, log=True),
        "label_smoothing": optuna.distributions.FloatDistribution(0.0, 0.2),
        "dropout": optuna.distributions.FloatDistribution(0.0, 0.6),
        "weight_decay": optuna.distributions.FloatDistribution(1e-7, 1e-2, log=True),
    }
    best = {"learning_rate": 9e-3, "label_smoothing": 0.0, "dropout": 0.3, "weight_decay": 1.1e-7}
    study.add_trial(create_trial(params=best, distributions=ranges, value=0.001, user_attrs=attrs(90)))
    for number, (rate, dropout) in enumerate(((1e-4, 0.1), (1e-3, 0.2)), start=91):
        other = {
            "learning_rate": rate,
            "label_smoothing": 0.1,
            "dropout": dropout,
            "weight_decay": 1e-3 * dropout,
        }
        study.add_trial(create_trial(params=other, distributions=ranges, value=1.0, user_attrs=attrs(number)))
    (sentence,) = edge_warnings(run)
    assert "learning_rate, 0.009, lies at the upper edge" in sentence


def test_what_another_program_told_the_study_says_nothing_of_the_hyperparameters(tmp_path):
    run = make_run(tmp_path / "run", samples=40)
    before = importances(run), edge_warnings(run)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(run.journal)))
    study = optuna.load_study(storage=storage, study_name="tuner")
    ours = study.best_trial
    params = {**ours.params, "learning_rate": 1e-2}
    study.add_trial(create_trial(params=params, distributions=ours.distributions, value=-1.0))
    assert (importances(run), edge_warnings(run)) == before


def test_savings_add_up(run):
    found, trials = savings(run), run.trials()
    assert found.spent == trials["epochs"].sum()
    assert found.full == 8 * len(trials)
    assert found.spent + found.by_scheduler + found.by_patience + found.by_failure == found.full
    assert found.by_scheduler > 0
    assert found.hours == pytest.approx((found.by_scheduler + found.by_patience) * 5 / 3600)


def test_what_the_time_budget_cut_off_was_not_saved(run, monkeypatch):
    before, trials = savings(run), run.trials()
    at = trials.index[trials["status"] == "stopped"][0]
    left = int(trials["max_epochs"][at] - trials["epochs"][at])
    trials.loc[at, "reason"] = BUDGET_OVER
    monkeypatch.setattr(type(run), "trials", lambda _: trials)
    found = savings(run)
    assert (before.cut_off, found.cut_off) == (0, left)
    assert found.by_scheduler == before.by_scheduler - left
    assert (found.spent, found.full) == (before.spent, before.full)
    assert found.hours < before.hours


def test_near_the_end_of_a_range_that_is_off_nothing_better_lies_beyond(tmp_path):
    run = make_run(tmp_path / "run", samples=0)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(run.journal)))
    study = optuna.load_study(storage=storage, study_name="tuner")
    ranges = {
        "label_smoothing": optuna.distributions.FloatDistribution(0.0, 0.2),
        "dropout": optuna.distributions.FloatDistribution(0.1, 0.6),
    }
    values = ((0.004, 0.11, 0.001), (0.1, 0.3, 1.0), (0.15, 0.4, 1.0))
    for number, (smoothing, dropout, value) in enumerate(values, start=90):
        params = {"label_smoothing": smoothing, "dropout": dropout}
        own = attrs(number)
        study.add_trial(create_trial(params=params, distributions=ranges, value=value, user_attrs=own))
    (sentence,) = edge_warnings(run)
    assert "dropout, 0.11, lies at the lower edge" in sentence


def test_the_parameter_frame_leaves_constants_out(run):
    frame = parameter_frame(run)
    assert "learning_rate" in frame
    assert "model" not in frame
    assert "seed" not in frame
    assert set(frame["status"]) == {"completed", "stopped"}
