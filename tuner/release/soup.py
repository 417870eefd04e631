"""Weights averaged: a greedy soup, which takes in a model only if the validation images are better for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Soup", "average", "greedy_soup"]

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Soup:
    """The models taken in, by their place among those offered, and their average.

    `score` is the average's, `singles` are those of each alone. One member means that averaging did not help.
    """

    members: tuple[int, ...]
    state: State
    score: float
    singles: tuple[float, ...]


def average(states: Sequence[State]) -> dict[str, Tensor]:
    """The mean of every floating-point tensor, in float64 on the way; whole numbers (counters) of the first."""
    return {
        name: torch.stack([state[name].double() for state in states]).mean(0).to(first.dtype)
        if first.is_floating_point()
        else first
        for name, first in states[0].items()
    }


def greedy_soup(states: Sequence[State], score: Callable[[State], float]) -> Soup:
    """The greedy soup of `states` under `score`, higher being better; Wortsman et al. 2022, recipe 1.

    Models are offered from the best down. One is taken in only if the average gets strictly better, so the
    result is never worse than the best single model on what `score` looks at.
    """
    singles = tuple(score(state) for state in states)
    order = sorted(range(len(states)), key=lambda place: (-singles[place], place))
    members, best = [order[0]], singles[order[0]]
    state: State = states[order[0]]
    for place in order[1:]:
        candidate = average([states[member] for member in (*members, place)])
        value = score(candidate)
        if value > best:
            members, best, state = [*members, place], value, candidate
    return Soup(tuple(members), state, best, singles)
