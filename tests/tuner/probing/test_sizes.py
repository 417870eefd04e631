"""Which side images are searched at."""

from dataclasses import replace

import numpy as np
import pytest

from tuner.probing.probed import Probed
from tuner.probing.sizes import FIRST, LATE, Plan, affords, at_side, choose_size, gain, with_cores

GROUPS = tuple(map(str, range(40)))


def row(size, loss, *, milliseconds=10.0, noise=0.01, model="a"):
    losses = loss + noise * np.sin(np.arange(40) * size)
    return Probed(
        model=model,
        family=None,
        licence=None,
        parameters=10,
        megabytes=0.1,
        features=4,
        milliseconds=milliseconds,
        gpu_milliseconds=None,
        l2=0.1,
        log_loss=float(losses.mean()),
        low=None,
        high=None,
        accuracy=0.5,
        balanced_accuracy=0.5,
        seconds=1.0,
        losses=tuple(map(float, losses)),
        image_size=size,
    )


def plan(seconds=None, images=1000):
    return Plan(images=images, seconds=seconds)


def test_a_larger_side_is_taken_for_a_gain_beyond_its_error_and_for_no_other():
    better, alike = row(224, 0.3), row(224, 0.4995)
    assert choose_size([row(160, 0.5), better], GROUPS, plan()).image_size == 224
    chosen = choose_size([row(160, 0.5), alike], GROUPS, plan())
    assert chosen.image_size == 160
    assert "which may be chance" in chosen.reason
    more, half = gain(row(160, 0.5), better, GROUPS)
    assert more == pytest.approx(0.2, abs=0.01)
    assert 0 < half < 0.02


def test_a_side_that_leaves_no_time_to_fine_tune_is_taken_only_where_its_features_alone_are_much_better():
    # An epoch of 1,000 images takes 35 s and 70 s.
    fits, too_long = row(160, 0.5, milliseconds=10.0), row(224, 0.4, milliseconds=20.0)
    limit = plan(seconds=3000.0)
    assert affords(fits, limit)
    assert not affords(too_long, limit)
    chosen = choose_size([fits, too_long], GROUPS, limit)
    assert (chosen.image_size, "leaves no time" in chosen.reason) == (160, True)
    assert choose_size([fits, row(224, 0.1, milliseconds=20.0)], GROUPS, limit).image_size == 224
    assert choose_size([fits, too_long], GROUPS, plan()).image_size == 224


def test_a_side_leaves_time_if_one_backbone_does():
    slow, quick = row(160, 0.4, milliseconds=20.0), row(160, 0.5, milliseconds=10.0, model="b")
    larger = row(224, 0.3, milliseconds=40.0)
    assert choose_size([slow, quick, larger], GROUPS, plan(seconds=3000.0)).image_size == 160


def test_where_no_side_leaves_time_the_features_alone_decide():
    rows = [row(160, 0.5, milliseconds=100.0), row(224, 0.4, milliseconds=200.0)]
    assert choose_size(rows, GROUPS, plan(seconds=60.0)).image_size == 224


def test_the_best_backbone_of_a_side_speaks_for_it_and_a_single_side_is_what_it_is():
    rows = [row(160, 0.5), row(160, 0.2, model="b"), row(224, 0.3)]
    assert choose_size(rows, GROUPS, plan()).image_size == 160
    assert choose_size([row(160, 0.5)], GROUPS, plan()).image_size == 160


def test_of_a_single_group_no_gain_is_known():
    one = ("same",) * 40
    assert gain(row(160, 0.5), row(224, 0.1), one)[1] == np.inf
    assert choose_size([row(160, 0.5), row(224, 0.1)], one, plan()).image_size == 160


def test_all_cores_and_a_single_schedule_are_enough_at_the_first_side_and_at_no_larger_one():
    # An epoch of 1,000 images takes 35 s on one core; a fifth of the time is gone when trials begin.
    fits, limit = row(FIRST, 0.5, milliseconds=10.0), plan(seconds=300.0)
    assert not affords(fits, limit)
    assert not affords(fits, replace(limit, around=22.0, cores=2))
    assert affords(fits, replace(limit, around=22.0, cores=4))
    assert not affords(row(224, 0.5, milliseconds=10.0), replace(limit, around=22.0, cores=4))


def test_epochs_alone_leave_room_for_steps_that_are_slower_than_timed():
    limit = Plan(1000, 122.0, 22.0, 1)
    assert limit.epochs_alone(10.0) == int(100 / (LATE * 10))
    assert replace(limit, cores=2).epochs_alone(10.0) == int(100 / (LATE * with_cores(10.0, 2)))
    assert replace(limit, seconds=10.0).epochs_alone(10.0) == 0
    with pytest.raises(ValueError, match="without a limit"):
        plan().epochs_alone(10.0)


def test_an_epoch_is_estimated_by_a_training_step_where_one_was_timed():
    # By a forward pass an epoch takes 35 s, by a step 17.5 s.
    batched = replace(row(160, 0.5, milliseconds=10.0), step_milliseconds=17.5)
    assert affords(batched, plan(seconds=1200.0))
    assert at_side(batched, 80).step_milliseconds == pytest.approx(17.5 / 4)


def test_the_time_at_another_side_goes_with_the_pixels():
    assert at_side(row(160, 0.5, milliseconds=16.0), 80).milliseconds == pytest.approx(4.0)


def test_the_smallest_side_may_take_longer_an_epoch_than_others():
    # An epoch of 1,000 images takes 35 s.
    limit = plan(seconds=1500.0)
    assert affords(row(96, 0.5), limit)
    assert not affords(row(160, 0.5), limit)
    assert not affords(row(96, 0.5), plan(seconds=1000.0))
