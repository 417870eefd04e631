import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from trainables.data.ahead import ahead
from trainables.data.batches import epoch_order, eval_batches, normalise, train_batches
from trainables.data.cache import ImageCache, build_cache
from tuner.dataset.reading.scan import scan

Settings = dict[str, object]


@pytest.fixture
def cache(two_classes: Path) -> ImageCache:
    images = scan(two_classes).images
    return ImageCache.open(build_cache(two_classes, [i.path for i in images], [i.pixels for i in images], 14))


SETTINGS: Settings = {
    "epoch": 1,
    "run_seed": 0,
    "trial_seed": 0,
    "batch_size": 5,
    "image_size": 14,
    "sampler": "shuffle",
    "device": "cpu",
}


def epoch_of(cache: ImageCache, **changed: object) -> list[tuple[torch.Tensor, torch.Tensor]]:
    rows = np.arange(2, 23)
    return list(train_batches(cache, rows, rows * 10, **(SETTINGS | changed)))


def pictures_by_row(cache: ImageCache, **changed: object) -> dict[int, list[torch.Tensor]]:
    found: dict[int, list[torch.Tensor]] = {}
    for pictures, labels in epoch_of(cache, **changed):
        for picture, label in zip(pictures, labels.tolist(), strict=True):
            found.setdefault(label // 10, []).append(picture)
    return found


def test_an_epoch_shows_every_image_once_and_no_image_alone(cache: ImageCache) -> None:
    batches = epoch_of(cache)
    assert [len(labels) for _, labels in batches] == [5, 5, 5, 6]
    assert sorted(torch.cat([labels for _, labels in batches]).tolist()) == [10 * r for r in range(2, 23)]
    pictures, labels = batches[0]
    assert pictures.shape == (5, 3, 14, 14)
    assert (pictures.dtype, labels.dtype) == (torch.uint8, torch.int64)
    assert pictures.is_contiguous(memory_format=torch.channels_last)


def test_a_lone_image_is_a_batch(cache: ImageCache) -> None:
    (batch,) = train_batches(cache, np.array([3]), np.array([0]), **SETTINGS)
    assert len(batch[0]) == 1


def test_the_order_follows_from_the_trial_and_the_pictures_from_the_run(cache: ImageCache) -> None:
    first = pictures_by_row(cache, trial_seed=1)
    second = pictures_by_row(cache, trial_seed=2, batch_size=7)
    assert list(first) != list(second)
    assert all((first[row][0] == second[row][0]).all() for row in first)
    assert list(pictures_by_row(cache, trial_seed=1, run_seed=9)) == list(first)
    for changed in ({"run_seed": 9}, {"epoch": 2}):
        other = pictures_by_row(cache, **changed)
        assert sum(bool((first[row][0] == other[row][0]).all()) for row in first) == 0


def test_an_image_drawn_again_is_augmented_anew_and_alike_in_every_trial(cache: ImageCache) -> None:
    labels = np.array([0] * 20 + [1])

    def drawn(trial_seed: int) -> list[torch.Tensor]:
        rows = np.arange(21)
        batches = train_batches(
            cache, rows, labels, **(SETTINGS | {"sampler": "weighted", "trial_seed": trial_seed})
        )
        return [x for xs, ys in batches for x, y in zip(xs, ys.tolist(), strict=True) if y == 1]

    first, second = drawn(1), drawn(2)
    assert min(len(first), len(second)) >= 3
    assert (first[0] != first[1]).any()
    assert all((a == b).all() for a, b in zip(first, second, strict=False))


def test_the_weighted_sampler_draws_classes_equally_often() -> None:
    labels = np.array([0] * 900 + [1] * 90 + [2] * 10)
    order = epoch_order(labels, "weighted", 0, 1)
    assert len(order) == 1000
    assert np.abs(np.bincount(labels[order]) - 333).max() < 60
    assert (order != epoch_order(labels, "weighted", 0, 2)).any()


def test_evaluation_shows_the_middle_of_each_row_in_order(cache: ImageCache) -> None:
    rows = np.array([5, 0, 17])
    first, second = eval_batches(cache, rows, batch_size=2, image_size=14, device="cpu")
    assert (first.shape, second.shape) == ((2, 3, 14, 14), (1, 3, 14, 14))
    expected = cache[17][1:15, 2:16]
    assert (second[0].permute(1, 2, 0).numpy() == expected).all()


def test_normalising_is_that_of_torchvision() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8, generator=torch.manual_seed(0))
    out = normalise(pixels, mean, std)
    column = torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None]
    torch.testing.assert_close(out, (pixels / 255 - column[0]) / column[1])
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_mean_and_deviation_are_made_once_and_held_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    with torch.inference_mode():
        first = normalise(pixels, (0.4, 0.5, 0.6), (0.2, 0.2, 0.2))

    def fail(*given: object, **named: object) -> torch.Tensor:
        raise AssertionError("a constant was made again")

    monkeypatch.setattr(torch, "tensor", fail)
    again = normalise(pixels, [0.4, 0.5, 0.6], [0.2, 0.2, 0.2])
    assert (first == again).all()
    assert not again.is_inference()


def workers() -> int:
    return sum(thread.name == "batches" for thread in threading.enumerate())


def count(made: list[int], until: int = 1000) -> Iterator[int]:
    for i in range(until):
        made.append(i)
        yield i


def test_the_next_items_are_made_while_the_first_is_used_but_not_all() -> None:
    made: list[int] = []
    items = ahead(count(made))
    assert next(items) == 0
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(made) == 4  # one in use, two waiting, one in the maker's hand
    items.close()


@pytest.mark.parametrize("leave", ["close", "drop"])
def test_the_thread_ends_when_the_reader_leaves(leave: str) -> None:
    before = workers()
    items = ahead(count([]))
    next(items)
    assert workers() == before + 1
    if leave == "close":
        items.close()
    del items
    gc.collect()
    assert workers() == before


def test_an_exception_in_the_thread_reaches_the_reader() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("spoilt")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(KeyError, match="spoilt"):
        next(items)
    assert list(ahead(iter(range(10)))) == list(range(10))


def test_the_numbers_of_many_repeats_cost_no_table_each(cache: ImageCache) -> None:
    rows, labels = np.arange(24), np.array([0] * 23 + [1])
    many = np.concatenate([rows] * 40)
    batches = train_batches(cache, many, np.tile(labels, 40), **(SETTINGS | {"batch_size": 512}))
    assert sum(len(y) for _, y in batches) == 960
