import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest
from fake_run import fake_scorer, make_run, paint_only
from PIL import Image

from tuner.evaluation.compare import compare


class Page(HTMLParser):
    """Counts tags, remembers attributes, and fails on a tag that is closed out of order."""

    EMPTY = ("meta", "img", "br", "source")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


CLASSES = {"감자 <역병>": 12, "healthy & well": 12, "x" * 80: 5}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("runs") / "search", classes=CLASSES, space="googlenet_grid")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare([run.path], scorer=fake_scorer)
    return found, Page(found.report.read_text(encoding="utf-8"))


@pytest.fixture
def figures(report):
    return report[0].out / "figures"


EXPECTED = {
    "accuracy",
    "advice",
    "calibration",
    "confusion",
    "confusion-shares",
    "groups",
    "importances",
    "learning-curves",
    "mistakes",
    "parallel",
    "rungs",
    "search",
    "slices",
    "tradeoffs",
}


def test_every_picture_is_there_as_png_and_svg(figures):
    assert {file.stem for file in figures.glob("*.png")} == EXPECTED
    assert {file.stem for file in figures.glob("*.svg") if not file.stem.endswith("-dark")} == EXPECTED


def test_no_picture_is_blank_and_dark_ones_are_dark(figures):
    for name in EXPECTED:
        pixels = np.asarray(Image.open(figures / f"{name}.png").convert("L"))
        assert pixels.std() > 3
        assert "#17181c" in (figures / f"{name}-dark.svg").read_text()
        assert "#17181c" not in (figures / f"{name}.svg").read_text()


def test_pictures_need_no_network(figures):
    for file in figures.glob("*.svg"):
        text = file.read_text()
        for start in ('href="http', "url(http", "@import"):
            assert start not in text


def test_the_page_needs_nothing_but_itself(report):
    found, page = report
    for attrs in (attrs for _, attrs in page.tags):
        for name in ("src", "srcset", "href"):
            assert attrs.get(name, "#").startswith(("data:", "#"))
    assert not page.all("script")
    assert not page.all("link")
    assert not re.search(r"url\(|@import", found.report.read_text(encoding="utf-8").split("</style>")[0])


def test_every_picture_has_words_and_a_dark_twin(report):
    _, page = report
    pictures = [attrs for attrs in page.all("img") if attrs["src"].startswith("data:image/svg")]
    assert len(pictures) == 13
    assert all(len(attrs["alt"]) > 20 for attrs in pictures)
    assert len(page.all("source")) == len(pictures)
    assert all("dark" in attrs["media"] for attrs in page.all("source"))


def test_class_names_in_any_script_stand_as_text(report):
    _, page = report
    for name in CLASSES:
        assert name in page.text


def test_the_conclusion_the_warnings_and_the_record_are_on_the_page(report):
    found, page = report
    text = "".join(page.text)
    assert len(found.sentences) > 1
    for sentence in found.sentences:
        assert sentence in text
    for warning in found.warnings:
        assert warning in text
    for word in (
        "0123456789abcdef",
        "no group stands on two sides",
        "2.14.1",
        "hardware.cpus",
        "split was by image",
    ):
        assert word in text


def test_tables_can_be_read_by_a_screen_reader_and_scrolled_by_keyboard(report):
    _, page = report
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(attrs["scope"] == "col" for attrs in page.all("th"))
    regions = [attrs for attrs in page.all("div") if attrs.get("class", "").startswith("scroll")]
    assert len(regions) == len(page.all("table"))
    assert all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in regions)


def test_the_page_fits_phones_and_both_lights(report):
    found, page = report
    style = found.report.read_text(encoding="utf-8").split("</style>")[0]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert "prefers-color-scheme: dark" in style


def test_several_runs_have_their_own_search_pictures_on_one_page(tmp_path, monkeypatch):
    paint_only(monkeypatch)
    first, second = make_run(tmp_path / "a", samples=0), make_run(tmp_path / "b", seed=3)
    found = compare([first.path, second.path], scorer=fake_scorer, out=tmp_path / "out")
    text = found.report.read_text(encoding="utf-8")
    assert "The search over time of a" in text
    assert "The search over time of b" in text
    assert "Record of a" in text
    assert "Record of b" in text
    assert not (first.path / "report").exists()


def test_mistakes_whose_files_are_gone_are_still_described(report):
    _, page = report
    assert any(", taken for " in text for text in page.text)
    assert "image not found" in page.text


def test_the_page_says_how_far_the_probabilities_can_be_believed(report):
    """Of the chosen finalist, by the temperature and the sets that its validation images give."""
    _, page = report
    text = "".join(page.text)
    section = text[text.rindex("How far to believe the probabilities") :]
    for words in (
        "(temperature ",
        "log loss ",
        " before, ",
        " after the temperature",
        "calibration error: mean distance",
    ):
        assert words in section
    assert "sets at --alpha 0.1 hold the true class of" in section.lower()
    for caption in ("Sets at --alpha 0.1", "Sizes of the sets", "With --min-confidence"):
        assert caption in section


def test_what_would_help_is_the_first_section_after_the_conclusion(report):
    found, page = report
    heads = re.findall(r"<h2[^>]*>(.*?)</h2>", found.report.read_text(encoding="utf-8"))
    assert heads[:2] == ["Conclusion", "What would help"]
    text = "".join(page.text)
    assert "search no longer" in text or "search on for" in text
    assert (
        "Nothing can be said of more images, checking labels, averaging the folds' models, the least loss"
        in text
    )
