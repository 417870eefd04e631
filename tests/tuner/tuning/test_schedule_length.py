"""How long trials train where time is short, and with how many cores."""

from dataclasses import replace

from tuner.probing.probed import Probed
from tuner.probing.sizes import FEWEST, SHORT, Plan
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
