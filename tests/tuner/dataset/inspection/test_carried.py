"""What `inspect` found in images reaches those who judge scores of the same images later."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tuner.dataset.inspection.carried import Pictures, image_warnings, keep_background, keep_suspects
from tuner.dataset.inspection.shortcuts import Photographed

TOLD = Photographed("ill", 0.95, 0.91, {"background at the border": 0.94})


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Twenty-four pictures of two classes; those of one have a dark border."""
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    random, labels = np.random.default_rng(0), {}
    for label, level in (("ill", 20), ("well", 200)):
        (tmp_path / label).mkdir()
        for number in range(12):
            pixels = random.integers(level, level + 30, (24, 24, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
            labels[f"{label}/{number}.png"] = label
    return Pictures(tmp_path, "fingerprint", labels, {path: path for path in labels})


def test_a_background_that_tells_the_class_is_found_where_nobody_looked(pictures):
    (warning,) = image_warnings(pictures)
    assert warning.startswith("the background alone reveals the class")
    assert "'ill' 1.00" in warning
    assert "objects that are seen again" in warning


def test_what_was_found_once_is_not_looked_for_again(pictures, monkeypatch):
    keep_background(pictures, [TOLD])
    monkeypatch.setattr(
        "tuner.dataset.inspection.carried.photographed_among", lambda *_, **__: pytest.fail("looked again")
    )
    (warning,) = image_warnings(pictures)
    assert "'ill' 0.95 (background at the border 0.94)" in warning


def test_other_groups_of_the_same_images_are_another_question(pictures):
    keep_background(pictures, [])
    assert image_warnings(pictures) == ()
    grouped = Pictures(pictures.folder, "fingerprint", pictures.labels, {p: p[:6] for p in pictures.labels})
    (warning,) = image_warnings(grouped)
    assert "objects that are seen again" not in warning


def test_suspected_labels_travel_too_and_none_is_no_warning(pictures):
    keep_background(pictures, [])
    first = {"path": "ill/3.png", "given": "ill", "likely": "well"}
    told = {"judged": 24, "likely_differs": 2, "flagged": None, "first": [first]}
    keep_suspects("fingerprint", SimpleNamespace(document=lambda: told))
    (warning,) = image_warnings(pictures)
    assert warning.startswith("2 of 24 labels may be wrong, by tuner inspect --suspects")
    assert "ill/3.png, labelled 'ill', which looks like 'well'" in warning
    keep_suspects("fingerprint", SimpleNamespace(document=lambda: {**told, "likely_differs": 0}))
    assert image_warnings(pictures) == ()


def test_of_images_that_are_gone_nothing_is_said_and_nothing_kept(pictures, tmp_path):
    gone = Pictures(Path("/nowhere"), "fingerprint", pictures.labels, pictures.groups)
    assert image_warnings(gone) == ()
    assert len(image_warnings(pictures)) == 1
