"""Whoever shows an image to a model shows it the same pixels, however odd the file is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.data.batches import eval_batches, normalise
from trainables.data.cache import ImageCache, build_cache
from trainables.data.decode import read_rgb
from trainables.data.preprocessing import cache_side, centre_crop, fit, picture
from trainables.errors import InvalidValue
from trainables.models import create
from tuner.release.folder import ModelSpec
from tuner.release.portable import Portable

SIZE = 32
SIDE = cache_side(SIZE)


def noise(height: int, width: int, channels: int = 3, bits: int = 8) -> np.ndarray:
    kind = np.uint16 if bits == 16 else np.uint8
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(height * width).integers(0, 2**bits, shape, dtype=kind)


def rotated(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(40, 70)).save(path, exif=exif)


def see_through_palette(path: Path) -> None:
    image = Image.fromarray(noise(45, 60)).quantize(16)
    image.save(path, transparency=3)


ODD: dict[str, Callable[[Path], None]] = {
    "plain.png": lambda path: Image.fromarray(noise(50, 61)).save(path),
    "grey.jpg": lambda path: Image.fromarray(noise(50, 61, 1)).save(path),
    "cmyk.jpg": lambda path: Image.fromarray(noise(50, 61, 4), "CMYK").save(path),
    "sixteen-bits.png": lambda path: Image.fromarray(noise(50, 61, 1, bits=16)).save(path),
    "sixteen-bits.tif": lambda path: Image.fromarray(noise(41, 37, 1, bits=16)).save(path),
    "floats.tif": lambda path: Image.fromarray(noise(50, 61, 1).astype(np.float32) / 255).save(path),
    "one-bit.png": lambda path: Image.fromarray(noise(50, 61, 1) > 99).save(path),
    "transparent.png": lambda path: Image.fromarray(noise(64, 33, 4)).save(path),
    "transparent.webp": lambda path: Image.fromarray(noise(33, 64, 4)).rotate(90).save(path, lossless=True),
    "palette.png": see_through_palette,
    "rotated.jpg": rotated,
    "strip.png": lambda path: Image.fromarray(noise(9, 300)).save(path),
    "tower.png": lambda path: Image.fromarray(noise(333, 10)).save(path),
    "one-pixel.png": lambda path: Image.fromarray(noise(1, 1)).save(path),
    "exact.png": lambda path: Image.fromarray(noise(SIDE, SIDE)).save(path),
    "odd-margin.png": lambda path: Image.fromarray(noise(SIDE, SIDE + 1)).save(path),
}


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    for name, save in ODD.items():
        save(tmp_path / name)
    return tmp_path


@pytest.mark.filterwarnings("ignore:.*'mode' parameter is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Palette images with Transparency:UserWarning")
def test_training_and_prediction_see_the_same_pixels_of_odd_images(odd: Path) -> None:
    names = sorted(ODD)
    cache = ImageCache.open(build_cache(odd, names, names, SIZE, cache_dir=odd / "cache"))
    batches = eval_batches(cache, cache.rows(names), batch_size=5, image_size=SIZE, device="cpu")
    trained = torch.cat(list(batches)).permute(0, 2, 3, 1).numpy()
    predicted = np.stack([picture(read_rgb(odd / name), SIZE, SIDE) for name in names])
    for name, one, other in zip(names, trained, predicted, strict=True):
        assert (one == other).all(), name
    assert len(np.unique(trained.reshape(len(names), -1), axis=0)) == len(names)


def test_the_exported_module_normalises_as_training_does() -> None:
    classifier = create("resnet18", 2).eval()
    seen: list[torch.Tensor] = []
    classifier.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    pictures = torch.from_numpy(np.stack([noise(SIZE, SIZE), np.zeros((SIZE, SIZE, 3), np.uint8)]))
    pictures[1, :, :16] = 255
    with torch.inference_mode():
        Portable(classifier)(pictures)
    ours = normalise(pictures.permute(0, 3, 1, 2), classifier.mean, classifier.std)
    torch.testing.assert_close(seen[0], ours, rtol=0, atol=2e-6)
    spec = ModelSpec("resnet18", ("a", "b"), SIZE, SIDE, classifier.mean, classifier.std)
    assert ModelSpec.from_json(spec.to_json(), "labels.json") == spec


def test_the_centre_crop_takes_the_middle_and_refuses_less() -> None:
    wide = noise(72, 100)
    assert (centre_crop([wide], 64)[0] == wide[4:68, 18:82]).all()
    with pytest.raises(InvalidValue, match="can't be cropped to 80"):
        centre_crop([wide], 80)


def test_what_is_cut_out_is_the_middle_of_what_is_stored() -> None:
    stored = fit(noise(50, 61), SIDE)
    assert stored.shape[0] == SIDE
    assert (picture(noise(50, 61), SIZE, SIDE) == centre_crop([stored], SIZE)[0]).all()
