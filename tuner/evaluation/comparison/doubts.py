"""What a reader must know of the images before believing the scores."""

from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.data.deep import scale_from
from trainables.wording import some
from tuner.dataset.inspection.carried import Pictures, image_warnings
from tuner.statistics.metric_errors import groups_by_class
from tuner.statistics.scores import why_no_interval

if TYPE_CHECKING:
    from tuner.evaluation.comparison.evidence import Evidence
    from tuner.runs.directory import Run

__all__ = ["doubts", "near_training"]

PRECISE = 10
"""Test groups of a class (images, where no groups are given) below which its scores are said to be imprecise."""


def doubts(evidence: "Evidence") -> list[str]:
    """What a reader must know before believing the table."""
    notes = list(_of_images(evidence.runs[0]))
    counts = groups_by_class(evidence.labels, evidence.groups, len(evidence.classes)).tolist()
    notes += _few(dict(zip(evidence.classes, counts, strict=True)), "group" if evidence.grouped else "image")
    alone = [name for name, count in zip(evidence.classes, counts, strict=True) if count == 1]
    if alone:
        notes.append(why_no_interval(alone, "group" if evidence.grouped else "image"))
    data = evidence.runs[0].record["data"]
    notes += map(str, data.get("findings") or ())
    notes += _near_training(data)
    if data["sample"]:
        notes.append(
            "the images are the program's own drawings, not photographs: the scores say nothing of real data"
        )
    if not (data["groups"] or data["group_regex"] or data["sample"]):
        notes.append(
            "the data came without groups: if several photographs show the same thing, these scores are too"
            " high"
        )
    return notes


def _few(counts: Mapping[str, int], unit: str) -> list[str]:
    """The sentence on classes whose scores so few test groups (or images) make imprecise; empty without any."""
    few = sorted(((count, name) for name, count in counts.items() if count < PRECISE), key=itemgetter(0))
    if not few:
        return []
    if len(few) == 1:
        ((count, name),) = few
        units = f"{count} {unit}" + ("" if count == 1 else "s")
        return [f"class {name!r} has only {units} in the test set: its scores can't be precise"]
    named = some(f"{name!r} has {count}" for count, name in few)
    return [
        f"{len(few)} of {len(counts)} classes have fewer than {PRECISE} {unit}s in the test set: their scores can't be"
        f" precise; {named}"
    ]


def _near_training(data: Mapping[str, Any]) -> list[str]:
    """What is known of test images that look like training images; nothing of runs of earlier versions."""
    notes = []
    for key in ("near_copies", "groups_from_similar"):
        found = data.get(key) or {}
        if close := found.get("test_images_near_training"):
            notes.append(near_training(close, found["test_images"], found["features"]))
    if data.get("groups_from_similar"):
        notes.append(
            "tuner proposed the groups from similar pictures, no person gave them: pictures of one object that"
            " look different may be on both sides of the split"
        )
    return notes


def near_training(close: int, tested: int, features: str) -> str:
    """The warning that `close` of `tested` test images look like one in training, by these `features`."""
    return f"{close} of {tested} test images look like one in training, by {features}: the scores may be too high"


def _of_images(run: "Run") -> tuple[str, ...]:
    """What `tuner inspect` found in the images of `run`, or would find; nothing of drawn ones."""
    data = run.record["data"]
    if data["sample"]:
        return ()
    split = run.split()
    paths = [str(path) for path in split["path"]]
    return image_warnings(
        Pictures(
            Path(str(data["folder"])),
            str(data["fingerprint"]),
            dict(zip(paths, map(str, split["label"]), strict=True)),
            dict(zip(paths, map(str, split["group"]), strict=True)),
            scale_from(data.get("scale")),
        )
    )
