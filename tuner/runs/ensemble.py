"""The members of an ensemble, as best.yaml records them under `ensemble`."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trainables.config import TrialConfig
from trainables.errors import InvalidValue
from tuner.runs.sections import Section, is_whole

__all__ = ["ENSEMBLE", "Member", "members_of", "to_records"]

ENSEMBLE = "ensemble"
"""What the average of trials is called where trials have their ids."""

KEYS = ("trial", "count", "epoch", "config", "plateau_reduced_after")


@dataclass(frozen=True)
class Member:
    """A trial that is taken `count` times into the mean; `epoch` is its best.

    `plateau_reduced_after` are the epochs after which a plateau schedule lowered the head's rate.
    """

    trial: str
    count: int
    epoch: int
    config: TrialConfig
    plateau_reduced_after: tuple[int, ...] = ()


def to_records(members: Sequence[Member]) -> list[dict[str, Any]]:
    """What best.yaml holds of `members`, in plain values; `members_of` turns it back."""
    records = []
    for member in members:
        values = dataclasses.asdict(member.config)
        record: dict[str, Any] = {
            "trial": member.trial,
            "count": member.count,
            "epoch": member.epoch,
            "config": {name: value for name, value in values.items() if value is not None},
        }
        if member.config.schedule == "plateau":
            record["plateau_reduced_after"] = list(member.plateau_reduced_after)
        records.append(record)
    return records


def members_of(top: Section, config: Callable[[Section], TrialConfig]) -> tuple[Member, ...]:
    """The members under the key `ensemble` of `top`, none without it; `config` reads a member's section.

    Raises UserMistake in one sentence naming key, value and remedy.
    """
    if "ensemble" not in top.content:
        return ()
    found = top.take("ensemble", lambda value: isinstance(value, list) and value != [], "a list of members")
    members = []
    for number, content in enumerate(found):
        section = Section(top.path, content, f"ensemble[{number}]")
        section.only(KEYS)
        trained = config(section)
        reduced = []
        if trained.schedule == "plateau":
            reduced = section.take("plateau_reduced_after", are_epochs, "a list of epochs")
        members.append(
            Member(
                trial=section.text("trial"),
                count=section.whole("count", 1),
                epoch=section.whole("epoch", 1),
                config=trained,
                plateau_reduced_after=tuple(reduced),
            )
        )
    names = [member.trial for member in members]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidValue(f"{top.path}: ensemble names trial {twice[0]!r} twice; add up its counts")
    return tuple(members)


def are_epochs(value: Any) -> bool:
    """Whether `value` is a list of epochs, which count from 1."""
    return isinstance(value, list) and all(is_whole(epoch, 1) for epoch in value)
