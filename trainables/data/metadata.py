"""What a picture says of itself beside its pixels; damage here never costs the picture.

JPEG    segments before the scan: APP1 holds EXIF, APP14 the colour transform, which belongs to the pixels
PNG     chunks: IHDR, PLTE, tRNS, IDAT and IEND make the picture, all others are metadata
"""

import struct
from collections.abc import Iterator

__all__ = ["UPRIGHT", "luminance_step", "may_have_exif", "orientation", "without_metadata"]

UPRIGHT = 1
"""The orientation of a picture that is stored as it is looked at; the others, 2 to 8, are turned or mirrored."""

_TAG = 0x0112
_KINDS = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}
_EXIF_MARK = b"Exif\0\0"
_PNG_MARK = b"\x89PNG\r\n\x1a\n"
_PNG_PICTURE = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_QUANTISATION = 0xDB
_JPEG_PICTURE = (0xE0, 0xEE)
"""JFIF and Adobe segments, which say how colours are stored."""


def orientation(exif: bytes) -> int | None:
    """The orientation, 1 to 8, in an EXIF block; None if it says none, whatever else is damaged in it."""
    block = exif.removeprefix(_EXIF_MARK)
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return None
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    if start + 2 > len(block):
        return None
    (count,) = struct.unpack_from(f"{order}H", block, start)
    found = None
    for place in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", block, place)
        if tag == _TAG and kind in _KINDS and values == 1:
            (found,) = struct.unpack_from(f"{order}{_KINDS[kind][0]}", block, place + 8)
    return found if found is not None and 1 <= found <= 8 else None


def without_metadata(raw: bytes) -> tuple[bytes, int] | None:
    """A JPEG or PNG file without its metadata, and the orientation that they told; None for other files."""
    if raw.startswith(_PNG_MARK):
        parts, pick = list(_chunks(raw)), _PNG_PICTURE
        exif = [chunk[8:-4] for kind, chunk in parts if kind == b"eXIf"]
        kept = [_PNG_MARK, *(chunk for kind, chunk in parts if kind in pick)]
    elif raw.startswith(b"\xff\xd8"):
        segments, rest = _segments(raw)
        exif = [part[4:] for kind, part in segments if kind == 0xE1 and part[4:10] == _EXIF_MARK]
        kept = [raw[:2], *(part for kind, part in segments if _needed(kind)), rest]
    else:
        return None
    turns = [turn for turn in map(orientation, exif) if turn is not None]
    return b"".join(kept), turns[0] if turns else UPRIGHT


def luminance_step(raw: bytes) -> float:
    """Mean quantisation step of a JPEG file's luminance; 0 for other files."""
    tables: dict[int, float] = {}
    for marker, part in _segments(raw)[0] if raw.startswith(b"\xff\xd8") else ():
        place = 4
        while marker == _QUANTISATION and place < len(part):
            wide, table = part[place] >> 4, part[place] & 15
            values = part[place + 1 : place + 1 + 64 * (1 + bool(wide))]
            steps = struct.unpack(f">{len(values) // 2}H", values) if wide else values
            if len(steps) == 64:
                tables[table] = sum(steps) / 64
            place += 1 + 64 * (1 + bool(wide))
    return tables[min(tables)] if tables else 0.0


def may_have_exif(raw: bytes) -> bool:
    """Whether a file may say which camera it is from: a TIFF, or one with an EXIF block; quick."""
    if raw.startswith(b"\xff\xd8"):
        return any(marker == 0xE1 for marker, _ in _segments(raw)[0])
    return raw[:4] in (b"II*\0", b"MM\0*") or any(word in raw for word in (b"eXIf", b"EXIF", b"exif"))


def _needed(marker: int) -> bool:
    return marker in _JPEG_PICTURE or not (0xE0 <= marker <= 0xEF or marker == 0xFE)


def _chunks(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and bytes of each PNG chunk."""
    place = len(_PNG_MARK)
    while place + 12 <= len(raw):
        (length,) = struct.unpack_from(">I", raw, place)
        yield raw[place + 4 : place + 8], raw[place : place + 12 + length]
        place += 12 + length


def _segments(raw: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Marker and bytes of each JPEG segment before the first scan, and all from the scan on."""
    place, found = 2, []
    while place + 4 <= len(raw) and raw[place] == 0xFF and raw[place + 1] not in (0xDA, 0xD9):
        if raw[place + 1] == 0xFF:  # a fill byte
            place += 1
            continue
        (length,) = struct.unpack_from(">H", raw, place + 2)
        if length < 2:
            break
        found.append((raw[place + 1], raw[place : place + 2 + length]))
        place += 2 + length
    return found, raw[place:]
