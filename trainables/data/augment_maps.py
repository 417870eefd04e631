"""What the drawn numbers of an augmentation mean: maps, colours, kernels, rectangles. Plain arrays, a row a picture.

Random resized crop, flip, rotation and affine compose into one matrix, so the picture is interpolated once
and not four times, and sees what lies outside the crop, unless its policy wants the black wedges. Brightness,
contrast, saturation and hue compose into one affine map of colours.
"""

import math

import numpy as np
import numpy.typing as npt

from trainables.augmentations.policy import Policy
from trainables.data.preprocessing import MEAN_COLOUR

__all__ = [
    "ERASED",
    "LUMA",
    "MAX_OCCURRENCES",
    "NUMBERS",
    "OPERATIONS",
    "Floats",
    "boxes",
    "colour_maps",
    "draw",
    "kernels",
    "shrunk_maps",
    "source_maps",
    "steps",
    "wedge_maps",
]

Floats = npt.NDArray[np.float64]

_FIRST = (
    "crop_scale",
    "crop_ratio",
    "crop_x",
    "crop_y",
    "flip",
    "rotation",
    "affine_rotation",
    "translate_x",
    "translate_y",
    "affine_scale",
    "jitter",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "sigma",
)
_LATER = (
    *("quarter_turn", "shear_x", "shear_y", "operation"),
    *("erase", "erase_area", "erase_ratio", "erase_x", "erase_y"),
)
"""Columns from a stream of their own: that they were added has not changed what the first ones draw."""

NUMBERS = (*_FIRST, *_LATER)
"""What each column of the drawn numbers decides."""

OPERATIONS = (
    *("nothing", "rotation", "shear_x", "shear_y", "translate_x", "translate_y"),
    *("brightness", "contrast", "saturation"),
)
"""Of which a policy that does `one_at_a_time` picks one a picture; the others then stay in their middle."""

ERASED = MEAN_COLOUR
"""The colour of an erased rectangle."""

MAX_OCCURRENCES = 32
"""From here on a repeated image meets its augmentations again: a rare class must not cost endless drawing."""

LUMA = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def draw(num_images: int, seed: int, epoch: int, occurrence: int = 0) -> Floats:
    """Uniform numbers in [0, 1), [num_images, 25], a row of which depends on the seeds and its place only.

    `occurrence` counts how often an image was drawn before in this epoch (weighted sampling repeats images).
    """
    key = (seed, epoch, occurrence % MAX_OCCURRENCES)

    def stream(*key: int, columns: int) -> Floats:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(key))).random(
            (num_images, columns)
        )

    return np.hstack([stream(*key, columns=len(_FIRST)), stream(*key, 1, columns=len(_LATER))])


def steps(warps: Floats) -> npt.NDArray[np.int64]:
    """By how much a source is to be shrunk before it is sampled, [b, 2] as (x, y), whole numbers from 1 on.

    Bilinear sampling looks at four neighbours: a longer step between samples would alias.
    """
    lengths = np.floor(np.hypot(warps[:, :, 0], warps[:, :, 1])).astype(np.int64)
    return np.maximum(lengths, 1)


def shrunk_maps(warps: Floats, by: npt.NDArray[np.int64]) -> Floats:
    """The maps [b, 2, 3] to sources that are shrunk `by` [b, 2]."""
    shrunk = warps / by[:, :, None]
    shrunk[:, :, 2] += 0.5 / by - 0.5
    return shrunk


def source_maps(shapes: Floats, numbers: Floats, size: int, policy: Policy) -> Floats:
    """[b, 2, 3] matrices from an output pixel's index (x, y) to that in a source of `shapes` [b, (h, w)]."""
    column = _columns(numbers, policy)
    height, width = shapes[:, 0], shapes[:, 1]
    # torchvision draws again when the box does not fit; clipping it needs no second number
    area = height * width * _between(column["crop_scale"], *policy.crop_scale)
    ratio = np.exp(_between(column["crop_ratio"], *np.log(policy.crop_ratio)))
    box_w, box_h = np.minimum(np.sqrt(area * ratio), width), np.minimum(np.sqrt(area / ratio), height)
    centre_x = column["crop_x"] * (width - box_w) + box_w / 2
    centre_y = column["crop_y"] * (height - box_h) + box_h / 2
    _, both, shift = _turns(numbers, size, policy)
    mirror = np.where(column["flip"] < policy.flip, -1.0, 1.0)
    if policy.quarter_turns or policy.shear:
        both = _turned_and_sheared(column, policy) @ both
    linear = np.stack([mirror * box_w / 2, box_h / 2], axis=1)[:, :, None] * both
    origin = np.stack([centre_x, centre_y], axis=1) - 0.5
    return _from_indices(linear, shift, size, origin)


def _turned_and_sheared(column: dict[str, Floats], policy: Policy) -> Floats:
    """Inverse of the quarter turns and of the shear about the middle, [b, 2, 2]."""
    quarters = np.floor(4 * column["quarter_turn"]).astype(int) if policy.quarter_turns else 0
    cos, sin = np.array([1.0, 0.0, -1.0, 0.0])[quarters], np.array([0.0, 1.0, 0.0, -1.0])[quarters]
    x, y = (_between(column[f"shear_{axis}"], -policy.shear, policy.shear) for axis in "xy")
    turned = np.stack(np.broadcast_arrays(cos, sin, -sin, cos, x), axis=-1)[..., :4].reshape(-1, 2, 2)
    sheared = np.stack([np.ones_like(x), x, y, np.ones_like(x)], axis=1).reshape(-1, 2, 2)
    return turned @ sheared


