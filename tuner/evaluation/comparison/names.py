"""Short names of backbones and strategies, of which the names of finalists are made."""

from collections.abc import Iterable

from tuner.html.canvas import shared_beginning

__all__ = ["parameter_title", "short_models", "strategy_name"]


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


def parameter_title(name: str) -> str:
    """A sampled parameter in words; what stands behind an @ says for which networks alone it is.

    >>> parameter_title("strategy@5-stages"), parameter_title("learning_rate")
    ('strategy (of networks: 5-stages)', 'learning_rate')
    """
    field, _, which = name.partition("@")
    return f"{field} (of networks: {which})" if which else field
