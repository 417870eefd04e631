"""Whole groups to parts, so that every class comes near its share in every part."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Group", "allocate"]

_PASSES = 20
"""How often all groups are looked at."""

_ORDERS = 8
"""Orders in which groups come before a class is given up that is missing in a part."""

_EMPTY = 1e9
"""What a class costs that is missing in a part: more than any distance from the shares."""

_TIE = 1e-9
"""Changes of the distance from the shares that are none but rounding."""


@dataclass(frozen=True)
class Group:
    """Images that must stay together: how many of each class."""

    name: str
    counts: Mapping[str, int]


class _Parts:
    """How many images and groups of each class every part holds."""

    def __init__(self, groups: Sequence[Group], shares: Sequence[float]) -> None:
        totals: dict[str, int] = defaultdict(int)
        for group in groups:
            for label, count in group.counts.items():
                totals[label] += count
        self.targets = [{label: total * share for label, total in totals.items()} for share in shares]
        self.images: list[dict[str, int]] = [dict.fromkeys(totals, 0) for _ in shares]
        self.groups: list[dict[str, int]] = [dict.fromkeys(totals, 0) for _ in shares]

    def put(self, group: Group, part: int, sign: int = 1) -> None:
        for label, count in group.counts.items():
            self.images[part][label] += sign * count
            self.groups[part][label] += sign

    def room(self, group: Group, part: int) -> float:
        """Images of the group's classes that are wanting in `part`, weighted by the group's own content."""
        wanting = [
            count * (self.targets[part][label] - self.images[part][label])
            for label, count in group.counts.items()
        ]
        return sum(wanting) / sum(group.counts.values())

    def cost_of(self, group: Group, part: int, sign: int) -> float:
        """Change of the squared distance from the targets when the group joins (1) or leaves (-1) `part`."""
        change = 0.0
        for label, count in group.counts.items():
            target = self.targets[part][label]
            off = self.images[part][label] - target
            change += ((off + sign * count) ** 2 - off**2) / target
            left = self.groups[part][label]
            change += _EMPTY * (int(left + sign == 0) - int(left == 0))
        return change

    def swap(self, group: Group, here: int, other: Group, there: int) -> float:
        """Change of the distance when `group` and `other` change places, which they do."""
        change = 0.0
        for one, part, sign in ((group, here, -1), (group, there, 1), (other, there, -1), (other, here, 1)):
            change += self.cost_of(one, part, sign)
            self.put(one, part, sign)
        return change

    def lacking(self) -> list[tuple[str, int]]:
        """The classes that are missing in a part, each with the number of that part."""
        return [
            (label, part)
            for part, held in enumerate(self.groups)
            for label, count in held.items()
            if count == 0
        ]


def allocate(
    groups: Sequence[Group], parts: Sequence[str], shares: Sequence[float], seed: int
) -> dict[str, str]:
    """The part of every group by name, a function of the arguments alone.

    Groups come in random order, each goes where its classes are wanting most, then single groups move as long
    as that brings the classes nearer to `shares` (which sum to 1) or into a part that lacks them. Where a class is
    still missing in a part two groups exchange their parts, and where that does not help either the groups come in
    other orders, at most `_ORDERS`. A class that is missing in a part after all that may or may not have to be.
    Where a group fits the last of `parts`, the test images, as well as its own part, it goes to the last: a test part
    of one more group judges better, a validation part of one more chooses hardly better.
    """
    random = np.random.default_rng(seed)
    tries = []
    for _ in range(_ORDERS):
        order = [groups[i] for i in random.permutation(len(groups))]
        place, filled = _placed(order, shares)
        tries.append((filled.lacking(), place))
        if not filled.lacking():
            break
    place = min(tries, key=lambda tried: len(tried[0]))[1]
    return {name: parts[part] for name, part in place.items()}


def _placed(order: Sequence[Group], shares: Sequence[float]) -> tuple[dict[str, int], _Parts]:
    """The number of the part of every group, which come in this `order`, and what the parts then hold."""
    filled = _Parts(order, shares)
    place: dict[str, int] = {}
    for group in order:
        place[group.name] = max(range(len(shares)), key=lambda part: filled.room(group, part))
        filled.put(group, place[group.name])
    for _ in range(_PASSES):
        moved = sum([_move(group, place, filled) for group in order])
        if not moved and not any(_exchange(order, place, filled, *lack) for lack in filled.lacking()):
            break
    _favour_the_last(order, place, filled)
    return place, filled


def _favour_the_last(order: Sequence[Group], place: dict[str, int], filled: _Parts) -> None:
    """Move groups to the last part that fit there exactly as well as where they are: ties of rounding."""
    last = len(filled.images) - 1
    for group in order:
        here = place[group.name]
        if here == last:
            continue
        change = filled.cost_of(group, here, -1) + filled.cost_of(group, last, 1)
        if abs(change) <= _TIE:
            filled.put(group, here, -1)
            filled.put(group, last)
            place[group.name] = last


def _move(group: Group, place: dict[str, int], filled: _Parts) -> bool:
    """Whether the group found a better part."""
    here = place[group.name]
    gain = filled.cost_of(group, here, -1)
    costs = {part: filled.cost_of(group, part, 1) for part in range(len(filled.images)) if part != here}
    there = min(costs, key=lambda part: costs[part])
    if gain + costs[there] >= -_TIE:
        return False
    filled.put(group, here, -1)
    filled.put(group, there)
    place[group.name] = there
    return True


def _exchange(order: Sequence[Group], place: dict[str, int], filled: _Parts, label: str, there: int) -> bool:
    """Whether a group of the class `label`, which the part `there` lacks, found one of that part to change places."""
    for group in order:
        if label not in group.counts:
            continue
        for other in [one for one in order if place[one.name] == there]:
            here = place[group.name]
            if filled.swap(group, here, other, there) < -_EMPTY / 2:
                place[group.name], place[other.name] = there, here
                return True
            filled.swap(other, here, group, there)
    return False
