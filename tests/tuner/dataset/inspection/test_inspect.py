import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from trainables.errors import DataProblem
from tuner.dataset.inspection.inspect import Inspection, inspect, render
from tuner.dataset.inspection.summary import Advice


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight images of four [blue] things, four of two red ones, and some oddities."""
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    place = tmp_path / "things"
    for label, groups in (("[blue]", 4), ("red", 2)):
        (place / label).mkdir(parents=True)
        for group in range(groups):
            for view in range(2):
                pixels = random.integers(0, 256, (10, 20 + group, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / label / f"{group}_{view}.png")
    return place


def text(inspection: Inspection) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render(inspection))
    return console.export_text()


def test_classes_are_counted_by_image_and_by_group(folder: Path) -> None:
    found = inspect(folder, None, r"(.*)_", (0.5, 0.25, 0.25), 0)
    assert [(row.label, row.images, row.groups) for row in found.classes] == [("[blue]", 8, 4), ("red", 4, 2)]
    assert found.imbalance == 2.0
    assert (found.smallest, found.median, found.largest) == ((20, 10), (21, 10), (23, 10))
    assert found.test_images == 3
    assert found.expected_leaks == pytest.approx(3 * 6 / 11)
    assert found.split_problem is not None
    assert "class 'red' has 2 groups" in found.split_problem
    shown = text(found)
    assert "[blue]" in shown
    assert "66.7%" in shown
    assert "about 2 of 3 test images" in shown
    assert "can't be split: class 'red' has 2 groups" in shown


def test_duplicates_corrupt_and_odd_files_are_shown(folder: Path) -> None:
    (folder / "red" / "copy.png").write_bytes((folder / "red" / "0_0.png").read_bytes())
    (folder / "red" / "blue.png").write_bytes((folder / "[blue]" / "0_0.png").read_bytes())
    (folder / "red" / "bad.jpg").write_bytes(b"bad")
    (folder / "red" / "notes.txt").write_text("hm")
    (folder / "green").mkdir()
    found = inspect(folder, None, None)
    assert (found.duplicates_within.count, found.duplicates_across.count) == (1, 1)
    assert found.duplicates_across.examples == (("[blue]/0_0.png", "red/blue.png"),)
    shown = text(found)
    for line in (
        "corrupt: 1",
        "red/bad.jpg",
        "skipped: 1",
        "red/notes.txt: not an image",
        "no groups given",
    ):
        assert line in shown
    assert "classes without an image, which are left out: green" in shown


def test_what_a_table_marks_is_left_out_however_its_paths_are_written(folder: Path) -> None:
    marked = folder.parent / "marked.csv"
    marked.write_text("path\nred\\0_0.png\n./red/0_1.png\n")
    assert [row.images for row in inspect(folder, None, None, without=marked).classes] == [8, 2]
    marked.write_text("path\nred\\0_0.png\nred\\9_9.png\n")
    with pytest.raises(
        DataProblem, match=r"marked.csv names 1 images that are not in .*, the first 'red/9_9.png'"
    ):
        inspect(folder, None, None, without=marked)


def test_nothing_is_written(folder: Path) -> None:
    before = sorted(folder.parent.rglob("*"))
    inspect(folder, None, None)
    assert sorted(folder.parent.rglob("*")) == before


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="expected one sub-folder a class"):
        inspect(tmp_path, None, None)


def test_each_image_is_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainables.data import decode

    read: list[Path] = []
    real = decode._decoded
    monkeypatch.setattr(decode, "_decoded", lambda path, deep: read.append(path) or real(path, deep))  # type: ignore[func-returns-value]
    assert inspect(folder, None, None).photographed
    assert len(read) == len(set(read)) == 12


def test_of_many_images_a_random_choice_is_judged_by_how_it_was_taken_and_that_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "chosen at random" not in text(inspect(folder, None, None))
    monkeypatch.setattr("tuner.dataset.inspection.inspect.MOST", 10)
    assert "searched for in 10 of the 12 images, chosen at random" in text(inspect(folder, None, None))


def test_an_advice_that_the_terminal_breaks_keeps_its_indentation(folder: Path) -> None:
    found = inspect(folder, None, r"(.*)_", (0.5, 0.25, 0.25), 0)
    console = Console(width=40, file=(written := io.StringIO()))
    console.print(render(replace(found, advice=(Advice("word " * 20, "reason " * 20),))))
    lines = written.getvalue().partition("advice:\n")[2].splitlines()
    assert len(lines) > 6
    assert all(line.startswith(("  word", "    because", "    reason")) for line in lines)
