"""Whole groups to parts, so that every class comes near its share in every part."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Group", "allocate"]

_PASSES = 20


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
            # an empty part is worse than any distance
            left = self.groups[part][label]
            change += 1e9 * (int(left + sign == 0) - int(left == 0))
        return change


def allocate(
    groups: Sequence[Group], parts: Sequence[str], shares: Sequence[float], seed: int
) -> dict[str, str]:
    """The part of every group by name, a function of the arguments alone.

    Groups come in random order, each goes where its classes are wanting most, then single groups move as long
    as that brings the classes nearer to `shares` (which sum to 1) or into a part that lacks them.
    """
    order = [groups[i] for i in np.random.default_rng(seed).permutation(len(groups))]
    filled = _Parts(groups, shares)
    place: dict[str, int] = {}
    for group in order:
        place[group.name] = max(range(len(parts)), key=lambda part: filled.room(group, part))
        filled.put(group, place[group.name])
    for _ in range(_PASSES):
        if not sum([_move(group, place, filled) for group in order]):
            break
    return {name: parts[part] for name, part in place.items()}


def _move(group: Group, place: dict[str, int], filled: _Parts) -> bool:
    """Whether the group found a better part."""
    here = place[group.name]
    gain = filled.cost_of(group, here, -1)
    costs = {part: filled.cost_of(group, part, 1) for part in range(len(filled.images)) if part != here}
    there = min(costs, key=lambda part: costs[part])
    if gain + costs[there] >= -1e-9:
        return False
    filled.put(group, here, -1)
    filled.put(group, there)
    place[group.name] = there
    return True
