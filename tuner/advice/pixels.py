"""More pixels, another fit, and backbones that were not tried: what the probe saw, and what it has not seen."""

from collections.abc import Sequence

import numpy as np

from trainables.models.candidates import CANDIDATES
from trainables.models.known import KNOWN, known_of
from trainables.models.selection import num_parameters
from trainables.wording import some
from tuner.advice.commands import typed
from tuner.advice.line import Found, Line, Unknown, paired_gain
from tuner.advice.material import Head, Material, losses_of
from tuner.runs.directory import fit_of

__all__ = ["backbones", "fit", "pixels"]

KIND, FIT_KIND, BACKBONE_KIND = "pixels", "fit", "backbones"

SQUARE = 1.02
"""Longer side over the shorter, up to which a picture counts as square."""

MEASURED = 200
"""Pictures whose sides are read, at most."""


def pixels(found: Material) -> list[Found]:
    """What the best backbone's frozen features gain at the larger sides that the probe looked at."""
    here = found.head
    if here is None:
        return [
            Unknown(KIND, "no probe of the run looked at this side, so other sides can't be compared with it")
        ]
    larger = [head for head in found.heads if head.image_size > here.image_size]
    best = [head for head in larger if head.model == here.model]
    if not best:
        reason = (
            f"the probe looked at no side above {here.image_size} px with {here.model}; look:"
            f" {typed(found.record, 'probe', '--image-size', str(round(1.4 * here.image_size / 32) * 32))}"
        )
        return [Unknown(KIND, reason)]
    return [_larger(found, here, head) for head in best]


def _larger(found: Material, here: Head, there: Head) -> Found:
    more = there.milliseconds - here.milliseconds
    pixels = (there.image_size / here.image_size) ** 2
    do = f"search at {there.image_size} px, not {here.image_size}"
    why = (
        f"frozen features of {here.model} at both sides, on the same images; {pixels:.1f} times the pixels make"
        " training and each prediction as much slower"
    )
    return _compared(found, KIND, do, why, here, there, {"milliseconds": more})


def _compared(
    found: Material, kind: str, do: str, why: str, here: Head, there: Head, cost: dict[str, float]
) -> Found:
    known = np.isfinite(here.logits).all(axis=1) & np.isfinite(there.logits).all(axis=1)
    labels, groups = found.pool.numbers[known], found.groups[known]
    now, then = (losses_of(head.logits[known], labels, groups) for head in (here, there))
    loss, accuracy = (paired_gain(a, b, groups) for a, b in zip(now, then, strict=True))
    if loss is None:
        return Unknown(kind, f"a single {found.unit} can't tell them apart")
    if here.row.get("views", 1) != there.row.get("views", 1):
        why += "; one of the two heads was solved on mirror images as well, which is a part of the difference"
    return Line(kind, do, why, loss, accuracy, cost)


def fit(found: Material) -> list[Found]:
    """Whether another fit could matter: not where pictures are square."""
    ratios = _ratios(found)
    mine = fit_of(found.record)
    if ratios is None:
        return [Unknown(FIT_KIND, "the images are not where they were, so their shapes are not known")]
    oblong = float(np.mean(np.asarray(ratios) > SQUARE))
    if oblong == 0:
        return [Unknown(FIT_KIND, "all pictures are square, so that no other fit makes a difference")]
    lost = float(np.mean(1 - 1 / np.asarray(ratios)))
    cut = f"{mine} cuts {lost:.0%} of the area off" if mine == "crop" else f"they are made square by {mine}"
    other = "squash" if mine != "squash" else "pad"
    reason = (
        f"{oblong:.0%} of the pictures are not square, and {cut}; what another fit gains nobody"
        f" looked at: tuner probe --fit {other}"
    )
    return [Unknown(FIT_KIND, reason)]


def _ratios(found: Material) -> Sequence[float] | None:
    """The longer side over the shorter of some pictures; None where one can't be read."""
    from pathlib import Path

    from PIL import Image

    folder = Path(str(found.record["data"]["folder"]))
    chosen = np.unique(np.linspace(0, len(found.pool) - 1, MEASURED).astype(int))
    ratios = []
    try:
        for place in chosen:
            with Image.open(folder / found.pool.paths[place]) as picture:
                ratios.append(max(picture.size) / min(picture.size))
    except (OSError, ValueError):
        return None
    return ratios


def backbones(found: Material) -> list[Found]:
    """What other backbones that were probed gain; and which were not looked at, the most promising first."""
    here = found.head
    if here is None:
        reason = "the run probed no backbones; see what others gain: tuner probe"
        return [Unknown(BACKBONE_KIND, reason)]
    tried = {str(row["model"]) for row in found.trials}
    others = [
        head
        for head in found.heads
        if head.image_size == here.image_size and head.model not in tried and head.model != here.model
    ]
    lines = [
        _compared(
            found,
            BACKBONE_KIND,
            f"search {head.model}",
            f"frozen features beside those of {here.model}, on the same images",
            here,
            head,
            {"milliseconds": head.milliseconds - here.milliseconds},
        )
        for head in others[:1]
    ]
    return [*lines, *_not_probed(found)]


def _not_probed(found: Material) -> list[Found]:
    """The candidates that were not probed, and those of which published results let expect most."""
    probed = {head.model.partition(".")[0] for head in found.heads}
    rest = [one.name for one in CANDIDATES if one.name.partition(".")[0] not in probed]
    if found.head is None or not rest:
        return []
    promising = sorted(rest, key=lambda name: KNOWN[name].expected)
    here = known_of(found.head.model, num_parameters(found.head.model) / 1e6)
    fewer = 1 - KNOWN[promising[0]].expected / here.expected
    least = (
        f", at best {fewer:.0%} fewer errors after fine-tuning than {found.head.model}" if fewer > 0 else ""
    )
    reason = (
        f"{len(rest)} backbones that tuner knows were not probed, so what they gain here is not known; by published"
        f" results the most promising are {some(promising, most=3)}{least}:"
        f" {typed(found.record, 'probe', '--backbones', promising[0])}, which needs the weights of that backbone"
    )
    return [Unknown(BACKBONE_KIND, reason)]
