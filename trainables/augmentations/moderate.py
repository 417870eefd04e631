"""The default: what photographs of one object taken by hand vary in, without losing the object."""

from trainables.augmentations import Policy, register


@register("moderate")
def moderate() -> Policy:
    """Crops of half the picture and more, mirrored edges."""
    return Policy(
        crop_scale=(0.5, 1.0),
        crop_ratio=(3 / 4, 4 / 3),
        flip=0.5,
        rotation=15.0,
        affine_rotation=15.0,
        translate=0.1,
        affine_scale=(0.9, 1.1),
        jitter=0.5,
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
        hue=0.05,
        sigma=(0.1, 2.0),
    )
