from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from trainables.errors import DataProblem, InvalidValue
from tuner.dataset.reading.scan import ImageFile, Scan, scan
from tuner.dataset.splitting import (
    fingerprint,
    leaks,
    make_split,
    parse_fractions,
    random_split_leak,
    read_groups,
)


def scan_of(files: Mapping[str, str], pixels: Mapping[str, str] | None = None) -> Scan:
    """A scan of paths with their labels; equal `pixels` make duplicates; a path may start with its part."""
    parts = {"train", "val", "test"}
    images = tuple(
        ImageFile(
            path,
            label,
            path.split("/")[0] if path.split("/")[0] in parts else None,
            8,
            8,
            (pixels or {}).get(path, path),
        )
        for path, label in sorted(files.items())
    )
    return Scan(Path("/data"), tuple(sorted(set(files.values()))), images, (), (), ())


def leaves(label: str, groups: int, views: int = 4) -> dict[str, str]:
    return {f"{label}/{g}_{v}.jpg": label for g in range(groups) for v in range(views)}


def by_leaf(scan: Scan) -> dict[str, str]:
    return {image.path: image.path.split("_")[0] for image in scan.images}


PLANTS = scan_of({**leaves("early", 50), **leaves("late", 50), **leaves("healthy", 9)})


def test_whole_groups_go_to_one_part_and_every_class_to_all() -> None:
    split = make_split(PLANTS, by_leaf(PLANTS))
    assert list(split.columns) == ["path", "label", "group", "split"]
    assert split["path"].is_monotonic_increasing
    assert (split.groupby("group")["split"].nunique() == 1).all()
    assert leaks(split) == 0
    assert (pd.crosstab(split["label"], split["split"]) > 0).all().all()


def test_every_class_is_within_a_group_of_its_share_in_every_part() -> None:
    ragged = {f"{c}/{g}_{v}.jpg": c for c in ("a", "b") for g in range(40) for v in range(1 + g % 7)}
    found = scan_of(ragged)
    for seed in range(5):
        split = make_split(found, by_leaf(found), (0.7, 0.2, 0.1), seed)
        for label, total in split["label"].value_counts().items():
            for part, share in zip(("train", "val", "test"), (0.7, 0.2, 0.1), strict=True):
                size = ((split["label"] == label) & (split["split"] == part)).sum()
                assert abs(size - share * total) <= 7


def test_the_seed_decides_and_nothing_else() -> None:
    first, again = make_split(PLANTS, None, seed=3), make_split(PLANTS, None, seed=3)
    pd.testing.assert_frame_equal(first, again)
    assert fingerprint(first) == fingerprint(first.sample(frac=1.0, random_state=0))
    assert fingerprint(first) != fingerprint(make_split(PLANTS, None, seed=4))


def test_a_class_with_three_groups_is_in_every_part_whatever_their_sizes() -> None:
    files = leaves("common", 40)
    files |= {f"rare/{g}_{v}.jpg": "rare" for g, n in enumerate((30, 1, 1)) for v in range(n)}
    found = scan_of(files)
    for seed in range(10):
        split = make_split(found, by_leaf(found), seed=seed)
        assert set(split.loc[split["label"] == "rare", "split"]) == {"train", "val", "test"}


def test_equal_pixels_stay_together_across_groups_and_classes() -> None:
    same = {"early/0_0.jpg": "x", "late/7_2.jpg": "x", "late/7_1.jpg": "y", "late/9_0.jpg": "y"}
    found = scan_of(PLANTS_FILES, same)
    for groups in (None, by_leaf(found)):
        split = make_split(found, groups).set_index("path")
        assert split.loc["early/0_0.jpg", "group"] == split.loc["late/7_2.jpg", "group"]
        assert split.loc["late/7_1.jpg", "group"] == split.loc["late/9_0.jpg", "group"]
        assert (split.groupby("group")["split"].nunique() == 1).all()
    joined = {split.loc[path, "group"] for path in same}
    assert len(joined) == 1


