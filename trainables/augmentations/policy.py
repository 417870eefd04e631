"""What an augmentation draws from which range."""

import hashlib
from dataclasses import astuple, dataclass
from typing import Literal

Range = tuple[float, float]


@dataclass(frozen=True)
class Policy:
    """Ranges of a random crop, flip, rotation, colour jitter, affine map and blur, in this order.

    `crop_scale` is a share of the picture's area, `crop_ratio` width over height. Angles are in degrees to both sides,
    `translate` a share of the side. With probability `jitter` brightness, contrast and saturation are multiplied by 1
    plus or minus theirs and the hue turned by at most `hue` of the circle. `sigma` is that of the blur of three taps.
    Beyond the edge lies the picture mirrored, or `black` with the wedges that rotation and affine map leave in the
    cropped picture.

    `quarter_turns` adds 0 to 3 of them, each as often as the others. `shear` is a share of the side, to both sides and
    along both axes. `one_at_a_time` does one of `OPERATIONS` (see `trainables.data.augment`) to each picture, in place
    of all of them. With probability `erase` a rectangle of `erase_area`, a share of the picture's, and of `erase_ratio`
    is erased at last.
    """

    crop_scale: Range
    crop_ratio: Range
    flip: float
    rotation: float
    affine_rotation: float
    translate: float
    affine_scale: Range
    jitter: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    sigma: Range
    border: Literal["mirror", "black"] = "mirror"
    quarter_turns: bool = False
    shear: float = 0.0
    one_at_a_time: bool = False
    erase: float = 0.0
    erase_area: Range = (0.02, 0.33)
    erase_ratio: Range = (0.3, 3.3)

    @property
    def digest(self) -> str:
        """Eight digits that differ where the numbers do."""
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:8]
