"""The options that every peer has."""

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """Images to learn from, a folder of pretrained weights as NAME.pt, and the file for the model."""

    data: Path
    groups: Path | None
    weights_dir: Path
    image_size: int
    time_budget: float
    learning_rate: float
    seed: int
    out: Path

    def backbones(self) -> list[str]:
        """The networks that have weights."""
        return sorted(file.stem for file in self.weights_dir.glob("*.pt"))


def read_options(description: str | None) -> Options:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="one sub-folder a class")
    parser.add_argument("--groups", type=Path, help="CSV with columns path and group")
    parser.add_argument("--weights-dir", type=Path, required=True, help="state dicts, as NAME.pt")
    parser.add_argument("--image-size", type=int, default=224, help="side in pixels")
    parser.add_argument("--time-budget", type=float, default=600, help="seconds; only the script heeds it")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="only the recipe heeds it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="the file for the model")
    return Options(**vars(parser.parse_args()))
