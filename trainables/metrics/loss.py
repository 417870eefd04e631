"""Log loss."""

from typing import TYPE_CHECKING

from trainables.metrics import Answers, register_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@register_mean("val_loss", "minimize", order=0)
def loss(answers: Answers) -> "npt.NDArray[np.float64]":
    """Cross-entropy in nats per image, plain: no label smoothing, no class weights."""
    return -answers.log_probabilities[range(len(answers.labels)), answers.labels]
