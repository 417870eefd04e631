import json
from argparse import Namespace

import pandas as pd
import pyarrow.parquet as pq
import pytest

from benchmarks.search import record_curves
from benchmarks.search.record_curves import SEED_STRIDE, configurations, join, unpack

MODEL = "googlenet"
MADE = {"model": MODEL, "image_size": 32, "precision": "fp32", "data": "drawn"}


def options(folder, **changes):
    given = {
        "model": MODEL,
        "image_size": 32,
        "precision": "fp32",
        "weights": "none",
        "parts": folder / "parts",
        "out": folder / "c.parquet",
    }
    (folder / "parts").mkdir(exist_ok=True)
    return Namespace(**{**given, **changes})


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A file of three configurations under two seeds; what it was made from is taken as given."""
    monkeypatch.setattr(record_curves, "load_images", lambda options: None)
    monkeypatch.setattr(record_curves, "prepare_weights", lambda options, images: "random")
    monkeypatch.setattr(record_curves, "_described", lambda options, images: "drawn")
    asked = options(tmp_path)
    for number, config in enumerate(configurations(MODEL, 3)):
        for repeat in range(2):
            rows = [
                {"configuration": number, "epoch": epoch, "val_loss": 1 / epoch + repeat, **vars(config)}
                for epoch in range(1, 11)
            ]
            frame = pd.DataFrame(rows).assign(seed=number + repeat * SEED_STRIDE)
            frame.to_parquet(asked.parts / f"{repeat}-{number:04d}.parquet")
    join(asked, MADE)
    return asked


def test_a_file_of_curves_is_taken_apart_and_joined_again_as_it_was(recorded, tmp_path):
    before = pd.read_parquet(recorded.out)
    names = sorted(part.name for part in recorded.parts.glob("[0-9]*.parquet"))
    (tmp_path / "other").mkdir()
    again = options(tmp_path, parts=tmp_path / "other")
    unpack(again, again.parts / "made.json")
    assert sorted(part.name for part in again.parts.glob("[0-9]*.parquet")) == names
    assert json.loads((again.parts / "made.json").read_text()) == MADE
    join(again, MADE)
    after = pd.read_parquet(again.out)
    pd.testing.assert_frame_equal(after[before.columns], before, check_dtype=False)
    assert json.loads(pq.read_schema(again.out).metadata[b"made"]) == MADE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_size": 64}, "recorded otherwise"),
        ({"precision": "bf16"}, "recorded otherwise"),
        ({"weights": "pretrained"}, "its own --parts"),
    ],
)
def test_a_file_that_was_recorded_otherwise_is_not_gone_on_with(recorded, tmp_path, changes, words):
    (tmp_path / "other").mkdir()
    asked = options(tmp_path, **{"parts": tmp_path / "other", **changes})
    with pytest.raises(SystemExit, match=words):
        unpack(asked, asked.parts / "made.json")


def test_every_configuration_has_a_seed_of_its_own_and_the_model_asked_for():
    chosen = configurations("timm:tf_efficientnet_lite0", 20)
    assert {config.model for config in chosen} == {"timm:tf_efficientnet_lite0"}
    assert [config.seed for config in chosen] == list(range(20))
    assert max(config.seed for config in chosen) < SEED_STRIDE
