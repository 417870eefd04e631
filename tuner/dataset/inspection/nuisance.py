"""What of a picture comes from how it was taken and stored, and not from what it shows."""

import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from trainables.data.decode import Pixels, quiet_decoding, read_rgb
from trainables.data.deep import Scale
from trainables.data.metadata import luminance_step, may_have_exif
from trainables.data.parallel import Progress, in_threads, num_workers

__all__ = ["KINDS", "Nuisance", "Onlooker", "a_choice", "columns", "look_at", "nuisance_of"]

FRAME = 0.06
"""Width of the border that is taken for background, as a share of the short side."""

SIDE = 128
"""Pictures are shrunk to this short side before light and colours are taken."""

MOST_CAMERAS = 12


@dataclass(frozen=True)
class Nuisance:
    """How one picture was taken.

    Colours and light are in 0..1: `light` and `contrast` are mean and standard deviation of the grey picture, the
    border's are medians of its outer frame, `border_spread` how much the frame varies. `jpeg_step` is the mean
    quantisation step of a JPEG's luminance, 0 for other files; the coarser, the lower the quality.
    """

    width: int
    height: int
    light: float
    contrast: float
    border_red: float
    border_green: float
    border_blue: float
    border_spread: float
    jpeg_step: float
    camera: str


KINDS = {
    "size": ("width", "height", "aspect"),
    "brightness": ("light", "contrast"),
    "background at the border": (
        "border_red",
        "border_green",
        "border_blue",
        "border_spread",
        "border_red_over_green",
        "border_blue_over_green",
    ),
    "JPEG quality": ("jpeg_step",),
    "camera": ("camera",),
}
"""What is measured of each kind."""


class Onlooker:
    """Notes how at most `most` images of a scan were taken, while the scan has them decoded; a random choice of more.

    `found` is what was noted, by path.
    """

    def __init__(self, most: int, seed: int = 0) -> None:
        self._most = most
        self._seed = seed
        self.measure = nuisance_in
        self.found: dict[str, Nuisance] = {}

    def choose(self, paths: Sequence[str]) -> Collection[str]:
        """Which of the images that a scan is going to decode shall be measured."""
        return frozenset(paths[place] for place in a_choice(len(paths), self._most, self._seed))

    def note(self, path: str, measured: Nuisance) -> None:
        """Keep how the image `path` was taken."""
        self.found[path] = measured


def a_choice(count: int, most: int, seed: int) -> list[int]:
    """Places of at most `most` of `count` things, in order, chosen at random."""
    chosen: list[int] = np.sort(np.random.default_rng(seed).permutation(count)[:most]).tolist()
    return chosen


def look_at(
    folder: Path,
    paths: Sequence[str],
    workers: int | None = None,
    progress: Progress | None = None,
    scale: Scale | None = None,
) -> list[Nuisance]:
    """How each of the images `paths` below `folder`, read at `scale`, was taken; raises UnreadableImage."""
    found = []
    with quiet_decoding():
        for one in in_threads(lambda path: nuisance_of(folder / path, scale), paths, num_workers(workers)):
            found.append(one)
            if progress:
                progress(len(found), len(paths))
    return found


def nuisance_of(path: Path, scale: Scale | None = None) -> Nuisance:
    """How the picture in `path`, read at the `scale` of its data set, was taken; raises UnreadableImage."""
    return nuisance_in(path, read_rgb(path, scale))


def nuisance_in(path: Path, pixels: Pixels) -> Nuisance:
    """How the picture `pixels`, uint8 [h, w, 3], that was read from `path` was taken."""
    height, width = pixels.shape[:2]
    factor = SIDE / min(height, width)
    small: Pixels = pixels
    if factor < 1:
        shape = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = np.asarray(cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    light, contrast = cv2.meanStdDev(cv2.transform(small.astype(np.float32), np.full((1, 3), 1 / 765)))
    border = _border(small)
    ordered = np.sort(border, axis=0).astype(np.float32) / 255
    middle = ordered[(len(border) - 1) // 2] + ordered[len(border) // 2]
    red, green, blue = (middle / 2).tolist()
    step, camera = _header(path)
    return Nuisance(
        width=width,
        height=height,
        light=float(light[0, 0]),
        contrast=float(contrast[0, 0]),
        border_red=red,
        border_green=green,
        border_blue=blue,
        border_spread=float(cv2.meanStdDev(border[None])[1].mean() / 255),
        jpeg_step=step,
        camera=camera,
    )


def _border(pixels: Pixels) -> Pixels:
    """The values [n, 3] of the outer frame."""
    edge = max(1, round(FRAME * min(pixels.shape[:2])))
    middle = pixels[edge:-edge]
    parts = (pixels[:edge], pixels[-edge:], middle[:, :edge], middle[:, -edge:])
    return np.concatenate([part.reshape(-1, 3) for part in parts])


def columns(found: Sequence[Nuisance]) -> dict[str, npt.NDArray[np.float64]]:
    """Numbers [n, d] for each kind; cameras are one column each, the rarer ones together."""
    numbers = {
        field.name: np.array([getattr(one, field.name) for one in found], dtype=np.float64)
        for field in fields(Nuisance)
        if field.name != "camera"
    }
    numbers["aspect"] = numbers["width"] / numbers["height"]
    for colour in ("red", "blue"):
        # the white balance, whatever the light
        numbers[f"border_{colour}_over_green"] = numbers[f"border_{colour}"] - numbers["border_green"]
    cameras = [one.camera for one in found]
    names, counts = np.unique(cameras, return_counts=True)
    common = names[np.argsort(-counts, kind="stable")][:MOST_CAMERAS]
    seen = np.stack([np.array(cameras) == name for name in common], 1).astype(np.float64)
    return {
        kind: seen if kind == "camera" else np.stack([numbers[name] for name in names_of], 1)
        for kind, names_of in KINDS.items()
    }


def _header(path: Path) -> tuple[float, str]:
    """Mean luminance step of a JPEG, and the camera that EXIF names; 0 and nothing where they are missing."""
    step, camera = 0.0, ""
    try:
        raw = path.read_bytes()
        step = luminance_step(raw)
        # Pillow takes longer to look at the header than to decode a small picture
        if may_have_exif(raw):
            with Image.open(io.BytesIO(raw)) as image:
                exif = image.getexif()
            words = [str(exif.get(tag, "")).strip("\0 ") for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
            camera = " ".join(word for word in words if word)
    except (
        Exception
    ):  # Pillow's parsers let nearly every class out of a damaged header; pixels were read already
        return step, camera
    return step, camera
