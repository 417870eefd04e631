"""The loss of each validation image, epoch by epoch: what trials are chosen by, and the noise of it.

It is the loss under a temperature that other images gave (see `trainables.temperature`), as a model folder has one:
`val_loss` itself is plain.
"""

import numpy as np
import numpy.typing as npt

from trainables.temperature import calibrated_losses

__all__ = ["LOSSES", "MOST_IMAGES", "Losses", "image_losses"]

LOSSES = "image_losses"
"""Under this name an epoch's result brings the losses of its validation images to the driver."""

MOST_IMAGES = 4096
"""So many validation images at most have their losses kept. Beyond, a mean varies little by chance."""

Losses = npt.NDArray[np.float32]


def image_losses(
    labels: npt.NDArray[np.int64], logits: npt.NDArray[np.float64], groups: npt.ArrayLike
) -> Losses | None:
    """The calibrated cross-entropy [n] of each image in nats; None for no image, and for more than MOST_IMAGES.

    `groups` [n] are those of the images: one gets the temperature that images of other groups gave.
    """
    if not 0 < len(labels) <= MOST_IMAGES:
        return None
    return calibrated_losses(logits, labels, groups).astype(np.float32)
