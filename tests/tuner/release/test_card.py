import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tuner.release.card import sentences
from tuner.release.writing import _test
from tuner.retraining.images import Images


def metrics_of(groups):
    """What metrics.json says of a model that gets all of `groups` [classes] of four images right but one image."""
    classes = ("early", "late", "healthy")[: len(groups)]
    labels = np.repeat(np.arange(len(groups)), [4 * count for count in groups])
    logits = 3.0 * np.eye(len(groups))[labels]
    logits[0] = logits[-1]
    names = [f"leaf {number}" for number in np.repeat(np.arange(sum(groups)), 4)]
    own = [classes[label] for label in labels]
    paths = [f"{number}.png" for number in range(len(labels))]
    split = pd.DataFrame({"path": paths, "label": own, "group": names, "split": "test"})
    images = Images(Path(), classes, split, {}, data=None, source=None, same_split=True, words="")
    plan = SimpleNamespace(images=images, job=SimpleNamespace(classes=classes))
    found = _test(plan, labels, logits, [])
    found["over_seeds"] = {"accuracy": {"mean": 0.9, "standard_deviation": None, "n": 1}}
    cost = {"milliseconds": 1.5, "megabytes": 9.0, "parameters": 2e6, "gpu_images_per_second": 512.4}
    nothing = {"calibration": None, "costs": None, "running_cost": {**cost, "processor": "a processor"}}
    return {"test": found, "grouped": True, "exported": "the first seed's model", **nothing}


@pytest.fixture(autouse=True)
def without_seeds(monkeypatch):
    monkeypatch.setattr("tuner.release.writing._spread", lambda values: {})


def test_a_class_of_one_test_group_has_no_interval_in_the_metrics_and_the_card_says_why():
    metrics = json.loads(json.dumps(metrics_of((6, 6, 1)), allow_nan=False))
    exported = metrics["test"]["exported"]
    assert exported["balanced_accuracy_95"] is None
    assert exported["macro_f1_95"] is None
    assert exported["by_class"]["healthy"]["auc_95"] is None
    assert "class 'healthy' has a single test group" in exported["why_no_interval"]
    text = " ".join(sentences(metrics))
    assert exported["why_no_interval"] in text
    assert f"macro-F1 {exported['macro_f1']:.3f}, loss" in text


def test_what_it_costs_to_run_is_told_with_its_machine():
    said = sentences(metrics_of((6, 6, 2)))[-1]
    assert said == (
        "one image takes 1.5 ms on one thread (a processor, ONNX Runtime), 512 images a second in batches on the GPU;"
        " 9.0 MB, 2.0 million parameters"
    )


def test_macro_f1_stands_with_its_interval_where_it_has_one():
    metrics = metrics_of((6, 6, 2))
    exported = metrics["test"]["exported"]
    assert "why_no_interval" not in exported
    low, high = exported["macro_f1_95"]
    assert f"macro-F1 {exported['macro_f1']:.3f} (95 % interval {low:.3f} to {high:.3f})" in " ".join(
        sentences(metrics)
    )
    assert low < exported["macro_f1"] < high
