"""The study that some spaces repeat: what it did, where that is written, and which of it is a reading.

The study is a comparison of fine-tuned GoogLeNet, ResNet, VGG and MobileNet on photographs of potato leaves in three
classes (1000, 1000 and 152 images). Its facts come from its training code and from its tables. Where its text breaks
off or says nothing, a value here is a reading, marked as one. No space; no torch, no optuna.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

CODE = "its training code"
TABLE = "its table of nine GoogLeNet runs"
FINAL_EPOCHS = "its table of final epochs"
BACKBONES = "its table of five backbones"
IMBALANCE = "its table of the imbalance study"


class Fact(NamedTuple):
    """A setting of the study and where it is written; a `reading` fits what is written, but is not written itself."""

    value: Any
    origin: str
    reading: bool = False


class Figure(NamedTuple):
    """A test accuracy in % that the study printed, and the table that prints it."""

    accuracy: float
    origin: str


class StudyRun(NamedTuple):
    """A run of the study: its name, our parameters for it, and its figures, that of its own table first."""

    name: str
    parameters: Mapping[str, Any]
    figures: tuple[Figure, ...]

    @property
    def accuracies(self) -> tuple[float, ...]:
        """What its tables say of it, in %; several where they disagree."""
        return tuple(figure.accuracy for figure in self.figures)


MAX_EPOCHS = 50
IMAGE_SIZE = 224
CLASS_IMAGES = (1000, 1000, 152)
SPLIT_IMAGES = (1721, 215, 216)
"""Training, validation and test images of the split 8:1:1, at random by image."""

COMMON: Mapping[str, Fact] = {
    "optimizer": Fact("adam", CODE),
    "learning_rate": Fact(
        1e-4, f"{CODE} of GoogLeNet runs 1 to 3; cut off or missing in all others", reading=True
    ),
    "batch_size": Fact(32, CODE),
    "patience": Fact(5, CODE),
    "min_delta": Fact(0.001, f"{CODE}; the ninth GoogLeNet run has 0.01"),
    "augmentation": Fact("study", f"{CODE}; its end is cut off, see trainables/augmentations/study.py"),
}
"""What all runs have in common. The learning rate is known of three of them and read into the rest."""

STEP: Mapping[str, Fact] = {
    "schedule": Fact("step", CODE),
    "step_size": Fact(10, CODE),
    "gamma": Fact(
        0.5, f"{CODE} of GoogLeNet runs 1 to 3; read into ResNet50's and the backbones' runs", reading=True
    ),
}
STEEP_STEP: Mapping[str, Fact] = {**STEP, "gamma": Fact(0.1, f"{CODE} of GoogLeNet runs 4 to 6")}
PLATEAU: Mapping[str, Fact] = {
    "schedule": Fact("plateau", CODE),
    "plateau_factor": Fact(0.5, CODE),
    "plateau_patience": Fact(2, CODE),
    "plateau_min_lr": Fact(1e-6, CODE),
}
SMOOTHING = Fact(0.1, f"{CODE} of GoogLeNet runs 4 to 9")
NINTH_MIN_DELTA = Fact(0.01, f"{CODE} of GoogLeNet run 9")
UNFREEZE_AT = Fact(5, f"{CODE}: heads alone in epochs 0 to 4")
UNFROZEN_RATE = Fact(1e-5, f"{CODE}: of the new Adam over all parameters, heads included")
TRAINED_AUXILIARY = Fact(
    0.3, "Szegedy et al. 2015, section 5; the study meant to train its heads and did not", True
)


def values(facts: Mapping[str, Fact]) -> dict[str, Any]:
    """The bare settings of `facts`."""
    return {name: fact.value for name, fact in facts.items()}


_PLAIN = {"label_smoothing": 0.0, **values(STEP)}
_SMOOTH = {"label_smoothing": SMOOTHING.value, **values(STEEP_STEP)}
_SMOOTH_PLATEAU = {"label_smoothing": SMOOTHING.value, **values(PLATEAU)}

FULL = {"strategy": "full"}
UNTRAINED_HEADS = {"strategy": "full_aux", "auxiliary_weight": 0.0}
"""Auxiliary heads that are there and get no gradient: it computes what `full` does, in a row of its own."""

UNFREEZING = {
    "strategy": "study_unfreeze",
    "unfreeze_at": UNFREEZE_AT.value,
    "backbone_learning_rate": UNFROZEN_RATE.value,
}


def _figures(*rows: tuple[float, str]) -> tuple[Figure, ...]:
    return tuple(Figure(*row) for row in rows)


GOOGLENET_RUNS = (
    StudyRun(
        "googlenet",
        {**FULL, **_PLAIN},
        _figures((94.36, TABLE), (82.11, FINAL_EPOCHS), (82.35, BACKBONES)),
    ),
    StudyRun(
        "googlenet_finetuned", {**UNTRAINED_HEADS, **_PLAIN}, _figures((82.60, TABLE), (93.87, FINAL_EPOCHS))
    ),
    StudyRun(
        "googlenet_gradual_unfreeze",
        {**UNFREEZING, **_PLAIN},
        _figures((91.42, TABLE), (92.16, FINAL_EPOCHS)),
    ),
    StudyRun("googlenet_smooth", {**FULL, **_SMOOTH}, _figures((97.06, TABLE))),
    StudyRun("googlenet_finetuned_smooth", {**UNTRAINED_HEADS, **_SMOOTH}, _figures((87.25, TABLE))),
    StudyRun("googlenet_gu_smooth", {**UNFREEZING, **_SMOOTH}, _figures((85.78, TABLE))),
    StudyRun("googlenet_smooth_rlrop", {**FULL, **_SMOOTH_PLATEAU}, _figures((87.99, TABLE))),
    StudyRun(
        "googlenet_finetuned_smooth_rlrop", {**UNTRAINED_HEADS, **_SMOOTH_PLATEAU}, _figures((96.81, TABLE))
    ),
    StudyRun(
        "googlenet_gu_smooth_rlrop",
        {**UNFREEZING, **_SMOOTH_PLATEAU, "min_delta": NINTH_MIN_DELTA.value},
        _figures((88.24, TABLE)),
    ),
)
"""The nine, in the study's order and by its names. 4 and 7 had the untrained heads too, which compute nothing."""

