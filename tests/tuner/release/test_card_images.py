"""What `inspect` warns of stands in the model card."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from tuner.release import card_images
from tuner.release.card_images import about_images


@pytest.fixture
def images(monkeypatch):
    """Images of which `inspect` has found something, two of whose twelve test images look like training images."""
    monkeypatch.setattr(card_images, "image_warnings", lambda pictures, look: ("the background tells *all*",))
    copies = SimpleNamespace(near_training=lambda split: (2, 12), source="perceptual hash")
    monkeypatch.setattr(card_images, "near_copies", lambda scan: copies)
    scan = SimpleNamespace(images=(), folder=Path(), fingerprint="f", scale={})
    split = pd.DataFrame({"path": ["a"], "group": ["g"]})
    return SimpleNamespace(scan=scan, split=split, data=SimpleNamespace(sample=False))


def test_warnings_and_test_images_near_training_stand_in_the_card(images):
    background, near = about_images(images, tested=True)
    assert background == r"- **The background tells \*all\*.**"
    assert "2 of 12 test images look like one in training, by perceptual hash" in near


def test_without_a_score_nothing_is_said_of_test_images_and_drawn_ones_have_no_warnings(images):
    assert len(about_images(images, tested=False)) == 1
    images.data.sample = True
    assert about_images(images, tested=True) == []
    images.scan = None
    assert about_images(images, tested=True) == []
