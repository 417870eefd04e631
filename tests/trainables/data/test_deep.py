"""Pictures of more than eight bits: one scale for a data set, whatever each file holds."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from trainables.data.cache import ImageCache, build_cache
from trainables.data.decode import UnreadableImage, read_picture, read_rgb
from trainables.data.deep import (
    Extent,
    Levels,
    hash_with,
    in_words,
    plain_hash,
    scale_from,
    scale_in,
    scale_record,
    settle,
)
from tuner.dataset.inspection.nuisance import nuisance_of
from tuner.dataset.reading.scan import changed_images, scan

Write = Callable[[Path, np.ndarray], None]


def seen(bright: float, seed: int) -> np.ndarray:
    """What a camera saw, 0 to `bright`: noise that holds both ends."""
    values = np.random.default_rng(seed).random((12, 10))
    values[0, :3], values[1, :3] = 0.0, 1.0
    return values * bright


def folder_of(place: Path, write: Callable[[Path, np.ndarray], None], suffix: str) -> Path:
    """Two classes of four pictures, every second a tenth as bright."""
    for number, label in enumerate("ab"):
        (place / label).mkdir(parents=True)
        for i in range(4):
            write(place / label / f"{i}.{suffix}", seen(1.0 if i % 2 else 0.1, 10 * number + i))
    return place


def twelve(path: Path, values: np.ndarray) -> None:
    Image.fromarray((values * 4095).astype("uint16")).save(path)


def whole_numbers(path: Path, values: np.ndarray) -> None:
    Image.fromarray((values * 255).astype("int32")).save(path)


def floats(path: Path, values: np.ndarray) -> None:
    Image.fromarray((values * 4095).astype("float32")).save(path)


def colours(path: Path, values: np.ndarray) -> None:
    deep = (np.stack([values, values / 2, values / 4], 2) * 4095).astype("uint16")
    cv2.imwrite(str(path), deep[:, :, ::-1])


KINDS = {
    "12 bits in a 16-bit PNG": (twelve, "png", "int16", 4095.0),
    "12 bits in a 16-bit TIFF": (twelve, "tif", "int16", 4095.0),
    "12 bits in a 16-bit colour PNG": (colours, "png", "int16", 4095.0),
    "12 bits in a 16-bit colour TIFF": (colours, "tif", "int16", 4095.0),
    "0 to 255 in 32 bits": (whole_numbers, "tif", "int32", 255.0),
    "0 to 4095 in floats": (floats, "tif", "float32", 4095.0),
}


@pytest.mark.parametrize("name", KINDS)
def test_all_pictures_of_a_folder_are_read_at_one_scale_and_none_is_black(tmp_path: Path, name: str) -> None:
    write, suffix, kind, white = KINDS[name]
    found = scan(folder_of(tmp_path / "data", write, suffix))
    assert found.scale == {kind: Levels(0.0, white)}
    assert found.deep == {kind: 8}
    for image in found.images:
        bright = 255 if int(Path(image.path).stem) % 2 else 25.5
        picture = read_rgb(found.folder / image.path, found.scale)
        assert picture.shape == (12, 10, 3)
        assert picture.max() == pytest.approx(bright, abs=1.1)
        expected = seen(bright, 10 * (image.label == "b") + int(Path(image.path).stem))
        assert np.abs(picture[:, :, 0] - expected).max() < 1.1


def test_the_low_bits_of_16_bit_colours_are_not_lost(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (9, 7, 4), dtype=np.uint16)
    deep[..., 3] = 65535
    for suffix in ("png", "tif"):
        for channels in (3, 4):
            path = tmp_path / f"{channels}.{suffix}"
            swapped = deep[..., [2, 1, 0, 3]][..., :channels]
            cv2.imwrite(str(path), np.ascontiguousarray(swapped))
            picture = read_picture(path)
            assert picture.kind == "int16"
            assert (picture.samples == deep[..., :3]).all()


def test_transparent_16_bit_pictures_lie_on_white(tmp_path: Path) -> None:
    deep = np.full((4, 4, 4), 1000, np.uint16)
    deep[:2, :, 3], deep[2:, :, 3] = 0, 65535
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    pixels = read_rgb(tmp_path / "a.png", {"int16": Levels(0.0, 4095.0)})
    assert (pixels[:2] == 255).all()
    assert (pixels[2:] == 62).all()


def grey_with_alpha(path: Path, grey: np.ndarray, alpha: np.ndarray) -> None:
    """A PNG of 16 bits of grey and 16 of alpha, which no library here writes."""
    import struct
    import zlib

    lines = b"".join(
        b"\0" + np.stack([g, a], 1).astype(">u2").tobytes() for g, a in zip(grey, alpha, strict=True)
    )
    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 16, 4, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    raw = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + raw)


def test_both_bytes_of_grey_beside_alpha_are_read(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 4096, (5, 6), dtype=np.uint16)
    grey_with_alpha(tmp_path / "a.png", grey, np.full((5, 6), 65535, np.uint16))
    picture = read_picture(tmp_path / "a.png")
    assert (picture.samples == grey).all()
    assert (picture.alpha == 255).all()


def test_a_turned_16_bit_picture_is_made_upright_in_both_bytes(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 4096, (5, 6), dtype=np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(deep).save(tmp_path / "a.png", exif=exif)
    assert (read_picture(tmp_path / "a.png").samples == np.rot90(deep, -1)).all()


def extents(kind: str, *triples: tuple[float, float, float]) -> list[Extent]:
    return [Extent(kind, *triple) for triple in triples]


@pytest.mark.parametrize(
    ("kind", "found", "levels"),
    [
        ("int16", [(0, 60000, 65535)], (0, 65535)),
        ("int16", [(0, 3000, 4095), (0, 200, 300)], (0, 4095)),
        ("int16", [(0, 12000, 20000)], (0, 65535)),
        ("int16", [(0, 3000, 65535)], (0, 4095)),
        ("int16", [(29000, 30000, 30500), (29100, 31000, 31200)], (29000, 31000)),
        ("int16", [(-1000, 3000, 3071)], (-1000, 3000)),
        ("int16", [(0, 0, 0)], (0, 1)),
        ("int32", [(0, 3, 3)], (0, 3)),
        ("int32", [(0, 250, 255)], (0, 255)),
        ("float32", [(0, 0.99, 1.0), (0, 0.9, 1.1)], (0, 1)),
        ("float32", [(0, 0.99, 7.0)], (0, 1)),
        ("float32", [(0, 0.05, 0.05)], (0, 0.05)),
        ("float32", [(0, 250, 255)], (0, 255)),
        ("float32", [(0, 1e6, 2e6)], (0, 1e6)),
    ],
)
def test_the_scale_follows_the_values(kind: str, found: list, levels: tuple[float, float]) -> None:
    assert settle(extents(kind, *found)) == {kind: Levels(*map(float, levels))}


def test_one_blank_page_does_not_make_all_others_black() -> None:
    usual = [(0.0, 3000.0 + i, 3100.0) for i in range(40)]
    assert settle(extents("int16", *usual, (65535.0, 65535.0, 65535.0))) == {"int16": Levels(0.0, 4095.0)}


def test_the_few_pictures_of_a_rare_bright_class_are_not_cut_off() -> None:
    usual = [(29000.0, 30000.0, 30000.0)] * 98
    hot = [(29000.0, 30900.0, 30900.0)] * 2
    assert settle(extents("int16", *usual, *hot)) == {"int16": Levels(29000.0, 30900.0)}


def test_what_is_no_number_becomes_black_and_what_is_infinite_white(tmp_path: Path) -> None:
    values = np.array([[0.0, 0.5, 1.0, np.nan, np.inf, -np.inf, 1.1]], "float32")
    Image.fromarray(values).save(tmp_path / "a.tif")
    pixels = read_rgb(tmp_path / "a.tif", {"float32": Levels(0.0, 1.0)})
    assert pixels[0, :, 0].tolist() == [0, 128, 255, 0, 255, 0, 255]


def test_the_scale_travels_with_the_hashes_into_the_cache_and_its_name(tmp_path: Path) -> None:
    found = scan(folder_of(tmp_path / "data", twelve, "png"))
    paths, hashes = [i.path for i in found.images], [i.pixels for i in found.images]
    path = build_cache(found.folder, paths, hashes, 7)
    cache = ImageCache.open(path)
    wanted = read_rgb(found.folder / paths[1], found.scale)
    assert cache[1].mean() == pytest.approx(wanted.mean(), abs=4)
    other = [hash_with(plain_hash(one), "int16", Levels(0.0, 65535.0)) for one in hashes]
    darker = build_cache(found.folder, paths, other, 7)
    assert darker != path
    assert ImageCache.open(darker)[1].mean() == pytest.approx(wanted.mean() / 16, abs=2)


def test_the_scale_of_an_earlier_search_is_kept(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", twelve, "png")
    given = {"int16": Levels(0.0, 16383.0), "float32": Levels(0.0, 1.0)}
    found = scan(folder, scale=given)
    assert found.scale == {"int16": Levels(0.0, 16383.0)}
    assert found.own_scale == {"int16": Levels(0.0, 4095.0)}
    assert found.fingerprint != scan(folder).fingerprint
    assert scan(folder, scale=scan(folder).scale).fingerprint == scan(folder).fingerprint


def test_a_changed_deep_picture_is_noticed_whatever_its_scale(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", twelve, "png")
    hashes = {image.path: image.pixels for image in scan(folder).images}
    assert changed_images(folder, hashes) == []
    twelve(folder / "a" / "0.png", seen(1.0, 99))
    assert changed_images(folder, hashes) == ["a/0.png"]


def test_ordinary_pictures_beside_deep_ones_stay_as_they_are(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", twelve, "png")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "a" / "plain.png")
    found = scan(folder)
    assert found.deep == {"int16": 8}
    (plain,) = (image for image in found.images if image.path == "a/plain.png")
    assert "@" not in plain.pixels
    assert (read_rgb(folder / plain.path, found.scale) == pixels).all()


def test_how_a_picture_was_taken_is_measured_at_the_scale(tmp_path: Path) -> None:
    twelve(tmp_path / "a.png", np.full((12, 10), 0.5))
    assert nuisance_of(tmp_path / "a.png", {"int16": Levels(0.0, 4095.0)}).light == pytest.approx(
        0.5, abs=0.01
    )


def test_a_scale_is_written_and_read() -> None:
    scale = {"int16": Levels(0.0, 4095.0), "float32": Levels(-1.5, 0.1)}
    assert scale_from(scale_record(scale)) == scale
    assert scale_from(None) == {}
    for kind, levels in scale.items():
        assert scale_in(hash_with("0" * 32, kind, levels)) == {kind: levels}
    assert plain_hash(hash_with("0" * 32, "int16", scale["int16"])) == "0" * 32
    assert scale_in("0" * 32) == {}
    assert in_words("int16", scale["int16"]) == "16-bit pictures: 0 is black, 4095 is white"


@pytest.mark.parametrize(
    "wrong", [[0, 1], {"int8": [0, 1]}, {"int16": [1]}, {"int16": [2, 1]}, {"int16": "no"}]
)
def test_what_is_no_scale_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"levels|scale|black"):
        scale_from(wrong)


def test_a_truncated_16_bit_colour_picture_is_corrupt(tmp_path: Path) -> None:
    colours(tmp_path / "a.png", np.random.default_rng(0).random((64, 64)))
    raw = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(UnreadableImage, match=r"a\.png can't be read"):
        read_picture(tmp_path / "a.png")
