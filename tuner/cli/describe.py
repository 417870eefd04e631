"""What `tuner spaces` and `tuner models` print, as rich renderables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

import search_spaces
from search_spaces import Space
from search_spaces._configure import field_of
from trainables import augmentations, strategies
from trainables import models as registry
from trainables.config import FIELDS, TrialConfig

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from trainables.models.classifier import Classifier

SAMPLES = 800
"""Random configurations from which a space's ranges and conditions are read off."""

CLASSES = 3
"""Classes of the heads that `model` counts; the study's."""

_DECIDERS = ("model", "strategy", "schedule", "sampler", "optimizer")


@dataclass(frozen=True)
class Draw:
    """One random configuration: what the space sampled for it, and what became of it."""

    distributions: "Mapping[str, BaseDistribution]"
    config: TrialConfig


def spaces() -> RenderableType:
    """Every space, one line each, and what the parameter `augmentation` may be."""
    loaded = [search_spaces.load(name) for name in search_spaces.names()]
    width = max(len(one.name) for one in loaded)
    lines: list[RenderableType] = [_line(f"{one.name:<{width}}  {one.summary}") for one in loaded]
    return Group(
        *lines,
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

    Raises what `search_spaces.load` raises.
    """
    loaded = search_spaces.load(reference)
    max_epochs = int(loaded.defaults.get("max_epochs", TrialConfig.max_epochs))
    draws = draw(loaded, max_epochs)
    first = search_spaces.first_trials(loaded, max_epochs, {})
    listed = (
        f"no search: {len(first)} trials" if loaded.grid else f"{loaded.defaults.get('samples', '?')} samples"
    )
    parts: list[RenderableType] = [
        Text(f"{loaded.name}: {loaded.summary}"),
        Text(f"{listed}, {max_epochs} epochs at most (the ranges below are for these)"),
        _parameter_table(draws),
        Text(f"fixed: {_listed(_fixed(draws))}"),
    ]
    if first:
        parts += _first_trial_lines(first)
    return Group(*parts)


def draw(loaded: Space, max_epochs: int) -> list[Draw]:
    """Random configurations of a space, always the same."""
    from search_spaces._checking import random_study

    study = random_study()
    draws = []
    for _ in range(SAMPLES):
        trial = study.ask()
        config = search_spaces.configure(loaded, trial, {"max_epochs": max_epochs}, {})
        draws.append(Draw(trial.distributions, config))
    return draws


def condition(name: str, draws: Sequence[Draw]) -> str:
    """Under which choices the parameter `name` is sampled, as the draws show it; empty if always.

    The choice that tells most comes first, and others follow only while they add something.
    """
    left, words = list(draws), []
    while not all(name in one.distributions for one in left):
        best = max(_DECIDERS, key=lambda field: _precision(name, field, left))
        values = _values_with(name, best, left)
        narrowed = [one for one in left if getattr(one.config, best) in values]
        if len(narrowed) == len(left):
            words.append("sometimes")
            break
        words.append(_choice(best, values, {getattr(one.config, best) for one in left}))
        left = narrowed
    return ", ".join(words)


def models() -> RenderableType:
    """Every registered model with its size and stages, and how to name timm's."""
    table = Table(box=None, pad_edge=False)
    for heading, justify in (("model", "left"), ("parameters", "right"), ("features", "right")):
        table.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=True)
    table.add_column("stages, from the input up")
    for name in registry.names():
        built = _build(name)
        size = sum(p.numel() for p in built.backbone.parameters())
        stages = ", ".join(stage.name for stage in built.stages)
        table.add_row(name, f"{size:,}", f"{_width(built):,}", stages)
    last = "any of timm's (pip install 'tuner[timm]'): timm:NAME    one of them: tuner models NAME"
    return Group(table, Text("\n" + last))


def model(name: str) -> RenderableType:
    """A model's stages with their output shapes and parameters, and what trains under each strategy.

    Raises what `trainables.models.check` raises.
    """
    auxiliary = registry.has_auxiliary(name) if name in registry.names() else False
    built = _build(name, auxiliary)
    size = registry.source(name).image_size
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (built.mean, built.std))
    title = f"{name}: {CLASSES} classes, images of {size} px, mean {mean}, standard deviation {std}"
    return Group(Text(title), Text(), _stage_table(built, size), Text(), _strategy_table(name, built))


