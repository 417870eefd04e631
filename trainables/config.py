"""What goes into a trial and what comes out of each of its epochs. No torch here."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainables import augmentations
from trainables.errors import InvalidValue, UnknownName
from trainables.metrics import METRICS
from trainables.values import Plain, plain

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
"""What a trial may compute in; auto is bf16 where the machine computes it natively."""

CROP, SQUASH, PAD = "crop", "squash", "pad"
FITS = (CROP, SQUASH, PAD)
"""How a picture that is not square becomes the square that a network sees; see `trainables.data.preprocessing`."""

AUXILIARY_WEIGHT = 0.3
"""Weight of each auxiliary classifier's loss; Szegedy et al. 2015, section 5."""


_UNFREEZING = ("gradual_unfreeze", "staged_unfreeze", "study_unfreeze")
_FINE_TUNING = ("full", "full_aux", "layerwise", "probe_then_full", *_UNFREEZING)
_LATE = ("probe_then_full", *_UNFREEZING)


@dataclass(frozen=True)
class Only:
    """A parameter means something only while `field` is one of `values`; `default` holds there."""

    field: str
    values: tuple[str, ...]
    default: float | None


CONDITIONS: Mapping[str, Only] = {
    "unfreeze_at": Only("strategy", _UNFREEZING, 3),
    "backbone_learning_rate": Only("strategy", _FINE_TUNING, None),
    "stage_decay": Only("strategy", ("layerwise", "staged_unfreeze"), 0.5),
    "probe_l2": Only("strategy", ("linear_probe", "probe_then_full"), 0.01),
    "probe_views": Only("strategy", ("linear_probe",), 1),
    "mixup": Only("strategy", _FINE_TUNING, 0.0),
    "cutmix": Only("strategy", _FINE_TUNING, 0.0),
    "auxiliary_weight": Only("strategy", ("full_aux",), AUXILIARY_WEIGHT),
    "step_size": Only("schedule", ("step",), 7),
    "gamma": Only("schedule", ("step",), 0.1),
    "plateau_factor": Only("schedule", ("plateau",), 0.1),
    "plateau_patience": Only("schedule", ("plateau",), 2),
    "plateau_min_lr": Only("schedule", ("plateau",), 1e-6),
    "warmup_epochs": Only("schedule", ("cosine",), 1),
}
"""Parameters that are null wherever their condition does not hold."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("adam", "adamw"),
    "schedule": ("step", "plateau", "cosine"),
    "sampler": ("shuffle", "weighted"),
}

RANGES: Mapping[str, tuple[float, float]] = {
    "learning_rate": (1e-8, 10.0),
    "backbone_learning_rate": (1e-9, 10.0),
    "weight_decay": (0.0, 1.0),
    "label_smoothing": (0.0, 0.999),
    "class_weight_power": (0.0, 1.0),
    "auxiliary_weight": (0.0, 10.0),
    "dropout": (0.0, 0.99),
    "unfreeze_at": (1, 10_000),
    "stage_decay": (1e-3, 1.0),
    "probe_l2": (1e-9, 1e3),
    "probe_views": (1, 2),
    "mixup": (0.0, 10.0),
    "cutmix": (0.0, 10.0),
    "step_size": (1, 10_000),
    "gamma": (1e-6, 1.0),
    "plateau_factor": (1e-6, 0.999),
    "plateau_patience": (0, 10_000),
    "plateau_min_lr": (0.0, 1.0),
    "warmup_epochs": (0, 10_000),
    "ema_decay": (0.0, 0.99999),
    "batch_size": (1, 65_536),
    "max_epochs": (1, 100_000),
    "patience": (0, 100_000),
    "min_delta": (0.0, 1e6),
    "seed": (0, 2**63 - 1),
}
"""Closed ranges, checked before any trial starts."""


@dataclass(frozen=True)
class TrialConfig:
    """Everything that makes one trial what it is; see `CONDITIONS` for what may be None.

    Learning rates are per optimizer step and unscaled. `unfreeze_at` counts epochs: that many are trained with the
    backbone frozen, so it first moves in epoch `unfreeze_at + 1`. A `backbone_learning_rate` of None means
    `learning_rate`, but 1e-5 where the backbone joins late. `patience` 0 switches early stopping off.

    The defaults suit a short fine-tuning of pretrained weights on a few thousand images; `search_spaces.study` holds
    the settings of the study that some spaces repeat.
    """

    model: str
    strategy: str
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    backbone_learning_rate: float | None = None
    weight_decay: float = 0.0
    schedule: str = "step"
    step_size: int | None = None
    gamma: float | None = None
    plateau_factor: float | None = None
    plateau_patience: int | None = None
    plateau_min_lr: float | None = None
    warmup_epochs: int | None = None
    label_smoothing: float = 0.0
    class_weight_power: float = 0.0
    sampler: str = "shuffle"
    augmentation: str = augmentations.DEFAULT
    auxiliary_weight: float | None = None
    dropout: float = 0.2
    unfreeze_at: int | None = None
    stage_decay: float | None = None
    probe_l2: float | None = None
    probe_views: int | None = None
    mixup: float | None = None
    cutmix: float | None = None
    ema_decay: float = 0.0
    batch_size: int = 32
    max_epochs: int = 10
    patience: int = 5
    min_delta: float = 0.001
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a value outside its range or choices; raises InvalidValue or UnknownName."""
        augmentations.check(self.augmentation)
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise InvalidValue(f"{name}={value!r} is none of {', '.join(choices)}")
        for name, (low, high) in RANGES.items():
            _check_range(name, getattr(self, name), low, high)

    @classmethod
    def resolve(cls, parameters: Mapping[str, Any]) -> "TrialConfig":
        """The config of sampled `parameters` in plain Python values, with conditional defaults filled in.

        Raises UnknownName for a parameter that does not exist, InvalidValue for one out of range or
        given where it has no meaning.
        """
        for name in parameters:
            if name not in FIELDS:
                raise UnknownName.of("parameter", name, FIELDS)
        values: dict[str, Any] = {name: _of_field(name, plain(v, name)) for name, v in parameters.items()}
        values = {name: value for name, value in values.items() if value is not None}
        for name, only in CONDITIONS.items():
            setting = values.get(only.field, FIELDS[only.field].default)
            if setting in only.values:
                values.setdefault(name, only.default)
            elif name in values:
                raise InvalidValue(
                    f"{name}={values[name]!r} has no meaning with {only.field} {setting!r};"
                    f" it belongs to {', '.join(only.values)}"
                )
        missing = [name for name in ("model", "strategy") if name not in values]
        if missing:
            raise InvalidValue(f"a trial needs a {' and a '.join(missing)}; got {dict(parameters)}")
        return cls(**values)

    @property
    def backbone_rate(self) -> float:
        """Learning rate of the backbone: its own, else 1e-5 where it unfreezes late, else the head's."""
        if self.backbone_learning_rate is not None:
            return self.backbone_learning_rate
        return 1e-5 if self.strategy in _LATE else self.learning_rate

    @property
    def combination(self) -> str:
        """Model, strategy, loss and schedule: trials that share it compete for one kept place.

        Auxiliary heads of weight 0 get no gradient, which is another strategy than training them.
        """
        untrained = "-untrained" if self.auxiliary_weight == 0 else ""
        loss = "smoothed" if self.label_smoothing > 0 else "plain"
        weighting = "weighted" if self.class_weight_power > 0 else "unweighted"
        return f"{self.model}/{self.strategy}{untrained}/{loss}-{weighting}/{self.schedule}"


