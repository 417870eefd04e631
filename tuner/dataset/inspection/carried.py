"""Warnings about the images that travel to those who read scores later: the report and the model card.

`inspect` keeps what it found in the cache, under the fingerprint of the images, and whoever judges scores of the same
images reads it there. Whether the background tells the class is found anew where nobody has looked yet, since no score
shows it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.data import cache_home
from trainables.data.decode import UnreadableImage
from trainables.data.deep import Scale
from trainables.errors import UserMistake
from trainables.wording import some
from tuner.dataset.inspection.shortcuts import Photographed, kinds_in_words, photographed_among
from tuner.runs.directory import write_atomically

if TYPE_CHECKING:
    from tuner.dataset.inspection.label_errors import Suspects
    from tuner.dataset.reading.scan import Scan

__all__ = ["Pictures", "background", "image_warnings", "keep_background", "keep_suspects", "suspected"]

LOOKED_AT = 400
"""Images that are opened to see whether the background tells the class, where `inspect` has not looked."""


@dataclass(frozen=True)
class Pictures:
    """The images that scores are of: the class and the group of each by path, below `folder`.

    `fingerprint` is that of their content, `scale` that of pictures of more than eight bits.
    """

    folder: Path
    fingerprint: str
    labels: Mapping[str, str]
    groups: Mapping[str, str]
    scale: Scale = field(default_factory=dict)

    @classmethod
    def of(cls, scan: "Scan", names: Mapping[str, str]) -> "Pictures":
        """Those of `scan`, of which `names` gives each the group."""
        labels = {image.path: image.label for image in scan.images}
        return cls(scan.folder, scan.fingerprint, labels, names, scan.scale)

    @property
    def grouped(self) -> bool:
        """Whether some images share a group."""
        return len(set(self.groups.values())) < len(self.groups)

    @property
    def digest(self) -> str:
        """Of which images belong together: what the background tells depends on it."""
        text = json.dumps(sorted(self.groups.items()))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def image_warnings(pictures: Pictures, *, look: bool = True) -> tuple[str, ...]:
    """What `inspect` found in these images, or would find, that makes their scores less than they seem.

    Without `look` only what was found before counts: the pictures in the folder need not be those of the fingerprint.
    """
    kept = _kept(pictures.fingerprint)
    known = kept.get("background", {})
    told = known.get(pictures.digest)
    if look and pictures.digest not in known:
        told = _look(pictures)
    return tuple(filter(None, (told, kept.get("suspects"))))


def _look(pictures: Pictures) -> str | None:
    """What the images themselves say, and keep it; nothing, and nothing kept, where one can't be read now."""
    try:
        found = photographed_among(
            pictures.folder, pictures.labels, pictures.groups, LOOKED_AT, scale=pictures.scale
        )
    except (UnreadableImage, OSError):
        return None
    keep_background(pictures, found)
    return background(found, pictures.grouped)


def keep_background(pictures: Pictures, found: Sequence[Photographed]) -> None:
    """Keep what `inspect` found of how the classes were photographed."""
    kept = _kept(pictures.fingerprint)
    told = {**kept.get("background", {}), pictures.digest: background(found, pictures.grouped)}
    _keep(pictures.fingerprint, {**kept, "background": told})


def keep_suspects(fingerprint: str, found: "Suspects") -> None:
    """Keep what `inspect --suspects` found in the images of this fingerprint."""
    _keep(fingerprint, {**_kept(fingerprint), "suspects": suspected(found)})


def background(found: Sequence[Photographed], grouped: bool) -> str | None:
    """The warning that the background reveals the class; None where it does not."""
    otherwise = sorted((one for one in found if one.otherwise), key=lambda one: -one.auc)
    if not otherwise:
        return None
    told = some(
        (
            f"{one.label!r} {one.auc:.2f} ({kinds_in_words(one.telling) or 'all kinds together'})"
            for one in otherwise
        ),
        between="; ",
    )
    doubt = "" if grouped else ". Without groups a part of this may be objects that are seen again"
    return (
        "the background alone reveals the class: a classifier that sees only size, brightness, border, JPEG quality and"
        f" camera tells it from the others with an AUC of {told}; 0.5 is chance. The model may have learnt this"
        f" in place of the object, and these scores would not show it{doubt}"
    )


def suspected(found: "Suspects") -> str | None:
    """The warning that labels may be wrong; None where no image looks more like another class."""
    told = found.document()
    wrong = told["likely_differs"] if told["flagged"] is None else told["flagged"]
    if not wrong:
        return None
    first = told["first"][0]
    return (
        f"{wrong:,} of {told['judged']:,} labels may be wrong, by tuner inspect --suspects: the most doubtful is"
        f" {first['path']}, labelled {first['given']!r}, which looks like {first['likely']!r}"
    )


def _kept(fingerprint: str) -> dict[str, Any]:
    try:
        found = json.loads(_place(fingerprint).read_text(encoding="utf-8"))
    except (OSError, ValueError, UserMistake):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(fingerprint: str, found: Mapping[str, Any]) -> None:
    # What is kept is a convenience: on a full or read-only disk the images are looked at again.
    with suppress(OSError, UserMistake):
        place = _place(fingerprint)
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, lambda file: file.write_text(json.dumps(found), encoding="utf-8"))


def _place(fingerprint: str) -> Path:
    return cache_home() / "inspected" / f"{fingerprint}.json"
