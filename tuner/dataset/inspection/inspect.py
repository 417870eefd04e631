"""What is in an image folder, for a person to read before a search. Writes nothing."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from trainables.wording import some
from tuner.console.reporter import Reporter
from tuner.dataset.findings import findings, given_split, scale_sentences
from tuner.dataset.inspection.advice import FEW_GROUPS, FINALISTS, advise
from tuner.dataset.inspection.shortcuts import MOST, photographed
from tuner.dataset.inspection.summary import ClassRow, Duplicates, Inspection
from tuner.dataset.judges import count_judges

if TYPE_CHECKING:
    from tuner.dataset.inspection.nuisance import Nuisance
    from tuner.dataset.reading.scan import ImageFile, Scan
    from tuner.dataset.splitting import Fractions

__all__ = ["ClassRow", "Duplicates", "Inspection", "describe", "inspect", "look", "render"]

_NAMED = 5
"""So many files of a kind are named, the rest counted."""


def inspect(
    folder: Path,
    groups_csv: Path | None,
    group_regex: str | None,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    *,
    labels: Path | None = None,
    without: Path | None = None,
) -> Inspection:
    """What is in `folder`, however many of its images are corrupt; raises DataProblem if it has no classes.

    `split_problem` is the sentence with which a search would refuse to split it, if it would.
    """
    from tuner.dataset.loading import groups_file

    found, taken = look(folder, labels, without, seed)
    csv = groups_file(labels, groups_csv, group_regex)
    return describe(found, csv, group_regex, fractions, seed, taken=taken)


def look(
    folder: Path,
    labels: Path | None = None,
    without: Path | None = None,
    seed: int = 0,
    reporter: Reporter | None = None,
) -> "tuple[Scan, dict[str, Nuisance]]":
    """The images in `folder`, each decoded now and once, and how at most `MOST` of them were taken, by path.

    Raises DataProblem if it has no classes, or if `without` marks an image that is not there.
    """
    from tuner.dataset.inspection.nuisance import Onlooker
    from tuner.dataset.loading import require_there
    from tuner.dataset.reading.labels import read_left_out
    from tuner.dataset.reading.scan import scan
    from tuner.dataset.reading.table import Paths

    marked = () if without is None else read_left_out(without)
    onlooker = Onlooker(MOST, seed)
    with (reporter or Reporter()).progress("reading images") as progress:
        found = scan(
            folder,
            labels=labels,
            without=marked,
            memo=False,
            max_corrupt=1.0,
            progress=progress,
            onlooker=onlooker,
        )
    if without is not None:
        paths = Paths(found.left_out)
        require_there(without, {paths.meant(path) for path in marked}, found.left_out, folder)
    return found, onlooker.found


def describe(
    found: "Scan",
    groups_csv: Path | None,
    group_regex: str | None,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    reporter: Reporter | None = None,
    taken: "Mapping[str, Nuisance] | None" = None,
) -> Inspection:
    """What is among the images of `found`; raises DataProblem for groups that do not fit them.

    `taken` says of some images how they were taken, as `look` found it; without it they are read again.
    """
    from trainables.errors import DataProblem
    from tuner.dataset.splitting import make_split, merged_groups, random_split_leak, read_groups

    given = read_groups(found, groups_csv, group_regex)
    try:
        split = make_split(found, given, fractions, seed)
        problem = None
    except DataProblem as error:
        split, problem = None, str(error)
    test_images = round(fractions[2] * len(found.images))
    names = merged_groups(found.images, given)
    summary = _summary(
        found,
        names,
        fractions=fractions,
        grouped=bool(given),
        test_images=test_images,
        expected_leaks=test_images * random_split_leak(found, given, fractions),
        split_problem=problem,
    )
    if split is not None:
        few = any(row.groups < FEW_GROUPS for row in summary.classes)
        judges = count_judges(
            split, FINALISTS - 1, lambda shares: make_split(found, given, shares, seed), few=few
        )
        summary = replace(summary, judges=judges)
    judged = photographed(found, names, seed, reporter, taken)
    return replace(summary, photographed=judged, advice=advise(summary, judged))


def render(inspection: Inspection) -> RenderableType:
    """The tables and sentences of `inspection` for a rich console."""
    lines = [Text(line) for line in _sentences(inspection)]
    return Group(
        Text(f"{inspection.folder}", style="bold"), _class_table(inspection), *lines, *_advice(inspection)
    )


def _summary(
    found: "Scan",
    names: Mapping[str, str],
    *,
    fractions: "Fractions",
    grouped: bool,
    test_images: int,
    expected_leaks: float,
    split_problem: str | None,
) -> Inspection:
    held: dict[str, set[str]] = defaultdict(set)
    for image in found.images:
        held[image.label].add(names[image.path])
    counts = Counter(image.label for image in found.images)
    sizes = sorted(
        ((image.width, image.height) for image in found.images), key=lambda size: (size[0] * size[1], size)
    )
    within, across = _duplicates(found.images)
    total = len(found.images)
    return Inspection(
        folder=found.folder,
        classes=tuple(ClassRow(c, counts[c], len(held[c]), counts[c] / total) for c in found.classes),
        images=total,
        groups=len(set(names.values())),
        grouped=grouped,
        given_split=given_split(found, fractions),
        findings=tuple(findings(found)),
        scale=found.scale,
        scale_in_words=tuple(scale_sentences(found)),
        several_frames=sum(image.several for image in found.images),
        smallest=sizes[0],
        median=sizes[(total - 1) // 2],
        largest=sizes[-1],
        imbalance=max(counts.values()) / min(counts.values()),
        duplicates_within=within,
        duplicates_across=across,
        near_copies=_near_copies(found),
        corrupt=found.corrupt,
        passed_over=found.passed_over,
        empty_classes=found.empty_classes,
        test_images=test_images,
        expected_leaks=expected_leaks,
        split_problem=split_problem,
    )


def _duplicates(images: "tuple[ImageFile, ...]") -> tuple[Duplicates, Duplicates]:
    """Those within a class, and those whose pixels another class has too."""
    same: dict[str, list[ImageFile]] = defaultdict(list)
    for image in images:
        same[image.pixels].append(image)
    pairs: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
    for first, *others in same.values():
        for other in others:
            pairs[other.label != first.label].append((first.path, other.path))
    within, across = (Duplicates(len(p), tuple(p[:_NAMED])) for p in (pairs[False], pairs[True]))
    return within, across


def _near_copies(found: "Scan") -> Duplicates:
    """Pairs of another size, quality or light, whose pixels differ."""
    from tuner.dataset.near_duplicates import near_copies

    images, close = found.images, near_copies(found)
    if close is None:
        return Duplicates(0, ())
    pairs = [
        (images[a].path, images[b].path)
        for a, b in close.pairs.tolist()
        if images[a].pixels != images[b].pixels
    ]
    return Duplicates(len(pairs), tuple(pairs[:_NAMED]))


def _class_table(inspection: Inspection) -> Table:
    table = Table(Column("class", overflow="fold"), show_footer=True)
    table.columns[0].footer = "all"
    table.add_column("images", justify="right", footer=str(inspection.images))
    if inspection.grouped:
        table.add_column("groups", justify="right", footer=str(inspection.groups))
    table.add_column("share", justify="right", footer="100.0%")
    for row in inspection.classes:
        groups = [str(row.groups)] if inspection.grouped else []
        table.add_row(Text(row.label), str(row.images), *groups, f"{row.share:.1%}")
    for label in inspection.empty_classes:
        table.add_row(Text(label), "0", *(["0"] if inspection.grouped else []), "0.0%", style="yellow")
    return table


def _sentences(inspection: Inspection) -> list[str]:
    sizes = (inspection.smallest, inspection.median, inspection.largest)
    lines = [
        "sizes: "
        + ", ".join(f"{n} {w}x{h}" for n, (w, h) in zip(("min", "median", "max"), sizes, strict=True))
    ]
    more = f"the largest class has {inspection.imbalance:.1f} times the images of the smallest"
    lines.append(f"imbalance: {more if inspection.imbalance > 1 else 'none'}")
    if inspection.given_split:
        lines.append(inspection.given_split)
    lines += inspection.scale_in_words
    for where, found in (
        ("a class", inspection.duplicates_within),
        ("classes", inspection.duplicates_across),
    ):
        kind = "within" if where == "a class" else "across"
        lines.append(f"exact duplicates {kind} {where}: {found.count}")
        lines += [f"  {second} is the same picture as {first}" for first, second in found.examples]
    near = inspection.near_copies
    lines.append(f"copies of another size, quality or light, by a perceptual hash: {near.count}")
    lines += [f"  {second} is like {first}" for first, second in near.examples]
    lines += _listed("corrupt", inspection.corrupt) + _listed("skipped", inspection.passed_over)
    if inspection.images > MOST:
        lines.append(
            f"shortcuts (background, camera) were searched for in {MOST:,} of the {inspection.images:,} images,"
            " chosen at random"
        )
    if inspection.empty_classes:
        lines.append(f"classes without an image, which are left out: {some(inspection.empty_classes)}")
    lines.append(_leak_sentence(inspection))
    lines += [f"warning: {sentence}" for sentence in inspection.findings]
    if inspection.split_problem:
        lines.append(f"can't be split: {inspection.split_problem}")
    return lines


def _advice(inspection: Inspection) -> list[RenderableType]:
    """What to do, each with its reason; a line that the terminal breaks keeps its indentation."""
    if not inspection.advice:
        return [Text("advice: none, nothing wrong was found")]
    lines: list[RenderableType] = [Text("advice:", style="bold")]
    for one in inspection.advice:
        do = Text(f"{'warning: ' if one.warning else ''}{one.do}", style="yellow" if one.warning else "")
        why = Text(f"because {one.why}", style="dim")
        lines += [Padding(do, (0, 0, 0, 2), expand=False), Padding(why, (0, 0, 0, 4), expand=False)]
    return lines


def _listed(kind: str, files: tuple[tuple[str, str], ...]) -> list[str]:
    more = [f"  and {len(files) - _NAMED} more"] if len(files) > _NAMED else []
    return [f"{kind}: {len(files)}", *(f"  {path}: {reason}" for path, reason in files[:_NAMED]), *more]


def _leak_sentence(inspection: Inspection) -> str:
    if not inspection.grouped:
        return (
            "no groups given: if several images show one object, a split by image makes every score too good;"
            " give --groups or --group-regex"
        )
    leaked = round(inspection.expected_leaks)
    share = leaked / max(inspection.test_images, 1)
    return (
        f"a random split by image would leak: about {leaked} of {inspection.test_images} test images ({share:.0%})"
        " would have another photograph of their group in training; with tuner's split by group: 0"
    )
