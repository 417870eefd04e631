"""Damaged files and damaged metadata: a picture, or one sentence."""

import io
import os
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from trainables.data.decode import UnreadableImage, quiet_decoding, read_rgb
from trainables.data.metadata import orientation, without_metadata
from trainables.wording import printable

HEAD = b"II*\0" + struct.pack("<IH", 8, 2) + struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)
"""An EXIF block of two tags whose first says: turned by a quarter."""

WHOLE = HEAD + struct.pack("<HHII", 0x11A, 5, 1, 38) + struct.pack("<I", 0) + struct.pack("<II", 72, 1)
SIGNED = HEAD + struct.pack("<HHII", 0x11A, 10, 1, 38) + struct.pack("<I", 0) + struct.pack("<ii", -1, 0)


def fuzzed(count: int) -> list[bytes]:
    random.seed(4)
    blocks = []
    for _ in range(count):
        block = bytearray(WHOLE)
        for _ in range(random.randint(1, 4)):
            block[random.randrange(4, len(block))] = random.randrange(256)
        blocks.append(bytes(block))
    return blocks


@pytest.fixture(scope="module")
def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), "uint8"))


def encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def jpeg_with(raw: bytes, block: bytes) -> bytes:
    exif = b"Exif\0\0" + block
    return raw[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + raw[2:]


def png_with(raw: bytes, kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    """The PNG with a chunk behind its header."""
    found = zlib.crc32(kind + content) if checksum is None else checksum
    return raw[:33] + struct.pack(">I", len(content)) + kind + content + struct.pack(">I", found) + raw[33:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_no_damaged_exif_block_costs_a_picture(tmp_path: Path, noise: Image.Image, kind: str) -> None:
    raw = encoded(noise, kind)
    path = tmp_path / "a.image"
    with quiet_decoding():
        for block in [SIGNED, *fuzzed(300)]:
            if kind == "JPEG":
                path.write_bytes(jpeg_with(raw, block))
            elif kind == "PNG":
                path.write_bytes(png_with(raw, b"eXIf", block))
            else:
                noise.save(path, "WEBP", exif=block)
            assert sorted(read_rgb(path).shape) == [3, 40, 60]


def test_the_orientation_is_read_where_other_tags_are_damaged(tmp_path: Path, noise: Image.Image) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with(encoded(noise, "JPEG"), SIGNED))
    with quiet_decoding():
        assert read_rgb(path).shape == (60, 40, 3)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp"])
def test_all_eight_orientations_are_made_upright(tmp_path: Path, turn: int, kind: str) -> None:
    corners = np.zeros((32, 48), "uint8")
    corners[:16, :24], corners[:16, 24:], corners[16:, :24] = 250, 170, 90
    stored = {
        1: corners,
        2: corners[:, ::-1],
        3: corners[::-1, ::-1],
        4: corners[::-1],
        5: corners.T,
        6: np.rot90(corners),
        7: np.rot90(corners, 2).T,
        8: np.rot90(corners, -1),
    }[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(stored).save(tmp_path / f"a.{kind}", exif=exif)
    found = read_rgb(tmp_path / f"a.{kind}")[:, :, 0].astype(int)
    assert found.shape == corners.shape
    assert np.abs(found - corners).max() < 40


def test_every_class_of_error_is_caught_in_one_sentence(
    tmp_path: Path, noise: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jpg"
    noise.save(path)

    class Odd(Exception):
        pass

    for error in (
        Odd("first\nsecond"),
        MemoryError(),
        AssertionError(),
        struct.error("short"),
        SystemError("x"),
    ):

        def load(self: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", load)
        with pytest.raises(UnreadableImage, match=r"a\.jpg can't be read: \w+$"):
            read_rgb(path)


def test_metadata_that_stop_the_parser_are_left_out(
    tmp_path: Path, noise: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = encoded(noise, "PNG")
    whole = np.array(noise)
    for name, chunk in (
        ("crc", png_with(raw, b"tEXt", b"Title\0x", checksum=1)),
        ("bomb", png_with(raw, b"zTXt", b"Title\0\0" + zlib.compress(bytes(2**23)))),
    ):
        (tmp_path / name).write_bytes(chunk)
        assert (read_rgb(tmp_path / name) == whole).all()

    def raises(*_: object) -> None:
        raise RuntimeError("metadata")

    monkeypatch.setitem(JpegImagePlugin.MARKER, 0xFFE1, ("APP1", "", raises))
    (tmp_path / "a.jpg").write_bytes(jpeg_with(encoded(noise, "JPEG"), SIGNED))
    assert read_rgb(tmp_path / "a.jpg").shape == (60, 40, 3)


def test_damaged_tags_cost_no_tiff_picture(tmp_path: Path, noise: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    for compression in ("raw", "tiff_lzw"):
        path = tmp_path / f"{compression}.tif"
        noise.save(path, exif=exif, compression=compression)
        raw = path.read_bytes()
        place = raw.index(struct.pack("<H", 0x8769)) + 8
        path.write_bytes(raw[:place] + struct.pack("<I", 2**31) + raw[place + 4 :])
        with quiet_decoding():
            assert read_rgb(path).shape == (60, 40, 3)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match="not a regular file"):
        read_rgb(tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match="No such file"):
        read_rgb(tmp_path / "b.png")


def test_a_name_that_is_no_utf8_is_shown_with_its_bytes(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(b"no picture")
    with pytest.raises(UnreadableImage) as caught:
        read_rgb(path)
    assert (
        str(caught.value)
        .encode("utf-8")
        .endswith(rb"/caf\xe9.png can't be read: it holds no image of a known format")
    )
    assert printable("grün") == "grün"


@pytest.mark.parametrize(
    ("block", "found"),
    [(b"", None), (b"II*\0", None), (HEAD, 6), (WHOLE, 6), (b"II*\0\xff\xff\xff\xff", None)],
)
def test_the_orientation_of_a_block(block: bytes, found: int | None) -> None:
    assert orientation(block) == found
    assert orientation(b"Exif\0\0" + block) == found


def test_other_files_have_no_metadata_to_leave_out() -> None:
    assert without_metadata(b"BM") is None
    assert without_metadata(b"\xff\xd8") == (b"\xff\xd8", 1)
