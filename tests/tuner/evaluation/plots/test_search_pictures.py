"""What the pictures of a search say of trials that nobody judged."""

import math

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from fake_run import make_run

from tuner.evaluation.plots import search
from tuner.runs.trial_table import BUDGET_OVER


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "search", samples=20)


def drawn(drawing):
    size, draw = drawing
    figure = plt.figure(figsize=size)
    draw(figure)
    yield figure
    plt.close(figure)


def words(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_trial_that_the_time_budget_ended_is_not_called_stopped_by_the_scheduler(run, monkeypatch):
    trials = run.trials()
    stopped = trials["status"] == "stopped"
    count = int(stopped.sum())
    [figure] = drawn(search.over_time(run))
    assert f"stopped early by the scheduler ({count})" in words(figure)
    trials.loc[trials.index[stopped][0], "reason"] = BUDGET_OVER
    monkeypatch.setattr(type(run), "trials", lambda _: trials)
    [figure] = drawn(search.over_time(run))
    assert f"stopped early by the scheduler ({count - 1})" in words(figure)
    assert "cut off by the time budget or by hand (1)" in words(figure)


def test_the_line_is_the_best_epoch_so_far(run):
    [figure] = drawn(search.over_time(run))
    [line] = [one for one in figure.axes[0].lines if one.get_label() == "best so far"]
    epochs = run.epochs().sort_values("time")
    assert list(line.get_ydata()) == list(epochs["val_loss"].cummin())
    assert line.get_ydata()[-1] == run.trials()["value"].min()


def test_who_was_cut_off_before_a_rung_counts_there_neither_way():
    trials = pd.DataFrame(
        {"spent": [8.0, 5.0, 2.0, 1.0], "status": "stopped", "cut": [False, True, True, False]}
    )
    assert search._survived(trials, 4) == pytest.approx(100 * 2 / 3)
    assert search._survived(trials, 6) == 50
    assert math.isnan(search._survived(trials[trials["cut"]], 6))


def test_losses_of_which_one_is_many_times_another_are_drawn_on_a_logarithmic_scale():
    for values, scale in (([0.1, 0.9], "linear"), ([0.01, 20.0], "log"), ([0.0, 20.0], "linear")):
        axes = plt.figure().add_subplot()
        search._spread_out(axes, pd.Series(values).to_numpy())
        assert axes.get_yscale() == scale
        plt.close(axes.figure)
