"""The backbones that a probe of the images advises, fine-tuned.

Unless --models says which, `tuner run` probes the candidates first (see `tuner probe`), or the models of --backbones,
and narrows the space to those that are advised. Any model of timm may be named. The prior is that of
`common.usual_prior` but for:

- `backbone_learning_rate`: 3e-5 for transformers and ConvNeXt, as Liu et al. 2021 (Swin), Liu et al. 2022 (ConvNeXt)
  and Touvron et al. 2022 (DeiT III) fine-tune between 1e-5 and 1e-4 with AdamW; 1e-3 for other convolutional networks,
  as `benchmarks/quality/small_sets.py` found it best or as good as lower ones on three kinds of images.
- `weight_decay`: 1e-2 is AdamW's own default (Loshchilov and Hutter 2019); those papers have 1e-8 to 5e-2.
- `label_smoothing`: little. It puts a floor under the log loss, which is what is searched for, and a solved head stands
  on it at once.
- `mixup`, `cutmix`: seldom; Touvron et al. and Wightman et al. 2021 train long with both, and in twelve epochs
  `benchmarks/quality/small_sets.py` found mixup worse than none.
- `augmentation`: `light` and `moderate` twice as often as others. `benchmarks/quality/policies.py` found `light` and
  `dihedral` alike from a random head, and better than the stronger ones; after a solved head `small_sets.py` found
  `moderate` as good as `light` or better. `dihedral` is for pictures without a way up.
- `patience`: none. A cosine that is cut is not its trial: after a solved head the loss rises while the rate is high,
  and falls below the head's only in the last third. ASHA stops what is poor.

The first trials follow from `benchmarks/quality/small_sets.py`: on 312 to 404 images of three kinds the solved head
and then everything, BatchNorms still, is better than the head alone, and than everything from a random head. So that
strategy weighs three times as much as any other. Best over the three kinds is `moderate` augmentation, which any two of
them choose or come near to: it is tried with every backbone. The other four recipes are tried with the first backbone
alone, in the order in which `benchmarks/quality/regimes.py` chose them: where moderate augmentation is not the best,
`light` or `strong` was on fine differences, label smoothing on a hundred images, `strong` far from ImageNet. The head
alone is no first trial: the probe's best is a trial of the run already.
"""

from typing import TYPE_CHECKING, Any

from search_spaces import common
from trainables import models, strategies
from trainables.models.candidates import CANDIDATES, find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.trial import BaseTrial

probe = True
any_model = True
defaults = {"samples": 40, "max_epochs": 12}

MODELS = tuple(candidate.name for candidate in CANDIDATES)
LOW_RATE = ("CAFormer", "ConvNeXt", "DINOv2", "DINOv3", "EVA-02", "Swin", "SwinV2", "TinyViT", "ViT")
"""Families that are fine-tuned at low rates."""

LOW_RATE_NAMES = ("beit", "convnext", "deit", "eva", "former", "swin", "vit")
"""Parts of the names of timm's models of such families, by which one that is no candidate is known."""

RATES = {"low-rate": 3e-5, "convolutional": 1e-3}
WIDTHS = {"low-rate": 0.75, "convolutional": 0.4}
"""Where the rate is expected, and the standard deviation of that in decades."""

SOLVED, SOLVED_WEIGHT = "probe_then_full", 12.0
FROZEN = "feature_extractor"
"""Trains what the probe has solved already."""
POLICIES = ("light", "moderate", "dihedral", "strong")
MIXUP, CUTMIX = (0.0, 0.2), (0.0, 1.0)

PLAIN: "Mapping[str, Any]" = {
    "learning_rate": 1e-3,
    "weight_decay": 1e-2,
    "label_smoothing": 0.0,
    "dropout": 0.2,
    "class_weight_power": 0.0,
    "sampler": "shuffle",
    "augmentation": "moderate",
    "mixup": 0.0,
    "cutmix": 0.0,
}
RECIPES: "tuple[Mapping[str, Any], ...]" = (
    PLAIN,
    {**PLAIN, "augmentation": "light"},
    {**PLAIN, "augmentation": "light", "label_smoothing": 0.1},
    {**PLAIN, "augmentation": "strong"},
    {**PLAIN, "mixup": 0.2},
)
"""What the first trials train with: the first for most images, each other one for a regime of its own."""


