import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from trainables import augmentations
from trainables.augmentations import Policy
from trainables.config import TrialConfig
from trainables.data.augment import NUMBERS, OPERATIONS, augment, draw
from trainables.errors import UnknownName


@pytest.fixture(params=augmentations.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def policy(name: str) -> Policy:
    return augmentations.get(name)


def test_names_are_known_without_torch():
    code = "import sys, trainables.augmentations as a; a.names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ranges_are_ranges(policy: Policy):
    for low, high in (policy.crop_scale, policy.crop_ratio, policy.affine_scale, policy.sigma):
        assert 0 < low <= high
    assert policy.crop_scale[1] <= 1
    assert 0 <= policy.translate < 1
    assert all(0 <= share <= 1 for share in (policy.flip, policy.jitter))
    assert all(
        0 <= share < 1 for share in (policy.brightness, policy.contrast, policy.saturation, policy.hue)
    )


COLOURS = ("brightness", "contrast", "saturation", "hue")


def idle_numbers(policy: Policy) -> set[str]:
    """Those of whose range both ends do the same."""
    colours = [name for name in COLOURS if not (policy.jitter and getattr(policy, name))]
    angles = [name for name in ("rotation", "affine_rotation") if not getattr(policy, name)]
    ranges = [name for name in ("affine_scale", "sigma") if len(set(getattr(policy, name))) == 1]
    pairs = [
        f"{name}_{axis}" for name in ("translate", "shear") if not getattr(policy, name) for axis in "xy"
    ]
    erasing = [] if policy.erase else [name for name in NUMBERS if name.startswith("erase")]
    switches = {
        "jitter": policy.jitter in (0.0, 1.0),
        "quarter_turn": not policy.quarter_turns,
        "operation": not policy.one_at_a_time,
    }
    return {*colours, *angles, *ranges, *pairs, *erasing, *(name for name, off in switches.items() if off)}


def test_a_number_has_an_effect_where_its_range_has_two_ends(policy: Policy):
    picture = np.random.default_rng(0).integers(0, 256, (72, 72, 3), dtype=np.uint8)
    idle = idle_numbers(policy)
    middle = draw(1, 3, 1)
    fixed = {
        "jitter": 0.0,
        "crop_scale": 0.3,
        "erase": 0.0,
        "erase_area": 0.1,
        "erase_x": 0.3,
        "erase_y": 0.3,
    }
    for name, value in fixed.items():
        middle[0, NUMBERS.index(name)] = value
    for column, number in enumerate(NUMBERS):
        if number in OPERATIONS:
            middle[0, NUMBERS.index("operation")] = (OPERATIONS.index(number) + 0.5) / len(OPERATIONS)
        low, high = middle.copy(), middle.copy()
        low[0, column], high[0, column] = 0.05, 0.95
        same = (augment([picture], low, 64, policy) == augment([picture], high, 64, policy)).all()
        assert same == (number in idle), number


def test_every_policy_says_what_it_is_in_a_line(name: str):
    assert augmentations.summary(name).endswith(".")
    assert len(name) + len(augmentations.summary(name)) < 80 - len("  (default)")


def test_a_changed_number_changes_the_digest(policy: Policy):
    assert dataclasses.replace(policy, translate=0.05).digest != policy.digest
    every = augmentations.names()
    assert len({augmentations.get(one).digest for one in every}) == len(every)


def test_the_study_is_as_its_code_had_it_where_that_is_known():
    study = augmentations.get("study")
    assert (study.crop_scale, study.crop_ratio) == ((0.08, 1.0), (3 / 4, 4 / 3))
    assert (study.flip, study.rotation, study.brightness) == (0.5, 15.0, 0.2)
    assert (study.affine_rotation, study.translate, study.affine_scale[0]) == (15.0, 0.1, 0.9)
    assert study.sigma == (0.1, 2.0)
    assert study.border == "black"


def test_todays_policy_stays_the_default_under_a_name_of_its_own():
    config = TrialConfig.resolve({"model": "resnet18", "strategy": "full"})
    assert config.augmentation == "moderate"
    assert augmentations.get("moderate").crop_scale == (0.5, 1.0)


def test_an_unknown_policy_is_answered_with_a_near_one():
    with pytest.raises(UnknownName, match="did you mean 'moderate'"):
        TrialConfig.resolve({"model": "resnet18", "strategy": "full", "augmentation": "moderat"})
