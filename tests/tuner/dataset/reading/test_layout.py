"""What the folders of an image folder are taken for, and what is refused, in one sentence."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from trainables.errors import DataProblem
from tuner.dataset.reading import walk
from tuner.dataset.reading.layout import lay_out, part_named
from tuner.dataset.reading.walk import images_below


def grow(root: Path, *paths: str) -> Path:
    """Empty files and, where a path ends in a slash, folders."""
    root.mkdir(exist_ok=True)
    for path in paths:
        place = root / path
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"")
    return root


def pictures(*folders: str) -> Iterable[str]:
    return [f"{folder}/{number}.png" for folder in folders for number in range(2)]


def refusal(root: Path) -> str:
    with pytest.raises(DataProblem) as caught:
        lay_out(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("Train Data", "train"),
        ("train_images", "train"),
        ("TrainSet", "train"),
        ("data-train", "train"),
        ("train2017", "train"),
        ("val", "val"),
        ("VALID", "val"),
        ("Validation Set", "val"),
        ("dev", "val"),
        ("Testing Data", "test"),
        ("test_images", "test"),
        ("testset", "test"),
        ("trained", None),
        ("latest", None),
        ("tomato", None),
        ("evaluation", None),
        ("데이터", None),
    ],
)
def test_the_usual_words_name_parts(name: str, part: str | None) -> None:
    assert part_named(name) == part


@pytest.mark.parametrize(
    "folders",
    [
        {"Train Data": "train", "Testing Data": "test"},
        {"train": "train", "valid": "val"},
        {"TRAINING": "train", "Validation Set": "val", "test_images": "test"},
        {"train": "train", "dev": "val", "test": "test"},
    ],
)
def test_a_split_of_any_usual_names_is_one(tmp_path: Path, folders: dict[str, str]) -> None:
    root = grow(tmp_path / "d", *pictures(*(f"{name}/{label}" for name in folders for label in "ab")))
    found = lay_out(root)
    assert dict(found.parts) == folders
    assert {one.label for one in found.found} == {"a", "b"}
    assert {(one.path.split("/")[0], one.part) for one in found.found} == set(folders.items())


def test_an_empty_part_counts_as_missing(tmp_path: Path) -> None:
    root = grow(tmp_path / "d", *pictures("train/a", "train/b", "test/a", "test/b"), "val/a/", "val/b/")
    found = lay_out(root)
    assert found.parts == (("train", "train"), ("test", "test"))
    assert ("val", "holds no image") in found.passed_over


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("train/a", "train/b", "test/a", "test/c"), "'train' has 'a' and 'b'; 'test' has 'a' and 'c'"),
        (("train/a", "train/b", "test"), "'test' holds 2 images in no class folder"),
        (("train/a", "train/b", "test/a", "test/b", "train"), "'train' holds 2 images in no class folder"),
        (("train", "test"), "holds 2 images in no class folder"),
        (("val", "test"), "named as parts of a split, but hold no class folders"),
        (("train/a", "train/b", "Training/a", "test/a"), "'Training' and 'train' are both train"),
        (("train/a", "train/b", "test/a", "test/b", "more"), "beside them 'more' holds 2 images"),
        (("train/a/x", "train/b/x", "test/a/x", "test/b/x"), "'a' and 'b' only folders of images"),
        (("val/a", "val/b", "test/a", "test/b"), "'test' and 'val' only folders of images"),
        (("test/a", "test/b", "train/c/"), "no class folder holds an image in 'train'"),
        (("farm1/x", "farm1/y", "farm2/x"), "'farm1' and 'farm2' only folders of images ('x' and 'y')"),
        (("a/s/t/u", "b/s/t/u"), "nested too deep"),
        (
            ("a", "b", "copy/a", "copy/b"),
            "contradicts itself: 'a' and 'b' hold images, but 'copy' only folders",
        ),
        (("a", "b", "a/copy/b"), "class 'a' holds a folder 'b' of images"),
        (("inner/a", "inner/b"), "with 'a' and 'b' in it"),
        (("train/a", "train/b"), "/d/train"),
    ],
)
def test_what_contradicts_itself_is_refused_in_one_sentence(
    tmp_path: Path, folders: tuple[str, ...], words: str
) -> None:
    folders_only = [folder for folder in folders if folder.endswith("/")]
    root = grow(tmp_path / "d", *pictures(*(f for f in folders if not f.endswith("/"))), *folders_only)
    said = refusal(root)
    assert words in said
    assert str(root) in said


def test_images_in_folders_below_a_class_count_for_it(tmp_path: Path) -> None:
    root = grow(tmp_path / "d", *pictures("a", "a/monday", "a/monday/late", "b"))
    assert [one.label for one in lay_out(root).found] == ["a"] * 6 + ["b"] * 2


def closed(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    """Let the system refuse to list `place`, as it does not for root."""
    real = os.scandir

    def scandir(path: str | Path) -> object:
        if Path(path) == place:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(walk.os, "scandir", scandir)


@pytest.mark.parametrize("place", ["c", "a/deep/deeper", "."])
def test_a_folder_that_can_not_be_opened_stops_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    root = grow(tmp_path / "d", *pictures("a", "b", "c", "a/deep/deeper"))
    closed(monkeypatch, root / place)
    for look in (lay_out, images_below):
        with pytest.raises(DataProblem, match=r"can't be opened: permission denied") as caught:
            look(root)
        assert str(root / place) in str(caught.value)


def test_a_link_into_a_closed_folder_stops_too(tmp_path: Path) -> None:
    class Entry:
        name, path = "x.png", str(tmp_path / "x.png")

        def is_symlink(self) -> bool:
            return True

        def stat(self) -> None:
            raise PermissionError(13, "Permission denied")

    with pytest.raises(DataProblem, match=r"x\.png can't be opened: permission denied"):
        walk._look_at(Entry())


def test_names_that_are_no_utf8_are_refused_by_name(tmp_path: Path) -> None:
    root = grow(tmp_path / "d", *pictures("a", "b"))
    odd = Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9"))
    odd.mkdir()
    assert r"caf\xe9" in lay_out(root).labels
    (odd / "1.png").write_bytes(b"")
    assert refusal(root).endswith(r"the first: caf\xe9/1.png")
    (odd / "1.png").unlink()
    (root / "a" / os.fsdecode(b"\xe9.png")).write_bytes(b"")
    (root / "a" / os.fsdecode(b"\xe9.txt")).write_bytes(b"")
    said = refusal(root)
    assert "the names of 1 image are no valid UTF-8" in said
    assert said.endswith(r"the first: a/\xe9.png")
    named = root.rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9")))
    assert rf"{tmp_path}/\xe9 is no valid UTF-8" in refusal(named)


def test_the_images_below_a_folder_are_those_of_training(tmp_path: Path) -> None:
    root = grow(tmp_path / "d", *pictures("a", "b"), "a/.hidden.png", "a/note.txt", "__MACOSX/x.png")
    grow(tmp_path / "far", *pictures("x"))
    (root / "a" / "linked").symlink_to(tmp_path / "far" / "x")
    (root / "a" / "again").symlink_to(root / "a" / "linked")
    (root / "a" / "loop").symlink_to(root)
    (root / "b" / "lost.png").symlink_to("nowhere")
    found = [path.relative_to(root).as_posix() for path in images_below(root)]
    trained = [one.path for one in lay_out(root).found]
    assert trained == ["a/0.png", "a/1.png", "a/again/0.png", "a/again/1.png", "b/0.png", "b/1.png"]
    assert found == [*trained, "b/lost.png"]


def test_two_classes_may_lead_to_one_folder(tmp_path: Path) -> None:
    root = grow(tmp_path / "d", *pictures("a", "c"))
    (root / "b").symlink_to("a")
    assert [one.label for one in lay_out(root).found] == ["a", "a", "b", "b", "c", "c"]


def test_images_beside_the_class_folders_are_named(tmp_path: Path) -> None:
    root = grow(tmp_path / "d", *pictures("a", "b"), "stray.png", "notes.txt")
    assert lay_out(root).passed_over == (
        ("notes.txt", "not in a class folder"),
        ("stray.png", "not in a class folder"),
    )
