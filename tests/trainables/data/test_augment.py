from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from trainables import augmentations
from trainables.augmentations import Policy
from trainables.data.augment import ERASED, NUMBERS, OPERATIONS, augment, draw
from trainables.data.augment_on_device import crop_on_device, draw_on_device, drawings
from trainables.data.preprocessing import centre_crop

STILL = {
    "crop_scale": 1.0,
    "crop_ratio": 0.5,
    "crop_x": 0.5,
    "crop_y": 0.5,
    "flip": 0.9,
    "rotation": 0.5,
    "affine_rotation": 0.5,
    "translate_x": 0.5,
    "translate_y": 0.5,
    "affine_scale": 0.5,
    "jitter": 0.9,
    "brightness": 0.5,
    "contrast": 0.5,
    "saturation": 0.5,
    "hue": 0.5,
    "sigma": 0.0,
    "quarter_turn": 0.1,
    "shear_x": 0.5,
    "shear_y": 0.5,
    "operation": 0.0,
    "erase": 0.9,
    "erase_area": 0.5,
    "erase_ratio": 0.5,
    "erase_x": 0.5,
    "erase_y": 0.5,
}
"""Numbers that leave a square picture as it is."""

MODERATE = augmentations.get("moderate")
STUDY = augmentations.get("study")
EVERYTHING = replace(MODERATE, quarter_turns=True, shear=0.3, erase=0.5)


@pytest.fixture(params=augmentations.names())
def policy(request: pytest.FixtureRequest) -> Policy:
    return augmentations.get(request.param)


def numbers(**changed: float) -> np.ndarray:
    return np.array([[(STILL | changed)[name] for name in NUMBERS]])


def smooth(side: int = 64, seed: int = 0, width: int | None = None) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width or side, side), interpolation=cv2.INTER_CUBIC))


def one(image: np.ndarray, size: int = 64, policy: Policy = MODERATE, **changed: float) -> np.ndarray:
    return augment([image], numbers(**changed), size, policy)[0]


def test_numbers_follow_from_the_seeds_and_an_images_own_place() -> None:
    few, many = draw(3, 7, 2, 1), draw(500, 7, 2, 1)
    assert few.shape == (3, len(NUMBERS))
    assert (few == many[:3]).all()
    assert ((many >= 0) & (many < 1)).all()
    for other in (draw(3, 8, 2, 1), draw(3, 7, 3, 1), draw(3, 7, 2, 2)):
        assert not np.isclose(few, other).any()


def test_the_middle_of_all_numbers_leaves_the_picture_as_it_is() -> None:
    assert (one(smooth()) == smooth()).all()


def test_flipping_mirrors_left_and_right() -> None:
    assert (one(smooth(), flip=0.1) == smooth()[:, ::-1]).all()


def test_turning_agrees_with_an_opencv_rotation() -> None:
    picture = smooth()
    centre = (31.5, 31.5)
    for numbers_of, degrees in (({"rotation": 1.0}, 15), ({"rotation": 0.0, "affine_rotation": 0.0}, -30)):
        # torchvision and OpenCV count angles in opposite senses
        turn = cv2.getRotationMatrix2D(centre, -degrees, 1.0)
        expected = cv2.warpAffine(picture, turn, (64, 64), borderMode=cv2.BORDER_REFLECT_101)
        assert np.abs(one(picture, **numbers_of).astype(int) - expected).max() <= 3


def test_shifting_moves_by_a_tenth_of_the_side_and_scaling_by_a_tenth_of_the_size() -> None:
    picture = smooth(60)
    shifted = one(picture, size=60, translate_x=1.0, translate_y=0.0)
    assert (shifted[:-6, 6:] == picture[6:, :-6]).all()
    larger = one(picture, size=60, affine_scale=1.0)
    expected = cv2.resize(picture[3:57, 3:57], (60, 60), interpolation=cv2.INTER_LINEAR)
    assert np.abs(larger.astype(int)[8:-8, 8:-8] - expected[8:-8, 8:-8]).mean() < 3


def test_the_crop_takes_half_the_area_where_it_was_told() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:46, :46] = 250
    assert one(picture, crop_scale=0.0, crop_x=0.0, crop_y=0.0)[:60, :60].min() > 230
    assert one(picture, crop_scale=0.0, crop_x=1.0, crop_y=1.0)[44:, 44:].max() == 0


