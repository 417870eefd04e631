"""A backbone in stages, from the input up. No torch at import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Stage", "named_stages", "stage_of"]


@dataclass(frozen=True)
class Stage:
    """Neighbouring modules of a backbone that unfreeze together, and their parameters (loose ones included)."""

    name: str
    modules: "tuple[nn.Module, ...]"
    parameters: "tuple[nn.Parameter, ...]"


def named_stages(backbone: "nn.Module", members: Mapping[str, Sequence[str]]) -> tuple[Stage, ...]:
    """One stage a key of `members`, made of the backbone's submodules of those dotted names."""
    return tuple(
        stage_of(name, [backbone.get_submodule(path) for path in paths]) for name, paths in members.items()
    )


def stage_of(name: str, modules: "Sequence[nn.Module]", loose: "Sequence[nn.Parameter]" = ()) -> Stage:
    """The stage of `modules` and of `loose` parameters that belong to none of them."""
    return Stage(name, tuple(modules), (*loose, *(p for module in modules for p in module.parameters())))
