"""Whole groups to parts, so that every class comes near its share in every part."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Group", "allocate"]

_PASSES = 20
"""How often all groups are looked at."""

_ORDERS = 8
"""Orders in which groups come before a class is given up that is missing in a part."""

_NEAR = 0.1
"""Of its target, by how much the images of a class in a part may be off before groups change places for it."""

_PAIRS = 400
"""Pairs of groups that are tried for a class that is off in a part; moves of one of many groups leave it near."""

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
        return sum(self._change(label, part, sign * count, sign) for label, count in group.counts.items())

    def swap(self, group: Group, here: int, other: Group, there: int) -> float:
        """Change of the distance if `group`, which is `here`, and `other`, which is `there`, change places."""
        change = 0.0
        for label in {**group.counts, **other.counts}:
            images = other.counts.get(label, 0) - group.counts.get(label, 0)
            groups = int(label in other.counts) - int(label in group.counts)
            change += self._change(label, here, images, groups) + self._change(label, there, -images, -groups)
        return change

    def _change(self, label: str, part: int, images: int, groups: int) -> float:
        """Change of the distance when `part` gets (below 0: loses) so many images of a class, of so many groups."""
        target, left = self.targets[part][label], self.groups[part][label]
        off = self.images[part][label] - target
        return ((off + images) ** 2 - off**2) / target + _EMPTY * (int(left + groups == 0) - int(left == 0))

    def lacking(self) -> list[tuple[str, int]]:
        """The classes that are missing in a part, each with the number of that part."""
        return [
            (label, part)
            for part, held in enumerate(self.groups)
            for label, count in held.items()
            if count == 0
        ]

    def off(self) -> list[tuple[str, int]]:
        """The classes whose images in a part are not near the target, each with the number of that part."""
        return [
            (label, part)
            for part, targets in enumerate(self.targets)
            for label, target in targets.items()
            if abs(self.images[part][label] - target) > _NEAR * target
        ]


def allocate(
    groups: Sequence[Group], parts: Sequence[str], shares: Sequence[float], seed: int
) -> dict[str, str]:
    """The part of every group by name, a function of the arguments alone.

    Groups come in random order, each goes where its classes are wanting most, then single groups move as long
    as that brings the classes nearer to `shares` (which sum to 1) or into a part that lacks them. Where a class is
    still missing in a part, or off by more than a tenth, two groups exchange their parts. Where a class is missing
    even so the groups come in other orders, at most `_ORDERS`. A class that is missing in a part after all that may
    or may not have to be. Where a group fits the last of `parts`, the test images, as well as its own part, it goes to
    the last: a test part of one more group judges better, a validation part of one more chooses hardly better.
    """
    random = np.random.default_rng(seed)
    held = Counter(label for group in groups for label in group.counts)
    unavoidable = sum(max(0, len(shares) - count) for count in held.values())
    tries = []
    for _ in range(_ORDERS):
        order = [groups[i] for i in random.permutation(len(groups))]
        place, filled = _placed(order, shares)
        tries.append((filled.lacking(), place))
        if len(filled.lacking()) == unavoidable:
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
    of_class: dict[str, list[Group]] = defaultdict(list)
    for group in order:
        for label in group.counts:
            of_class[label].append(group)
    given_up: set[tuple[str, int]] = set()
    for _ in range(_PASSES):
        moved = sum([_move(group, place, filled) for group in order])
        if moved or sum([_exchange(order, place, filled, *lack) for lack in filled.lacking()]):
            continue
        off = [one for one in filled.off() if one not in given_up]
        given_up |= {one for one in off if not _trade(of_class[one[0]], place, filled, one[1])}
        if given_up.issuperset(off):
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
            if _swapped(group, here, other, there, place, filled, gain=_EMPTY / 2):
                return True
    return False


def _trade(groups: Sequence[Group], place: dict[str, int], filled: _Parts, part: int) -> bool:
    """Whether one of the `groups` of a class in this `part` changed places with another, to bring classes nearer."""
    # Groups of equal content are one and the same here.
    held = {(place[one.name], *sorted(one.counts.items())): one for one in groups}
    inside = [one for key, one in held.items() if key[0] == part]
    outside = [one for key, one in held.items() if key[0] != part]
    pairs = itertools.islice(itertools.product(inside, outside), _PAIRS)
    return any(
        one.counts != other.counts and _swapped(one, part, other, place[other.name], place, filled, gain=_TIE)
        for one, other in pairs
    )


def _swapped(
    group: Group, here: int, other: Group, there: int, place: dict[str, int], filled: _Parts, *, gain: float
) -> bool:
    """Whether two groups changed places, which they do only if the distance falls by more than `gain`."""
    if filled.swap(group, here, other, there) >= -gain:
        return False
    for one, part, to in ((group, here, there), (other, there, here)):
        filled.put(one, part, -1)
        filled.put(one, to)
        place[one.name] = to
    return True
