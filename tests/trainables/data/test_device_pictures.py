"""Pictures that a device draws itself, with the CPU as the device."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import trial_data, write_pictures

from trainables.config import CROP, FITS, TrialConfig
from trainables.data import batches, device_pictures
from trainables.data.batches import eval_batches, train_batches
from trainables.data.cache import ImageCache, build_cache
from trainables.data.device_pictures import resident
from trainables.errors import InvalidValue
from trainables.frozen_features import FeatureCache, FeatureKey
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun

CPU = torch.device("cpu")
ROWS = np.array([7, 1, 4, 0, 9, 3, 8])
LABELS = np.array([0, 1, 1, 0, 1, 0, 1])


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    """Pictures of several shapes."""
    return cached(tmp_path)


def cached(tmp_path: Path, fit: str = CROP) -> ImageCache:
    tall = write_pictures(tmp_path / "pictures", {"tall": 5}, side=40)
    paths = [*tall, *write_pictures(tmp_path / "pictures", {"small": 5}, side=36)]
    import cv2

    for number, path in enumerate(tall):
        picture = cv2.imread(str(tmp_path / "pictures" / path))
        cv2.imwrite(str(tmp_path / "pictures" / path), picture[: 20 + 5 * number])
    return ImageCache.open(build_cache(tmp_path / "pictures", paths, paths, 28, fit=fit, cache_dir=tmp_path))


@pytest.fixture(params=["all of them there", "a batch at a time"])
def device(request, monkeypatch):
    """The CPU as if it drew pictures itself, with room for all of them or for none."""
    room = 10**9 if request.param == "all of them there" else 0
    monkeypatch.setattr(batches, "draws_itself", lambda device: True)
    monkeypatch.setattr(device_pictures, "_free_bytes", lambda device: room)
    resident.cache_clear()
    yield CPU
    resident.cache_clear()


def epoch(cache, **changed):
    settings = {"epoch": 1, "run_seed": 0, "trial_seed": 0, "batch_size": 3, "image_size": 28}
    settings |= {"sampler": "shuffle", "device": CPU, **changed}
    return list(train_batches(cache, ROWS, LABELS, **settings))


@pytest.mark.parametrize("fit", FITS)
def test_an_epoch_shows_what_the_processor_would_within_interpolation_error(
    tmp_path, fit, device, monkeypatch
):
    cache = cached(tmp_path, fit)
    there = epoch(cache)
    with monkeypatch.context() as usual:
        usual.setattr(batches, "draws_itself", lambda device: False)
        here = epoch(cache)
    assert [len(labels) for _, labels in there] == [3, 4]
    for (drawn, labels), (expected, same) in zip(there, here, strict=True):
        assert labels.tolist() == same.tolist()
        assert (drawn.dtype, drawn.shape) == (torch.uint8, expected.shape)
        assert drawn.is_contiguous(memory_format=torch.channels_last)
        difference = (drawn.int() - expected.int()).abs()
        assert difference.max() <= 8
        assert difference.float().mean() < 0.7


def test_both_ways_draw_the_very_same_pictures(cache, monkeypatch):
    found = []
    for room in (10**9, 0):
        monkeypatch.setattr(batches, "draws_itself", lambda device: True)
        monkeypatch.setattr(device_pictures, "_free_bytes", lambda device, room=room: room)
        resident.cache_clear()
        assert (resident(cache, CPU) is None) == (room == 0)
        found.append(torch.cat([drawn for drawn, _ in epoch(cache)]))
    resident.cache_clear()
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("again", [True, False])
def test_the_middle_of_every_picture_is_exactly_the_processors(tmp_path, fit, device, again):
    cache = cached(tmp_path, fit)

    def crops():
        return torch.cat(
            list(eval_batches(cache, ROWS, batch_size=3, image_size=28, device=CPU, again=again))
        )

    found = crops()
    resident.cache_clear()
    expected = torch.cat(list(eval_batches(cache, ROWS, batch_size=3, image_size=28, device="cpu")))
    assert (found == expected).all()
    with pytest.raises(InvalidValue, match="can't be cropped to 33"):
        list(eval_batches(cache, ROWS, batch_size=3, image_size=33, device=CPU, again=again))


def test_all_pictures_are_sent_once_a_process_and_no_more_than_a_share_of_the_free_memory(cache, monkeypatch):
    size = cache.pixels.size
    resident.cache_clear()
    monkeypatch.setattr(device_pictures, "PIECE", 100)
    monkeypatch.setattr(device_pictures, "_free_bytes", lambda device: 10 * size)
    held = resident(cache, CPU)
    assert (held.numpy() == cache.pixels).all()
    assert resident(cache, CPU) is held
    resident.cache_clear()
    monkeypatch.setattr(device_pictures, "_free_bytes", lambda device: 10 * size - 1)
    assert resident(cache, CPU) is None
    resident.cache_clear()


def test_where_a_neighbour_was_quicker_to_take_the_memory_batches_are_sent(cache, monkeypatch):
    class Full:
        def send(self, *given):
            raise torch.OutOfMemoryError("CUDA out of memory")

    released = []
    resident.cache_clear()
    monkeypatch.setattr(device_pictures, "_free_bytes", lambda device: 10**9)
    monkeypatch.setattr(device_pictures, "ring_of", lambda device: Full())
    monkeypatch.setattr(device_pictures, "release_memory", lambda: released.append(True))
    assert resident(cache, CPU) is None
    assert released == [True]
    resident.cache_clear()


def test_one_long_picture_costs_a_batch_no_more_than_itself(tmp_path, monkeypatch):
    paths = write_pictures(tmp_path / "pictures", {"wide": 3}, side=32)
    import cv2

    wide = np.full((32, 320, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "pictures" / paths[0]), wide)
    cache = ImageCache.open(build_cache(tmp_path / "pictures", paths, paths, 28, cache_dir=tmp_path))
    sent, ring = [], device_pictures.ring_of(CPU)
    monkeypatch.setattr(batches, "draws_itself", lambda device: True)

    class Noted:
        def send(self, shape, *given):
            sent.append(shape)
            return ring.send(shape, *given)

    monkeypatch.setattr(device_pictures, "ring_of", lambda device: Noted())
    rows = np.arange(3)
    resident.cache_clear()
    list(
        train_batches(
            cache, rows, rows, epoch=1, run_seed=0, trial_seed=0, batch_size=3, image_size=28,
            sampler="shuffle", device=CPU,
        )
    )  # fmt: skip
    assert sent == [(32 * 32 * 2 + 32 * 128, 3)]


def test_a_cache_knows_where_each_picture_lies(cache):
    for row, (begin, height, width) in enumerate(cache.places.tolist()):
        picture = cache.pixels[begin : begin + height * width].reshape(height, width, 3)
        assert (picture == cache[row]).all()


@pytest.mark.parametrize("strategy", ["full", "feature_extractor"])
def test_a_trial_on_pictures_of_the_device_is_near_one_on_the_processors(
    tmp_path, device, monkeypatch, strategy
):
    data = trial_data(tmp_path)
    config = TrialConfig.resolve(
        {"model": "resnet18", "strategy": strategy, "batch_size": 8, "max_epochs": 2, "learning_rate": 1e-6}
    )

    def trained(folder: str):
        key = FeatureKey("resnet18", "none", 0, data.cache.path.name, 32, "fp32", folder)
        features = FeatureCache(key, data.cache, CPU, 2**30, tmp_path / folder)
        run = TrainingRun(config, data, ComputeConfig(32), features)
        return list(run.epochs())

    there = trained("there")
    monkeypatch.setattr(batches, "draws_itself", lambda device: False)
    for one, other in zip(there, trained("here"), strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=0.05)
        assert (one.epoch, one.trainable_parameters) == (other.epoch, other.trainable_parameters)


@pytest.mark.parametrize("batch_size", [7, 2])
def test_pictures_that_are_all_there_are_sent_no_more_and_an_epoch_sends_its_numbers_once(
    cache, monkeypatch, batch_size
):
    sent, send = [], device_pictures.send
    monkeypatch.setattr(batches, "draws_itself", lambda device: True)
    monkeypatch.setattr(device_pictures, "_free_bytes", lambda device: 10**9)
    resident.cache_clear()
    resident(cache, CPU)
    monkeypatch.setattr(
        device_pictures, "send", lambda tensor, to: sent.append(len(tensor)) or send(tensor, to)
    )
    monkeypatch.setattr(device_pictures, "ring_of", lambda device: pytest.fail("sent a batch"))
    monkeypatch.setattr(ImageCache, "__getitem__", lambda *_: pytest.fail("read a picture"))
    epoch(cache, batch_size=batch_size)
    resident.cache_clear()
    assert sent == [len(ROWS)] * 2
