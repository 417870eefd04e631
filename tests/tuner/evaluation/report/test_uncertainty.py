"""Sets that hold every class are said to say nothing, in the words of `predict`."""

import pytest

from tuner.evaluation.report.uncertainty import sure_sentences, sure_tables
from tuner.statistics.conformal import why_every_class


def metrics(groups, sizes):
    """What metrics.json says of sets from so many calibration groups of two classes, and of their sizes."""
    test = {
        "coverage": 1.0,
        "coverage_95": None,
        "coverage_by_class": [1.0, 1.0],
        "share_by_size": sizes,
        "mean_size": 2.0,
    }
    ends = {"before": 0.5, "after": 0.4, "difference": -0.1}
    change = {**ends, **{f"{name}_95": None for name in ends}}
    fitted = {"images": 12, "groups": 3, "loss": change}
    fitted["calibration_error"] = {"expected": ends, "square": change}
    return {
        "grouped": True,
        "calibration": {"temperature": 1.1, "held_out": "so", "validation": fitted, "test": None},
        "sets": {
            "alpha": 0.1,
            "needed_groups": 9,
            "calibration_groups": {"ill": groups, "well": groups},
            "test": test,
        },
        "answered": None,
        "costs": None,
    }


@pytest.mark.parametrize(
    ("groups", "sizes", "said"),
    [
        (2, [0.0, 0.0, 1.0], why_every_class(0.1, [2, 2])),
        (9, [0.0, 0.0, 1.0], "every set of the test images holds every class, so sets say nothing"),
    ],
)
def test_sets_of_every_class_are_not_praised_for_holding_the_truth(groups, sizes, said):
    found = metrics(groups, sizes)
    assert any(said in line for line in sure_sentences(found))
    assert not any("hold the true class" in line for line in sure_sentences(found))
    assert sure_tables(found) == []


def test_sets_that_say_something_are_told_as_before():
    found = metrics(9, [0.0, 0.5, 0.5])
    assert any("hold the true class of 100.0 % of the test images" in line for line in sure_sentences(found))
    assert [caption for caption, _, _ in sure_tables(found)] == ["Sets at --alpha 0.1", "Sizes of the sets"]


def test_a_temperature_is_not_said_to_help_the_images_that_gave_it():
    found = metrics(9, [0.0, 0.5, 0.5])
    line = "0.4000 after temperatures that other groups gave; difference -0.1000"
    assert any(line in said for said in sure_sentences(found))
    found["calibration"]["test"] = found["calibration"]["validation"]
    assert any("0.4000 after the temperature; difference" in said for said in sure_sentences(found))
