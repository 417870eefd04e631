import os
import sys
from pathlib import Path

import numpy as np
import psutil

from benchmarks.speed import scale_images
from benchmarks.speed.scale_images import Cost, draw, growth, hashed, plain_pass, proportional_megabytes, row


def costs(factor):
    names = ("plain", "inspect", "run", "compare")
    return {name: Cost(factor * number, 100.0 * number) for number, name in enumerate(names, start=1)}


def test_pictures_are_drawn_in_classes_of_equal_size_and_are_all_different(tmp_path):
    draw(tmp_path / "images", 30, 10)
    folders = sorted((tmp_path / "images").iterdir())
    files = sorted((tmp_path / "images").rglob("*.jpg"))
    assert [len(list(folder.iterdir())) for folder in folders] == [3] * 10
    assert hashed(files) == 30
    assert hashed([files[0], files[0]]) == 1
    assert plain_pass(tmp_path / "images") > 0


def test_memory_is_that_of_a_process_and_of_what_it_started():
    here = psutil.Process().memory_full_info()
    assert proportional_megabytes(os.getpid()) >= 0.9 * getattr(here, "pss", here.uss) / 1e6
    assert proportional_megabytes(2**22 + 1) == 0.0


def test_a_row_has_the_costs_and_inspect_beside_the_plain_pass():
    assert row(1000, 10, costs(2.0)) == "| 1,000 | 10 | 2.0 | 4.0 (2.0) | 200 | 6.0 | 300 | 8.0 | 400 |"


def test_growth_is_how_many_times_as_much_it_is():
    assert growth(costs(1.0), costs(11.0)) == "| growth |  | 11.0 | 11.0 | 1.0 | 11.0 | 1.0 | 11.0 | 1.0 |"


def test_a_command_is_timed_up_to_a_moment_and_runs_to_its_end(tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    program = f"import pathlib, time; pathlib.Path({str(mark)!r}).touch(); time.sleep(1.5)"
    monkeypatch.setattr(scale_images, "PROGRAM", (sys.executable, "-c", program))
    cost = scale_images.tuner(tmp_path, until=mark.exists)
    whole = scale_images.tuner(tmp_path)
    assert cost.seconds < whole.seconds
    assert whole.seconds >= 1.5
    assert np.isfinite(cost.megabytes)
    assert cost.megabytes > 0
    assert Path(mark).exists()
