"""What the benchmarks of the study's nine runs have in common: the images, the configurations, a loss to reach."""

from dataclasses import dataclass, replace

import search_spaces
from benchmarks.common import Images
from search_spaces.sampling import sample_configs
from trainables.config import TrialConfig

BATCH_SIZE = 16
"""Half of the study's: with so few images it would make three steps an epoch."""

SPACE, NINE = "googlenet_grid", 9
"""The space, and how many of its first trials are the study's own."""


@dataclass(frozen=True)
class Grid:
    """What the nine have in common; `images` are split as tuner does in a run with `seed`."""

    images: Images
    weights: str
    size: int
    epochs: int
    seed: int = 0

    @property
    def configs(self) -> list[TrialConfig]:
        """The nine."""
        configs = sample_configs(search_spaces.load(SPACE), self.overrides, {}, NINE)
        return [replace(config, seed=self.seed) for config in configs]

    @property
    def overrides(self) -> dict[str, int]:
        """Settings that win over a space's own."""
        return {"max_epochs": self.epochs, "batch_size": BATCH_SIZE}


@dataclass(frozen=True)
class Hunt:
    """The nine's common ground, the loss to reach, the space, the most trials and seconds."""

    grid: Grid
    target: float
    space: str
    samples: int
    seconds: float
