"""What every command tells of an image folder, in the same words."""

import io
from pathlib import Path

import numpy as np
import pytest
from pictures import write_pictures
from PIL import Image
from rich.console import Console

from tuner.console.reporter import Reporter
from tuner.dataset.findings import findings, given_split
from tuner.dataset.inspection.inspect import inspect, render
from tuner.dataset.loading import load_data
from tuner.evaluation.comparison.doubts import doubts
from tuner.evaluation.comparison.evidence import Evidence
from tuner.runs.directory import Run
from tuner.tuning.config import SearchConfig, models_of, resolve, search_config
from tuner.tuning.prepare import prepare


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, in which everything is wrong that can be told of."""
    place = tmp_path / "data"
    write_pictures(place, {"a": 30, "b": 30})
    (place / "b" / "copy.png").write_bytes((place / "a" / "000.png").read_bytes())
    (place / "stray.png").write_bytes((place / "a" / "001.png").read_bytes())
    (place / "a" / "torn.png").write_bytes(b"\x89PNG")
    (place / "empty").mkdir()
    (place / "notes.txt").write_text("hello")
    return place


WANTED = [
    "1 picture is in more than one class, so some labels are wrong and scores can't be right; the first:"
    " a/000.png is b/copy.png",
    "1 image is left out, in no class folder or behind a broken link: stray.png",
    "1 image is left out: a/torn.png can't be read: it holds no image of a known format",
    "class folder 'empty' holds no image and is left out",
]


def config_of(folder: Path, tmp_path: Path) -> SearchConfig:
    return search_config(
        space="googlenet_full",
        data=folder,
        weights="none",
        image_size=32,
        samples=1,
        runs_dir=tmp_path / "runs",
        name="r",
    )


def spoken(folder: Path, tmp_path: Path) -> str:
    """What `run` and `plan` say while they look at the images."""
    console = Console(file=io.StringIO(), record=True, width=300)
    config = config_of(folder, tmp_path)
    load_data(config.data, sorted(models_of(resolve(config))), 32, Reporter(console))
    return console.export_text()


def test_run_plan_and_inspect_say_the_same(folder: Path, tmp_path: Path) -> None:
    said = spoken(folder, tmp_path)
    console = Console(file=io.StringIO(), record=True, width=300)
    console.print(render(inspect(folder, None, None)))
    shown = console.export_text()
    for sentence in WANTED:
        assert f"note: {sentence}\n" in said
        assert f"warning: {sentence}" in shown
    assert "skipped files that are no images: notes.txt\n" in said


def test_the_run_keeps_them_and_the_comparison_repeats_them(folder: Path, tmp_path: Path) -> None:
    run = prepare(config_of(folder, tmp_path)).run
    assert run.record["data"]["findings"] == WANTED
    assert run.record["data"]["given_split"] is None
    evidence = Evidence(
        (Run.open(run.path),), (), ("a", "b"), ("a/1", "b/1"), ("x", "y"), np.array([0, 1]), {}
    )
    said = doubts(evidence)
    assert set(WANTED) <= set(said)
    assert (
        "2 of 2 classes have fewer than 10 images in the test set: their scores can't be precise; 'a' has 1, 'b' has 1"
    ) in said


def test_scale_frames_and_doubtful_names_are_said_by_run_and_inspect_and_kept(tmp_path: Path) -> None:
    place = tmp_path / "data"
    write_pictures(place, {"Rust": 20, "rust": 20, "nan": 20})
    random = np.random.default_rng(0)
    for label in ("Rust", "rust"):
        for i in range(20):
            (place / label / f"{i:03d}.png").unlink()
            deep = (random.random((20, 20)) * 4095).astype("uint16")
            deep[0] = 4095
            Image.fromarray(deep).save(place / label / f"{i:03d}.tif")
    pages = [Image.new("RGB", (20, 20), (number, 9, 9)) for number in (1, 2)]
    pages[0].save(place / "nan" / "pages.tif", save_all=True, append_images=pages[1:])
    notes = [
        "class names that differ only in how they are written, and may be one class: 'Rust' (20 images) and 'rust' (20"
        " images)",
        "class 'nan' (21 images) is how programs write a missing label; if it means that, give these images a label or"
        " leave them out",
        "1 file holds several frames or pages, of which only the first is used: nan/pages.tif",
    ]
    scale = (
        "40 of 61 images have more than 8 bits a sample and are read at one scale; 16-bit pictures: 0 is black, 4095"
        " is white"
    )
    said = spoken(place, tmp_path)
    found = inspect(place, None, None)
    console = Console(file=io.StringIO(), record=True, width=300)
    console.print(render(found))
    shown = console.export_text()
    assert all(f"note: {note}\n" in said and f"warning: {note}" in shown for note in notes)
    assert scale in said
    assert scale in shown
    assert found.several_frames == 1
    data = prepare(config_of(place, tmp_path)).run.record["data"]
    assert data["scale"] == {"int16": [0.0, 4095.0]}
    assert data["findings"] == notes


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            {"Train Data": 20, "Testing Data": 6},
            "'Train Data' is train (40 images), 'Testing Data' is test (12 images);"
            " no val: about 11% of train, in whole groups, becomes val",
        ),
        (
            {"train": 20, "Validation Set": 6},
            "'train' is train (40 images), 'Validation Set' is val (12 images);"
            " no test: about 11% of train, in whole groups, becomes test",
        ),
        (
            {"train": 20, "val": 4, "test_images": 4},
            "'train' is train (40 images), 'val' is val (8 images), 'test_images' is test (8 images)",
        ),
    ],
)
def test_a_given_split_is_told_with_what_is_done_for_a_missing_part(
    tmp_path: Path, parts: dict[str, int], words: str
) -> None:
    place = tmp_path / "data"
    for seed, (name, count) in enumerate(parts.items()):
        write_pictures(place / name, {"a": count, "b": count}, seed=seed)
    said = spoken(place, tmp_path)
    assert f"the folder is split already: {words}\n" in said
    run = prepare(config_of(place, tmp_path)).run
    assert run.record["data"]["given_split"] == f"the folder is split already: {words}"
    split = run.split()
    assert set(split["split"]) == {"train", "val", "test"}
    assert inspect(place, None, None).given_split == run.record["data"]["given_split"]


def test_a_clean_folder_has_none(tmp_path: Path) -> None:
    from tuner.dataset.reading.scan import scan

    write_pictures(tmp_path / "data", {"a": 3, "b": 3})
    found = scan(tmp_path / "data")
    assert findings(found) == []
    assert given_split(found, (0.8, 0.1, 0.1)) is None
