"""A search whose time budget is over, and that goes on when it is given more time."""

import sys
import time

import pytest
from interrupting import check_whole
from optuna.trial import TrialState
from ray import cloudpickle
from rich.console import Console
from tiny import write_space

from trainables.ray_trainable import TrialTrainable
from tuner.cli.ending import ending
from tuner.evaluation.comparison.finalists import kept_trials
from tuner.release.export import export
from tuner.runs.journal import load_study
from tuner.runs.trial_table import BUDGET_OVER
from tuner.tracking.status import read_status, render
from tuner.tuning.config import search_config
from tuner.tuning.loop import execute, search
from tuner.tuning.prepare import prepare
from tuner.tuning.resume import resume
from tuner.tuning.scheduler import FairASHA

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

# Ray's workers can't import this module: pytest alone knows where it is.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SPACE = '''"""One kind of trial, of four epochs."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return {"model": "mobilenet_v2", "strategy": "full", "batch_size": 8, "patience": 0}
'''


def words(*shown):
    console = Console(width=10_000, no_color=True)
    with console.capture() as capture:
        for one in shown:
            console.print(one, soft_wrap=True)
    return capture.get()


def over_after(monkeypatch, epochs):
    """Let the time budget be over after so many epochs of a trial, however fast this machine is."""
    verdict = FairASHA.verdict

    def judged(scheduler, trial_id, result):
        if result.get("epoch") == epochs:
            scheduler.time_left = lambda: 0.0
        return verdict(scheduler, trial_id, result)

    monkeypatch.setattr(FairASHA, "verdict", judged)


def test_a_trial_that_the_time_budget_cut_counts_and_goes_on_from_its_last_epoch(
    tmp_path, pictures, monkeypatch
):
    with monkeypatch.context() as patched:
        over_after(patched, 2)
        config = search_config(
            space=str(write_space(tmp_path, SPACE)),
            data=pictures,
            weights="none",
            image_size=32,
            samples=1,
            max_epochs=4,
            grace_period=4,
            runs_dir=tmp_path,
            name="run",
            concurrent=1,
            precision="fp32",
            folds=0,
        )
        result = search(config)
    run = result.run
    [cut] = result.trials.to_dict("records")
    assert (cut["status"], cut["reason"], cut["epochs"]) == ("stopped", BUDGET_OVER, 2)
    assert (result.exit_status, result.cut) == (0, 1)
    assert run.record["finished"] is not None
    [told] = load_study(run.journal).trials
    assert told.state is TrialState.RUNNING
    assert (run.alive(cut["trial_id"]) / "state.pt").exists()
    assert [one.row["trial_id"] for one in kept_trials([run], 5)] == [cut["trial_id"]]
    assert export(run.path, out=tmp_path / "best.yaml").trial == cut["trial_id"]
    assert read_status(run.path).state == "finished"
    for text in (words(*ending(result)), words(render(run.path))):
        assert "1 trial was cut by the time budget and can go on" in text
        assert f"tuner resume {run.path} --time-budget" in text
    assert f"next: tuner compare {run.path}" in words(*ending(result))

    before = run.epochs()
    again = resume(run.path, time_budget_s=600.0)
    [ended] = again.trials.to_dict("records")
    assert (ended["trial_id"], ended["status"], ended["epochs"]) == (cut["trial_id"], "completed", 4)
    # Its first epochs are those that were trained before, at the times of then.
    assert run.epochs().head(2).equals(before)
    assert load_study(run.journal).trials[0].state is TrialState.COMPLETE
    assert (again.exit_status, again.cut, list((run.path / "alive").iterdir())) == (0, 0, [])
    assert [file.stem for file in (run.path / "weights").iterdir()] == [cut["trial_id"]]


class Slow(TrialTrainable):
    """A trainable whose epochs take a second, in which it sleeps."""

    def step(self):
        time.sleep(1)
        return super().step()


def test_the_time_budget_ends_in_time_with_everything_written(tmp_path, pictures):
    config = search_config(
        space=str(write_space(tmp_path)),
        data=pictures,
        weights="none",
        image_size=32,
        samples=500,
        max_epochs=4,
        time_budget_s=30.0,
        runs_dir=tmp_path,
        name="budget",
        split="0.6,0.2,0.2",
        concurrent=1,
        precision="fp32",
        folds=0,
    )
    searched = prepare(config)
    result = execute(searched, trainable=Slow)
    table, run = result.trials, result.run
    # Whether a trial was running at that moment is chance; that the search ended before its 500 trials, told the truth
    # and left those that the budget cut to go on, is not.
    assert result.exit_status == 0
    assert 1 <= len(table) < 500
    cut = table.loc[table["reason"] == BUDGET_OVER, "trial_id"].tolist()
    check_whole(run, len(table), cut)
    assert all((run.alive(trial_id) / "state.pt").exists() for trial_id in cut)
