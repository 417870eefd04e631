"""Small parts of sentences."""

from trainables.words import NAMED, some

__all__ = ["NAMED", "some"]