FIELDS: Mapping[str, dataclasses.Field[Any]] = {f.name: f for f in dataclasses.fields(TrialConfig)}
"""The known parameters by name."""


def _of_field(name: str, value: Plain) -> Plain:
    """`value` in the type of the field `name`: 8.0 is a whole number of images, 1 a rate."""
    kind = FIELDS[name].type
    if value is None or isinstance(value, bool):
        return value
    if kind is str:
        if not isinstance(value, str):
            raise InvalidValue(f"{name}={value!r} must be a text")
        return value
    if kind in (int, int | None):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    try:
        return float(value) if isinstance(value, int) else value
    except OverflowError as error:
        raise InvalidValue(f"{name}={value!r} is not a finite number") from error


def plain_type(field: dataclasses.Field[Any]) -> type:
    """What `field` of a dataclass of plain values holds beside None: str, int or float."""
    [kind] = {kind for kind in typing.get_args(field.type) or (field.type,) if kind is not type(None)}
    return typing.cast(type, kind)


def _check_range(name: str, value: float | None, low: float, high: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidValue(f"{name}={value!r} is not a finite number")
    if not low <= value <= high:
        raise InvalidValue(f"{name}={value!r} is outside {low:g} to {high:g}")
    if isinstance(low, int) and int(value) != value:
        raise InvalidValue(f"{name}={value!r} is not a whole number")


@dataclass(frozen=True)
class EpochMetrics:
    """What one epoch measured.

    `scores` are those of all METRICS on the validation images, by name; NaN without images, or where a metric needs a
    positive class and there is none. `train_loss` is the trial's own criterion. `full_epochs` counts the epochs since
    the last unfreeze in which everything that the strategy trains was training (0 while something is still frozen).
    """

    epoch: int
    full_epochs: int
    scores: Mapping[str, float]
    train_loss: float
    train_accuracy: float
    learning_rate: float
    trainable_parameters: int
    epoch_seconds: float
    time: float

    @property
    def val_loss(self) -> float:
        """Plain cross-entropy in nats per image, the same function for every trial."""
        return self.scores["val_loss"]

    def row(self) -> dict[str, float | None]:
        """All of it by column, as `epochs/` and whoever hears of an epoch have it; None for what was not measured."""
        values = {
            name: self.scores.get(name) if name in METRICS else getattr(self, name) for name in EPOCH_COLUMNS
        }
        return {name: None if value != value else value for name, value in values.items()}

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "EpochMetrics":
        """The epoch that `row` describes; a metric that was not measured then is NaN."""
        scores = {name: row.get(name) for name in METRICS}
        own = {name: row[name] for name in EPOCH_COLUMNS if name not in METRICS}
        return cls(scores={k: math.nan if v is None else float(v) for k, v in scores.items()}, **own)


def _epoch_columns() -> dict[str, type]:
    columns: dict[str, type] = {}
    for field in dataclasses.fields(EpochMetrics):
        columns |= (
            dict.fromkeys(METRICS, float) if field.name == "scores" else {field.name: plain_type(field)}
        )
    return columns


EPOCH_COLUMNS: Mapping[str, type] = _epoch_columns()
"""The columns of an epoch and what they hold, whole numbers or not."""

MEASURED = tuple(name for name in EPOCH_COLUMNS if name.startswith(("val_", "train_")))
"""The columns of its best epoch that a trial's row repeats."""


@dataclass(frozen=True)
class RunContext:
    """What all trials of a run share: it crosses the process border once a worker.

    `run_dir` holds `split.parquet`; `cache` is the memory-mapped image file of training and
    validation images; `weights` is "imagenet", "none" or a file; `precision` is fp32, bf16 or fp16;
    `seed` is the run's, from which the augmentation of image i in epoch e follows;
    `feature_cache_bytes` bounds the cache of frozen features, 0 does without it;
    `data` is the image folder, from which a machine that does not see `cache` builds its own;
    `storage` is the address of a bucket for what trials write, empty where that goes to `run_dir`;
    `positive` is the number of the class that metrics of one class are of;
    `fit` is how pictures become squares, one of `FITS`.
    """

    run_dir: str
    cache: str
    classes: tuple[str, ...]
    image_size: int
    weights: str
    precision: str
    metric: str
    seed: int
    num_threads: int = 1
    feature_cache_bytes: int = 0
    data: str = ""
    storage: str = ""
    positive: int | None = None
    fit: str = CROP
