"""What is found in an image folder that a reader of any answer must know, in sentences that all commands share."""

from collections import Counter, defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.wording import some
from tuner.console.reporter import Reporter
from tuner.dataset.class_names import doubtful_names

if TYPE_CHECKING:
    from trainables.data.deep import Scale
    from tuner.dataset.reading.scan import Scan

__all__ = ["findings", "given_split", "scale_sentences", "scan_and_tell"]

_PARTS = ("train", "val", "test")


def findings(scan: "Scan") -> list[str]:
    """What makes an answer wrong or less than it seems, one sentence each, the worst first."""
    found = [_two_labels(scan), *doubtful_names(scan), _in_no_class(scan), _unreadable(scan), _left_out(scan)]
    found += [_clipped(scan), _several(scan), _empty(scan)]
    return [sentence for sentence in found if sentence]


def given_split(scan: "Scan", fractions: tuple[float, float, float]) -> str | None:
    """How the folders of a split were understood, and what is done for a part that is missing; None without."""
    if not scan.parts:
        return None
    counts = Counter(image.part for image in scan.images)
    words: dict[str, list[str]] = defaultdict(list)
    for word, part in scan.parts:
        words[part].append(repr(word))
    told = [f"{' and '.join(names)} is {part} ({counts[part]:,} images)" for part, names in words.items()]
    missing = [part for part in _PARTS if not counts[part]]
    shares = dict(zip(_PARTS, fractions, strict=True))
    total = sum(shares[part] for part in ("train", *missing))
    carved = [
        f"no {part}: about {shares[part] / total:.0%} of train, in whole groups, becomes {part}"
        for part in missing
    ]
    what = "folder" if scan.labels is None else "labels file"
    return f"the {what} is split already: {'; '.join([', '.join(told), *carved])}"


def scan_and_tell(
    folder: Path,
    reporter: Reporter,
    labels: Path | None = None,
    without: Collection[str] = (),
    scale: "Scale | None" = None,
) -> "Scan":
    """Look at the images in `folder`, and tell what a reader of any answer must know of them.

    `labels`, `without` and `scale` are those of `scan`.
    """
    from tuner.dataset.reading.scan import scan

    with reporter.progress("reading images") as progress:
        found = scan(folder, labels=labels, without=without, scale=scale, progress=progress)
    for sentence in findings(found):
        reporter.warn(sentence)
    for sentence in scale_sentences(found):
        reporter.line(sentence)
    others = [path for path, reason in found.passed_over if not _is_image(path, reason)]
    if others:
        reporter.line(f"skipped files that are no images: {some(others)}")
    return found


def scale_sentences(scan: "Scan") -> list[str]:
    """At which values pictures of more than eight bits are black and white; empty without any."""
    from trainables.data.deep import in_words

    total = len(scan.images)
    return [
        f"{scan.deep[kind]:,} of {total:,} images have more than 8 bits a sample and are read at one scale;"
        f" {in_words(kind, levels)}"
        for kind, levels in scan.scale.items()
    ]


def _clipped(scan: "Scan") -> str | None:
    """Where the scale of an earlier search is kept that these pictures would not have."""
    from trainables.data.deep import in_words

    other = [kind for kind, levels in scan.scale.items() if scan.own_scale[kind] != levels]
    if not other:
        return None
    used, own = ("; ".join(in_words(kind, of[kind]) for kind in other) for of in (scan.scale, scan.own_scale))
    return f"tuner keeps the scale of the search ({used}), although these pictures alone would get another one ({own})"


def _several(scan: "Scan") -> str | None:
    several = [image.path for image in scan.images if image.several]
    if not several:
        return None
    kind = "1 file holds" if len(several) == 1 else f"{len(several):,} files hold"
    return f"{kind} several frames or pages, of which only the first is used: {some(several)}"


def _two_labels(scan: "Scan") -> str | None:
    same: dict[str, dict[str, str]] = defaultdict(dict)
    for image in scan.images:
        same[image.pixels].setdefault(image.label, image.path)
    torn = [list(paths.values()) for paths in same.values() if len(paths) > 1]
    if not torn:
        return None
    count = "1 picture is" if len(torn) == 1 else f"{len(torn):,} pictures are"
    return (
        f"{count} in more than one class, so some labels are wrong and scores can't be right; the first:"
        f" {torn[0][0]} is {torn[0][1]}"
    )


def _in_no_class(scan: "Scan") -> str | None:
    stray = [path for path, reason in scan.passed_over if _is_image(path, reason)]
    if not stray:
        return None
    kind = "1 image is" if len(stray) == 1 else f"{len(stray):,} images are"
    where = "in no class folder" if scan.labels is None else "not named by the labels file"
    return f"{kind} left out, {where} or behind a broken link: {some(stray)}"


def _unreadable(scan: "Scan") -> str | None:
    if not scan.corrupt:
        return None
    first = scan.corrupt[0][1].removeprefix(f"{scan.folder}/")
    kind = "1 image is" if len(scan.corrupt) == 1 else f"{len(scan.corrupt):,} images are"
    paths = f" ({some(path for path, _ in scan.corrupt)})" if len(scan.corrupt) > 1 else ""
    return f"{kind} left out{paths}: {first}"


def _left_out(scan: "Scan") -> str | None:
    if not scan.left_out:
        return None
    kind = "1 image is" if len(scan.left_out) == 1 else f"{len(scan.left_out):,} images are"
    return f"{kind} left out because a person marked them: {some(scan.left_out)}"


def _empty(scan: "Scan") -> str | None:
    if not scan.empty_classes:
        return None
    names = some(map(repr, scan.empty_classes))
    if len(scan.empty_classes) == 1:
        return f"class folder {names} holds no image and is left out"
    return f"{len(scan.empty_classes):,} class folders hold no image and are left out: {names}"


def _is_image(path: str, reason: str) -> bool:
    from tuner.dataset.reading.walk import HIDDEN, LOOP, is_image

    return is_image(path) and reason not in (HIDDEN, LOOP)