def test_colours_follow_their_formulas() -> None:
    picture = np.full((64, 64, 3), (100, 150, 50), np.uint8)
    picture[:, 32:] = (60, 60, 60)
    luma = np.array([0.299, 0.587, 0.114])
    mean = (picture @ luma).mean()
    brighter = one(picture, jitter=0.0, brightness=1.0)
    assert np.abs(brighter - picture * 1.2).max() <= 1
    contrasted = one(picture, jitter=0.0, contrast=0.0)
    assert np.abs(contrasted[:, :31] - (picture * 0.8 + mean * 0.2)[:, :31]).max() <= 1
    paler = one(picture, jitter=0.0, saturation=0.0)
    assert np.abs(paler[:, :31] - (picture * 0.8 + (picture @ luma)[..., None] * 0.2)[:, :31]).max() <= 1
    turned = one(picture, jitter=0.0, hue=1.0).astype(float)
    assert (np.abs(turned[:, 40:] - 60) <= 1).all()
    assert np.abs((turned - picture) @ luma).max() <= 1
    hues = [
        cv2.cvtColor(x[None, None], cv2.COLOR_RGB2HSV)[0, 0, 0]
        for x in (picture[0, 0], turned[0, 0].astype(np.uint8))
    ]
    assert 5 <= int(hues[1]) - int(hues[0]) <= 13  # OpenCV counts half degrees: 9 is 0.05 of the circle


def test_colours_stay_where_the_coin_says_so() -> None:
    assert (one(smooth(), jitter=0.5, brightness=1.0, hue=0.0) == smooth()).all()


def test_blur_is_a_gaussian_of_three_taps() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = cv2.GaussianBlur(picture, (3, 3), 2.0)
    assert np.abs(one(picture, sigma=1.0).astype(int) - expected).max() <= 1


def on_device(images: Sequence[np.ndarray], drawn: np.ndarray, size: int, policy: Policy) -> torch.Tensor:
    """The pictures as a device draws them, which is the CPU here."""
    pixels, places = back_to_back(images)
    how = drawings(places[:, 1:].numpy(), drawn, size, policy)
    table = torch.from_numpy(how.table)
    return draw_on_device(pixels, places, table, how.most.max(0).tolist(), size, policy)


