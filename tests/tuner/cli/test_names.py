import pytest
from click.shell_completion import ShellComplete

from tuner.cli import commands


def completed(*words):
    *before, begun = words
    found = ShellComplete(commands, {}, "tuner", "_TUNER_COMPLETE").get_completions(list(before), begun)
    return [item.value for item in found if item.type == "plain"], [item.type for item in found]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "--space", "goo"), ["googlenet_full", "googlenet_grid"]),
        (("plan", "--space", "imb"), ["imbalance"]),
        (("spaces", "back"), ["backbones"]),
        (("models", "resnet1"), ["resnet18"]),
        (("run", "--models", "resnet18,vgg"), ["resnet18,vgg16"]),
        (("run", "--strategies", "full,fe"), ["full,feature_extractor"]),
        (("probe", "--backbones", "smal"), ["small"]),
        (("run", "--metric", "val_acc"), ["val_accuracy"]),
        (("run", "--sampler", "tp"), ["tpe"]),
        (("run", "--precision", "bf"), ["bf16"]),
        (("run", "--log", "ml"), ["mlflow"]),
        (("sync", "runs/a", "--log", "mo"), ["mongodb"]),
        (("run", "--weights", "im"), ["imagenet"]),
    ],
)
def test_a_name_is_completed(words, expected):
    assert completed(*words)[0] == expected


def test_a_space_may_be_a_file_as_well():
    assert completed("run", "--space", "./my") == ([], ["file"])


def test_a_name_that_is_given_already_is_not_offered_again():
    assert "full" not in [name.split(",")[-1] for name in completed("run", "--strategies", "full,")[0]]
