import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.data.decode import quiet_decoding
from trainables.errors import DataProblem
from tuner.dataset.reading import memo
from tuner.dataset.reading.scan import UnreadableImage, changed_images, read_rgb, scan

Paint = Callable[..., Path]


def test_a_folder_of_classes_is_read_by_path_with_upright_sizes(two_classes: Path) -> None:
    found = scan(two_classes)
    assert found.classes == ("cat", "dog")
    assert [image.path for image in found.images] == sorted(image.path for image in found.images)
    assert len(found.images) == 24
    assert {(image.width, image.height) for image in found.images} == {(12, 10)}


def test_class_folders_are_ordered_as_people_count(tmp_path: Path, paint: Paint) -> None:
    for name in ("class10", "class9", "class1"):
        paint(tmp_path / name / "a.png")
    assert scan(tmp_path).classes == ("class1", "class9", "class10")


def test_an_odd_folder_gets_an_answer_for_everything_in_it(two_classes: Path, paint: Paint) -> None:
    cats, dogs = two_classes / "cat", two_classes / "dog"
    (cats / "broken.JPG").write_bytes(b"\xff\xd8\xff\xe0 no more")
    Image.new("P", (5, 4)).save(cats / "palette.png")
    Image.new("RGBA", (5, 4), (10, 20, 30, 0)).save(cats / "clear.png")
    paint(dogs / "tiny.BMP", size=(1, 1))
    paint(two_classes / "Käse und Brot 鳥" / "ein Bild é.png", seed=7)
    (two_classes / "nothing").mkdir()
    (cats / "notes.txt").write_text("hello")
    (cats / ".hidden.png").write_bytes(b"")
    (two_classes / "readme.md").write_text("hello")
    (cats / "loop").symlink_to(two_classes)
    (two_classes / "again").symlink_to(two_classes)
    (dogs / "lost.png").symlink_to("nowhere.png")
    (dogs / "self.png").symlink_to("self.png")
    os.mkfifo(dogs / "pipe.png")
    found = scan(two_classes)
    assert [path for path, _ in found.corrupt] == ["cat/broken.JPG"]
    assert "cat/broken.JPG" in found.corrupt[0][1]
    assert found.empty_classes == ("nothing",)
    assert found.classes == ("Käse und Brot 鳥", "cat", "dog")
    passed = dict(found.passed_over)
    assert passed["cat/notes.txt"] == "not an image"
    assert passed["cat/.hidden.png"] == "hidden"
    assert passed["readme.md"] == "not in a class folder"
    assert "loop" in passed["cat/loop"]
    assert "loop" in passed["again"]
    assert "leads nowhere" in passed["dog/lost.png"]
    assert "loop" in passed["dog/self.png"]
    assert passed["dog/pipe.png"] == "not a regular file"
    assert len(found.images) == 24 + 4
    assert {"dog/tiny.BMP": (1, 1)}.items() <= {i.path: (i.width, i.height) for i in found.images}.items()


def test_more_than_a_twentieth_corrupt_stops_with_counts_and_names(two_classes: Path) -> None:
    for i in range(2):
        (two_classes / "cat" / f"bad{i}.jpg").write_bytes(b"no image")
    with pytest.raises(DataProblem, match=r"2 of 26 images can't be read, more than 5%.*bad0\.jpg"):
        scan(two_classes)
    assert len(scan(two_classes, max_corrupt=1.0).corrupt) == 2


def test_a_truncated_jpeg_is_corrupt(tmp_path: Path, paint: Paint) -> None:
    path = paint(tmp_path / "a.jpg", size=(64, 64))
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(UnreadableImage, match=r"a\.jpg can't be read"):
        read_rgb(path)


@pytest.mark.parametrize("wrong", ["missing", "a file", "empty", "one class", "no images"])
def test_a_folder_that_is_no_image_folder_says_what_is_expected(
    tmp_path: Path, paint: Paint, wrong: str
) -> None:
    folder = tmp_path / "data"
    if wrong == "a file":
        folder.write_text("")
    elif wrong != "missing":
        folder.mkdir()
    if wrong == "one class":
        paint(folder / "only" / "a.png")
    if wrong == "no images":
        (folder / "a").mkdir()
    with pytest.raises(DataProblem, match="expected one sub-folder a class"):
        scan(folder)


