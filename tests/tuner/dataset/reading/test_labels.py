"""Labels from a table: what it may look like, what is refused, and that nothing else changes."""

import shutil
from pathlib import Path

import pytest

from trainables.errors import DataProblem
from tuner.dataset.reading.labels import alike, fits, has_groups, read_left_out
from tuner.dataset.reading.scan import scan
from tuner.dataset.splitting import fingerprint, make_split, read_groups


def flat(two_classes: Path, folder: Path) -> Path:
    """The images of `two_classes` in one folder, none of them below a class folder."""
    folder.mkdir()
    for image in sorted(two_classes.rglob("*.png")):
        target = folder / "deep" / f"{image.parent.name}-{image.name}"
        target.parent.mkdir(exist_ok=True)
        shutil.copy(image, target)
    return folder


def rows_of(folder: Path, **columns) -> list[str]:
    return [
        ",".join([path.relative_to(folder).as_posix(), *(str(make(path)) for make in columns.values())])
        for path in sorted(folder.rglob("*.png"))
    ]


def label(path: Path) -> str:
    return path.name.split("-")[0]


def write(folder: Path, rows: list[str], header: str = "path,label") -> Path:
    file = folder.parent / "labels.csv"
    file.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return file


def refusal(folder: Path, file: Path) -> str:
    with pytest.raises(DataProblem) as caught:
        scan(folder, labels=file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_table_says_what_folders_say(two_classes: Path, tmp_path: Path) -> None:
    folder = flat(two_classes, tmp_path / "flat")
    by_table = scan(folder, labels=write(folder, rows_of(folder, label=label)))
    by_folder = scan(two_classes)
    assert by_table.classes == by_folder.classes
    assert [image.pixels for image in by_table.images] == [image.pixels for image in by_folder.images]
    split = make_split(by_table, None)
    assert split["split"].tolist() == make_split(by_folder, None)["split"].tolist()
    assert list(split.columns) == ["path", "label", "group", "split"]


def test_groups_and_split_come_from_the_same_table(two_classes: Path, tmp_path: Path) -> None:
    folder = flat(two_classes, tmp_path / "flat")

    def part(path: Path) -> str:
        number = int(path.stem.split("-")[1])
        return "Training" if number < 8 else "valid" if number < 10 else "test"

    rows = rows_of(
        folder, label=label, group=lambda path: f"{label(path)}{int(path.stem[-2:]) // 2}", split=part
    )
    file = write(folder, rows, "path,label,group,split")
    assert has_groups(file)
    found = scan(folder, labels=file)
    assert dict(found.parts) == {"Training": "train", "valid": "val", "test": "test"}
    split = make_split(found, read_groups(found, file, None))
    assert split["split"].value_counts().to_dict() == {"train": 16, "val": 4, "test": 4}
    assert split["group"].nunique() == 12
    assert fingerprint(split) != fingerprint(make_split(found, None))


def test_what_the_table_does_not_name_is_passed_over_and_what_is_gone_is_corrupt(
    two_classes: Path, tmp_path: Path
) -> None:
    folder = flat(two_classes, tmp_path / "flat")
    (folder / "notes.txt").write_text("hello")
    rows = rows_of(folder, label=label)
    file = write(folder, [*rows[1:], "deep/gone.png,cat"])
    found = scan(folder, labels=file, max_corrupt=0.1)
    assert len(found.images) == 23
    assert dict(found.passed_over) == {
        "deep/cat-00.png": "not in the labels file",
        "notes.txt": "not an image",
    }
    assert [path for path, _ in found.corrupt] == ["deep/gone.png"]
    assert "No such file" in found.corrupt[0][1]


def test_paths_may_be_written_as_spreadsheets_and_other_systems_do(two_classes: Path, tmp_path: Path) -> None:
    folder = flat(two_classes, tmp_path / "flat")
    rows = [row.replace("/", "\\").replace(",", ";") for row in rows_of(folder, label=label)]
    rows[0] = f"{folder}/deep/cat-00.png; cat "
    assert len(scan(folder, labels=write(folder, rows, "Path;Label")).images) == 24


@pytest.mark.parametrize(
    ("change", "first"),
    [
        (lambda path: path[:-4], "deep/cat-00"),
        (lambda path: f"flat/{path}", "flat/deep/cat-00.png"),
        (lambda path: path.rpartition("/")[2], "cat-00.png"),
        (str.upper, "DEEP/CAT-00.PNG"),
    ],
)
def test_a_table_that_finds_no_file_is_named_with_its_first_path_and_what_that_may_mean(
    two_classes: Path, tmp_path: Path, change, first: str
) -> None:
    folder = flat(two_classes, tmp_path / "flat")
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    file = write(folder, [f"{change(path)},{label(Path(path))}" for path in paths])
    for limit in (0.05, 1.0):
        with pytest.raises(DataProblem) as caught:
            scan(folder, labels=file, max_corrupt=limit)
        said = str(caught.value)
        assert said.startswith(
            str(file) if limit < 1 else f"labels file {file} names no image that can be read"
        )
        assert "24 images that it names, 24" in said or "24 of 24 images can't be read" in said
        assert f"{folder}/{first} can't be read: No such file or directory" in said
        assert said.endswith("; did you mean 'deep/cat-00.png'?")


def test_what_a_path_may_mean_shares_most_of_its_end() -> None:
    there = ["a/x/1.png", "b/x/1.png", "b/y/1.jpg", "2.png"]
    assert alike("data/b/x/1", there) == "b/x/1.png"
    assert alike("Y/1.PNG", there) == "b/y/1.jpg"
    assert alike("other/3.png", there) is None


def test_a_table_fits_a_folder_if_one_of_its_rows_is_there_however_it_is_written(
    two_classes: Path, tmp_path: Path
) -> None:
    folder = flat(two_classes, tmp_path / "flat")
    assert fits(folder, write(folder, ["deep\\cat-00.png,cat", "gone.png,dog"]))
    assert fits(folder, write(folder, [f"{folder}/deep/cat-00.png,cat"]))
    assert not fits(folder, write(folder, ["cat-00.png,cat", "../flat/deep/cat-00.png,dog"]))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            "deep/cat-00.png,dog",
            r"gives 'deep/cat-00.png' several labels: 'cat' and 'dog'; tuner learns one class",
        ),
        ("deep/new.png,cat|dog", "several labels: 'cat' and 'dog'"),
        ('deep/new.png,"cat, dog"', "several labels: 'cat' and 'dog'"),
        ("deep/new.png,['cat']", "several labels"),
        ("deep/new.png,", "gives no label to 1 of 25 images: 'deep/new.png'"),
        ("../elsewhere.png,cat", r"'../elsewhere.png' does not lie below"),
    ],
)
def test_what_can_not_be_one_label_an_image_is_refused(
    two_classes: Path, tmp_path: Path, row: str, words: str
) -> None:
    folder = flat(two_classes, tmp_path / "flat")
    assert words in refusal(folder, write(folder, [*rows_of(folder, label=label), row]))


