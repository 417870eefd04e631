"""One short name for each finalist: its backbone, its strategy, and what else tells it apart from the others."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tuner.html.canvas import shared_beginning

if TYPE_CHECKING:
    from tuner.evaluation.comparison.finalists import Finalist

__all__ = ["labelled", "short_models", "strategy_name"]


def short_models(models: Iterable[str]) -> dict[str, str]:
    """A short name for each of `models`: without library, without tag, without the words that all begin with.

    What two would then share stays, so that no two names are the same.

    >>> short_models(["timm:tf_efficientnet_lite0.in1k", "timm:tf_efficientnet_lite1.in1k"])
    {'timm:tf_efficientnet_lite0.in1k': 'lite0', 'timm:tf_efficientnet_lite1.in1k': 'lite1'}
    >>> short_models(["timm:vit_small.dino", "timm:vit_small.augreg"])
    {'timm:vit_small.dino': 'dino', 'timm:vit_small.augreg': 'augreg'}
    """
    known = list(dict.fromkeys(models))
    for cut in (_without_tag, _without_library, str):
        names = [cut(name) for name in known]
        if len(set(names)) == len(known):
            break
    shared = shared_beginning(names) if len(names) > 1 else ""
    return {model: name[len(shared) :] for model, name in zip(known, names, strict=True)}


def _without_library(model: str) -> str:
    return model.rpartition(":")[2]


def _without_tag(model: str) -> str:
    return _without_library(model).partition(".")[0]


def strategy_name(strategy: str, auxiliary_weight: float | None) -> str:
    """A strategy in words; one whose auxiliary heads are not trained is another."""
    return strategy.replace("_", " ") + (" untrained" if auxiliary_weight == 0 else "")


def labelled(finalists: Sequence["Finalist"]) -> list["Finalist"]:
    """The same, each with its short name; finalists that words can't tell apart get the number of their trial."""
    models = short_models(one.config.model for one in finalists)
    words = [_words(one, models) for one in finalists]
    varying = [i for i in range(len(words[0])) if i < 2 or len({w[i] for w in words}) > 1]
    shorts = [" · ".join(w[i] for i in varying if w[i]) for w in words]
    return [
        replace(one, label=f"{short} #{one.row['number']}" if shorts.count(short) > 1 else short)
        for one, short in zip(finalists, shorts, strict=True)
    ]


def _words(one: "Finalist", models: Mapping[str, str]) -> tuple[str, ...]:
    config = one.config
    return (
        models[config.model],
        strategy_name(config.strategy, config.auxiliary_weight),
        "smoothed" if config.label_smoothing > 0 else "",
        "class weights" if config.class_weight_power > 0 else "",
        config.schedule,
        one.run.path.resolve().name,
    )