FEATURE_EXTRACTOR = StudyRun(
    "googlenet_feature_extractor",
    {"strategy": "feature_extractor", **_PLAIN},
    _figures((79.90, FINAL_EPOCHS)),
)
"""In one table only; its loss and schedule are not given, those of runs 1 to 3 are a reading."""

MEANT = {"strategy": "full_aux", "auxiliary_weight": TRAINED_AUXILIARY.value, **_PLAIN}
"""What "fine-tuned" was meant to be: full fine-tuning with trained auxiliary heads. The study has no figure of it."""

PAIRS = (
    ("googlenet", "googlenet_finetuned"),
    ("googlenet_smooth", "googlenet_finetuned_smooth"),
    ("googlenet_smooth_rlrop", "googlenet_finetuned_smooth_rlrop"),
)
"""Runs that are each one configuration trained twice, since heads without a gradient change nothing."""

FINAL_EPOCH_FIGURES: Mapping[str, tuple[float, float, float]] = {
    "googlenet": (98.01, 99.27, 82.11),
    "googlenet_finetuned": (98.21, 99.51, 93.87),
    "googlenet_feature_extractor": (81.01, 72.37, 79.90),
    "googlenet_gradual_unfreeze": (96.95, 98.53, 92.16),
}
"""Training, validation and test accuracy in % by the study's name of the run."""

IMBALANCE_RUNS = (
    StudyRun(
        "ResNet50 baseline",
        {"sampler": "shuffle", "class_weight_power": 0.0},
        _figures((96.30, IMBALANCE)),
    ),
    StudyRun(
        "ResNet50 sampler + weighted loss",
        {"sampler": "weighted", "class_weight_power": 1.0},
        _figures((95.83, IMBALANCE)),
    ),
)
IMBALANCE_LOSSES = (0.1762, 0.1901)
"""Test losses of the two."""

LOSS_WEIGHTS = (1.0, 1.0, 1000 / 152)
"""Of the weighted loss: in proportion to 1 / images of a class, which is class_weight_power 1."""

BACKBONE_RUNS = (
    StudyRun("ResNet50", {"model": "resnet50"}, _figures((97.79, BACKBONES))),
    StudyRun("VGG16", {"model": "vgg16"}, _figures((99.75, BACKBONES))),
    StudyRun("MobileNet", {"model": "mobilenet_v2"}, _figures((100.0, BACKBONES))),
    StudyRun(
        "GoogLeNet",
        {"model": "googlenet"},
        _figures((82.35, BACKBONES), (82.11, FINAL_EPOCHS), (94.36, TABLE)),
    ),
    StudyRun("ResNet18", {"model": "resnet18"}, _figures((100.0, BACKBONES))),
)
BACKBONE_FIGURES: Mapping[str, tuple[float, float, float]] = {
    "VGG16": (98.21, 99.76, 99.75),
    "MobileNet": (98.01, 100.0, 100.0),
    "GoogLeNet": (98.01, 99.27, 82.35),
    "ResNet18": (98.26, 100.0, 100.0),
}
"""Training, validation and test accuracy in %; of ResNet50 only the test accuracy and loss are given."""

RESNET50_LOSS = 0.1191
"""ResNet50's test loss in the table of backbones."""

DEVIATIONS = (
    "Weights, early stopping and the plateau go by one plain validation loss, the same function for every run; the"
    " study validated with each run's training criterion, smoothing included.",
    "A frozen module is in evaluation mode, so its BatchNorm statistics stand still; in the study those of the frozen"
    " backbone moved.",
    "Losses and accuracies are means over images; the study took means over batches, in which a short last batch weighs"
    " too much.",
    "Where the machine computes bf16 natively, training does so.",
    "Patience begins to count once everything trains; in the study it counted while the backbone was frozen, too.",
    "Augmentation reads pictures stored at 8/7 of the training size and interpolates once, bilinearly; the study's read"
    " the originals and interpolated up to three times. A crop that does not fit is clipped, not drawn again.",
)
"""What the spaces do otherwise than the study, on purpose."""

UNKNOWN = (
    "The learning rate is known of GoogLeNet runs 1 to 3 only; 1e-4 is read into all others.",
    "Of the colour jitter only the brightness is known, of the affine map's scale only its lower end.",
    "The split of all runs but ResNet50's imbalance study is not documented: their accuracies fit 408 test images, not"
    " the 216 of the split 8:1:1.",
    "Optimizer, rate and schedule of ResNet50, the other backbones and the feature extractor are those of runs 1 to 3,"
    " a reading.",
)
"""What the study leaves open, and what is read into it."""

REMARK = (
    "Published figures are test accuracies of the study that this space repeats. Its split was by image, at random, so"
    " photographs of one leaf stood on both sides: they are not comparable with scores on unseen leaves. Where its"
    " tables disagree on a run, both ends are given, and in brackets the figure of the run's own table."
)


def published(
    runs: tuple[StudyRun, ...], shared: Mapping[str, Any]
) -> list[tuple[dict[str, Any], str, tuple[float, ...]]]:
    """Rows of a space's `published`: parameters, the study's name, its figures."""
    return [({**shared, **run.parameters}, run.name, run.accuracies) for run in runs]
