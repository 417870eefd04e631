"""A search whose time budget is over, and that goes on when it is given more time."""

import pytest
from optuna.trial import TrialState
from rich.console import Console
from tiny import write_space

from tuner.cli.ending import ending
from tuner.evaluation.comparison.finalists import kept_trials
from tuner.release.export import export
from tuner.runs.journal import load_study
from tuner.runs.trial_table import BUDGET_OVER
from tuner.tracking.status import read_status, render
from tuner.tuning.config import search_config
from tuner.tuning.loop import search
from tuner.tuning.resume import resume
from tuner.tuning.scheduler import FairASHA

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]

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
