"""The images that judge are those that the search split, or nothing is compared."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_run import make_run
from PIL import Image

from trainables import inference
from trainables.errors import RunProblem
from tuner.dataset.reading.scan import scan
from tuner.evaluation.comparison.finalists import check_judges, score_with_weights
from tuner.evaluation.comparison.standard_error import validation_error
from tuner.runs.directory import Run
from tuner.runs.trial_table import trial_config


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


class Asked(Exception):
    """A cache was asked for."""


@pytest.mark.parametrize("fit", [None, "crop", "pad"])
def test_weights_are_scored_on_the_squares_that_their_search_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fit: str | None
) -> None:
    run = make_run(tmp_path / "run", samples=2)
    if fit is not None:
        run.update_record(fit=fit)
    asked = []

    def build(*_: object, fit: str) -> None:
        asked.append(fit)
        raise Asked

    monkeypatch.setattr(inference, "build_cache", build)
    row, paths = run.trials().to_dict("records")[0], list(run.split()["path"])
    run.write_images(dict.fromkeys(paths, "a hash"))
    run.weights(str(row["trial_id"])).parent.mkdir(exist_ok=True)
    run.weights(str(row["trial_id"])).touch()
    for score in (
        lambda: score_with_weights(run, row, paths),
        lambda: validation_error(run, str(row["trial_id"]), trial_config(row), "val_loss"),
    ):
        with pytest.raises(Asked):
            score()
    assert asked == [fit or "crop"] * 2