def back_to_back(images: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """All pixels [p, 3], and where each picture begins with its height and width."""
    pixels = np.concatenate([image.reshape(-1, 3) for image in images])
    sizes = [image.shape[0] * image.shape[1] for image in images]
    starts = np.cumsum([0, *sizes[:-1]])
    places = np.array([(start, *image.shape[:2]) for start, image in zip(starts, images, strict=True)])
    return torch.from_numpy(pixels), torch.from_numpy(places)


SHAPES: Sequence[tuple[int, int]] = ((72, 72), (72, 96), (110, 73), (73, 292), (64, 64))


def test_the_device_draws_the_same_pictures_within_interpolation_error(policy: Policy) -> None:
    images = [smooth(h, seed=i, width=w) for i, (h, w) in enumerate(SHAPES * 8)]
    drawn = draw(len(images), seed=3, epoch=1)
    here = augment(images, drawn, 64, policy).astype(int)
    there = on_device(images, drawn, 64, policy)
    assert there.shape == (40, 3, 64, 64)
    assert there.is_contiguous(memory_format=torch.channels_last)
    difference = np.abs(here - there.permute(0, 2, 3, 1).numpy())
    assert difference.max() <= 6
    assert difference.mean() < 0.5


class Products(TorchDispatchMode):
    """Notes every operation that a GPU may compute in TF32."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, operation, types, given=(), named=None):
        name = str(operation)
        if any(word in name for word in ("mm", "matmul", "conv", "addmv", "aten.dot", "einsum", "bilinear")):
            self.found.append(name)
        return operation(*given, **(named or {}))


def test_a_device_draws_without_a_product_that_tf32_would_round(policy: Policy) -> None:
    image = smooth(72)
    with Products() as products:
        on_device([image], draw(1, seed=0, epoch=1), 64, policy)
        torch.ones(2, 2) @ torch.ones(2, 2)
    assert products.found == ["aten.mm.default"]


class Passes(TorchDispatchMode):
    """Counts the operations that read or write every pixel of a batch; views do neither."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.pixels, self.count = pixels, 0

    def __torch_dispatch__(self, operation, types, given=(), named=None):
        result = operation(*given, **(named or {}))
        own = [one for one in (*given, result) if isinstance(one, torch.Tensor)]
        view = any(alias.alias_info is not None for alias in operation._schema.returns) and not any(
            alias.alias_info is not None and alias.alias_info.is_write
            for alias in operation._schema.arguments
        )
        self.count += not view and any(one.numel() >= self.pixels for one in own)
        return result


def test_a_device_goes_over_the_pixels_of_a_batch_no_more_often_than_it_has_to() -> None:
    images = [smooth(72, seed=i) for i in range(8)]
    with Passes(8 * 64 * 64) as passes:
        on_device(images, draw(8, seed=0, epoch=1), 64, MODERATE)
    # A GPU does this beside the training, and each pass takes it time.
    assert passes.count <= 56


def test_a_long_picture_is_averaged_on_a_device_too_among_square_ones() -> None:
    stripes = np.zeros((64, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    pictures = on_device([smooth(), stripes], np.repeat(numbers(), 2, axis=0), 64, MODERATE)
    assert (pictures[1, :, 8:-8, 8:-8].int() - 100).abs().max() <= 8
    assert (pictures[0].permute(1, 2, 0).numpy() == smooth()).all()


def test_a_large_batch_is_drawn_as_a_small_one(policy: Policy) -> None:
    images = [smooth(h, seed=i, width=w) for i, (h, w) in enumerate(SHAPES * 8)]
    drawn = draw(len(images), seed=3, epoch=1)
    whole = on_device(images, drawn, 32, policy)
    parts = [on_device(images[i : i + 7], drawn[i : i + 7], 32, policy) for i in range(0, 40, 7)]
    assert (whole == torch.cat(parts)).all()


def test_a_device_cuts_the_very_middle_that_the_processor_cuts() -> None:
    images = [smooth(h, seed=i, width=w) for i, (h, w) in enumerate(SHAPES)]
    pixels, places = back_to_back(images)
    found = crop_on_device(pixels, places, 63)
    assert (found.permute(0, 2, 3, 1).numpy() == centre_crop(images, 63)).all()
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_a_long_picture_is_averaged_and_not_sampled_with_gaps() -> None:
    stripes = np.zeros((64, 256, 3), np.uint8)
    stripes[:, ::2] = 200
    for drawn in (numbers(), numbers(crop_x=0.0), numbers(rotation=0.8)):
        out = augment([stripes], drawn, 64, MODERATE)[0].astype(int)
        assert np.abs(out[8:-8, 8:-8] - 100).max() <= 8
    ramp = (
        np.repeat(np.linspace(0, 255, 256)[None, :], 64, axis=0).astype(np.uint8)[..., None].repeat(3, axis=2)
    )
    middle = augment([ramp], numbers(crop_ratio=1.0), 64, MODERATE)[0]
    assert abs(int(middle[32, 31:33].mean()) - 127) <= 2


def test_beyond_the_edge_lies_the_mirrored_picture() -> None:
    picture = np.full((64, 64, 3), 180, np.uint8)
    assert one(picture, rotation=1.0, affine_rotation=1.0, affine_scale=0.0).min() == 180


def test_sources_are_never_changed(policy: Policy) -> None:
    image = smooth()
    image.flags.writeable = False
    before = image.copy()
    augment([image], draw(1, 0, 0), 64, policy)
    on_device([image], draw(1, 0, 0), 64, policy)
    assert (image == before).all()


def test_every_drawn_number_has_an_effect() -> None:
    picture = smooth()
    settings = {"crop_scale": 0.3, "jitter": 0.0, "saturation": 0.9, "erase": 0.0, "erase_area": 0.2}
    for name in NUMBERS:
        policy = replace(EVERYTHING, one_at_a_time=name == "operation")
        low, high = (one(picture, policy=policy, **{**settings, name: value}) for value in (0.05, 0.95))
        assert (low != high).any(), name


def test_the_first_numbers_are_what_they_were_before_others_were_added() -> None:
    key = np.random.SeedSequence((7, 2, 1))
    before = np.random.Generator(np.random.Philox(key)).random((5, 16))
    assert (draw(5, 7, 2, 1)[:, :16] == before).all()
    assert NUMBERS[15] == "sigma"


@pytest.mark.parametrize("quarters", range(4))
def test_quarter_turns_turn_by_a_right_angle_and_each_is_as_frequent(quarters: int) -> None:
    picture = smooth()
    turned = one(picture, policy=EVERYTHING, quarter_turn=(quarters + 0.5) / 4)
    assert (turned == np.rot90(picture, -quarters)).all()


def test_the_eight_of_a_square_are_all_there() -> None:
    policy, picture = augmentations.get("dihedral"), smooth()
    found = {
        one(picture, policy=policy, quarter_turn=(quarters + 0.5) / 4, flip=flip).tobytes()
        for quarters in range(4)
        for flip in (0.1, 0.9)
    }
    assert found == {
        np.ascontiguousarray(np.rot90(side, quarters)).tobytes()
        for side in (picture, picture[:, ::-1])
        for quarters in range(4)
    }


def test_a_shear_agrees_with_an_opencv_shear() -> None:
    picture = smooth()
    for axis, place in (("x", (0, 1)), ("y", (1, 0))):
        inverse = np.eye(2, 3)
        inverse[place] = 0.3
        inverse[place[0], 2] = -0.3 * 31.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        expected = cv2.warpAffine(picture, inverse, (64, 64), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
        sheared = one(picture, policy=EVERYTHING, **{f"shear_{axis}": 1.0})
        assert np.abs(sheared.astype(int) - expected).max() <= 3


def test_one_at_a_time_does_one_thing_and_leaves_the_others() -> None:
    policy = replace(augmentations.get("strong"), crop_scale=(1.0, 1.0), erase=0.0)
    picture, changed = smooth(), dict.fromkeys(OPERATIONS[1:], 0.9)
    for place, name in enumerate(OPERATIONS):
        operation = (place + 0.5) / len(OPERATIONS)
        alone = {} if name == "nothing" else {name: 0.9}
        expected = one(picture, policy=replace(policy, one_at_a_time=False), **{"jitter": 0.0, **alone})
        assert (one(picture, policy=policy, operation=operation, **changed) == expected).all(), name


def test_a_rectangle_of_the_area_and_ratio_that_were_drawn_is_erased() -> None:
    policy, picture = replace(EVERYTHING, erase_area=(0.1, 0.3), erase_ratio=(0.5, 2.0)), smooth()
    numbers_of = {"erase": 0.4, "erase_area": 0.5, "erase_ratio": 1.0, "erase_x": 0.0, "erase_y": 0.99}
    erased = (one(picture, policy=policy, **numbers_of) == np.array(ERASED)).all(2)
    assert erased[-20:, :40].all()
    assert erased.sum() == 20 * 40
    assert (one(picture, policy=policy, **{**numbers_of, "erase": 0.6}) == picture).all()


def in_single_steps(image: np.ndarray, drawn: np.ndarray, policy: Policy) -> np.ndarray:
    """The same by OpenCV in single steps at four times the size: crop, flip, rotation, brightness, affine map."""
    at = dict(zip(NUMBERS, drawn, strict=True))
    side, big = 64, 256
    low = policy.crop_scale[0]
    half = np.sqrt(image.shape[0] * image.shape[1] * (low + at["crop_scale"] * (1 - low))) / 2
    x, y = (half + at[name] * (image.shape[axis] - 2 * half) for name, axis in (("crop_x", 1), ("crop_y", 0)))
    scale = big / (2 * half)
    crop = np.array([[scale, 0, scale * (0.5 - x + half) - 0.5], [0, scale, scale * (0.5 - y + half) - 0.5]])
    picture = cv2.warpAffine(
        image, crop, (big, big), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    picture = picture[:, ::-1] if at["flip"] < policy.flip else picture
    centre = ((big - 1) / 2, (big - 1) / 2)
    turn = cv2.getRotationMatrix2D(centre, -(2 * at["rotation"] - 1) * policy.rotation, 1.0)
    picture = cv2.warpAffine(picture, turn, (big, big))
    picture = np.clip(picture * (1 + (2 * at["brightness"] - 1) * policy.brightness), 0, 255).astype(np.uint8)
    low, high = policy.affine_scale
    angle = -(2 * at["affine_rotation"] - 1) * policy.affine_rotation
    affine = cv2.getRotationMatrix2D(centre, angle, low + (high - low) * at["affine_scale"])
    affine[:, 2] += [
        np.round((2 * at[f"translate_{a}"] - 1) * policy.translate * side) * big / side for a in "xy"
    ]
    picture = cv2.warpAffine(picture, affine, (big, big))
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA))


def test_the_studys_one_warp_is_its_steps_one_after_the_other_with_their_black_wedges() -> None:
    for seed in range(12):
        drawn = draw(1, seed, 1)
        drawn[0, NUMBERS.index("crop_ratio")] = 0.5  # a square crop always fits
        drawn[0, NUMBERS.index("crop_scale")] = 0.4 + 0.6 * drawn[0, NUMBERS.index("crop_scale")]
        drawn[0, NUMBERS.index("sigma")] = 0.0
        image = np.maximum(smooth(72, seed), 40)
        found = augment([image], drawn, 64, STUDY)[0].astype(int)
        expected = in_single_steps(image, drawn[0], STUDY).astype(int)
        wedges = (expected.max(axis=2) == 0, found.max(axis=2) == 0)
        assert np.mean(wedges[0] != wedges[1]) < 0.02
        assert wedges[0].any()
        assert np.abs(found - expected).mean() < 2.5


def test_only_a_black_border_has_wedges() -> None:
    bright = np.full((72, 72, 3), 200, np.uint8)
    drawn = draw(30, 5, 1)
    assert augment([bright] * 30, drawn, 64, MODERATE).min() > 100
    assert augment([bright] * 30, drawn, 64, STUDY).min() == 0
