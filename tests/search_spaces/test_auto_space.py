import pytest

import search_spaces
from search_spaces import auto


@pytest.mark.parametrize("max_epochs", [1, 2, 12])
def test_it_is_a_space_for_any_number_of_epochs(max_epochs):
    space = search_spaces.load("auto")
    search_spaces.check(space, {"max_epochs": max_epochs}, {"model": ("resnet18",)}, 1)
    first = auto.first_trials(max_epochs, ["resnet18"])
    assert first
    assert (first[0]["strategy@5-stages"] == "probe_then_full") == (max_epochs > 1)


def test_it_begins_with_more_augmentation_after_a_solved_head_and_tries_each_backbone_first():
    first = auto.first_trials(12, ["resnet18", "resnet50"])
    assert [one["model"] for one in first[:2]] == ["resnet18", "resnet50"]
    assert {one["augmentation"] for one in first[:2]} == {"moderate"}
    assert first[0]["backbone_learning_rate@convolutional"] == 1e-3


def test_the_other_recipes_are_complete_and_tried_with_the_first_backbone_alone():
    first = auto.first_trials(12, ["resnet50", "resnet18"])
    others = first[2:]
    assert {one["model"] for one in others} == {"resnet50"}
    assert all(one.keys() == first[0].keys() for one in others)
    recipes = [tuple(one[name] for name in ("augmentation", "label_smoothing", "mixup")) for one in first]
    assert recipes[0] == recipes[1]
    assert len(set(recipes[1:])) == len(others) + 1 == 5
