"""How pictures were taken: what is read off pixels and headers, and damage that costs nothing."""

import numpy as np
import pytest
from PIL import Image

from tuner.dataset.inspection.nuisance import Onlooker, columns, look_at, nuisance_of
from tuner.dataset.reading.scan import scan


def framed(path, border=(200, 40, 90), size=(100, 80), **save):
    picture = np.full((size[1], size[0], 3), border, np.uint8)
    picture[12:-12, 12:-12] = np.random.default_rng(0).integers(0, 256, (size[1] - 24, size[0] - 24, 3))
    Image.fromarray(picture).save(path, **save)
    return path


def test_the_border_s_colour_is_that_of_the_frame_and_not_of_the_object(tmp_path):
    found = nuisance_of(framed(tmp_path / "a.png"))
    assert (found.width, found.height) == (100, 80)
    expected = np.array([200, 40, 90]) / 255
    np.testing.assert_allclose([found.border_red, found.border_green, found.border_blue], expected, atol=0.01)
    assert found.border_spread < 0.05
    assert (found.jpeg_step, found.camera) == (0.0, "")


def test_quality_and_camera_are_read_off_the_header(tmp_path):
    exif = Image.Exif()
    exif[271], exif[272] = "Fine Optics", "X100"
    good = nuisance_of(framed(tmp_path / "good.jpg", quality=95, exif=exif))
    poor = nuisance_of(framed(tmp_path / "poor.jpg", quality=40))
    assert good.camera == "Fine Optics X100"
    assert poor.camera == ""
    assert 0 < good.jpeg_step < poor.jpeg_step


def test_a_damaged_header_is_no_camera(tmp_path):
    path = framed(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    assert nuisance_of(path).camera == ""


def test_every_kind_has_columns_and_rare_cameras_none(tmp_path):
    for number in range(20):
        exif = Image.Exif()
        exif[272] = f"camera {number % 16}"
        framed(tmp_path / f"{number:02d}.jpg", exif=exif)
    found = columns(look_at(tmp_path, [f"{number:02d}.jpg" for number in range(20)]))
    assert {kind: values.shape for kind, values in found.items()} == {
        "size": (20, 3),
        "brightness": (20, 2),
        "background at the border": (20, 6),
        "JPEG quality": (20, 1),
        "camera": (20, 12),
    }
    assert found["camera"].sum() == pytest.approx(16)


def test_a_picture_of_one_pixel_is_no_error(tmp_path):
    Image.new("RGB", (1, 1), (10, 20, 30)).save(tmp_path / "dot.png")
    assert nuisance_of(tmp_path / "dot.png").border_blue == pytest.approx(30 / 255, abs=0.01)


def test_an_onlooker_notes_of_a_scan_what_looking_again_would_find(tmp_path):
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(4):
            framed(tmp_path / label / f"{number}.jpg", border=(20 * number, 9, 200))
    (tmp_path / "a" / "torn.jpg").write_bytes(b"\xff\xd8")
    onlooker = Onlooker(6)
    found = scan(tmp_path, memo=False, max_corrupt=1.0, onlooker=onlooker)
    assert 5 <= len(onlooker.found) <= 6
    assert set(onlooker.found) <= {image.path for image in found.images}
    for path, noted in onlooker.found.items():
        assert noted == nuisance_of(tmp_path / path)


@pytest.mark.parametrize("quality", [30, 75, 96])
def test_the_quantisation_is_what_pillow_reads(tmp_path, quality):
    path = framed(tmp_path / "a.jpg", quality=quality)
    with Image.open(path) as image:
        tables = image.quantization
    assert nuisance_of(path).jpeg_step == pytest.approx(np.mean(tables[min(tables)]))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_the_camera_is_read_whatever_the_format(tmp_path, suffix):
    exif = Image.Exif()
    exif[272] = "X100"
    assert nuisance_of(framed(tmp_path / f"a.{suffix}", exif=exif)).camera == "X100"
    assert nuisance_of(framed(tmp_path / f"b.{suffix}")).camera == ""