def space(trial: "BaseTrial", max_epochs: int) -> dict[str, Any]:
    """Sample the model, a strategy that fits it, rates, regularisation, augmentation and mixing."""
    model = str(trial.suggest_categorical("model", MODELS))
    common.suggest_strategy(
        trial,
        model,
        max_epochs,
        name=_strategy_name(model),
        rate=f"backbone_learning_rate@{kind(model)}",
        choices=_strategies(model, max_epochs),
    )
    trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True)
    trial.suggest_float("weight_decay", 1e-6, 0.3, log=True)
    common.suggest_regularisation(trial)
    common.suggest_imbalance(trial)
    trial.suggest_categorical("augmentation", POLICIES)
    trial.suggest_categorical("mixup", MIXUP)
    trial.suggest_categorical("cutmix", CUTMIX)
    return {"optimizer": "adamw", "schedule": "cosine", "patience": 0}


def first_trials(max_epochs: int, models: "Sequence[str]" = MODELS) -> list[dict[str, Any]]:
    """The first recipe with each of `models`, best first, then the others with the first one.

    The head is solved first where there is an epoch for that.
    """
    usual, *others = RECIPES
    tried = [(model, usual) for model in models] + [(models[0], recipe) for recipe in others]
    return [
        {"model": model, **_begun(model, max_epochs), **recipe, **_rate(model)} for model, recipe in tried
    ]


def prior(max_epochs: int) -> dict[str, dict[Any, float]]:
    """The usual one with what this file's docstring says."""
    usual = common.usual_prior({_strategy_name(model): _strategies(model, max_epochs) for model in MODELS})
    for name in ("backbone_learning_rate", "schedule", "gamma", "plateau_factor"):
        del usual[name]
    rates = {
        f"backbone_learning_rate@{kind}": {"centre": rate, "width": WIDTHS[kind]}
        for kind, rate in RATES.items()
    }
    for model in MODELS:
        choices = usual[_strategy_name(model)]
        if SOLVED in choices:
            choices[SOLVED] = SOLVED_WEIGHT
    return {
        **usual,
        **rates,
        "weight_decay": {"centre": 1e-2, "width": 1.0},
        "augmentation": {"light": 2.0, "moderate": 2.0, "dihedral": 1.0, "strong": 1.0},
        "label_smoothing": {"centre": 0.02, "width": 0.05},
        "mixup": {0.0: 5.0, 0.2: 1.0},
        "cutmix": {0.0: 5.0, 1.0: 1.0},
    }


def kind(model: str) -> str:
    """Which of the `RATES` fits `model`: by its family, or where that is not known by its name."""
    known = find(model)
    low = known.family in LOW_RATE if known else any(part in model for part in LOW_RATE_NAMES)
    return "low-rate" if low else "convolutional"


def _strategy_name(model: str) -> str:
    """One name for networks of as many stages, which follow the same strategies and learn from one another."""
    return f"strategy@{models.num_stages(model)}-stages"


def _strategies(model: str, max_epochs: int) -> tuple[str, ...]:
    """What `model` can follow and trains its backbone; auxiliary heads, which only one has, are left out."""
    fitting = common.fitting_strategies(model, max_epochs)
    return tuple(name for name in fitting if name != FROZEN and not strategies.wants_auxiliary(name))


def _begun(model: str, max_epochs: int) -> dict[str, Any]:
    """The strategy of the first trials of `model`."""
    name = _strategy_name(model)
    return {name: SOLVED, "probe_l2": 0.03} if SOLVED in _strategies(model, max_epochs) else {name: "full"}


def _rate(model: str) -> dict[str, float]:
    return {f"backbone_learning_rate@{kind(model)}": RATES[kind(model)]}
