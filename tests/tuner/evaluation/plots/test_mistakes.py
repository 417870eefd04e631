import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from trainables.data.decode import read_rgb
from trainables.data.deep import scale_from
from trainables.metrics import Answers
from tuner.evaluation.plots.mistakes import SIDE, confident_mistakes


def half(dark, light, mode=None):
    """A picture whose left half is `dark`, its right half `light`."""
    pixels = np.empty((80, 100, *np.shape(dark)), dtype=np.asarray(dark).dtype)
    pixels[:, :50], pixels[:, 50:] = dark, light
    return Image.fromarray(pixels, mode) if mode else Image.fromarray(pixels)


def turned():
    exif = Image.Exif()
    exif[0x0112] = 3
    return exif


ODD = {
    "deep.png": (half(np.uint16(8000), np.uint16(40000)), {}),
    "deep.tif": (half(np.uint16(8000), np.uint16(40000)), {}),
    "floats.tif": (half(np.float32(0.2), np.float32(0.8)), {}),
    "transparent.png": (half(np.uint8([90, 0, 0, 255]), np.uint8([90, 0, 0, 0])), {}),
    "turned.jpg": (half(np.uint8([200, 0, 0]), np.uint8([0, 0, 200])), {"exif": turned(), "quality": 95}),
}


@pytest.fixture
def evidence(tmp_path):
    """A comparison whose best finalist gets every odd image wrong; one more file is torn, one is gone."""
    for name, (image, options) in ODD.items():
        image.save(tmp_path / name, **options)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    paths = [*ODD, "torn.png", "gone.png"]
    logits = np.tile([0.0, 3.0], (len(paths), 1))
    labels = np.zeros(len(paths), dtype=np.int64)
    return SimpleNamespace(
        finalists=[SimpleNamespace(key="best")],
        answers=lambda key: Answers(labels, {"best": logits}[key]),
        labels=labels,
        paths=paths,
        runs=[SimpleNamespace(record={"data": {"folder": str(tmp_path)}})],
    )


@pytest.mark.parametrize("scale", [None, {"int16": [0, 50000], "float32": [0.0, 0.9]}])
def test_the_gallery_draws_the_picture_that_the_model_saw(evidence, tmp_path, scale):
    evidence.runs[0].record["data"]["scale"] = scale
    drawn = {mistake.path: mistake.jpeg for mistake in confident_mistakes(evidence)}
    for name in ODD:
        shown = np.asarray(Image.open(io.BytesIO(drawn[name]))).astype(int)
        seen = read_rgb(tmp_path / name, scale_from(scale)).astype(int)
        assert max(shown.shape) <= SIDE
        assert shown.shape == seen.shape
        assert np.abs(shown[:, [10, 90]] - seen[:, [10, 90]]).max() < 12, name


def test_a_file_that_is_torn_or_gone_has_no_picture(evidence):
    drawn = {mistake.path: mistake.jpeg for mistake in confident_mistakes(evidence)}
    assert drawn["torn.png"] is None
    assert drawn["gone.png"] is None
