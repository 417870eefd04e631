"""The loss of each validation image, epoch by epoch: what the noise of a trial's `val_loss` is estimated from."""

import numpy as np
import numpy.typing as npt

from trainables.metrics import Answers
from trainables.metrics.loss import loss

__all__ = ["LOSSES", "MOST_IMAGES", "Losses", "image_losses"]

LOSSES = "image_losses"
"""Under this name an epoch's result brings the losses of its validation images to the driver."""

MOST_IMAGES = 4096
"""So many validation images at most have their losses kept. Beyond, a mean varies little by chance."""

Losses = npt.NDArray[np.float32]


def image_losses(labels: npt.NDArray[np.int64], logits: npt.NDArray[np.float64]) -> Losses | None:
    """The cross-entropy [n] of each image in nats; None for no image, and for more than MOST_IMAGES."""
    if not 0 < len(labels) <= MOST_IMAGES:
        return None
    return loss(Answers(labels, logits)).astype(np.float32)
