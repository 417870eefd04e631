"""The table of probed backbones on terminals of several widths."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from tuner.cli.probe import render
from tuner.probing.probed import Probed
from tuner.probing.ranking import Probe

NAMES = tuple(f"timm:tf_efficientnet_lite{number}.in1k" for number in range(2))
LOSSES = (0.1, 0.2, 0.3, 0.2)


def probed(name: str) -> Probed:
    return Probed(
        model=name,
        family="EfficientNet-Lite",
        licence="apache-2.0",
        parameters=3_400_000,
        megabytes=13.6,
        features=1280,
        milliseconds=9.5,
        gpu_milliseconds=None,
        l2=0.01,
        log_loss=0.2,
        low=0.1,
        high=0.3,
        accuracy=0.9,
        balanced_accuracy=0.8,
        seconds=3.0,
        losses=LOSSES,
        image_size=96,
    )


def shown(width: int) -> str:
    """What a terminal of `width` characters shows of two backbones that are tied."""
    images = {"train": 2, "val": 2}
    found = Probe(tuple(map(probed, NAMES)), {}, ("a", "b", "c", "d"), images, 96, "fp32", 3.0, 0)
    console = Console(width=width, file=(written := io.StringIO()))
    for part in render(found):
        console.print(part, soft_wrap=isinstance(part, Text))
    return written.getvalue()


@pytest.mark.parametrize("width", [80, 100, 112, 160])
def test_no_name_of_a_backbone_is_cut(width: int) -> None:
    lines = shown(width).splitlines()
    for name in NAMES:
        assert sum(name in line and "0.2000" in line for line in lines) == 1


def test_a_wide_terminal_shows_every_column_and_a_narrow_one_the_loss() -> None:
    assert {"MB", "parameters", "licence", "95"} <= set(shown(160).split())
    assert "MB" not in shown(100).split()
    assert "log loss" in shown(80)


def test_a_tie_is_said_beside_the_backbone_and_explained_once() -> None:
    text = shown(112)
    assert [line.rstrip().endswith("tied") for line in text.splitlines() if line.startswith("timm:")] == [
        False,
        True,
    ]
    assert text.count("tied: the loss is not significantly higher than the lowest") == 1
