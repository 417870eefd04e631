"""Batches of pixels for a trial, the next prepared while the present one trains."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from trainables import augmentations
from trainables.data.ahead import ahead
from trainables.data.augment import MAX_OCCURRENCES, NUMBERS, Floats, augment, draw
from trainables.data.cache import ImageCache
from trainables.data.copies import overlapped, send
from trainables.data.device_pictures import cropped, drawn, draws_itself, resident
from trainables.data.preprocessing import centre_crop

__all__ = [
    "epoch_order",
    "eval_batches",
    "normalise",
    "occurrences",
    "picture_batches",
    "send",
    "spans",
    "train_batches",
]

Rows = npt.NDArray[np.int64]


def train_batches(
    cache: ImageCache,
    rows: Rows,
    labels: Rows,
    *,
    epoch: int,
    run_seed: int,
    trial_seed: int,
    batch_size: int,
    image_size: int,
    sampler: str,
    device: torch.device | str,
    augmentation: str = augmentations.DEFAULT,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Augmented pictures, uint8 [b, 3, size, size] in channels_last layout, and labels, int64 [b].

    One epoch of the images `rows` of `cache`, whose classes are `labels`. The order follows from `trial_seed`
    and epoch; the augmentation of an image from `run_seed`, epoch, its row and how often it came before in
    this epoch, so that trials differ only by what is tuned. `sampler` "weighted" draws len(rows) times with
    replacement, each class equally often. No batch has one image alone (BatchNorm needs two), unless
    it is the only one.
    """
    order = epoch_order(labels, sampler, trial_seed, epoch)
    device = torch.device(device)
    turns = occurrences(rows[order])
    # All labels of the epoch at once: a device need not be told of each batch's.
    chosen = send(torch.from_numpy(labels[order].astype(np.int64)), device)
    pictures = picture_batches(
        cache,
        rows[order],
        turns,
        epoch=epoch,
        run_seed=run_seed,
        batch_size=batch_size,
        image_size=image_size,
        device=device,
        augmentation=augmentation,
    )
    for span, images in zip(spans(len(order), batch_size), pictures, strict=True):
        yield images, chosen[span]


def picture_batches(
    cache: ImageCache,
    rows: Rows,
    turns: Rows,
    *,
    epoch: int,
    run_seed: int,
    batch_size: int,
    image_size: int,
    device: torch.device | str,
    augmentation: str = augmentations.DEFAULT,
) -> Iterator[torch.Tensor]:
    """The images `rows` of `cache` as augmented in `epoch` by that policy, in order: uint8 [b, 3, size, size].

    `turns` says of each how often it came before in the epoch.
    """
    device = torch.device(device)
    numbers = _numbers(rows, turns, len(cache), run_seed, epoch)
    policy = augmentations.get(augmentation)

    parts = spans(len(rows), batch_size)
    if draws_itself(device):
        return overlapped(drawn(cache, rows, numbers, parts, image_size, device, policy), device)

    def prepare(span: slice) -> torch.Tensor:
        pictures = augment([cache[int(row)] for row in rows[span]], numbers[span], image_size, policy)
        return send(torch.from_numpy(pictures), device).permute(0, 3, 1, 2)

    return ahead(map(prepare, parts))


def eval_batches(
    cache: ImageCache,
    rows: Rows,
    *,
    batch_size: int,
    image_size: int,
    device: torch.device | str,
    again: bool = False,
    mirrored: bool = False,
) -> Iterator[torch.Tensor]:
    """The middle of the picture of every row, in order: uint8 [b, 3, size, size] in channels_last layout.

    `again` tells that pictures of `cache` will be asked for again, so that a GPU may keep them all. With `mirrored`
    left and right are exchanged.
    """
    device = torch.device(device)
    if mirrored:
        plain = eval_batches(
            cache, rows, batch_size=batch_size, image_size=image_size, device=device, again=again
        )
        return (pictures.flip(3) for pictures in plain)
    parts = [slice(start, start + batch_size) for start in range(0, len(rows), batch_size)]
    if again and draws_itself(device) and resident(cache, device) is not None:
        return overlapped(cropped(cache, rows, parts, image_size, device), device)

    def prepare(span: slice) -> torch.Tensor:
        pictures = centre_crop([cache[int(row)] for row in rows[span]], image_size)
        return send(torch.from_numpy(pictures), device).permute(0, 3, 1, 2)

    return overlapped(map(prepare, parts), device)


def normalise(images: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """`images` uint8 [b, 3, h, w] as float32 in channels_last layout, (x / 255 - mean) / std a channel."""
    centre, scale = _constants(tuple(mean), tuple(std), images.device)
    return images.to(torch.float32, memory_format=torch.channels_last).sub_(centre).mul_(scale)


@functools.cache
def _constants(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and 1 / std of pixels from 0 to 255, [1, c, 1, 1] each, held on the device from the first batch on."""
    shape = (1, len(mean), 1, 1)
    # Not as tensors of inference mode, in which validation may ask first.
    with torch.inference_mode(False):
        centre = torch.tensor(mean).reshape(shape) * 255.0
        scale = 1.0 / (torch.tensor(std).reshape(shape) * 255.0)
        return centre.to(device), scale.to(device)


def epoch_order(labels: Rows, sampler: str, trial_seed: int, epoch: int) -> Rows:
    """Positions in `labels` in the order of training: each once, or drawn by inverse class frequency."""
    random = np.random.default_rng((trial_seed, epoch))
    if sampler == "shuffle":
        return random.permutation(len(labels))
    share = 1.0 / np.bincount(labels)[labels]
    return random.choice(len(labels), size=len(labels), replace=True, p=share / share.sum())


def spans(num_images: int, batch_size: int) -> list[slice]:
    """Where each batch lies; a last one of a single image joins the one before."""
    starts = list(range(0, num_images, batch_size))
    if len(starts) > 1 and num_images - starts[-1] == 1:
        starts.pop()
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], num_images], strict=True)]


def _numbers(drawn: Rows, turns: Rows, num_images: int, run_seed: int, epoch: int) -> Floats:
    """The random numbers of each drawn row, [len(drawn), 16]."""
    turns = turns % MAX_OCCURRENCES
    numbers = np.empty((len(drawn), len(NUMBERS)))
    for turn in np.unique(turns).tolist():
        now = turns == turn
        numbers[now] = draw(num_images, run_seed, epoch, turn)[drawn[now]]
    return numbers


def occurrences(drawn: Rows) -> Rows:
    """How often each entry came before in `drawn`."""
    by_row = np.argsort(drawn, kind="stable")
    ordered = drawn[by_row]
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(drawn) else np.zeros(0, dtype=bool)
    starts = np.maximum.accumulate(np.where(new, np.arange(len(drawn)), 0))
    counts = np.empty(len(drawn), np.int64)
    counts[by_row] = np.arange(len(drawn)) - starts
    return counts
