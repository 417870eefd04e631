"""best.yaml: the best configuration with all that is needed to train it again, and to judge what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trainables.config import TrialConfig
from trainables.data.deep import Scale
from tuner.runs.ensemble import Member
from tuner.runs.weights_files import WeightsFiles

__all__ = ["Best", "Data", "Expected", "SplitSource"]


@dataclass(frozen=True)
class Expected:
    """The score of the trial's best `epoch`, estimated for new images or as measured on validation, and its spread.

    `standard_error` is what `spread` says it is; None where there is nothing to take it from. `positive` is the class
    that metrics of one class are of.
    """

    metric: str
    value: float
    epoch: int
    standard_error: float | None
    spread: str
    scores: Mapping[str, float]
    positive: str | None = None


@dataclass(frozen=True)
class Data:
    """The images of the search: their folder, the fingerprint of their content, images by class.

    `labels` is the table of their labels, None for class folders; `left_out` are paths that were not to be used;
    `scale` has the levels at which pictures of more than eight bits are read, see `trainables.data.deep`.
    """

    folder: str
    sample: bool
    fingerprint: str
    images: Mapping[str, int]
    labels: str | None = None
    left_out: tuple[str, ...] = ()
    scale: Scale = field(default_factory=dict)


@dataclass(frozen=True)
class SplitSource:
    """Which image is where: in `file`, beside best.yaml, or made again from the rest.

    `images` are counted by part; `fractions` are the shares of train, val and test; `groups` is a CSV file.
    """

    fingerprint: str
    images: Mapping[str, int]
    file: str
    fractions: tuple[float, float, float]
    seed: int
    groups: str | None
    group_regex: str | None


@dataclass(frozen=True)
class Best:
    """Everything that best.yaml says.

    `plateau_reduced_after` are the epochs after which a plateau schedule lowered the head's rate. `mean` and
    `std` are what images are normalised with, for values in [0, 1]. `run_seed` gave the augmentation. `ensemble`
    are the members of the ensemble that validation chose, if one was looked for. `weights_files` are the files of
    pretrained weights that the run began with. `fit` is how pictures become squares, see
    `trainables.data.preprocessing`.
    """

    trial: str
    run: str
    config: TrialConfig
    expected: Expected
    image_size: int
    weights: str
    precision: str
    run_seed: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    classes: tuple[str, ...]
    data: Data
    split: SplitSource
    versions: Mapping[str, str]
    plateau_reduced_after: tuple[int, ...] = ()
    ensemble: tuple[Member, ...] = ()
    weights_files: WeightsFiles = field(default_factory=dict)
    fit: str = "crop"