PLANTS_FILES = {image.path: image.label for image in PLANTS.images}


def test_too_few_groups_are_named_with_what_is_needed() -> None:
    found = scan_of({**leaves("common", 5), **leaves("rare", 2)})
    with pytest.raises(DataProblem, match=r"class 'rare' has 2 groups \(8 images\).*at least 3 groups"):
        make_split(found, by_leaf(found))
    single = scan_of({**leaves("common", 5), "rare/x.jpg": "rare"})
    with pytest.raises(DataProblem, match=r"class 'rare' has 1 image: .*at least 3 different images"):
        make_split(single, None)


def test_given_parts_are_kept_and_a_missing_one_is_carved_out_of_train() -> None:
    files = {f"train/{c}/{i}_{v}.jpg": c for c in "ab" for i in range(18) for v in range(2)}
    files |= {f"test/{c}/t{i}_0.jpg": c for c in "ab" for i in range(3)}
    found = scan_of(files)
    split = make_split(found, by_leaf(found))
    assert (split.loc[split["path"].str.startswith("test/"), "split"] == "test").all()
    assert set(split.loc[split["path"].str.startswith("train/"), "split"]) == {"train", "val"}
    assert split["split"].value_counts()["val"] == 8
    assert (split.groupby("group")["split"].nunique() == 1).all()


def test_given_parts_that_share_a_picture_or_a_group_are_refused() -> None:
    files = {f"{p}/{c}/{p}{i}.jpg": c for p in ("train", "val", "test") for c in "ab" for i in range(3)}
    with pytest.raises(DataProblem, match=r"test/a/test0\.jpg.*train/b/train1\.jpg.*the same pixels"):
        make_split(scan_of(files, {"train/b/train1.jpg": "x", "test/a/test0.jpg": "x"}), None)
    found = scan_of(files)
    with pytest.raises(DataProblem, match="the group 'g'"):
        make_split(found, {"train/a/train0.jpg": "g", "val/a/val0.jpg": "g"})
    lacking = {path: label for path, label in files.items() if not path.startswith("val/b")}
    with pytest.raises(
        DataProblem, match="class 'b' has no image in val, which the folder gives; move whole"
    ):
        make_split(scan_of(lacking), None)


# Groups of several classes: a, b and c each want theirs in three parts, and no move of one group leads there.
ENTANGLED = {"1": "abc", "2": "ab", "3": "ac", "4": "bc"}


def test_what_no_split_was_found_for_is_not_called_impossible() -> None:
    files = {f"{label}/{group}_{label}.jpg": label for group, own in ENTANGLED.items() for label in own}
    found = scan_of(files)
    pattern = (
        r"^no split was found that has every class in train, val, test and keeps groups whole:"
        r" class '[abc]' has no image in (train|val|test), since some of its 3 groups hold other classes too; add "
    )
    with pytest.raises(DataProblem, match=pattern):
        make_split(found, {path: path.split("/")[1].split("_")[0] for path in files})


def test_groups_come_from_a_file(tmp_path: Path) -> None:
    csv = tmp_path / "groups.csv"
    csv.write_text(
        "﻿path,group,note\na\\1.jpg,x,\n./a/2.jpg,x,\nb/1.jpg,y,\nb/unused.jpg,z,\n", encoding="utf-8"
    )
    found = scan_of({"a/1.jpg": "a", "a/2.jpg": "a", "b/1.jpg": "b"})
    assert read_groups(found, csv, None) == {"a/1.jpg": "x", "a/2.jpg": "x", "b/1.jpg": "y"}
    assert read_groups(found, None, None) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,leaf\na/1.jpg,x\n", "needs the columns path and group; it has path, leaf"),
        ("path,group\na/1.jpg,x\n", r"no group to 2 of 3 images: 'a/2\.jpg', 'b/1\.jpg'"),
        ("path,group\na/1.jpg,x\na/1.jpg,y\n", r"gives 'a/1\.jpg' two groups"),
        ("path,group\na/1.jpg,x\na/2.jpg,\nb/1.jpg,y\n", r"no group to 1 of 3"),
        ("", "can't be read"),
        (None, "can't be read"),
    ],
)
def test_a_groups_file_that_can_not_serve_says_why(tmp_path: Path, text: str | None, message: str) -> None:
    csv = tmp_path / "groups.csv"
    if text is not None:
        csv.write_text(text)
    found = scan_of({"a/1.jpg": "a", "a/2.jpg": "a", "b/1.jpg": "b"})
    with pytest.raises(DataProblem, match=message):
        read_groups(found, csv, None)


