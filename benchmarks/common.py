"""What the benchmarks share: options, images, contenders in turns, medians, tables with ratios.

Imports nothing that a machine with torch alone would lack, until images are chosen.
"""

import argparse
import csv
import math
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Measured = TypeVar("Measured")

SPLIT = "0.7,0.2,0.1"
BATCH_SIZE = 32


@dataclass(frozen=True)
class Images:
    """One choice of images in the two ways in which they are read.

    `folder` and `groups` are what tuner is given; `train` and `val` are folders as ImageFolder wants them, with the
    very images that tuner's split puts there. `rows` are tuner's (path, label, part).
    """

    folder: Path
    groups: Path
    train: Path
    val: Path
    classes: tuple[str, ...]
    rows: tuple[tuple[str, str, str], ...]

    def count(self, part: str) -> int:
        """Images of a part."""
        return sum(where == part for _, _, where in self.rows)


def parse(description: str | None, **own: int | Sequence[int | str]) -> argparse.Namespace:
    """The options that every benchmark has, quick and repeats, and its `own` with their defaults.

    Of a sequence some may be chosen, by default all are; else a whole number is asked for.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; means nothing")
    parser.add_argument(
        "--repeats", type=int, default=3, help="measurements of each, of which the median counts"
    )
    for name, default in own.items():
        if isinstance(default, int):
            parser.add_argument(f"--{name}", type=int, default=default, help=f"by default {default}")
        else:
            parser.add_argument(
                f"--{name}",
                nargs="+",
                type=type(default[0]),
                choices=default,
                default=default,
                help="some of all",
            )
    options = parser.parse_args()
    options.repeats = 1 if options.quick else options.repeats
    return options


def in_turns(contenders: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """The median of `repeats` measurements of each; a round measures every one once, each time another first."""
    measured = in_rounds(contenders, repeats)
    return {name: statistics.median(values) for name, values in measured.items()}


def in_rounds(contenders: Mapping[str, Callable[[], Measured]], repeats: int) -> dict[str, list[Measured]]:
    """All measurements of each, whatever they are."""
    names = list(contenders)
    measured: dict[str, list[Measured]] = {name: [] for name in names}
    for turn in range(repeats):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            found = contenders[name]()
            measured[name].append(found)
            say(f"  {name}: {f'{found:.4g}' if isinstance(found, float) else found}")
    return measured


def print_table(title: str, unit: str, values: Mapping[str, float], bases: Sequence[str]) -> None:
    """One row a contender: its value, then what part of it, or how many times, each of `bases` reaches."""
    width = max(len(name) for name in values)
    heads = [f"/ {base}" for base in bases]
    print(f"\n{title}")
    print("  ".join([" " * width, f"{unit:>12}", *(f"{head:>8}" for head in heads)]))
    for name, value in values.items():
        columns = zip(bases, heads, strict=True)
        ratios = [f"{_ratio(value, values[base]):>{max(8, len(head))}}" for base, head in columns]
        shown = f"{value:.4g}" if math.isfinite(value) else "not reached"
        print("  ".join([f"{name:<{width}}", f"{shown:>12}", *ratios]), flush=True)


def _ratio(value: float, base: float) -> str:
    return f"{value / base:.2f}" if math.isfinite(value) and math.isfinite(base) else "-"


def print_held_equal(*words: str) -> None:
    """What all contenders had in common, and on what they ran."""
    from tuner.runs.hardware import hardware, usable_cores, versions

    found, packages = hardware(), versions()
    print(f"\nheld equal: {'; '.join(words)}")
    print(
        f"machine: {found['processor']}, {usable_cores()} cores, torch {packages.get('torch', '?')}",
        flush=True,
    )


def say(text: str) -> None:
    """A line about the progress, beside the results."""
    print(text, file=sys.stderr, flush=True)


def source() -> tuple[Path, Path, str]:
    """Folder, groups and a word for the images: those that TUNER_POTATO_DATA points to, else the drawn leaves."""
    real = os.environ.get("TUNER_POTATO_DATA")
    if real:
        return Path(real) / "potato", Path(real) / "potato-groups.csv", "photographs of potato leaves"
    from tuner.dataset.reading.sample import sample_data

    folder, groups = sample_data()
    return folder, groups, "drawn leaves"


@contextmanager
def chosen_images(num_images: int, others: bool = False, seed: int = 0) -> Iterator[Images]:
    """About `num_images` images, whole groups, classes in their proportion, in a temporary folder.

    `others` chooses from the other end, so that two small choices have no group in common. The split, not the
    choice, follows from `seed`.
    """
    folder, groups, _ = source()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as place:
        yield lay_out(Path(place), folder, _choose(groups, num_images, others), seed)


def lay_out(place: Path, source_folder: Path, rows: Sequence[tuple[str, str]], seed: int = 0) -> Images:
    """Links to the images `rows` (path, group) below `place`, for tuner and for ImageFolder.

    They are split as tuner does in a run with `seed`.
    """
    from tuner.dataset.reading.scan import scan
    from tuner.dataset.splitting import make_split, parse_fractions, read_groups

    folder, groups = place / "images", place / "groups.csv"
    for path, _ in rows:
        link(folder / path, source_folder / path)
    groups.write_text("path,group\n" + "".join(f"{path},{group}\n" for path, group in rows))
    found = scan(folder)
    split = make_split(found, read_groups(found, groups, None), parse_fractions(SPLIT), seed)
    parts = tuple(zip(split["path"], split["label"], split["split"], strict=True))
    for path, _, part in parts:
        link(place / part / path, source_folder / path)
    return Images(folder, groups, place / "train", place / "val", tuple(found.classes), parts)


def _choose(groups: Path, num_images: int, others: bool) -> list[tuple[str, str]]:
    with groups.open(newline="") as file:
        rows = [(row["path"], row["group"]) for row in csv.DictReader(file)]
    members: dict[str, dict[str, list[str]]] = {}
    for path, group in rows:
        members.setdefault(path.split("/")[0], {}).setdefault(group, []).append(path)
    chosen = []
    for label in sorted(members):
        of_class = sorted(members[label])
        random.Random(label).shuffle(of_class)
        if others:
            of_class.reverse()
        wanted = max(12, round(num_images * sum(map(len, members[label].values())) / len(rows)))
        for group in of_class:
            if wanted <= 0:
                break
            chosen += [(path, group) for path in members[label][group]]
            wanted -= len(members[label][group])
    return chosen


def link(path: Path, target: Path) -> None:
    """A link to `target` at `path`, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
