"""The module that is exported: pictures in, named outputs out, whatever it takes inside."""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from trainables.models.classifier import Classifier
from tuner.dataset.ood import features_and_means

__all__ = ["PROBABILITIES", "STRANGENESS", "Portable"]

PROBABILITIES, STRANGENESS = "probabilities", "strangeness"
"""What the module puts out, by name and in the order of the graphs' outputs."""


class Portable(nn.Module):
    """Pictures uint8 [b, size, size, 3] to its `outputs`, normalisation, averaging and temperature included.

    Several `members` are an ensemble: their probabilities are averaged, each counting `counts` times, by default once.
    `strangers` turns what the stages of the first member put out into strangeness; without it there is no such output.
    A further output is a name in `outputs` and an entry of what `forward` returns.
    """

    shares: Tensor
    temperature: Tensor

    def __init__(
        self,
        *members: Classifier,
        counts: Sequence[int] | None = None,
        temperature: float = 1.0,
        strangers: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.classifiers = members
        self.strangers = strangers
        self.members = nn.ModuleList(_Normalised(member) for member in members)
        taken = torch.tensor([1.0] * len(members) if counts is None else [float(count) for count in counts])
        self.register_buffer("shares", taken / taken.sum())
        self.register_buffer("temperature", torch.tensor(temperature))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what `forward` returns, in the order of the graphs' outputs."""
        return (PROBABILITIES,) if self.strangers is None else (PROBABILITIES, STRANGENESS)

    def forward(self, images: Tensor) -> Mapping[str, Tensor]:
        """`probabilities` [b, classes] fp32 of `images`, rows sum to 1, and `strangeness` [b]."""
        values = images.permute(0, 3, 1, 2).float() / 255.0
        if self.strangers is None:
            answers = [member(values) for member in self.members]
            return {PROBABILITIES: torch.softmax(self.logits(answers), dim=1)}
        first, *others = cast(list[_Normalised], list(self.members))
        features, means = first.features_and_means(values)
        answers = [first.classify(features), *(member(values) for member in others)]
        found = {PROBABILITIES: torch.softmax(self.logits(answers), dim=1)}
        return {**found, STRANGENESS: self.strangers(means)}

    def logits(self, answers: Sequence[Tensor]) -> Tensor:
        """What the softmax is taken of [b, classes]: for an ensemble the logarithm of the mean probability."""
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

    def features_and_means(self, values: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        return features_and_means(self.classifier, (values - self.mean) / self.std)

    def classify(self, features: tuple[Tensor, ...]) -> Tensor:
        return self.classifier.classify(features)[0]
