"""Strategies: which parts of a network train from which epoch, and how fast.

A strategy is a function from a config and a number of stages to one `Unfreeze` a stage of the backbone, that next
to the head first. The heads always train. A strategy registered with a `restart` starts every group over in one
epoch: another rate, a fresh optimizer, no schedule. One that `solves_head` has the head solved as a linear probe in
epoch 1, and trained at the backbone's rate from then on. One with a number of `epochs` ends after these, whatever
`max_epochs` says. No torch at import.
"""

import functools
import importlib
import itertools
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trainables import models
from trainables.config import TrialConfig
from trainables.errors import InvalidValue, UnknownName
from trainables.strategies.groups import (
    AUXILIARY,
    HEAD,
    ParamGroup,
    Restart,
    apply_freeze,
    full_epochs,
    is_backbone_frozen,
)

if TYPE_CHECKING:
    from trainables.models.classifier import Classifier
    from trainables.models.stages import Stage

__all__ = [
    "ParamGroup",
    "Restart",
    "Unfreeze",
    "apply_freeze",
    "check",
    "first_result",
    "frozen_epochs",
    "full_epochs",
    "is_backbone_frozen",
    "is_linear_probe",
    "last_unfreeze",
    "max_epochs",
    "names",
    "plan",
    "register",
    "solves_head",
    "trained_stages",
    "wants_auxiliary",
]


@dataclass(frozen=True)
class Unfreeze:
    """When a stage of the backbone starts to train (1-based epoch; None: never), and how fast."""

    from_epoch: int | None
    learning_rate: float


Strategy = Callable[[TrialConfig, int], list[Unfreeze]]
Restarting = Callable[[TrialConfig], Restart]


@dataclass(frozen=True)
class _Entry:
    unfreezes: Strategy
    auxiliary: bool
    restart: Restarting | None = None
    solves_head: bool = False
    epochs: int | None = None


_ENTRIES: dict[str, _Entry] = {}


def register(
    name: str,
    *,
    auxiliary: bool = False,
    restart: Restarting | None = None,
    solves_head: bool = False,
    epochs: int | None = None,
) -> Callable[[Strategy], Strategy]:
    """A decorator that registers a strategy and returns it.

    `auxiliary`: it trains auxiliary heads. `restart`: when every group, the heads too, starts over, and how fast.
    `solves_head`: epoch 1, in which the backbone has to be frozen, solves the head in place of training it. `epochs`:
    after how many a trial is complete, if there is no more to do; by default `max_epochs` says so.
    """

    def remember(strategy: Strategy) -> Strategy:
        _ENTRIES[name] = _Entry(strategy, auxiliary, restart, solves_head, epochs)
        return strategy

    return remember


def names() -> tuple[str, ...]:
    """Every registered strategy, sorted. Imports no torch."""
    _discover()
    return tuple(sorted(_ENTRIES))


def check(name: str, model: str) -> None:
    """Raise UnknownName for an unknown strategy, InvalidValue for one that `model` can't follow."""
    if _entry(name).auxiliary and not models.has_auxiliary(model):
        able = ", ".join(known for known in models.names() if models.has_auxiliary(known))
        raise InvalidValue(
            f"strategy {name!r} trains auxiliary heads, which {model!r} does not have; it belongs to {able}"
        )


def wants_auxiliary(name: str) -> bool:
    """Whether the model is to be created with auxiliary heads for this strategy. Imports no torch."""
    return _entry(name).auxiliary


def solves_head(name: str) -> bool:
    """Whether the head is solved as a linear probe in epoch 1. Imports no torch."""
    return _entry(name).solves_head


def is_linear_probe(name: str) -> bool:
    """Whether a trial is the solved head and nothing else: one epoch, on pictures as validation sees them."""
    return _entry(name).solves_head and _entry(name).epochs == 1


def first_result(name: str) -> int:
    """The first epoch, from 1 on, that is a result of the strategy: 2 where epoch 1 only solves what is trained then.

    A trial that ends before it has what it has. Imports no torch.
    """
    return 2 if solves_head(name) and not is_linear_probe(name) else 1


def max_epochs(config: TrialConfig) -> int:
    """The epochs of a trial that nobody stops: its own `max_epochs`, or fewer where the strategy needs no more."""
    return min(config.max_epochs, _entry(config.strategy).epochs or config.max_epochs)


def last_unfreeze(config: TrialConfig, num_stages: int) -> int:
    """The epoch in which the last part that will ever train starts, 1-based. Imports no torch."""
    unfreezes = _entry(config.strategy).unfreezes(config, num_stages)
    return max([1, *(unfreeze.from_epoch for unfreeze in unfreezes if unfreeze.from_epoch is not None)])


def trained_stages(config: TrialConfig, num_stages: int, epoch: int) -> int:
    """How many of the backbone's stages train in `epoch` (1-based). Imports no torch."""
    unfreezes = _entry(config.strategy).unfreezes(config, num_stages)
    return sum(one.from_epoch is not None and one.from_epoch <= epoch for one in unfreezes)


def frozen_epochs(config: TrialConfig, num_stages: int) -> int:
    """How many epochs of `config` pass with nothing of the backbone training. Imports no torch."""
    unfreezes = _entry(config.strategy).unfreezes(config, num_stages)
    first = [one.from_epoch - 1 for one in unfreezes if one.from_epoch is not None]
    return min([max_epochs(config), *first])


def plan(config: TrialConfig, classifier: "Classifier") -> tuple[ParamGroup, ...]:
    """Disjoint groups that cover every parameter of `classifier`, from the input up, the heads last.

    Neighbouring stages that start together at one learning rate are one group, named "backbone" if it is all
    of them.
    """
    check(config.strategy, config.model)
    stages = list(reversed(classifier.stages))
    entry = _entry(config.strategy)
    unfreezes = entry.unfreezes(config, len(stages))
    pairs = zip(unfreezes, stages, strict=True)
    runs = [
        (unfreeze, [stage for _, stage in pair])
        for unfreeze, pair in itertools.groupby(pairs, key=lambda pair: pair[0])
    ]
    groups = [_backbone_group(unfreeze, members[::-1], classifier) for unfreeze, members in reversed(runs)]
    # A head that is solved on what frozen BatchNorms let through does not fit what batch statistics would.
    groups = [replace(group, still=entry.solves_head) for group in groups]
    head = classifier.head
    rate = config.backbone_rate if entry.solves_head else config.learning_rate
    groups.append(ParamGroup(HEAD, (head,), tuple(head.parameters()), 1, rate))
    if len(classifier.auxiliary):
        extra = classifier.auxiliary
        groups.append(ParamGroup(AUXILIARY, (extra,), tuple(extra.parameters()), 1, config.learning_rate))
    restart = None if entry.restart is None else entry.restart(config)
    return tuple(replace(group, restart=restart) for group in groups) if restart else tuple(groups)


def _backbone_group(unfreeze: Unfreeze, members: "list[Stage]", classifier: "Classifier") -> ParamGroup:
    whole = len(members) == len(classifier.stages)
    # The backbone itself, not its stages: what it does on its own while training must stop as well.
    modules = (classifier.backbone,) if whole else tuple(m for stage in members for m in stage.modules)
    parameters = tuple(p for stage in members for p in stage.parameters)
    name = "backbone" if whole else members[0].name
    return ParamGroup(name, modules, parameters, unfreeze.from_epoch, unfreeze.learning_rate)


def _entry(name: str) -> _Entry:
    if name not in names():
        raise UnknownName.of("strategy", name, names())
    return _ENTRIES[name]


@functools.cache
def _discover() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
