import dataclasses
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pictures import write_pictures

from trainables.config import FITS, RunContext
from trainables.data.cache import build_cache
from trainables.errors import TrialFailed
from trainables.machine import local_images


@pytest.fixture
def context(tmp_path):
    """A run whose driver has its image cache; the last picture is for the test."""
    folder, run = tmp_path / "pictures", tmp_path / "run"
    paths = write_pictures(folder, {"blue": 4, "red": 4})
    run.mkdir()
    split = ["train"] * 5 + ["val"] * 2 + ["test"]
    labels = [path.split("/")[0] for path in paths]
    pd.DataFrame({"path": paths, "label": labels, "group": paths, "split": split}).to_parquet(
        run / "split.parquet"
    )
    pd.DataFrame({"path": paths, "pixels": [f"hash of {path}" for path in paths]}).to_parquet(
        run / "images.parquet"
    )
    hashes = [f"hash of {path}" for path in paths[:-1]]
    cache = build_cache(folder, paths[:-1], hashes, 32, cache_dir=tmp_path / "driver")
    return RunContext(
        run_dir=str(run),
        cache=str(cache),
        classes=("blue", "red"),
        image_size=32,
        weights="none",
        precision="fp32",
        metric="val_loss",
        seed=0,
        data=str(folder),
    )


def elsewhere(context, tmp_path, monkeypatch):
    """The same run as a machine sees it that does not see the driver's cache."""
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "elsewhere"))
    return dataclasses.replace(context, cache="/no/such/folder/images")


def test_the_drivers_cache_serves_where_it_is_seen(context, tmp_path):
    assert local_images(context).path == Path(context.cache)
    assert not (tmp_path / "elsewhere").exists()


def test_another_machine_builds_the_same_images_without_the_test_images(context, tmp_path, monkeypatch):
    here, there = local_images(context), local_images(elsewhere(context, tmp_path, monkeypatch))
    assert there.path.is_relative_to(tmp_path / "elsewhere")
    assert there.path.name == here.path.name
    assert there.paths == here.paths
    assert len(there) == 7
    assert all(np.array_equal(here[row], there[row]) for row in range(7))


@pytest.mark.parametrize("fit", FITS)
def test_another_machine_makes_squares_as_the_run_does(context, fit, tmp_path, monkeypatch):
    other = dataclasses.replace(elsewhere(context, tmp_path, monkeypatch), fit=fit)
    hashes = [f"hash of {path}" for path in local_images(context).paths]
    built = build_cache(Path(context.data), local_images(context).paths, hashes, 32, fit=fit)
    assert local_images(other).path == built
    assert (built.name == Path(context.cache).name) == (fit == "crop")


def test_a_machine_without_the_images_says_which_machine_and_where_they_should_be(
    context, tmp_path, monkeypatch
):
    moved = dataclasses.replace(elsewhere(context, tmp_path, monkeypatch), data="/no/such/images")
    with pytest.raises(TrialFailed, match="/no/such/images") as caught:
        local_images(moved)
    assert platform.node() in str(caught.value)