def _turns(numbers: Floats, size: int, policy: Policy) -> tuple[Floats, Floats, Floats]:
    """Inverses of the affine map and of rotation and affine map together, [b, 2, 2], and the shift [b, 2].

    Pictures span -1..1 about their centre; the inverse of "rotate, then rotate, scale and shift" is one turn.
    """
    column = _columns(numbers, policy)
    affine = _between(column["affine_rotation"], -policy.affine_rotation, policy.affine_rotation)
    inverse = 1 / _between(column["affine_scale"], *policy.affine_scale)

    def turned(degrees: Floats) -> Floats:
        cos, sin = np.cos(np.deg2rad(degrees)) * inverse, np.sin(np.deg2rad(degrees)) * inverse
        return np.stack([cos, sin, -sin, cos], axis=1).reshape(-1, 2, 2)

    shift = np.stack([column["translate_x"], column["translate_y"]], axis=1)
    shift = 2 * np.round(_between(shift, -policy.translate, policy.translate) * size) / size
    return (
        turned(affine),
        turned(affine + _between(column["rotation"], -policy.rotation, policy.rotation)),
        shift,
    )


def _from_indices(linear: Floats, shift: Floats, size: int, origin: Floats | float = 0.0) -> Floats:
    """[b, 2, 3] maps of a pixel's index (x, y): its place in -1..1, less `shift`, through `linear`, about `origin`."""
    start = (1 / size - 1) - shift
    offset = origin + np.einsum("bij,bj->bi", linear, start)
    return np.concatenate([linear * (2 / size), offset[:, :, None]], axis=2)


def wedge_maps(numbers: Floats, size: int, policy: Policy) -> npt.NDArray[np.float32] | None:
    """Where the black wedges are: float32 [b, 4, 3] maps of an output pixel's index, inside where all are in -1..1.

    Two say where the pixel was before the affine map, two where before the rotation, too. None without wedges.
    """
    if policy.border != "black":
        return None
    affine, both, shift = _turns(numbers, size, policy)
    maps = np.concatenate([_from_indices(linear, shift, size) for linear in (affine, both)], axis=1)
    return maps.astype(np.float32)


def boxes(numbers: Floats, size: int, policy: Policy) -> npt.NDArray[np.int64] | None:
    """Rectangles to erase: int64 [b, 4], left, top, right, bottom, empty where nothing is; None without erasing."""
    if not policy.erase:
        return None
    column = _columns(numbers, policy)
    area = size**2 * _between(column["erase_area"], *policy.erase_area)
    ratio = np.exp(_between(column["erase_ratio"], *np.log(policy.erase_ratio)))
    sides = [np.clip(np.rint(np.sqrt(area * by)), 1, size) for by in (ratio, 1 / ratio)]
    sides = [np.where(column["erase"] < policy.erase, side, 0) for side in sides]
    starts = [
        np.floor(column[f"erase_{axis}"] * (size - side + 1)) for axis, side in zip("xy", sides, strict=True)
    ]
    ends = [start + side for start, side in zip(starts, sides, strict=True)]
    return np.stack([*starts, *ends], axis=1).astype(np.int64)


def _columns(numbers: Floats, policy: Policy) -> dict[str, Floats]:
    """The numbers by name; where the policy does one thing at a time, those of the others in their middle."""
    columns = {name: numbers[:, i] for i, name in enumerate(NUMBERS)}
    if policy.one_at_a_time:
        chosen = np.floor(columns["operation"] * len(OPERATIONS))
        for place, name in enumerate(OPERATIONS[1:], 1):
            columns[name] = np.where(chosen == place, columns[name], 0.5)
    return columns


def _between(numbers: Floats, low: float, high: float) -> Floats:
    return low + (high - low) * numbers


def colour_maps(numbers: Floats, policy: Policy) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Colour matrices [b, 3, 3], offsets [b, 3] per mean grey of the picture, and which are not the identity.

    Brightness, contrast about the mean grey, saturation about each pixel's grey, then a turn of the hue in
    YIQ space, which keeps the grey. Composed without the clipping in between that torchvision does.
    """
    column = _columns(numbers, policy)
    jittered = column["jitter"] < policy.jitter

    def strength(name: str, spread: float) -> Floats:
        return np.where(jittered, _between(column[name], 1 - spread, 1 + spread), 1.0)

    brightness, contrast = strength("brightness", policy.brightness), strength("contrast", policy.contrast)
    saturation = strength("saturation", policy.saturation)
    angle = 2 * math.pi * (strength("hue", policy.hue) - 1.0)
    turn = np.zeros((len(numbers), 3, 3))
    turn[:, 0, 0] = 1.0
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 1, 2], turn[:, 2, 1] = np.sin(angle), -np.sin(angle)
    hue = _FROM_YIQ @ turn @ _TO_YIQ
    keep = saturation[:, None, None]
    colour = hue @ (keep * np.eye(3) + (1 - keep) * LUMA[None, None, :])
    # both maps keep a grey as it is, so the offset of the contrast passes through unchanged
    offset = np.repeat((brightness * (1 - contrast))[:, None], 3, axis=1)
    return colour * (brightness * contrast)[:, None, None], offset, jittered


def kernels(numbers: Floats, policy: Policy) -> Floats:
    """Gaussian kernels of three weights, [b, 3]."""
    sigma = _between(numbers[:, NUMBERS.index("sigma")], *policy.sigma)
    side = np.exp(-0.5 / sigma**2)
    weights: Floats = np.stack([side, np.ones_like(side), side], axis=1) / (1 + 2 * side)[:, None]
    return weights
