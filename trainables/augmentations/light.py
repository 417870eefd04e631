"""Little: for pictures taken alike, or for a search that is short."""

from trainables.augmentations import Policy, register


@register("light")
def light() -> Policy:
    """A flip and a small crop, nothing else."""
    return Policy(
        crop_scale=(0.8, 1.0),
        crop_ratio=(0.9, 1 / 0.9),
        flip=0.5,
        rotation=0.0,
        affine_rotation=0.0,
        translate=0.0,
        affine_scale=(1.0, 1.0),
        jitter=0.0,
        brightness=0.0,
        contrast=0.0,
        saturation=0.0,
        hue=0.0,
        sigma=(0.1, 0.1),
    )
