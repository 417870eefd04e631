"""A class that was photographed otherwise: the warning comes where it is so, with what tells it, and not elsewhere."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from tuner.dataset.inspection.inspect import inspect, render
from tuner.dataset.inspection.shortcuts import photographed
from tuner.dataset.reading.scan import scan

COUNT = 60


def write_objects(folder, changed=None, labels=("ill", "well")):
    """Random scenes of every class alike, but for those of "well", which `changed` takes or stores otherwise."""
    random = np.random.default_rng(0)
    for label in labels:
        (folder / label).mkdir(parents=True)
        for number in range(COUNT):
            coarse = random.integers(30, 226, (8, 8, 3), dtype=np.uint8)
            picture = cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC)
            quality = int(random.integers(70, 95))
            if label == "well" and changed is not None:
                picture, quality = changed(picture, quality)
            Image.fromarray(picture).save(folder / label / f"{number:03d}.jpg", quality=quality)
    return folder


def tinted(picture, quality):
    return (picture * np.array([1.0, 0.85, 0.7])).astype(np.uint8), quality


def smaller(picture, quality):
    return cv2.resize(picture, (48, 48), interpolation=cv2.INTER_AREA), quality


def compressed(picture, quality):
    return picture, 40


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))


def judged(folder):
    found = scan(folder)
    return {one.label: one for one in photographed(found, {image.path: image.path for image in found.images})}


def shown(inspection):
    console = Console(width=4000, record=True, file=io.StringIO())
    console.print(render(inspection))
    return console.export_text()


@pytest.mark.parametrize(
    ("changed", "kind"),
    [(tinted, "background at the border"), (smaller, "size"), (compressed, "JPEG quality")],
)
def test_another_camera_for_one_class_is_warned_of_by_what_tells_it(tmp_path, changed, kind):
    folder = write_objects(tmp_path / "objects", changed)
    found = judged(folder)
    assert found["well"].otherwise
    assert kind in dict(found["well"].telling)
    inspection = inspect(folder, None, "(.*)")
    assert inspection.advice[0].warning
    assert kind in inspection.advice[0].why
    assert "warning: photograph all classes in the same way" in shown(inspection)


def test_classes_that_were_photographed_alike_are_not_warned_of(tmp_path):
    folder = write_objects(tmp_path / "objects")
    found = judged(folder)
    assert not any(one.otherwise for one in found.values())
    inspection = inspect(folder, None, "(.*)")
    assert not any(one.warning for one in inspection.advice)


def test_groups_are_held_out_whole(tmp_path):
    """Each object has a background of its own, so image by image the class could be told by it."""
    random = np.random.default_rng(1)
    folder = tmp_path / "objects"
    names = {}
    for label in ("ill", "well"):
        (folder / label).mkdir(parents=True)
        for thing in range(10):
            colour = random.integers(0, 256, 3)
            for view in range(6):
                picture = np.clip(random.normal(colour, 12, (32, 32, 3)), 0, 255).astype(np.uint8)
                path = f"{label}/{thing}_{view}.png"
                Image.fromarray(picture).save(folder / path)
                names[path] = f"{label}-{thing}"
    found = scan(folder)
    by_image = photographed(found, {image.path: image.path for image in found.images})
    by_group = photographed(found, names)
    assert min(one.auc for one in by_image) > 0.95
    assert max(one.auc for one in by_group) < 0.8


def test_a_class_of_one_group_can_not_be_judged(tmp_path):
    folder = write_objects(tmp_path / "objects")
    found = scan(folder)
    assert photographed(found, {image.path: image.label for image in found.images}) == ()
