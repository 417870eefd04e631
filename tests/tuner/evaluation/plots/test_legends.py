"""A legend lists only what is drawn, and values keep the letters in which they differ."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from trainables.config import TrialConfig
from trainables.metrics import METRICS
from tuner.evaluation.plots import parameters, scores, tradeoffs


def drawn(drawing):
    size, draw = drawing
    figure = plt.figure(figsize=size)
    draw(figure)
    return figure


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("statuses", [["completed"] * 3, ["completed", "stopped", "completed"]])
def test_slices_list_the_endings_that_there_are(statuses):
    frame = pd.DataFrame({"value": [0.1, 0.2, 0.3], "status": statuses, "learning_rate": [1e-3, 1e-2, 1e-4]})
    found = legend(drawn(parameters.slices(frame, "val_loss", ["learning_rate"])))
    assert found == list(dict.fromkeys(statuses))


@pytest.mark.parametrize("beaten", [False, True])
def test_what_nobody_is_stands_in_no_legend_of_the_pareto_front(beaten):
    table = pd.DataFrame(
        {
            "milliseconds": [1.0, 2.0],
            "test_value": [0.3, 0.2],
            "pareto": [True, not beaten],
            "label": ["a · full", "b · full"],
        }
    )
    found = legend(drawn(tradeoffs.front(table, METRICS["val_loss"])))
    assert ("beaten in both" in found) == beaten
    assert "Pareto front" in found


def test_models_stay_apart_where_a_name_is_long():
    models = [f"timm:tf_efficientnet_lite{number}.in1k" for number in (0, 1, 2)]
    frame = pd.DataFrame({"value": [0.1, 0.2, 0.3], "status": "completed", "model": models})
    axes = drawn(parameters.slices(frame, "val_loss", ["model"])).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["lite0", "lite1", "lite2"]
    figure = drawn(
        parameters.parallel(frame.assign(dropout=[0.1, 0.2, 0.3]), "val_loss", ["model", "dropout"])
    )
    assert {"lite0", "lite1", "lite2"} <= {text.get_text() for text in figure.axes[0].texts}


@pytest.mark.parametrize(
    ("options", "heads"),
    [
        (({"strategy": "linear_probe"}, {"strategy": "full"}), ["solved heads", "fine-tuning"]),
        (
            ({"strategy": "full"}, {"label_smoothing": 0.1}, {"schedule": "plateau"}),
            ["fine-tuning", "+ label smoothing", "+ plateau"],
        ),
    ],
)
def test_the_groups_that_are_side_by_side_are_those_with_a_finalist(options, heads):
    finalists = [
        SimpleNamespace(config=TrialConfig.resolve({"model": "resnet18", "strategy": "full", **one}))
        for one in options
    ]
    columns = ("test_accuracy", "test_accuracy_low", "test_accuracy_high", "seeds", "published_accuracy")
    table = pd.DataFrame(dict.fromkeys(columns, [0.5] * len(options)))
    for name in ("published_low", "published_high", "published_accuracy"):
        table[name] = float("nan")
    axes = drawn(scores.side_by_side(finalists, table)).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == heads
