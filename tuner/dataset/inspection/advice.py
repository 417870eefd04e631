"""What to do about what a look at the images found, each with its reason."""

from collections.abc import Sequence

from trainables.wording import some
from tuner.dataset.inspection.shortcuts import Photographed, kinds_in_words
from tuner.dataset.inspection.summary import Advice, Inspection
from tuner.dataset.judges import Judges, in_option
from tuner.statistics.paired import why_no_difference

__all__ = ["FEW_GROUPS", "FINALISTS", "advise"]

UNBALANCED = 3.0
"""Images of the largest class over those of the smallest, from which on it is worth a word."""

FEW_GROUPS = 30
"""Groups of a class below which its test part, a tenth, holds two or fewer."""

FINALISTS = 5
"""So many are compared at least, by the default of `tuner compare --top`."""

MIXED = 4.0
"""Area of the largest picture over that of the smallest, from which on resolutions are mixed."""


def advise(found: Inspection, taken: Sequence[Photographed]) -> tuple[Advice, ...]:
    """What follows from `found` and from how the classes were `taken`, warnings first."""
    every = [*_judges(found), *_taken(taken, found.grouped), *_labels(found), *_groups(found), *_few(found)]
    every += [*_imbalance(found), *_resolutions(found)]
    return tuple(sorted(every, key=lambda one: not one.warning))


def _taken(taken: Sequence[Photographed], grouped: bool) -> list[Advice]:
    otherwise = sorted((one for one in taken if one.otherwise), key=lambda one: -one.auc)
    if not otherwise:
        return []
    told = some(
        (
            f"{one.label!r} {one.auc:.2f} ({kinds_in_words(one.telling) or 'all kinds together'})"
            for one in otherwise
        ),
        between="; ",
    )
    doubt = "" if grouped else "; no groups are given, so several pictures of one object may add to this"
    return [
        Advice(
            "photograph all classes in the same way, cut the background away, or test on pictures taken in another way",
            "the background or the camera alone reveals the class; area under the ROC curve of a classifier that sees"
            f" only size, brightness, border, JPEG quality and camera (0.5 is chance): {told}. A network can"
            f" learn this instead of the object, and no score on such pictures would show it{doubt}",
            warning=True,
        )
    ]


def _labels(found: Inspection) -> list[Advice]:
    if not found.duplicates_across.count:
        return []
    return [
        Advice(
            "decide which label is right, and remove the other copy",
            f"{found.duplicates_across.count} images are in two classes, so one of the labels is wrong",
            warning=True,
        )
    ]


def _groups(found: Inspection) -> list[Advice]:
    if found.grouped:
        return []
    copies = (
        f"{found.near_copies.count} pairs are copies of another size, quality or light, and a"
        if found.near_copies.count
        else "a"
    )
    return [
        Advice(
            "say what shows the same object: --groups or --group-regex; without either, look at what"
            " `tuner inspect --similar` proposes",
            f"{copies} split by image puts pictures of one object on both sides, which makes every score too good",
            warning=found.near_copies.count > 0,
        )
    ]


def _judges(found: Inspection) -> list[Advice]:
    """What to do where the test part can't show any difference between finalists."""
    judges = found.judges
    if judges is None or judges.enough:
        return []
    unit = "group" if found.grouped else "image"
    share = ""
    if judges.advised is not None:
        share = f", or give test a larger share (--split {_larger(judges, unit)})"
    return [
        Advice(
            f"add photographs{share}, or let all {judges.every:,} {unit}s judge (tuner compare RUN --folds 5)",
            why_no_difference(judges.groups, FINALISTS, unit).rstrip("."),
            warning=True,
        )
    ]


def _larger(judges: Judges, unit: str) -> str:
    """A split that has enough test groups, with their number, which was counted."""
    if judges.advised is None:
        raise ValueError("no split is advised")
    shares, count = judges.advised
    return f"{in_option(shares)} gives {count:,} test {unit}s"


def _few(found: Inspection) -> list[Advice]:
    unit = "group" if found.grouped else "image"
    few = [(row.label, row.groups) for row in found.classes if row.groups < FEW_GROUPS]
    if not few:
        return []
    told = some(f"{label!r} has {count}" for label, count in few)
    judges, share = found.judges, ""
    # Where there are too few judges, that advice says it already.
    if judges is not None and judges.enough and judges.advised is not None:
        share = f", or give test a larger share (--split {_larger(judges, unit)})"
    return [
        Advice(
            f"collect more {unit}s of {'these classes' if len(few) > 1 else 'this class'}{share}",
            f"{told}; a tenth of that tests the class, and from one or two {unit}s its scores can't be known",
        )
    ]


def _imbalance(found: Inspection) -> list[Advice]:
    if found.imbalance < UNBALANCED:
        return []
    rare = min(found.classes, key=lambda row: row.images)
    return [
        Advice(
            "judge by --metric val_balanced_accuracy or val_macro_f1 if the rare class matters, and let the search try"
            " class weights and the weighted sampler; compare them on your images with --space imbalance",
            f"{rare.label!r} is {found.imbalance:.1f} times rarer than the largest class. In a study of potato leaves"
            " sampler and weights together gained no accuracy (95.8 against 96.3 %). With them a model names rare"
            " classes more often, and its probabilities are worse: use them only where a missed rare case costs more",
        )
    ]


def _resolutions(found: Inspection) -> list[Advice]:
    small, large = (w * h for w, h in (found.smallest, found.largest))
    if large < MIXED * small:
        return []
    (w, h), (width, height) = found.smallest, found.largest
    return [
        Advice(
            f"choose --image-size for the small ones, at most about {min(w, h)}, or leave those out",
            f"sizes go from {w}x{h} to {width}x{height}: small pictures are enlarged and look blurred. A network"
            " can see this, which matters if one class has more small pictures",
        )
    ]
