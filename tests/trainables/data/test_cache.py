import ast
import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.config import FITS
from trainables.data.cache import CacheDamaged, ImageCache, _key, build_cache
from trainables.data.preprocessing import cache_side, fitted
from trainables.errors import DataProblem
from tuner.dataset.reading.scan import UnreadableImage, scan

Paint = Callable[..., Path]


def build(folder: Path, image_size: int = 21, **options: object) -> Path:
    images = scan(folder).images
    return build_cache(folder, [i.path for i in images], [i.pixels for i in images], image_size, **options)


def test_the_short_side_leaves_room_to_crop() -> None:
    assert cache_side(224) == 256
    assert cache_side(96) == 110


def test_images_come_back_in_order_with_their_shape_and_without_a_copy(
    two_classes: Path, paint: Paint
) -> None:
    paint(two_classes / "cat" / "wide.png", size=(48, 24))
    cache = ImageCache.open(build(two_classes))
    assert len(cache) == 25
    (row,) = cache.rows(["cat/wide.png"])
    assert cache[int(row)].shape == (24, 48, 3)
    with Image.open(two_classes / "cat" / "wide.png") as image:
        assert (cache[int(row)] == np.asarray(image)).all()
    assert cache[0].shape == (24, 29, 3)
    assert not cache[0].flags.writeable
    assert np.shares_memory(cache[0], cache[0])
    assert cache.rows(list(reversed(cache.paths))).tolist() == list(range(24, -1, -1))
    with pytest.raises(DataProblem, match=r"lacks 1 images, the first 'cat/none\.png'"):
        cache.rows(["cat/none.png"])


def test_shrinking_averages_and_does_not_skip() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(fitted(stripes, 8).astype(int) - 127).max() < 12


def test_one_pixel_is_an_image_and_a_strip_loses_its_ends() -> None:
    assert fitted(np.full((1, 1, 3), 7, np.uint8), 24).tolist() == np.full((24, 24, 3), 7).tolist()
    strip = np.zeros((10, 100, 3), np.uint8)
    strip[:, 30:70] = 200
    assert fitted(strip, 24).shape == (24, 96, 3)
    assert fitted(strip, 24).min() == 200
    assert fitted(np.zeros((1000, 1, 3), np.uint8), 24).shape == (96, 24, 3)


def test_a_second_call_reads_no_image(two_classes: Path) -> None:
    path = build(two_classes)
    stamp = path.stat().st_mtime_ns
    built: list[int] = []
    assert build(two_classes, progress=lambda done, _: built.append(done)) == path
    assert built == []
    assert path.stat().st_mtime_ns == stamp


def test_a_picture_that_changed_after_the_scan_is_not_cached_under_its_old_hash(
    two_classes: Path, paint: Paint, tmp_path: Path
) -> None:
    images = scan(two_classes).images
    paint(two_classes / "cat" / "03.png", seed=999)
    with pytest.raises(DataProblem, match=r"cat/03\.png is not the picture that it was"):
        build_cache(two_classes, [i.path for i in images], [i.pixels for i in images], 21, cache_dir=tmp_path)
    assert list(tmp_path.rglob("*.images")) == []


def test_a_changed_image_or_size_means_another_file(two_classes: Path, paint: Paint) -> None:
    path = build(two_classes)
    assert build(two_classes, image_size=28) != path
    paint(two_classes / "cat" / "00.png", seed=5000, size=(14, 10))
    assert build(two_classes) != path


def test_each_fit_has_a_file_of_its_own_and_crops_is_the_one_that_it_was(two_classes: Path) -> None:
    files = [build(two_classes, fit=fit) for fit in FITS]
    assert len(set(files)) == len(FITS)
    assert files[0] == build(two_classes)
    # as the version before there was a choice named it
    assert _key(["a.png", "b.png"], ["h1", "h2"], 224, "crop") == "81bdeedae807d6358490daa5"
    for file, fit in zip(files[1:], FITS[1:], strict=True):
        assert (ImageCache.open(file).shapes == 21).all(), fit


def test_nobody_who_builds_a_cache_forgets_how_its_pictures_become_squares() -> None:
    calls = [
        (file.name, call)
        for package in ("trainables", "tuner")
        for file in (Path(__file__).parents[3] / package).rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "build_cache"
    ]
    assert len(calls) >= 7
    assert [name for name, call in calls if "fit" not in {word.arg for word in call.keywords}] == []


@pytest.mark.parametrize("damage", ["truncated", "empty", "header", "index", "pixels"])
def test_a_damaged_cache_is_built_again(two_classes: Path, damage: str) -> None:
    path = build(two_classes)
    good = path.read_bytes()
    bad = bytearray(good)
    if damage == "truncated":
        bad = bad[: len(bad) // 2]
    elif damage == "empty":
        bad = bytearray()
    else:
        bad[{"header": 10, "index": -3, "pixels": 5000}[damage]] ^= 0xFF
    path.write_bytes(bad)
    if damage != "pixels":
        with pytest.raises(CacheDamaged, match="build it again"):
            ImageCache.open(path)
    assert build(two_classes).read_bytes() == good


def test_two_builders_at_once_make_one_file(two_classes: Path, own_cache: Path) -> None:
    built: list[int] = []
    paths: list[Path] = []

    def work() -> None:
        paths.append(build(two_classes, progress=lambda done, _: built.append(done)))

    threads = [threading.Thread(target=work) for _ in range(2)]
    scan(two_classes)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1
    assert built == list(range(1, 25))
    assert [p.name for p in (own_cache / "images").iterdir() if ".tmp" in p.name] == []


def test_an_image_that_vanished_leaves_no_file_behind(two_classes: Path, own_cache: Path) -> None:
    images = scan(two_classes).images
    (two_classes / "dog" / "05.png").unlink()
    with pytest.raises(UnreadableImage, match=r"05\.png"):
        build_cache(two_classes, [i.path for i in images], [i.pixels for i in images], 21)
    assert [p for p in (own_cache / "images").iterdir() if not p.name.endswith(".lock")] == []


def test_a_place_that_can_not_be_written_is_named(two_classes: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataProblem, match="set TUNER_CACHE_DIR to another folder"):
        build(two_classes, cache_dir=tmp_path / "file")


def test_a_cache_crosses_processes_as_its_path(two_classes: Path) -> None:
    cache = ImageCache.open(build(two_classes))
    sent = pickle.dumps(cache)
    assert len(sent) < 1000
    assert (pickle.loads(sent)[3] == cache[3]).all()
