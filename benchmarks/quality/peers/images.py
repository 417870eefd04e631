"""A folder of images, one sub-folder a class, in memory; and how a picture becomes a tensor."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchvision import transforms
from torchvision.datasets import ImageFolder

Transform = Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class Pictures(Dataset[tuple[Tensor, int]]):
    """Decoded images [n], their class numbers [n] and groups [n]; `transform` is applied when one is asked for."""

    images: Sequence[Image.Image]
    labels: np.ndarray
    groups: np.ndarray
    transform: Transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return self.transform(self.images[number]), int(self.labels[number])

    def only(self, places: np.ndarray, transform: Transform) -> "Pictures":
        """The images at `places`, with another `transform`."""
        return Pictures(
            [self.images[place] for place in places], self.labels[places], self.groups[places], transform
        )


def read_pictures(folder: Path, groups: Path | None) -> tuple[Pictures, list[str]]:
    """All images below `folder`, and the names of the classes; an image without a group is one of its own."""
    found = ImageFolder(str(folder))
    names: dict[str, str] = {}
    if groups is not None:
        with groups.open(newline="") as file:
            names = {row["path"]: row["group"] for row in csv.DictReader(file)}
    paths = [Path(file).relative_to(folder).as_posix() for file, _ in found.samples]
    own = np.array([names.get(path, path) for path in paths])
    images = [image for image, _ in found]
    return Pictures(images, np.array(found.targets), own, transforms.ToTensor()), found.classes


def for_answering(network: nn.Module, size: int) -> Any:
    """How timm shows a picture to this network: resized, its middle cropped, normalised."""
    config = timm.data.resolve_data_config({"input_size": (3, size, size)}, model=network)
    return timm.data.create_transform(**config)


def for_training(network: nn.Module, size: int, crop: float, flip: bool) -> Any:
    """A random crop of at least `crop` of the picture, perhaps mirrored, normalised."""
    config = timm.data.resolve_data_config({}, model=network)
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(crop, 1.0)),
            transforms.RandomHorizontalFlip(0.5 if flip else 0.0),
            transforms.ToTensor(),
            transforms.Normalize(config["mean"], config["std"]),
        ]
    )


def device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
