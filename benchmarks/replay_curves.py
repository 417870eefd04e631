"""The recorded learning curves as a problem that a search can be replayed on: configuration in, whole curve out.

A Gaussian process learns the logarithm of an epoch's validation loss from the parameters, the epoch and how much
learning each part of the network has had by then; what epochs scatter around it is drawn from the configuration's
own generator, so that one configuration has one curve. `check` leaves configurations out and says how far off it is.
"""

import functools
import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import GroupKFold

from trainables import models, strategies
from trainables.config import CHOICES, FIELDS, TrialConfig, plain_type
from trainables.optim import cosine_factor

RECORDED = Path(__file__).parent / "curves.parquet"

NEVER = 10_000
"""Stands for the epoch of an unfreeze that does not come."""

CEILING = 5.0
"""Nats above which one bad epoch is as bad as another."""

SMOOTHNESS_FROM = 300
"""Epochs from which the length scales are learned; all are learned from once these are known."""


@dataclass(frozen=True)
class Curve:
    """What a trial would report epoch by epoch, and its losses without scatter, by which it is judged in the end."""

    values: tuple[float, ...]
    full_epochs: tuple[int, ...]
    expected: tuple[float, ...]


@dataclass(frozen=True)
class Recorded:
    """One configuration of the file and its curve."""

    config: TrialConfig
    curve: Curve


def read(path: Path = RECORDED) -> list[Recorded]:
    """Every recorded configuration, in the order of recording."""
    frame = pd.read_parquet(path)
    return [_recorded(part) for _, part in frame.groupby("configuration", sort=True)]


def made(path: Path = RECORDED) -> dict[str, Any]:
    """How the file was made, from its metadata."""
    content: dict[str, Any] = json.loads(pq.read_schema(path).metadata[b"made"])
    return content


class Surrogate:
    """Curves of any configuration of the space, learned from recorded ones."""

    def __init__(self, recorded: Sequence[Recorded]) -> None:
        self.scatter = _scatter(recorded)
        self._known: dict[str, Curve] = {}
        rows = np.concatenate([features(item.config) for item in recorded])
        losses = np.concatenate([logs(item.curve) for item in recorded])
        self._middle, self._spread, self._mean = rows.mean(axis=0), rows.std(axis=0) + 1e-9, losses.mean()
        self._process = _fit((rows - self._middle) / self._spread, losses - self._mean)

    def _expected(self, config: TrialConfig) -> Any:
        rows = (features(config) - self._middle) / self._spread
        return np.minimum(self._process.predict(rows) + self._mean, np.log(CEILING))

    def curve(self, config: TrialConfig) -> Curve:
        """The whole curve of `config`; the same for the same parameters, whatever the seed."""
        key = repr([value for name, value in asdict(config).items() if name != "seed"])
        if key not in self._known:
            expected = self._expected(config)
            digest = hashlib.sha256(key.encode()).digest()
            drawn = np.random.default_rng(int.from_bytes(digest[:8], "little")).normal(size=len(expected))
            values = np.exp(expected + self.scatter * drawn)
            self._known[key] = Curve(
                tuple(values.tolist()), full_epochs(config), tuple(np.exp(expected).tolist())
            )
        return self._known[key]


def _fit(rows: Any, losses: Any) -> GaussianProcessRegressor:
    """A process with a length scale for each feature."""
    some = np.random.default_rng(0).permutation(len(rows))[:SMOOTHNESS_FROM]
    scales = Matern(np.full(rows.shape[1], 3.0), (0.5, 100.0), nu=1.5)
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * scales + WhiteKernel(0.05, (1e-3, 1.0))
    with warnings.catch_warnings():
        # A length scale at its upper bound says that a feature does not matter.
        warnings.simplefilter("ignore", ConvergenceWarning)
        learned = GaussianProcessRegressor(kernel, random_state=0).fit(rows[some], losses[some])
    return GaussianProcessRegressor(learned.kernel_, optimizer=None).fit(rows, losses)


class Nearest:
    """The curve of the nearest of `recorded` with the same strategy, as it was recorded."""

    def __init__(self, recorded: Sequence[Recorded]) -> None:
        self._curves = [item.curve for item in recorded]
        self._strategies = np.array([item.config.strategy for item in recorded])
        self._points = np.stack([_parameters(item.config) for item in recorded])

    def curve(self, config: TrialConfig) -> Curve:
        """The recorded curve nearest to `config`."""
        distances = np.square(self._points - _parameters(config)).sum(axis=1)
        distances[self._strategies != config.strategy] = np.inf
        return self._curves[int(distances.argmin())]


