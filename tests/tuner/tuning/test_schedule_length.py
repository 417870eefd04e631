"""How long trials train where time is short, and with how many cores."""

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from tuner.console.reporter import Reporter
from tuner.probing.probed import Probed
from tuner.probing.sizes import FEWEST, SHORT, Plan
from tuner.tuning import backbones
from tuner.tuning.backbones import _free_cores, _with_schedule_in_time
from tuner.tuning.config import SearchConfig, search_config
from tuner.tuning.judgement import LONG
from tuner.tuning.schedule_length import Schedule, schedule_in_time

ROW = Probed(
    *("a", None, None, 10, 0.1, 4, 5.0, None, 0.1),
    *(0.5, None, None, 0.5, 0.5, 1.0, (0.5,)),
    image_size=160,
    step_milliseconds=10.0,
)
"""An epoch of 1,000 images takes 10 s on one core."""


def plan(seconds: float | None, cores: int = 2) -> Plan:
    return Plan(1000, seconds, 20.0, cores)


def test_without_a_limit_and_with_time_enough_trials_have_one_core_and_all_epochs() -> None:
    assert schedule_in_time(ROW, plan(None), 12) == Schedule(12)
    assert schedule_in_time(ROW, plan(10_000.0), 12) == Schedule(12)
    assert schedule_in_time(ROW, plan(270.0), 12) == Schedule(12)


def test_where_cores_are_settled_trials_are_only_shorter() -> None:
    assert schedule_in_time(ROW, plan(200.0, cores=1), 12) == Schedule(9)
    assert schedule_in_time(ROW, plan(20.0, cores=1), 12) == Schedule(FEWEST)
    assert schedule_in_time(ROW, plan(200.0, cores=1), 2) == Schedule(2)


def test_as_many_cores_as_it_takes_come_before_fewer_epochs() -> None:
    assert schedule_in_time(ROW, plan(260.0, cores=16), 12) == Schedule(12, 3)
    assert schedule_in_time(ROW, plan(130.0, cores=16), 12) == Schedule(12, 5)
    assert schedule_in_time(ROW, plan(260.0, cores=2), 12).cores == 2


def test_where_the_shipped_model_can_not_train_as_well_the_trial_has_its_time() -> None:
    # Two trainings of 8 epochs take (1 + 1.25 * 1.15) * 8 * 1.5 * 10 / 1.8 = 163 s.
    both, alone = schedule_in_time(ROW, plan(190.0), 12), schedule_in_time(ROW, plan(175.0), 12)
    assert both == Schedule(SHORT, 2)
    assert alone == Schedule(12, 2)
    assert schedule_in_time(ROW, plan(95.0), 12) == Schedule(9, 2)
    assert schedule_in_time(ROW, plan(25.0), 12) == Schedule(FEWEST, 2)


def test_an_epoch_is_estimated_by_a_training_step_where_one_was_timed() -> None:
    slower = replace(ROW, step_milliseconds=20.0)
    assert schedule_in_time(slower, plan(200.0, cores=1), 12) == Schedule(4)


def test_a_short_budget_is_planned_for_as_many_epochs_as_a_trial_is_trusted_from() -> None:
    assert SHORT == LONG


def test_a_person_is_told_what_the_time_makes_of_the_trials_and_what_was_asked_for_stays() -> None:
    settings, probe = SimpleNamespace(max_epochs=12), SimpleNamespace(rows=(ROW,), fine_tuned=("a",))
    said = io.StringIO()
    reporter = Reporter(Console(file=said, width=300))

    def planned(left: Plan, **asked: Any) -> SearchConfig:
        return _with_schedule_in_time(search_config(**asked), settings, probe, left, reporter)

    found = planned(plan(95.0))
    assert (found.max_epochs, found.cpus_per_trial) == (9, 2.0)
    assert "trials train on 2 cores each, for 9 epochs, not 12: whole schedules" in said.getvalue()
    found = planned(plan(200.0, cores=1))
    assert (found.max_epochs, found.cpus_per_trial) == (9, None)
    assert "trials of 9 epochs, not 12: more would not fit" in said.getvalue()
    length = len(said.getvalue())
    for left, asked in ((plan(95.0), {"max_epochs": 12}), (plan(None), {}), (plan(10_000.0), {})):
        assert planned(left, **asked) == search_config(**asked)
    assert len(said.getvalue()) == length


@pytest.mark.parametrize("asked", [{"concurrent": 2}, {"cpus_per_trial": 1.0}, {"gpus_per_trial": 0.5}])
def test_cores_that_somebody_has_settled_are_not_dealt_out_anew(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "usable_cores", lambda: 6)
    monkeypatch.setattr("trainables.inference.best_device", lambda: torch.device("cpu"))
    assert _free_cores(search_config()) == 6
    assert _free_cores(search_config(**asked)) == 1
    monkeypatch.setattr("trainables.inference.best_device", lambda: torch.device("cuda"))
    assert _free_cores(search_config()) == 1