def test_folders_named_train_and_test_are_parts_and_their_folders_classes(
    tmp_path: Path, paint: Paint
) -> None:
    for part in ("Train", "validation", "test"):
        for label in ("a", "b"):
            paint(tmp_path / part / label / "x.png", seed=hash_of(part + label))
    (tmp_path / "docs").mkdir()
    found = scan(tmp_path)
    assert found.classes == ("a", "b")
    assert [(image.path, image.part) for image in found.images][:2] == [
        ("Train/a/x.png", "train"),
        ("Train/b/x.png", "train"),
    ]
    assert {image.part for image in found.images} == {"train", "val", "test"}
    assert ("docs", "not one of train, val and test") in found.passed_over


def hash_of(text: str) -> int:
    return sum(map(ord, text))


def test_the_fingerprint_follows_pixels_and_not_place_or_time(two_classes: Path, tmp_path: Path) -> None:
    before = scan(two_classes).fingerprint
    os.utime(two_classes / "cat" / "00.png", (1, 1))
    moved = two_classes.rename(tmp_path / "moved")
    assert scan(moved).fingerprint == before
    with Image.open(moved / "cat" / "00.png") as image:
        changed = np.array(image)
    changed[0, 0, 0] ^= 1
    Image.fromarray(changed).save(moved / "cat" / "00.png")
    assert scan(moved).fingerprint != before


