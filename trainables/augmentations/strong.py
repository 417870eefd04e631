"""For few or varied pictures and long training: one strong change a picture, and an erased rectangle now and then.

The ranges are those of TrivialAugment's wide space (Mueller and Hutter 2021), of which each picture gets one at random
strength; those that are neither a warp nor a map of colours (solarising, posterising, equalising) are left out.
Random erasing is that of Zhong et al. 2020.
"""

from trainables.augmentations import Policy, register


@register("strong")
def strong() -> Policy:
    """One strong turn, shear, shift or colour; some with a hole."""
    return Policy(
        crop_scale=(0.35, 1.0),
        crop_ratio=(3 / 4, 4 / 3),
        flip=0.5,
        rotation=135.0,
        affine_rotation=0.0,
        translate=0.14,
        affine_scale=(1.0, 1.0),
        jitter=1.0,
        brightness=0.99,
        contrast=0.99,
        saturation=0.99,
        hue=0.0,
        sigma=(0.1, 0.1),
        shear=0.99,
        one_at_a_time=True,
        erase=0.1,
    )
