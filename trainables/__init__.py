"""What is trained, and how: data, models, strategies, the loop, and its form as a Ray trainable."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainables.ray_trainable import TrialTrainable

__all__ = ["get"]


def get(model: str, strategy: str) -> "type[TrialTrainable]":
    """The Ray trainable of one model x strategy combination; see `ray_trainable.get`."""
    from trainables import ray_trainable

    return ray_trainable.get(model, strategy)
