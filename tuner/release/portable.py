"""The module that is exported: pictures in, named outputs out, whatever it takes inside."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trainables.models.classifier import Classifier

__all__ = ["OUTPUTS", "Portable"]

OUTPUTS = ("probabilities",)
"""What the module puts out, by name and in the order of the graphs' outputs."""


class Portable(nn.Module):
    """Pictures uint8 [b, size, size, 3] to the OUTPUTS, normalisation, averaging and temperature included.

    Several `members` are an ensemble: their probabilities are averaged, each counting `counts` times, by default once.
    A further output is a name in OUTPUTS and an entry of what `forward` returns.
    """

    shares: Tensor
    temperature: Tensor

    def __init__(
        self, *members: Classifier, counts: Sequence[int] | None = None, temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.classifiers = members
        self.members = nn.ModuleList(_Normalised(member) for member in members)
        taken = torch.tensor([1.0] * len(members) if counts is None else [float(count) for count in counts])
        self.register_buffer("shares", taken / taken.sum())
        self.register_buffer("temperature", torch.tensor(temperature))

    def forward(self, images: Tensor) -> Mapping[str, Tensor]:
        """`probabilities` [b, classes] fp32 of `images`; rows sum to 1."""
        return {"probabilities": torch.softmax(self.logits(images), dim=1)}

    def logits(self, images: Tensor) -> Tensor:
        """What the softmax is taken of [b, classes]: for an ensemble the logarithm of the mean probability."""
        values = images.permute(0, 3, 1, 2).float() / 255.0
        answers: list[Tensor] = [member(values) for member in self.members]
        if len(answers) == 1:
            return answers[0] / self.temperature
        logs = torch.stack([torch.log_softmax(one, dim=1) for one in answers])
        mixed = torch.logsumexp(logs + self.shares.log()[:, None, None], dim=0)
        return mixed / self.temperature


class _Normalised(nn.Module):
    """A classifier of pictures in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        # They train and never answer: an exported model need not carry them.
        classifier.auxiliary = nn.ModuleList()
        self.register_buffer("mean", torch.tensor(classifier.mean).reshape(1, 3, 1, 1), persistent=True)
        self.register_buffer("std", torch.tensor(classifier.std).reshape(1, 3, 1, 1), persistent=True)

    def forward(self, values: Tensor) -> Tensor:
        logits: Tensor = self.classifier((values - self.mean) / self.std)
        return logits
