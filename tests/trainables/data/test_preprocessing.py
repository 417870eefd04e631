"""Whoever shows an image to a model shows it the same pixels, however odd the file is."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.config import FITS
from trainables.data.batches import eval_batches, normalise
from trainables.data.cache import ImageCache, build_cache
from trainables.data.decode import read_rgb
from trainables.data.preprocessing import (
    MEAN_COLOUR,
    cache_side,
    centre_crop,
    fitted,
    picture,
    square_in_words,
)
from trainables.errors import InvalidValue, RunProblem
from trainables.models import create
from tuner.dataset.reading import sample
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
@pytest.mark.parametrize("fit", FITS)
def test_training_and_prediction_see_the_same_pixels_of_odd_images(odd: Path, fit: str) -> None:
    names, side = sorted(ODD), cache_side(SIZE, fit)
    cache = ImageCache.open(build_cache(odd, names, names, SIZE, fit=fit, cache_dir=odd / "cache"))
    batches = eval_batches(cache, cache.rows(names), batch_size=5, image_size=SIZE, device="cpu")
    trained = torch.cat(list(batches)).permute(0, 2, 3, 1).numpy()
    predicted = np.stack([picture(read_rgb(odd / name), SIZE, side, fit) for name in names])
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
    stored = fitted(noise(50, 61), SIDE)
    assert stored.shape[0] == SIDE
    assert (picture(noise(50, 61), SIZE, SIDE) == centre_crop([stored], SIZE)[0]).all()


RED, GREEN, BLUE = (200, 10, 10), (10, 200, 10), (10, 10, 200)


def flag(height: int, width: int) -> np.ndarray:
    """Red, green and blue thirds along the longer side; of a square from left to right."""
    long = np.repeat(np.array([RED, GREEN, BLUE], np.uint8), max(height, width) // 3, axis=0)
    across = np.repeat(long[None], min(height, width), axis=0)
    return across.transpose(1, 0, 2) if height > width else across


def upright(pixels: np.ndarray, tall: bool) -> np.ndarray:
    return pixels.transpose(1, 0, 2) if tall else pixels


def seen(pixels: np.ndarray, fit: str) -> np.ndarray:
    return picture(pixels, 48, cache_side(48, fit), fit)


def colours(line: np.ndarray) -> list[tuple[int, ...]]:
    """The colours of a line of pixels in their order, without those that two of them mix to."""
    plain = [tuple(pixel) for pixel in line.tolist() if tuple(pixel) in {RED, GREEN, BLUE, MEAN_COLOUR}]
    return [one for one, before in zip(plain, [None, *plain], strict=False) if one != before]


@pytest.mark.parametrize("tall", [False, True])
def test_of_a_long_picture_crop_sees_the_middle_squash_the_whole_and_pad_the_whole_with_bars(
    tall: bool,
) -> None:
    shown = upright(flag(96, 288), False) if not tall else flag(288, 96)
    crop, squash, pad = (upright(seen(shown, fit), tall) for fit in FITS)
    assert crop.shape == squash.shape == pad.shape == (48, 48, 3)
    assert (crop == GREEN).all()
    assert colours(squash[24]) == [RED, GREEN, BLUE]
    assert (squash == squash[0]).all()
    assert colours(pad[24]) == [RED, GREEN, BLUE]
    assert (pad[16:32] == pad[24]).all()
    assert (np.concatenate([pad[:16], pad[32:]]) == MEAN_COLOUR).all()


def test_of_a_square_squash_and_pad_see_all_and_crop_loses_the_border() -> None:
    framed = np.full((96, 96, 3), 200, np.uint8)
    framed[3:-3, 3:-3] = 10
    crop, squash, pad = (seen(framed, fit) for fit in FITS)
    assert (squash == pad).all()
    assert crop.max() == 10
    assert squash[0].min() > 150


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 1000), (1000, 1), (47, 48), (48, 48), (55, 55), (9, 7)])
def test_every_shape_becomes_a_square(fit: str, shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 77, np.uint8)
    found = seen(pixels, fit)
    assert found.shape == (48, 48, 3)
    assert (found == 77).all(2).any()
    if fit != "pad":
        assert (found == 77).all()


def test_a_picture_of_the_models_own_size_is_left_as_it_is_where_nothing_is_cut() -> None:
    own = noise(48, 48)
    assert (seen(own, "squash") == own).all()
    assert (seen(own, "pad") == own).all()


@pytest.mark.parametrize("fit", FITS)
def test_what_is_stored_is_what_is_cut_from(fit: str) -> None:
    side = cache_side(SIZE, fit)
    stored = fitted(noise(50, 61), side, fit)
    assert stored.shape == ((SIDE, 45, 3) if fit == "crop" else (SIZE, SIZE, 3))
    assert (picture(noise(50, 61), SIZE, side, fit) == centre_crop([stored], SIZE)[0]).all()


@pytest.mark.parametrize("fit", FITS)
def test_a_model_says_in_numbers_and_words_how_it_makes_squares(fit: str) -> None:
    side = cache_side(224, fit)
    spec = ModelSpec("resnet18", ("a", "b"), 224, side, (0.5,) * 3, (0.5,) * 3, fit=fit)
    again = ModelSpec.from_json(spec.to_json(), "labels.json")
    assert again == spec
    assert (again.picture(noise(50, 61)) == picture(noise(50, 61), 224, side, fit)).all()
    words = json.loads(spec.to_json())["preprocessing"]
    assert words == square_in_words(224, side, fit)
    assert words.startswith(f"{fit}: ")
    assert str(side) in words


def test_a_model_from_before_there_was_a_choice_crops() -> None:
    spec = ModelSpec("resnet18", ("a", "b"), SIZE, SIDE, (0.5,) * 3, (0.5,) * 3)
    old = {name: value for name, value in json.loads(spec.to_json()).items() if name not in NEW}
    assert ModelSpec.from_json(json.dumps(old), "labels.json") == spec
    assert spec.fit == "crop"
    with pytest.raises(
        RunProblem, match=r"labels.json .* fit is 'sqash', which is none of crop, squash, pad"
    ):
        ModelSpec.from_json(json.dumps({**old, "fit": "sqash"}), "labels.json")


NEW = ("fit", "preprocessing")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some of the sample pictures: all views of two leaves of each class."""
    folder = tmp_path_factory.mktemp("sample") / "leaves"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "LEAVES", dict.fromkeys(sample.LEAVES, 2))
        sample.write_sample(folder)
    return folder


@pytest.mark.parametrize("fit", FITS)
def test_the_drawn_sample_pictures_are_seen_alike_in_training_and_prediction(
    fit: str, drawn: Path, tmp_path: Path
) -> None:
    paths = sorted(path.relative_to(drawn).as_posix() for path in drawn.rglob("*.jpg"))
    cache = ImageCache.open(build_cache(drawn, paths, paths, 48, fit=fit, cache_dir=tmp_path))
    trained = centre_crop([cache[row] for row in range(len(cache))], 48)
    predicted = np.stack([seen(read_rgb(drawn / path), fit) for path in paths])
    assert len(paths) == 24
    assert (trained == predicted).all()