def test_groups_come_from_a_pattern_or_its_one_parenthesis() -> None:
    found = scan_of({"a/12_1.jpg": "a", "a/12_2.jpg": "a", "b/3_1.jpg": "b"})
    assert read_groups(found, None, r"[0-9]+_")["a/12_1.jpg"] == "12_"
    assert read_groups(found, None, r"/([0-9]+)_") == {
        "a/12_1.jpg": "12",
        "a/12_2.jpg": "12",
        "b/3_1.jpg": "3",
    }


@pytest.mark.parametrize(
    ("regex", "kind", "message"),
    [
        ("(", InvalidValue, "no regular expression"),
        ("(a)(b)", InvalidValue, "has 2 parentheses"),
        ("leaf", DataProblem, "matches none of 3 paths, such as 'a/12_1.jpg'"),
        ("12", DataProblem, r"no group to 1 of 3 images: 'b/3_1\.jpg'"),
    ],
)
def test_a_pattern_that_can_not_serve_says_why(regex: str, kind: type[Exception], message: str) -> None:
    found = scan_of({"a/12_1.jpg": "a", "a/12_2.jpg": "a", "b/3_1.jpg": "b"})
    with pytest.raises(kind, match=message):
        read_groups(found, None, regex)


def test_groups_from_a_file_and_a_pattern_at_once_are_refused() -> None:
    with pytest.raises(InvalidValue, match="not from both"):
        read_groups(PLANTS, Path("g.csv"), "x")


def test_fractions_are_three_positive_shares_of_one() -> None:
    assert parse_fractions("0.8,0.1, 0.1") == (0.8, 0.1, 0.1)
    for wrong in ("", "0.8,0.2", "0.8,0.2,0", "a,b,c", "0.8,0.1,nan", "-1,1,1", "8,1,1", "0.8,0.1,0.2"):
        with pytest.raises(InvalidValue, match=r"0\.8,0\.1,0\.1"):
            parse_fractions(wrong)


def test_leaks_counts_test_images_with_relatives_in_training() -> None:
    rows = [("a", "train"), ("a", "test"), ("a", "test"), ("b", "test"), ("c", "val")]
    assert leaks(pd.DataFrame(rows, columns=["group", "split"])) == 2


def test_the_leak_of_a_random_split_is_that_of_counting_all_splits() -> None:
    # two pairs, one test image, two in training: its twin is among the two of three others with chance 2/3
    found = scan_of({"a/0_0.jpg": "a", "a/0_1.jpg": "a", "a/1_0.jpg": "a", "a/1_1.jpg": "a"})
    assert random_split_leak(found, by_leaf(found), (0.5, 0.25, 0.25)) == pytest.approx(2 / 3)
    assert random_split_leak(found, None, (0.5, 0.25, 0.25)) == 0


def test_a_scanned_folder_splits_with_a_copied_picture_on_one_side(
    two_classes: Path, paint: Callable[..., Path]
) -> None:
    paint(two_classes / "dog" / "copy of a cat.png", seed=0)
    split = make_split(scan(two_classes), None).set_index("path")
    assert split.loc["cat/00.png", "group"] == split.loc["dog/copy of a cat.png", "group"]
