"""A trial while it lives, as the driver knows it."""

from dataclasses import dataclass, field
from typing import Any

from trainables.config import TrialConfig

__all__ = ["LiveTrial"]


@dataclass
class LiveTrial:
    """A trial that has not ended: its place in the study and what it has reported so far.

    `source` says where its configuration came from; None in runs of earlier versions.
    """

    trial_id: str
    number: int
    identity: int
    config: TrialConfig
    epochs: dict[int, dict[str, Any]] = field(default_factory=dict)
    applied: dict[str, str] = field(default_factory=dict)
    retries: int = 0
    source: str | None = None
