"""Which images, labelled, grouped and split how, and by which pretrained backbones their features are computed."""

from dataclasses import dataclass
from pathlib import Path

from trainables.config import FITS, PRECISIONS
from trainables.errors import InvalidValue, UnknownName
from trainables.ranges import check_fields

__all__ = ["DataConfig"]

SAMPLE_IMAGE_SIZE, IMAGE_SIZE = 96, 224
"""Sides in pixels: what the sample pictures are drawn for, and what most pretrained weights expect."""


@dataclass(frozen=True)
class DataConfig:
    """A data set and how it is looked at; `inspect` and `probe` take one, a search holds one.

    `folder` None means the sample pictures that tuner draws. `labels` is a table of path and label in place of class
    folders, `groups` one of path and group, `without` one of images to leave out. `split` holds the shares of
    training, validation and test. `image_size` is the side in pixels, None for one that suits the space or the data.
    `fit` is how a picture that is not square becomes one: crop, squash or pad. `backbones`, `weights`, `weights_dir`,
    `precision` and `feature_cache_bytes` say how features are computed. Raises InvalidValue or UnknownName for what can
    be refused without looking anywhere.

    >>> DataConfig(Path("potato"), split="0.6,0.2,0.2").side()
    224
    """

    folder: Path | None = None
    labels: Path | None = None
    groups: Path | None = None
    group_regex: str | None = None
    groups_from_similar: bool = False
    without: Path | None = None
    split: str = "0.8,0.1,0.1"
    positive: str | None = None
    seed: int = 0
    image_size: int | None = None
    fit: str = "crop"
    backbones: str = "auto"
    weights: str = "auto"
    weights_dir: Path | None = None
    precision: str = "auto"
    feature_cache_bytes: int = 8 * 2**30

    def __post_init__(self) -> None:
        """Refuse what can be refused without looking anywhere."""
        from tuner.dataset.splitting import parse_fractions

        parse_fractions(self.split)
        for name in ("labels", "without"):
            if self.folder is None and getattr(self, name) is not None:
                raise InvalidValue(
                    f"--{name} {getattr(self, name)} names images below --data FOLDER; say which folder"
                )
        if self.folder is None and self.groups_from_similar:
            raise InvalidValue(
                "--groups-from-similar searches your images for groups; the drawn sample pictures have theirs already;"
                " say where your images are: --data FOLDER"
            )
        if self.weights_dir is not None and self.weights not in ("auto", "imagenet"):
            raise InvalidValue(
                f"--weights-dir says where weights are; with --weights {self.weights} it has no effect"
            )
        if self.fit not in FITS:
            raise UnknownName.of("fit", self.fit, FITS)
        if self.precision not in PRECISIONS:
            raise UnknownName.of("precision", self.precision, PRECISIONS)
        check_fields(self)

    def side(self, of_space: int | None = None) -> int:
        """The side in pixels that was asked for, else the space's, else one that suits the data."""
        return self.image_size or of_space or (SAMPLE_IMAGE_SIZE if self.folder is None else IMAGE_SIZE)
