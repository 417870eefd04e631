"""What the stages of a probed network put out, noted beside the features, for the measure of strangeness.

A model that is released from the probe's head then needs no look at an image.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.models.classifier import Classifier

__all__ = ["NotedMeans"]


class NotedMeans:
    """Runs a network on the images of a probe, in their order, and notes the stages' means of a sample.

    The sample is that of `tuner.dataset.ood.sampled`, of training and of validation images each.
    """

    def __init__(self, is_validation: npt.NDArray[np.bool_]) -> None:
        """`is_validation` [n] says of each image which part it is in."""
        from tuner.dataset.ood import sampled

        self._is_validation = is_validation
        self._wanted = np.zeros(len(is_validation), dtype=np.bool_)
        for part in (is_validation, ~is_validation):
            self._wanted[np.flatnonzero(part)[sampled(int(part.sum()))]] = True
        self._parts: list[Tensor] = []
        self._seen = 0

    def __call__(self, network: "Classifier", images: "Tensor") -> "tuple[Tensor, ...]":
        """The features of the next normalised `images` [b, 3, s, s]."""
        import torch

        from tuner.dataset.ood import features_and_means

        features, means = features_and_means(network, images)
        here = self._wanted[self._seen : self._seen + len(images)]
        if len(here) == len(images):
            self._parts.append(means[torch.from_numpy(here)])
        self._seen += len(images)
        return features

    def found(self) -> "Sequence[npt.NDArray[np.float32]]":
        """The means [k, d] of the sample of training images and of validation images; empty if not all were seen.

        Features that were there already are not computed again, and after a lack of memory some are computed twice.
        """
        import torch

        if self._seen != len(self._wanted):
            nothing = np.empty((0, 0), dtype=np.float32)
            return nothing, nothing
        means, validation = torch.cat(self._parts).float().numpy(), self._is_validation[self._wanted]
        return means[~validation], means[validation]
