"""The files of pretrained weights that a run began with, so that one that is gone or replaced is noticed."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from trainables import models
from trainables.errors import WeightsUnavailable

__all__ = ["WeightsFiles", "changed_files", "fingerprints"]

WeightsFiles = Mapping[str, Mapping[str, str]]
"""Name ("file") and content ("sha256") of the file that each model starts from."""


def fingerprints(weights: str, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The files of the models `names` under `weights`: imagenet, none, a file or a folder; no entry without a file."""
    if weights in ("imagenet", "none"):
        return {}
    found = {name: Path(models.weights_origin(name, weights)).expanduser() for name in names}
    return {
        name: {"file": file.name, "sha256": _sha256(file)} for name, file in found.items() if file.is_file()
    }


def changed_files(weights: str, before: WeightsFiles, names: Iterable[str] | None = None) -> list[str]:
    """A sentence for each file that has other content than `before`, of the models `names` or all.

    Raises WeightsUnavailable in one sentence if a file is gone, or the folder. What is not in `before` is not looked
    for: a run of an earlier version has nothing there.
    """
    if weights in ("imagenet", "none"):
        return []
    place = Path(weights).expanduser()
    if not place.exists():
        raise WeightsUnavailable(
            f"{place}, from which models start, is not there any more; put it back where it was"
        )
    wanted = {name: before[name] for name in (before if names is None else names) if name in before}
    now = fingerprints(weights, wanted)
    for name, known in wanted.items():
        if name not in now:
            raise WeightsUnavailable(
                f"{place} has no {known['file']} any more, from which {name} starts; put it back where it was"
            )
    where = {name: place / own["file"] if place.is_dir() else place for name, own in now.items()}
    return [
        f"{where[name]} has other content than when the run began"
        for name, known in wanted.items()
        if now[name]["sha256"] != known["sha256"]
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
