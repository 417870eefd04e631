"""Small parts of sentences."""

from trainables.words import NAMED, some

__all__ = ["NAMED", "TRIALS_NAMED", "some"]

TRIALS_NAMED = 20
"""Trials that are named to somebody who mistyped one: their numbers are too alike for three."""