def test_a_combination_that_is_a_class_of_its_own_is_one_label(two_classes: Path, tmp_path: Path) -> None:
    folder = flat(two_classes, tmp_path / "flat")
    rows = rows_of(folder, label=lambda path: "salt;pepper" if label(path) == "cat" else "sugar")
    assert scan(folder, labels=write(folder, rows)).classes == ("salt;pepper", "sugar")


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (lambda path: "train" if "cat" in path.name else "", "none to 12"),
        (lambda path: "holdout", "into the split 'holdout'; known: train, val and test"),
        (lambda path: "test", "puts no image into train"),
    ],
)
def test_a_split_that_is_half_given_is_refused(two_classes: Path, tmp_path: Path, split, words: str) -> None:
    folder = flat(two_classes, tmp_path / "flat")
    rows = rows_of(folder, label=label, split=split)
    assert words in refusal(folder, write(folder, rows, "path,label,split"))


def test_one_column_a_class_and_one_class_are_refused(two_classes: Path, tmp_path: Path) -> None:
    folder = flat(two_classes, tmp_path / "flat")
    rows = rows_of(folder, cat=lambda path: 1, dog=lambda path: 0)
    assert "needs the columns path and label; it has path, cat, dog" in refusal(
        folder, write(folder, rows, "path,cat,dog")
    )
    rows = rows_of(folder, label=lambda path: "cat")
    assert "names only images of 'cat' that can be read; at least two classes" in refusal(
        folder, write(folder, rows)
    )


def test_images_that_a_table_marks_are_left_out(two_classes: Path, tmp_path: Path) -> None:
    file = tmp_path / "suspects.csv"
    file.write_text("rank,path,leave_out\n1,cat/00.png,yes\n2,cat/01.png,\n3,dog/00.png,no\n4,dog/01.png,x\n")
    marked = read_left_out(file)
    assert marked == ["cat/00.png", "dog/01.png"]
    found = scan(two_classes, without=marked)
    assert len(found.images) == 22
    assert found.left_out == ("cat/00.png", "dog/01.png")
    assert found.fingerprint != scan(two_classes).fingerprint
    file.write_text("path\ncat/00.png\n")
    assert read_left_out(file) == ["cat/00.png"]
    file.write_text("path,leave_out\ncat/00.png,\n")
    with pytest.raises(DataProblem, match="marks none of its 1 images; write yes into the column leave_out"):
        read_left_out(file)
