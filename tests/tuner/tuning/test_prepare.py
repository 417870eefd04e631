"""What a run is prepared with, and reopened with."""

from pathlib import Path

import pytest
from pictures import stretch, write_pictures
from tiny import write_space

from trainables.config import FITS
from trainables.data.cache import ImageCache
from trainables.errors import UnknownName
from tuner.console.reporter import Reporter
from tuner.dataset.config import DataConfig
from tuner.runs.directory import Run
from tuner.tuning.config import SearchConfig
from tuner.tuning.prepare import prepare
from tuner.tuning.resume import _reopen

SHAPES = {"crop": {(37, 111), (111, 37)}, "squash": {(32, 32)}, "pad": {(32, 32)}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Long pictures, and a space."""
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pictures", {"blue": 10, "green": 10})
    stretch(tmp_path / "pictures")
    write_space(tmp_path)
    return tmp_path


def config_of(folder, **more):
    images = DataConfig(folder / "pictures", weights="none", image_size=32, **more)
    return SearchConfig(str(folder / "tiny.py"), images, name="run", runs_dir=folder)


def shapes(cache):
    return {(height, width) for height, width in ImageCache.open(Path(cache)).shapes.tolist()}


@pytest.mark.parametrize("fit", FITS)
def test_a_run_and_its_resume_make_squares_as_they_were_asked(folder, fit):
    made = prepare(config_of(folder, fit=fit))
    assert (made.run.record["fit"], made.context.fit) == (fit, fit)
    assert shapes(made.context.cache) == SHAPES[fit]
    again = _reopen(Run.open(folder / "run"), None, None, Reporter())
    assert (again.context.fit, again.context.cache) == (fit, made.context.cache)


def test_a_run_from_before_there_was_a_choice_goes_on_cropping_with_its_cache(folder):
    made = prepare(config_of(folder))
    old = {name: value for name, value in made.run.record.items() if name != "fit"}
    made.run.write_yaml("run.yaml", old)
    run = Run.open(folder / "run")
    assert "fit" not in run.record
    again = _reopen(run, None, None, Reporter())
    assert (again.context.fit, again.context.cache) == ("crop", made.context.cache)


def test_an_unknown_fit_is_refused_with_the_known_ones():
    with pytest.raises(UnknownName, match="unknown fit 'squish'; did you mean 'squash'"):
        DataConfig(fit="squish")
