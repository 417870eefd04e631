"""What `tuner spaces` and `tuner models` know, as plain rows: `describe` draws them, `as_json` prints them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import search_spaces
from search_spaces import Space
from search_spaces._configure import field_of
from search_spaces._random_trials import RandomTrials
from trainables import models as registry
from trainables import strategies
from trainables.config import FIELDS, TrialConfig
from trainables.models.candidates import CANDIDATES, find
from trainables.models.known import KNOWN, Known, known_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from trainables.models.classifier import Classifier

__all__ = [
    "CLASSES",
    "Draw",
    "ModelView",
    "SpaceView",
    "condition",
    "draw",
    "known_row",
    "model",
    "models",
    "space",
    "spaces",
]

SAMPLES = 3000
"""Random configurations from which a space's ranges and conditions are read off: so many that no pair of a network and
a strategy is likely to be missed."""

CLASSES = 3
"""Classes of the heads that `model` counts; the study's."""

_DECIDERS = ("model", "strategy", "schedule", "sampler", "optimizer")


@dataclass(frozen=True)
class Draw:
    """One random configuration: what the space sampled for it, and what became of it."""

    distributions: "Mapping[str, BaseDistribution]"
    config: TrialConfig


@dataclass(frozen=True)
class SpaceView:
    """A space as a reader sees it; `parameters` and `fixed` hold for `max_epochs`."""

    space: Space
    max_epochs: int
    parameters: "Mapping[str, BaseDistribution]"
    conditions: Mapping[str, str]
    fixed: Mapping[str, Any]
    first: Sequence[Mapping[str, Any]]
    priors: search_spaces.Priors

    @property
    def samples(self) -> int | None:
        """Trials of a search without --samples; of a grid its list."""
        return len(self.first) if self.space.grid else self.space.defaults.get("samples")


@dataclass(frozen=True)
class ModelView:
    """A model as a reader sees it: rows of its stages, of its heads, and of what trains under each strategy."""

    name: str
    built: "Classifier"
    image_size: int
    stages: list[dict[str, Any]]
    heads: list[dict[str, Any]]
    strategies: list[dict[str, Any]]
    known: Known


def spaces() -> list[Space]:
    """Every space of the package."""
    return [search_spaces.load(name) for name in search_spaces.names()]


def space(reference: str) -> SpaceView:
    """A space's parameters with their conditions, what it leaves fixed, and its first trials.

    Raises what `search_spaces.load` and `search_spaces.check` raise, as `run` does.
    """
    loaded = search_spaces.load(reference)
    max_epochs = int(loaded.defaults.get("max_epochs", TrialConfig.max_epochs))
    grace_period = search_spaces.usual_grace_period(loaded, max_epochs)
    search_spaces.check(loaded, {"max_epochs": max_epochs}, {}, grace_period)
    draws = draw(loaded, max_epochs)
    seen: dict[str, BaseDistribution] = {}
    for one in draws:
        seen.update({name: d for name, d in one.distributions.items() if name not in seen})
    order = list(FIELDS)
    names = sorted(seen, key=lambda name: (order.index(field_of(name)), name))
    return SpaceView(
        space=loaded,
        max_epochs=max_epochs,
        parameters={name: seen[name] for name in names},
        conditions={name: condition(name, draws) for name in names},
        fixed=_fixed(draws),
        first=search_spaces.first_trials(loaded, max_epochs, {}),
        priors=search_spaces.prior_of(loaded, max_epochs),
    )


def draw(loaded: Space, max_epochs: int) -> list[Draw]:
    """Random configurations of a space, always the same."""
    trials, draws = RandomTrials(), []
    for _ in range(SAMPLES):
        trial = trials.ask()
        config = search_spaces.configure(loaded, trial, {"max_epochs": max_epochs}, {})  # type: ignore[arg-type]
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


