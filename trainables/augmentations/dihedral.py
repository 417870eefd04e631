"""For pictures without an up: leaves on a table, cells, tiles seen from above."""

from dataclasses import replace

from trainables.augmentations import Policy, register
from trainables.augmentations.light import light


@register("dihedral")
def dihedral() -> Policy:
    """Quarter turns, flips, a small crop: no way up."""
    return replace(light(), quarter_turns=True)
