from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.text import Text

from tuner.cli.ending import ending
from tuner.tuning.result import SearchResult

DATA = ("sample", "groups", "group_regex")


def said(**how):
    run = SimpleNamespace(
        path=Path("runs/mine"),
        record={"metric": "val_loss", "weights": "imagenet", "data": dict.fromkeys(DATA)},
        trials=lambda: pd.DataFrame(),
        judged=lambda: None,
    )
    lines = ending(SearchResult(run, None, **{"interrupted": False, **how}))
    return [line.plain for line in lines if isinstance(line, Text)]


@pytest.mark.parametrize("cut", [0, 2])
def test_a_budget_that_was_over_before_a_trial_ended_is_named_with_the_way_on(cut):
    lines = said(cut=cut)
    assert "no trial finished: the time budget was over before" in lines
    assert lines[-1].endswith("tuner resume runs/mine --time-budget DURATION")
    assert not any("tuner compare" in line for line in lines)


def test_a_space_that_failed_before_its_first_trial_is_not_blamed_on_the_time():
    lines = said(trouble="space mine: division by zero")
    assert "no trial finished" in lines
    assert lines[-1].startswith("space mine: division by zero; no more trials could be proposed")
