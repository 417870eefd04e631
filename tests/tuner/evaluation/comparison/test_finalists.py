"""The images that judge are those that the search split, or nothing is compared."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from trainables.errors import RunProblem
from tuner.dataset.reading.scan import scan
from tuner.evaluation.comparison.finalists import check_judges
from tuner.runs.directory import Run


@pytest.fixture(params=["uint8", "uint16"])
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Run:
    """A run directory of eight pictures of one size and one time, of 8 bits or of 12 in 16."""
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    random, folder = np.random.default_rng(0), tmp_path / "data"
    for label in "ab":
        (folder / label).mkdir(parents=True)
        for i in range(4):
            high = 255 if request.param == "uint8" else 4095
            pixels = (random.random((8, 8)) * high).astype(request.param)
            Image.fromarray(pixels).save(folder / label / f"{i}.tif")
            os.utime(folder / label / f"{i}.tif", (1_700_000_000, 1_700_000_000))
    found = scan(folder)
    paths = [image.path for image in found.images]
    parts = ["train", "val", "test", "test"] * 2
    run = Run.create(tmp_path / "run", {"data": {"folder": str(folder)}})
    run.write_split(
        pd.DataFrame({"path": paths, "label": [p[0] for p in paths], "group": paths, "split": parts})
    )
    run.write_images({image.path: image.pixels for image in found.images})
    return run


def test_images_as_the_search_saw_them_may_judge(run: Run) -> None:
    check_judges(run)


def test_test_images_that_changed_places_may_not_judge(run: Run, tmp_path: Path) -> None:
    one, other, aside = (tmp_path / "data" / name for name in ("a/2.tif", "b/2.tif", "aside"))
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    with pytest.raises(
        RunProblem, match=r"2 of 6 test and validation images .* changed since .*first: a/2\.tif"
    ):
        check_judges(run)