@pytest.fixture
def old_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures of a test were not painted a moment ago: the time from which on they are remembered lies ahead."""
    monkeypatch.setattr(memo, "YOUNG_NS", -3600 * 10**9)


@pytest.mark.usefixtures("old_pictures")
def test_a_second_scan_decodes_only_what_changed(two_classes: Path, paint: Paint) -> None:
    first = scan(two_classes)
    paint(two_classes / "cat" / "00.png", seed=999)
    os.utime(two_classes / "cat" / "00.png", ns=(1, 1))
    decoded: list[int] = []
    second = scan(two_classes, progress=lambda done, _: decoded.append(done))
    assert decoded == [24]
    assert first.images[0].pixels != second.images[0].pixels
    assert first.images[1:] == second.images[1:]


def decoded_by_a_scan(folder: Path) -> int:
    """How many images a scan has to decode."""
    decoded: list[int] = []
    scan(folder, progress=lambda done, _: decoded.append(done))
    return len(decoded)


@pytest.mark.usefixtures("old_pictures")
@pytest.mark.parametrize("way", ["moved", "hard links", "in place, with the old time"])
def test_two_pictures_that_changed_places_are_seen(two_classes: Path, way: str) -> None:
    one, other = two_classes / "cat" / "00.png", two_classes / "dog" / "00.png"
    long = max(one.stat().st_size, other.stat().st_size)
    for path in (one, other):
        path.write_bytes(path.read_bytes().ljust(long, b"\0"))
        os.utime(path, (1_700_000_000, 1_700_000_000))
    first = {image.path: image.pixels for image in scan(two_classes).images}
    assert decoded_by_a_scan(two_classes) == 0
    swap(one, other, way)
    second = {image.path: image.pixels for image in scan(two_classes).images}
    assert second["cat/00.png"] == first["dog/00.png"] != first["cat/00.png"] == second["dog/00.png"]
    assert changed_images(two_classes, first) == ["cat/00.png", "dog/00.png"]


def swap(one: Path, other: Path, way: str) -> None:
    """Let two files of one size and time change places."""
    kept = one.with_name("kept")
    if way == "in place, with the old time":
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
        for path in (one, other):
            os.utime(path, (1_700_000_000, 1_700_000_000))
    elif way == "hard links":
        os.link(one, kept)
        other.replace(one)
        kept.replace(other)
    else:
        one.rename(kept)
        other.rename(one)
        kept.rename(other)


def test_files_as_young_as_the_memory_are_looked_at_again(
    two_classes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan(two_classes)
    assert decoded_by_a_scan(two_classes) == 24
    monkeypatch.setattr(memo, "YOUNG_NS", -3600 * 10**9)
    assert decoded_by_a_scan(two_classes) == 24
    assert decoded_by_a_scan(two_classes) == 0


def test_a_file_whose_time_lies_ahead_is_looked_at_again(
    two_classes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memo, "YOUNG_NS", -3600 * 10**9)
    ahead = time.time() + 7200
    os.utime(two_classes / "cat" / "00.png", (ahead, ahead))
    scan(two_classes)
    assert decoded_by_a_scan(two_classes) == 1


@pytest.mark.usefixtures("old_pictures")
def test_what_is_remembered_of_deep_pictures_and_of_several_frames_is_what_was_seen(
    two_classes: Path,
) -> None:
    Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(two_classes / "cat" / "deep.png")
    pages = [Image.new("RGB", (4, 4), (number, 0, 0)) for number in range(3)]
    pages[0].save(two_classes / "cat" / "pages.tif", save_all=True, append_images=pages[1:])
    first = scan(two_classes)
    assert decoded_by_a_scan(two_classes) == 0
    assert scan(two_classes) == first
    assert [image.path for image in first.images if image.several] == ["cat/pages.tif"]


@pytest.mark.parametrize("kind", ["tif", "webp", "png", "jpg"])
def test_files_of_several_frames_are_known_and_single_ones_too(two_classes: Path, kind: str) -> None:
    pages = [Image.new("RGB", (8, 8), (80 * number, 0, 0)) for number in range(3)]
    pages[0].save(two_classes / "cat" / f"one.{kind}")
    if kind == "jpg":  # the second picture of a photograph is a preview or a map of depths
        pages[0].save(two_classes / "cat" / "many.jpg", "MPO", save_all=True, append_images=pages[1:])
    else:
        pages[0].save(two_classes / "cat" / f"many.{kind}", save_all=True, append_images=pages[1:])
    several = [image.path for image in scan(two_classes).images if image.several]
    assert several == ([] if kind == "jpg" else [f"cat/many.{kind}"])


def test_without_the_memo_nothing_is_written(two_classes: Path, own_cache: Path) -> None:
    scan(two_classes, memo=False)
    assert list(own_cache.iterdir()) == []


def test_a_damaged_memo_is_ignored(two_classes: Path, own_cache: Path) -> None:
    first = scan(two_classes)
    (memo,) = (own_cache / "scans").iterdir()
    memo.write_text('{"version": 1, "looks": {"x": 3}}')
    assert scan(two_classes) == first


GREY = np.array([[0, 64], [128, 255]], dtype=np.uint8)


def written(path: Path, image: Image.Image, **options: object) -> np.ndarray:
    image.save(path, **options)
    pixels = read_rgb(path)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (image.height, image.width, 3)
    return pixels


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp"])
def test_grey_becomes_equal_channels(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    pixels = written(tmp_path / f"a.{suffix}", Image.fromarray(GREY), **options)
    assert (pixels == GREY[:, :, None]).all()


def test_sixteen_bits_are_scaled_and_not_cut(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 257
    for name in ("a.png", "a.tif"):
        assert (written(tmp_path / name, Image.fromarray(deep)) == GREY[:, :, None]).all()


def test_floats_between_0_and_1_are_scaled(tmp_path: Path) -> None:
    image = Image.fromarray(GREY.astype(np.float32) / 255)
    assert (written(tmp_path / "a.tif", image) == GREY[:, :, None]).all()


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    rgba = Image.new("RGBA", (2, 1), (100, 0, 0, 255))
    rgba.putpixel((1, 0), (100, 0, 0, 0))
    assert written(tmp_path / "a.png", rgba).tolist() == [[[100, 0, 0], [255, 255, 255]]]
    palette = Image.new("P", (1, 1))
    palette.putpalette([9, 8, 7])
    with quiet_decoding():
        assert written(tmp_path / "p.png", palette, transparency=0).tolist() == [[[255, 255, 255]]]
    assert written(tmp_path / "q.png", palette).tolist() == [[[9, 8, 7]]]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    pixels = written(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), quality=95)
    assert np.abs(pixels.astype(int) - [255, 0, 0]).max() < 12


def test_a_rotated_photograph_is_turned_upright(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    assert read_rgb(tmp_path / "a.png")[:, 0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_an_image_beyond_the_limit_is_refused_with_the_reason(two_classes: Path) -> None:
    Image.new("1", (12_000, 9_000)).save(two_classes / "cat" / "huge.png")
    found = scan(two_classes)
    assert [path for path, _ in found.corrupt] == ["cat/huge.png"]
    assert "more than 89,478,485 pixels" in found.corrupt[0][1]
