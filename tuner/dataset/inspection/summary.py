"""What a look at an image folder found, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainables.data.deep import Levels
from tuner.dataset.inspection.shortcuts import Photographed
from tuner.dataset.judges import Judges

__all__ = ["Advice", "ClassRow", "Duplicates", "Inspection"]


@dataclass(frozen=True)
class Advice:
    """What to do, and why; `warning` says that scores mean little before it is done."""

    do: str
    why: str
    warning: bool = False


@dataclass(frozen=True)
class ClassRow:
    """One class: `share` of all images in 0..1; `groups` counts equal pixels as one."""

    label: str
    images: int
    groups: int
    share: float


@dataclass(frozen=True)
class Duplicates:
    """Images with the pixels, or nearly the look, of another: how many, and pairs of paths as examples."""

    count: int
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Inspection:
    """What `inspect` found.

    `smallest`, `median` and `largest` are sizes in pixels, (width, height), by area. `imbalance` is the
    largest class over the smallest. `near_copies` are pairs that only a perceptual hash takes for the same.
    `expected_leaks` of `test_images` in a random split would have another photograph of their group in training.
    `given_split` says how the folders of a split were understood, and `findings` are what a search warns of.
    `judges` counts the groups of the test part, and knows a split with more of them; None where nothing can be split.
    `scale` has the values that are black and white in pictures of more than eight bits, `several_frames` counts
    files of which only the first frame or page is used.
    """

    folder: Path
    classes: tuple[ClassRow, ...]
    images: int
    groups: int
    grouped: bool
    given_split: str | None
    findings: tuple[str, ...]
    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    imbalance: float
    duplicates_within: Duplicates
    duplicates_across: Duplicates
    near_copies: Duplicates
    corrupt: tuple[tuple[str, str], ...]
    passed_over: tuple[tuple[str, str], ...]
    empty_classes: tuple[str, ...]
    test_images: int
    expected_leaks: float
    split_problem: str | None
    scale: Mapping[str, Levels] = field(default_factory=dict)
    scale_in_words: tuple[str, ...] = ()
    several_frames: int = 0
    photographed: tuple[Photographed, ...] = ()
    judges: Judges | None = None
    advice: tuple[Advice, ...] = ()
