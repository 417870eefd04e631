from dataclasses import replace

import numpy as np
import pytest
from drawn_features import drawn

from benchmarks.statistics.advice import half_of_all, half_of_one, hours, predicted, row
from tuner.advice.heads import heads_on


@pytest.fixture(scope="module")
def losses():
    images = drawn(groups=160, apart=1.0, width=24)
    return {**half_of_all(images, heads_on(images), 0), **half_of_one(images, 1, 0)}


@pytest.fixture(scope="module")
def found(losses):
    return predicted(losses)


def test_the_truth_is_what_heads_on_all_groups_gain_on_the_same_images(losses, found):
    images = found["images"]
    assert images.truth == pytest.approx((losses["losses@1"][0] - losses["after"]).mean())
    assert images.gain == images.truth > 0
    assert images.low < images.mean < images.high


def test_what_is_predicted_does_not_depend_on_the_truth(losses, found):
    other = predicted({**losses, "after": losses["after"] + 1, "class_after": losses["class_after"] + 1})
    for kind in ("images", "class"):
        assert (other[kind].mean, other[kind].low) == (found[kind].mean, found[kind].low)


def test_the_level_is_that_of_all_images(found):
    level = found["level"]
    assert 0 < level.truth < 1
    assert level.low < level.mean < level.high
    assert level.high - level.low > found["images"].high - found["images"].low


def test_a_class_of_which_half_is_there_gains_from_the_other_half(found):
    one = found["class"]
    assert one.low < one.mean < one.high
    assert np.isfinite(one.truth)


def test_a_row_has_the_gain_the_error_and_how_often_the_interval_holds(found):
    cells = [cell.strip() for cell in row("drawn", [found["images"]]).split("|")]
    one = found["images"]
    assert cells[1:5] == ["drawn", "1", f"{one.gain:.4f}", f"{one.mean:.4f}"]
    assert cells[-2] == ("100 %" if one.low <= one.truth <= one.high else "0 %")


def test_a_row_says_how_far_the_mean_gain_misses_where_gains_differ(found):
    image, level = found["images"], found["level"]
    other = replace(image, truth=3 * image.truth, gain=3 * image.gain)
    assert row("drawn", [image, other]).split("|")[7].strip() == "0.50"
    assert row("drawn", [level, level]).split("|")[7].strip() == "-"


def test_orders_of_recorded_trials_are_halved():
    rows = list(hours(np.linspace(0.2, 1.0, 40), 20, 50))
    assert len(rows) == 50
    assert all(one.truth >= 0 for one in rows)
    assert any(one.truth == 0 for one in rows)
