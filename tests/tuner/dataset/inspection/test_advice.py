"""What `inspect` advises: each with its reason, the warnings first, and nothing where nothing was found."""

from dataclasses import replace
from pathlib import Path

import pytest

from tuner.dataset.inspection.advice import advise
from tuner.dataset.inspection.shortcuts import Photographed
from tuner.dataset.inspection.summary import ClassRow, Duplicates, Inspection
from tuner.dataset.judges import Judges

NONE = Duplicates(0, ())
GOOD = Inspection(
    folder=Path("leaves"),
    classes=(ClassRow("ill", 400, 100, 0.5), ClassRow("well", 400, 100, 0.5)),
    images=800,
    groups=200,
    grouped=True,
    given_split=None,
    findings=(),
    smallest=(256, 256),
    median=(256, 256),
    largest=(256, 256),
    imbalance=1.0,
    duplicates_within=NONE,
    duplicates_across=NONE,
    near_copies=NONE,
    corrupt=(),
    passed_over=(),
    empty_classes=(),
    test_images=80,
    expected_leaks=1.0,
    split_problem=None,
)


def test_of_good_images_there_is_nothing_to_say():
    assert advise(GOOD, [Photographed("ill", 0.55, 0.5, {"size": 0.5})]) == ()


@pytest.mark.parametrize(
    ("changes", "do", "why"),
    [
        ({"grouped": False}, "tuner inspect --similar", "puts pictures of one object on both sides"),
        ({"imbalance": 6.6}, "--space imbalance", "6.6 times rarer"),
        ({"smallest": (64, 48)}, "at most about 48", "sizes go from 64x48 to 256x256"),
        (
            {"classes": (GOOD.classes[0], ClassRow("well", 40, 9, 0.1))},
            "collect more groups of this class",
            "'well' has 9",
        ),
    ],
)
def test_each_finding_has_its_advice_and_reason(changes, do, why):
    (found,) = advise(replace(GOOD, **changes), [])
    assert do in found.do
    assert why in found.why
    assert not found.warning


def test_warnings_come_first():
    odd = replace(GOOD, imbalance=5.0, duplicates_across=Duplicates(2, (("a", "b"),)))
    taken = [Photographed("well", 0.97, 0.93, {"size": 0.5, "camera": 0.96})]
    found = advise(odd, taken)
    assert [one.warning for one in found] == [True, True, False]
    assert "'well' 0.97 (camera 0.96)" in found[0].why
    assert "2 images are in two classes" in found[1].why


def test_copies_make_missing_groups_a_warning():
    (found,) = advise(replace(GOOD, grouped=False, near_copies=Duplicates(7, ())), [])
    assert found.warning
    assert found.why.startswith("7 pairs are copies")


def test_without_groups_a_class_that_seems_taken_otherwise_may_be_objects_seen_again():
    odd = replace(GOOD, grouped=False)
    found = advise(odd, [Photographed("well", 0.97, 0.93, {"size": 0.95})])
    assert "several pictures of one object may add to this" in found[0].why


def test_an_area_that_is_not_sure_is_no_warning():
    assert advise(GOOD, [Photographed("well", 0.9, 0.6, {"size": 0.9})]) == ()


def test_a_test_part_that_can_show_nothing_is_said_first_with_what_would_do():
    few = replace(GOOD, judges=Judges(5, 8, 36, ((0.6, 0.2, 0.2), 9)))
    found = advise(few, [Photographed("well", 0.97, 0.93, {"size": 0.95})])
    assert found[0].warning
    assert "--split 0.6,0.2,0.2 gives 9 test groups" in found[0].do
    assert "all 36 groups judge (tuner compare RUN --folds 5)" in found[0].do
    assert found[0].why.startswith(
        "5 test groups cannot show any difference between finalists, however large"
    )
    assert found[0].why.endswith("takes at least 8 test groups")


def test_a_larger_share_is_advised_only_where_it_was_counted():
    rare = replace(GOOD, classes=(GOOD.classes[0], ClassRow("well", 40, 9, 0.1)))
    (bare,) = advise(replace(rare, judges=Judges(20, 8, 109)), [])
    assert "--split" not in bare.do
    (counted,) = advise(replace(rare, judges=Judges(20, 8, 109, ((0.7, 0.15, 0.15), 31))), [])
    assert "--split 0.7,0.15,0.15 gives 31 test groups" in counted.do
