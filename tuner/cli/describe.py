"""What `tuner spaces` and `tuner models` print, as rich renderables."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search_spaces.priors import entry_of, normal_of, weights_of
from trainables import augmentations
from trainables.models.known import Known
from tuner.cli import catalogue
from tuner.cli.catalogue import Draw, ModelView, SpaceView, condition, draw

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["Draw", "condition", "draw", "model", "models", "range_of", "space", "spaces"]


def spaces() -> RenderableType:
    """Every space, one line each, their samples, and what the parameter `augmentation` may be."""
    loaded = catalogue.spaces()
    width = max(len(one.name) for one in loaded)
    lines: list[RenderableType] = [_line(f"{one.name:<{width}}  {one.summary}") for one in loaded]
    samples = ", ".join(f"{one.name} {one.defaults['samples']}" for one in loaded)
    return Group(
        *lines,
        Text(f"\nsamples (trials of a search without --samples): {samples}"),
        _line("\none of them: tuner spaces NAME    your own: tuner run --space ./my_space.py"),
        _line("\nvalues of the parameter augmentation:"),
        *augmentation_lines(),
    )


def augmentation_lines() -> list[RenderableType]:
    """Every augmentation policy, one line each, the default marked."""
    names = augmentations.names()
    width = max(map(len, names))
    return [
        _line(
            f"{name:<{width}}  {augmentations.summary(name)}"
            + (" (default)" if name == augmentations.DEFAULT else "")
        )
        for name in names
    ]


def space(reference: str) -> RenderableType:
    """A space's parameters, their ranges and conditions, what it leaves fixed, and its first trials.

    Raises what `catalogue.space` raises.
    """
    found = catalogue.space(reference)
    listed = (
        f"no search: {len(found.first)} trials" if found.space.grid else f"{found.samples or '?'} samples"
    )
    parts: list[RenderableType] = [
        Text(f"{found.space.name}: {found.space.summary}"),
        Text(f"{listed}, {found.max_epochs} epochs at most (the ranges below are for these)"),
        _parameter_table(found),
        Text(f"fixed: {_listed(found.fixed)}"),
    ]
    if found.first:
        parts += _first_trial_lines(found.first)
    return Group(*parts)


PRIOR = (
    "known: errors after fine-tuning that published results let expect on any images, an average network 1;\n"
    "time: seconds of an image on a processor, ResNet-50 1"
)
"""What the columns of `models` mean."""


def models() -> RenderableType:
    """Every registered model and candidate with its size, licence and stages, and how to name others of timm's."""
    table = Table(box=None, pad_edge=False)
    numbers = ("parameters", "features", "image size", "known", "time")
    for heading in ("model", *numbers, "licence", "stages, from the input up"):
        right = heading in numbers
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in catalogue.models():
        table.add_row(
            row["model"],
            f"{row['parameters']:,}",
            f"{row['features']:,}",
            str(row["image_size"] or ""),
            "" if row["prior"] is None else f"{row['prior']:.2f}",
            "" if row["processor_seconds"] is None else f"{row['processor_seconds']:.2f}",
            row["licence"] or "",
            ", ".join(row["stages"]),
        )
    last = "any of timm's: timm:NAME    one of them: tuner models NAME"
    return Group(table, Text(f"\n{PRIOR}\n{last}"))


def model(name: str) -> RenderableType:
    """A model's stages with their output shapes and parameters, and what trains under each strategy.

    Raises what `trainables.models.check` raises.
    """
    found = catalogue.model(name)
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (found.built.mean, found.built.std))
    title = (
        f"{name}: {catalogue.CLASSES} classes, images of {found.image_size} px, mean {mean}, "
        f"standard deviation {std}"
    )
    return Group(
        Text(title), Text(_known(found.known)), Text(), _stage_table(found), Text(), _strategy_table(found)
    )


BASES = {
    "measured": "measured with these weights in a published sweep",
    "ImageNet": "by its error on ImageNet, its kind and its size",
    "size": "by its kind and size alone",
}


def _known(known: Known) -> str:
    """The prior in words, and how long an image takes."""
    better = 1 - known.expected
    errors = f"{abs(better):.0%} {'fewer' if better > 0 else 'more'} errors than an average network"
    times = [
        f"{seconds:.2f} times ResNet-50's on {where}"
        for seconds, where in ((known.processor, "a processor"), (known.gpu, "a GPU"))
        if seconds is not None
    ]
    timed = f"; an image takes {' and '.join(times)}" if times else ""
    return f"expected after fine-tuning: {errors}, {BASES[known.basis]}{timed}"


def _line(words: str) -> Text:
    return Text(words, no_wrap=True, overflow="ignore")


def _parameter_table(found: SpaceView) -> Table:
    table = Table(box=None, pad_edge=False)
    headings = ("parameter", "range", *(["prior"] if found.priors else []), "only with")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for name, distribution in found.parameters.items():
        prior = [prior_of(entry_of(found.priors, name), distribution)] if found.priors else []
        table.add_row(name, range_of(distribution), *prior, found.conditions[name])
    return table


def prior_of(entry: Mapping[Any, float] | None, distribution: "BaseDistribution") -> str:
    """What a prior expects, in a few words: a centre and a width, or the weights of the choices in their order."""
    if entry is None:
        return ""
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return "weights " + ", ".join(f"{weight:g}" for weight in weights_of(entry, choices))
    centre, width = normal_of(entry)
    return f"{centre:.3g}, width {width:g}"


def range_of(distribution: "BaseDistribution") -> str:
    """A distribution in a few words: its choices, or its ends and whether it is logarithmic."""
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return ", ".join(map(str, choices))
    found: Any = distribution
    step = f", step {found.step:g}" if found.step not in (None, 1) else ""
    return f"{found.low:g} to {found.high:g}{', log' if found.log else ''}{step}"


def _first_trial_lines(first: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    shared = {
        name: value for name, value in first[0].items() if all(name in p and p[name] == value for p in first)
    }
    lines: list[RenderableType] = [
        Text("\nfirst trials" + (f", all with {_listed(shared)}" if shared else ""))
    ]
    for number, parameters in enumerate(first, start=1):
        own = {name: value for name, value in parameters.items() if name not in shared}
        lines.append(Text(f"{number:>3}  {_listed(own)}"))
    return lines


def _listed(parameters: Mapping[str, Any]) -> str:
    words = (
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in parameters.items()
    )
    return ", ".join(words) or "nothing"


def _stage_table(found: ModelView) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("stage", overflow="fold")
    table.add_column("output", overflow="fold")
    table.add_column("parameters", justify="right", overflow="fold")
    for row in [*found.stages, *found.heads]:
        table.add_row(row["stage"], " x ".join(map(str, row["output"])), f"{row['parameters']:,}")
    return table


def _strategy_table(found: ModelView) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("strategy", overflow="fold")
    for heading in ("trains in epoch 1", "in the last", "everything from epoch"):
        table.add_column(heading, justify="right", overflow="fold")
    for row in found.strategies:
        wait = f" (unfreeze_at {row['unfreeze_at']})" if row["unfreeze_at"] else ""
        first, last = f"{row['trainable_first']:,}", f"{row['trainable_last']:,}"
        table.add_row(row["strategy"], first, last, f"{row['everything_from_epoch']}{wait}")
    return table
