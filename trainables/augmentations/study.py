"""The study's augmentation, as far as it is known.

Known: RandomResizedCrop with torchvision's defaults, flip 0.5, rotation 15 degrees, ColorJitter with brightness 0.2,
RandomAffine of 15 degrees, translation 0.1 and a scale from 0.9, GaussianBlur of three taps with its default sigma;
what torchvision turns or shifts in from outside is black.

Unknown, its text being cut off: the jitter's other strengths, here none; the probability of the jitter, here 1; the
upper end of the scale, here 1.1, a guess.

Otherwise than torchvision, as with all policies: the picture is interpolated once, bilinearly, where torchvision's
rotation and affine map take the nearest pixel; a crop that does not fit into the picture is clipped, not drawn again.
"""

from trainables.augmentations import Policy, register


@register("study")
def study() -> Policy:
    """The study's, as far as known: crops from 0.08 on, black wedges."""
    return Policy(
        crop_scale=(0.08, 1.0),
        crop_ratio=(3 / 4, 4 / 3),
        flip=0.5,
        rotation=15.0,
        affine_rotation=15.0,
        translate=0.1,
        affine_scale=(0.9, 1.1),
        jitter=1.0,
        brightness=0.2,
        contrast=0.0,
        saturation=0.0,
        hue=0.0,
        sigma=(0.1, 2.0),
        border="black",
    )
