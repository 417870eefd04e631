"""A model's answers to images whose classes are known: what metrics are computed from. NumPy only where it is used."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Answers", "log_softmax"]


BY_IMAGE = ("log_probabilities", "probabilities", "predicted")
"""Properties of `Answers` that have a row for each image, which depends on this image alone."""


@dataclass(frozen=True, eq=False)
class Answers:
    """Class numbers `labels` [n] and `logits` [n, classes] of the same images; `positive` is the class of interest."""

    labels: "npt.NDArray[np.int64]"
    logits: "npt.NDArray[np.float64]"
    positive: int | None = None

    @cached_property
    def log_probabilities(self) -> "npt.NDArray[np.float64]":
        """Logarithms [n, classes] of the probabilities."""
        return log_softmax(self.logits)

    @cached_property
    def probabilities(self) -> "npt.NDArray[np.float64]":
        """Probabilities [n, classes]; rows sum to 1."""
        import numpy as np

        return np.asarray(np.exp(self.log_probabilities))

    @cached_property
    def predicted(self) -> "npt.NDArray[np.int64]":
        """The likeliest class of each image [n]."""
        import numpy as np

        return np.asarray(self.logits.argmax(axis=1))

    @cached_property
    def confusion(self) -> "npt.NDArray[np.float64]":
        """Images [true class, predicted class]."""
        import numpy as np

        classes = self.logits.shape[1]
        counts = np.bincount(self.labels * classes + self.predicted, minlength=classes**2)
        return counts.reshape(classes, classes).astype(np.float64)

    def only(self, rows: "npt.NDArray[np.bool_] | npt.NDArray[np.int64]") -> "Answers":
        """The answers to the images `rows`, a mask [n] or places; probabilities that are known stay known."""
        found = Answers(self.labels[rows], self.logits[rows], self.positive)
        # Where a cached property keeps its value. Each image's are its own.
        own, known = vars(found), vars(self)
        own.update({name: known[name][rows] for name in BY_IMAGE if name in known})
        return found

    def taking(self, other: "Answers", rows: "npt.NDArray[np.bool_]") -> "Answers":
        """The same with the answers that `other` gives to the images `rows`, a mask [n]."""
        import numpy as np

        def mixed(own: "npt.NDArray[Any]", others: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
            return np.where(rows[:, None] if own.ndim == 2 else rows, others, own)

        found = Answers(self.labels, mixed(self.logits, other.logits), self.positive)
        ours, theirs = vars(self), vars(other)
        known = [name for name in BY_IMAGE if name in ours and name in theirs]
        vars(found).update({name: mixed(ours[name], theirs[name]) for name in known})
        return found


def log_softmax(logits: "npt.NDArray[np.float64]") -> "npt.NDArray[np.float64]":
    """Logarithms [..., classes] of the probabilities that `logits` [..., classes] stand for."""
    import numpy as np

    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
