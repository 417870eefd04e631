"""Parameter groups: what trains from which epoch. No torch at import."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

HEAD = "head"
AUXILIARY = "auxiliary"


@dataclass(frozen=True)
class Restart:
    """From the 1-based `epoch` on a group goes on at `learning_rate`, unscheduled, its optimizer's state forgotten."""

    epoch: int
    learning_rate: float


@dataclass(frozen=True)
class ParamGroup:
    """Modules that unfreeze together, with the learning rate they start from.

    `from_epoch` is the 1-based epoch in which they first train; None: never. A `restart` changes the rate for
    good; a group that unfreezes with it never sees another. With `still` the BatchNorms among the modules keep their
    statistics, and normalise by them, while their weights train.
    """

    name: str
    modules: "tuple[nn.Module, ...]"
    parameters: "tuple[nn.Parameter, ...]"
    from_epoch: int | None
    learning_rate: float
    restart: Restart | None = None
    still: bool = False

    def trains_in(self, epoch: int) -> bool:
        """Whether these parameters move in `epoch`."""
        return self.from_epoch is not None and epoch >= self.from_epoch


def apply_freeze(groups: Sequence[ParamGroup], epoch: int) -> int:
    """The number of trainable parameters in `epoch`, after freezing what does not train in it.

    Call it after every `model.train()`: a frozen module is put into eval mode wholly, so that its BatchNorm
    statistics stay and its dropout is off, which requires_grad alone does not do. BatchNorms that are to be still are
    in eval mode, too.
    """
    trainable = 0
    for group in groups:
        trains = group.trains_in(epoch)
        for module in group.modules:
            module.train(trains)
            for norm in _batch_norms(module) if group.still else ():
                norm.eval()
        for parameter in group.parameters:
            parameter.requires_grad_(trains)
            trainable += parameter.numel() if trains else 0
    return trainable


def _batch_norms(module: "nn.Module") -> "Iterator[nn.Module]":
    from torch.nn.modules.batchnorm import _BatchNorm

    return (one for one in module.modules() if isinstance(one, _BatchNorm))


def full_epochs(groups: Sequence[ParamGroup], epoch: int) -> int:
    """Epochs up to and with `epoch` in which all that will ever train has trained; 0 before the last unfreeze."""
    last = max(group.from_epoch for group in groups if group.from_epoch is not None)
    return max(0, epoch - last + 1)


def is_backbone_frozen(groups: Sequence[ParamGroup], epoch: int) -> bool:
    """Whether no part of the backbone trains in `epoch`."""
    return not any(group.trains_in(epoch) for group in groups if group.name not in (HEAD, AUXILIARY))


def moved_weights(model: "nn.Module", groups: Sequence[ParamGroup], epoch: int) -> "dict[str, Tensor]":
    """Tensors of `model` that training up to and with `epoch` may have changed, detached, by name."""
    moved: set[int] = set()
    for group in groups:
        if group.trains_in(epoch):
            moved.update(id(parameter) for parameter in group.parameters)
            moved.update(id(buffer) for module in group.modules for buffer in module.buffers())
    names = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: tensor.detach() for name, tensor in names.items() if id(tensor) in moved}
