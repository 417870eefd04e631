import shlex

import pytest

from tuner.advice.commands import typed
from tuner.cli.app import commands


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("probe", ("--image-size", "128")),
        ("probe", ("--backbones", "resnet18")),
        ("inspect", ("--suspects",)),
    ],
)
def test_what_advice_names_can_be_typed_and_looks_at_the_same_images(tmp_path, command, options):
    weights = tmp_path / "my weights"
    weights.mkdir()
    data = {"folder": "my photos", "groups": "groups.csv", "group_regex": None, "fractions": [0.6, 0.2, 0.2]}
    words = shlex.split(typed({"data": data, "weights": str(weights)}, command, *options))
    assert words[:3] == ["tuner", command, "my photos"]
    given = commands.commands[command].make_context(command, words[2:]).params
    assert str(given["groups"]) == "groups.csv"
    assert given["split"] == "0.6,0.2,0.2"
    assert given["weights_dir"] == weights


def test_the_usual_split_is_not_named():
    data = {"folder": "photos", "groups": None, "group_regex": None, "fractions": [0.8, 0.1, 0.1]}
    assert typed({"data": data, "weights": "imagenet"}, "probe") == "tuner probe photos"
