"""Class names that a person should look at: one class written twice, a missing label, two labels in one."""

from pathlib import Path

import pytest

from tuner.dataset.class_names import doubtful_names
from tuner.dataset.reading.scan import ImageFile, Scan


def scan_of(*names: str) -> Scan:
    images = tuple(ImageFile(f"{i}.png", name, None, 8, 8, str(i)) for i, name in enumerate(names))
    return Scan(Path("/data"), tuple(sorted(set(names))), images, (), (), ())


@pytest.mark.parametrize(
    "names",
    [
        ("Scab", "scab"),
        ("1", "1.0"),
        ("1", "01"),
        ("1,0", "1"),
        ("leaf rust", "leaf_rust"),
        ("leaf rust", "Leaf  Rust"),
        ("leaf-rust", "leafrust"),
        ("caf\u00e9", "cafe\u0301"),
        ("scab ", "scab"),
    ],
)
def test_one_class_written_twice_is_said_with_the_images_of_both(names: tuple[str, str]) -> None:
    (sentence,) = doubtful_names(scan_of(*names, names[0], "other"))
    assert sentence.startswith("class names that differ only in how they are written, and may be one class: ")
    assert f"{names[0]!r} (2 images)" in sentence
    assert f"{names[1]!r} (1 image)" in sentence


@pytest.mark.parametrize("name", ["nan", "NaN", "None", "null", "N/A", "<NA>"])
def test_a_label_that_programs_write_for_a_missing_one_is_said(name: str) -> None:
    (sentence,) = doubtful_names(scan_of("a", "b", name))
    assert sentence.startswith(f"class {name!r} (1 image) is how programs write a missing label")


def test_a_name_that_reads_like_two_other_classes_is_said() -> None:
    (sentence,) = doubtful_names(scan_of("scab", "rust", "scab rust", "healthy"))
    assert "'scab rust' ('scab' and 'rust'); tuner learns one class an image" in sentence
    assert doubtful_names(scan_of("early blight", "late blight", "healthy")) == []


@pytest.mark.parametrize(
    "names", [("a", "b"), ("1", "2", "10"), ("1.5", "15"), ("C", "C++"), ("+", "-"), ("none of these", "a")]
)
def test_clear_names_need_no_word(names: tuple[str, ...]) -> None:
    assert doubtful_names(scan_of(*names)) == []


def test_of_many_doubtful_names_three_are_named_and_the_rest_counted() -> None:
    names = [f"{kind} {number}" for number in range(300) for kind in ("Kind", "kind")]
    (sentence,) = doubtful_names(scan_of(*names))
    assert sentence.endswith("; and 297 more such classes")
    assert len(sentence) < 400
