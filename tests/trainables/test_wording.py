"""What a sentence says of many things: three of them, and how many more there are."""

import dataclasses

import pytest

from trainables.errors import DataProblem, UnknownName
from trainables.wording import some
from tuner.dataset.findings import findings
from tuner.dataset.reading.layout import lay_out
from tuner.dataset.reading.scan import ImageFile, Scan
from tuner.dataset.splitting import make_split

LONGEST = 400


def many(tmp_path, classes=300, **changes):
    """A scan of so many classes of one image each."""
    images = [
        ImageFile(f"species_{code:03d}/0.png", f"species_{code:03d}", None, 8, 8, f"{code}")
        for code in range(classes)
    ]
    found = Scan(tmp_path, tuple(image.label for image in images), tuple(images), (), (), ())
    return dataclasses.replace(found, **changes)


def test_three_are_named_and_the_rest_counted():
    assert some("abc") == "a, b, c"
    assert some((letter for letter in "abcde"), between="; ") == "a; b; c and 2 more"
    assert some([]) == ""


@pytest.mark.parametrize("grouped", [False, True])
def test_three_hundred_classes_too_small_to_be_split_are_a_sentence(tmp_path, grouped):
    scan = many(tmp_path)
    groups = {image.path: image.label for image in scan.images} if grouped else {}
    with pytest.raises(DataProblem, match=r"'species_000' has 1 .* and 297 more: a class needs") as refused:
        make_split(scan, groups)
    assert len(str(refused.value)) < LONGEST


def test_three_hundred_empty_folders_are_a_sentence(tmp_path):
    empty = tuple(f"empty_{code:03d}" for code in range(300))
    (told,) = findings(many(tmp_path, empty_classes=empty))
    assert told == (
        "300 class folders hold no image and are left out: 'empty_000', 'empty_001', 'empty_002' and 297 more"
    )


def test_folders_nested_too_deep_are_counted(tmp_path):
    for code in range(40):
        (tmp_path / f"place_{code}" / "inner").mkdir(parents=True)
        (tmp_path / f"place_{code}" / "inner" / "a.png").write_bytes(b"")
    with pytest.raises(DataProblem, match="and 37 more only folders of images"):
        lay_out(tmp_path)


def test_an_unknown_name_among_a_person_s_own_is_told_with_three_of_them():
    known = [f"species_{code:03d}" for code in range(300)]
    told = str(UnknownName.of("class", "species_1", known, 3))
    assert "did you mean 'species_" in told
    assert told.endswith("and 297 more")
    assert len(str(UnknownName.of("metric", "x", known))) > LONGEST
