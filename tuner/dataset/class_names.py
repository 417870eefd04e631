"""Class names that may not be what they seem: one class written twice, a missing label, two labels in one.

Nothing is changed: tuner takes names as they are written. It says what a person would want to look at.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tuner.dataset.reading.scan import Scan

__all__ = ["doubtful_names"]

MISSING = ("nan", "none", "null", "na", "n/a", "<na>", "nat", "#n/a", "?")
"""How programs write a label that is missing, in small letters."""

SHOWN = 3


def doubtful_names(scan: "Scan") -> list[str]:
    """Sentences about the class names of `scan` that a person should look at; empty where all are clear."""
    counts = Counter(image.label for image in scan.images)
    return [*_written_twice(scan.classes, counts), *_missing(scan.classes, counts), *_together(scan.classes)]


def _written_twice(classes: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    same: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        same[_plain(name)].append(name)
    twice = [names for names in same.values() if len(names) > 1]
    if not twice:
        return []
    told = "; ".join(
        " and ".join(f"{name!r} ({_images(counts[name])})" for name in names[:SHOWN])
        + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        for names in twice[:SHOWN]
    )
    more = f"; and {len(twice) - SHOWN} more such classes" if len(twice) > SHOWN else ""
    return [f"class names that differ only in how they are written, and may be one class: {told}{more}"]


def _missing(classes: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    return [
        f"class {name!r} ({_images(counts[name])}) is how programs write a missing label; if it means that, give these"
        " images a label or leave them out"
        for name in classes
        if name.strip().lower() in MISSING
    ]


def _together(classes: Sequence[str]) -> list[str]:
    """Of names that read like several other classes at once."""
    known = {_plain(name): name for name in classes}
    found = []
    for name in classes:
        pieces = [_plain(piece) for piece in re.split(r"[\s+&/_]+|\band\b", name) if piece]
        if len(pieces) > 1 and len(set(pieces)) > 1 and all(piece in known for piece in pieces):
            found.append(f"{name!r} ({' and '.join(repr(known[piece]) for piece in pieces)})")
    if not found:
        return []
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return [
        f"class names that read like several other classes together: {', '.join(found[:SHOWN])}{more}; tuner learns one"
        " class an image, and takes such a name for a class of its own"
    ]


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _plain(name: str) -> str:
    """`name` without what spelling varies: case, accents' encoding, spaces and dashes, zeros around a number."""
    text = unicodedata.normalize("NFKC", name).casefold().strip()
    if re.fullmatch(r"[-+]?[0-9]+([.,][0-9]*)?", text):
        return repr(float(text.replace(",", ".")))
    return re.sub(r"[\s_-]+", "", text) or text
