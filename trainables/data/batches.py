"""Batches of pixels for a trial, the next prepared while the present one trains.

The way through pinned memory to a device was not run on a GPU.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch

from trainables import augmentations
from trainables.data.augment import (
    MAX_OCCURRENCES,
    NUMBERS,
    Floats,
    augment,
    augment_on_device,
    draw,
)
from trainables.data.cache import ImageCache
from trainables.data.decode import Pixels
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
Item = TypeVar("Item")

_AHEAD = 2
_PATIENCE_S = 0.05


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
    chosen = torch.from_numpy(labels[order].astype(np.int64))
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
        yield images, send(chosen[span], device)


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

    def prepare(span: slice) -> torch.Tensor:
        return _augmented([cache[int(row)] for row in rows[span]], numbers[span], image_size, device, policy)

    return ahead(map(prepare, spans(len(rows), batch_size)))


def eval_batches(
    cache: ImageCache, rows: Rows, *, batch_size: int, image_size: int, device: torch.device | str
) -> Iterator[torch.Tensor]:
    """The middle of the picture of every row, in order: uint8 [b, 3, size, size] in channels_last layout."""
    device = torch.device(device)

    def prepare(start: int) -> torch.Tensor:
        pictures = centre_crop([cache[int(row)] for row in rows[start : start + batch_size]], image_size)
        return send(torch.from_numpy(pictures), device).permute(0, 3, 1, 2)

    return ahead(map(prepare, range(0, len(rows), batch_size)))


def normalise(images: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """`images` uint8 [b, 3, h, w] as float32 in channels_last layout, (x / 255 - mean) / std a channel."""
    shape = (1, len(mean), 1, 1)
    centre = torch.tensor(mean, device=images.device).reshape(shape) * 255.0
    scale = 1.0 / (torch.tensor(std, device=images.device).reshape(shape) * 255.0)
    return images.to(torch.float32, memory_format=torch.channels_last).sub_(centre).mul_(scale)


def epoch_order(labels: Rows, sampler: str, trial_seed: int, epoch: int) -> Rows:
    """Positions in `labels` in the order of training: each once, or drawn by inverse class frequency."""
    random = np.random.default_rng((trial_seed, epoch))
    if sampler == "shuffle":
        return random.permutation(len(labels))
    share = 1.0 / np.bincount(labels)[labels]
    return random.choice(len(labels), size=len(labels), replace=True, p=share / share.sum())


def ahead(source: Iterator[Item]) -> Iterator[Item]:
    """The items of `source`, made by one background thread at most two ahead.

    An exception of `source` is raised here. The thread ends when the reader closes or drops the iterator.
    """
    items: queue.Queue[tuple[str, Item | BaseException | None]] = queue.Queue(_AHEAD)
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(source, items, stop), name="batches", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = items.get()
            if kind == "end":
                return
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()


def _produce(
    source: Iterator[Item],
    items: "queue.Queue[tuple[str, Item | BaseException | None]]",
    stop: threading.Event,
) -> None:
    def hand_over(kind: str, item: Item | BaseException | None = None) -> bool:
        while not stop.is_set():
            try:
                items.put((kind, item), timeout=_PATIENCE_S)
                return True
            except queue.Full:
                continue
        return False

    try:
        for item in source:
            if not hand_over("item", item):
                return
        hand_over("end")
    except BaseException as error:
        hand_over("error", error)


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


def _augmented(
    images: list[Pixels], numbers: Floats, size: int, device: torch.device, policy: augmentations.Policy
) -> torch.Tensor:
    if device.type != "cuda":
        # A Mac's GPU does not sample beyond an image's border as the augmentation needs it.
        return send(torch.from_numpy(augment(images, numbers, size, policy)), device).permute(0, 3, 1, 2)
    return augment_on_device(images, numbers, size, device, policy).contiguous(
        memory_format=torch.channels_last
    )


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """`tensor` on `device`, on its way through pinned memory where there is a GPU."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
