"""A policy's augmentation as one warp, one colour matrix and one blur; on the CPU or on a device.

Random resized crop, flip, rotation and affine compose into one matrix, so the picture is interpolated once
and not four times, and sees what lies outside the crop, unless its policy wants the black wedges. Brightness,
contrast, saturation and hue compose into one affine map of colours. That a device draws the same picture is tested
with the CPU as the device; it was not run on a GPU.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from trainables.augmentations.policy import Policy
from trainables.data.decode import Pixels

__all__ = ["NUMBERS", "OPERATIONS", "augment", "augment_on_device", "draw"]

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

ERASED = (124, 116, 104)
"""The colour of an erased rectangle: the mean of ImageNet's pictures, which normalising takes to about zero."""

MAX_OCCURRENCES = 32
"""From here on a repeated image meets its augmentations again: a rare class must not cost endless drawing."""

_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([_LUMA, [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)

# a constant border would show the angle and the shift; a mirrored one looks like more of the same picture
_BORDER = cv2.BORDER_REFLECT_101


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


def augment(images: Sequence[Pixels], numbers: Floats, size: int, policy: Policy) -> Pixels:
    """Augmented pictures, uint8 [b, size, size, 3], of `images` [h, w, 3] with their `numbers` [b, 25]."""
    images, warps = _warps(images, numbers, size, policy)
    colours, offsets, jittered = _colours(numbers, policy)
    kernels = _kernels(numbers, policy)
    edges, boxes = _edges(numbers, size, policy), _erased(numbers, size, policy)
    out = np.empty((len(images), size, size, 3), np.uint8)
    scratch = np.empty((size, size, 3), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for i, image in enumerate(images):
        warped = cv2.warpAffine(image, warps[i], (size, size), dst=scratch, flags=flags, borderMode=_BORDER)
        if jittered[i]:
            grey = float(_LUMA @ np.asarray(cv2.mean(warped)[:3]))
            warped = cv2.transform(warped, np.column_stack([colours[i], offsets[i] * grey]), dst=scratch)
        if edges is not None:
            inside = _inside(torch.from_numpy(edges[i : i + 1]), size)[0, 0].numpy()
            warped = np.rint(warped * inside[:, :, None]).astype(np.uint8)
        cv2.sepFilter2D(warped, -1, kernels[i], kernels[i], dst=out[i], borderType=_BORDER)
        if boxes is not None:
            left, top, right, bottom = boxes[i]
            out[i, top:bottom, left:right] = ERASED
    return out


def augment_on_device(
    images: Sequence[Pixels], numbers: Floats, size: int, device: torch.device | str, policy: Policy
) -> torch.Tensor:
    """The pictures of `augment` within interpolation error, uint8 [b, 3, size, size] on `device`."""
    device = torch.device(device)
    images, warps = _warps(images, numbers, size, policy)
    pictures = _to_device(images, device)
    shapes = torch.tensor([image.shape[:2] for image in images], dtype=torch.float32)
    colours, offsets, _ = _colours(numbers, policy)
    kernels, edges = _kernels(numbers, policy), _edges(numbers, size, policy)
    small = [torch.from_numpy(x.astype(np.float32)) for x in (warps, colours, offsets, kernels)]
    warp, colour, offset, kernel = (x.to(device, non_blocking=True) for x in small)
    grid = _grid(warp, shapes.to(device, non_blocking=True), pictures.shape[2:], size)
    warped = F.grid_sample(pictures.float(), grid, padding_mode="border", align_corners=True)
    luma = torch.tensor(_LUMA, dtype=torch.float32, device=device)
    grey = torch.einsum("bchw,c->b", warped, luma) / size**2
    coloured = torch.einsum("bij,bjhw->bihw", colour, warped) + (offset * grey[:, None])[:, :, None, None]
    coloured = coloured.clamp(0, 255)
    if edges is not None:
        coloured = coloured * _inside(torch.from_numpy(edges).to(device, non_blocking=True), size)
    drawn = _blur(coloured, kernel).round().clamp(0, 255).to(torch.uint8)
    boxes = _erased(numbers, size, policy)
    if boxes is not None:
        inside = _within(torch.from_numpy(boxes).to(device, non_blocking=True), size)
        fill = torch.tensor(ERASED, dtype=torch.uint8, device=device)[None, :, None, None]
        drawn = torch.where(inside, fill, drawn)
    return drawn


# ---- geometry


def _warps(
    images: Sequence[Pixels], numbers: Floats, size: int, policy: Policy
) -> tuple[list[Pixels], Floats]:
    """The images, shrunk where a sample would skip pixels, and [b, 2, 3] maps from output to source."""
    shapes = np.array([image.shape[:2] for image in images], dtype=np.float64)
    warps = _source_maps(shapes, numbers, size, policy)
    steps = np.floor(np.hypot(warps[:, :, 0], warps[:, :, 1])).astype(int)
    shrunk = list(images)
    for i in np.flatnonzero((steps > 1).any(axis=1)).tolist():
        # bilinear sampling looks at four neighbours: a longer step between samples would alias
        x, y = (max(1, int(step)) for step in steps[i])
        height, width = (
            extent // step * step for extent, step in zip(images[i].shape[:2], (y, x), strict=True)
        )
        whole = images[i][:height, :width]
        small = cv2.resize(whole, (width // x, height // y), interpolation=cv2.INTER_AREA)
        shrunk[i] = np.asarray(small, dtype=np.uint8)
        by = np.array([x, y], dtype=np.float64)
        warps[i] /= by[:, None]
        warps[i, :, 2] += 0.5 / by - 0.5
    return shrunk, warps


def _source_maps(shapes: Floats, numbers: Floats, size: int, policy: Policy) -> Floats:
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


def _edges(numbers: Floats, size: int, policy: Policy) -> npt.NDArray[np.float32] | None:
    """Where the black wedges are: float32 [b, 4, 3] maps of an output pixel's index, inside where all are in -1..1.

    Two say where the pixel was before the affine map, two where before the rotation, too. None without wedges.
    """
    if policy.border != "black":
        return None
    affine, both, shift = _turns(numbers, size, policy)
    maps = np.concatenate([_from_indices(linear, shift, size) for linear in (affine, both)], axis=1)
    return maps.astype(np.float32)


def _inside(edges: torch.Tensor, size: int) -> torch.Tensor:
    """How much of each pixel lies within the edges [b, 4, 3], from 0 to 1 over one pixel: [b, 1, size, size]."""
    index = torch.arange(size, device=edges.device, dtype=torch.float32)
    across, down, start = (edges[:, :, i, None] for i in range(3))
    places = (across * index)[:, :, None, :] + (down * index + start)[:, :, :, None]
    within = (1 - places.abs().amax(dim=1, keepdim=True)) * (size / 2) + 0.5
    return within.clamp(0, 1)


def _erased(numbers: Floats, size: int, policy: Policy) -> npt.NDArray[np.int64] | None:
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


def _within(boxes: torch.Tensor, size: int) -> torch.Tensor:
    """Which pixels lie within `boxes` int64 [b, 4]: bool [b, 1, size, size]."""
    index = torch.arange(size, device=boxes.device)
    left, top, right, bottom = (boxes[:, i, None] for i in range(4))
    across, down = (index >= left) & (index < right), (index >= top) & (index < bottom)
    return (down[:, :, None] & across[:, None, :])[:, None]


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


def _grid(warp: torch.Tensor, shapes: torch.Tensor, padded: Sequence[int], size: int) -> torch.Tensor:
    """Sampling positions [b, size, size, 2] in a padded batch, mirrored at each picture's own edge."""
    index = torch.arange(size, device=warp.device, dtype=torch.float32)
    y, x = torch.meshgrid(index, index, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    source = torch.einsum("bij,hwj->bhwi", warp, points)
    last = (shapes.flip(1) - 1)[:, None, None, :]
    period = (2 * last).clamp(min=1)
    source = torch.minimum(last, (last - (last - source.remainder(period)).abs()).clamp(min=0))
    extent = torch.tensor([padded[1], padded[0]], device=warp.device, dtype=torch.float32)
    return 2 * source / (extent - 1).clamp(min=1) - 1


def _to_device(images: Sequence[Pixels], device: torch.device) -> torch.Tensor:
    """One uint8 batch [b, 3, H, W], padded to the largest, through pinned memory where there is a GPU."""
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    pinned = device.type == "cuda"
    batch = torch.zeros((len(images), height, width, 3), dtype=torch.uint8, pin_memory=pinned)
    view = batch.numpy()
    for i, image in enumerate(images):
        view[i, : image.shape[0], : image.shape[1]] = image
    return batch.to(device, non_blocking=pinned).permute(0, 3, 1, 2)


# ---- colour and blur


def _colours(numbers: Floats, policy: Policy) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
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
    colour = hue @ (keep * np.eye(3) + (1 - keep) * _LUMA[None, None, :])
    # both maps keep a grey as it is, so the offset of the contrast passes through unchanged
    offset = np.repeat((brightness * (1 - contrast))[:, None], 3, axis=1)
    return colour * (brightness * contrast)[:, None, None], offset, jittered


def _kernels(numbers: Floats, policy: Policy) -> Floats:
    """Gaussian kernels of three weights, [b, 3]."""
    sigma = _between(numbers[:, NUMBERS.index("sigma")], *policy.sigma)
    side = np.exp(-0.5 / sigma**2)
    weights: Floats = np.stack([side, np.ones_like(side), side], axis=1) / (1 + 2 * side)[:, None]
    return weights


def _blur(pictures: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    b, c, height, width = pictures.shape
    weights = kernels.repeat_interleave(c, dim=0)
    padded = F.pad(pictures, (1, 1, 1, 1), mode="reflect").reshape(1, b * c, height + 2, width + 2)
    rows = F.conv2d(padded, weights[:, None, None, :], groups=b * c)
    return F.conv2d(rows, weights[:, None, :, None], groups=b * c).reshape(b, c, height, width)