def check(recorded: Sequence[Recorded], folds: int = 10) -> dict[str, float]:
    """How far off curves of unseen configurations are, in log loss, by `folds`-fold cross-validation.

    Root mean square error and explained share over all epochs for the process and for the nearest neighbour, and the
    rank correlation of the process's best losses with the recorded ones.
    """
    truth, process, nearest, best = [], [], [], []
    groups = np.arange(len(recorded))
    for known, unknown in GroupKFold(folds, shuffle=True, random_state=0).split(groups, groups=groups):
        learned, neighbours = Surrogate([recorded[i] for i in known]), Nearest([recorded[i] for i in known])
        for item in (recorded[i] for i in unknown):
            guess = learned.curve(item.config).expected
            truth.append(logs(item.curve))
            process.append(np.log(guess))
            nearest.append(logs(neighbours.curve(item.config)))
            best.append((min(item.curve.values), min(guess)))
    spread = float(np.concatenate(truth).var())
    errors = {
        name: float(np.square(np.concatenate(guesses) - np.concatenate(truth)).mean())
        for name, guesses in (("process", process), ("nearest neighbour", nearest))
    }
    ranks = pd.DataFrame(best).corr("spearman").iloc[0, 1]
    return {
        **{f"rmse of the {name}": error**0.5 for name, error in errors.items()},
        **{f"explained by the {name}": 1 - error / spread for name, error in errors.items()},
        "rank correlation of best losses": float(ranks),
        "scatter of an epoch": _scatter(recorded),
    }


def full_epochs(config: TrialConfig) -> tuple[int, ...]:
    """Epochs since the last unfreeze, for every epoch of `config`."""
    last = strategies.last_unfreeze(config, models.num_stages(config.model))
    return tuple(max(0, epoch - last + 1) for epoch in range(1, config.max_epochs + 1))


def logs(curve: Curve) -> Any:
    """Logarithms of the losses of `curve`, cut off where it diverged."""
    return np.log(np.clip(curve.values, 1e-6, CEILING))


def features(config: TrialConfig) -> Any:
    """What the surrogate sees of every epoch of `config`: [max_epochs, d]."""
    first, last = _unfreezes(config)
    fixed = _parameters(config)
    rows = []
    head, backbone = 0.0, 0.0
    for epoch in range(1, config.max_epochs + 1):
        head_rate = config.learning_rate * _decay(config, epoch, 1)
        backbone_rate = config.backbone_rate * _decay(config, epoch, first) if epoch >= first else 0.0
        head, backbone = head + head_rate, backbone + backbone_rate
        amounts = [np.log10(max(amount, 1e-8)) for amount in (head_rate, backbone_rate, head, backbone)]
        clock = [epoch, max(0, epoch - first + 1), max(0, epoch - last + 1)]
        rows.append(np.concatenate([fixed, clock, amounts]))
    return np.stack(rows)


def _decay(config: TrialConfig, epoch: int, started: int) -> float:
    """Share of its base rate that a group has in the middle of `epoch`; plateau's reductions depend on the curve."""
    if config.schedule == "step":
        return float((config.gamma or 1.0) ** ((epoch - started) // (config.step_size or 1)))
    if config.schedule == "cosine":
        length = config.max_epochs - started + 1
        warmup = min(config.warmup_epochs or 0, length / 2)
        return cosine_factor(epoch - started + 0.5, warmup, length)
    return 1.0


@functools.lru_cache(maxsize=4096)
def _unfreezes(config: TrialConfig) -> tuple[int, int]:
    """Epochs of the backbone's first and last unfreeze."""
    if config.strategy == "feature_extractor":
        return NEVER, NEVER
    first = (config.unfreeze_at or 0) + 1
    return first, strategies.last_unfreeze(config, models.num_stages(config.model))


def _parameters(config: TrialConfig) -> Any:
    """Parameters as numbers of about equal spread, one-hot for choices."""
    moving = config.strategy != "feature_extractor"
    numbers = [
        np.log10(config.learning_rate) / 3,
        np.log10(config.backbone_rate) / 4 if moving else -3.0,
        np.log10(config.weight_decay + 1e-8) / 5,
        config.label_smoothing * 5,
        config.class_weight_power,
        config.dropout * 2,
        (config.unfreeze_at or 0) / 5,
        np.log10(config.stage_decay or 1.0),
        np.log10(config.auxiliary_weight or 0.01) / 2,
        np.log10(config.gamma or config.plateau_factor or 1.0),
        (config.step_size or config.plateau_patience or 0) / 10,
    ]
    known = {**CHOICES, "strategy": strategies.names()}
    chosen = [
        float(getattr(config, name) == choice)
        for name in ("schedule", "sampler", "strategy")
        for choice in known[name]
    ]
    return np.array([*numbers, *chosen])


def _scatter(recorded: Sequence[Recorded]) -> float:
    """Standard deviation of log losses around a locally straight curve, from second differences of later epochs."""
    seconds = np.concatenate([np.diff(logs(item.curve)[-5:], n=2) for item in recorded])
    # The median, since an unfreeze or a lower rate is a kink and no scatter. A second difference has six times
    # the variance.
    return float(np.median(np.abs(seconds)) / 0.6745 / 6**0.5)


def _recorded(part: pd.DataFrame) -> Recorded:
    row: Mapping[str, Any] = part.iloc[0].to_dict()
    config = TrialConfig(**{name: _plain(name, row[name]) for name in FIELDS if name in row})
    values = [float(value) for value in part.sort_values("epoch")["val_loss"]]
    values += [CEILING] * (config.max_epochs - len(values))
    finite = tuple(min(value, CEILING) for value in values)
    return Recorded(config, Curve(finite, full_epochs(config), finite))


def _plain(name: str, value: Any) -> Any:
    """A value of the file as the config's field has it; pandas knows no whole number beside a null."""
    if value is None or value is pd.NA or value != value:
        return None
    if plain_type(FIELDS[name]) is int:
        return int(value)
    return value.item() if isinstance(value, np.generic) else value