def models() -> list[dict[str, Any]]:
    """One row a registered model, then one a candidate of timm's: sizes, licence, stages from the input up.

    `parameters` are those of the backbone; family, image_size, licence, prior and seconds are known of candidates only.
    """
    names = [*registry.names(), *(one.name for one in CANDIDATES if one.name not in registry.names())]
    rows = []
    for name in names:
        built, known = _build(name, lean=True), find(name)
        rows.append(
            {
                "model": name,
                "family": None if known is None else known.family,
                "parameters": sum(p.numel() for p in built.backbone.parameters()),
                "features": _width(built),
                "image_size": None if known is None else known.image_size,
                "licence": None if known is None else known.licence,
                **known_row(KNOWN.get(name)),
                "stages": [stage.name for stage in built.stages],
            }
        )
    return rows


def model(name: str) -> ModelView:
    """A model's stages with their output shapes and parameters, and what trains under each strategy.

    Raises what `trainables.models.check` raises.
    """
    from trainables.models.classifier import stage_shapes

    built = _build(name, registry.has_auxiliary(name) if name in registry.names() else False)
    size = registry.source(name).image_size
    shapes = stage_shapes(built, size)
    stages = [
        {
            "stage": stage.name,
            "output": list(shapes.get(stage.name, ())),
            "parameters": sum(p.numel() for p in stage.parameters),
        }
        for stage in built.stages
    ]
    heads = [
        {
            "stage": part,
            "output": [built.num_classes],
            "parameters": sum(p.numel() for p in module.parameters()),
        }
        for part, module in (("head", built.head), ("auxiliary heads", built.auxiliary))
    ]
    rows = [_strategy(strategy, name, built) for strategy in strategies.names() if _fits(strategy, built)]
    millions = sum(p.numel() for p in built.backbone.parameters()) / 1e6
    heads = [head for head in heads if head["parameters"]]
    return ModelView(name, built, size, stages, heads, rows, known_of(name, millions))


def known_row(known: Known | None) -> dict[str, Any]:
    """The prior of a model, what it follows from, and its seconds in those of ResNet-50; None where it is unknown."""
    if known is None:
        return dict.fromkeys(("prior", "basis", "processor_seconds", "gpu_seconds"))
    return {
        "prior": known.expected,
        "basis": known.basis,
        "processor_seconds": known.processor,
        "gpu_seconds": known.gpu,
    }


def _fits(strategy: str, built: "Classifier") -> bool:
    return bool(len(built.auxiliary)) or not strategies.wants_auxiliary(strategy)


def _strategy(strategy: str, name: str, built: "Classifier") -> dict[str, Any]:
    """How many parameters train in the first and in the last epoch, and from which epoch everything does."""
    config = TrialConfig.resolve({"model": name, "strategy": strategy})
    groups = [
        group
        for group in strategies.plan(config, built)
        if group.name != "auxiliary" or strategies.wants_auxiliary(strategy)
    ]
    last = max(group.from_epoch for group in groups if group.from_epoch is not None)
    first, final = (strategies.apply_freeze(groups, epoch) for epoch in (1, last))
    return {
        "strategy": strategy,
        "trainable_first": first,
        "trainable_last": final,
        "everything_from_epoch": last,
        "unfreeze_at": config.unfreeze_at,
    }


def _choice(field: str, values: set[str], known: set[str]) -> str:
    others = known - values
    if len(others) == 1 and len(values) > 1:
        return f"{field} other than {others.pop()}"
    return f"{field} {' or '.join(sorted(values))}"


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


def _build(name: str, auxiliary: bool = False, *, lean: bool = False) -> "Classifier":
    """The model without memory for its weights where that is possible, or, `lean`, where it is only counted."""
    import contextlib

    from trainables.models.empty import without_numbers

    lean = lean or registry.source(name).on_meta
    with without_numbers() if lean else contextlib.nullcontext():
        return registry.create(name, CLASSES, auxiliary=auxiliary)


def _width(built: "Classifier") -> int:
    return int(next(built.head.parameters()).shape[1])