def _choice(field: str, values: set[str], known: set[str]) -> str:
    others = known - values
    if len(others) == 1 and len(values) > 1:
        return f"{field} other than {others.pop()}"
    return f"{field} {' or '.join(sorted(values))}"


def _line(words: str) -> Text:
    return Text(words, no_wrap=True, overflow="ignore")


def _parameter_table(draws: Sequence[Draw]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("parameter", "range", "only with"):
        table.add_column(heading, overflow="fold")
    seen: dict[str, BaseDistribution] = {}
    for one in draws:
        seen.update({name: d for name, d in one.distributions.items() if name not in seen})
    order = list(FIELDS)
    for name, distribution in sorted(
        seen.items(), key=lambda item: (order.index(field_of(item[0])), item[0])
    ):
        table.add_row(name, range_of(distribution), condition(name, draws))
    return table


def range_of(distribution: "BaseDistribution") -> str:
    """A distribution in a few words: its choices, or its ends and whether it is logarithmic."""
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return ", ".join(map(str, choices))
    found: Any = distribution
    step = f", step {found.step:g}" if found.step not in (None, 1) else ""
    return f"{found.low:g} to {found.high:g}{', log' if found.log else ''}{step}"


def _values_with(name: str, field: str, draws: Iterable[Draw]) -> set[str]:
    return {getattr(one.config, field) for one in draws if name in one.distributions}


def _precision(name: str, field: str, draws: Sequence[Draw]) -> float:
    values = _values_with(name, field, draws)
    matching = [one for one in draws if getattr(one.config, field) in values]
    return sum(name in one.distributions for one in matching) / max(1, len(matching))


def _fixed(draws: Sequence[Draw]) -> dict[str, Any]:
    sampled = {field_of(name) for one in draws for name in one.distributions} | {"seed"}
    rows = [asdict(one.config) for one in draws]
    return {
        name: rows[0][name]
        for name in FIELDS
        if name not in sampled and rows[0][name] is not None and len({row[name] for row in rows}) == 1
    }


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


def _build(name: str, auxiliary: bool = False) -> "Classifier":
    """The model without memory for its weights where that is possible."""
    import contextlib

    import torch

    lean = registry.source(name).on_meta
    with torch.device("meta") if lean else contextlib.nullcontext():
        return registry.create(name, CLASSES, auxiliary=auxiliary)


def _width(built: "Classifier") -> int:
    return int(next(built.head.parameters()).shape[1])


def _stage_table(built: "Classifier", image_size: int) -> Table:
    from trainables.models.classifier import stage_shapes

    shapes = stage_shapes(built, image_size)
    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    table.add_column("output")
    table.add_column("parameters", justify="right")
    for stage in built.stages:
        shape = " x ".join(map(str, shapes.get(stage.name, ())))
        table.add_row(stage.name, shape, f"{sum(p.numel() for p in stage.parameters):,}")
    for part, module in (("head", built.head), ("auxiliary heads", built.auxiliary)):
        count = sum(p.numel() for p in module.parameters())
        if count:
            table.add_row(part, str(built.num_classes), f"{count:,}")
    return table


def _strategy_table(name: str, built: "Classifier") -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("strategy")
    for heading in ("trains in epoch 1", "in the last", "everything from epoch"):
        table.add_column(heading, justify="right")
    for strategy in strategies.names():
        if strategies.wants_auxiliary(strategy) and not len(built.auxiliary):
            continue
        config = TrialConfig.resolve({"model": name, "strategy": strategy})
        groups = [
            group
            for group in strategies.plan(config, built)
            if group.name != "auxiliary" or strategies.wants_auxiliary(strategy)
        ]
        last = max(group.from_epoch for group in groups if group.from_epoch is not None)
        first, final = (strategies.apply_freeze(groups, epoch) for epoch in (1, last))
        wait = f" (unfreeze_at {config.unfreeze_at})" if config.unfreeze_at else ""
        table.add_row(strategy, f"{first:,}", f"{final:,}", f"{last}{wait}")
    return table
